"""The run of one bulk verification: few look-ups in flight, and results for its consumer."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Generic, TypeAlias

from ..core import Engine, payment_named
from ..errors import UsageError
from ..limits import Priority
from ..models import Payment
from .fairness import AccountQueue, FairQueues, Waiting
from .items import Items, ItemT, Verified, counted
from .progress import Progress, ProgressReporter
from .reading import ItemReader

Taken: TypeAlias = tuple[AccountQueue, Waiting]  # an item that has a slot, and its account's queue
ITEMS_PER_STEP = 500  # items read, or results taken, in one step of the event loop


class BulkRun(Generic[ItemT]):
    """The tasks and state of one bulk; without a reference to the Bulk, which may be dropped."""

    def __init__(
        self,
        engine: Engine,
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        at_once: int,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        engine.lifetime.use()
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._slots = at_once  # 0 when it has ended or failed
        self._queues = FairQueues(at_once, len(engine.drivers))
        self._items = Items(items, partial(payment_named, engine))
        self._reader = ItemReader(self._items, self._queues, engine.driver)
        self._ready: deque[Verified[ItemT]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # futures of workers without an item
        self._idle: list[asyncio.Future[Taken | None]] = []
        self._wake: asyncio.Future[None] | None = None  # future of the waiting consumer
        self._soon: asyncio.Handle | None = None
        # until a paused account may be looked up again
        self._alarm: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self._progress = (
            None
            if progress is None
            else ProgressReporter(progress, counted(items), self._loop.time())
        )
        self._taken = 0
        self._complete = False  # every item was looked up; results may be left
        self.over = False
        self.closed = False  # every task has ended

    def begin(self) -> None:
        """Start reading items and looking up."""
        self._engine.bulks.add(self)
        if self._items.stream is not None:
            self._start(self._reader.run(self._items.stream, self))
        self.fill()

    async def step(self) -> Verified[ItemT]:
        """Wait for the next result and return it."""
        if self._loop is not asyncio.get_running_loop():
            raise UsageError("verify_many: it was begun in another event loop")
        self._taken += 1
        if self._taken % ITEMS_PER_STEP == 0:
            await asyncio.sleep(0)  # results without a look-up must not block the event loop
        while not self._ready:
            if self._failure is not None:
                failure, self._failure = self._failure, None
                await self.aclose()
                raise failure
            if self.over or self._complete:
                await self.aclose()
                raise StopAsyncIteration
            self._wake = self._loop.create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        found = self._ready.popleft()
        if not self._complete:
            self.fill()
        return found

    @property
    def finished(self) -> bool:
        """Return whether no result is left."""
        return self._complete and not self._ready and self._failure is None

    async def aclose(self) -> None:
        """End every task, wait for their end, and drop all results."""
        self.over, self._slots = True, 0
        self._ready.clear()
        await self._gone()
        self.closed = self._loop is asyncio.get_running_loop()

    async def close(self) -> None:
        """End every task, wait for their end, and leave a UsageError: the pool is closed."""
        self.fail(UsageError("verify_many: the pool is closed"))
        await self._gone()

    def drop(self) -> None:
        """End every task; callable from any thread, when no consumer is left."""
        self.over, self._slots = True, 0
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def fail(self, error: BaseException) -> None:
        """End every task; the consumer gets the error."""
        if not self.over and self._failure is None:
            self._failure, self._slots = error, 0
            self._stop()
            self._rouse()

    def _stop(self) -> None:
        for handle in (self._soon, self._alarm):
            if handle is not None:
                handle.cancel()
        for task in self._tasks - {asyncio.current_task(self._loop)}:
            task.cancel()

    async def _gone(self) -> None:
        if self._loop is not asyncio.get_running_loop():
            return
        self._stop()
        mine = self._tasks - {asyncio.current_task()}
        cancelled: asyncio.CancelledError | None = None
        while mine:
            try:
                _, mine = await asyncio.wait(mine)
            except asyncio.CancelledError as error:
                # anyio cancels again in each step of the event loop, until its scope is left.
                cancelled, mine = error, {task for task in mine if not task.done()}
        if cancelled is not None:
            raise cancelled

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    @property
    def _room(self) -> int:
        """Return the free slots; a result that was not taken yet occupies one."""
        unread = len(self._ready)
        if unread and self._wake is not None:
            unread -= 1  # the consumer is about to take it
        return self._slots - self._queues.in_flight - unread

    @property
    def wants(self) -> bool:
        """Return whether another item may be read."""
        return self._room > 0 and self._queues.parked < self._items.most_parked

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fill(self) -> None:
        """Use every free slot, and check whether this was the end."""
        hungry = self._reader.hungry
        if hungry is not None and not hungry.done() and self.wants:
            hungry.set_result(None)
            self._reader.lull = False
        while (room := self._room) > 0 and (taken := self._next(room)) is not None:
            idle = self._idle.pop() if self._idle else None
            if idle is None or idle.done():
                self._start(self._work(taken))
            else:
                idle.set_result(taken)
        self._check_end()

    def _check_end(self) -> None:
        """End the workers without an item, if every item was looked up."""
        queues = self._queues
        if self._complete or queues.in_flight or queues.parked or not queues.ended:
            return
        self._complete = True
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(None)
        if self._progress is not None:
            self._measure(self._progress, last=True)
        self._rouse()

    def _next(self, room: int) -> Taken | None:
        """Take a free slot for the next item; read more items until there is one."""
        for _ in range(ITEMS_PER_STEP):
            now = self._loop.time()
            taken = (
                self._queues.next_item(room, now, generous=False) if self._queues.parked else None
            )
            if taken is None:
                if self._reader.ready:
                    if self._items.source is None:
                        break
                    read = self._reader.pull(self._items.source, self)
                    if not read and (room := self._room) <= 0:
                        return None
                    if self._queues.parked or self._items.source is not None:
                        continue
                if self._queues.parked:
                    taken = self._queues.next_item(room, now, generous=True)
                if taken is None:
                    return None
            error = taken[0].given_up(now)
            if error is None:
                return taken
            self._queues.put_back(taken[0])
            self.put(taken[1].number, None, error)
            if (room := self._room) <= 0:
                return None
        if self._soon is None:
            self._soon = self._loop.call_soon(self._go_on)
        return None

    def _go_on(self) -> None:
        self._soon = None
        self._reader.lull = True  # a stream with an item would have been read by now
        self.fill()

    async def _work(self, taken: Taken | None) -> None:
        try:
            await asyncio.sleep(0)  # an eager task would run inside its creator, and nest
            while taken is not None:
                await self._look(*taken)
                room = self._room
                taken = self._next(room) if room > 0 else None
                if taken is None:
                    self._check_end()
                if self._complete:
                    return
                if room > (taken is not None):
                    self.fill()
                if taken is None and not self._complete:
                    idle: asyncio.Future[Taken | None] = self._loop.create_future()
                    self._idle.append(idle)
                    taken = await idle
        # cancelled from outside: the consumer must not wait for ever
        except BaseException as error:
            self.fail(error)
            raise

    async def _look(self, queue: AccountQueue, item: Waiting) -> None:
        began = self._loop.time()
        payment, error = None, None
        try:
            payment = await self._engine.look_up(item.payment, None, Priority.BULK, "bulk")
        except Exception as caught:  # noqa: BLE001 - a driver's error on one item is that item's result
            # Without frames: thousands of errors may be kept, and their frames hold bodies.
            error = caught.with_traceback(None)
        if (error is not None or queue.troubled) and queue.on_result(
            error, began, self._loop.time()
        ):
            self._queues.put_back(queue, again=item)
            self._arm()
        else:
            self._queues.put_back(queue)
            self.put(item.number, payment, error)

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        due = None if self._slots == 0 else self._queues.next_pause(self._loop.time())
        self._alarm = None if due is None else self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self.fill()
        self._arm()

    def put(self, index: int, payment: Payment | None, error: Exception | None) -> None:
        """Give the result of an item to the consumer."""
        asked = self._items.done(index)
        self._ready.append(Verified(index=index, asked=asked, payment=payment, error=error))
        if self._progress is not None:
            self._measure(self._progress, failed=error is not None)
        self._rouse()

    def _measure(
        self, meter: ProgressReporter, *, failed: bool = False, last: bool = False
    ) -> None:
        try:
            if last:
                meter.end(self._loop.time())
            else:
                meter.count(self._loop.time(), failed=failed)
        except Exception as error:  # noqa: BLE001 - the caller's function; the caller gets its error
            self.fail(error)
