"""The worlds of one simulator, by name: at most a hundred, and the idle ones are forgotten."""

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..primitives import coerce
from ..primitives.clock import monotonic
from .plan import Plan
from .world import World

if TYPE_CHECKING:
    from .server import Simulator

MOST = 100
KEPT = 1000  # requests and webhooks of each
IDLE_SECONDS = 10.0  # since the last request, without a stream or a payer who still decides
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)


class TooManyWorlds(UsageError):
    """All worlds are in use: try again when one of them is idle."""


class Worlds:
    """Worlds beside the default one; each is served below `/w/<name>`."""

    def __init__(self, sim: "Simulator", plan: Plan) -> None:
        self._sim = sim
        self._plan = plan
        self._open: dict[str, World] = {}  # the one that was used last is the last
        self._used: dict[str, float] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def open(self, name: str | None, *, seed: int = 0) -> World:
        """Open a world; TooManyWorlds: a hundred are in use."""
        known = f"w-{secrets.token_hex(4)}" if name is None else coerce.text(name) or ""
        if not _NAME.fullmatch(known) or known in self._open:
            accepted = "a new one of 1 to 63 characters of a-z, 0-9, - and _, not - or _ first"
            raise UsageError.field("name", name, accepted)
        if len(self._open) >= MOST:
            self._forget_one()
        core = self._plan.core(seed, f"{self._sim.url}/w/{known}", KEPT)
        world = World(core, self._plan.kinds, KEPT)
        world.core.receiver = self._sim.core.receiver
        self._open[known] = world
        self._used[known] = monotonic()
        return world

    def get(self, name: str) -> World | None:
        """Return the world of this name, which is in use from now on."""
        world = self._open.pop(name, None)
        if world is not None:
            self._open[name] = world
            self._used[name] = monotonic()
        return world

    def move(self) -> None:
        """Put the worlds that were opened before the port was known below it."""
        for name, world in self._open.items():
            world.core.url = f"{self._sim.url}/w/{name}"

    async def aclose(self) -> None:
        """End all worlds."""
        await asyncio.gather(*(world.core.aclose() for world in self._open.values()))
        await asyncio.gather(*self._closing)
        self._open.clear()

    def _forget_one(self) -> None:
        now = monotonic()
        for name, world in self._open.items():
            if now - self._used[name] >= IDLE_SECONDS and not world.core.busy:
                del self._open[name], self._used[name]
                task = asyncio.get_running_loop().create_task(world.core.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
                return
        raise TooManyWorlds.field("name", "another world", f"at most {MOST} that are in use")
