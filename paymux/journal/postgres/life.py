"""Who lives: a worker holds an advisory lock, and beats, on a connection of its own.

Neither a lock nor a lease alone keeps two workers from doing at once what only one may do. A
restart of the server frees the lock of a worker that is alive; a process that was stopped wakes up
after its lease has lapsed. Here, who takes over needs the lock free *and* the beat unmoved for
GRACE_SECONDS, and who cannot confirm its beat for SUSPEND_SECONDS stops by itself before that.

What stays impossible: a worker that is cut off between an effect outside of the database and its
record, for longer than others wait, is repeated: one after the other, never at once. And a
machine that was unreachable for longer than keep-alives and grace, and comes back, may still send
what its event loop had ready.
"""

import asyncio
import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from ...errors import UsageError
from ...models import log
from ...primitives.forks import leave_to_parent
from .beats import ObservedBeats
from .life_session import Connect, LifeSession
from .timing import Timing, boot_clock

FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS = 0.1, 2.0  # seconds between attempts to connect again
END_SECONDS = 2.0  # seconds that the end of a worker may take


class LifeListener:
    """What wants to hear of a worker's life; each method is called in the life thread, and returns.

    They are for what must be quick: an event to set, a call into another thread's loop.
    """

    def on_notification(self, channel: str, payload: str) -> None:
        """Hear a NOTIFY of a channel that is listened to."""

    def on_reconnected(self) -> None:
        """LISTEN is acknowledged on a new connection: what came before may not have been heard."""

    def on_suspended(self) -> None:
        """Stop acting: this worker has not confirmed for too long that it lives."""

    def on_resumed(self) -> None:
        """Act again: the worker lives, perhaps by another name."""


