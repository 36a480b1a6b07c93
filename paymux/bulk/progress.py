"""Progress of a bulk verification, reported at most ten times a second."""

from collections import deque
from collections.abc import Callable

import msgspec

REPORT_SECONDS = 0.1  # seconds between two reports
RATE_WINDOW_SECONDS = 5.0  # seconds over which the rate is measured


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a bulk verification: whole counts of items; `rate` per second, recently.

    `left` in seconds.
    """

    done: int  # answered, including the failed ones
    failed: int  # items that ended in an error; a failed payment is an answer
    total: int | None  # None: unknown, and so is `left`
    rate: float
    left: float | None


class ProgressReporter:
    """Counts results and reports the progress, also once at the end."""

    def __init__(self, tell: Callable[[Progress], object], total: int | None, now: float) -> None:
        self._tell = tell
        self._total = total
        self._done = self._failed = 0
        self._due = now + REPORT_SECONDS
        self._marks = deque([(now, 0)])  # times and counts of the recent seconds
        self._over = False

    def count(self, now: float, *, failed: bool) -> None:
        """Count one result."""
        self._done += 1
        self._failed += failed
        if now >= self._due:
            self._report(now)

    def end(self, now: float) -> None:
        """Report for the last time."""
        if not self._over:
            self._over = True
            self._report(now)

    def _report(self, now: float) -> None:
        self._due = now + REPORT_SECONDS
        marks = self._marks
        while len(marks) > 1 and marks[1][0] <= now - RATE_WINDOW_SECONDS:
            marks.popleft()
        since, before = marks[0]
        marks.append((now, self._done))
        rate = (self._done - before) / (now - since) if now > since else 0.0
        left = None if self._total is None or not rate else (self._total - self._done) / rate
        self._tell(
            Progress(done=self._done, failed=self._failed, total=self._total, rate=rate, left=left)
        )
