"""The look-ups of one watched payment, and the results that it takes from elsewhere."""

import asyncio
import copy
import time
from weakref import ref

from ..drivers.base import Driver
from ..errors import (
    AuthenticationFailed,
    Mismatch,
    NotFound,
    PaymuxError,
    RateLimited,
    UsageError,
)
from ..models import Payment, log, merge
from .keys import lookup_key, not_found_is_final, registry_keys, reuse_equal_values
from .poll_queue import MIN_REPEAT_SECONDS, PollQueue
from .registered import LookupResult, PollState, WatchRef
from .registry import WatchRegistry
from .schedule import CLOCK_SECONDS, Schedule
from .ticket import FINAL_LOOKUP_SECONDS, NEVER, Ticket

LONG_AGO = -NEVER  # one shared float object


class Poller:
    """Looks a payment up when it is due, and takes what others found of it meanwhile.

    It has its turns in the poll queue of its account, and is found in the registry of its pool by
    each id of the payment, so that events and the look-ups of other watches reach it.
    """

    # Ten thousand may exist at once: each slot counts.
    __slots__ = (
        "__weakref__",
        "_asked",
        "_asks",
        "_born",
        "_deadline",
        "_due",
        "_hurry",
        "_looked",
        "_not_before",
        "_over",
        "_rank",
        "_registry",
        "_results",
        "_started",
        "_ticket",
        "payment",
        "ref",
    )

    def __init__(self, payment: Payment, *, timeout: float | None, watches: WatchRegistry) -> None:
        self.payment = payment
        self.ref: WatchRef = ref(self)  # the only one: its pool finds it in sets
        self._registry = watches
        self._asks = self._driver.asks(payment) is not None  # else a webhook reports its end
        self._started = self._over = False
        self._deadline = NEVER if timeout is None else timeout  # the loop's time, after the start
        self._due = NEVER
        self._rank = LONG_AGO  # rank of its last poll in the queue
        self._born = 0.0  # when the order began
        self._asked = LONG_AGO  # time of its last look-up
        self._looked = 0
        self._not_before = LONG_AGO  # from a Retry-After
        self._results: tuple[LookupResult, ...] = ()
        self._ticket: Ticket | None = None
        self._hurry: asyncio.Timeout | None = None
        watches.add(self)

    @property
    def _driver(self) -> Driver:
        return self._registry.driver(self.payment.account)

    @property
    def _queue(self) -> PollQueue:
        return self._registry.queue(self._driver)

    def deliver(self, found: Payment) -> None:
        """Deliver what a confirmed event found; no further look-up is needed."""
        self._results += (found,)
        self.wake()

    def look_soon(self) -> None:
        """Look up again soon, because of a hint; many hints cost one look-up per second."""
        if self._driver.pace(self.payment).by_callback:
            return  # what it would ask is answered later, by another message
        now = asyncio.get_running_loop().time()
        due = max(min(self._due, self._asked + MIN_REPEAT_SECONDS), self._not_before, now)
        if self._asks and due < self._due:
            self._due = due
            if self._ticket is not None:
                self._queue.reschedule(self._ticket, due, MIN_REPEAT_SECONDS)

    def wake(self) -> None:
        """Check for news, or for a closed pool."""
        if self._ticket is not None:
            self._queue.wake(self._ticket)
        if self._hurry is not None and self._hurry.when() is None:
            self._hurry.reschedule(asyncio.get_running_loop().time())

    def on_result(self, said: LookupResult | None, poll_state: PollState) -> None:
        """Take the result of another watch's look-up of this payment; None: nothing relevant."""
        if self._ticket is None or not self._ticket.is_waiting:
            return
        self._asked, self._due, self._not_before = (
            poll_state.asked,
            poll_state.due,
            poll_state.not_before,
        )
        self._looked, self._rank = max(self._looked, poll_state.looked), poll_state.rank
        if said is not None:
            self._results += (said,)
            self.wake()
        elif self._asks:
            self._queue.reschedule(self._ticket, self._when(), self._interval())

    def take_over(self, now: float) -> None:
        """Look up at once: another watch of this payment was interrupted in its look-up."""
        if self._ticket is not None and self._asks and not self._schedule().fixed:
            self._queue.reschedule(self._ticket, now, MIN_REPEAT_SECONDS)

    def renew(self) -> None:
        """Look up, if the driver that replaces another can ask for its payment."""
        if self._started and not self._over and self._learn_to_ask():
            self.wake()

    def _start(self) -> None:
        self._started = True
        now = asyncio.get_running_loop().time()
        self._deadline += now
        created, schedule = self.payment.created_at, self._schedule()
        age = max(time.time() - created.timestamp(), 0.0) if created else schedule.unknown_age
        self._born = now - age
        # An old payment is looked up at once; a young one when its payer may have answered.
        self._due = self._born + schedule.next(age, 0) if created else self._soon(schedule, now)
        if self.payment.status.terminal:
            self._end()
        else:
            self._registry.listen(self, self._driver)

    def _join(self) -> Ticket:
        self._registry.listen(self, self._driver)
        if not self._asks:
            return self._queue.join("", due=NEVER, gap=NEVER, last=self._deadline, rank=NEVER)
        now = asyncio.get_running_loop().time()
        key = lookup_key(self.payment, self._driver)
        due = self._when()
        last = max(now, self._deadline, due if due < NEVER else now)
        return self._queue.join(key, due=due, gap=self._interval(), last=last, rank=self._rank)

    def _leave(self) -> None:
        if self._ticket is not None:
            self._queue.leave(self._ticket)
            self._ticket = None

    def _schedule(self) -> Schedule:
        return self._registry.schedules[self._driver.pace(self.payment)]

    def _soon(self, schedule: Schedule, now: float) -> float:
        return self._born + schedule.next(now - self._born, 0) if schedule.fixed else now

    def _when(self) -> float:
        """Return when to look up next: at the time-out at the latest, unless the ages are fixed."""
        if self._due <= self._deadline or not self._schedule().fixed:
            return min(self._due, self._deadline)
        # A rounding error must not take the look-up of a time-out that is just at its age.
        return self._due if self._due <= self._deadline + CLOCK_SECONDS else NEVER

    def _interval(self) -> int:
        """Return the seconds between look-ups at this age; a small int costs no memory."""
        if self._asked > LONG_AGO:
            return max(round(self._due - self._asked), 1)
        age = self._due - self._born
        return max(round(self._schedule().next(age, 1) - age), 1)

    async def _ask(self, ticket: Ticket) -> bool:
        """Look up once, for every watch; return whether there is a state to yield."""
        now = asyncio.get_running_loop().time()
        key, self._rank = ticket.key, ticket.rank
        before, self._asked = self._asked, now
        self._looked += 1
        self._due = self._schedule().next_at(key, now, self._born, self._looked)
        left = max(self._deadline - now, FINAL_LOOKUP_SECONDS)
        try:
            async with asyncio.timeout(None) as self._hurry:
                found = await self._registry.look_up(self.payment, left)
        except TimeoutError:
            return False  # woken: there is news, or the pool was closed
        except PaymuxError as error:
            self._heed(error, now)
            await self._registry.share_result(self, key, error, self._looks())
            if self._ends(error):
                raise
            return False
        except BaseException:
            self._asked = before
            self._registry.hand_over(self, key, now)
            raise
        finally:
            self._hurry = None
        await self._registry.share_result(self, key, found, self._looks())
        return self._take(found)

    def _looks(self) -> PollState:
        return PollState(self._asked, self._looked, self._due, self._not_before, self._rank)

    def _heed(self, error: PaymuxError, now: float) -> None:
        if isinstance(error, RateLimited):
            # The account's limiter is closed as well, for all of its watches.
            self._not_before = now + (error.retry_after or 0.0)
            self._due = max(self._due, self._not_before)
        else:
            log.info("%s: a look-up failed: %s", self.payment.account, error)

    def _ends(self, error: PaymuxError) -> bool:
        if isinstance(error, NotFound):
            return not_found_is_final(self.payment, self._driver)
        return isinstance(error, UsageError | AuthenticationFailed | Mismatch)

    def _take_next(self) -> bool:
        """Take the oldest piece of news; return whether there is a state to yield."""
        said, self._results = self._results[0], self._results[1:]
        if isinstance(said, Payment):
            return self._take(merge(self.payment, said))
        if self._ends(said):
            # A copy for each watch: a shared error would collect the tracebacks of all.
            raise copy.copy(said)
        return False

    def _take(self, found: Payment) -> bool:
        """Store what was found; return whether there is a state to yield."""
        known, self.payment = self.payment, reuse_equal_values(found, self.payment)
        if found.status.terminal:
            self._end(known)
        elif registry_keys(known) != registry_keys(found):
            self._registry.update_keys(self, known)
        self._learn_to_ask()
        return (known.status, known.provider_status) != (found.status, found.provider_status)

    def _learn_to_ask(self) -> bool:
        if self._asks or self._driver.asks(self.payment) is None:
            return False
        now = asyncio.get_running_loop().time()
        self._asks, self._due = True, self._soon(self._schedule(), now)
        return True

    def _end(self, known: Payment | None = None) -> None:
        self._over = True
        self._registry.remove(self, known or self.payment)
        self._stop_listening()
        self.wake()

    def _stop_listening(self) -> None:
        self._registry.stop_listening(self, self._driver)
