"""The token cache: one login for all callers, and a stale token is dropped once."""

import asyncio
import contextlib
import itertools
import random
import time
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from paymux import (
    AuthenticationFailed,
    OutcomeUnknown,
    Pool,
    ProviderError,
    Status,
    Unavailable,
    UsageError,
)
from paymux.drivers.base import Token
from paymux.http import PreparedRequest, Response, get
from paymux.primitives.redaction import Secret
from paymux.transport.tokens import FAILED_LOGIN_SECONDS, TokenCache

from .toys import Desk, Said, Toy, Wall, Wire, answer, now, run, timeless, virtual_loop

TOY = Toy()


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """Replace the cache's wall clock by one that a test can set."""
    wall = Wall()
    monkeypatch.setattr("paymux.transport.tokens.time", wall)
    return wall


class Logins:
    """A login of one second with numbered tokens; it fails as often as a test sets."""

    def __init__(
        self, life: float | None = 3600.0, *, fails: int = 0, seconds: float = 1.0
    ) -> None:
        self.count = 0
        self.fails = fails
        self._life = life
        self._seconds = seconds

    async def __call__(self) -> Token | None:
        self.count += 1
        number = self.count
        await asyncio.sleep(self._seconds)
        if self.fails:
            self.fails -= 1
            raise Unavailable(f"login {number} failed")
        return Token(Secret(f"t{number}"), self._life)


@timeless
async def test_ten_thousand_cold_calls_make_one_login() -> None:
    """However many callers come at once, the provider sees one login."""
    cache, login = TokenCache(30), Logins()
    tokens = await asyncio.gather(*(cache.get(TOY, login) for _ in range(10_000)))
    assert set(tokens) == {"t1"}
    assert login.count == 1


GOOD, ODD = answer(id="p1", status="OK"), Response(status=401, body=b"<html>Who are you?</html>")
STALE = answer(401, error="stale")


@pytest.mark.parametrize(
    ("payments", "signed"),
    [
        ([ODD, ODD, ODD], "t1 t2 t2"),  # renewed once, not at each attempt
        ([ODD, GOOD], "t1 t2"),
        ([STALE, ODD, ODD, ODD], "t1 t2 t2 t2"),
        ([ODD, STALE], "t1 t2"),
        ([answer(403), GOOD], "t1 t1"),
        ([answer(500), GOOD], "t1 t1"),
        ([Response(status=400, body=b"401")], "t1"),
    ],
)
@timeless
async def test_a_401_in_unlisted_words_renews_the_token_once(
    payments: list[Any], signed: str
) -> None:
    """Such an answer to a look-up proves nothing, but a stale token is renewed."""
    wire = Wire(Desk(payments=[*payments]))
    async with Pool(TOY, connection=wire) as pool:
        with contextlib.suppress(Unavailable, ProviderError):
            await pool.verify("toy", "p1")
    tokens = [
        one.headers["Authorization"].split()[1] for one in wire.seen if "/payments" in one.url
    ]
    assert " ".join(tokens) == signed


@pytest.mark.parametrize(
    ("reply", "signed"), [(ODD, "t1 t2"), (answer(403), "t1 t1"), (answer(500), "t1 t1")]
)
@timeless
async def test_after_such_an_order_the_next_one_logs_in_anew(reply: Response, signed: str) -> None:
    """The order itself is unknown and never sent again; the token that it used is dropped."""
    wire = Wire(Desk(collect=[reply, GOOD]))
    async with Pool(TOY, connection=wire) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("toy", amount=500, currency="XAF", reference="order-1")
        await pool.collect("toy", amount=500, currency="XAF", reference="order-2")
    tokens = [one.headers["Authorization"].split()[1] for one in wire.seen if "/collect" in one.url]
    assert " ".join(tokens) == signed


