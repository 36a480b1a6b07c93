"""Access tokens shared by the processes of a journal: one login, sealed, never an older token."""

import asyncio
import contextlib
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import (
    AuthenticationFailed,
    CamPay,
    Mpesa,
    OutcomeUnknown,
    Payment,
    Pool,
    Unavailable,
    UsageError,
)
from paymux.http import PreparedRequest, Response
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.connection import connected
from paymux.primitives.redaction import Secret
from paymux.primitives.sealing import Sealer
from paymux.simulator import Simulator
from paymux.transport.token_sharing import RIGHT_SECONDS

from .campaigns.shared_tokens import Campaign, Event, Plan
from .toys import BASE, KEY, Toy, Wire, answer, now, timeless

OTHER_KEY = "another key of sixteen characters"
STALE, ODD = answer(401, error="stale"), Response(status=401, body=b"<html>Who are you?</html>")


class Newest:
    """A provider that honours only its newest token. A login takes `seconds`."""

    def __init__(self, life: float = 3600.0, seconds: float = 1.0) -> None:
        self.life, self.seconds = life, seconds
        self.logins = self.refused = 0
        self.newest = self.paused = ""
        self.orders: list[str] = []
        self.refusal = STALE
        self.refuses_all = False
        self.fails = 0  # logins that fail
        self.gate: asyncio.Event | None = None  # for which the next login waits, when it is issued

    async def __call__(self, outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return await self._login()
        if self.refuses_all or outgoing.headers["Authorization"] != f"Bearer {self.newest}":
            self.refused += 1
            return self.refusal
        if outgoing.url.endswith("/collect"):
            self.orders.append((outgoing.body or b"").decode())
        return answer(id="p1", status="OK")

    async def _login(self) -> Response:
        self.logins += 1
        token = f"t{self.logins}"
        await asyncio.sleep(self.seconds)
        self.newest = token
        gate, self.gate = self.gate, None
        if gate is not None:
            self.paused = token
            await gate.wait()
        if self.fails:
            self.fails -= 1
            return Response(status=503)
        return answer(token=token, expires_in=self.life)


class Shop:
    """Pools on one journal's file, as several processes have them."""

    def __init__(self, journal: str) -> None:
        self.journal = journal
        self.desk = Newest()

    def pool(self, driver: Toy | None = None, key: Any = KEY, **options: Any) -> Pool:
        """Make the pool of one more process; a key of None: without callback URLs."""
        if key is not None:
            options = {"webhook_base": BASE, "webhook_key": key, **options}
        wire = Wire(self.desk)
        return Pool(driver or Toy(), connection=wire, journal=self.journal, **options)

    def sql(self, statement: str, *given: object) -> list[Any]:
        """Run a statement in the journal, as a program of its own does."""
        if "://" in self.journal:
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(_run, self.journal, statement, given).result()
        with contextlib.closing(sqlite3.connect(self.journal)) as db, db:
            return db.execute(statement, given).fetchall()

    def row(self) -> dict[str, Any]:
        """Return the only row of the shared tokens."""
        names = ("generation", "sealed", "life", "expires", "given", "asker", "asked")
        (row,) = self.sql(f"SELECT {', '.join(names)} FROM tokens")  # noqa: S608 - names of our own
        return dict(zip(names, row, strict=True))


def _run(url: str, statement: str, given: tuple[object, ...]) -> list[Any]:
    loop = asyncio.new_event_loop()
    connection = connected(Address(url), loop)
    try:
        return connection.execute(statement, given).fetchall()
    finally:
        connection.close()
        loop.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a journal in a file."""
    return tmp_path / "payments.db"


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, file: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop without pools, with a journal of either engine."""
    if request.param == "sqlite":
        return Shop(str(file))
    # The server's clock, as that of the test.
    monkeypatch.setattr(PostgresJournal, "_clock", lambda *_: time.time())
    return Shop(request.getfixturevalue("database"))


async def ask(*pools: Pool) -> None:
    """Let each pool look up a payment, one after the other."""
    for pool in pools:
        await pool.verify("toy", "p1")


# One login for all.


@timeless
async def test_processes_share_one_login(shop: Shop) -> None:
    """Many callers in several processes at once, and a process that comes later: one login."""
    async with shop.pool() as one, shop.pool() as two, shop.pool() as three:
        await asyncio.gather(*(ask(pool) for pool in (one, two, three) * 20))
    async with shop.pool() as later:
        await ask(later)
    assert (shop.desk.logins, shop.desk.refused) == (1, 0)


@timeless
async def test_a_process_has_the_newest_token_after_one_refusal(shop: Shop) -> None:
    """After another process's login the own token is dead: one refused request, and no login."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        shop.desk.newest = "ended by the provider"
        await ask(one)
        assert (shop.desk.logins, shop.desk.refused) == (2, 1)
        await asyncio.gather(*(ask(two) for _ in range(50)))
        assert shop.desk.logins == 2
        assert shop.desk.refused <= 1 + 50
        refused = shop.desk.refused
        await ask(two, one, two)
    assert (shop.desk.logins, shop.desk.refused) == (2, refused)


@timeless
async def test_a_token_is_renewed_by_one_process_for_all(shop: Shop) -> None:
    """Before its end one process logs in, and the others read the new token when theirs is due."""
    pools = [shop.pool() for _ in range(4)]
    async with contextlib.AsyncExitStack() as entered:
        for pool in pools:
            await entered.enter_async_context(pool)
        await ask(*pools)
        while now() < 2 * 3600:
            await asyncio.sleep(5)
            await asyncio.gather(*(ask(pool) for pool in pools))
    assert shop.desk.logins == 3
    assert shop.desk.refused <= 2 * len(pools)
    assert shop.row()["generation"] == 3


@timeless
async def test_a_refused_token_is_dropped_for_all_and_no_other(shop: Shop) -> None:
    """The row loses the token that was refused, and no newer one."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        shop.desk.newest = "ended by the provider"
        shop.desk.fails = 10**6
        with pytest.raises(Unavailable):
            await ask(one)
        assert shop.row()["sealed"] == ""
        shop.desk.fails = 0
        await asyncio.sleep(1)
        await ask(one)
        kept = shop.row()
        await ask(two)  # its refusal is of the older one
    assert shop.row() == kept
    assert kept["generation"] == kept["given"]


@timeless
async def test_a_shared_token_ends_when_it_ends(shop: Shop) -> None:
    """A process that finds a token late uses it for the seconds that are left."""
    shop.desk.life = 600
    async with shop.pool() as one:
        await ask(one)
    await asyncio.sleep(300)
    async with shop.pool() as two:
        await ask(two)
        assert shop.desk.logins == 1
        await asyncio.sleep(250)  # of its last minute, nothing is used
        await ask(two)
        assert shop.desk.logins == 2
    await asyncio.sleep(595)
    async with shop.pool() as three:
        await ask(three)
    assert (shop.desk.logins, shop.desk.refused) == (3, 0)


@timeless
async def test_an_account_without_a_login_stores_nothing(shop: Shop) -> None:
    """CamPay's permanent token, and what a caller's function gives, are shared with no other."""
    assert CamPay(access_token="permanent").login_id() is None
    wire = Wire(lambda _: answer(reference="p1", status="SUCCESSFUL", amount=5, currency="XAF"))
    driver = CamPay(access_token="permanent")
    async with Pool(
        driver, connection=wire, journal=shop.journal, webhook_base=BASE, webhook_key=KEY
    ) as pool:
        await pool.verify("campay", "p1")
    assert shop.sql("SELECT * FROM tokens") == []


# What is not shared.


@timeless
async def test_without_a_key_each_process_logs_in(shop: Shop) -> None:
    """Nothing is stored that could be opened with the file alone."""
    async with shop.pool(key=None) as one, shop.pool(key=None) as two:
        await ask(one, two)
    assert shop.desk.logins == 2
    assert shop.sql("SELECT * FROM tokens") == []


@timeless
async def test_without_cryptography_each_process_logs_in(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The extra `shared` is missing: it works as before, and one record says what would help."""
    caplog.set_level("INFO", "paymux")
    for name in [one for one in sys.modules if one.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        one._engine.transport.tokens.drop("toy", "t1")
        await ask(one)
    assert shop.desk.logins == 3
    assert shop.sql("SELECT * FROM tokens") == []
    assert len([one for one in caplog.messages if "paymux[shared]" in one]) == 2, "once each pool"


@timeless
async def test_two_credentials_of_one_account_exchange_no_token(shop: Shop) -> None:
    """Two pools give the same name to different accounts: each uses its own tokens."""
    seen: dict[str, set[str]] = {"one": set(), "two": set()}

    def respond(outgoing: PreparedRequest) -> Response:
        body = (outgoing.body or b"").decode()
        if outgoing.url.endswith("/login"):
            return answer(token=f"token-of-{'one' if 'one' in body else 'two'}", expires_in=600)
        seen[outgoing.url[-3:]].add(outgoing.headers["Authorization"])
        return answer(status="WAIT")

    shop.desk = respond  # type: ignore[assignment]  # another provider
    one, two = (shop.pool(Toy(username=name)) for name in seen)
    async with one, two:
        for _ in range(5):
            await asyncio.gather(one.verify("toy", "one"), two.verify("toy", "two"))
            await asyncio.sleep(400)
    assert seen == {name: {f"Bearer token-of-{name}"} for name in seen}


def test_a_login_is_told_by_what_it_sends() -> None:
    """Another field than those of the login makes no other login; another host does."""
    fields: dict[str, Any] = {"shortcode": "174379", "passkey": "x"}
    login: dict[str, Any] = {"consumer_key": "k", "consumer_secret": "s"}
    first = Mpesa(**login, **fields)
    rotated = Mpesa(**login, **fields, initiator_name="api", security_credential="new")
    assert first.login_id() == rotated.login_id()
    assert first.login_id() != Mpesa(**{**login, "consumer_key": "s"}, **fields).login_id()
    assert first.login_id() != Mpesa(**login, **fields, live=True).login_id()
    assert Toy().login_id() != Toy(username="other").login_id()


@timeless
async def test_a_driver_that_is_replaced_shares_its_own_login_only(shop: Shop) -> None:
    """With another credential it logs in anew; with the same one, it uses the token that is there.

    Another process that got the new credential later has the token of the new login.
    """
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        await one.replace(Toy(repeatable=True))
        await ask(one)
        assert shop.desk.logins == 1
        for pool in (one, two):
            await pool.replace(Toy(password="rotated"))
            await ask(pool)
        assert (shop.desk.logins, shop.desk.refused) == (2, 0)
    assert len(shop.sql("SELECT * FROM tokens")) == 2


# Sealed.


PURPOSE = b"a test"


def test_sealed_text_is_for_one_purpose_and_one_thing() -> None:
    """What was sealed opens with each of the keys, and only for the same thing and purpose."""
    sealed = Sealer((Secret(KEY),), PURPOSE).seal("token", b"this")
    keys = (Secret(OTHER_KEY), Secret(KEY))
    assert Sealer(keys, PURPOSE).open(sealed, b"this") == "token"
    assert Sealer(keys, PURPOSE).open(sealed, b"that") is None
    assert Sealer(keys, b"another").open(sealed, b"this") is None
    assert Sealer(keys[:1], PURPOSE).open(sealed, b"this") is None
    assert Sealer(keys[1:], PURPOSE).seal("token", b"this") != sealed, "a nonce of its own"


@given(st.text(max_size=200))
def test_any_text_that_was_not_sealed_opens_nothing(text: str) -> None:
    """Whatever is in the place of a sealed text, it is None and no error."""
    assert SEALER.open(text, b"") is None


SEALER = Sealer((Secret(KEY),), PURPOSE)


@timeless
async def test_a_long_token_is_nowhere_in_the_file(file: Path) -> None:
    """A token is in no form in the files of the journal, also not while it is renewed."""
    shop = Shop(str(file))
    token = "canary-token-of-the-provider-0123456789"
    said = answer(token=token, id="p1", status="OK", expires_in=600)
    shop.desk = lambda _: said  # type: ignore[assignment]  # another provider
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        await asyncio.sleep(590)
        await ask(one, two)
        held = b"".join(one.read_bytes() for one in file.parent.iterdir())
        assert shop.row()["generation"] == 2
    for form in (token.encode(), token.encode().hex().encode(), b"canary"):
        assert form not in held


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tokens SET sealed = 'AAAA'",
        "UPDATE tokens SET sealed = 'no base 64: é'",
        "UPDATE tokens SET sealed = substr(sealed, 1, 20)",
        "UPDATE tokens SET sealed = substr(sealed, 1, 30) || 'AAAA' || substr(sealed, 35)",
        "UPDATE tokens SET generation = generation + 1, given = given + 1",
        "UPDATE tokens SET account = 'toy', login = login, sealed = sealed || 'A'",
    ],
)
@timeless
async def test_a_damaged_token_counts_as_absent(
    shop: Shop, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that cannot be opened, or was moved to another generation, is replaced, and told."""
    async with shop.pool() as one:
        await ask(one)
    shop.sql(damage)
    caplog.clear()
    before = shop.row()["generation"]
    async with shop.pool() as two, shop.pool() as three:
        await ask(two, three)
    assert (shop.desk.logins, shop.desk.refused) == (2, 0)
    assert shop.row()["generation"] > before
    assert ["cannot be opened" in one for one in caplog.messages] == [True]


@timeless
async def test_a_token_of_another_account_is_not_taken(shop: Shop) -> None:
    """A sealed token that is copied to another account's row opens nothing there."""
    async with shop.pool() as one:
        await ask(one)
    shop.sql("UPDATE tokens SET account = 'kenya'")
    async with shop.pool(Toy(account="kenya")) as two:
        await two.verify("kenya", "p1")
    assert shop.desk.logins == 2


@timeless
async def test_a_changed_key_reads_the_tokens_of_the_old_one(shop: Shop) -> None:
    """Old key, both, new key: no login is needed until the old one is gone."""
    async with shop.pool(key=OTHER_KEY) as one, shop.pool(key=[OTHER_KEY, KEY]) as two:
        await ask(one, two)
        async with shop.pool(key=(KEY, OTHER_KEY)) as three:
            await ask(three)
        assert shop.desk.logins == 1
        async with shop.pool(key=KEY) as four:
            await ask(four)
        assert shop.desk.logins == 2, "sealed under a key that is gone: absent"
        await ask(two)
        assert shop.desk.logins == 2
        await ask(one)
        assert shop.desk.logins == 3, "and this process has no key for that one"


# Who logs in.


@timeless
async def test_a_failed_login_gives_its_right_back(shop: Shop) -> None:
    """The next process may log in at once."""
    shop.desk.fails = 1
    async with shop.pool(attempts=1) as one, shop.pool() as two:
        with pytest.raises(Unavailable):
            await ask(one)
        began = now()
        await ask(two)
        assert now() - began < 1.5
    assert (shop.row()["generation"], shop.row()["asker"]) == (2, "")


@timeless
async def test_a_pool_that_is_closed_in_a_login_gives_its_right_back(shop: Shop) -> None:
    """Closing cancels the login; another process does not wait for it."""
    one = shop.pool()
    async with one, shop.pool() as two:
        first = asyncio.create_task(ask(one))
        await asyncio.sleep(0.5)
        await one.aclose()
        with pytest.raises(UsageError):
            await first
        began = now()
        await ask(two)
        assert now() - began < 1.5


@timeless
async def test_a_dead_worker_has_no_right(shop: Shop) -> None:
    """A worker that died in its login is not waited for."""
    async with shop.pool() as one:
        await ask(one)
        shop.sql("UPDATE tokens SET sealed = '', asker = 'dead', asked = expires, given = 7")
        async with shop.pool() as two:
            began = now()
            await ask(two)
            assert now() - began < 1.5
    assert shop.row()["generation"] == 8


@pytest.mark.parametrize("shift", [0.0, -3600.0, 3600.0])
@timeless
async def test_the_right_of_a_living_worker_lapses(shop: Shop, shift: float) -> None:
    """A worker that is paused in its login is waited for, but not for ever, whatever the clock."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one)
        alive = one._engine.store.journal._worker.name  # type: ignore[union-attr]
        asked = shop.row()["expires"] - 3599 + shift
        shop.sql("UPDATE tokens SET sealed = '', asker = ?, asked = ?, given = 2", alive, asked)
        began = now()
        await ask(two)
        waited = now() - began
    assert waited < RIGHT_SECONDS + 2
    assert (waited > RIGHT_SECONDS - 2) == (not shift)
    assert shop.row()["generation"] == 3


@timeless
async def test_a_late_login_replaces_no_newer_token(shop: Shop) -> None:
    """A process that was paused in its login uses the token that has come meanwhile."""
    gate = shop.desk.gate = asyncio.Event()
    async with shop.pool() as one, shop.pool() as two, shop.pool() as three:
        paused = asyncio.create_task(ask(one))
        await asyncio.sleep(0.5)
        await ask(two)
        newest = shop.row()
        assert newest["generation"] == 2
        gate.set()
        await paused
        await ask(three)
        assert shop.row() == newest
    assert (shop.desk.logins, shop.desk.refused) == (2, 0)


@timeless
async def test_a_login_that_reaches_the_provider_late_costs_one_more(shop: Shop) -> None:
    """A paused process's login may end the token of its successor: all recover without an error."""
    gate = shop.desk.gate = asyncio.Event()
    async with shop.pool() as one, shop.pool() as two, shop.pool() as three:
        paused = asyncio.create_task(ask(one))
        await asyncio.sleep(0.5)
        await ask(two, three)
        shop.desk.newest = "t1"  # as if the provider had seen the paused one last
        gate.set()
        await asyncio.gather(paused, ask(two), ask(three), ask(two))
        await ask(one, two, three)
    assert shop.desk.logins == 3
    assert shop.row()["generation"] == 3


@timeless
async def test_waiting_for_another_login_ends_at_the_deadline(shop: Shop) -> None:
    """A caller waits for another process's login no longer than its own deadline."""
    shop.desk.seconds = 8.0
    async with shop.pool() as one, shop.pool() as two:
        first = asyncio.create_task(ask(one))
        await asyncio.sleep(0.5)
        with pytest.raises(Unavailable):
            await two.verify("toy", "p1", deadline=2)
        assert 2 <= now() - 0.5 < 2.2
        await first
        await ask(two)
    assert shop.desk.logins == 1


@timeless
async def test_a_credential_that_is_refused_costs_few_logins(shop: Shop) -> None:
    """If each token is refused, a verb ends with the error after one login, as before."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one)
        shop.desk.refuses_all = True
        for pool in (one, two, one, two):
            before = shop.desk.logins
            with pytest.raises(AuthenticationFailed):
                await ask(pool)
            assert shop.desk.logins - before <= 1


@pytest.mark.parametrize("seed", range(4))
@timeless
async def test_in_any_order_of_events_nothing_fails_and_no_token_goes_back(
    file: Path, seed: int
) -> None:
    """Revocations, and logins that are slow, paused beyond their right, or late at the provider.

    No look-up fails, and the journal's generation never falls, nor has it two tokens.
    """
    shop, dice = Shop(str(file)), random.Random(seed)
    seen, events = {0: ""}, set()

    async def disturb() -> None:
        while True:
            await asyncio.sleep(dice.uniform(20, 60))
            gate = asyncio.Event()
            if dice.random() < 0.7:
                shop.desk.gate = gate
            shop.desk.newest = "ended by the provider"
            try:
                await asyncio.sleep(dice.choice([2.0, 6.0, 12.0, 18.0, 30.0]))
                if shop.desk.gate is None and dice.random() < 0.5:
                    shop.desk.newest = shop.desk.paused  # it reached the provider only now
            finally:
                gate.set()

    async with contextlib.AsyncExitStack() as entered:
        pools = [await entered.enter_async_context(shop.pool(deadline=60)) for _ in range(4)]
        disturbing = asyncio.create_task(disturb())
        while now() < 600:
            chosen = [dice.choice(pools) for _ in range(dice.randrange(8))]
            events |= {asyncio.create_task(ask(pool)) for pool in chosen}
            await asyncio.sleep(dice.choice([0.1, 1.0, 5.0]))
            shop.desk.seconds = dice.choice([0.1, 1.0, 4.0])
            if shop.desk.logins:
                row = shop.row()
                assert row["generation"] >= max(seen)
                if row["sealed"]:
                    assert seen.setdefault(row["generation"], row["sealed"]) == row["sealed"]
        disturbing.cancel()
        shop.desk.gate = None
        await asyncio.gather(*events)
        assert shop.row()["given"] == shop.desk.logins


# The journal is away.


@contextlib.contextmanager
def away(*pools: Pool) -> Iterator[None]:
    """Let no operation reach the journal."""
    writers: list[Any] = [pool._engine.store.journal._writer for pool in pools]  # type: ignore[union-attr]
    commits = [writer.runner._round for writer in writers]

    def fail(works: list[Any]) -> list[Any]:
        raise OSError("the disk is gone")

    for writer in writers:
        writer.runner._round = fail
    try:
        yield
    finally:
        for writer, commit in zip(writers, commits, strict=True):
            writer.runner._round = commit


@timeless
async def test_without_the_journal_a_process_logs_in_and_offers_it_later(shop: Shop) -> None:
    """The token that is held is used; then comes an own login, which the others get afterwards."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one)
        with away(one):
            await ask(one)
            assert shop.desk.logins == 1
            shop.desk.newest = "ended by the provider"
            await ask(one)
            assert shop.desk.logins == 2
            assert shop.row()["generation"] == 1
        while shop.row()["generation"] == 1:
            await asyncio.sleep(0.5)
        await ask(two)
        assert (shop.desk.logins, shop.row()["generation"]) == (2, 2)
        shop.desk.newest = "ended by the provider"
        await ask(two, one)
    assert (shop.desk.logins, shop.row()["generation"]) == (3, 3)


@timeless
async def test_a_shared_token_is_read_while_the_file_is_locked(file: Path) -> None:
    """Another program writes for long: a caller that needs a token reads the one that is there."""
    shop = Shop(str(file))
    async with shop.pool() as one, shop.pool() as two:
        await ask(one)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            await ask(two)
    assert shop.desk.logins == 1


@timeless
async def test_a_token_from_without_the_journal_replaces_no_newer_one(shop: Shop) -> None:
    """What another process got since then is newer, and stays; so does what it gets now."""
    async with shop.pool() as one, shop.pool() as two, shop.pool() as three:
        await ask(one, two)
        with away(one):
            shop.desk.newest = "ended by the provider"
            await ask(one)
            shop.desk.newest = "ended by the provider"
            await ask(two)
            newest = shop.row()
        await asyncio.sleep(10)
        assert shop.row() == newest
        await ask(three, one, two)
    assert (shop.desk.logins, shop.row()["generation"]) == (3, 2)


@timeless
async def test_a_token_is_stored_later_if_the_journal_goes_away_in_a_login(shop: Shop) -> None:
    """A permitted login whose token cannot be stored now is used, and offered when it can."""
    async with shop.pool() as one, shop.pool() as two:
        first = asyncio.create_task(ask(one))
        await asyncio.sleep(0.5)
        with away(one):
            await first
        while shop.row()["generation"] == 0:
            await asyncio.sleep(0.5)
        await ask(two)
    assert (shop.desk.logins, shop.desk.refused) == (1, 0)


@timeless
async def test_a_journal_without_its_history_gets_higher_generations(shop: Shop) -> None:
    """A row that is older than what a process has seen (a restored file) does not stop it."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one)
        for _ in range(3):
            shop.desk.newest = "ended"
            await ask(one)
        assert shop.row()["generation"] == 4
        shop.sql("UPDATE tokens SET generation = 1, given = 1, sealed = ''")
        shop.desk.newest = "ended"
        await ask(one, two)
    assert shop.row()["generation"] == 5
    assert shop.desk.logins == 5


# Money.


async def collect(pool: Pool, reference: str) -> Payment:
    """Send an order."""
    return await pool.collect("toy", amount=500, currency="XAF", reference=reference)


@timeless
async def test_an_order_is_signed_again_only_if_the_refusal_is_listed(shop: Shop) -> None:
    """Listed, a stale token proves that nothing happened; in other words the order is unknown."""
    async with shop.pool() as one, shop.pool() as two:
        await ask(one, two)
        shop.desk.newest = "ended"
        await collect(one, "order-1")
        await collect(two, "order-2")
        assert len(shop.desk.orders) == 2
        shop.desk.newest, shop.desk.refusal = "ended", ODD
        with pytest.raises(OutcomeUnknown):
            await collect(one, "order-3")
        with pytest.raises(OutcomeUnknown):
            await collect(two, "order-4")
        await collect(two, "order-5")
        await collect(one, "order-6")
    assert len(shop.desk.orders) == 4
    assert shop.desk.logins == 3


@pytest.mark.parametrize("words", ["401.002.01", "404.001.03"])
@timeless
async def test_mpesas_refusal_of_an_ended_token_is_listed(shop: Shop, words: Any) -> None:
    """Both forms of M-Pesa's refusal are sent again with the newest token: no push is unknown."""
    async with Simulator() as sim:
        sim.mpesa.tokens.newest_only = True
        sim.mpesa.bad_token = words
        made = [
            Pool(
                sim.driver("mpesa"),
                connection=sim.connection,
                webhook_base="https://shop.example/pay",
                webhook_key=KEY,
                journal=shop.journal,
            )
            for _ in range(3)
        ]
        async with made[0], made[1], made[2]:
            for number in range(12):
                if number % 4 == 3:
                    sim.mpesa.tokens.revoke()
                payer = f"25470837414{number % 10}"
                await made[number % 3].collect(
                    "mpesa", amount=5, currency="KES", payer=payer, reference=f"order-{number}"
                )
        assert len(sim.ledger.entries()) == 12
    assert shop.row()["generation"] == 4


# Processes.


@pytest.mark.slow
async def test_processes_at_a_provider_that_honours_only_its_newest_token(shop: Shop) -> None:
    """A slice of `benchmarks/bench_shared_tokens.py`: a pause, a revocation and a kill in a login.

    No order fails, each generation is one login, and no token can be read in the file.
    """
    plan = Plan(
        workers=4,
        seconds=9,
        life=8,
        deadline=12,
        events=[
            Event(at=1.5, what="pause", point="after", seconds=5.0),
            Event(at=7.5, what="kill", point="before"),
        ],
    )
    found = await Campaign(plan, shop.journal).run()
    assert found.kept, found
    assert (found.killed, found.orders > 20, found.logins > 2) == (1, True, True), found
