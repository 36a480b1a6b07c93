"""The simulator as a connection without sockets: the same providers, ledger and faults."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from ..http import PreparedRequest, Response, TransportError, WebhookRequest
from .base import Provider
from .core import SimulatorCore
from .faults import Fault, Planned

_BREAKING = {Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.GARBAGE}


class InProcess:
    """Sends requests to the simulated providers, by their mount or by their own hosts."""

    def __init__(
        self,
        world: SimulatorCore,
        providers: Mapping[str, Provider],
        answer: Callable[[str, WebhookRequest, Planned | None], Awaitable[Response]],
    ) -> None:
        self._core = world
        self._providers = providers
        self._answer = answer
        self._hosts = {
            host: name for name, provider in providers.items() for host in provider.hosts
        }

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one attempt; return its reply, or raise TransportError as a socket would."""
        outgoing.started = True
        name, incoming = self._addressed(outgoing)
        outgoing.sent = True
        planned = self._core.faults.for_request(name, incoming.method, incoming.path)
        if planned is not None and planned.kind is Fault.DROP_BEFORE:
            raise TransportError(planned.kind.value)
        reply = await self._answer(name, incoming, planned)
        if planned is not None and planned.kind in _BREAKING:
            raise TransportError(planned.kind.value)
        if planned is not None and planned.kind is Fault.STALL:
            await self._core.pause(None)
            raise TransportError(planned.kind.value)
        if planned is not None and planned.kind is Fault.DRIP:
            await self._core.pause(planned.seconds * len(reply.body))
        return reply

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Yield the frames that the provider pushes; TransportError: it refuses the socket."""
        name, incoming = self._addressed(outgoing)
        refusal = self._providers[name].listens(incoming)
        if refusal is not None:
            raise TransportError(f"the socket was refused with HTTP {refusal.status}")
        with self._core.listener(name) as frames:
            while True:
                yield await frames.get()

    async def aclose(self) -> None:
        """Do nothing: running requests belong to the simulator, and other pools may use it."""

    def _addressed(self, outgoing: PreparedRequest) -> tuple[str, WebhookRequest]:
        url = urlsplit(outgoing.url)
        name, path = self._hosts.get(url.hostname or "", ""), url.path
        if not name:
            mounted = path.removeprefix(urlsplit(self._core.url).path)
            name, _, below = mounted.lstrip("/").partition("/")
            path = f"/{below}"
        if name not in self._providers:
            raise TransportError("no simulated provider answers there", permanent=True)
        return name, WebhookRequest(
            method=outgoing.method,
            path=path,
            query=url.query,
            headers={
                "host": url.netloc,
                **{key.lower(): value for key, value in outgoing.headers.items()},
            },
            body=outgoing.body or b"",
            peer="127.0.0.1",
        )
