"""Reporting payments that no look-up confirms, once they are known to be of no order of ours."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from ...errors import UsageError
from ...journal import MAX_EVENT_BYTES, Entry, encoded_event
from ...models import Event, log
from ...primitives.redaction import mask, shown
from ..engine import Engine
from ..unconfirmed import Ownership, owner_of
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


class UnconfirmedNotifier:
    """Keeps messages that no look-up confirms; calls `on_unconfirmed` at least once for each.

    Without `on_unconfirmed` they are logged. A message can be kept at any time; callbacks are made
    between `begin` and `aclose`.
    """

    def __init__(self, engine: Engine, on_unconfirmed: OnUnconfirmed | None) -> None:
        self._engine = engine
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
        id, gone = await self._engine.store.unconfirmed.keep(event)
        for one in gone:
            log.error(
                "%s: it was reported and is dropped: there are too many unconfirmed payments",
                _said(one),
            )
        if id is None:
            log.error(
                "%s: it cannot be kept: there are too many unconfirmed payments", _said(event)
            )
            raise TooManyUnconfirmed
        if self._open:
            self._waiting.setdefault(
                id, _Waiting(asyncio.get_running_loop().time() + RECEIPT_WAIT_SECONDS)
            )

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
        known, self._waiting = self._waiting, {}
        for id, at in (await kept.waiting(told=self._on_unconfirmed is not None)).items():
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
            if not self._open or not await self._is_nobodys(entry, waiting):
                return
            if self._on_unconfirmed is None:
                await self._log(entry)
            else:
                await self._tell(entry, waiting, self._on_unconfirmed)

    async def _is_nobodys(self, entry: Entry, waiting: _Waiting) -> bool:
        """Return whether an entry belongs to no order of ours.

        An entry that belongs to an order is ended; an entry that may belong to one waits.
        """
        kept, loop = self._engine.store.unconfirmed, asyncio.get_running_loop()
        if entry.event.account not in self._engine.drivers:
            return False  # it belongs to another worker's pool
        which, order = owner_of(self._engine, entry.event, await kept.orders(entry.event))
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
        elif which is Ownership.WITHOUT_RECEIPT:
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
    age = time.time() - datetime.fromisoformat(at).timestamp()
    return min(max(RECEIPT_WAIT_SECONDS - age, 0.0), RECEIPT_WAIT_SECONDS)


def _said(event: Event) -> str:
    claims = event.claims
    named = shown(claims.receipt or claims.provider_reference or claims.reference)
    return f"{event.account}: a payment {mask(named)} ({claims.amount} {claims.currency})"
