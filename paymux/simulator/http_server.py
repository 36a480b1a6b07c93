"""The simulator's HTTP server: aiohttp's low-level server, and faults as they look on the wire."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from ..http import Response, WebhookRequest
from .base import Provider
from .core import SimulatorCore
from .faults import Fault, Planned


class HttpServer:
    """One loopback port; every provider is mounted at its name."""

    def __init__(
        self,
        world: SimulatorCore,
        providers: Mapping[str, Provider],
        answer: Callable[[str, WebhookRequest, Planned | None], Awaitable[Response]],
        root: str | None,
    ) -> None:
        self._core = world
        self._providers = providers
        self._answer = answer
        self._root = root
        self._runner: web.ServerRunner | None = None

    async def open(self, port: int) -> str:
        """Listen on this port (0: any free one), and return the base URL."""
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=1.0
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError:
            await self.close()
            raise
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening, and close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        name, below = self._addressed(path.lstrip("/"))
        incoming = WebhookRequest(
            method=request.method,
            path=f"/{below}",
            query=query,
            headers={key.lower(): value for key, value in request.headers.items()},
            peer=request.remote,
        )
        if incoming.headers.get("upgrade", "").lower() == "websocket" and name in self._providers:
            return await self._listen(request, self._providers[name], incoming)
        planned = self._core.faults.for_request(name, incoming.method, incoming.path)
        if planned is not None and planned.kind is Fault.DROP_BEFORE:
            return _cut(request)
        try:
            body = await request.read()
        except (web.RequestPayloadError, OSError):
            return _cut(request)  # the client closed within its request: it was never received
        reply = await self._answer(name, msgspec.structs.replace(incoming, body=body), planned)
        if planned is not None:
            return await self._spoil(request, reply, planned)
        return _response(reply)

    def _addressed(self, path: str) -> tuple[str, str]:
        """Split a path into the provider and the path below its mount.

        The root provider has no mount.
        """
        name, _, below = path.partition("/")
        if self._root is None:
            return name, below
        own = self._providers[self._root].own_mounts
        whole = name in own and below.lstrip("/").partition("/")[0] not in own
        return (self._root, path) if whole or name not in self._providers else (name, below)

    async def _listen(
        self, request: web.BaseRequest, provider: Provider, incoming: WebhookRequest
    ) -> web.StreamResponse:
        refusal = provider.listens(incoming)
        if refusal is not None:
            return _response(refusal)
        stream = web.WebSocketResponse(timeout=1.0)
        await stream.prepare(request)

        async def pass_on(frames: asyncio.Queue[str]) -> None:
            while True:
                await stream.send_str(await frames.get())

        async def hang_up() -> None:
            await self._core.pause(None)
            await stream.close()

        with self._core.listener(provider.name) as frames:
            work = [asyncio.create_task(pass_on(frames)), asyncio.create_task(hang_up())]
            try:
                async for _ in stream:
                    pass
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
        return stream

    async def _spoil(
        self, request: web.BaseRequest, reply: Response, planned: Planned
    ) -> web.StreamResponse:
        """Write what a fault leaves of an answer; faults of the content are already in `reply`."""
        head = _head(reply)
        half = head + reply.body[: len(reply.body) // 2]
        match planned.kind:
            case Fault.DROP_AFTER:
                return _cut(request)
            case Fault.GARBAGE:
                return _cut(request, b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            case Fault.TRUNCATE:
                return _cut(request, half)
            case Fault.RESET:
                return _cut(request, half, reset=True)
            case Fault.STALL:
                await self._core.pause(None)
                return _cut(request)
            case Fault.DRIP:
                for part in (head, *(bytes([byte]) for byte in reply.body)):
                    if request.transport is None or request.transport.is_closing():
                        break
                    request.transport.write(part)
                    await self._core.pause(planned.seconds)
                return _cut(request)
            case _:
                return _response(reply)


def _response(reply: Response) -> web.Response:
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


def _head(reply: Response) -> bytes:
    headers = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    return "\r\n".join(
        [*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    ).encode()


def _cut(request: web.BaseRequest, written: bytes = b"", *, reset: bool = False) -> web.Response:
    """Write raw bytes and close the connection with FIN or reset; aiohttp then writes nothing."""
    transport = request.transport
    if transport is not None:
        transport.write(written)
        wire = transport.get_extra_info("socket")
        if reset and wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
    return web.Response()
