"""Bulk verification: one result per item, fair between accounts, and nothing left behind."""

import asyncio
import gc
import itertools
import random
import tracemalloc
import warnings
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import pytest

from paymux import (
    AuthenticationFailed,
    Mismatch,
    NotFound,
    Payment,
    Pool,
    RateLimited,
    Status,
    Unavailable,
    UsageError,
)
from paymux.bulk.bulk import Bulk
from paymux.bulk.fairness import MAX_DENIALS, MAX_THROTTLED_SECONDS, FairQueues, Waiting
from paymux.bulk.items import MAX_PARKED_ITEMS, Verified
from paymux.bulk.progress import Progress, ProgressReporter
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Response, Send, TransportError
from paymux.simulator import Simulator

from .toys import Keyless, Narrow, Toy, Wire, answer, eagerly, now, run, timeless

T = TypeVar("T")


def bulk(pool: Pool, items: Any, at_once: int = 50, progress: Any = None) -> Bulk[Any]:
    """Verify many of this pool."""
    return Bulk(pool, items, at_once, progress)


def keyless(*accounts: str) -> list[Driver]:
    """Return accounts without a login, each at its own host."""
    return [Keyless(account=name, base_url=f"https://{name}.example") for name in accounts]


class Shop(Wire):
    """Providers that answer any payment after their host's latency, counting requests in flight."""

    def __init__(
        self,
        say: Callable[[PreparedRequest, str], Response] | None = None,
        *,
        latency: float = 0.1,
        **latencies: float,
    ) -> None:
        super().__init__(self._answer)
        self._say = say or (lambda _, name: answer(id=name, status="OK"))
        self._latency = latency
        self._latencies = latencies
        self.flying: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.cut = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        host = (urlsplit(outgoing.url).hostname or "").partition(".")[0]
        for name in (host, "all"):
            self.flying[name] += 1
            self.most[name] = max(self.most[name], self.flying[name])
        try:
            await asyncio.sleep(self._latencies.get(host, self._latency))
            return await super().exchange(outgoing)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        finally:
            self.flying.subtract((host, "all"))

    def _answer(self, outgoing: PreparedRequest) -> Response:
        return self._say(outgoing, outgoing.url.rpartition("/")[2])

    @property
    def ids(self) -> Counter[str]:
        """Count the look-ups of each payment."""
        return Counter(outgoing.url.rpartition("/")[2] for outgoing in self.seen)


def pairs(account: str, count: int) -> list[tuple[str, str]]:
    """Return `count` references of an account."""
    return [(account, f"{account}-{number}") for number in range(count)]


def endless(account: str) -> Iterator[tuple[str, str]]:
    """Yield references for ever."""
    return ((account, f"{account}-{number}") for number in itertools.count())


async def stream(items: Any, pause: float | None = None) -> AsyncIterator[Any]:
    """Yield items asynchronously, with a pause before each."""
    for item in items:
        if pause is not None:
            await asyncio.sleep(pause)
        yield item


def tasks() -> int:
    """Count the tasks besides this one."""
    return len(asyncio.all_tasks()) - 1


async def settle() -> None:
    """Let cancelled tasks end."""
    for _ in range(5):
        await asyncio.sleep(0)


@timeless
async def test_results_come_as_they_finish() -> None:
    """Iterating yields quick results first, each with its index, its item and its payment."""
    items = [
        ("slow", "p0"),
        Payment(account="quick", provider_reference="p1", reference="order-1"),
        ("quick", "p2"),
    ]
    async with Pool(*keyless("slow", "quick"), connection=Shop(slow=9.0)) as pool:
        async with bulk(pool, items) as found:
            seen = [item async for item in found]
        assert [item.index for item in seen] == [1, 2, 0]
        assert all(item.asked is items[item.index] for item in seen)
        assert [item.payment and item.payment.provider_reference for item in seen] == [
            "p1",
            "p2",
            "p0",
        ]
        assert seen[0].payment is not None
        assert (seen[0].payment.status, seen[0].payment.reference) == (Status.SUCCEEDED, "order-1")
        assert now() == pytest.approx(9.0, abs=0.1)


@pytest.mark.parametrize(
    "shape", [list, tuple, iter, stream, lambda items: dict.fromkeys(items).keys()]
)
def test_awaiting_gives_a_list_in_the_order_given(shape: Callable[[Any], Any]) -> None:
    """From any kind of iterable, awaiting returns one result per item, in order."""

    async def main() -> None:
        items = [*pairs("a", 70), *pairs("b", 70)]
        random.Random(6).shuffle(items)
        async with Pool(*keyless("a", "b"), connection=Shop(a=0.7)) as pool:
            found = await bulk(pool, shape(items), 9)
        assert [item.index for item in found] == list(range(140))
        assert [item.asked for item in found] == items
        assert [item.payment and item.payment.provider_reference for item in found] == [
            id for _, id in items
        ]

    run(main())


BAD: list[Any] = [
    *(
        5,
        None,
        "x",
        b"x",
        (),
        ("keyless",),
        ("keyless", "p", "q"),
        ["keyless", "p"],
        {"account": "keyless"},
    ),
    *(("nobody", "p"), ("keyless", ""), ("keyless", None), ("keyless", 5), (None, "p"), ([], "p")),
    *(Payment(account="nobody", provider_reference="p"), Payment(account="keyless")),
    Payment(account="keyless", reference="order-1"),
]


