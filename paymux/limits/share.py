"""The share of an account's look-ups that one of several processes may use."""

from collections import deque

from ..errors import RateLimited


class Share:
    """Rate limit for the look-ups of watches, while the share is granted; times are the loop's.

    A request holds its slot from before it is sent until one window after its answer.
    """

    __slots__ = ("_account", "_done", "_flying", "_seconds", "count", "until")

    def __init__(self, account: str, seconds: float) -> None:
        self._account = account
        self.count = 0
        self.until = float("-inf")  # end of the grant, unless it is renewed
        self._seconds = seconds
        self._flying = 0
        self._done: deque[float] = deque()

    def held(self, now: float) -> int:
        """Count the slots in use."""
        while self._done and self._done[0] + self._seconds <= now:
            self._done.popleft()
        return self._flying + len(self._done)

    def room(self, now: float) -> int:
        """Return how many look-ups may be sent now."""
        return self.count - self.held(now) if now < self.until else 0

    def free_at(self, now: float) -> float:
        """Return when the next look-up may be sent; infinite: it depends on other processes."""
        if self.room(now) > 0:
            return now
        return self._done[0] + self._seconds if self._done and now < self.until else float("inf")

    def enter(self, now: float) -> None:
        """Take a slot, or raise RateLimited: nothing is sent."""
        if self.room(now) <= 0:
            wait = max(self.free_at(now) - now, 1.0)
            message = "this process's part of the account's look-ups is used; nothing was sent"
            error = RateLimited(message, retry_after=wait if wait < float("inf") else 5.0)
            error.account = self._account
            raise error
        self._flying += 1

    def leave(self, now: float) -> None:
        """Report that the request was answered or has ended."""
        self._flying -= 1
        self._done.append(now)
