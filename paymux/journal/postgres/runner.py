"""The journal's thread with PostgreSQL: each verb of a moment is one short transaction."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from queue import SimpleQueue

from ...errors import PaymuxError
from ...primitives.forks import leave_to_parent
from ..database import Operation
from ..stored.gathering import MAX_BATCH, gather
from ..stored.verbs import Bulk, in_groups
from ..work import LOCK_WAIT_SECONDS, RETRY_SECONDS, Answer, Work, deliver
from .connection import Connection, ServerGone
from .transaction import Doubt, end_session, run_alone, transact

AWAY_WAIT_SECONDS = 3.0  # seconds that an operation waits for a server that is away
FIRST_PAUSE_SECONDS = 0.05  # seconds between the first attempts to reach it again
LAST_PAUSE_SECONDS = 0.5  # and between later ones
PULSE_SECONDS = 5.0  # seconds between runs of `pulse`
FORK_WAIT_SECONDS = 2.0  # seconds that a fork waits for the operation in progress


class PostgresRunner:
    """Owns a session of the database, and runs queued operations on it, one after the other.

    While the server is away it holds the writes that must not be lost, in their order. An operation
    whose COMMIT had no answer is not run again before it is known that it is not durable.
    """

    def __init__(
        self,
        open: Callable[[asyncio.AbstractEventLoop], tuple[Connection, int]],
        end: Callable[[], None],
        in_flight: Callable[[], int],
    ) -> None:
        self._open = open  # returns a session, and the key of the journal's lock
        self._end = end
        self._in_flight = in_flight  # orders that will write soon
        self.db: Connection | None = None
        self.pulse: Callable[[], Operation[None] | None] | None = None
        self._pulsed = 0.0
        self._lock = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._using = threading.Lock()  # held while the session is used: no fork in between
        self._resting = False
        self._works: deque[Work] = deque()
        self._kept: deque[Work] = deque()  # writes that must not be lost, and have failed
        self._again = 0.0  # when they are tried again
        self._lost: Connection | None = None  # the session before this one, if it was lost
        self._doubt: Doubt | None = None  # the operations whose COMMIT had no answer
        self._tried: set[Work] = set()  # those without one that ran alone, and may be durable
        self._pause = 0.0  # seconds until the server is asked again; 0: it is not away

    # Before and after a fork, in the thread that forks.

    def rest(self) -> None:
        """Let the operation in progress end. The session stays: it is the parent's alone."""
        self._resting = self._using.acquire(timeout=FORK_WAIT_SECONDS)

    def resume(self) -> None:
        """Let the thread continue."""
        if self._resting:
            self._resting = False
            self._using.release()

    def leave(self) -> None:
        """Leave the session and its loop to the parent, in its child."""
        leave_to_parent(self, self.db, self._loop)

    # Runs in the thread.

    def run(self, queue: "SimpleQueue[Work | None]") -> None:
        """Run what is queued until the end is asked for; only this uses the session."""
        self._loop = asyncio.new_event_loop()
        # What a lost connection leaves behind in it is told by the statement that failed.
        self._loop.set_exception_handler(lambda *_: None)
        ending: float | None = None  # when the thread was asked to end
        while ending is None or (self._left() and time.monotonic() < ending + LOCK_WAIT_SECONDS):
            if self._gather(queue, ending is not None):
                ending, self._again = time.monotonic(), 0.0
            try:
                with self._using:
                    self._round()
            except BaseException as error:  # noqa: BLE001 - whatever it is, no caller may wait for ever
                self._fail(error)
        left = (*self._works, *self._kept)
        deliver([Answer(work, error=OSError("the journal was closed")) for work in left])
        with self._using:
            self._shut()
            self._end()
            self._loop.close()

    def _left(self) -> bool:
        return bool(self._works or self._kept)

    def _gather(self, queue: "SimpleQueue[Work | None]", ending: bool) -> bool:
        """Take what is queued; return whether the thread is to end."""
        timeout: float | None = PULSE_SECONDS if self.pulse is not None else None
        if self._works:
            timeout = self._pause
        elif self._kept:
            timeout = max(self._again - time.monotonic(), self._pause)
        longest = LAST_PAUSE_SECONDS if ending else timeout
        return gather(queue, self._works, longest, self._in_flight)

    def _round(self) -> None:
        """Run what is to be run now; what the server's absence stops stays queued."""
        if self._kept and (self._works or time.monotonic() >= self._again):
            self._works.extendleft(reversed(self._kept))  # they are the oldest
            self._kept.clear()
        try:
            while self._works:
                db = self._session()
                self._settle(db)
                if self._works:
                    self._next(db)
            self._beat()
            self._pause = 0.0
        except ServerGone as error:
            self._shut()
            self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)
            self._late(error)

    def _session(self) -> Connection:
        if self.db is None or not self.db.alive:
            self._shut()
            assert self._loop is not None  # noqa: S101 - it was made before the first round
            try:
                self.db, self._lock = self._open(self._loop)
            except OSError as error:
                raise error if isinstance(error, ServerGone) else ServerGone(str(error)) from None
            self._part(self.db)
        return self.db

    def _part(self, db: Connection) -> None:
        """End the lost session: what it was sent is not to be done after what follows here."""
        lost, self._lost = self._lost, None
        if lost is not None:
            with contextlib.suppress(OSError):  # if the server is gone again, the next work says so
                end_session(db, lost)

    def _next(self, db: Connection) -> None:
        group = next(in_groups(islice(self._works, MAX_BATCH)))
        if all(_alone(work) for work in group):
            self._tried.update(group)
            answers = run_alone(db, group)
        else:
            found = transact(db, group, None if group[0].read_only else self._lock)
            if isinstance(found, Doubt):
                self._doubt = found
                raise found.lost
            answers = found
        self._drop(group)
        done = {id(answer.work) for answer in answers or ()}
        self._repeat([work for work in group if id(work) not in done])
        self._told(answers or [])

    def _drop(self, group: list[Work]) -> None:
        """Take works out of the queue, most often its first ones."""
        over = {id(work) for work in group}
        while self._works and id(self._works[0]) in over:
            over.remove(id(self._works.popleft()))
        if over:
            self._works = deque(work for work in self._works if id(work) not in over)

    def _settle(self, db: Connection) -> None:
        """Learn whether operations without an answer are durable, before anything else."""
        doubt = self._doubt
        if doubt is None:
            return
        durable = doubt.durable(db)
        self._doubt = None
        for answer in doubt.answers if durable else ():
            queue = self._kept if answer.work in self._kept else self._works
            if answer.work in queue:
                queue.remove(answer.work)
                self._told([answer])
            elif answer.work.undo is not None:  # its caller has had an error meanwhile
                self._works.append(Work(answer.work.undo(answer.result), durable=True))

    def _repeat(self, group: list[Work]) -> None:
        """Queue again what met another transaction, unless its caller has waited too long."""
        now = time.monotonic()
        again = [work for work in group if work.durable or now < work.until]
        self._works.extendleft(reversed(again))  # before what their callers have queued since
        late = OSError("the journal is locked by other workers")
        self._told([Answer(work, error=late) for work in group if work not in again])

    def _told(self, answers: list[Answer]) -> None:
        """Deliver answers; failed writes that must not be lost are tried again."""
        for answer in answers:
            self._tried.discard(answer.work)
            if answer.failed and answer.work.durable:
                self._kept.append(answer.work)
                self._again = time.monotonic() + RETRY_SECONDS
            elif answer.error is None and answer.work.then is not None:
                answer.work.then()
        deliver(answers)

    def _late(self, error: Exception) -> None:
        """Fail the callers who have waited too long; what must not be lost stays."""
        now = time.monotonic() + LOCK_WAIT_SECONDS - AWAY_WAIT_SECONDS
        late = [work for work in self._works if now >= work.until]
        deliver([Answer(work, error=OSError(str(error))) for work in late])
        for work in late:
            if work.durable:
                work.until = float("inf")  # its caller has the error
                continue
            self._works.remove(work)
            if work in self._tried and work.undo is not None:  # it may be durable all the same
                self._works.append(Work(work.undo(None), durable=True))
            self._tried.discard(work)

    def _fail(self, error: BaseException) -> None:
        """Fail all callers, as with a journal that can never be one."""
        known = isinstance(error, PaymuxError | OSError)
        said = error if known else OSError(f"the journal cannot be used: {error!r}")
        works = list(self._works)
        self._works.clear()
        self._kept.extend(work for work in works if work.durable)
        self._again = time.monotonic() + RETRY_SECONDS
        deliver([Answer(work, error=said) for work in works])

    def _beat(self) -> None:
        """Run the periodic work; if it cannot be run, it is at the next pulse."""
        if self.pulse is None or time.monotonic() < self._pulsed + PULSE_SECONDS:
            return
        self._pulsed = time.monotonic()
        if (operation := self.pulse()) is not None:
            answer = transact(self._session(), [Work(operation)], self._lock)
            if isinstance(answer, Doubt):
                raise answer.lost

    def _shut(self) -> None:
        db, self.db = self.db, None
        if db is not None:
            self._lost = None if db.alive else db
            db.close()


def _alone(work: Work) -> bool:
    """Return whether an operation needs no transaction around its statements."""
    return work.alone or (isinstance(work.do, Bulk) and work.do.single)