@pytest.mark.parametrize("shape", [list, iter, stream])
def test_a_bad_item_is_an_error_of_its_own(shape: Callable[[Any], Any]) -> None:
    """An item that cannot be looked up is UsageError in its result; nothing is sent for it."""

    async def main() -> None:
        shop = Shop()
        async with Pool(Keyless(), connection=shop) as pool:
            found = await bulk(pool, shape([("keyless", "first"), *BAD, ("keyless", "last")]))
        assert [type(item.error) for item in found[1:-1]] == [UsageError] * len(BAD)
        assert all(item.payment is None for item in found[1:-1])
        assert [
            item.payment is not None and item.error is None for item in (found[0], found[-1])
        ] == [True, True]
        assert shop.ids == {"first": 1, "last": 1}

    run(main())


class Clumsy(Keyless, frozen=True, kw_only=True):
    """A driver that fails on one payment."""

    async def verify(self, send: Send, payment: Payment) -> Payment:
        if payment.provider_reference == "trip":
            raise KeyError("status")
        return await super().verify(send, payment)


@timeless
async def test_whatever_goes_wrong_with_one_stays_its_own() -> None:
    """A mismatch, a refusal, an outage and a driver's bug stay in their item, without frames."""

    def say(_: PreparedRequest, id: str) -> Response:
        if id == "down":
            raise TransportError("cut off")
        return answer(404) if id == "gone" else answer(id=id, status="OK", amount=500)

    items = [("keyless", id) for id in ("p1", "gone", "down", "trip", "p2")]
    other = Payment(account="keyless", provider_reference="p3", amount=Decimal(900))
    async with Pool(Clumsy(), connection=Shop(say)) as pool:
        found = await bulk(pool, [*items, other])
    kinds = [type(item.error) for item in found]
    assert kinds == [type(None), NotFound, Unavailable, KeyError, type(None), Mismatch]
    assert all((item.error is None) != (item.payment is None) for item in found)
    assert all(item.error.__traceback__ is None for item in found if item.error)


@pytest.mark.parametrize("at_once", [0, -1, 1001, True, 5.0, "5", None])
@timeless
async def test_at_once_is_checked(at_once: Any) -> None:
    """At once are 1 to 1000; any other value is refused by name."""
    async with Pool(Keyless(), connection=Shop()) as pool:
        with pytest.raises(UsageError, match="at_once"):
            bulk(pool, [], at_once)


@pytest.mark.parametrize(
    "items", [None, 5, "campay", b"x", {"campay": "p"}, Payment(account="keyless")]
)
@timeless
async def test_items_must_be_many(items: Any) -> None:
    """An object that is no iterable of items is refused at once, a single payment included."""
    async with Pool(Keyless(), connection=Shop()) as pool:
        with pytest.raises(UsageError, match="items"):
            bulk(pool, items)


async def _coroutine(progress: Progress) -> None: ...


@pytest.mark.parametrize("progress", [5, "print", _coroutine])
@timeless
async def test_progress_is_a_plain_function(progress: Any) -> None:
    """A coroutine function for `progress` would never be awaited: it is refused."""
    async with Pool(Keyless(), connection=Shop()) as pool:
        with pytest.raises(UsageError, match="progress"):
            bulk(pool, [], progress=progress)


@pytest.mark.parametrize("shape", [list, iter, stream])
@pytest.mark.parametrize("at_once", [1, 2, 7, 50])
def test_at_once_bounds_what_is_on_its_way(at_once: int, shape: Callable[[Any], Any]) -> None:
    """Over all accounts, at most `at_once` look-ups are in flight, and all slots are used."""

    async def main() -> None:
        shop = Shop(a=0.3)
        items = [
            item for both in zip(pairs("a", 150), pairs("b", 150), strict=True) for item in both
        ]
        async with Pool(*keyless("a", "b"), connection=shop) as pool:
            await bulk(pool, shape(items), at_once)
        assert shop.most["all"] == at_once
        assert len(shop.seen) == 300

    run(main())


@timeless
async def test_one_account_of_many_has_all_the_places() -> None:
    """If a list has no items of another account, no slot is reserved for one."""
    shop = Shop()
    async with Pool(*keyless("a", "b", "c"), connection=shop) as pool:
        await bulk(pool, pairs("a", 100), 20)
    assert shop.most["all"] == 20


def test_a_free_slot_goes_to_the_account_with_the_fewest() -> None:
    """Also below an equal share; an item that was put back comes before its account's others."""
    shares = FairQueues(20, 2)
    for index in range(5):
        shares.park(Waiting(index, Payment(account="a")))
    turns = [shares.next_item(20, 0.0, generous=False) for _ in range(4)]
    for index in range(5, 10):
        shares.park(Waiting(index, Payment(account="b")))
    turns += [shares.next_item(16, 0.0, generous=False) for _ in range(3)]
    assert [turn and turn[1].number for turn in turns] == [0, 1, 2, 3, 5, 6, 7]
    assert turns[4] is not None
    shares.put_back(*turns[4])
    turn = shares.next_item(14, 0.0, generous=False)
    assert turn is not None
    assert turn[1].number == 5


