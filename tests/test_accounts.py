"""Accounts while running: added, and given other credentials, while orders are open."""

import asyncio
import contextlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from paymux import (
    CinetPay,
    Event,
    Mpesa,
    Notifier,
    Payment,
    Pool,
    ProviderError,
    Status,
    UsageError,
)
from paymux.drivers.base import Driver
from paymux.errors import CredentialRefused
from paymux.http import PreparedRequest, Request, Response, get
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .notify.world import Desk as Ends
from .notify.world import Shop, dead, file, order
from .notify.world import pool as with_journal
from .test_credentials import STOP, Initiated
from .toys import BASE, KEY, Findable, Keyless, Said, Toy, Wire, answer, now, push, run, timeless

__all__ = ["file"]

START_DAY, END_DAY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


class Bank:
    """A provider whose tokens say by which password they were had; a test revokes passwords."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.logins: list[str] = []
        self.seconds = seconds
        self.revoked: set[str] = set()
        self.status = "WAIT"
        self.seen: list[tuple[str, str]] = []  # each request's path, and its token
        self.orders = defaultdict[str, list[tuple[str, str]]](list)  # the same of each order
        self.taken = Counter[str]()  # the orders that were not refused

    async def __call__(self, outgoing: PreparedRequest) -> Response:
        path = outgoing.url.partition(".example")[2]
        if path == "/login":
            password = json.loads(outgoing.body or b"")["password"]
            self.logins.append(password)
            await asyncio.sleep(self.seconds)
            if password in self.revoked:
                return answer(401, error="stale")
            return answer(token=f"{password}.{len(self.logins)}", expires_in=3600)
        token = outgoing.headers["Authorization"].split()[1]
        self.seen.append((path, token))
        name = json.loads(outgoing.body or b"{}").get("reference")
        if name is not None:
            self.orders[name].append((path, token))
        await asyncio.sleep(self.seconds)
        if token.rpartition(".")[0] in self.revoked:
            return answer(401, error="stale")
        if name is None:
            return answer(id="p1", status=self.status)
        self.taken[name] += 1
        return answer(id="p1", status="WAIT", reference=name)

    def passwords(self, path: str = "") -> list[str]:
        """List the passwords by whose tokens requests were signed."""
        return [token.rpartition(".")[0] for at, token in self.seen if at.startswith(path)]


def _made(kind: Any, **fields: Any) -> Any:
    """Make a driver of a real provider, with any credentials."""
    secrets = {name: "simulator" for name in kind.required if name not in fields}
    return kind(**secrets, **fields, live=True)


async def _collect(pay: Pool, reference: str = "order-1", account: str = "toy") -> Payment:
    return await pay.collect(account, amount=500, currency="XAF", reference=reference)


def _pool(bank: Bank, *drivers: Driver, **more: Any) -> Pool:
    return Pool(*(drivers or (Toy(password="one"),)), connection=Wire(bank), **more)


@timeless
async def test_an_added_account_is_known_to_every_verb() -> None:
    """Before `add` its name is UsageError; after it each verb works, and `drivers` has it."""
    bank = Bank()
    async with _pool(bank) as pay:
        before = pay.drivers
        with pytest.raises(UsageError, match="account"):
            await _collect(pay, account="shop-2")
        await pay.add(Toy(account="shop-2", password="two"))
        payment = await _collect(pay, account="shop-2")
        assert (await pay.verify(payment)).status is Status.PENDING
        assert (await pay.verify_many([payment]))[0].payment is not None
        assert [one async for one in pay.history("shop-2", since=START_DAY, until=END_DAY)]
        assert pay.lag("shop-2") == 0.0
        assert pay.limits("shop-2").waiting == 0
        bank.status = "OK"
        assert (await pay.watch(payment)).status is Status.SUCCEEDED
        assert (sorted(pay.drivers), sorted(before)) == (["shop-2", "toy"], ["toy"])
        assert set(bank.passwords()) == {"two"}


@timeless
async def test_a_name_is_added_once() -> None:
    """Of two that add one name at once, one gets UsageError, and the other's driver stays."""
    async with _pool(Bank()) as pay:
        adding = [pay.add(Toy(account="b", password=word)) for word in ("x", "y")]
        done = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(one) for one in done] == [type(None), UsageError]
        assert "replace" in str(done[1])
        assert pay.drivers["b"].secrets()[0] == "x"
        with pytest.raises(UsageError, match="account"):
            await pay.add(Toy(password="two"))


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        (None, "driver"),
        ("toy", "driver"),
        (Toy, "driver"),
        (Toy(account="other"), "account"),
        (Keyless(account="toy"), "driver"),
        (Toy(live=True), "live"),
        (Toy(base_url="https://elsewhere.example"), "base_url"),
    ],
)
@timeless
async def test_what_cannot_replace_an_accounts_driver(driver: Any, name: str) -> None:
    """An unknown account, another provider, live for sandbox, another URL: nothing is changed."""
    bank = Bank()
    async with _pool(bank) as pay:
        held = pay.drivers
        with pytest.raises(UsageError) as caught:
            await pay.replace(driver)
        assert caught.value.name == name
        assert pay.drivers is held
        await _collect(pay)
        assert bank.passwords() == ["one"]


