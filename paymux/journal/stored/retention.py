"""When old payments are deleted: at the opening of a journal, and once a day while it is used."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from ...models import log
from ...values.validation import checked_seconds
from ..database import Database, Operation
from ..tables.keep_days import Deletion, deletion
from ..work import Work

# Between two steps; SQLite gives a free lock to whichever worker asks next, and others ask within
# this time.
PAUSE_SECONDS = 0.05
DAY_SECONDS = 86_400.0  # seconds between two runs
MAX_DAYS = 36_500.0  # as long as a time may be kept
STEPS_AT_OPENING = 4  # a small journal is done when it is open; a large one goes on beside the work


def kept_for(keep_days: float | None) -> timedelta | None:
    """Return how long after its end a payment is kept; UsageError: that is no number of days."""
    if keep_days is None:
        return None
    return timedelta(days=min(checked_seconds("keep_days", keep_days, "days"), MAX_DAYS))


class Retention:
    """Deletes what is older than `keep`, step by step; None: nothing. It ends with the journal."""

    def __init__(
        self, keep: timedelta | None, queued: Callable[[Work], "asyncio.Future[bool]"]
    ) -> None:
        self._keep = keep
        self._queued = queued
        self._left: Deletion | None = None  # what is left of a run; of the journal's thread
        self._loop: asyncio.AbstractEventLoop | None = None  # in which a run goes on
        self._began = float("inf")  # when the last one began, by the loop's clock

    def at_opening(self, transact: Callable[[Operation[bool]], bool]) -> None:
        """Make the first steps, in the thread that has just opened the journal."""
        if self._keep is not None:
            self._left = _begun(self._keep)
            for _ in range(STEPS_AT_OPENING):
                if not transact(self._step):
                    return

    def look(self) -> None:
        """Go on with a run, or begin one if it is time; called with each write."""
        if self._keep is None:
            return
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        now = loop.time()
        if not self._began <= now < self._began + DAY_SECONDS:  # else in another loop's time
            first, self._began = self._began == float("inf"), now
            if first:
                return  # it is being opened
        elif self._left is None:
            return
        self._loop = loop
        self._go_on()

    def _go_on(self) -> None:
        try:
            done = self._queued(Work(self._step))
        except OSError:  # the journal is closed
            self._loop = None
            return
        done.add_done_callback(self._went)

    def _went(self, done: "asyncio.Future[bool]") -> None:
        if done.cancelled() or done.exception() is not None:
            log.info(
                "old payments are deleted later: %s", not done.cancelled() and done.exception()
            )
        elif done.result() and self._loop is not None:
            self._loop.call_later(PAUSE_SECONDS, self._go_on)
            return
        self._loop = None

    # Runs in the journal's thread.

    def _step(self, db: Database) -> bool:
        """Make one step; return whether there is another one."""
        if self._left is None:
            assert self._keep is not None  # noqa: S101 - else nothing is queued
            self._left = _begun(self._keep)
        try:
            self._left.send(db)
        except StopIteration:
            self._left = None
        except BaseException:
            self._left = None
            raise
        return self._left is not None


def _begun(keep: timedelta) -> Deletion:
    run = deletion(keep)
    next(run)
    return run
