"""A listener on a local port, to which the public callback address leads for a minute."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

from ...http import Response, WebhookRequest
from ...primitives.coerce import text

Hear: TypeAlias = Callable[[WebhookRequest], Awaitable[Response]]

_MAX_HEAD, _MAX_BODY, _SECONDS = 16_384, 65_536, 5.0
_REQUEST = re.compile(rb"(GET|HEAD|POST) (\S{1,8192}) HTTP/1\.[01]")


class Listener:
    """Hears requests on a port of this machine: `async with Listener(8000, hear) as one`.

    OSError: the port is taken.
    """

    def __init__(self, port: int, hear: Hear, host: str = "127.0.0.1") -> None:
        self.port = port
        self._host = host
        self._hear = hear
        self._server: asyncio.Server | None = None
        self._at_work = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, self._host, self.port, limit=_MAX_HEAD
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)
        try:
            async with asyncio.timeout(_SECONDS):
                incoming = await _read(reader)
            reply = Response(status=400) if incoming is None else await self._hear(incoming)
            writer.write(_written(reply))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that went away, or is none
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> WebhookRequest | None:
    """Read one request; None: it is none, or larger than a message."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        return None
    pairs = [line.decode("latin-1").partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = text(headers.get("content-length")) or "0"
    if not length.isdecimal() or int(length) > _MAX_BODY:
        return None
    body = await reader.readexactly(int(length))
    path, _, query = request[2].decode("latin-1").partition("?")
    return WebhookRequest(
        method=request[1].decode(), path=path, query=query, headers=headers, body=body
    )


def _written(reply: Response) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} OK", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + reply.body