@pytest.mark.parametrize("shape", [iter, stream])
@pytest.mark.parametrize("at_once", [1, 10])
def test_a_slow_consumer_slows_an_endless_input(at_once: int, shape: Callable[[Any], Any]) -> None:
    """Never more than `at_once` are in flight or wait to be taken, however slow the consumer is."""

    async def main() -> None:
        shop = Shop()
        read = 0

        def counted() -> Iterator[tuple[str, str]]:
            nonlocal read
            for item in endless("a"):
                read += 1
                yield item

        async with (
            Pool(*keyless("a"), connection=shop) as pool,
            bulk(pool, shape(counted()), at_once) as found,
        ):
            taken = 0
            async for _ in found:
                taken += 1
                await asyncio.sleep(1.0 if taken % 7 == 0 else 0.001)
                assert len(shop.seen) - taken <= at_once
                assert read - taken <= at_once
                if taken == 100:
                    break
        assert tasks() == 0

    run(main())


@pytest.mark.parametrize("shape", [iter, stream])
def test_a_stream_is_read_ahead_up_to_a_bound(shape: Callable[[Any], Any]) -> None:
    """In search of another account, a limited number of items of an endless input is read."""

    async def main() -> None:
        read = 0

        def counted() -> Iterator[tuple[str, str]]:
            nonlocal read
            for item in endless("a"):
                read += 1
                yield item

        pool = Pool(*keyless("a", "b"), connection=Shop(latency=5.0))
        async with pool, bulk(pool, shape(counted()), 10) as found:
            await anext(found)
            assert 1000 <= MAX_PARKED_ITEMS <= read <= MAX_PARKED_ITEMS + 20

    run(main())


@timeless
async def test_striking_off_what_is_done_skips_nothing() -> None:
    """A caller that removes items from its list during the run gets every one verified once."""
    items = pairs("a", 60)
    shop = Shop()
    async with Pool(*keyless("a", "b"), connection=shop) as pool, bulk(pool, items, 5) as found:
        async for item in found:
            items.remove(item.asked)
    assert items == []
    assert shop.ids == {f"a-{number}": 1 for number in range(60)}


@timeless
async def test_duplicates_on_their_way_are_asked_once_and_compared_each() -> None:
    """The same payment three times is one look-up; each result is compared with its own amount."""
    items = [
        Payment(account="a", provider_reference="p1", amount=Decimal(amount))
        for amount in (500, 500, 900)
    ]
    shop = Shop(lambda _, name: answer(id=name, status="OK", amount=500))
    async with Pool(*keyless("a"), connection=shop) as pool:
        found = await bulk(pool, items)
    assert shop.ids == {"p1": 1}
    assert [type(item.error) for item in found] == [type(None), type(None), Mismatch]
    assert [item.payment.amount for item in found if item.payment] == [500, 500]


@timeless
async def test_a_look_up_that_fails_once_is_repeated() -> None:
    """A 503 or a lost answer is repeated within the item's attempts, as for any look-up."""
    failed: set[str] = set()

    def say(_: PreparedRequest, name: str) -> Response:
        if name in failed:
            return answer(id=name, status="OK")
        failed.add(name)
        if name.endswith("1"):
            raise TransportError("ServerDisconnectedError")
        return answer(503)

    shop = Shop(say)
    async with Pool(*keyless("a"), connection=shop) as pool:
        found = await bulk(pool, pairs("a", 4))
    assert [item.error for item in found] == [None] * 4
    assert set(shop.ids.values()) == {2}


@timeless
async def test_waiting_for_the_accounts_limit_is_no_failure() -> None:
    """A hundred look-ups at three in ten seconds take the necessary time, duplicates included."""
    items = [("narrow", f"p{number // 2}") for number in range(100)]
    shop = Shop()
    async with Pool(Narrow(), connection=shop, deadline=5.0) as pool:
        found = await bulk(pool, items)
        assert [item.error for item in found] == [None] * 100
        assert len(shop.seen) == 50
        assert now() > 150


@pytest.mark.parametrize("shape", [list, iter, stream])
@pytest.mark.parametrize("first", [[], pairs("slow", 300)], ids=["mixed", "the slow ones first"])
def test_a_slow_account_never_starves_another(
    first: list[Any], shape: Callable[[Any], Any]
) -> None:
    """While one account's look-ups take a minute, the other's 300 are done before two of them."""

    async def main() -> None:
        mixed = [
            item
            for both in zip(pairs("slow", 300), pairs("quick", 300), strict=True)
            for item in both
        ]
        items = [*first, *(pairs("quick", 300) if first else mixed)]
        shop = Shop(slow=60.0)
        pool = Pool(*keyless("slow", "quick"), connection=shop, deadline=90.0)
        async with pool, bulk(pool, shape(items), 20) as found:
            quick = 0
            async for item in found:
                quick += item.asked[0] == "quick"
                if quick == 100:
                    assert shop.most["slow"] <= 19
                if quick == 300:
                    break
            assert now() < 60.0

    run(main())


