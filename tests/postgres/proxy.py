"""A TCP proxy between a worker and its server, which cuts connections, or swallows all bytes."""

import asyncio
import contextlib
from typing import Self


class Proxy:
    """Listens on a port of the loopback, and passes bytes to a server, while it does.

    `cut` resets all connections; `refuse` and `swallow` last until they are False again. While it
    swallows, no byte passes and no end of a connection is told: a network that drops all packets.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listening: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.refuse = False
        self.deaf = False  # what the server says is lost
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listening is not None
        self._listening.close()
        self.cut()
        await asyncio.gather(*self._links, return_exceptions=True)

    @property
    def swallow(self) -> bool:
        """Return whether it swallows all bytes."""
        return not self._open.is_set()

    @swallow.setter
    def swallow(self, on: bool) -> None:
        if on:
            self._open.clear()
        else:
            self._open.set()

    def cut(self) -> None:
        """Reset all connections, on both sides."""
        for link in list(self._links):
            link.cancel()

    async def swallow_for(self, seconds: float) -> None:
        """Swallow all bytes for a while, also those of new connections."""
        self.swallow = True
        await asyncio.sleep(seconds)
        self.swallow = False

    async def lose_answers(self, seconds: float) -> None:
        """Let the server hear everything and say nothing, and then reset all connections."""
        self.deaf = True
        await asyncio.sleep(seconds)
        self.cut()
        self.deaf = False

    def miss(self) -> None:
        """Let the server see the end of all connections, as it does after its keep-alives."""
        for other in self._others:
            other.transport.abort()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        other: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            if self.refuse:
                return
            theirs, other = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._others.add(other)
            passing = [
                asyncio.create_task(self._pass(reader, other, answers=False)),
                asyncio.create_task(self._pass(theirs, writer, answers=True)),
            ]
            try:
                await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in passing:
                    one.cancel()
                await asyncio.wait(passing)
            await self._open.wait()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            if other is not None:
                self._others.discard(other)
            for end in (writer, other):
                if end is not None:
                    end.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                if not (answers and self.deaf):
                    to.write(data)
                    await to.drain()