class Life:
    """The life of one worker: its connection, in a thread and an event loop of its own.

    `connect` gives a new `asyncpg.Connection` with the journal's schema first in its search path.
    `name` is the id of the worker, "" before it has one. It changes only if another worker took
    over meanwhile, or if the lock could not be had again; an id is never used twice.
    """

    def __init__(
        self, connect: Connect, channels: Iterable[str] = (), timing: Timing | None = None
    ) -> None:
        self._connect = connect
        self._channels = tuple(channels)
        self.timing = timing or Timing()
        self.listeners: list[LifeListener] = []
        self.beats = ObservedBeats()
        self._start()

    def _start(self) -> None:
        self.name = ""
        self.epoch = 0
        self._confirmed = 0.0  # when the last confirmed beat was sent
        self._suspended = True
        self._bodies: dict[object, Callable[[], object]] = {}
        self._mutex = threading.Lock()
        self._waiting: list[Future[None]] = []  # those who wait for the first connection
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: LifeSession | None = None
        self._now = asyncio.Event()  # an attempt to connect is wanted now
        self._ending = asyncio.Event()

    # Called in other threads.

    @property
    def suspended(self) -> bool:
        """Return whether this worker may not act now, read from its clock at this moment."""
        return self._suspended or boot_clock() - self._confirmed > self.timing.suspend

    def on_suspended(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call this in the life thread at each suspension; the returned function ends that."""
        key = object()
        self._bodies[key] = call

        def stop() -> None:
            self._bodies.pop(key, None)

        return stop

    def begin(self) -> None:
        """Live, unless this worker does already; returns when its lock is held.

        OSError: the server cannot be reached now. UsageError: it can never be used.
        """
        if self.name:
            return
        done: Future[None] = Future()
        with self._mutex:
            self._waiting.append(done)
            if self._loop is None:
                self._loop = loop = asyncio.new_event_loop()
                self._now, self._ending = asyncio.Event(), asyncio.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(loop,), name="paymux-life", daemon=True
                )
                self._thread.start()
            else:
                with contextlib.suppress(RuntimeError):  # its loop is closing
                    self._loop.call_soon_threadsafe(self._now.set)
        try:
            done.result(2 * self.timing.answer)
        except TimeoutError:
            raise OSError("the journal's server does not answer") from None

    def end(self) -> None:
        """Say that this worker has ended, so that what it had is free at once; end the thread."""
        with self._mutex:
            thread, loop = self._thread, self._loop
            if loop is not None:
                with contextlib.suppress(RuntimeError):  # it is closing by itself
                    loop.call_soon_threadsafe(self._ending.set)
        if thread is not None:
            thread.join(2 * END_SECONDS)
        self._start()

    def forget(self) -> None:
        """In a forked child, begin without the connection, which stays the parent's."""
        if self._session is not None and (number := self._session.descriptor()) is not None:
            # A copy of the connection in a child would hold the parent's lock after its death.
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, number)
                os.close(null)
        leave_to_parent(self._loop, self._session, self._thread, self._now, self._ending)
        self.beats = ObservedBeats()
        self._start()

    # Runs in the life thread.

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._main())
        except BaseException as raised:  # noqa: BLE001 - it is told to those who wait
            error = raised
        with self._mutex:
            self._loop = None
        self._tell(error or OSError("the worker has ended"))

    async def _main(self) -> None:
        ending = asyncio.create_task(self._ending.wait())
        tasks = {ending, *(asyncio.create_task(work) for work in (self._live(), self._watch()))}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        bodies = bool(self._bodies)
        self._suspend()
        if self._session is not None:
            # What a body still does is not free at once: who takes over waits for the grace.
            if not bodies:
                with contextlib.suppress(OSError):
                    async with asyncio.timeout(END_SECONDS):
                        await self._session.end()
            self._session.terminate()
            await asyncio.sleep(0)  # the socket is closed in the next round of the loop
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _live(self) -> None:
        """Connect, beat until the connection breaks, and connect again."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                session = self._session = await self._connected()
                self._tell(None)
                if wait > FIRST_WAIT_SECONDS:
                    log.warning("this worker is connected to the journal again")
                wait = FIRST_WAIT_SECONDS
                await self._beat(session)
            except UsageError as error:
                if not self.name:
                    raise
                log.error("the journal's server is refused: %s", error)
            except OSError as error:
                self._tell(error)
                say = log.warning if wait == FIRST_WAIT_SECONDS else log.debug  # once an outage
                say("this worker's connection to the journal broke: %s", _said(error))
            finally:
                if self._session is not None and not self._ending.is_set():
                    self._session.terminate()
                    self._session = None
            self._now.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
                    await self._now.wait()
            wait = min(2 * wait, LAST_WAIT_SECONDS)

    async def _connected(self) -> LifeSession:
        """Connect, hold the lock, and listen, as the same worker if that is allowed."""
        session = await LifeSession.opened(self._connect, self.timing.answer)
        try:
            sent, worker = boot_clock(), int(self.name or 0)
            if not await session.live_as(worker, again=True):
                # Whatever was begun by the old name ends before anything begins by the new one.
                self._suspend()
                sent, worker = boot_clock(), await session.live_anew()
            session.worker = worker
            await session.listen(self._channels, self._notified)
        except BaseException:
            session.terminate()
            raise
        self.beats.forget()
        self.name = str(worker)
        self._confirm(sent)
        self._each(lambda one: one.on_reconnected())
        return session

    async def _beat(self, session: LifeSession) -> None:
        """Beat, and look at the beats of others, until the connection breaks."""
        while True:
            self.beats.see(await session.others())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timing.beat):
                    await session.closed.wait()
                raise OSError("it was closed")
            sent = boot_clock()
            if not await session.beat():
                self._suspend()
                return
            self._confirm(sent)

    async def _watch(self) -> None:
        """Suspend this worker in time, also while its connection hangs."""
        # The loop's clock may stand still while the machine sleeps, so no sleep is long.
        longest = self.timing.suspend / 20
        while True:
            left = self._confirmed + self.timing.suspend - boot_clock()
            if left <= 0:
                self._suspend()
            await asyncio.sleep(min(left, longest) if left > 0 else longest)

    def _confirm(self, sent: float) -> None:
        """Note that a beat that was sent then is confirmed."""
        if self.suspended:
            self._suspend()  # it lapsed, unnoticed in between
        self._confirmed = sent
        if self._suspended and boot_clock() - sent <= self.timing.suspend:
            self._suspended = False
            self._each(lambda one: one.on_resumed())

    def _suspend(self) -> None:
        if self._suspended:
            return
        self._suspended = True
        self.epoch += 1
        if not self._ending.is_set():
            log.error("worker %s is suspended: it cannot show that it lives", self.name)
        for call in list(self._bodies.values()):
            with contextlib.suppress(RuntimeError):  # its loop is closed
                call()
        self._each(lambda one: one.on_suspended())

    def _notified(self, channel: str, payload: str) -> None:
        self._each(lambda one: one.on_notification(channel, payload))

    def _each(self, call: Callable[[LifeListener], None]) -> None:
        for one in list(self.listeners):
            try:
                call(one)
            except Exception:  # noqa: BLE001 - a listener's fault must not end the worker
                log.exception("a listener failed")

    def _tell(self, error: BaseException | None) -> None:
        """Answer those who wait for the first connection."""
        with self._mutex:
            waiting, self._waiting = self._waiting, []
        for one in waiting:
            if error is None:
                one.set_result(None)
            else:
                ours = isinstance(error, UsageError | OSError)
                one.set_exception(error if ours else OSError(f"the worker failed: {error!r}"))


def _said(error: OSError) -> str:
    return str(error) or type(error).__name__
