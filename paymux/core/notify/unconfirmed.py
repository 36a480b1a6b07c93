"""Reporting payments that no look-up confirms, once they are known to be of no order of ours."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from ...errors import UsageError
from ...journal import MAX_EVENT_BYTES, Entry, KeptEvent, encoded_event
from ...models import Event, Payment, log
from ...primitives.redaction import mask, shown
from ..engine import Engine
from ..unconfirmed import Ownership, age_of, owner_of
from .adoption import ASKED_FOR_SECONDS, MAX_ASK_SECONDS, MIN_ASK_SECONDS, Adopter, as_proved
from .callbacks import CallbackFailed, log_failure, run_callback

RECEIPT_WAIT_SECONDS = 120.0  # seconds within which an order may get the same receipt
SCAN_SECONDS = 30.0  # seconds between scans
# seconds that a callback may take before it is cancelled and called again later
CALLBACK_SECONDS = 60.0
MAX_RETRY_SECONDS = 300.0  # seconds between retries, at most
MAX_CALLBACKS = 8  # callbacks at once
ENTRIES_PER_SCAN = 100  # entries per scan

OnUnconfirmed = Callable[[Event], Awaitable[None]]


class TooManyUnconfirmed(Exception):
    """The limit of unconfirmed messages is reached."""


class _Waiting:
    """An open entry, in the time of this loop."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.tries = 0
        self.fits = False  # it may be about an open order; logged
        self.patient = False  # its order succeeded without a receipt, and may still get one
        self.proved: Payment | None = None  # what is to be adopted
        self.asks = 0
        self.ask_at = float("-inf")  # when its provider may be asked for it