@timeless
async def test_an_accepted_401_is_an_answer_and_drops_no_token() -> None:
    """A status that the request accepts says nothing of the token."""
    wire = Wire(Desk(x=answer(401, id="p1")))
    async with Pool(TOY, connection=wire) as pool:
        for _ in range(2):
            assert (await pool.send("toy", get("/x", Said, accept=(401,)))).id == "p1"
    assert len(wire.paths("/login")) == 1


@timeless
async def test_a_thousand_stale_tokens_make_one_login() -> None:
    """A token revoked under 1,000 requests is renewed once, and every request succeeds."""
    logins, stale = itertools.count(1), [0]

    async def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return answer(token=f"t{next(logins)}", expires_in=3600)
        await asyncio.sleep(random.Random(len(stale)).uniform(0.01, 3))
        stale.append(0)
        if outgoing.headers["Authorization"] == "Bearer t1":
            return answer(401, error="stale")
        return answer(id="p", status="WAIT")

    async with Pool(Toy(), connection=Wire(respond)) as pool:
        found = await asyncio.gather(*(pool.verify("toy", "p") for _ in range(1000)))
    assert {payment.status for payment in found} == {Status.PENDING}
    assert next(logins) == 3, "one login when cold, one for all the stale answers"


async def _longest_step(waiters: list["asyncio.Task[Any]"]) -> float:
    """Cancel all callers but the last; return the CPU seconds of the loop's longest step."""
    began = time.thread_time()
    for waiter in waiters[:-1]:
        waiter.cancel()
    longest = time.thread_time() - began
    for _ in range(3):
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
    assert all(waiter.cancelled() for waiter in waiters[:-1])
    return longest


@pytest.mark.usefixtures("uncollected")
def test_cancelling_almost_everybody_leaves_the_last_one_served() -> None:
    """After 9,999 of 10,000 waiting callers are cancelled, the last one gets its token.

    The longest step of the loop stays short, compared with cancelling as many plain tasks;
    `asyncio.shield` takes twenty times that.
    """

    async def plain(future: "asyncio.Future[None]") -> None:
        await future

    async def main() -> tuple[str | None, float, float]:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(10_000)]
        others = [asyncio.create_task(plain(future)) for future in futures]
        await asyncio.sleep(0.5)
        usual = await _longest_step(others)
        futures[-1].set_result(None)
        await others[-1]
        cache, login = TokenCache(30), Logins()
        waiters = [asyncio.create_task(cache.get(TOY, login)) for _ in range(10_000)]
        await asyncio.sleep(0.5)
        ours = await _longest_step(waiters)
        assert login.count == 1
        return await waiters[-1], usual, ours

    token, usual, ours = run(main())
    assert token == "t1"
    assert ours < 5 * usual


@timeless
async def test_the_first_caller_cancels_nobody() -> None:
    """The login belongs to the cache: cancelling its first caller leaves the others waiting."""
    cache, login = TokenCache(30), Logins()
    first = asyncio.create_task(cache.get(TOY, login))
    await asyncio.sleep(0)
    others = [asyncio.create_task(cache.get(TOY, login)) for _ in range(5)]
    await asyncio.sleep(0.1)
    first.cancel()
    assert await asyncio.gather(*others) == ["t1"] * 5
    assert first.cancelled()
    assert login.count == 1


@timeless
async def test_a_login_whose_every_caller_left_still_lands() -> None:
    """A login goes on without waiting callers, and serves the next one."""
    cache, login = TokenCache(30), Logins()
    only = asyncio.create_task(cache.get(TOY, login))
    await asyncio.sleep(0.5)
    only.cancel()
    await asyncio.sleep(0.6)
    assert await cache.get(TOY, login) == "t1"
    assert login.count == 1


