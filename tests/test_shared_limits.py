"""Workers of a journal share each stated limit: no window that the provider counts is too full."""

import asyncio
import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from paymux.errors import RateLimited
from paymux.journal.sqlite.schema import prepare
from paymux.journal.stored.places import StoredPlaces
from paymux.limits import Limiter, Priority, SharedLimits, fair_shares

from .toys import START, now, run, timeless

DEADLINE = 5.0  # seconds of a verb


class World:
    """One journal, its living workers, and a provider that counts what reaches it."""

    def __init__(self, stated: tuple[int, float], chance: random.Random | None = None) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        prepare(self.db)
        self.stated = stated
        self.chance = chance or random.Random(1)
        self.living: set[str] = set()
        self.seen: list[float] = []
        self.trips = 0
        self.away = self.closed = False  # the journal cannot be used
        self.latency = 0.0  # seconds of a trip to the journal, and of a request, each way, at most
        self.lost = 0.0  # the share of the journal's answers that are lost
        self._numbers = itertools.count(1)

    def worker(self) -> "Shop":
        """Start a worker."""
        name = f"worker-{next(self._numbers)}"
        self.living.add(name)
        return Shop(self, name)

    def fullest(self) -> int:
        """Return the most requests in any window of the provider's."""
        times, (_, seconds), first, most = sorted(self.seen), self.stated, 0, 0
        for last, when in enumerate(times):
            while times[first] <= when - seconds + 1e-9:
                first += 1
            most = max(most, last - first + 1)
        return most

    def sent(self, since: float, until: float) -> int:
        """Count the requests that reached the provider in a period."""
        return sum(since <= when - START < until for when in self.seen)


@contextmanager
def world(stated: tuple[int, float], chance: random.Random | None = None) -> Iterator[World]:
    """Open a world, and close its journal."""
    found = World(stated, chance)
    try:
        yield found
    finally:
        found.db.close()
        found.closed = True


class Shop:
    """A worker: its limiter, and callers that look up without end, or now and then."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.suspended = world, name, False
        self.shared = SharedLimits(StoredPlaces(self._do, self), DEADLINE)
        self.limiter = self.shared.add(Limiter("toy", {"look-up": world.stated}))
        for borrower in self.shared._borrowers:
            borrower._holder = name  # the same in each run
        self.tasks: list[asyncio.Task[None]] = []
        self.in_flight: set[asyncio.Task[None] | None] = set()
        self.waits: list[float] = []

    suspended = False
    cut_off = False  # from the journal, as others are not

    def lives(self, name: str | None) -> bool:
        return name in self.world.living

    def may_act(self, name: str | None) -> bool:
        return self.lives(name)

    async def _do(self, operation: Callable[[Any], Any]) -> Any:
        """Run an operation as the journal does: it runs, also if its caller hears nothing of it."""
        world = self.world
        world.trips += 1
        await asyncio.sleep(world.chance.uniform(0, world.latency))
        if world.away or self.cut_off:
            raise OSError("the journal is away")
        if self.name not in world.living:
            raise OSError("killed")
        lost = world.chance.random() < world.lost
        if lost and world.chance.random() < 0.5:  # cut off, and done later than those that follow
            late = world.chance.uniform(0, 20.0)
            asyncio.get_running_loop().call_later(late, self._done_late, operation)
            raise OSError("the connection was lost")
        found = operation(world.db)
        await asyncio.sleep(world.chance.uniform(0, world.latency))
        if lost:
            raise OSError("the answer was lost")
        return found

    def _done_late(self, operation: Callable[[Any], Any]) -> None:
        if not self.world.closed:
            operation(self.world.db)

    @property
    def held(self) -> int:
        """Return how many requests per window it may send."""
        return self.limiter._lookup_window.count

    async def request(self) -> None:
        """Send one request, which reaches the provider some time after it was sent."""
        world, began = self.world, now()
        await self.limiter.acquire(money=False, priority=Priority.NOW, deadline=float("inf"))
        self.waits.append(now() - began)
        try:
            self.in_flight.add(asyncio.current_task())
            out = world.chance.uniform(0, world.latency)
            # What has left reaches the provider, also if its sender dies.
            world.seen.append(asyncio.get_running_loop().time() + out)
            await asyncio.sleep(out + world.chance.uniform(0, world.latency))
        finally:
            self.limiter.release(money=False)
            self.in_flight.discard(asyncio.current_task())

    def work(self, callers: int, pause: float = 0.0) -> None:
        """Let callers send requests without end, each after a random pause of its own."""

        async def caller() -> None:
            while asyncio.current_task() in self.tasks:
                await asyncio.sleep(self.world.chance.uniform(0, 2 * pause))
                await self.request()

        self.tasks += [asyncio.create_task(caller()) for _ in range(callers)]

    async def rest(self) -> None:
        """Let the callers stop, each after its request in flight."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            if task not in self.in_flight:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def kill(self) -> None:
        """End as a killed process does: it gives nothing back."""
        self.world.living.discard(self.name)
        self.shared.suspend()
        self.in_flight.clear()
        await self.rest()

    async def close(self) -> None:
        """End in an orderly way."""
        await self.rest()
        await self.shared.end()
        self.world.living.discard(self.name)