class UnconfirmedNotifier:
    """Keeps messages that no look-up confirms; calls `on_unconfirmed` at least once for each.

    Without `on_unconfirmed` they are logged. A payment that the account adopts is proved first:
    then it becomes a row, and the outbox tells it. Until it is proved, it is reported as any other.
    A message can be kept at any time; callbacks are made between `begin` and `aclose`.
    """

    def __init__(
        self,
        engine: Engine,
        on_unconfirmed: OnUnconfirmed | None,
        adopter: Adopter,
        adopted: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._adopter = adopter
        self._adopted = adopted  # called when the outbox has more to tell
        self._on_unconfirmed = on_unconfirmed
        self._waiting: dict[int, _Waiting] = {}
        self._task: asyncio.Task[None] | None = None
        self._open = False
        self._over = asyncio.Event()
        self._reopens = float("-inf")
        self._complained = False

    def begin(self) -> None:
        """Start calling back, in this loop."""
        self._waiting, self._over, self._open = {}, asyncio.Event(), True
        self._reopens = float("-inf")
        self._task = asyncio.get_running_loop().create_task(self._live())

    def forget(self) -> None:
        """Stop calling back in a forked child, until `begin` is called there."""
        self._task, self._open = None, False

    async def aclose(self, grace: float) -> None:
        """Let a running callback end within `grace` seconds.

        Other entries stay for the next worker.
        """
        task, self._task, self._open = self._task, None, False
        if task is not None:
            self._over.set()
            await asyncio.wait({task}, timeout=grace)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def take(self, event: Event) -> None:
        """Keep a message before it is acknowledged; OSError: not possible now.

        TooManyUnconfirmed: the limit is reached.
        """
        if len(encoded_event(event)) > MAX_EVENT_BYTES:
            log.warning(
                "%s: a message was refused: it is larger than any of its provider's", event.account
            )
            raise UsageError("event: refused; accepted: at most 2 KiB")
        kept = await self._engine.store.unconfirmed.keep(event)
        _log_gone(kept)
        id = kept.id
        if id is None:
            log.error(
                "%s: it cannot be kept: there are too many unconfirmed payments", _said(event)
            )
            raise TooManyUnconfirmed
        if self._open:
            self._waiting.setdefault(
                id, _Waiting(asyncio.get_running_loop().time() + RECEIPT_WAIT_SECONDS)
            )

    async def take_listed(self, events: Sequence[Event]) -> None:
        """Keep what is missing of a provider's list; the next scan finds it.

        TooManyUnconfirmed: the limit is reached.
        """
        kept = await self._engine.store.require_journal().adoptions.keep_listed(events)
        for one in kept:
            _log_gone(one)
        if any(one.id is None for one in kept):
            raise TooManyUnconfirmed

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        while self._open:
            soonest = await self._scanned(loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(soonest, loop.time() + SCAN_SECONDS)):
                    await self._over.wait()

    async def _scanned(self, now: float) -> float:
        """Scan, after any error as well, and return when the next entry is due."""
        try:
            await self._scan(now)
            self._complained = False
        except Exception as error:  # noqa: BLE001 - a driver's bug must not end the loop
            if not isinstance(error, OSError):
                log_failure("a look at the unconfirmed payments", "", error)
            elif not self._complained:
                log.error("the unconfirmed payments cannot be read yet: %s", error)
            self._complained = True
            return float("inf")
        return min((one.due for one in self._waiting.values()), default=float("inf"))

    async def _scan(self, now: float) -> None:
        kept = self._engine.store.unconfirmed
        if now >= self._reopens:
            self._reopens = now + SCAN_SECONDS
            for event in await kept.reopen():
                log.warning(
                    "%s: its order has another receipt, so it is reported after all", _said(event)
                )
        await self._adopter.begin()
        told, adopting = self._on_unconfirmed is not None, self._adopter.accounts
        found = await kept.waiting(told=told, adopting=adopting)
        known, self._waiting = self._waiting, {}
        for id, at in found.items():
            self._waiting[id] = known.get(id) or _Waiting(now + _left(at))
        due = [id for id, one in self._waiting.items() if one.due <= now][:ENTRIES_PER_SCAN]
        for id in due:
            self._waiting[id].due = now + SCAN_SECONDS
        few = asyncio.Semaphore(MAX_CALLBACKS)
        entries = await kept.load(due) if due else []
        doing = (self._see_to(one, self._waiting[one.id], few) for one in entries)
        failures = await asyncio.gather(*doing, return_exceptions=True)
        for failure in failures:
            if isinstance(failure, Exception):
                raise failure

    async def _see_to(self, entry: Entry, waiting: _Waiting, few: asyncio.Semaphore) -> None:
        async with few:
            if not self._open:
                return
            receipt = self._adopter.receipt_of(entry)
            if not await self._is_nobodys(entry, waiting, receipt):
                return
            if receipt is not None and waiting.proved is not None:
                proved = as_proved(entry.event, waiting.proved)
                if await self._adopter.adopt(entry, proved, waiting.proved):
                    self._adopted()
                return
            if receipt is not None and await self._adopter.end_dealt_with(entry, receipt):
                return
            if self._on_unconfirmed is None:
                await self._log(entry)
            else:
                await self._tell(entry, waiting, self._on_unconfirmed)
            if receipt is not None and not waiting.tries:
                waiting.due = max(waiting.due, waiting.ask_at)

    async def _owner(
        self, entry: Entry, waiting: _Waiting, receipt: str | None
    ) -> tuple[Ownership, Payment | None]:
        """Return the order of an entry; if none has it for certain, it is proved, if possible."""
        kept, event = self._engine.store.unconfirmed, entry.event
        if waiting.proved is None:
            owner = owner_of(self._engine, event, await kept.orders(event))
            if receipt is None or owner[0] in (Ownership.ORDER, Ownership.OPEN):
                return owner
            if not await self._is_proved(entry, waiting, receipt):
                return owner
        if waiting.proved is not None:
            # What it claimed may be false: only what is proved decides whether it is an order's.
            event = as_proved(event, waiting.proved)
        return owner_of(self._engine, event, await kept.orders(event))

    async def _is_proved(self, entry: Entry, waiting: _Waiting, receipt: str) -> bool:
        """Ask for a payment, rarely and for two days; return whether it is proved."""
        now = asyncio.get_running_loop().time()
        if now < waiting.ask_at:
            return False
        waiting.proved = await self._adopter.proved(entry.event, receipt)
        pause = min(MIN_ASK_SECONDS * 2**waiting.asks, MAX_ASK_SECONDS)
        over = age_of(entry.at) > ASKED_FOR_SECONDS
        waiting.ask_at, waiting.asks = float("inf") if over else now + pause, waiting.asks + 1
        return waiting.proved is not None

    async def _is_nobodys(self, entry: Entry, waiting: _Waiting, receipt: str | None) -> bool:
        """Return whether an entry belongs to no order of ours.

        An entry that belongs to an order is ended; an entry that may belong to one waits.
        """
        kept, loop = self._engine.store.unconfirmed, asyncio.get_running_loop()
        if entry.event.account not in self._engine.drivers:
            return False  # it belongs to another worker's pool
        which, order = await self._owner(entry, waiting, receipt)
        # Until it is proved, a forged one would take the place of what the provider will list.
        asked = receipt is not None and waiting.proved is None and waiting.ask_at < float("inf")
        if order is None:
            return True
        if which is Ownership.ORDER:
            await kept.end(entry.event, f"it is the receipt of {order.reference}")
        elif which is Ownership.OPEN and not waiting.fits:
            waiting.fits = True
            log.warning(
                "%s: it may belong to %s, and waits for that order's end",
                _said(entry.event),
                order.reference,
            )
        elif which is Ownership.WITHOUT_RECEIPT and not waiting.patient:
            waiting.patient, waiting.due = True, loop.time() + RECEIPT_WAIT_SECONDS
        elif which is Ownership.WITHOUT_RECEIPT and not asked:
            await kept.give(entry, order)
        return False

    async def _log(self, entry: Entry) -> None:
        if await self._engine.store.unconfirmed.log(entry):
            why = (
                "no look-up confirms it, and nobody is told (on_unconfirmed); pay.unconfirmed() "
                "lists it"
            )
            log.error("%s: %s", _said(entry.event), why)

    async def _tell(self, entry: Entry, waiting: _Waiting, on_unconfirmed: OnUnconfirmed) -> None:
        kept, event, told = self._engine.store.unconfirmed, entry.event, False
        if not await kept.claim(entry):
            return
        try:
            await run_callback(
                "on_unconfirmed", event.account, partial(on_unconfirmed, event), CALLBACK_SECONDS
            )
            told = True
        except CallbackFailed:
            pause = min(2.0**waiting.tries, MAX_RETRY_SECONDS) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
            waiting.due, waiting.tries = (
                asyncio.get_running_loop().time() + pause,
                waiting.tries + 1,
            )
        finally:
            await kept.done(entry, told=told)


def _left(at: str) -> float:
    """Return the seconds for which an order may still get the receipt of a message from then."""
    return min(max(RECEIPT_WAIT_SECONDS - age_of(at), 0.0), RECEIPT_WAIT_SECONDS)


def _log_gone(kept: KeptEvent) -> None:
    for one in kept.gone:
        log.error(
            "%s: it was reported and is dropped: there are too many unconfirmed payments",
            _said(one),
        )


def _said(event: Event) -> str:
    claims = event.claims
    named = shown(claims.receipt or claims.provider_reference or claims.reference)
    return f"{event.account}: a payment {mask(named)} ({claims.amount} {claims.currency})"
