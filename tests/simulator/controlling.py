"""Requests to the control API on a real socket, as any program sends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from paymux.simulator import Simulator


class Answer(NamedTuple):
    """An answer from the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


async def call(
    sim: Simulator,
    method: str,
    path: str,
    body: Any = None,
    *,
    to: str = "127.0.0.1",
    **headers: str | None,
) -> Answer:
    """Send one request; a header that is None is left out, `_` in its name stands for `-`."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    given: dict[str, str | None] = {
        "host": urlsplit(sim.url).netloc,
        "content-type": None if body is None else "application/json",
        "content-length": str(len(content)) if content else None,
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "connection": "close",
    }
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    reader, writer = await asyncio.open_connection(to, urlsplit(sim.url).port)
    try:
        writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + content)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(read(head).headers.get("content-length", 0))
        return read(head + await reader.readexactly(size))
    finally:
        writer.close()
        await writer.wait_closed()


async def api(sim: Simulator, method: str, path: str, body: Any = None, **headers: Any) -> Answer:
    """Call the control API; one that changes something has a body."""
    if body is None and method in ("POST", "PUT", "PATCH"):
        body = {}
    return await call(sim, method, f"/_paymux/{path}", body, **headers)


def read(raw: bytes) -> Answer:
    """Read a whole answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Answer(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body)


class Events:
    """A stream of events, read one at a time; events of a batch come one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.last = ""
        self.words: list[str] = []

    async def next(self) -> list[Any]:
        """Return the data of the next frame: of each event in it."""
        data: Any = None
        while True:
            line = (await self.reader.readuntil(b"\n")).decode().strip()
            name, _, value = line.partition(": ")
            if name == "id":
                self.last = value
            elif name == "event":
                self.words.append(value)
            elif name == "data":
                data = json.loads(value)
            elif not line and data is not None:
                return list(data["events"]) if data["type"] == "batch" else [data]


@asynccontextmanager
async def events(
    sim: Simulator, path: str = "/_paymux/events", **headers: str
) -> AsyncIterator[Events]:
    """Open a stream."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", urlsplit(sim.url).port, limit=1 << 24
    )
    given = {
        "host": urlsplit(sim.url).netloc,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in given.items()]
    # HTTP/1.0, so that the stream is not in chunks.
    writer.write("\r\n".join([f"GET {path} HTTP/1.0", *lines, "", ""]).encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        yield Events(reader, writer)
    finally:
        writer.close()