@pytest.mark.parametrize(
    ("count", "wanted", "shares"),
    [
        (10, {"a": 3, "b": 4}, {"a": 3, "b": 4}),
        (10, {"a": 3, "b": 40, "c": 40}, {"a": 3, "b": 4, "c": 3}),
        (10, {"a": 40, "b": 40, "c": 41}, {"a": 4, "b": 3, "c": 3}),
        (1, {"b": 1, "a": 1}, {"a": 1, "b": 0}),
        (0, {"a": 1}, {"a": 0}),
    ],
)
def test_shares_are_fair(count: int, wanted: dict[str, int], shares: dict[str, int]) -> None:
    """Who wants little gets it; the others get equal parts of the rest, to the last place."""
    assert fair_shares(count, wanted) == shares


async def _chaos(seed: int) -> None:
    """Let workers come, go, work, rest and die at random, with slow trips and lost answers."""
    chance = random.Random(seed)
    stated = chance.choice([(50, 1.0), (2, 10.0), (7, 3.0), (1, 1.0), (100, 60.0)])
    with world(stated, chance) as one:
        one.latency, one.lost = chance.choice([0.0, 0.05, 0.2]), chance.choice([0.0, 0.2])
        shops = [one.worker() for _ in range(chance.randint(1, 4))]
        shops[0].work(3)
        for _ in range(25):
            shop = chance.choice(shops)
            match chance.randrange(9):
                case 0 | 1 | 2:
                    shop.work(chance.choice([1, 3, 30, 150]), chance.choice([0.0, 0.5, 5.0]))
                case 3:
                    await shop.rest()
                case 4:
                    shops.append(one.worker())
                case 5 if len(shops) > 1:
                    shops.remove(shop)
                    await (shop.close() if chance.random() < 0.5 else shop.kill())
                case 6:
                    one.away = not one.away
                case 7:  # a database that starts again has no locks, for a moment
                    living, one.living = one.living, set()
                    await asyncio.sleep(chance.uniform(0, 3.0))
                    one.living |= living
                case _:  # others take it for dead, for a while
                    shop.shared.suspend()
                    one.living.discard(shop.name)
                    await asyncio.sleep(chance.uniform(0, 20.0))
                    one.living.add(shop.name)
                    shop.shared.resume()
            await asyncio.sleep(chance.uniform(0, 3 * stated[1]))
        one.away = False
        for shop in shops:
            await shop.close()
        assert one.fullest() <= stated[0], (seed, one.fullest(), stated, one.latency, one.lost)


@pytest.mark.parametrize("seed", range(40))
def test_no_window_is_too_full_whatever_happens(seed: int) -> None:
    """Slow trips, lost answers, a journal away, deaths, self-stops: never more than the limit."""
    run(_chaos(seed))


@timeless
async def test_one_alone_has_all_that_it_needs() -> None:
    """A worker alone uses the whole limit, from its first requests on."""
    with world((50, 1.0)) as one:
        shop = one.worker()
        shop.work(200)
        await asyncio.sleep(10.5)
        assert one.fullest() == 50
        assert one.sent(0, 10) == 500
        await shop.close()