@timeless
async def test_a_failed_login_is_shared_remembered_and_then_retried() -> None:
    """Many callers at a failing login make one attempt at a time; each gets its own error."""
    cache, login = TokenCache(30), Logins(fails=1)
    found = await asyncio.gather(
        *(cache.get(TOY, login) for _ in range(50)), return_exceptions=True
    )
    assert {str(error) for error in found} == {"login 1 failed"}
    assert len({id(error) for error in found}) == 50
    with pytest.raises(Unavailable, match="login 1"):
        await cache.get(TOY, login)
    assert login.count == 1
    await asyncio.sleep(FAILED_LOGIN_SECONDS)
    assert await cache.get(TOY, login) == "t2"


@timeless
async def test_a_failing_login_is_tried_once_per_moment() -> None:
    """However often fifty callers retry, a failing login is made at most once per pause."""
    cache, login = TokenCache(30), Logins(fails=10**6, seconds=0.1)

    async def keep_coming() -> None:
        while now() < 10:
            with pytest.raises(Unavailable):
                await cache.get(TOY, login)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(keep_coming() for _ in range(50)))
    assert login.count <= 10 / FAILED_LOGIN_SECONDS + 1


@timeless
async def test_a_token_expires_by_the_monotonic_clock(wall: Wall) -> None:
    """A token is used for its lifetime minus a margin, even if the wall clock is set back."""
    cache, login = TokenCache(30), Logins(600)
    await cache.get(TOY, login)
    wall.shift = -3600
    await asyncio.sleep(595)
    assert await cache.get(TOY, login) == "t2"


@timeless
async def test_a_token_expires_by_the_wall_clock(wall: Wall) -> None:
    """After the machine slept there is a new login, although the monotonic clock stood still."""
    cache, login = TokenCache(30), Logins(600)
    assert await cache.get(TOY, login) == "t1"
    wall.shift = 3600
    assert await cache.get(TOY, login) == "t2"
    assert await cache.get(TOY, login) == "t2"


@pytest.mark.proves("campay: refresh the token periodically")
@timeless
async def test_a_token_is_renewed_in_the_background() -> None:
    """Shortly before its end the old token is used without waiting, during one new login."""
    cache, login = TokenCache(30), Logins(600)
    await cache.get(TOY, login)
    waited = set()
    while now() < 540 + 5:
        began = now()
        await cache.get(TOY, login)
        waited.add(round(now() - began, 6))
        await asyncio.sleep(0.5)
    assert waited == {0.0}
    assert login.count == 2
    assert await cache.get(TOY, login) == "t2"


@timeless
async def test_a_failed_renewal_keeps_the_token_in_use() -> None:
    """A renewal that fails in the background disturbs no caller while the old token is valid."""
    cache, login = TokenCache(30), Logins(600)
    await cache.get(TOY, login)
    login.fails = 1
    while now() < 540:
        assert await cache.get(TOY, login) in ("t1", "t3")
        await asyncio.sleep(0.5)
    assert login.count == 3


@timeless
async def test_a_token_without_a_lifetime_gets_the_drivers(wall: Wall) -> None:
    """Without a lifetime from the provider, the driver's default is used."""
    cache, login = TokenCache(30), Logins(None)
    await cache.get(TOY, login)
    await asyncio.sleep(TOY.token_life * 0.5)
    assert await cache.get(TOY, login) == "t1"
    await asyncio.sleep(TOY.token_life * 0.45)
    assert await cache.get(TOY, login) == "t2"


@pytest.mark.parametrize("life", [0.0, -5.0, float("nan")])
@timeless
async def test_a_useless_lifetime_still_serves_those_who_wait(life: float) -> None:
    """A token with a lifetime of 0 serves the callers of its login, and no later ones."""
    cache, login = TokenCache(30), Logins(life)
    assert await asyncio.gather(*(cache.get(TOY, login) for _ in range(10))) == ["t1"] * 10
    assert await cache.get(TOY, login) == "t2"