@pytest.mark.parametrize(
    ("driver", "other", "name"),
    [
        (_made(Mpesa, shortcode="174379"), _made(Mpesa, shortcode="600000"), "shortcode"),
        (
            _made(Mpesa, shortcode="174379"),
            _made(Mpesa, shortcode="174379", till="555555"),
            "till",
        ),
        (_made(CinetPay, site_id="1"), _made(CinetPay, site_id="2"), "site_id"),
    ],
)
@timeless
async def test_another_merchant_is_another_account(
    driver: Driver, other: Driver, name: str
) -> None:
    """A driver that names another merchant is refused: open orders would be asked for elsewhere."""
    async with Pool(driver) as pay:
        with pytest.raises(UsageError, match="as before") as caught:
            await pay.replace(other)
        assert caught.value.name == name


@timeless
async def test_a_closed_pool_changes_no_account() -> None:
    """`add` and `replace` on a closed pool are UsageError, and work once it is entered again."""
    bank = Bank()
    pay = _pool(bank)
    async with pay:
        pass
    for change in (pay.add(Toy(account="b")), pay.replace(Toy(password="two"))):
        with pytest.raises(UsageError, match="closed"):
            await change
    async with pay:
        await pay.add(Toy(account="b", password="two"))
        await _collect(pay, account="b")


@timeless
async def test_a_live_account_needs_callback_urls_of_https() -> None:
    """A pool of sandboxes may have an http base; a live account cannot be added to it."""
    async with _pool(Bank(), webhook_base="http://shop.test/pay", webhook_key=KEY) as pay:
        await pay.add(Toy(account="b"))
        with pytest.raises(UsageError) as caught:
            await pay.add(Toy(account="c", live=True))
        assert caught.value.name == "webhook_base"
        assert "c" not in pay.drivers


@timeless
async def test_a_request_in_flight_ends_with_the_driver_before() -> None:
    """An order on the wire ends with the old credentials; the next one is signed by the new."""
    bank = Bank(seconds=1.0)
    async with _pool(bank) as pay:
        first = asyncio.create_task(_collect(pay))
        await asyncio.sleep(1.5)
        assert bank.passwords() == ["one"]
        await pay.replace(Toy(password="two"))
        await _collect(pay, "order-2")
        assert (await first).status is Status.PENDING
        assert bank.passwords() == ["one", "two"]
        assert bank.logins == ["one", "two"]


@timeless
async def test_a_login_on_the_wire_is_of_the_driver_before() -> None:
    """Who waits for it sends by it; its late token never signs a request of the new driver."""
    bank = Bank(seconds=1.0)
    async with _pool(bank) as pay:
        first = asyncio.create_task(_collect(pay))
        await asyncio.sleep(0.5)
        await pay.replace(Toy(password="two"))
        second = asyncio.create_task(_collect(pay, "order-2"))
        await asyncio.gather(first, second)
        for number in range(3, 6):
            await _collect(pay, f"order-{number}")
        assert bank.passwords() == ["one", *["two"] * 4]
        assert bank.logins == ["one", "two"]