@timeless
async def test_places_follow_the_demand() -> None:
    """A second worker gets its part within three windows, and all of it once the first rests."""
    with world((50, 1.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(200)
        await asyncio.sleep(5)
        assert (first.held, second.held) == (50, 0)
        second.work(200)
        await asyncio.sleep(3)
        assert (first.held, second.held) == (25, 25)
        await first.rest()
        await asyncio.sleep(3)
        assert second.held >= 45
        assert one.fullest() == 50
        await first.close()
        await second.close()


@timeless
async def test_a_worker_with_nothing_to_do_holds_few() -> None:
    """Half a minute after its last request a worker has one place, and no request waited for it."""
    with world((50, 1.0)) as one:
        shops = [one.worker() for _ in range(8)]
        for shop in shops:
            await shop.shared.ready()
        assert all(1 <= shop.held <= 4 for shop in shops)
        shops[0].work(200)
        await asyncio.sleep(3)
        assert shops[0].held >= 42
        await shops[0].rest()
        await asyncio.sleep(30)
        assert shops[0].held == 1
        for shop in shops:
            await shop.close()


@timeless
async def test_a_calm_account_never_waits_for_the_journal() -> None:
    """Places are asked for before they are needed, so that a slow journal costs no time."""
    with world((50, 1.0), random.Random(7)) as one:
        shops = [one.worker() for _ in range(4)]
        for shop in shops:
            await shop.shared.ready()
        one.latency = 0.2  # seconds
        before = one.trips
        for shop in shops:
            shop.work(4, pause=2.0)
        await asyncio.sleep(60)
        waits = sorted(wait for shop in shops for wait in shop.waits)
        assert len(waits) > 300
        assert waits[len(waits) * 99 // 100] == 0
        assert (one.trips - before) / len(waits) <= 0.35
        for shop in shops:
            await shop.close()


@timeless
async def test_many_busy_workers_cost_few_trips() -> None:
    """Eight workers that all want everything: the exact ceiling is used, at a third of a trip."""
    with world((50, 1.0)) as one:
        shops = [one.worker() for _ in range(8)]
        one.latency = 0.2
        for shop in shops:
            shop.work(40)
        await asyncio.sleep(10)
        before = one.trips
        await asyncio.sleep(30)
        sent = one.sent(10, 40)
        assert (
            sent >= 0.95 * 30 * 50 / 1.2
        )  # each place is used once a window and a way there and back
        assert (one.trips - before) / sent <= 0.2
        assert one.fullest() <= 50
        for shop in shops:
            await shop.close()


@timeless
async def test_the_places_of_the_dead_come_back() -> None:
    """They count as used for a deadline and a window more: what was sent may still arrive."""
    with world((50, 1.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(200)
        await asyncio.sleep(5)
        await first.kill()
        second.work(200)
        await asyncio.sleep(DEADLINE + 1 - 0.1)
        assert second.held == 0
        await asyncio.sleep(2.1)
        assert second.held == 50
        await second.close()


@timeless
async def test_an_orderly_end_gives_back_at_once() -> None:
    """What was unused is free at once, and the rest a window later: no deadline is waited for."""
    with world((50, 10.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(20, pause=10.0)
        await asyncio.sleep(9)
        used = len(one.seen)
        assert 0 < used < 20
        await first.close()
        second.work(200)
        await asyncio.sleep(0.5)
        assert second.held == 50 - used
        await asyncio.sleep(12)
        assert second.held == 50
        await second.close()


@timeless
async def test_while_the_journal_is_away_the_places_held_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It takes no more and gives nothing back; one record says so, and it asks again by itself."""
    with world((50, 1.0)) as one:
        shop = one.worker()
        shop.work(10, pause=1.0)
        await asyncio.sleep(4.5)
        held = shop.held
        assert 0 < held < 50
        one.away = True
        shop.work(100)
        await asyncio.sleep(10)
        assert shop.held == held
        assert caplog.text.count("the places of its limit do not move") == 1
        one.away = False
        await asyncio.sleep(3)
        assert shop.held == 50
        await shop.close()


@timeless
async def test_a_worker_that_only_seemed_dead_keeps_its_places() -> None:
    """A database that starts again has no locks for a moment: nothing is taken for that."""
    with world((10, 1.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(20)
        await asyncio.sleep(2.5)
        first.cut_off = True  # so it cannot say itself that it lives
        one.living.discard(first.name)
        second.work(20)
        await asyncio.sleep(1)
        one.living.add(first.name)
        await asyncio.sleep(DEADLINE + 10)
        assert (first.held, second.held) == (10, 0)
        assert one.fullest() == 10
        await first.close()
        await second.close()


@timeless
async def test_a_suspended_worker_uses_no_places() -> None:
    """It sends nothing until it is resumed, and then only with what is still its own."""
    with world((10, 1.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(20)
        await asyncio.sleep(2.5)
        first.shared.suspend()
        one.living.discard(first.name)
        sent = len(one.seen)
        await asyncio.sleep(1)
        assert len(one.seen) == sent
        second.work(20)
        await asyncio.sleep(10)
        assert second.held == 10
        one.living.add(first.name)
        first.shared.resume()
        await asyncio.sleep(10)
        assert (first.held, second.held) == (5, 5)
        assert one.fullest() == 10
        await first.close()
        await second.close()


@timeless
async def test_a_full_window_is_refused_with_the_time_to_wait() -> None:
    """If ended workers hold all, the error says when their places are free."""
    with world((2, 10.0)) as one:
        first, second = one.worker(), one.worker()
        first.work(5)
        await asyncio.sleep(1)
        await first.kill()
        await second.shared.ready()
        with pytest.raises(RateLimited) as caught:
            await second.limiter.acquire(
                money=False, priority=Priority.NOW, deadline=START + now() + 1
            )
        assert caught.value.retry_after == pytest.approx(DEADLINE + 10)
        await second.close()
