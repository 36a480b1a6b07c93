"""The simulator's HTTP server: aiohttp's low-level server, the doors, and each request's way."""

import asyncio
import errno
import logging
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from ..http import Response, WebhookRequest
from .base import Provider
from .checkout import asset
from .faults import Fault
from .received import headers_of
from .wire_faults import cut, respond, spoil
from .world import World

if TYPE_CHECKING:
    from .server import Simulator

CONTROL = "_paymux"
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_TRIES = 20  # free ports of IPv4 until one is free of IPv6, too


class _Readable(logging.Filter):
    """Keeps the tracebacks of bytes that are no HTTP out of the log: no code here is wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or kind.__module__ != "aiohttp.http_exceptions"


_LOG = logging.getLogger("paymux.simulator")
_LOG.addFilter(_Readable())


class HttpServer:
    """One port; every provider is mounted at its name, the control API at `/_paymux`."""

    def __init__(self, sim: "Simulator") -> None:
        self._sim = sim
        self._runner: web.ServerRunner | None = None

    async def open(self, port: int) -> str:
        """Listen on this port (0: any free one), and return the base URL."""
        for left in reversed(range(_TRIES if port == 0 else 1)):
            self._runner = web.ServerRunner(
                web.Server(self._serve, access_log=None, logger=_LOG, lingering_time=1.0),
                shutdown_timeout=1.0,
            )
            await self._runner.setup()
            try:
                return await self._listen_on(self._runner, port)
            except OSError as error:
                await self.close()
                if not left or error.errno != errno.EADDRINUSE:
                    raise
        raise AssertionError("unreachable")

    async def _listen_on(self, runner: web.ServerRunner, port: int) -> str:
        access = self._sim.access
        await web.TCPSite(runner, access.host or "127.0.0.1", port).start()
        access.port = runner.addresses[0][1]
        if access.host is None:
            try:
                await web.TCPSite(runner, "::1", access.port).start()
            except OSError as error:
                if error.errno not in _NO_IPV6:
                    raise
        return f"http://{access.shown}:{access.port}"

    async def close(self) -> None:
        """Stop listening, and close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        hosts = request.headers.getall("host", [])
        if len(hosts) != 1 or not self._sim.access.knows(hosts[0]):
            return respond(_rebound(hosts[0] if hosts else ""))
        path, _, query = request.raw_path.partition("?")
        if path == "/favicon.ico":
            return web.Response(status=204)  # every browser asks; no provider has one
        world, mount, path = self._world(path)
        if world is None:
            return respond(_no_world(mount))
        name = path.lstrip("/").partition("/")[0]
        if name == CONTROL and (file := asset(path.rpartition("/")[2])):
            return respond(file)
        if name == CONTROL or (not name and self._sim.root is None):
            from .control.door import Door  # noqa: PLC0415 - loaded only where it is used

            return await Door(self._sim, world, mount).serve(request, path, query)
        return await self._provide(request, world, path, query)

    def _world(self, path: str) -> tuple[World | None, str, str]:
        """Return the world that a path is in, the world's own path, and the path inside."""
        first, _, rest = path.lstrip("/").partition("/")
        if first != "w":
            return self._sim, "", path
        name, slash, below = rest.partition("/")
        return self._sim.worlds.get(name), f"/w/{name}", f"{slash}{below}"

    async def _provide(
        self, request: web.BaseRequest, world: World, path: str, query: str
    ) -> web.StreamResponse:
        """Let a provider answer, or a fault prevent it."""
        name, below = self._addressed(world, path.lstrip("/"))
        incoming = WebhookRequest(
            method=request.method,
            path=f"/{below}",
            query=query,
            headers=headers_of(request),
            peer=request.remote,
        )
        if incoming.headers.get("upgrade", "").lower() == "websocket" and name in world.providers:
            return await _listen(request, world, world.providers[name], incoming)
        planned = world.core.faults.for_request(name, incoming.method, incoming.path)
        if planned is not None and planned.kind is Fault.DROP_BEFORE:
            return cut(request)
        try:
            body = await request.read()
        except (web.RequestPayloadError, OSError):
            return cut(request)  # the client closed within its request: it was never received
        reply = await world.respond(name, msgspec.structs.replace(incoming, body=body), planned)
        if planned is not None:
            return await spoil(world.core, request, reply, planned)
        return respond(reply)

    def _addressed(self, world: World, path: str) -> tuple[str, str]:
        """Split a path into the provider and the path below its mount.

        The root provider has no mount.
        """
        name, _, below = path.partition("/")
        root = self._sim.root
        if root is None:
            return name, below
        own = world.providers[root].own_mounts
        whole = name in own and below.lstrip("/").partition("/")[0] not in own
        return (root, path) if whole or name not in world.providers else (name, below)


async def _listen(
    request: web.BaseRequest, world: World, provider: Provider, incoming: WebhookRequest
) -> web.StreamResponse:
    """Serve a WebSocket until either side ends it."""
    refusal = provider.listens(incoming)
    if refusal is not None:
        return respond(refusal)
    stream = web.WebSocketResponse(timeout=1.0)
    await stream.prepare(request)

    async def pass_on(frames: asyncio.Queue[str]) -> None:
        while True:
            await stream.send_str(await frames.get())

    async def hang_up() -> None:
        await world.core.pause(None)
        await stream.close()

    with world.core.listener(provider.name) as frames:
        work = [asyncio.create_task(pass_on(frames)), asyncio.create_task(hang_up())]
        try:
            async for _ in stream:
                pass
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
    return stream


def _rebound(host: str) -> Response:
    from .control.problems import Problem  # noqa: PLC0415 - loaded only where it is used

    accepted = "127.0.0.1, localhost or [::1] with our port, or a name of --allow-host"
    return Problem(
        403,
        f"host: {host[:200]!r} is refused; accepted: {accepted}",
        field="host",
        accepted=accepted,
    ).reply()


def _no_world(mount: str) -> Response:
    from .control.problems import Problem  # noqa: PLC0415 - loaded only where it is used

    name = mount.removeprefix("/w/")
    accepted = "one that POST /_paymux/worlds opened; an idle one may be forgotten"
    return Problem(
        404,
        f"world: {name[:63]!r} is unknown; accepted: {accepted}",
        field="world",
        accepted=accepted,
    ).reply()