@timeless
async def test_only_the_token_that_was_used_is_dropped() -> None:
    """A late refusal of an old token leaves the new one alone."""
    cache, login = TokenCache(30), Logins()
    await cache.get(TOY, login)
    cache.drop("toy", "t1")
    assert await cache.get(TOY, login) == "t2"
    cache.drop("toy", "t1")
    cache.drop("unknown", "t2")
    assert await cache.get(TOY, login) == "t2"
    assert login.count == 2


@timeless
async def test_a_token_dropped_at_once_still_reaches_its_waiters() -> None:
    """A caller that waited for a login gets its token, even if it was refused just before."""
    cache, login = TokenCache(30), Logins()

    async def impatient() -> str | None:
        token = await cache.get(TOY, login)
        cache.drop("toy", token or "")
        return token

    assert await asyncio.gather(*(impatient() for _ in range(3))) == ["t1"] * 3


@timeless
async def test_an_account_that_needs_no_token_has_none() -> None:
    """A driver whose `token` returns None signs without one, and is called again."""
    cache = TokenCache(30)

    async def login() -> Token | None:
        return None

    assert await cache.get(TOY, login) is None
    assert await cache.get(TOY, login) is None


@timeless
async def test_a_login_that_never_ends_is_ended() -> None:
    """A login is limited by the pool's deadline, for every caller."""
    cache, login = TokenCache(30), Logins(seconds=10**6)
    with pytest.raises(TimeoutError):
        await cache.get(TOY, login)
    assert 30 <= now() < 31


@timeless
async def test_closing_ends_a_login_under_way() -> None:
    """A caller that waits for a login when the pool closes gets UsageError; no task is left."""
    cache, login = TokenCache(30), Logins()
    waiting = [asyncio.create_task(cache.get(TOY, login)) for _ in range(3)]
    await asyncio.sleep(0.5)
    await cache.aclose()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in found] == [UsageError] * 3


def test_loops_in_turn_share_a_token_and_not_a_login() -> None:
    """Three `asyncio.run` in turn share a token; an abandoned login does not hang."""
    cache, login = TokenCache(30), Logins(seconds=0.0)

    async def never() -> Token | None:
        await asyncio.get_running_loop().create_future()
        return None

    async def abandon() -> None:
        waiting = asyncio.create_task(cache.get(TOY, never))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(abandon())
    assert asyncio.run(cache.get(TOY, login)) == "t1"
    assert asyncio.run(cache.get(TOY, login)) == "t1"
    assert login.count == 1


@timeless
async def test_two_credentials_never_mix() -> None:
    """Each account is signed with its own login, in any order of calls."""
    crossed = []

    async def respond(outgoing: PreparedRequest) -> Response:
        await asyncio.sleep(random.Random(len(outgoing.url)).uniform(0, 2))
        body = (outgoing.body or b"").decode()
        if outgoing.url.endswith("/login"):
            return answer(token=f"token-of-{'one' if 'one' in body else 'two'}", expires_in=20)
        crossed.append(outgoing.url.rsplit("/", 1)[1] not in outgoing.headers["Authorization"])
        return answer(status="WAIT")

    drivers = (Toy(account="one", username="one"), Toy(account="two", username="two"))
    async with Pool(*drivers, connection=Wire(respond)) as pool:
        for _ in range(10):
            await asyncio.gather(*(pool.verify(name, name) for name in ("one", "two") * 10))
            await asyncio.sleep(7)
    assert len(crossed) == 200
    assert not any(crossed)


@pytest.mark.parametrize("status", [400, 404, 422])
@timeless
async def test_a_login_page_that_is_missing_says_nothing_of_a_payment(status: int) -> None:
    """A refused or missing login is never NotFound or Rejected of the payment."""
    async with Pool(Toy(), connection=Wire(Desk(login=answer(status)))) as pool:
        with pytest.raises((AuthenticationFailed, Unavailable)):
            await pool.verify("toy", "p1")


