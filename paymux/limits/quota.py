"""The share of an account's look-ups that one of several processes may use."""

from collections import deque

from ..errors import RateLimited


class Quota:
    """Rate limit for the look-ups of watches, while the share is granted; times are the loop's.

    A request holds its slot from before it is sent until one window after its answer.
    """

    __slots__ = ("_account", "_done", "_in_flight", "_seconds", "count", "granted_until")

    def __init__(self, account: str, seconds: float) -> None:
        self._account = account
        self.count = 0
        self.granted_until = float("-inf")  # end of the grant, unless it is renewed
        self._seconds = seconds
        self._in_flight = 0
        self._done: deque[float] = deque()

    def used(self, now: float) -> int:
        """Count the slots in use."""
        while self._done and self._done[0] + self._seconds <= now:
            self._done.popleft()
        return self._in_flight + len(self._done)

    def free_slots(self, now: float) -> int:
        """Return how many look-ups may be sent now."""
        return self.count - self.used(now) if now < self.granted_until else 0

    def free_at(self, now: float) -> float:
        """Return when the next look-up may be sent; infinite: it depends on other processes."""
        if self.free_slots(now) > 0:
            return now
        return (
            self._done[0] + self._seconds
            if self._done and now < self.granted_until
            else float("inf")
        )

    def acquire(self, now: float) -> None:
        """Take a slot, or raise RateLimited: nothing is sent."""
        if self.free_slots(now) <= 0:
            wait = max(self.free_at(now) - now, 1.0)
            message = "this process's part of the account's look-ups is used; nothing was sent"
            error = RateLimited(message, retry_after=wait if wait < float("inf") else 5.0)
            error.account = self._account
            raise error
        self._in_flight += 1

    def release(self, now: float) -> None:
        """Report that the request was answered or has ended."""
        self._in_flight -= 1
        self._done.append(now)