@timeless
async def test_accounts_with_work_have_equal_shares() -> None:
    """Four accounts, one ten times as slow, one with ten times the items: each has its quarter."""
    items = [*pairs("many", 4000), *pairs("slow", 400), *pairs("c", 400), *pairs("d", 400)]
    random.Random(6).shuffle(items)
    shop = Shop(slow=1.0)
    ends: dict[str, float] = {}
    pool = Pool(*keyless("many", "slow", "c", "d"), connection=shop)
    async with pool, bulk(pool, items, 40) as found:
        async for item in found:
            ends[item.asked[0]] = now()
    # 400 look-ups of 0.1 s in 10 slots take 4 s.
    assert ends["c"] == pytest.approx(4.0, rel=0.25)
    assert ends["d"] == pytest.approx(4.0, rel=0.25)
    assert ends["many"] > 10


@timeless
async def test_an_account_that_refuses_is_asked_again_later_and_holds_no_place() -> None:
    """After "too many requests" an account's items wait outside the slots; all succeed."""

    def say(outgoing: PreparedRequest, id: str) -> Response:
        busy = outgoing.url.startswith("https://busy.") and now() < 100
        return answer(429, error="slow") if busy else answer(id=id, status="OK")

    shop = Shop(say)
    items = [*pairs("busy", 100), *pairs("a", 2000)]
    ends: dict[str, float] = {}
    async with Pool(*keyless("busy", "a"), connection=shop) as pool, bulk(pool, items, 20) as found:
        async for item in found:
            assert item.error is None
            ends[item.asked[0]] = now()
    assert ends["a"] < 20
    assert 100 < ends["busy"] < 170
    refused = sum(
        1 for id, count in shop.ids.items() for _ in range(count - 1) if id.startswith("busy")
    )
    # The first 15 or so, then one at a time after 1, 2, 4 … 60 s, each in the transport's three
    # attempts.
    assert refused < 100


@timeless
async def test_a_limit_that_is_not_stated_is_found() -> None:
    """If the provider accepts 20 a second and states no limit, 4,000 items succeed in time."""
    taken: deque[float] = deque()
    refused = 0

    def say(_: PreparedRequest, id: str) -> Response:
        nonlocal refused
        while taken and taken[0] <= now() - 1.0:
            taken.popleft()
        if len(taken) >= 20:
            refused += 1
            return answer(429, error="slow")
        taken.append(now())
        return answer(id=id, status="OK")

    async with Pool(*keyless("a"), connection=Shop(say)) as pool:
        found = await bulk(pool, pairs("a", 4000))
        assert [item.error for item in found] == [None] * 4000
        assert now() < 4000 / 20 * 1.25
    assert refused < 160


@timeless
async def test_what_an_account_asks_for_is_waited() -> None:
    """A Retry-After beyond a look-up's deadline is kept: nothing is sent before it."""
    sent: list[float] = []

    def say(_: PreparedRequest, id: str) -> Response:
        sent.append(now())
        if len(sent) <= 2:
            return answer(429, {"retry-after": "300"}, error="slow")
        return answer(id=id, status="OK")

    async with Pool(*keyless("a"), connection=Shop(say)) as pool:
        found = await bulk(pool, pairs("a", 20), 2)
    assert [item.error for item in found] == [None] * 20
    assert sent[2] >= 300.0


@pytest.mark.parametrize("shape", [list, iter, stream])
def test_while_one_account_pauses_the_rest_is_read_on(shape: Callable[[Any], Any]) -> None:
    """With a single slot, an account that asks for five minutes does not delay the next one."""
    ends: list[float] = []

    def say(outgoing: PreparedRequest, id: str) -> Response:
        if outgoing.url.startswith("https://a.") and now() < 300:
            return answer(429, {"retry-after": "300"}, error="slow")
        ends.append(now())
        return answer(id=id, status="OK")

    async def main() -> None:
        async with Pool(*keyless("a", "b"), connection=Shop(say)) as pool:
            found = await bulk(pool, shape([("a", "p0"), *pairs("b", 3)]), 1)
        assert [item.error for item in found] == [None] * 4
        assert ends[2] < 10
        assert ends[3] >= 300

    run(main())


@timeless
async def test_patience_with_an_account_that_only_refuses_ends() -> None:
    """After ten minutes of only refusals every item has its RateLimited, and no storm was sent."""
    shop = Shop(lambda _, __: answer(429, error="slow"))
    async with Pool(*keyless("a"), connection=shop) as pool:
        found = await bulk(pool, pairs("a", 1000), 10)
        assert {type(item.error) for item in found} == {RateLimited}
        assert MAX_THROTTLED_SECONDS - 60 < now() < MAX_THROTTLED_SECONDS + 60
    assert len({id(item.error) for item in found}) == 1000
    assert len(shop.seen) < 100


@pytest.mark.parametrize("case", ["the login", "every look-up"])
def test_wrong_credentials_make_no_storm_of_logins(case: str) -> None:
    """1,000 items with refused credentials each get that error, after two logins at most."""

    async def main() -> None:
        logins = 0

        def say(outgoing: PreparedRequest, id: str) -> Response:
            nonlocal logins
            if outgoing.url.startswith("https://good."):
                return answer(id=id, status="OK")
            if id == "login":
                logins += 1
                return (
                    answer(401, error="stale")
                    if case == "the login"
                    else answer(token=f"t{logins}")
                )
            return answer(401, error="stale")

        shop = Shop(say)
        items = [*pairs("bad", 1000), *pairs("good", 100)]
        drivers = [Toy(account="bad", base_url="https://bad.example"), *keyless("good")]
        async with Pool(*drivers, connection=shop) as pool:
            found = await bulk(pool, items, 20)
        assert {type(item.error) for item in found[:1000]} == {AuthenticationFailed}
        assert [item.error for item in found[1000:]] == [None] * 100
        assert logins <= 2
        assert len(shop.seen) - 100 - logins < 4 * (20 + MAX_DENIALS)

    run(main())


