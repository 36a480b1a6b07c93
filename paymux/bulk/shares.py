"""Whose turn it is when many accounts' items share a few places: none starves another, and none is stormed."""

import copy
from collections import deque

from ..errors import AuthenticationFailed, Mismatch, ProviderError, RateLimited

PATIENCE = 600.0  # seconds for which an account may answer nothing but "too many requests"
PAUSES = 1.0, 60.0  # seconds of the first pause after two such answers, and of the longest
DENIALS = 10  # look-ups in a row refused for their credentials before the account's others are not even sent
HUSHED = 60.0  # seconds for which an account that was given up is not asked


class Lane:
    """The items of one account: how many are on their way, which ones wait, and how the account behaves."""

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
        self.not_before = 0.0  # the loop's time before which it asked to be left alone
        self._answered()

    def _answered(self) -> None:
        self.troubled = False  # it refused something since it last answered
        self.probing = False  # one look-up at a time is enough, until it answers again
        self._pause = 0.0
        self._refused = self._since = self._hushed = float("-inf")
        self._denied = 0
        self._error: ProviderError | None = None

    def given_up(self, now: float) -> ProviderError | None:
        """Give the error that its items get unasked, where the account was given up a moment ago."""
        return copy.copy(self._error) if now < self._hushed else None

    def heard(self, error: Exception | None, began: float, now: float) -> bool:
        """Note how a look-up ended that began then; tell whether it is worth asking again.

        "Too many requests" is asked again at the pace that the account's gate has learned; said again with no
        answer in between it pauses the account, too, twice as long each time, until PATIENCE has passed so.
        After DENIALS in a row there is no point in sending the same credentials again. In either case the account
        is given up: for HUSHED seconds its items are not asked.
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
        elif began >= self._refused:  # otherwise it was refused together with others, and counts with them
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
    """The lanes of all accounts, and their shares of so many places.

    A free place goes to the account that has the fewest of those whose items wait. Beyond an equal share one gets
    a place only where no other account's items can be read. For each account that has none on its way a place is
    kept back (a quarter of all at most), so that a slow one can never hold them all.
    """

    def __init__(self, places: int, accounts: int) -> None:
        self._places = places
        self._accounts = accounts
        self._lanes: dict[str, Lane] = {}
        self._waiting: dict[Lane, None] = {}  # those with parked items, the one longest without a turn first
        self._busy = self._idle = 0  # the lanes that have any items, and those that have none on their way
        self.parked = self.flying = 0
        self.ended = False  # no item will be added any more

    def park(self, account: str, index: int) -> None:
        """Let an item wait for its account's turn."""
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
        """Put the item whose turn it is on its way, where so many places are free; None: nobody's that waits."""
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
        """Note that an item came back; `again` is its number where it must wait for another turn."""
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
        """Tell when the first of the accounts that wait may be asked again; None where none was paused."""
        return min((lane.not_before for lane in self._waiting if lane.not_before > now), default=None)