@timeless
async def test_an_old_verb_that_logs_in_again_leaves_the_new_token() -> None:
    """A verb of the old driver whose token went stale renews its own, and no other."""
    bank = Bank(seconds=1.0)
    async with _pool(bank) as pay:
        payment = await _collect(pay)
        bank.revoked.add("one")
        looking = asyncio.create_task(pay.verify(payment))
        await asyncio.sleep(0.5)
        await pay.replace(Toy(password="two"))
        await _collect(pay, "order-2")
        await looking
        await pay.verify(payment)
        # The look-up's token is stale, and so is the password: it is asked anew by the new driver.
        assert sorted(bank.logins) == ["one", "one", "two"]
        assert bank.passwords("/payments")[-1] == "two"


@pytest.mark.parametrize(
    "driver", [Toy(password="one"), Toy(password="one", repeatable=True)], ids=["equal", "switch"]
)
@timeless
async def test_the_same_credentials_keep_the_token(driver: Driver) -> None:
    """A driver that signs alike costs no login."""
    bank = Bank()
    async with _pool(bank) as pay:
        await _collect(pay)
        await pay.replace(driver)
        await _collect(pay, "order-2")
        assert bank.logins == ["one"]


@timeless
async def test_another_user_name_logs_in_anew() -> None:
    """A credential is more than a secret: with another user, the token is dropped."""
    bank = Bank()
    async with _pool(bank) as pay:
        await _collect(pay)
        await pay.replace(Toy(username="other", password="one"))
        await _collect(pay, "order-2")
        assert bank.logins == ["one", "one"]


@timeless
async def test_closing_ends_the_login_of_a_replaced_driver() -> None:
    """A pool that closes cancels each login, and who waits for one gets UsageError."""
    bank = Bank(seconds=5.0)
    pay = _pool(bank)
    async with pay:
        first = asyncio.create_task(_collect(pay))
        await asyncio.sleep(1)
        await pay.replace(Toy(password="two"))
        second = asyncio.create_task(_collect(pay, "order-2"))
        await asyncio.sleep(1)
    done = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in done] == [UsageError, UsageError]
    assert bank.passwords() == []


@timeless
async def test_a_look_up_that_the_old_key_lost_is_asked_by_the_new_one() -> None:
    """A key is revoked, then replaced: a look-up on the wire is repeated, and does not fail."""
    bank = Bank(seconds=1.0)
    async with _pool(bank) as pay:
        payment = await _collect(pay)
        bank.revoked.add("one")
        bank.status = "OK"
        looking = asyncio.create_task(pay.verify(payment))
        watching = asyncio.create_task(_end(pay.watch(payment)))
        await asyncio.sleep(1.5)
        await pay.replace(Toy(password="two"))
        assert (await looking).status is Status.SUCCEEDED
        assert (await watching).status is Status.SUCCEEDED


@timeless
async def test_a_new_look_up_shares_no_request_of_the_old_driver() -> None:
    """Two look-ups of one payment share a request only if one driver signs both."""
    bank = Bank(seconds=1.0)
    async with _pool(bank) as pay:
        payment = await _collect(pay)
        event = Event(account="toy", claims=payment)
        first = asyncio.create_task(pay.confirm(event, expected=payment))
        await asyncio.sleep(0.5)
        await pay.replace(Toy(password="two"))
        await asyncio.gather(first, pay.confirm(event, expected=payment))
        assert bank.passwords("/payments") == ["one", "two"]


