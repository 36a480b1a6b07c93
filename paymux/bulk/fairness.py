"""Fair shares of a few slots among many accounts: none starves, none gets a storm."""

import copy
from collections import deque
from typing import NamedTuple

from ..errors import AuthenticationFailed, Mismatch, ProviderError, RateLimited
from ..models import Payment

# seconds for which an account may answer nothing but "too many requests"
MAX_THROTTLED_SECONDS = 600.0
PAUSE_SECONDS = 1.0, 60.0  # seconds: the first pause after two such answers, and the longest
# refused look-ups in a row (credentials) before the account's other items are not sent
MAX_DENIALS = 10
GIVEN_UP_SECONDS = 60.0  # seconds for which an account that was given up gets no look-ups


class Waiting(NamedTuple):
    """An item that waits for a look-up: its number, and the payment that it names."""

    number: int
    payment: Payment


class AccountQueue:
    """The items of one account: in flight, waiting, and how the account answers."""

    __slots__ = (
        "_denied",
        "_error",
        "_hushed",
        "_pause",
        "_refused",
        "_since",
        "in_flight",
        "not_before",
        "parked",
        "probing",
        "troubled",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.parked: deque[Waiting] = deque()
        self.not_before = 0.0  # the loop's time before which nothing may be sent
        self._answered()

    def _answered(self) -> None:
        self.troubled = False  # it refused a look-up since its last answer
        self.probing = False  # only one look-up at a time, until it answers again
        self._pause = 0.0
        self._refused = self._since = self._hushed = float("-inf")
        self._denied = 0
        self._error: ProviderError | None = None

    def given_up(self, now: float) -> ProviderError | None:
        """Return the error for items of an account that was just given up; they are not sent."""
        return copy.copy(self._error) if now < self._hushed else None

    def on_result(self, error: Exception | None, began: float, now: float) -> bool:
        """Record the result of a look-up that began at `began`; return whether to send it again.

        "Too many requests" is sent again at the rate that the account's limiter has learned. If it
        comes again with no answer in between, the account is paused, twice as long each time, until
        ten minutes have passed. After ten refusals in a row the same credentials are not tried
        again. In both cases the account is given up: for a minute its items are not sent.
        """
        if isinstance(error, RateLimited):
            self.troubled = True
            return self._throttled(error, began, now)
        if isinstance(error, AuthenticationFailed):
            self.troubled = True
            self._denied += 1
            if self._denied >= MAX_DENIALS:
                self._give_up(error, now)
        elif self.troubled and (error is None or isinstance(error, ProviderError | Mismatch)):
            self._answered()
        return False

    def _throttled(self, error: RateLimited, began: float, now: float) -> bool:
        if self._refused == float("-inf"):
            self._since = self._refused = now
        # otherwise it was refused together with others and counts with them
        elif began >= self._refused:
            self._refused = now
            self._pause = min(max(2 * self._pause, PAUSE_SECONDS[0]), PAUSE_SECONDS[1])
            self.probing = True
        until = now + max(self._pause, error.retry_after or 0.0)
        if until > self._since + MAX_THROTTLED_SECONDS:
            self._give_up(error, now)
            return False
        self.not_before = max(self.not_before, until)
        return True

    def _give_up(self, error: ProviderError, now: float) -> None:
        self.probing = True
        self._error, self._hushed = error, now + GIVEN_UP_SECONDS


class FairQueues:
    """The lanes of all accounts, and their shares of the slots.

    A free slot goes to the waiting account with the fewest look-ups in flight. An account gets more
    than an equal share only if no item of another account can be read. One slot is reserved for
    each account without look-ups in flight (together at most a quarter), so that a slow account
    never holds all slots.
    """

    def __init__(self, places: int, accounts: int) -> None:
        self._slots = places
        self._accounts = accounts
        self._queues: dict[str, AccountQueue] = {}
        # lanes with waiting items, the one without a slot for longest first
        self._waiting: dict[AccountQueue, None] = {}
        self._busy = self._idle = 0  # lanes with items, and lanes with nothing in flight
        self.parked = self.in_flight = 0
        self.ended = False  # no item will be added any more

    def park(self, item: Waiting) -> None:
        """Queue an item for its account."""
        account = item.payment.account
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = AccountQueue()
            self._idle += 1
        if not queue.parked:
            self._waiting[queue] = None
            self._busy += not queue.in_flight
        queue.parked.append(item)
        self.parked += 1

    def next_item(
        self, room: int, now: float, *, generous: bool
    ) -> tuple[AccountQueue, Waiting] | None:
        """Start the next item, if `room` slots are free; None: no waiting item may start."""
        chosen: AccountQueue | None = None
        for queue in self._waiting:
            if (chosen is None or queue.in_flight < chosen.in_flight) and self._may(
                queue, room, now, generous=generous
            ):
                chosen = queue
        if chosen is None:
            return None
        del self._waiting[chosen]
        item = chosen.parked.popleft()
        if chosen.parked:
            self._waiting[chosen] = None
        self.parked -= 1
        self._idle -= not chosen.in_flight
        chosen.in_flight += 1
        self.in_flight += 1
        return chosen, item

    def _may(self, queue: AccountQueue, room: int, now: float, *, generous: bool) -> bool:
        if now < queue.not_before:
            return False
        if not queue.in_flight:
            return True
        fair = generous or queue.in_flight * self._busy < self._slots
        return fair and not queue.probing and room > self._kept()

    def _kept(self) -> int:
        unseen = len(self._queues) < self._accounts
        return 0 if self.ended else min(self._idle + unseen, self._slots // 4)

    def put_back(self, queue: AccountQueue, again: Waiting | None = None) -> None:
        """Record that a look-up ended.

        `again`: its item, if it must wait for another slot.
        """
        if again is not None:
            queue.parked.appendleft(again)
            self._waiting[queue] = None
            self.parked += 1
        queue.in_flight -= 1
        self.in_flight -= 1
        if not queue.in_flight:
            self._idle += 1
            self._busy -= not queue.parked

    def next_pause(self, now: float) -> float | None:
        """Return when the first paused account with waiting items may be used again.

        None: no pause.
        """
        return min(
            (queue.not_before for queue in self._waiting if queue.not_before > now), default=None
        )
