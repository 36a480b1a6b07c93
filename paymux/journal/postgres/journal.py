"""The journal in a schema of a PostgreSQL database, shared by workers on many machines."""

import asyncio
from functools import partial
from typing import cast

from ...errors import UsageError
from ...models import Payment
from ...primitives.coerce import is_a
from ...primitives.redaction import Secret
from ..base import order_key
from ..database import Database, Operation
from ..stored.journal import StoredJournal
from ..stored.retention import kept_for
from ..stored.writer import Writer
from ..suspension import Suspension
from ..tables.beats import CountedBeats
from ..tables.health import Inspection
from ..work import Work
from .address import Address
from .connection import Connection
from .end_claims import PostgresEnds
from .inspection import inspect
from .life import Life
from .life_connection import life_connection
from .message_rows import PostgresMessages
from .opening import lock_of, open_connection
from .own_transaction import TurnPlace, end_turn_in, turn_place
from .payment_rows import PostgresRows
from .places import PostgresPlaces
from .runner import PostgresRunner
from .timing import Timing
from .transaction import transact
from .vacuum import vacuum
from .wakeups import CHANNEL, PostgresWakeups
from .worker import PostgresWorker

_CLOCK = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


class PostgresJournal(StoredJournal):
    """A journal in PostgreSQL: `postgresql://user:password@host:port/database?schema=paymux`.

    `keep_days`: delete payments that ended so many days ago; None: keep all. A reference is never
    deleted: the same order returns how it ended, another order raises DuplicateReference.

    `schema` is the schema that the journal has for itself, made at the first opening. The other
    parameters are those of asyncpg (`sslmode`, `sslrootcert` … as libpq has them), and settings of
    the server; an unknown one is UsageError. What cannot be written while the server is away is
    held in memory, and written when it is back; no order is begun meanwhile.
    """

    engine = "postgresql"
    make = True  # False: a schema without a journal is refused

    def __init__(
        self, url: str | Secret, *, keep_days: float | None = None, timing: Timing | None = None
    ) -> None:
        place = url if is_a(url, Secret) else Secret(cast("str", url))
        del url  # the frames of an error must not hold a password
        keep = kept_for(keep_days)
        if timing is not None and not is_a(timing, Timing):
            raise UsageError.field("timing", timing, "a Timing")
        self.address = Address(place)
        self._opened = False
        self._lock = 0  # the key of the journal's lock
        self._place: TurnPlace | None = None
        connect = partial(life_connection, self.address)
        self._life = Life(connect, channels=[CHANNEL], timing=timing)
        self._postgres_worker = PostgresWorker(self._life)
        self._wakeups = PostgresWakeups(self._tell)
        self._life.listeners.append(self._wakeups)
        writer = Writer(lambda: PostgresRunner(self._open, self._end, self._in_flight))
        super().__init__(
            writer,
            self._postgres_worker,
            keep,
            PostgresRows(lambda: self._lock),
            PostgresMessages(lambda: self._lock),
            PostgresEnds(lambda: self._lock),
        )
        grace = self._life.timing.grace
        self._places = PostgresPlaces(writer.do, self._postgres_worker, grace, self._clock)
        self._life.listeners.append(self._places)

    def __repr__(self) -> str:
        return f"PostgresJournal({str(getattr(self, 'address', '…'))!r})"  # of one that was refused

    @property
    def suspension(self) -> Suspension:
        """Return what suspends the turns of this worker: its life."""
        return self._life

    @property
    def places(self) -> PostgresPlaces:
        """Return the places of stated limits, which all workers share."""
        return self._places

    @property
    def wakeups(self) -> PostgresWakeups:
        """Return what carries news between workers."""
        return self._wakeups

    def _tell(self) -> None:
        """Have what was announced sent, however long the server is away."""
        news = self._wakeups
        self._writer.send(Work(news.send, durable=True, alone=True, then=news.sent))

    async def end_turn_in(
        self, connection: object, payment: Payment, name: str, caller: str
    ) -> bool:
        """Complete a once-lock in the caller's own transaction, with which it stands and falls."""
        if self._place is None:
            raise OSError("the journal was closed")
        return await end_turn_in(connection, self._place, (*order_key(payment), name), caller)

    def after_fork_in_child(self) -> None:
        """Become another worker in a forked child, without any work of the parent."""
        self._postgres_worker.forget()
        super().after_fork_in_child()

    def _inspect(self, db: Database) -> Inspection:
        return inspect(db)

    async def _compact(self) -> None:
        """Remove old versions of rows."""
        await asyncio.to_thread(vacuum, self.address)

    # Runs in the thread.

    def _open(self, loop: asyncio.AbstractEventLoop) -> tuple[Connection, int]:
        try:
            db = open_connection(self.address, loop, make=self.make)
        except UsageError as error:
            # It was a journal: what is wrong with it now may pass, as a standby becomes a primary.
            if self._opened:
                raise OSError(str(error)) from None
            raise
        try:
            lock = lock_of(db, self.address)
            self._postgres_worker.begin()
            self._postgres_worker.attach(db)
            self._place = turn_place(self.address.schema, db)
            self._wakeups.learn(db)
            if not self._opened:
                self._retention.at_opening(partial(_transact, db, lock))
        except BaseException:
            self._postgres_worker.attach(None)
            db.close()
            raise
        self._opened, self._lock = True, lock
        return db, lock

    def _beats(self) -> CountedBeats:
        return CountedBeats()

    def _clock(self, db: Database) -> float:
        seconds: float = db.execute(_CLOCK).fetchone()[0]
        return seconds

    def _end(self) -> None:
        """End the worker's life, and log what could not be stored."""
        self._opened = False
        self._postgres_worker.end()
        self._wakeups.drop()
        self._forget_lost()


def _transact(db: Connection, lock: int, operation: Operation[bool]) -> bool:
    """Run an operation in a transaction; False: not now."""
    answers = transact(db, [Work(operation)], lock)
    return isinstance(answers, list) and answers[0].error is None and bool(answers[0].result)