@timeless
async def test_an_open_watch_goes_on_with_the_new_driver() -> None:
    """No watch ends: from the replacement on, its look-ups are signed by the new credentials."""
    bank = Bank()
    async with _pool(bank) as pay:
        payment = await _collect(pay)
        watch = pay.watch(payment, timeout=None)
        assert (await anext(watch)).status is Status.PENDING
        ended = asyncio.create_task(_end(watch))
        await asyncio.sleep(10)
        assert set(bank.passwords("/payments")) == {"one"}
        bank.revoked.add("one")
        await pay.replace(Toy(password="two"))
        bank.seen.clear()
        await asyncio.sleep(30)
        assert set(bank.passwords("/payments")) == {"two"}
        bank.status = "OK"
        assert (await ended).status is Status.SUCCEEDED


class Secretive(Findable, frozen=True, kw_only=True):
    """A toy that can ask by our reference only with a key of its own."""

    name = "secretive"
    key: str = ""
    token = Driver.token

    def asks(self, payment: Payment) -> Any:
        return super().asks(payment) if self.key else None

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        return request


@timeless
async def test_a_watch_asks_as_soon_as_its_account_can() -> None:
    """A watch that waited for a message looks up once the new driver can ask."""
    wire = Wire(lambda _: answer(id="p1", status="OK", reference="order-1"))
    async with Pool(Secretive(account="a"), connection=wire) as pay:
        payment = order(account="a", provider="secretive", provider_reference=None)
        ended = asyncio.create_task(_end(pay.watch(payment, timeout=1000)))
        await asyncio.sleep(100)
        assert wire.seen == []
        await pay.replace(Secretive(account="a", key="k"))
        assert (await ended).status is Status.SUCCEEDED
        assert now() < 110


async def _end(watch: Any) -> Payment:
    found: Payment = await watch
    return found


class Pushing(Toy, frozen=True, kw_only=True):
    """A toy with a socket for updates."""

    name = "pushing"

    def updates_request(self) -> Request[Said]:
        return get("/updates", Said)

    def update(self, frame: str | bytes) -> Event | None:
        return None


class Feed(Wire):
    """A wire whose sockets stay open; each is known by the token that opened it."""

    def __init__(self, bank: Bank) -> None:
        super().__init__(bank)
        self.open: list[str] = []

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        token = outgoing.headers["Authorization"]
        self.open.append(token)
        try:
            await asyncio.sleep(10**6)
            yield ""
        finally:
            self.open.remove(token)


@timeless
async def test_the_socket_of_an_account_is_opened_by_the_new_driver() -> None:
    """An account's updates come over a socket of the new credentials, and the old one closes."""
    wire = Feed(Bank())
    async with Pool(Pushing(account="toy", password="one"), connection=wire) as pay:
        payment = await _collect(pay)
        watch = pay.watch(payment, timeout=10**5)
        await anext(watch)
        await asyncio.sleep(1)
        assert [one.split()[1].partition(".")[0] for one in wire.open] == ["one"]
        await pay.replace(Pushing(account="toy", password="two"))
        await asyncio.sleep(1)
        assert [one.split()[1].partition(".")[0] for one in wire.open] == ["two"]
        await watch.aclose()
        await asyncio.sleep(1)
        assert wire.open == []


@timeless
async def test_no_former_credential_is_shown() -> None:
    """What echoes the old password or token after the replacement is cleaned of it."""
    bank, former = Bank(), "a-former-password"
    async with _pool(bank, Toy(password=former)) as pay:
        payment = await _collect(pay)
        token = bank.seen[-1][1]
        await pay.replace(Toy(password="another-password"))
        for echoed in (former, token):
            bank.status = f"it was {echoed}"
            assert former not in repr(await pay.verify(payment))
            event = pay.webhook(push(id="p1", status=f"it was {echoed}"), account="toy")
            assert former not in repr(event)