@timeless
async def test_a_few_refused_items_are_not_held_against_the_others() -> None:
    """Items that the account may not see, few in a row, leave the rest verified."""

    def say(_: PreparedRequest, id: str) -> Response:
        return (
            answer(401, error="stale")
            if int(id.rpartition("-")[2]) % 10
            else answer(id=id, status="OK")
        )

    async with Pool(*keyless("a"), connection=Shop(say)) as pool:
        found = await bulk(pool, pairs("a", 200), 1)
    assert [item.index for item in found if item.payment] == list(range(0, 200, 10))
    assert {type(item.error) for item in found if item.error} == {AuthenticationFailed}


@timeless
async def test_an_account_that_was_given_up_is_tried_again_after_a_minute() -> None:
    """In a long stream, repaired credentials are noticed."""

    def say(_: PreparedRequest, id: str) -> Response:
        return answer(401, error="stale") if now() < 30 else answer(id=id, status="OK")

    async with Pool(*keyless("a"), connection=Shop(say)) as pool:
        found = await bulk(pool, stream(pairs("a", 200), 1.0), 5)
    bad = [item.index for item in found if item.error]
    assert bad == list(range(len(bad)))
    assert 60 < len(bad) < 100


@pytest.mark.parametrize("shape", [iter, stream])
@pytest.mark.parametrize("awaited", [True, False])
def test_an_error_of_the_items_ends_it(shape: Callable[[Any], Any], awaited: bool) -> None:
    """If the caller's iterable fails, running look-ups end, then it is raised after the results."""

    async def main() -> None:
        shop = Shop(slow=9.0)

        def broken() -> Iterator[tuple[str, str]]:
            yield ("slow", "p0")
            yield ("a", "p1")
            yield ("a", "p2")
            raise LookupError("row 3")

        items = stream(broken(), 0.5) if shape is stream else broken()
        seen: list[Verified[Any]] = []

        async def take() -> None:
            async with bulk(pool, items) as found:
                seen.extend([item async for item in found])

        async def walk() -> None:
            async for item in bulk(pool, items):
                seen.append(item)  # noqa: PERF401 - what was handed over before the error counts

        async with Pool(*keyless("slow", "a"), connection=shop) as pool:
            with pytest.raises(LookupError, match="row 3"):
                await (take() if awaited else walk())
            assert tasks() == 0
            assert now() < 2
        if shape is stream:
            assert shop.cut == 1
            assert awaited or [item.index for item in seen] == [1]

    run(main())


@timeless
async def test_progress_tells_how_far_it_is() -> None:
    """`progress` is called at most ten times a second, with rate and time left, and at the end."""
    told: list[tuple[float, Progress]] = []
    items = [*pairs("a", 990), *[("nobody", "p")] * 10]
    async with Pool(*keyless("a"), connection=Shop(latency=1.0)) as pool:
        await bulk(pool, items, 50, lambda progress: told.append((now(), progress)))
        assert now() == pytest.approx(20, abs=0.1)
    times = [when for when, _ in told[:-1]]
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(times))
    last = told[-1][1]
    assert (last.done, last.failed, last.total, last.left) == (1000, 10, 1000, 0.0)
    middle = next(progress for _, progress in told if progress.done >= 500)
    assert middle.rate == pytest.approx(50, rel=0.2)
    assert middle.left == pytest.approx((1000 - middle.done) / middle.rate)
    assert sum(progress.done == 1000 for _, progress in told) <= 2


@pytest.mark.parametrize(
    ("items", "total"), [(iter([("a", "p1")]), None), ([], 0), ([("a", "p1")], 1)]
)
def test_progress_says_what_it_does_not_know(items: Any, total: int | None) -> None:
    """The total of an iterator is None; an empty input is reported once, too."""

    async def main() -> None:
        told: list[Progress] = []
        async with Pool(*keyless("a"), connection=Shop()) as pool:
            found = await bulk(pool, items, 50, told.append)
        assert (told[-1].done, told[-1].total) == (len(found), total)
        assert [progress.left for progress in told if progress.total is None] == [None] * (
            total is None
        ) * len(told)

    run(main())


def test_the_rate_is_of_late() -> None:
    """A burst of a minute ago is not in the rate."""
    told: list[Progress] = []
    meter = ProgressReporter(told.append, None, 0.0)
    for number in range(1000):
        meter.count(number / 1000, failed=False)
    for number in range(60):
        meter.count(1.0 + number, failed=False)
    assert told[8].rate == pytest.approx(1000, rel=0.02)
    assert told[-1].rate == pytest.approx(1, rel=0.3)


@pytest.mark.parametrize("at", [1, 400, 1000])
def test_an_error_of_progress_ends_it(at: int) -> None:
    """An error of `progress` is raised to the consumer, also at the end, and nothing runs on."""

    async def main() -> None:
        def tell(progress: Progress) -> None:
            if progress.done >= at:
                raise ZeroDivisionError("bar")

        async with Pool(*keyless("a"), connection=Shop()) as pool:
            with pytest.raises(ZeroDivisionError, match="bar"):
                await bulk(pool, pairs("a", 1000), 7, tell)
            assert tasks() == 0

    run(main())