@timeless
async def test_a_refused_login_is_authentication_failed_for_money_too() -> None:
    """Wrong credentials are AuthenticationFailed, with nothing sent but the login."""
    wire = Wire(Desk(login=answer(401, error="stale")))
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises(AuthenticationFailed) as caught:
            await pool.collect("toy", amount=5, currency="XAF", reference="r")
    assert isinstance(caught.value, ProviderError)
    assert caught.value.account == "toy"
    assert wire.paths() == ["/login"]


class Cache(RuleBasedStateMachine):
    """Bursts, cancellations, failures, drops and clock jumps in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self.wall = Wall()
        self._patch.setattr("paymux.transport.tokens.time", self.wall)
        self._world = contextlib.ExitStack()
        self.loop = self._world.enter_context(virtual_loop())
        self.cache = TokenCache(30)
        self.flying: list[asyncio.Future[Token | None]] = []
        self.most = 0
        self.number = 0
        self.cancelled: set[asyncio.Task[str | None]] = set()
        self.waiting: list[asyncio.Task[str | None]] = []
        self.served = self.failed = 0

    async def _login(self) -> Token | None:
        landing: asyncio.Future[Token | None] = self.loop.create_future()
        self.flying.append(landing)
        self.most = max(self.most, len(self.flying))
        try:
            return await landing
        finally:
            self.flying.remove(landing)

    def _pass(self, seconds: float = 0.0) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            for _ in range(4):
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait())
        self._settle()

    def _settle(self) -> None:
        done = [task for task in self.waiting if task.done()]
        self.waiting = [task for task in self.waiting if not task.done()]
        for task in done:
            assert task.cancelled() == (task in self.cancelled), "a bystander was cancelled"
            if task.cancelled():
                continue
            error = task.exception()
            assert error is None or isinstance(error, Unavailable | TimeoutError)
            assert error is not None or task.result() is not None
            self.failed += error is not None
            self.served += error is None

    @rule(count=st.integers(1, 30))
    def burst(self, count: int) -> None:
        """Let callers come at once."""
        self.waiting += [
            self.loop.create_task(self.cache.get(TOY, self._login)) for _ in range(count)
        ]
        self._pass()

    @rule(share=st.floats(0, 1), seed=st.integers(0, 99))
    def cancel(self, share: float, seed: int) -> None:
        """Cancel some of the waiting callers."""
        chosen = random.Random(seed).sample(self.waiting, int(len(self.waiting) * share))
        self.cancelled.update(chosen)
        for task in chosen:
            task.cancel()
        self._pass()

    @rule(life=st.sampled_from([0.0, 5.0, 100.0, 3600.0]))
    def land(self, life: float) -> None:
        """Let the login in flight succeed; all waiting callers are served."""
        if self.flying:
            self.number += 1
            self.flying[0].set_result(Token(Secret(f"t{self.number}"), life))
            self._pass()
            assert not self.waiting

    @rule()
    def fail(self) -> None:
        """Let the login in flight fail; all waiting callers get the error."""
        if self.flying:
            self.flying[0].set_exception(Unavailable("no"))
            self._pass()
            assert not self.waiting

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 3600.0, -1.0, 1.0]))
    def jump(self, seconds: float) -> None:
        """Set the wall clock."""
        self.wall.shift += seconds

    @rule(age=st.integers(0, 2))
    def drop(self, age: int) -> None:
        """Refuse a token, the current one or an older one."""
        self.cache.drop("toy", f"t{self.number - age}")

    @invariant()
    def one_login_at_a_time(self) -> None:
        """No two logins of one account are ever under way."""
        assert self.most <= 1

    def teardown(self) -> None:
        """End the logins in flight, and look for uncaught errors."""
        try:
            self.cancelled.update(self.waiting)
            for task in self.waiting:
                task.cancel()
            self._pass()
            self.loop.run_until_complete(self.cache.aclose())
            assert not self.loop.stray
        finally:
            self._world.close()
            self._patch.undo()


TestCache = Cache.TestCase
TestCache.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
