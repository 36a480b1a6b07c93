"""One connection that shows that a worker lives: its lock, its beat, and LISTEN."""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ...errors import PaymuxError
from ...models import log

if TYPE_CHECKING:
    import asyncpg

Connect: TypeAlias = Callable[[], Awaitable[Any]]  # gives an `asyncpg.Connection`
Notified: TypeAlias = Callable[[str, str], None]  # channel, payload

LOCK_TRIES, LOCK_WAIT_SECONDS = 20, 0.1  # for a lock that this worker's broken session still holds

# A client that is gone without a word is noticed after 10 + 4 * 5 seconds; the user time-out is for
# a connection with data under way, for which the system sends no keep-alives:
# https://www.postgresql.org/docs/current/runtime-config-connection.html
_KEEPALIVES = """SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 4; SET tcp_user_timeout = 30000; SET statement_timeout = 0;
    SET synchronous_commit = on"""
# Two journals in one database have two tables, so no worker of one has the lock of the other's.
LOCK_CLASS = "'workers'::regclass::oid::int"
_TRY = f"SELECT pg_try_advisory_lock({LOCK_CLASS}, $1::int)"
_UNLOCK = f"SELECT pg_advisory_unlock({LOCK_CLASS}, $1::int)"
# Only this worker ever takes its lock exclusively, so who holds it is a session of its own that
# broke, and that the server has not missed yet.
_EVICT = """SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock' AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid = 'workers'::regclass AND objid = $1::int::oid AND pid <> pg_backend_pid()"""
_NEW = "INSERT INTO workers (host, pid) VALUES ($1, $2) RETURNING id"
# By the simple protocol: one round trip, and no statement to prepare on each new connection.
_BEAT = "UPDATE workers SET beat = beat + 1 WHERE id = {} AND ended IS NULL"
_OTHERS = "SELECT id, beat FROM workers WHERE ended IS NULL AND id <> $1::int"
_END = "UPDATE workers SET ended = now() WHERE id = {}; SELECT pg_advisory_unlock_all()"


class LifeSession:
    """A connection of a worker's life, terminated and never closed: closing waits for an answer.

    https://magicstack.github.io/asyncpg/current/api/index.html#asyncpg.connection.Connection.terminate
    """

    def __init__(self, connection: "asyncpg.Connection", answer_seconds: float) -> None:
        self._connection = connection
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        self.worker = 0
        self.closed = asyncio.Event()
        connection.add_termination_listener(lambda _: self.closed.set())

    @classmethod
    async def opened(cls, connect: Connect, answer_seconds: float) -> Self:
        """Connect, and set what the connection needs."""
        async with asyncio.timeout(answer_seconds):
            connection = await connect()
        session = cls(connection, answer_seconds)
        try:
            await session._answered(connection.execute(_KEEPALIVES))
        except BaseException:
            session.terminate()
            raise
        return session

    async def live_as(self, worker: int, *, again: bool) -> bool:
        """Take the lock of this worker again; again=True: wait for a broken session to end.

        False: it must not be used any more, because another worker took over what it had, or its
        lock cannot be had.
        """
        if not worker:
            return False
        for tried in range(LOCK_TRIES if again else 1):
            if await self._answered(self._connection.fetchval(_TRY, worker)):
                if await self._beaten(worker):
                    return True
                await self._answered(self._connection.fetchval(_UNLOCK, worker))
                return False
            if tried == 0:
                await self._answered(self._connection.fetch(_EVICT, worker))
            await asyncio.sleep(LOCK_WAIT_SECONDS if again else 0)
        return False

    async def live_anew(self) -> int:
        """Become a worker that never was before, and hold its lock."""
        new = self._connection.fetchval(_NEW, platform.node(), os.getpid())
        worker = int(await self._answered(new))
        if not await self.live_as(worker, again=True):
            raise OSError(f"the lock of worker {worker} is not to be had")
        return worker

    async def beat(self) -> bool:
        """Confirm that this worker lives; False: another worker took over what it had."""
        return await self._beaten(self.worker)

    async def others(self) -> list[tuple[int, int]]:
        """Return the beats of the other workers that have not ended."""
        found = await self._answered(self._connection.fetch(_OTHERS, self.worker))
        return [(row[0], row[1]) for row in found]

    async def listen(self, channels: Iterable[str], notified: Notified) -> None:
        """Listen on channels; what comes from now on reaches `notified(channel, payload)`."""
        for channel in channels:
            heard = self._connection.add_listener(
                channel, lambda _, __, channel, payload: notified(str(channel), str(payload))
            )
            await self._answered(heard)

    async def end(self) -> None:
        """Say that the worker has ended: what it had is free at once."""
        await self._answered(self._connection.execute(_END.format(self.worker)))

    def terminate(self) -> None:
        """Drop the connection without a word; the server releases the lock."""
        self._connection.terminate()

    def descriptor(self) -> int | None:
        """Return the descriptor of the connection, for a forked child to let go of it."""
        transport = getattr(self._connection, "_transport", None)
        socket = None if transport is None else transport.get_extra_info("socket")
        return None if socket is None else int(socket.fileno())

    async def _beaten(self, worker: int) -> bool:
        status = await self._answered(self._connection.execute(_BEAT.format(worker)))
        return bool(status == "UPDATE 1")

    async def _answered(self, asked: Awaitable[Any]) -> Any:
        """Wait for an answer, and no longer: then the connection counts as gone."""
        # By terminating: a time-out of asyncpg's own asks the server to cancel the statement, over
        # a second connection, which is not answered either.
        late = self._loop.call_later(self._answer_seconds, self._late)
        try:
            return await asked
        except Exception as error:
            if isinstance(error, PaymuxError | OSError):
                raise
            raise OSError(f"the journal's server: {' '.join(str(error).split())}") from None
        finally:
            late.cancel()

    def _late(self) -> None:
        log.warning("the journal's server gave no answer for %g s", self._answer_seconds)
        self.terminate()
