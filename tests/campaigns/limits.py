"""Storms of requests against a provider that enforces its rate limit strictly."""

import asyncio
import random
from collections import deque
from typing import Any

from paymux.limits import Limiter, Priority

from ..toys import START, now

REFUSED, USED = 0.02, 0.8  # at most, at least
CALM = 20.0  # seconds after which a storm must be over

Row = dict[str, Any]


class Strict:
    """A provider that allows `rate` requests a second.

    `way` is how it counts them: "sliding" window, "fixed" window or token "bucket".
    """

    def __init__(self, rate: int, way: str = "sliding") -> None:
        self.rate, self.way = rate, way
        self._seen: deque[float] = deque()
        self._tokens, self._at = float(rate), START
        self.log: list[tuple[float, bool]] = []

    def allows(self, at: float) -> bool:
        """Count a request, and return whether it is allowed."""
        if self.way == "bucket":
            self._tokens, self._at = min(self._tokens + (at - self._at) * self.rate, self.rate), at
            allowed = self._tokens >= 1
            self._tokens -= allowed
        else:
            while self._seen and (
                self._seen[0] + 1 <= at or (self.way == "fixed" and self._seen[0] < int(at))
            ):
                self._seen.popleft()
            allowed = len(self._seen) < self.rate
            if allowed:
                self._seen.append(at)
        self.log.append((at - START, allowed))
        return allowed

    def share(self, since: float, until: float) -> tuple[float, float]:
        """Return the share of the requests that was refused, and the share of the limit used."""
        kept = [allowed for at, allowed in self.log if since <= at < until]
        return kept.count(False) / len(kept), kept.count(True) / (until - since) / self.rate


class Fickle(Strict):
    """A provider without a limit, which refuses a share of the requests at random."""

    def __init__(self, refuses: float) -> None:
        super().__init__(1)
        self._refuses, self._chance = refuses, random.Random(1)

    def allows(self, at: float) -> bool:
        """Refuse a request at random."""
        allowed = self._chance.random() >= self._refuses
        self.log.append((at - START, allowed))
        return allowed


async def storm(
    provider: Strict, *, retry_after: float | None, seconds: float, seed: int = 1
) -> list[float | None]:
    """Run 500 callers that send requests without end, and retry as the transport does.

    Return the learned rate at each second.
    """
    gate, chance, loop = Limiter("toy", {}), random.Random(seed), asyncio.get_running_loop()
    paces: list[float | None] = []

    async def work() -> None:
        while now() < seconds:
            await gate.acquire(money=False, priority=Priority.NOW, deadline=float("inf"))
            await asyncio.sleep(chance.uniform(0.02, 0.1))
            allowed = provider.allows(loop.time())
            await asyncio.sleep(chance.uniform(0.02, 0.1))
            gate.release(money=False)
            if allowed:
                gate.on_answer()
            else:
                gate.on_throttled(retry_after)
                await asyncio.sleep(chance.uniform(0, 0.4) if retry_after is None else retry_after)

    async def look() -> None:
        while now() < seconds:
            paces.append(gate.state().pace)
            await asyncio.sleep(1)

    await asyncio.gather(look(), *(work() for _ in range(500)))
    return paces
