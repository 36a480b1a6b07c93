"""Telling `on_payment`: each state once where all goes well, and again where anything fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from functools import partial

from ..errors import Unavailable
from ..journal import Key, Outbox, named
from ..models import Kind, Payment, Status, log
from .guard import Failed, guarded

LONGEST = 60.0  # seconds that a call of the shop's may take before it is cancelled, and called again later
SLOWEST = 300.0  # seconds between repetitions, at most
AT_ONCE = 100  # calls of the shop's at once
GLANCE = 0.2  # seconds between looks at a payment that another worker is telling
AGAIN = 1.0  # seconds between tries to write down that something was told


class _Rest:
    """A state that could not be told, until it is tried again."""

    def __init__(self, status: Status) -> None:
        import backoff  # noqa: PLC0415 - 2 ms of an import that has not failed yet

        self.status = status
        self.over = False
        self.pauses: Generator[float] = backoff.expo(base=2, factor=1, max_value=SLOWEST)
        next(self.pauses)


class Telling:
    """Tells what the outbox has: the row as it stands when its turn comes, never two calls for one payment.

    What fails is let go of, and rests here for a while. So a shop that fails in one process is told by another,
    and a state that was overtaken before it was told is never told: each claim reads the row anew.
    """

    def __init__(self, on_payment: Callable[[Payment], Awaitable[None]], kinds: tuple[Kind, ...]) -> None:
        self.kinds = kinds
        self._on_payment = on_payment
        self._over = True
        self._wake: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: dict[Key, _Rest] = {}
        self._waiting: dict[Key, list[asyncio.Future[bool]]] = {}
        self._more = False  # whether the outbox may hold more than there was room for

    def begin(self, wake: Callable[[], None]) -> None:
        """Begin; `wake` asks for another `scan`."""
        self._over, self._wake = False, wake
        self._tasks, self._waiting = set(), {}

    async def call(self, payment: Payment) -> None:
        """Call the shop once; Failed where that went wrong, which is logged."""
        await guarded("on_payment", payment.account, partial(self._on_payment, payment), LONGEST)

    async def scan(self, outbox: Outbox) -> None:
        """Begin to tell what nobody tells."""
        resting = {key: rest.status for key, rest in self._resting.items() if not rest.over}
        while (room := AT_ONCE - len(self._tasks)) > 0:
            found = await outbox.untold(self.kinds, room, resting)
            for payment in found:
                task = asyncio.get_running_loop().create_task(self._tell(outbox, payment))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
            if len(found) < room:
                self._more = False
                return
        self._more = True

    async def aclose(self, grace: float) -> None:
        """Let the calls under way end within `grace` seconds."""
        self._over = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def heard(self, outbox: Outbox, payment: Payment, until: float) -> bool | None:
        """Wait until a payment's end was told, by whoever has it; False: not yet, None: it is not in the outbox.

        Unavailable where the end itself could not be written down, so that nobody would tell it.
        """
        key, loop = named(payment), asyncio.get_running_loop()
        while (standing := await outbox.standing(payment)) is not None:
            if not standing.status.terminal:
                raise Unavailable(f"{payment.account}: {payment.reference} could not be recorded")
            if standing.told is standing.status:
                return True
            rest = self._resting.get(key)
            if loop.time() >= until or (rest is not None and rest.status is standing.status):
                return False
            told = loop.create_future()
            self._waiting.setdefault(key, []).append(told)
            self._wake()
            await asyncio.wait({told}, timeout=min(GLANCE, until - loop.time()))
        return None

    async def once(self, outbox: Outbox, payment: Payment, until: float) -> bool | None:
        """Tell one payment where nothing goes on by itself; gives what `heard` does."""
        claimed = await outbox.claim(payment)
        if claimed is None:
            return await self.heard(outbox, payment, until)
        done = False
        try:
            await self.call(claimed)
            done = True
        except Failed:
            return False
        finally:
            await (outbox.told(claimed) if done else outbox.untell(claimed))
        return True

    async def _tell(self, outbox: Outbox, payment: Payment) -> None:
        key = named(payment)
        await asyncio.sleep(0)  # an eager task could end before it is counted
        try:
            await self.call(payment)
        except Failed:
            self._rest(key, payment.status)
            await self._written(partial(outbox.untell, payment))
        else:
            self._resting.pop(key, None)
            await self._written(partial(outbox.told, payment))
        finally:
            for waiting in self._waiting.pop(key, ()):
                if not waiting.done():
                    waiting.set_result(True)

    def _rest(self, key: Key, status: Status) -> None:
        rest = self._resting.get(key)
        if rest is None or rest.status is not status:
            rest = self._resting[key] = _Rest(status)
        rest.over = False
        pause = next(rest.pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        asyncio.get_running_loop().call_later(pause, self._rested, key, rest)

    def _rested(self, key: Key, rest: _Rest) -> None:
        if rest.over and self._resting.get(key) is rest:
            del self._resting[key]  # long ago: another worker has told it, or its row moved on
        elif not rest.over:
            rest.over = True
            asyncio.get_running_loop().call_later(SLOWEST, self._rested, key, rest)
            self._wake()

    async def _written(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write how a telling ended, however long the file is locked: until then nobody else tells it."""
        said = False
        while True:
            try:
                return await write()
            except OSError as error:
                if self._over:
                    return None
                if not said:
                    log.error("the end of a telling cannot be kept yet: %s", error)
                said = True
            await asyncio.sleep(AGAIN)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._more:
            self._wake()