@timeless
async def test_a_refused_credential_says_nothing_of_the_new_one(file: Path) -> None:
    """After a refusal none of its requests leaves; with another they do; the old stays refused."""
    good = "pass-2"

    def desk(outgoing: PreparedRequest) -> Response:
        body = json.loads(outgoing.body or b"{}")
        if outgoing.url.endswith("/balance"):
            return answer(id="p1", status="OK")
        right = body["secret"] == Initiated(secret=good).credential_id("initiator")
        return (
            answer(reference=body["reference"], id="p1", status="WAIT")
            if right
            else answer(500, error=STOP)
        )

    async def pay_out(pay: Pool, reference: str) -> None:
        await pay.payout(
            "initiated", amount=500, currency="XAF", payee="237677777777", reference=reference
        )

    wire = Wire(desk)
    async with Pool(Initiated(role=False), connection=wire, journal=file) as pay:
        for _ in range(2):
            with pytest.raises(CredentialRefused):
                await pay_out(pay, "wage-1")
        assert len(wire.paths()) == 1
        await pay.replace(Initiated(role=False, secret=good))
        await pay_out(pay, "wage-1")
        await pay.replace(Initiated(role=False))
        with pytest.raises(CredentialRefused):
            await pay_out(pay, "wage-2")
        assert len(wire.paths()) == 2


