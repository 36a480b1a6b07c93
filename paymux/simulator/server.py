"""The simulator: all providers on one loopback port, and as a connection without sockets."""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from ..errors import UsageError
from ..models import Status
from ..primitives import coerce
from ..primitives.clock import monotonic
from ..values.arguments import status as checked_status
from ..values.arguments import whole
from .access import Access, names
from .core import Latency, PayerDelay
from .http_server import HttpServer
from .payers import Habits
from .plan import Plan
from .providers import Chosen, choose
from .world import World
from .worlds import Worlds

# The base of URLs without a socket: nothing listens on the port of tcpmux.
_IN_PROCESS = "http://127.0.0.1:1"


class Simulator(World):
    """Simulated providers: `async with Simulator() as sim` opens a port.

    `sim.connection` needs none. Each provider is mounted at `/<driver name>` and accepts its
    `credentials` (printed by `paymux simulator --help`). `providers`: names and classes of those to
    serve; None: all, also those of other packages. `latency`: seconds of each answer;
    `payer_delay`: seconds until a payer decides; both may be numbers or functions of a seeded
    `random.Random` (and of the order). `default`: the outcome for payers whose number has no
    meaning; None: undecided until `settle` or `answer`. `payers`, in its place: "ask" (as None, and
    payouts succeed), "approve" or "random"; `after`: seconds until each of them decides. `root`: a
    provider that is also served without its mount, for clients that know a host and no path.
    `keep`: how many requests and webhooks are kept, with the first 64 KiB of their bodies; None:
    all, whole.

    It answers on 127.0.0.1 and ::1, under these names alone. `host`: another address to listen on;
    then the page and the control API want `token`. `allow_host`: more names under which it answers.
    `webhook_host`: names beside loopback that webhooks may go to. `cors`: origins whose pages may
    use the control API.

    UsageError: a name, number or word that is none, and then nothing is changed; what is only read
    raises nothing.
    """

    def __init__(
        self,
        *,
        providers: Chosen = None,
        port: int = 0,
        seed: int = 0,
        latency: Latency = 0.0,
        payer_delay: PayerDelay = 0.05,
        default: Status | None = None,
        payers: Habits | None = None,
        after: float | None = None,
        root: str | None = None,
        keep: int | None = None,
        host: str | None = None,
        allow_host: Iterable[str] = (),
        webhook_host: Iterable[str] = (),
        cors: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        found = choose(providers)
        if root is not None and coerce.text(root) not in found:
            raise UsageError.field("root", root, ", ".join(sorted(found)))
        self.access = Access(host=host, allow_host=allow_host, cors=cors, token=token)
        self.root = coerce.text(root)
        self._port = whole("port", port, 0, 65_535)
        kept = None if keep is None else whole("keep", keep, 1, 10**6)
        plan = Plan(
            kinds=found,
            latency=latency,
            payer_delay=payer_delay,
            default=None if default is None else checked_status("default", default),
            payers=payers,
            after=after,
            webhook_hosts=names("webhook_host", webhook_host),
        )
        super().__init__(plan.core(seed, _IN_PROCESS, kept), found, kept)
        self.worlds = Worlds(self, plan)
        self.ready_since: float | None = None  # of the monotonic clock, while it listens
        self.streams: set[Any] = set()  # of events, in all worlds
        self._server = HttpServer(self)

    def world(self, name: str | None = None, *, seed: int = 0) -> World:
        """Open a world with a ledger, faults, payers and settings of its own, below `/w/<name>`.

        `name`: small letters, digits, `-` and `_`; None: a new one. UsageError: it is taken.
        """
        return self.worlds.open(name, seed=seed)

    async def __aenter__(self) -> Self:
        self.core.url = await self._server.open(self._port)
        self.worlds.move()
        self.ready_since = monotonic()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ready_since = None
        await self.worlds.aclose()
        await self.core.aclose()
        await self._server.close()
        self.core.url = _IN_PROCESS
