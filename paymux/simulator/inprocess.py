"""The simulator as a connection without sockets: the same providers, ledger and faults."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from ..wire import Broken, Incoming, Outgoing, Reply
from .base import Provider
from .faults import Fault, Planned
from .world import World

_BREAKING = {Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.GARBAGE}


class InProcess:
    """Sends requests to the simulated providers, by their mount or by their own hosts."""

    def __init__(
        self,
        world: World,
        providers: Mapping[str, Provider],
        answer: Callable[[str, Incoming, Planned | None], Awaitable[Reply]],
    ) -> None:
        self._world = world
        self._providers = providers
        self._answer = answer
        self._hosts = {host: name for name, provider in providers.items() for host in provider.hosts}

    async def exchange(self, outgoing: Outgoing) -> Reply:
        """Send one attempt; return its reply, or raise Broken as a socket would."""
        outgoing.began = True
        name, incoming = self._addressed(outgoing)
        outgoing.sent = True
        planned = self._world.faults.for_request(name, incoming.method, incoming.path)
        if planned is not None and planned.kind is Fault.DROP_BEFORE:
            raise Broken(planned.kind.value)
        reply = await self._answer(name, incoming, planned)
        if planned is not None and planned.kind in _BREAKING:
            raise Broken(planned.kind.value)
        if planned is not None and planned.kind is Fault.STALL:
            await self._world.pause(None)
            raise Broken(planned.kind.value)
        if planned is not None and planned.kind is Fault.DRIP:
            await self._world.pause(planned.seconds * len(reply.body))
        return reply

    async def frames(self, outgoing: Outgoing) -> AsyncGenerator[str | bytes]:
        """Yield the frames that the provider pushes; Broken: it refuses the socket."""
        name, incoming = self._addressed(outgoing)
        refusal = self._providers[name].listens(incoming)
        if refusal is not None:
            raise Broken(f"the socket was refused with HTTP {refusal.status}")
        with self._world.listener(name) as frames:
            while True:
                yield await frames.get()

    async def aclose(self) -> None:
        """Do nothing: running requests belong to the simulator, and other pools may use it."""

    def _addressed(self, outgoing: Outgoing) -> tuple[str, Incoming]:
        url = urlsplit(outgoing.url)
        name, path = self._hosts.get(url.hostname or "", ""), url.path
        if not name:
            name, _, below = url.path.lstrip("/").partition("/")
            path = f"/{below}"
        if name not in self._providers:
            raise Broken("no simulated provider answers there", certain=True)
        return name, Incoming(
            method=outgoing.method,
            path=path,
            query=url.query,
            headers={"host": url.netloc, **{key.lower(): value for key, value in outgoing.headers.items()}},
            body=outgoing.body or b"",
            peer="127.0.0.1",
        )