@timeless
async def test_a_notifier_takes_on_an_added_accounts_orders(file: Path) -> None:
    """Orders that the journal had of it are watched at once, and those sent from now on."""
    desk, shop = Ends(), Shop()
    await dead(file, order("old", account="b"))
    async with with_journal(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(60)
        assert desk.looks == []
        await pay.add(Keyless(account="b"))
        await asyncio.sleep(1)
        assert desk.count("old") == 1
        await _collect(pay, "new", "b")
        desk.status["old"] = desk.status["new"] = "OK"
        await asyncio.sleep(100)
        assert sorted(shop.told) == [("new", Status.SUCCEEDED), ("old", Status.SUCCEEDED)]


@timeless
async def test_an_added_account_with_a_limit_gets_its_share(file: Path) -> None:
    """Where a provider states a limit, the notifier looks up within its share, from `add` on."""
    desk, shop = Ends(), Shop()
    await dead(file, order("old", account="b", provider="narrow"))
    async with with_journal(file, desk) as pay, Notifier(pay, shop):
        await pay.add(Narrower(account="b"))
        await asyncio.sleep(30)
        desk.status["old"] = "OK"
        await asyncio.sleep(100)
        assert shop.told == [("old", Status.SUCCEEDED)]


class Narrower(Keyless, frozen=True, kw_only=True):
    """A toy that accepts twenty look-ups in ten seconds."""

    name = "narrower"
    limits = {"look-up": (20, 10.0)}  # noqa: RUF012 - a ClassVar of the base


class Strict(Keyless, frozen=True, kw_only=True):
    """A toy that refuses every look-up signed by the password "old"."""

    name = "strict"

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        return request.with_headers({"Key": self.secrets()[0]})


@timeless
async def test_a_notifier_tries_new_credentials_at_once(file: Path) -> None:
    """Its look-ups pause while the credentials are refused; with new ones they go on at once."""
    shop = Shop()

    def desk(outgoing: PreparedRequest) -> Response:
        if outgoing.headers["Key"] == "old":
            return answer(401, error="stale")
        return answer(id="id-order-1", status="OK")

    await dead(file, order(account="toy", provider="strict"))
    wire = Wire(desk)
    strict = Strict(account="toy", password="old")
    async with Pool(strict, connection=wire, journal=file) as pay, Notifier(pay, shop):
        await asyncio.sleep(120)
        asked = len(wire.seen)
        await asyncio.sleep(60)
        assert len(wire.seen) == asked > 0
        await pay.replace(Strict(account="toy", password="new"))
        await asyncio.sleep(5)
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_refusal_of_the_old_key_pauses_no_new_one(file: Path) -> None:
    """A look-up of the old driver that is refused after the replacement pauses nothing."""
    shop = Shop()

    async def desk(outgoing: PreparedRequest) -> Response:
        if outgoing.headers["Key"] == "old":
            await asyncio.sleep(20)
            return answer(401, error="stale")
        return answer(id="id-order-1", status="WAIT" if now() < 60 else "OK")

    await dead(file, order(account="toy", provider="strict"))
    strict = Strict(account="toy", password="old")
    async with Pool(strict, connection=Wire(desk), journal=file) as pay, Notifier(pay, shop):
        await asyncio.sleep(10)
        await pay.replace(Strict(account="toy", password="new"))
        await asyncio.sleep(200)
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_adopting_needs_a_journal_also_when_it_is_switched_on_later(file: Path) -> None:
    """With an entered notifier, an account that adopts is refused without a journal."""
    plain, adopting = (_made(Mpesa, shortcode="174379", adopt_c2b=word) for word in (False, True))
    async with Pool(plain) as pay, Notifier(pay, Shop()):
        with pytest.raises(UsageError) as caught:
            await pay.replace(adopting)
        assert caught.value.name == "journal"
        assert not pay.drivers["mpesa"].adopting
    async with Simulator() as sim:
        one, other = sim.driver("mpesa"), sim.driver("mpesa", adopt_c2b=True)
        connection = sim.connection
        async with (
            Pool(one, connection=connection, journal=file) as pay,
            Notifier(pay, Shop()) as notifier,
        ):
            assert notifier._sweeper._tasks == {}
            await pay.replace(other)
            assert list(notifier._sweeper._tasks) == ["mpesa"]
            assert notifier._adopter.accounts == ("mpesa",)
            await pay.replace(one)
            assert notifier._sweeper._tasks == {}


@timeless
async def test_a_message_of_an_added_account_is_heard() -> None:
    """`Webhooks` knows its callback URL at once, and tells its orders' ends."""
    bank, shop = Bank(), Shop()
    async with _pool(bank, webhook_base=BASE, webhook_key=KEY) as pay, Webhooks(pay, shop) as hooks:
        await pay.add(Toy(account="b", password="two"))
        await _collect(pay, account="b")
        bank.status = "OK"
        path = pay.webhook_url("b", "order-1").removeprefix("https://shop.example")
        reply = await hooks.answer(push(id="p1", status="OK", path=path))
        assert reply.status == 200
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_loop_over_the_accounts_survives_an_addition() -> None:
    """`for account in pay.drivers` with an await inside goes on as it began."""
    async with _pool(Bank()) as pay:
        seen = []
        for account in pay.drivers:
            await pay.add(Toy(account=f"{account}-2"))
            seen.append(account)
        assert seen == ["toy"]


@timeless
async def test_in_another_loop_or_another_thread() -> None:
    """A pool that another running loop uses changes no account here."""
    async with _pool(Bank()) as pay:
        with pytest.raises(UsageError, match="another running loop"):
            await asyncio.to_thread(lambda: asyncio.run(pay.add(Toy(account="b"))))
        assert sorted(pay.drivers) == ["toy"]


@pytest.mark.parametrize("seed", range(25))
def test_no_order_is_signed_by_another_drivers_token(seed: int) -> None:
    """Orders, replacements and revoked keys at random: each order uses the driver it began with.

    However logins and refusals overlap, no order is sent again after an answer.
    """
    chance, bank = random.Random(seed), Bank(seconds=0.3)
    current, began = ["0"], dict[str, str]()

    async def pay_one(pay: Pool, number: int) -> None:
        await asyncio.sleep(chance.uniform(0, 10))
        name = f"order-{number}"
        began[name] = current[0]
        with contextlib.suppress(ProviderError):
            await pay.verify(await _collect(pay, name))

    async def rotate(pay: Pool) -> None:
        for number in range(1, 8):
            await asyncio.sleep(chance.uniform(0, 2))
            if chance.random() < 0.5:
                bank.revoked.add(current[0])
            await pay.replace(Toy(password=str(number)))
            current[0] = str(number)

    async def race() -> None:
        async with _pool(bank, Toy(password="0")) as pay:
            await asyncio.gather(rotate(pay), *(pay_one(pay, number) for number in range(40)))
            await _collect(pay, "last")
            assert bank.passwords()[-1] == "7"

    run(race())
    del bank.orders["last"]
    assert len(bank.orders) > 10  # the login of the others was refused
    signed = {
        name: {one[1].rpartition(".")[0] for one in sent} for name, sent in bank.orders.items()
    }
    assert signed == {name: {began[name]} for name in bank.orders}
    assert max(bank.taken.values()) == 1
