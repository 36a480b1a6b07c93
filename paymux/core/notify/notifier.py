"""The notifier: watches every open order and reports the end of each one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from ...drivers.base import Driver
from ...errors import PaymuxError, UsageError
from ...journal import (
    Ended,
    LocalOutbox,
    NotifierInfo,
    OpenMessage,
    Outbox,
    State,
)
from ...models import Kind, Payment, log
from ...primitives.coerce import is_a, sequence, text
from ...primitives.forks import ForkAware, register
from ...values.validation import checked_function, checked_seconds
from ..accounts import EnteredNotifier
from ..journal_verbs import JournalVerbs
from .adoption import Adopter
from .callbacks import log_failure
from .dispatcher import Dispatcher
from .order_watcher import OrderWatcher
from .sweep import Sweeper
from .unconfirmed import OnUnconfirmed, UnconfirmedNotifier

if TYPE_CHECKING:
    from ...pool import Pool

SCAN_SECONDS = 5.0  # seconds between heartbeats, and between scans for unclaimed work
FRESH_SECONDS = 60.0  # seconds after a heartbeat for which this notifier owns its claims
GRACE_SECONDS = 5.0  # seconds that a callback may take after the notifier was closed
MAX_WATCH_DAYS = 3650  # days: the longest watch of an order

_KINDS = get_args(Kind)


class Notifier(ForkAware):
    """Calls `on_payment` with each terminal status of each order; watches open orders until then.

    `on_payment(payment)` is awaited at least once for each status, whether a webhook, a watch,
    `verify`, `recover` or another worker found it, also after a crash. It gets the payment as it is
    at that moment; calls for one payment never overlap. An exception is logged, and the call is
    repeated later. Guard what must happen once with `async with pool.once(payment, "fulfilled") as
    turn`. `kinds`: payouts and refunds are reported only if named here, because a failed payout
    `order-8` is not the failed order `order-8`.

    `on_unconfirmed(event)` is awaited at least once for each message about a payment that no look-
    up confirms, two minutes later: M-Pesa's C2B payments that belong to no order of ours (each STK
    push sends such a message, too). The entry is kept until `pay.dealt_with(event, because=…)`.
    Without `on_unconfirmed` each one is an ERROR record, and `pay.unconfirmed()` lists them. An
    account with `adopt_c2b=True`, which needs a journal, adopts those that are proved: `on_payment`
    is told of each as a payment of its own, `c2b.<receipt>`, and those whose message was lost are
    found in the provider's list, at the start and every ten minutes.

    Enter it: `async with pool, Notifier(pool, on_payment):`; a second one on a pool is UsageError.
    With a journal, the notifiers of all processes share the work, also for orders of processes
    without a notifier. So use one journal for one program: with two programs on one file, each
    would get the other's orders. After `watch_days` an order is not looked up any more, and one
    ERROR record leaves it to a person. Nothing is sent again, but a refund that its provider knows
    by its path and has not answered. Without a journal it covers the orders that this pool sends
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
        if not is_a(pool, JournalVerbs):  # what each Pool is, known below it
            raise UsageError.field("pool", pool, "a Pool")
        checked_function("on_payment", on_payment, "one Payment", wait=True)
        listed = tuple(kinds) if issubclass(type(kinds), set | frozenset) else kinds
        named = [text(kind) for kind in sequence(listed) or ()]
        if not named or not set(named) <= set(_KINDS):
            raise UsageError.field(
                "kinds", kinds, f"one or more of {', '.join(_KINDS)}, in a list or tuple"
            )
        self._days = checked_seconds("watch_days", watch_days, "days")
        if self._days > MAX_WATCH_DAYS:
            raise UsageError.field(
                "watch_days", watch_days, f"days above 0, and at most {MAX_WATCH_DAYS}"
            )
        if on_unconfirmed is not None:
            checked_function("on_unconfirmed", on_unconfirmed, "one Event", wait=True)
        self._engine = pool.internals.engine
        self._note_unconfirmable()
        self._adopter = adopter = Adopter(self._engine)
        if adopter.accounts and "collect" not in named:
            said = "%s: adopts payments, which are collects, and `kinds` has none: none is told"
            log.warning(said, adopter.accounts[0])
        self.unconfirmed = UnconfirmedNotifier(self._engine, on_unconfirmed, adopter, self.wake)
        self._sweeper = Sweeper(self._engine, adopter, self.unconfirmed)
        self.dispatcher = Dispatcher(on_payment, tuple(kind for kind in _KINDS if kind in named))
        self.outbox: Outbox | None = None  # None: not entered
        self._woken = asyncio.Event()
        register(self)

    def after_fork_in_child(self) -> None:
        """Reset the notifier in a forked child, which may enter it again."""
        self.outbox = None
        self._forget()

    def _forget(self) -> None:
        """Forget tasks whose loop has ended, or that are the parent's."""
        self.unconfirmed.forget()
        self._sweeper.forget()

    async def __aenter__(self) -> Self:
        engine, loop = self._engine, asyncio.get_running_loop()
        engine.lifetime.use()
        if engine.notifier_loop is loop:
            raise UsageError("notifier: this pool has an entered one already; one is enough")
        self._adopter.check(engine.drivers)
        self._note_unconfirmable()
        engine.notifier_loop = loop
        journal = engine.store.journal
        self._local = LocalOutbox() if journal is None else None
        self.outbox = outbox = self._local or journal.outbox  # type: ignore[union-attr]  # one of both is there
        self._note_accounts()
        self._woken = asyncio.Event()
        self._entered = self._complained = False
        self._last_heartbeat = self._next = float("-inf")
        self._order_watcher = OrderWatcher(engine, outbox, self._days, self._is_fresh, self.wake)
        self.dispatcher.begin(self.wake)
        engine.store.on_fact = self._on_fact
        engine.store.claims = self._claims
        engine.notifier = EnteredNotifier(self._adopter.check, self._renew)
        try:
            await self._round(outbox)
        except BaseException:  # cancelled: it is not entered
            engine.store.on_fact = engine.notifier_loop = engine.notifier = None
            raise
        self._task = loop.create_task(self._live(outbox))
        self.unconfirmed.begin()
        self._sweeper.begin()
        return self

    def _renew(self, account: str) -> None:
        """Serve an account that was added to the pool, or whose driver was replaced."""
        self._note_unconfirmable()
        self._note_accounts()
        self._order_watcher.renew(account)
        self._sweeper.renew()
        self._next = float("-inf")  # the journal may have open orders of it
        self.wake()

    def _note_accounts(self) -> None:
        self._member = NotifierInfo(tuple(self._engine.drivers), self.dispatcher.kinds)

    def _note_unconfirmable(self) -> None:
        """Let the orders be kept that an unconfirmed message may be about."""
        drivers = self._engine.drivers.items()
        own = (name for name, one in drivers if type(one).confirms is not Driver.confirms)
        self._engine.store.unconfirmable_accounts = frozenset(own)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self, grace: float = GRACE_SECONDS) -> None:
        """Let running callbacks end within `grace` seconds, and release all claims."""
        outbox, self.outbox = self.outbox, None
        if outbox is None:
            return
        engine = self._engine
        if engine.store.on_fact != self._on_fact:
            # Its loop had ended before another notifier was entered, to which all of this belongs.
            self._forget()
            return
        engine.store.on_fact = engine.notifier_loop = engine.notifier = None
        if self._task.get_loop() is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.gather(self._task, self._sweeper.aclose(), return_exceptions=True)
            await self._order_watcher.aclose()
            await asyncio.gather(self.dispatcher.aclose(grace), self.unconfirmed.aclose(grace))
        else:  # its tasks ended with their loop
            self._forget()
        # the journal is closed: others see that this one has ended
        with contextlib.suppress(OSError):
            await outbox.leave(asyncio.get_running_loop().time())

    def wake(self) -> None:
        """Scan at once for new facts."""
        self._woken.set()

    def _claims(self, payment: Payment) -> bool:
        """Return whether an end that is about to be stored is claimed for this notifier."""
        entered = self._entered and asyncio.get_running_loop() is self._engine.notifier_loop
        return entered and self.dispatcher.wants(payment)

    def _on_fact(
        self,
        payment: Payment,
        source: str,
        state: State | None,
        ended: Ended | None,
        message: OpenMessage | None,
    ) -> None:
        outbox = self.outbox
        if outbox is None or asyncio.get_running_loop() is not self._engine.notifier_loop:
            return  # the loop in which it was entered has ended, and the notifier with it
        if self._local is not None:
            claim = payment.status.terminal and self._claims(payment)
            ended = self._local.on_fact(payment, source, state, claim=claim)
        # Before anything that may fail: no other notifier delivers what this one has claimed.
        if ended is not None and ended.claimed is not None:
            self.dispatcher.tell(outbox, ended.claimed, message)
        elif payment.status.terminal and not (ended is not None and ended.told):
            self.wake()
        self._order_watcher.on_fact(payment, source, state)

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
                self._next = now + SCAN_SECONDS
                await self._heartbeat(outbox, now)
                await self._order_watcher.claim()
            await self._order_watcher.take()
            await self.dispatcher.scan(outbox)
            self._complained = False
        except (OSError, PaymuxError) as error:
            if not self._complained:
                log.error("notifier: the journal fails; it goes on as soon as it can: %s", error)
            self._complained = True
        except Exception as error:  # noqa: BLE001 - after any error, watching and delivery go on
            log_failure("a notifier", "paymux", error)

    async def _heartbeat(self, outbox: Outbox, now: float) -> None:
        if self._entered:
            heartbeat = await outbox.heartbeat(self._member, now)
        else:
            heartbeat = await outbox.enter(self._member, now)
            self._entered = True
        self._last_heartbeat = now
        await self._order_watcher.give_up(too_many=heartbeat.too_many, late=heartbeat.late)

    def _is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._last_heartbeat < FRESH_SECONDS
