"""What a provider's refusals teach: how fast an account's requests may leave."""

from collections import deque

FLOOR = 0.5  # requests a second; slower than that nobody learns that the provider is well again
LONGEST = 120.0  # seconds that a Retry-After may close an account
_CUT = 0.7  # what a refusal leaves of the pace
_LATE = 0.05  # seconds by which a late event loop may be made up for
_MEMORY = 5  # seconds back to which the busiest is looked for
_PATIENCE = 10.0  # seconds between two answers that may count as seconds in which nothing was refused


class Pace:
    """How fast requests may leave, in requests a second; None until the provider refuses one.

    A refusal leaves 0.7 of the pace that really flowed, and from the second refusal on of no more than the
    provider let through, each in the busiest of the last seconds; 0.5 a second is left at least. Recovery is
    additive: each second in which answers come and nothing is refused adds 5 % of the pace that was refused, or
    0.5 % while the pace is within a tenth of that. At twice that, after a minute or so, the lesson may be
    forgotten; while somebody waits because of it, all would leave at once, and the pace grows on instead.

    Refusals that do not get fewer when we slow down teach the same as others: a provider that refuses 1 % of all
    requests at any pace is left with some 4 a second, and one that refuses 5 % with one. To one account that looks
    as if others used its allowance; who then went on regardless would press them, and they would press back.

    Times are the event loop's, in seconds; it reads no clock itself.
    """

    __slots__ = (
        "_before",
        "_ends",
        "_grown",
        "_last",
        "_next",
        "_refused",
        "_sent",
        "_settled",
        "closed_until",
        "let",
        "rate",
    )

    def __init__(self) -> None:
        self.rate: float | None = None
        self.closed_until = float("-inf")  # nothing leaves before, as a Retry-After asked
        self._last = self._next = float("-inf")  # when a request left, and when the next may
        self._ends = float("-inf")  # when this second is over; it stands still while the account is closed
        self._sent = self.let = 0  # what left in this second, and what was answered
        self._before: deque[tuple[int, int]] = deque(maxlen=_MEMORY)  # the same of the seconds before
        self._refused = FLOOR / _CUT  # the pace that was refused
        self._settled = self._grown = float("-inf")  # when refusals count again; until when recovery is counted

    def left(self, now: float) -> None:
        """Count a request that leaves."""
        if now >= self._ends:
            self._turn(now)
        self._sent += 1
        self._last = now
        if self.rate is not None:
            self._next = max(self._next, now - _LATE) + 1 / self.rate

    def stayed(self) -> None:
        """Take back a request that did not leave after all."""
        if self.rate is not None:
            self._next -= 1 / self.rate

    def opens(self) -> float:
        """Tell when the next request may leave."""
        return float("-inf") if self.rate is None else max(self.closed_until, self._next)

    def room(self, now: float) -> int:
        """Tell how many requests may leave at once, where something was learned."""
        if self.rate is None or now < self.opens():
            return 0
        return int((now - max(self._next, now - _LATE)) * self.rate) + 1

    def recover(self, now: float) -> bool:
        """Go a little faster, because a request was answered; tell whether the lesson may be forgotten."""
        if now >= self._ends:
            self._turn(now)
        if self.rate is None or now <= self._grown:
            return False
        near = 0.9 * self._refused <= self.rate < 1.1 * self._refused
        self.rate += (0.005 if near else 0.05) * self._refused * min(now - self._grown, _PATIENCE)
        self._grown = now
        if self.rate < 2 * self._refused:
            return False
        self._refused = self.rate / 1.1
        return True

    def forget(self) -> None:
        """Go as fast as stated again."""
        self.rate = None

    def refused(self, now: float, retry_after: float | None, flying: int) -> None:
        """Slow down at once, because a request was refused while so many others were on their way.

        What was on its way already tells nothing new, nor what leaves while the provider still counts it: for a
        second, and as long as answers take at the pace that flowed, further refusals count as the same one.
        Their Retry-After counts.
        """
        if retry_after is not None and retry_after > 0:
            until = now + min(retry_after, LONGEST)
            self._ends += max(until - max(self.closed_until, now), 0.0)
            self.closed_until = max(self.closed_until, until)
            self._grown = max(self._grown, until)
        if now < self._settled:
            return
        seconds = (*self._before, (self._sent, self.let))
        flow, known = float(max(sent for sent, _ in seconds)), self.rate
        if known is not None:
            flow = min(flow, known, max(let for _, let in seconds))
        self.rate = max(flow * _CUT, FLOOR)
        if flow:  # where nothing at all was let through, nothing was learned but to wait
            self._refused = self.rate / _CUT
        away = flying / self._refused
        self._settled = now + min(max(away, 1.0) if known is None else away + 1.0, _PATIENCE)
        self._grown = max(self._settled, self.closed_until)
        self._next = self._last + 1 / self.rate

    def _turn(self, now: float) -> None:
        """Begin a second."""
        self._before.append((self._sent, self.let))
        self._before.extend([(0, 0)] * int(min(now - self._ends, _MEMORY)))  # nothing left in these
        self._sent = self.let = 0
        self._ends = now + 1.0
