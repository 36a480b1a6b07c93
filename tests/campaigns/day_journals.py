"""Where the journal of R24's shop lies: in a file of one machine, or on a server for several."""

import asyncio
import contextlib
import random
import socket
from pathlib import Path
from typing import Any

from paymux.journal.postgres import PostgresJournal
from paymux.journal.work import Work

from ..clusters import Cluster
from .simulation import LoopJournal


class DayFile:
    """A journal in a file, whose operations take virtual time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def journal(self, chance: random.Random) -> LoopJournal:
        """Return the journal of another worker."""
        return LoopJournal(self._path, chance)

    async def kill(self, journal: Any) -> None:
        """End a worker's journal as the death of its process does."""
        journal.die()

    async def restart(self) -> None:
        """Do nothing: no server runs."""


class DayServer:
    """A journal in PostgreSQL, by real threads: the clock stands still while they work."""

    def __init__(self, cluster: Cluster, url: str) -> None:
        self._cluster = cluster
        self._url = url

    def journal(self, _: random.Random) -> "Mortal":
        """Return the journal of another worker."""
        return Mortal(self._url)

    async def kill(self, journal: Any) -> None:
        """End a worker's journal as the death of its process does."""
        journal.die()
        # It ends in a thread of its own, which the clock waits for.
        await asyncio.get_running_loop().run_in_executor(None, journal.buried)

    async def restart(self) -> None:
        """Stop the server and start it again, while all workers use it."""
        await asyncio.get_running_loop().run_in_executor(None, self._again)

    def _again(self) -> None:
        self._cluster.stop()
        self._cluster.start()


class Mortal(PostgresJournal):
    """A journal whose worker can die: its connections end, and it says nothing."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.dead = False
        writer: Any = self._writer
        queued = writer.queued

        def alive(work: Work) -> "asyncio.Future[Any]":
            if self.dead:
                raise asyncio.CancelledError
            future: asyncio.Future[Any] = queued(work)
            return future

        writer.queued = alive

    def die(self) -> None:
        """Cut its connections, and open no other; nothing more is written or said."""
        self.dead = True
        life, runner = self._life, self._writer.runner
        # With a body that still runs, a life does not say that it has ended.
        life._bodies[object()] = lambda: None
        runner._open = _unopened
        runner._left = _nothing  # what waits dies with it
        life._connect = _unconnected
        links = [runner.db and runner.db._link, life._session and life._session._connection]
        for link in filter(None, links):
            _cut(link)
        self._writer._queue.put(None)

    def buried(self) -> None:
        """Wait until its threads have ended."""
        thread = self._writer._thread
        if thread is not None:
            thread.join(30)

    async def aclose(self) -> None:
        """Close it as a process does that ends well."""
        await super().aclose()
        self.dead = True


def _cut(link: Any) -> None:
    """End a connection as the system does for a process that is gone."""
    transport = getattr(link, "_transport", None)
    one = None if transport is None else transport.get_extra_info("socket")
    if one is not None:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _nothing() -> bool:
    return False


def _unopened(_: object) -> Any:
    raise OSError("the process is dead")


async def _unconnected() -> Any:
    raise OSError("the process is dead")
