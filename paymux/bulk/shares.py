"""Fair shares of a few slots among many accounts: none starves, none gets a storm."""

import copy
from collections import deque

from ..errors import AuthenticationFailed, Mismatch, ProviderError, RateLimited

PATIENCE = 600.0  # seconds for which an account may answer nothing but "too many requests"
PAUSES = 1.0, 60.0  # seconds: the first pause after two such answers, and the longest
# refused look-ups in a row (credentials) before the account's other items are not sent
DENIALS = 10
HUSHED = 60.0  # seconds for which an account that was given up gets no look-ups


class Lane:
    """The items of one account: in flight, waiting, and how the account answers."""

    __slots__ = (
        "_denied",
        "_error",
        "_hushed",
        "_pause",
        "_refused",
        "_since",
        "flying",
        "not_before",
        "parked",
        "probing",
        "troubled",
    )

    def __init__(self) -> None:
        self.flying = 0
        self.parked: deque[int] = deque()
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

    def heard(self, error: Exception | None, began: float, now: float) -> bool:
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
            if self._denied >= DENIALS:
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
            self._pause = min(max(2 * self._pause, PAUSES[0]), PAUSES[1])
            self.probing = True
        until = now + max(self._pause, error.retry_after or 0.0)
        if until > self._since + PATIENCE:
            self._give_up(error, now)
            return False
        self.not_before = max(self.not_before, until)
        return True

    def _give_up(self, error: ProviderError, now: float) -> None:
        self.probing = True
        self._error, self._hushed = error, now + HUSHED


class Shares:
    """The lanes of all accounts, and their shares of the slots.

    A free slot goes to the waiting account with the fewest look-ups in flight. An account gets more
    than an equal share only if no item of another account can be read. One slot is reserved for
    each account without look-ups in flight (together at most a quarter), so that a slow account
    never holds all slots.
    """

    def __init__(self, places: int, accounts: int) -> None:
        self._places = places
        self._accounts = accounts
        self._lanes: dict[str, Lane] = {}
        # lanes with waiting items, the one without a slot for longest first
        self._waiting: dict[Lane, None] = {}
        self._busy = self._idle = 0  # lanes with items, and lanes with nothing in flight
        self.parked = self.flying = 0
        self.ended = False  # no item will be added any more

    def park(self, account: str, index: int) -> None:
        """Queue an item for its account."""
        lane = self._lanes.get(account)
        if lane is None:
            lane = self._lanes[account] = Lane()
            self._idle += 1
        if not lane.parked:
            self._waiting[lane] = None
            self._busy += not lane.flying
        lane.parked.append(index)
        self.parked += 1

    def turn(self, room: int, now: float, *, generous: bool) -> tuple[Lane, int] | None:
        """Start the next item, if `room` slots are free; None: no waiting item may start."""
        chosen: Lane | None = None
        for lane in self._waiting:
            if (chosen is None or lane.flying < chosen.flying) and self._may(lane, room, now, generous=generous):
                chosen = lane
        if chosen is None:
            return None
        del self._waiting[chosen]
        index = chosen.parked.popleft()
        if chosen.parked:
            self._waiting[chosen] = None
        self.parked -= 1
        self._idle -= not chosen.flying
        chosen.flying += 1
        self.flying += 1
        return chosen, index

    def _may(self, lane: Lane, room: int, now: float, *, generous: bool) -> bool:
        if now < lane.not_before:
            return False
        if not lane.flying:
            return True
        fair = generous or lane.flying * self._busy < self._places
        return fair and not lane.probing and room > self._kept()

    def _kept(self) -> int:
        unseen = len(self._lanes) < self._accounts
        return 0 if self.ended else min(self._idle + unseen, self._places // 4)

    def back(self, lane: Lane, again: int | None = None) -> None:
        """Record that a look-up ended.

        `again`: the item's number, if it must wait for another slot.
        """
        if again is not None:
            lane.parked.appendleft(again)
            self._waiting[lane] = None
            self.parked += 1
        lane.flying -= 1
        self.flying -= 1
        if not lane.flying:
            self._idle += 1
            self._busy -= not lane.parked

    def next_pause(self, now: float) -> float | None:
        """Return when the first paused account with waiting items may be used again.

        None: no pause.
        """
        return min((lane.not_before for lane in self._waiting if lane.not_before > now), default=None)
