"""The notifier: watches every open order and reports the end of each one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from ..checks import checked_function, checked_seconds
from ..drivers.base import Driver
from ..errors import PaymuxError, UsageError
from ..forks import Forking, watch
from ..journal import FEW, Beat, Ended, LocalOutbox, Member, OpenMessage, Outbox, State
from ..limits import Share
from ..models import Kind, Payment, log
from ..plain import is_a, sequence, text
from ..record import Record
from .guard import log_failure
from .telling import Telling
from .unconfirmed import OnUnconfirmed, UnconfirmedTeller
from .watching import Watching

if TYPE_CHECKING:
    from ..pool import Pool

SCAN = 5.0  # seconds between heartbeats, and between scans for unclaimed work
FRESH = 60.0  # seconds after a heartbeat for which this notifier owns its claims
LOOKS = 10  # look-ups per window that a young watch can use
GRACE = 5.0  # seconds that a callback may take after the notifier was closed
MOST = 3650  # days: the longest watch of an order

_KINDS = get_args(Kind)


class Notifier(Forking):
    """Calls `on_payment` with each terminal status of each order; watches open orders until then.

    `on_payment(payment)` is awaited at least once for each status, whether a webhook, a watch,
    `verify`, `recover` or another worker found it, also after a crash. It gets the payment as it is
    at that moment; calls for one payment never overlap. An exception is logged, and the call is
    repeated later. Guard what must happen once with `async with pool.once(payment, "fulfilled") as
    first`. `kinds`: payouts and refunds are reported only if named here, because a failed payout
    `order-8` is not the failed order `order-8`.

    `on_unconfirmed(event)` is awaited at least once for each message about a payment that no look-
    up confirms, two minutes later: M-Pesa's C2B payments that belong to no order of ours (each STK
    push sends such a message, too). The entry is kept until `pay.dealt_with(event, because=…)`.
    Without `on_unconfirmed` each one is an ERROR record, and `pay.unconfirmed()` lists them.

    Enter it: `async with pool, Notifier(pool, on_payment):`; a second one on a pool is UsageError.
    With a journal, the notifiers of all processes share the work, also for orders of processes
    without a notifier. So use one journal for one program: with two programs on one file, each
    would get the other's orders. After `watch_days` an order is not looked up any more, and one
    ERROR record leaves it to a person. Without a journal it covers the orders that this pool sends
    while it is entered, and forgets them when the process ends.
    """

    def __init__(
        self,
        pool: "Pool",
        on_payment: Callable[[Payment], Awaitable[None]],
        on_unconfirmed: OnUnconfirmed | None = None,
        *,
        kinds: Sequence[Kind] = ("collect",),
        watch_days: float = 3,
    ) -> None:
        if not is_a(pool, Record):  # what each Pool is, known below it
            raise UsageError.field("pool", pool, "a Pool")
        checked_function("on_payment", on_payment, "one Payment", wait=True)
        listed = tuple(kinds) if issubclass(type(kinds), set | frozenset) else kinds
        named = [text(kind) for kind in sequence(listed) or ()]
        if not named or not set(named) <= set(_KINDS):
            raise UsageError.field("kinds", kinds, f"one or more of {', '.join(_KINDS)}, in a list or tuple")
        self._days = checked_seconds("watch_days", watch_days, "days")
        if self._days > MOST:
            raise UsageError.field("watch_days", watch_days, f"days above 0, and at most {MOST}")
        if on_unconfirmed is not None:
            checked_function("on_unconfirmed", on_unconfirmed, "one Event", wait=True)
        self._engine = pool.internals.engine
        # For these accounts, the orders are kept that an unconfirmed message may be about.
        drivers = self._engine.drivers.items()
        own = {account for account, driver in drivers if type(driver).confirms is not Driver.confirms}
        self._engine.records.apart = frozenset(own)
        self.unconfirmed = UnconfirmedTeller(self._engine, on_unconfirmed)
        self.telling = Telling(on_payment, tuple(kind for kind in _KINDS if kind in named))
        self.outbox: Outbox | None = None  # None: not entered
        self._woken = asyncio.Event()
        watch(self)

    def begin_anew(self) -> None:
        """In a forked child, be not entered; the child may enter it again."""
        self.outbox = None
        self.unconfirmed.forget()

    async def __aenter__(self) -> Self:
        engine, loop = self._engine, asyncio.get_running_loop()
        engine.enter()
        if engine.notified is loop:
            raise UsageError("notifier: this pool has an entered one already; one is enough")
        engine.notified = loop
        journal = engine.records.journal
        self._local = LocalOutbox() if journal is None else None
        self.outbox = outbox = self._local or journal.outbox  # type: ignore[union-attr]  # one of both is there
        stated = {account: driver.limits.get("look-up") for account, driver in engine.drivers.items()}
        self._member = Member(stated, self.telling.kinds)
        self._shares = {
            account: Share(account, limit[1]) for account, limit in stated.items() if limit and journal is not None
        }
        for account, share in self._shares.items():
            engine.gate(account).share = share
        self._woken = asyncio.Event()
        self._entered = self._complained = False
        self._beaten = self._next = float("-inf")
        self._watching = Watching(engine, outbox, self._days, self._is_fresh, self.wake)
        self.telling.begin(self.wake)
        engine.records.heard = self._hear
        engine.records.claims = self._claims
        try:
            await self._round(outbox)
        except BaseException:  # cancelled: it is not entered
            engine.records.heard = engine.notified = None
            raise
        self._task = loop.create_task(self._live(outbox))
        self.unconfirmed.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, grace: float = GRACE) -> None:
        """Let running callbacks end within `grace` seconds, and release all claims."""
        outbox, self.outbox = self.outbox, None
        if outbox is None:
            return
        engine = self._engine
        engine.records.heard = engine.notified = None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._watching.aclose()
        await asyncio.gather(self.telling.aclose(grace), self.unconfirmed.aclose(grace))
        for account in self._shares:
            engine.gate(account).share = None
        with contextlib.suppress(OSError):  # the journal is closed: others see that this one has ended
            await outbox.leave(asyncio.get_running_loop().time())

    def wake(self) -> None:
        """Scan at once for new facts."""
        self._woken.set()

    def _claims(self, payment: Payment) -> bool:
        """Return whether an end that is about to be stored is claimed for this notifier."""
        entered = self._entered and asyncio.get_running_loop() is self._engine.notified
        return entered and self.telling.wants(payment)

    def _hear(
        self,
        payment: Payment,
        source: str,
        state: State | None,
        ended: Ended | None,
        message: OpenMessage | None,
    ) -> None:
        outbox = self.outbox
        if outbox is None or asyncio.get_running_loop() is not self._engine.notified:
            return  # the loop in which it was entered has ended, and the notifier with it
        if self._local is not None:
            claim = payment.status.terminal and self._claims(payment)
            ended = self._local.hear(payment, source, state, claim=claim)
        # Before anything that may fail: no other notifier delivers what this one has claimed.
        if ended is not None and ended.claimed is not None:
            self.telling.tell(outbox, ended.claimed, message)
        elif payment.status.terminal and not (ended is not None and ended.told):
            self.wake()
        self._watching.hear(payment, source, state)

    async def _live(self, outbox: Outbox) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._next):
                    await self._woken.wait()
            self._woken.clear()
            await self._round(outbox)

    async def _round(self, outbox: Outbox) -> None:
        """Send a heartbeat and claim orders if it is time, then process what is new."""
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._next:
                self._next = now + SCAN
                await self._beat(outbox, now)
                await self._watching.claim(self._accounts())
            await self._watching.take(self._accounts())
            await self.telling.scan(outbox)
            self._complained = False
        except (OSError, PaymuxError) as error:
            if not self._complained:
                log.error("notifier: the journal fails; it goes on as soon as it can: %s", error)
            self._complained = True
        except Exception as error:  # noqa: BLE001 - after any error, watching and delivery go on
            log_failure("a notifier", "paymux", error)

    async def _beat(self, outbox: Outbox, now: float) -> None:
        if self._entered:
            held = {account: max(share.held(now), share.count) for account, share in self._shares.items()}
            wanted = {account: FEW + LOOKS * self._watching.waiting(account) for account in self._shares}
            beat = await outbox.beat(self._member, now, held, wanted)
        else:
            beat = await outbox.enter(self._member, now)
            self._entered = True
        self._beaten = now
        self._divide(beat, now)
        await self._watching.give_up(self._accounts(), too_many=beat.too_many, late=beat.late)

    def _divide(self, beat: Beat, now: float) -> None:
        for account, share in self._shares.items():
            share.count, share.until = beat.places.get(account, 0), now + FRESH

    def _accounts(self) -> list[str]:
        """List the accounts it may look up; those with a stated limit only with a share of it."""
        shares = self._shares
        return [name for name in self._engine.drivers if name not in shares or shares[name].count]

    def _is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._beaten < FRESH