@pytest.mark.parametrize("shape", [list, iter, stream])
def test_leaving_half_way_leaves_nothing(shape: Callable[[Any], Any]) -> None:
    """After a break the look-ups in flight end, no task is left, and the pool can be used."""

    async def main() -> None:
        shop = Shop(slow=30.0)
        closed: list[str] = []

        async def source() -> AsyncIterator[tuple[str, str]]:
            try:
                for item in items:
                    yield item
            finally:
                closed.append("closed")

        items = [
            item for both in zip(pairs("a", 500), pairs("slow", 500), strict=True) for item in both
        ]
        async with Pool(*keyless("a", "slow"), connection=shop) as pool:
            async with bulk(pool, source() if shape is stream else shape(items), 10) as found:
                async for item in found:
                    if item.index > 20:
                        break
            assert tasks() == 0
            assert shop.flying["all"] == 0
            assert shop.cut >= 5
            assert closed == (["closed"] if shape is stream else [])
            assert [item async for item in found] == []
            assert (await pool.verify("a", "p1")).status is Status.SUCCEEDED

    run(main())


@timeless
async def test_a_body_that_fails_ends_it_too() -> None:
    """An error in the caller's loop leaves `async with`, and nothing is left behind."""
    async with Pool(*keyless("a"), connection=Shop()) as pool:

        async def trip() -> None:
            async with bulk(pool, endless("a")) as found:
                async for _ in found:
                    raise LookupError

        with pytest.raises(LookupError):
            await trip()
        assert tasks() == 0


async def scoped(work: Awaitable[Any], seconds: float) -> None:
    """Let a scope of anyio cancel some work."""
    with anyio.fail_after(seconds):
        await work


@pytest.mark.parametrize("limited", [asyncio.wait_for, scoped])
@pytest.mark.parametrize("way", ["await", "for", "with"])
def test_cancelling_the_consumer_ends_it(way: str, limited: Callable[..., Awaitable[Any]]) -> None:
    """After a time-out from outside, its look-ups end first; also with anyio."""

    async def main() -> None:
        shop = Shop(slow=30.0)
        async with Pool(*keyless("slow"), connection=shop) as pool:
            many = bulk(pool, pairs("slow", 100), 10)

            async def consume() -> None:
                if way == "await":
                    await many
                elif way == "for":
                    async for _ in many:
                        pass
                else:
                    async with many:
                        await anext(many)

            with pytest.raises(TimeoutError):
                await limited(consume(), 1.0)
            assert now() == pytest.approx(1.0)
            assert (tasks(), shop.cut) == (0, 10)

    run(main())


@timeless
async def test_a_step_that_times_out_loses_nothing() -> None:
    """`wait_for` around steps inside `async with` can be repeated until all results are taken."""
    seen = []
    async with (
        Pool(*keyless("a"), connection=Shop(latency=1.0)) as pool,
        bulk(pool, pairs("a", 30), 4) as found,
    ):
        while True:
            try:
                seen.append((await asyncio.wait_for(anext(found), 0.13)).index)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                break
    assert sorted(seen) == list(range(30))


@timeless
async def test_a_result_that_comes_with_the_cancellation_is_kept() -> None:
    """A step cancelled at the moment of its result leaves the result to the next step."""
    loop = asyncio.get_running_loop()
    steps: list[asyncio.Task[Verified[Any]]] = []

    def tell(_: Progress) -> None:
        loop.call_soon(steps[-1].cancel)  # after the result came, and before the step goes on

    pool = Pool(*keyless("a"), connection=Shop(latency=1.0))
    async with pool, bulk(pool, pairs("a", 3), 1, tell) as found:
        for index in range(3):
            steps.append(loop.create_task(_next(found)))
            with pytest.raises(asyncio.CancelledError):
                await steps[-1]
            assert (await anext(found)).index == index


async def _next(found: Bulk[Any]) -> Verified[Any]:
    return await anext(found)


@timeless
async def test_dropped_half_way_it_warns_and_ends() -> None:
    """Without `async with`, an interrupted iterator warns, and its look-ups end."""
    shop = Shop(slow=30.0)
    async with Pool(*keyless("a", "slow"), connection=shop) as pool:
        items = [
            item for both in zip(pairs("a", 50), pairs("slow", 50), strict=True) for item in both
        ]
        with pytest.warns(ResourceWarning, match="async with"):
            await _break_off(bulk(pool, items))
        await settle()
        assert tasks() == 0
        assert shop.flying["all"] == 0


async def _break_off(found: Bulk[Any]) -> None:
    async for _ in found:
        break


@timeless
async def test_run_to_its_end_it_warns_of_nothing() -> None:
    """A plain `async for` to the end, or to the last result, needs no `async with`."""
    async with Pool(*keyless("a"), connection=Shop()) as pool:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert len([item async for item in bulk(pool, pairs("a", 5))]) == 5
            one = bulk(pool, pairs("a", 1))
            await anext(one)
            del one
            gc.collect()
        await settle()
        assert [str(warning.message) for warning in caught] == []
        assert tasks() == 0


