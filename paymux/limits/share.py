"""A part of an account's stated look-ups, where several processes divide them."""

from collections import deque

from ..errors import RateLimited


class Share:
    """Lets so many look-ups of watches leave in a window, while the part is granted; times are the loop's.

    As in a Window, a request holds its place from before it leaves until a whole window after its answer.
    """

    __slots__ = ("_account", "_done", "_flying", "_seconds", "count", "until")

    def __init__(self, account: str, seconds: float) -> None:
        self._account = account
        self.count = 0
        self.until = float("-inf")  # when the grant ends, unless it is renewed
        self._seconds = seconds
        self._flying = 0
        self._done: deque[float] = deque()

    def held(self, now: float) -> int:
        """Count the places that are used."""
        while self._done and self._done[0] + self._seconds <= now:
            self._done.popleft()
        return self._flying + len(self._done)

    def room(self, now: float) -> int:
        """Tell how many may leave now."""
        return self.count - self.held(now) if now < self.until else 0

    def free_at(self, now: float) -> float:
        """Tell when the next may leave; infinite where that is for others to say."""
        if self.room(now) > 0:
            return now
        return self._done[0] + self._seconds if self._done and now < self.until else float("inf")

    def enter(self, now: float) -> None:
        """Take a place, or raise RateLimited: nothing is sent."""
        if self.room(now) <= 0:
            wait = max(self.free_at(now) - now, 1.0)
            message = "this process's part of the account's look-ups is used; nothing was sent"
            error = RateLimited(message, retry_after=wait if wait < float("inf") else 5.0)
            error.account = self._account
            raise error
        self._flying += 1

    def leave(self, now: float) -> None:
        """Say that the request was answered, or is over."""
        self._flying -= 1
        self._done.append(now)
