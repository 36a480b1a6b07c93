"""Adaptive request rate of an account, learned from a provider's refusals."""

from collections import deque

# requests per second; a slower rate would not notice that the provider recovered
MIN_REQUESTS_PER_SECOND = 0.5
MAX_CLOSED_SECONDS = 120.0  # seconds: the longest Retry-After that is respected
_DECREASE_FACTOR = 0.7  # the part of the rate that is left after a refusal
_LATE_SECONDS = 0.05  # seconds of event loop delay that may be made up for
_MEMORY_SECONDS = 5  # seconds: the busiest of them counts
_MAX_GAP_SECONDS = 10.0  # seconds between two answers that may count as time without refusals


class AdaptiveRate:
    """Adaptive rate, in requests per second; None until the provider refuses a request.

    A refusal sets the rate to 0.7 of the measured flow. From the second refusal on, the flow counts
    as no more than what the provider answered. Both are those of the busiest of the last seconds.
    The rate is at least 0.5 per second. Recovery is additive: each second with answers and without
    refusals adds 5 % of the refused rate, or 0.5 % while the rate is within a tenth of it. At twice
    the refused rate (after about a minute) the learned rate may be dropped. While requests wait
    because of it, it is kept and goes on growing: otherwise all of them would be sent at once.

    Refusals that do not decrease at a lower rate count like others: a provider that refuses 1 % of
    requests at any rate gets about 4 per second, one that refuses 5 % gets one. An account cannot
    tell this from other processes that use the same allowance; if all of them ignored refusals,
    they would only cause more.

    Times are the event loop's, in seconds; this class reads no clock.
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
        "answered",
        "closed_until",
        "rate",
    )

    def __init__(self) -> None:
        self.rate: float | None = None
        self.closed_until = float("-inf")  # nothing is sent before: a Retry-After
        self._last = self._next = float("-inf")  # time of the last request, and of the next
        # end of the current second; it pauses while the account is closed
        self._ends = float("-inf")
        self._sent = self.answered = 0  # sent, and answered, in this second
        # the same for earlier seconds
        self._before: deque[tuple[int, int]] = deque(maxlen=_MEMORY_SECONDS)
        self._refused = MIN_REQUESTS_PER_SECOND / _DECREASE_FACTOR  # the rate that was refused
        # time from which refusals count again; time up to which recovery is counted
        self._settled = self._grown = float("-inf")

    def on_sent(self, now: float) -> None:
        """Count a request that is sent."""
        if now >= self._ends:
            self._turn(now)
        self._sent += 1
        self._last = now
        if self.rate is not None:
            self._next = max(self._next, now - _LATE_SECONDS) + 1 / self.rate

    def undo_sent(self) -> None:
        """Take back a request that was not sent after all."""
        if self.rate is not None:
            self._next -= 1 / self.rate

    def next_send_at(self) -> float:
        """Return when the next request may be sent."""
        return float("-inf") if self.rate is None else max(self.closed_until, self._next)

    def free_slots(self, now: float) -> int:
        """Return how many requests may be sent now; meaningful only with a learned rate."""
        if self.rate is None or now < self.next_send_at():
            return 0
        return int((now - max(self._next, now - _LATE_SECONDS)) * self.rate) + 1

    def recover(self, now: float) -> bool:
        """Increase the rate after an answer; return whether the learned rate may be dropped."""
        if now >= self._ends:
            self._turn(now)
        if self.rate is None or now <= self._grown:
            return False
        near = 0.9 * self._refused <= self.rate < 1.1 * self._refused
        self.rate += (
            (0.005 if near else 0.05) * self._refused * min(now - self._grown, _MAX_GAP_SECONDS)
        )
        self._grown = now
        if self.rate < 2 * self._refused:
            return False
        self._refused = self.rate / 1.1
        return True

    def reset(self) -> None:
        """Drop the learned rate: only the stated limit applies again."""
        self.rate = None

    def on_refused(self, now: float, retry_after: float | None, in_flight: int) -> None:
        """Reduce the rate after a refusal, while `in_flight` requests were in flight.

        Requests that were in flight already teach nothing new, nor do those that are sent while the
        provider still counts the old ones. So further refusals count as the same one for a second
        or more, as long as the requests in flight take at the measured rate. Their Retry-After
        counts.
        """
        if retry_after is not None and retry_after > 0:
            until = now + min(retry_after, MAX_CLOSED_SECONDS)
            self._ends += max(until - max(self.closed_until, now), 0.0)
            self.closed_until = max(self.closed_until, until)
            self._grown = max(self._grown, until)
        if now < self._settled:
            return
        seconds = (*self._before, (self._sent, self.answered))
        flow, known = float(max(sent for sent, _ in seconds)), self.rate
        if known is not None:
            flow = min(flow, known, max(let for _, let in seconds))
        self.rate = max(flow * _DECREASE_FACTOR, MIN_REQUESTS_PER_SECOND)
        if flow:  # with no answer at all, only waiting was learned
            self._refused = self.rate / _DECREASE_FACTOR
        away = in_flight / self._refused
        self._settled = now + min(max(away, 1.0) if known is None else away + 1.0, _MAX_GAP_SECONDS)
        self._grown = max(self._settled, self.closed_until)
        self._next = self._last + 1 / self.rate

    def _turn(self, now: float) -> None:
        """Begin a new second."""
        self._before.append((self._sent, self.answered))
        # nothing was sent in these
        self._before.extend([(0, 0)] * int(min(now - self._ends, _MEMORY_SECONDS)))
        self._sent = self.answered = 0
        self._ends = now + 1.0