@timeless
async def test_never_used_it_warns() -> None:
    """A `verify_many` without an await or a loop warns; one that was refused does not."""
    async with Pool(*keyless("a"), connection=Shop()) as pool:
        with pytest.warns(RuntimeWarning, match="never awaited"):
            bulk(pool, [])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(UsageError):
                bulk(pool, [], 0)
            gc.collect()
        assert caught == []


async def _quiet() -> AsyncIterator[tuple[str, str]]:
    yield ("a", "p1")
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    "items", [pairs("a", 500), pairs("narrow", 500), _quiet()], ids=["a", "waiting", "quiet"]
)
def test_closing_the_pool_ends_it(items: Any) -> None:
    """An iterating consumer gets UsageError when the pool closes; no task is left."""

    async def main() -> None:
        pool = Pool(*keyless("a"), Narrow(), connection=Shop())
        found = bulk(pool, items, 5)
        await anext(found)

        async def walk() -> None:
            async for _ in found:
                await asyncio.sleep(0.3)

        walking = asyncio.ensure_future(walk())
        await asyncio.sleep(1.0)
        await pool.aclose()
        assert tasks() <= 1
        with pytest.raises(UsageError, match="closed"):
            await walking
        assert now() < 5
        assert [item async for item in found] == []
        with pytest.raises(UsageError, match="closed"):
            await bulk(pool, [])

    run(main())


@timeless
async def test_one_consumer_at_a_time() -> None:
    """A second task that iterates, or a later `await`, is UsageError; the first goes on."""
    async with Pool(*keyless("a"), connection=Shop()) as pool, bulk(pool, pairs("a", 2)) as found:
        first = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="two tasks"):
            await anext(found)
        with pytest.raises(UsageError, match="begun"):
            await found
        assert (await first).index == 0
        assert (await anext(found)).index == 1
        with pytest.raises(StopAsyncIteration):
            await anext(found)
        assert [item async for item in found] == []


def test_it_stays_in_its_loop() -> None:
    """Begun in one loop, it is UsageError in another, and can be dropped there."""
    pool = Pool(*keyless("a"), connection=Shop())
    found = bulk(pool, pairs("a", 100), 5)

    async def begin() -> None:
        await anext(found)

    async def go_on() -> None:
        with pytest.raises(UsageError, match="another event loop"):
            await anext(found)
        await found.aclose()
        await pool.aclose()

    asyncio.run(begin())
    asyncio.run(go_on())


@timeless
async def test_a_worker_that_is_cancelled_from_outside_ends_it() -> None:
    """When all tasks are cancelled, as at the end of a program, no consumer waits for ever."""
    async with Pool(*keyless("a"), connection=Shop()) as pool:
        step = asyncio.ensure_future(anext(bulk(pool, pairs("a", 50), 5)))
        await asyncio.sleep(0.05)
        for task in asyncio.all_tasks() - {asyncio.current_task(), step}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        assert tasks() == 0


BAD_ONES = [("nobody", "p")] * 20_000
WAITING = [*[("a", "p")] * 20_000, ("b", "last")]


@pytest.mark.parametrize(
    ("items", "shape"), [(BAD_ONES, list), (BAD_ONES, iter), (BAD_ONES, stream), (WAITING, list)]
)
def test_it_never_keeps_the_loop_for_itself(items: Any, shape: Callable[[Any], Any]) -> None:
    """Any number of items without a look-up leaves the event loop to other tasks."""

    async def main() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while not (found._run and found._run._items._count == len(items)):
                await asyncio.sleep(0)
                turns += 1

        async with (
            Pool(*keyless("a", "b"), connection=Shop()) as pool,
            bulk(pool, shape(items)) as found,
        ):
            other = asyncio.ensure_future(others())
            async for _ in found:
                if other.done():
                    break
            await other
        assert turns >= len(items) // 1000

    run(main())


@pytest.mark.parametrize("seed", range(150))
def test_whatever_comes_together_every_item_has_one_result(seed: int) -> None:
    """Random accounts, latencies, refusals and bad items: one result each, no deadlock."""

    async def main() -> None:
        if seed % 3 == 0:
            eagerly()
        dice = random.Random(seed)
        names = dice.sample("abcdef", dice.randint(1, 6))
        count, at_once = dice.choice([0, 1, 7, 60, 300]), dice.choice([1, 2, 3, 4, 5, 8, 13, 50])
        pauses = [dice.choice([0.0, 0.0, 0.001, 0.05, 3.0]) for _ in range(40)]

        def item(number: int) -> Any:
            if dice.random() < 0.05:
                return dice.choice(BAD)
            return (dice.choice(names), f"x-{dice.randint(0, 2 * count)}")

        def say(_: PreparedRequest, id: str) -> Response:
            chance = dice.random()
            if chance < 0.05:
                return answer(429, dice.choice([{}, {"retry-after": "2"}]), error="slow")
            if chance < 0.1:
                raise TransportError("cut off")
            if chance < 0.15:
                return answer(dice.choice([401, 404, 500]), error=dice.choice(["stale", None]))
            return answer(id=id, status="OK")

        async def slowly(items: list[Any]) -> AsyncIterator[Any]:
            for number, one in enumerate(items):
                if dice.random() < 0.5:
                    await asyncio.sleep(pauses[number % 40])
                yield one

        items = [item(number) for number in range(count)]
        latencies: dict[str, float] = {name: dice.choice([0.0, 0.01, 0.3, 5.0]) for name in names}
        shop = Shop(say, **latencies)
        shapes: list[Callable[[Any], Any]] = [list, iter, stream, slowly]
        shape = dice.choice(shapes)
        async with Pool(*keyless(*"abcdef"), Keyless(), connection=shop) as pool:
            seen = []
            async with bulk(pool, shape(items), at_once) as found:
                async for one in found:
                    seen.append(one)
                    if dice.random() < 0.2:
                        await asyncio.sleep(dice.choice(pauses))
            assert sorted(one.index for one in seen) == list(range(count))
            assert all(one.asked is items[one.index] for one in seen)
            assert shop.most["all"] <= at_once

    run(main())


