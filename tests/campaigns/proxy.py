"""A proxy on loopback that tunnels what it is asked to, or refuses in one of several ways."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from typing import Self

# What a proxy answers instead of a tunnel, and whether it then ends the connection.
REFUSALS: Mapping[str, bytes] = {
    "407": b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n'
    b"Content-Length: 0\r\n\r\n",
    "403": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nsorry\n",
    "502": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n"
    b"Content-Length: 0\r\n\r\n",
    "garbage": b"\x16\x03\x01 this is not HTTP\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 Conn",
    "drop": b"",
    "reset": b"",
    "hang": b"",
}


class Proxy:
    """Takes CONNECT; `refusal` says how it refuses ("": a tunnel), and may be set at any time."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.heads: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if self.refusal:
                    await self._refuse(writer)
                else:
                    await _tunnel(head, reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _refuse(self, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSALS[self.refusal])
        await writer.drain()
        if self.refusal == "hang":
            await asyncio.get_running_loop().create_future()
        if self.refusal == "reset":
            wire = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


async def _tunnel(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, _, port = head.split(b" ")[1].decode().rpartition(":")
    there, back = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    ways = [asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        back.close()
