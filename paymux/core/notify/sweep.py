"""The sweep: payments that came by themselves, and whose message was lost, found in a list."""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from ...drivers.base import Driver
from ...errors import PaymuxError
from ...journal import Sweep
from ...models import ADOPTED, Event, Payment, Status, Trust, log
from ...primitives.redaction import mask
from ..engine import Engine
from ..history import pages
from .adoption import Adopter
from .callbacks import log_failure
from .unconfirmed import TooManyUnconfirmed, UnconfirmedNotifier

TICK_SECONDS = 30.0  # seconds between looks whether a sweep is due
MAX_RETRY_SECONDS = 600.0  # seconds until a sweep that failed is repeated, at most
ROWS_AT_ONCE = 100  # rows that are compared in one transaction


class Sweeper:
    """Compares what each adopting account's provider lists with the journal, every ten minutes.

    What is missing is kept as a proved message, and adopted as any other: so the same rules decide
    whether it is an order's. One worker at a time does it; the journal says which.
    """

    def __init__(self, engine: Engine, adopter: Adopter, unconfirmed: UnconfirmedNotifier) -> None:
        self._engine = engine
        self._adopter = adopter
        self._unconfirmed = unconfirmed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._begun = False

    def begin(self) -> None:
        """Start to compare, in this loop."""
        self._tasks, self._begun = {}, True
        self.renew()

    def renew(self) -> None:
        """Compare for the accounts that adopt now, and for no other."""
        if not self._begun:
            return
        loop, drivers = asyncio.get_running_loop(), self._engine.drivers
        accounts = {name for name in self._adopter.accounts if drivers[name].can("history")}
        for account in self._tasks.keys() - accounts:
            self._tasks.pop(account).cancel()  # it releases its turn
        for account in accounts - self._tasks.keys():
            self._tasks[account] = loop.create_task(self._live(account))

    def forget(self) -> None:
        """Stop in a forked child, or after its loop ended."""
        self._tasks, self._begun = {}, False

    async def aclose(self) -> None:
        """Stop; the turn is released, and another worker goes on."""
        tasks, self._tasks, self._begun = list(self._tasks.values()), {}, False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, account: str) -> None:
        at_start, failures = True, 0
        while True:
            try:
                await self._adopter.begin()
                at_start = not await self._swept(account, at_start=at_start) and at_start
                failures = 0
            except Exception as error:  # noqa: BLE001 - after any error the next sweep comes
                if not failures:
                    _log(account, error)
                failures += 1
            pause = TICK_SECONDS * 2 ** min(failures, 10)
            await asyncio.sleep(min(pause, MAX_RETRY_SECONDS))

    async def _swept(self, account: str, *, at_start: bool) -> bool:
        """Make a sweep if it is due; return whether it was made."""
        adoptions = self._engine.store.require_journal().adoptions
        sweep = await adoptions.take_sweep(account, at_start=at_start)
        if sweep is None:
            return False
        done = False
        try:
            await self._compare(account, sweep)
            done = True
        finally:
            with contextlib.suppress(OSError):  # the journal is closed: this worker has ended
                await adoptions.end_sweep(account, sweep.until if done else None)
        return True

    async def _compare(self, account: str, sweep: Sweep) -> None:
        driver, events = self._engine.driver(account), list[Event]()
        try:
            async for row in pages(self._engine, account, sweep.since, sweep.until, None):
                if _is_unasked(row) and (row.paid_at is None or row.paid_at >= sweep.first):
                    events.append(_event(driver, row))
                if len(events) >= ROWS_AT_ONCE:
                    await self._keep(events, sweep)
                    events = []
        except PaymuxError:
            await self._keep(events, sweep)  # what came before the error is kept
            raise
        await self._keep(events, sweep)

    async def _keep(self, events: Sequence[Event], sweep: Sweep) -> None:
        """Keep what is missing; a row without a time may be older than the first adoption."""
        dated = [one for one in events if one.claims.paid_at is not None]
        undated = [one for one in events if one.claims.paid_at is None]
        if sweep.undated == "before":
            await self._engine.store.require_journal().adoptions.put_aside(undated)
        elif sweep.undated == "since":
            dated += undated
        if dated:
            await self._unconfirmed.take_listed(dated)


def _is_unasked(row: Payment) -> bool:
    """Return whether a row is a payment without an order."""
    unasked = row.receipt is not None and row.reference == f"{ADOPTED}{row.receipt}"
    return unasked and row.status is Status.SUCCEEDED and row.amount is not None


def _event(driver: Driver, row: Payment) -> Event:
    """Return a row as a message whose content the provider's own answer proves."""
    # Without the time of the answer: a message is known again by its text.
    return driver.event(msgspec.structs.replace(row, raw="", updated_at=None), Trust.BODY)


def _log(account: str, error: Exception) -> None:
    if isinstance(error, TooManyUnconfirmed):
        log.error("%s: lost payments cannot be kept: there are too many unconfirmed", account)
    elif isinstance(error, PaymuxError | OSError):
        said = "%s: lost payments cannot be found yet; it is tried again: %s"
        log.error(said, account, mask(str(error)))
    else:
        log_failure("a driver's history", account, error)