@timeless
async def test_eager_tasks_begin_nothing_inside_each_other() -> None:
    """With eager tasks, a thousand slots and items that fail at once, each item has its result."""
    eagerly()
    async with Pool(Keyless(), connection=Shop()) as pool:
        found = await bulk(pool, [Payment(account="keyless", reference="order-1")] * 5000, 1000)
    assert [type(item.error) for item in found] == [UsageError] * 5000


@pytest.mark.slow
@timeless
async def test_ten_thousand_with_faults_and_duplicates() -> None:
    """One result for each of 10,000, errors in the right items, and never too many in flight."""
    dice = random.Random(16)
    faulty = {f"a-{number}" for number in range(10_000) if dice.random() < 0.05}
    broken = {id: dice.choice(["down", "html", "gone", "other"]) for id in sorted(faulty)}

    def say(_: PreparedRequest, id: str) -> Response:
        match broken.get(id):
            case "down":
                raise TransportError("cut off")
            case "html":
                return Response(status=200, body=b"<html>")
            case "gone":
                return answer(404)
        return answer(id=id, status="OK", amount=900 if id in broken else 500, currency="XAF")

    def item(number: int) -> Payment | tuple[str, str]:
        # five in a hundred are duplicates
        id = f"a-{number - 1}" if number % 20 == 19 else f"a-{number}"
        return (
            Payment(account="a", provider_reference=id, amount=Decimal(500))
            if number % 2
            else ("a", id)
        )

    expected = {"down": Unavailable, "html": Unavailable, "gone": NotFound, "other": Mismatch}
    shop = Shop(say)
    count = 0
    items = (item(number) for number in range(10_000))
    async with Pool(*keyless("a"), connection=shop) as pool, bulk(pool, items) as found:
        indexes = set()
        async for one in found:
            count += 1
            indexes.add(one.index)
            asked = item(one.index)
            id = asked[1] if isinstance(asked, tuple) else asked.provider_reference
            kind = expected.get(broken.get(id or "", ""))
            if kind is Mismatch and isinstance(asked, tuple):
                kind = None
            assert type(one.error) is (kind or type(None))
            assert one.payment is None or one.payment.provider_reference == id
    assert (count, indexes) == (10_000, set(range(10_000)))
    assert 40 < shop.most["all"] <= 50  # a duplicate in flight waits for the other's answer


@timeless
async def test_an_endless_input_takes_no_memory() -> None:
    """After 1,500 results of a stream no more memory is held than after 500."""
    shop = Shop()
    held = []
    async with Pool(*keyless("a"), connection=shop) as pool, bulk(pool, endless("a")) as found:
        tracemalloc.start()
        async for item in found:
            shop.seen.clear()
            if item.index in (500, 1500):
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
            if len(held) == 2:
                break
        tracemalloc.stop()
    assert held[1] - held[0] < 100_000


@timeless
async def test_ten_thousand_cancelled_midway() -> None:
    """Cancelled half-way through 10,000, every task ends at once, and nothing more is sent."""
    shop = Shop()
    async with Pool(*keyless("a"), connection=shop) as pool:
        many = asyncio.ensure_future(_list(bulk(pool, pairs("a", 10_000))))
        await asyncio.sleep(10.0)
        many.cancel()
        with pytest.raises(asyncio.CancelledError):
            await many
        assert tasks() == 0
        sent = len(shop.seen)
        await asyncio.sleep(60.0)
        assert len(shop.seen) == sent
        assert 4000 < sent < 6000


async def _list(many: Bulk[Any]) -> list[Verified[Any]]:
    return await many


async def test_over_real_sockets_no_connection_is_left_half_read() -> None:
    """Left half-way over sockets, no task is left, and the next look-up gets its own answer."""
    before = asyncio.all_tasks()
    async with Simulator(latency=0.02) as sim, Pool(sim.driver("campay")) as pool:
        payments = [
            await pool.collect(
                "campay",
                amount=100 + n,
                currency="XAF",
                payer="237677777777",
                reference=f"order-{n}",
            )
            for n in range(20)
        ]
        serving = asyncio.all_tasks()
        async with bulk(pool, payments * 5, 10) as found:
            async for item in found:
                assert item.error is None
                if item.index > 10:
                    break
        await asyncio.sleep(0.1)
        ours = {task for task in asyncio.all_tasks() - serving if "paymux/bulk/" in repr(task)}
        assert ours == set()
        again = await bulk(pool, payments, 10)
        assert [item.payment and item.payment.amount for item in again] == [
            100 + n for n in range(20)
        ]
    assert asyncio.all_tasks() - before == set()
