"""The open watches of a pool, indexed by each id of their payment, and their poll queues."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ..drivers._pushed import Pushed
from ..drivers.base import Driver
from ..errors import AuthenticationFailed, Mismatch, NotFound, UsageError
from ..limits import Limiter
from ..models import Event, Kind, Payment
from .keys import RegistryKey, agree, are_compatible, registry_keys
from .news import is_news, news_of
from .poll_queue import MAX_IN_FLIGHT, PollQueue
from .push import PushSockets
from .refusals import DenialCounter
from .registered import LookupResult, PollState, RegisteredWatch, WatchRef
from .schedule import LookupKey, Schedules

if TYPE_CHECKING:
    from ..journal import Journal

# watches that are notified in one step of the event loop, so that no step is long
WATCHES_PER_STEP = 500

Held: TypeAlias = WatchRef | set[WatchRef]  # a set only if several watch the same payment


class WatchRegistry:
    """The open watches of a pool, indexed by each id of their payment, and their poll queues."""

    def __init__(
        self,
        look_up: Callable[[Payment, float], Awaitable[Payment]],
        driver: Callable[[str], Driver],
        frames: Callable[[Pushed], AsyncGenerator[str | bytes]],
        limiter: Callable[[Driver], Limiter],
        loop: Callable[[], asyncio.AbstractEventLoop | None],
        journal: "Journal | None",
    ) -> None:
        self.look_up = look_up
        self.driver = driver  # that an account has now
        self._loop = loop  # returns the loop in which the pool was last used
        self.push = PushSockets(frames, self.on_push)
        self.closed = False
        self.schedules = Schedules()
        self._refusals = DenialCounter()
        self._limiter = limiter
        self._queues: dict[str, PollQueue] = {}
        self._pushed: set[str] = set()  # cached: the check of a protocol takes microseconds
        self._by_key: dict[tuple[str, ...], dict[str, Held]] = {}
        self.news = news_of(journal, partial(self.deliver, row=True), loop)  # of other workers

    def queue(self, driver: Driver) -> PollQueue:
        """Return the poll queue of an account."""
        queue = self._queues.get(driver.account)
        if queue is None:
            stated = driver.limits.get("look-up")
            at_once = MAX_IN_FLIGHT if stated is None else stated[0]
            queue = PollQueue(self._limiter(driver), at_once=at_once)
            self._queues[driver.account] = queue
            if isinstance(driver, Pushed):
                self._pushed.add(driver.account)
        return queue

    def lag(self, account: str) -> float:
        """Return how late an account's look-ups run now, in seconds."""
        queue = self._queues.get(account)
        return 0.0 if queue is None else queue.lag()

    def loads(self, drivers: Mapping[str, Driver]) -> list[tuple[Driver, int, float]]:
        """List accounts with their open watches and their lag; callable from any thread."""
        queues = list(self._queues.items())
        return [(drivers[account], queue.open(), queue.lag()) for account, queue in queues]

    def add(self, watch: RegisteredWatch, *, current: bool = False) -> None:
        """Index a watch under each id of its payment; `current`: it was read in the journal now."""
        hash(watch.ref)  # the hash is cached now: it cannot be computed once the watch is gone
        for shelf, id in registry_keys(watch.payment):
            shelved = self._by_key.setdefault(shelf, {})
            held = shelved.setdefault(id, watch.ref)
            if isinstance(held, set):
                held.add(watch.ref)
            elif held() not in (watch, None):
                shelved[id] = {held, watch.ref}
            else:
                shelved[id] = watch.ref
        if self.news is not None:
            self.news.add(watch.payment, current=current)

    def remove(self, watch: RegisteredWatch, payment: Payment) -> None:
        """Remove a watch from the index."""
        self._remove(watch.ref, registry_keys(payment))

    def discard_dead(self, one: "WatchRef", payment: Payment, driver: Driver) -> None:
        """Remove a garbage-collected watch; callable at any point, from any thread."""
        loop = self._loop()
        try:
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._forget, one, payment, driver)
                return
        except RuntimeError:  # closed a moment ago
            pass
        self._forget(one, payment, driver)

    def _forget(self, one: "WatchRef", payment: Payment, driver: Driver) -> None:
        self._remove(one, registry_keys(payment))
        if driver.account in self._pushed:
            self.push.close_if_unused(driver)

    def update_keys(self, watch: RegisteredWatch, known: Payment) -> None:
        """Index a watch under the ids that its payment has now; unchanged entries stay in place."""
        named = registry_keys(watch.payment)
        self._remove(watch.ref, [key for key in registry_keys(known) if key not in named])
        self.add(watch)

    def _remove(self, one: "WatchRef", names: list[RegistryKey]) -> None:
        for shelf, id in names:
            shelved = self._by_key.get(shelf, {})
            held = shelved.get(id)
            if isinstance(held, set):
                held.discard(one)
            if not held or held is one:
                shelved.pop(id, None)
                if self.news is not None:
                    self.news.discard((shelf, id))
                if not shelved:
                    self._by_key.pop(shelf, None)

    def listen(self, watch: RegisteredWatch, driver: Driver) -> None:
        """Listen for updates for a watch: from other workers, and from a provider that pushes."""
        if self.news is not None:
            self.news.listen()
        if driver.account not in self._queues:
            self.queue(driver)  # with it, an account is known as one that pushes
        if driver.account in self._pushed:
            self.push.subscribe(watch, driver)

    def stop_listening(self, watch: RegisteredWatch, driver: Driver) -> None:
        """Stop listening for a watch."""
        if driver.account in self._pushed:
            self.push.unsubscribe(watch, driver)

    async def share_result(
        self, asker: RegisteredWatch, subject: LookupKey, said: LookupResult, poll_state: PollState
    ) -> None:
        """Share the result of a look-up with the other watches of the same payment."""
        told: LookupResult | None = said
        self._refusals.count(asker.payment.account, said)
        if isinstance(said, Mismatch) and said.payment is not None:
            told = said.payment  # what contradicts one order may be what another expects
        elif not isinstance(
            said, Payment | UsageError | AuthenticationFailed | Mismatch | NotFound
        ):
            told = None
        others = self._others(asker, subject)
        for number, watch in enumerate(others, 1):
            if agree(asker.payment, watch.payment):
                watch.on_result(told, poll_state)
            if number % WATCHES_PER_STEP == 0:
                await asyncio.sleep(0)

    def hand_over(self, asker: RegisteredWatch, subject: LookupKey, now: float) -> None:
        """Let another watch of the same payment look up at once: this one was interrupted."""
        self._each(self._others(asker, subject), lambda watch: watch.take_over(now))

    def _others(self, asker: RegisteredWatch, subject: LookupKey) -> list[RegisteredWatch]:
        account = asker.payment.account
        shelf, id = (
            ((account,), subject)
            if isinstance(subject, str)
            else ((account, subject[0]), subject[1])
        )
        held = self._by_key.get(shelf, {}).get(id)
        return (
            [watch for watch in _living(held) if watch is not asker]
            if isinstance(held, set)
            else []
        )

    def payment_of(self, event: Event) -> Payment | None:
        """Return the payment that an open watch has for what a message claims to be about."""
        kind = event.kind
        about = self._about(event, kind)
        for watch in about:
            # The watch of the claimed kind comes first; the kind is only a claim.
            if (watch.payment.kind or "collect") == kind:
                return watch.payment
        return about[0].payment if about else None

    def on_push(self, event: Event) -> None:
        """Let the watches that an update is about look up again.

        All of the account if it names none.
        """
        if registry_keys(event.claims):
            for watch in self._about(event, event.kind):
                watch.look_soon()
            return
        account = [shelved for shelf, shelved in self._by_key.items() if shelf[0] == event.account]
        self._each(_everyone(account), lambda watch: watch.look_soon())

    def _each(
        self, watches: list[RegisteredWatch], action: Callable[[RegisteredWatch], None]
    ) -> None:
        """Run an action for each watch, a few of them in each step of the event loop."""
        for watch in watches[-WATCHES_PER_STEP:]:
            action(watch)
        del watches[-WATCHES_PER_STEP:]
        if watches:
            asyncio.get_running_loop().call_soon(self._each, watches, action)

    def _about(self, event: Event, kind: Kind) -> list[RegisteredWatch]:
        """List the watches that a message is about; the order proved by its secret path first."""
        named = registry_keys(
            msgspec.structs.replace(event.claims, account=event.account, reference=None)
        )
        if event.path_reference:
            named.insert(0, ((event.account, kind), event.path_reference))
        return self._under(named)

    def _under(self, keys: list[RegistryKey]) -> list[RegisteredWatch]:
        """List the watches under these keys; one may come several times."""
        found: list[RegisteredWatch] = []
        for shelf, id in keys:
            held = self._by_key.get(shelf, {}).get(id)
            if isinstance(held, set):
                found += _living(held)
            elif held is not None and (watch := held()) is not None:
                found.append(watch)
        return found

    def renew(self, driver: Driver) -> None:
        """Let the watches of an account go on with the driver that replaces another."""
        self.push.renew(driver)
        held = [shelved for shelf, shelved in self._by_key.items() if shelf[0] == driver.account]
        self._each(_everyone(held), lambda watch: watch.renew())

    def deliver(self, payment: Payment, *, row: bool = False) -> None:
        """Deliver a payment to every watch on it; a row, to those that it tells something new."""
        found = set(self._under(registry_keys(payment)))
        # Some ids are not unique to a payment: CinetPay's api_response_id is made of the answer's
        # time.
        fits: Callable[[Payment, Payment], bool] = is_news if row else are_compatible
        same = [watch for watch in found if fits(watch.payment, payment)]
        self._each(same, lambda watch: watch.deliver(payment))

    def close(self) -> None:
        """End every open watch with UsageError."""
        self.closed = True
        if self.news is not None:
            self.news.close()
        self._each(_everyone(self._by_key.values()), lambda watch: watch.wake())
        self._by_key.clear()


def _refs(held: Held) -> Iterable[WatchRef]:
    return held if isinstance(held, set) else (held,)


def _everyone(shelves: Iterable[Mapping[str, Held]]) -> list[RegisteredWatch]:
    return list(
        _living({one for shelved in shelves for held in shelved.values() for one in _refs(held)})
    )


def _living(found: Iterable[WatchRef]) -> Iterator[RegisteredWatch]:
    # A list first: a watch may change the set when it is notified.
    return (watch for one in list(found) if (watch := one()) is not None)
