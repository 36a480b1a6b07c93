"""A journal in virtual time, a provider with known ends, and an application that records calls."""

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import pytest

import paymux.core.notify.notifier
import paymux.core.notify.unconfirmed
import paymux.journal.sqlite.journal
from paymux import Notifier, Payment, Pool, SqliteJournal, Status
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Response
from paymux.journal import State
from paymux.journal.sqlite.batch import run_batch
from paymux.journal.sqlite.batch_runner import BatchRunner
from paymux.journal.stored.writer import Writer
from paymux.journal.work import Work, settle
from paymux.primitives.clock import wall_time

from ..toys import Keyless, Wire, answer

T = TypeVar("T")
WORDS = {
    "OK": Status.SUCCEEDED,
    "NO": Status.FAILED,
    "BACK": Status.REFUNDED,
    "STOPPED": Status.CANCELLED,
}


class Inline(Writer[BatchRunner]):
    """A journal's thread replaced by direct calls, so that virtual time waits for it."""

    broken: ClassVar[bool] = False

    def queued(self, work: Work) -> "asyncio.Future[Any]":
        if self._closed:
            raise OSError("the journal is closed")
        if Inline.broken:
            raise OSError("the journal cannot be written: locked")
        if self.runner.db is None:
            self.runner.db = self.runner._open()
        loop = asyncio.get_running_loop()
        work.done = done = loop.create_future()
        loop.call_soon(settle, self.runner.told(run_batch(self.runner.db, [work])))
        return done

    async def aclose(self) -> None:
        self.die()

    def die(self) -> None:
        """End as a killed process does: the system releases its locks, and no row changes."""
        self._closed = True
        if self.runner.db is not None:
            self.runner.shut()
            self.runner._end()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the journal, which is written in virtual time."""
    monkeypatch.setattr(paymux.journal.sqlite.journal, "Writer", Inline)
    return tmp_path / "payments.db"


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a notifier look about every ten minutes, where a test lets hours or days pass."""
    monkeypatch.setattr(paymux.core.notify.notifier, "SCAN_SECONDS", 600.0)
    monkeypatch.setattr(paymux.core.notify.unconfirmed, "SCAN_SECONDS", 600.0)


class Desk:
    """A provider: a test sets its answer for each order, and each look-up is counted."""

    def __init__(self) -> None:
        self.status: dict[str, str] = defaultdict(lambda: "WAIT")
        self.replies: dict[str, Response] = {}  # instead
        self.looks: list[tuple[float, str]] = []
        self.on_look: Callable[[str], Awaitable[None]] | None = None

    async def __call__(self, outgoing: PreparedRequest) -> Response:
        path = outgoing.url.removeprefix(Keyless.sandbox_url)
        if outgoing.method == "POST":
            reference = _said(outgoing)["reference"]
            return answer(id=f"id-{reference}", status="WAIT", reference=reference)
        reference = path.rsplit("/", 1)[1].removeprefix("id-")
        self.looks.append((asyncio.get_running_loop().time(), reference))
        if self.on_look is not None:
            await self.on_look(reference)
        if reference in self.replies:
            return self.replies[reference]
        if "*" in self.replies:
            return self.replies["*"]
        return answer(id=f"id-{reference}", status=self.status[reference])

    def count(self, reference: str) -> int:
        """Return how often an order was looked up."""
        return sum(one == reference for _, one in self.looks)


def _said(outgoing: PreparedRequest) -> Mapping[str, Any]:
    import json  # noqa: PLC0415 - only used here

    found: Mapping[str, Any] = json.loads(outgoing.body or b"{}")
    return found


class Shop:
    """An application that gets payments; each of `troubles` happens at one of its first calls."""

    def __init__(self, *troubles: Callable[[Payment], Awaitable[None]]) -> None:
        self.told: list[tuple[str, Status]] = []
        self.kinds: list[str | None] = []
        self.calls = 0
        self.now: Counter[str] = Counter()
        self._troubles = list(troubles)

    async def __call__(self, payment: Payment) -> None:
        self.calls += 1
        reference = payment.reference or ""
        self.now[reference] += 1
        assert self.now[reference] == 1, "two tellings of one payment at once"
        try:
            if self._troubles:
                await self._troubles.pop(0)(payment)
            self.told.append((reference, payment.status))
            self.kinds.append(payment.kind)
        finally:
            self.now[reference] -= 1


class Limited(Keyless, frozen=True, kw_only=True):
    """A toy that accepts twenty look-ups in ten seconds."""

    name = "limited"
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {
        "look-up": (20, 10.0)
    }


def pool(file: Path | None, desk: Desk | None = None, *drivers: Driver, **more: Any) -> Pool:
    """Make a pool of one toy account, or of others."""
    return Pool(
        *(drivers or (Keyless(account="toy"),)),
        connection=Wire(desk or Desk()),
        journal=file,
        **more,
    )


async def collect(pay: Pool, reference: str = "order-1", account: str = "toy") -> Payment:
    """Collect 500."""
    return await pay.collect(account, amount=500, currency="XAF", reference=reference)


def order(reference: str = "order-1", **more: Any) -> Payment:
    """Make an order as a worker records it."""
    given: dict[str, Any] = {
        "account": "toy",
        "provider": "keyless",
        "kind": "collect",
        "live": False,
        "reference": reference,
        "provider_reference": f"id-{reference}",
        "amount": Decimal(500),
        "currency": "XAF",
        "created_at": wall_time(),
        **more,
    }
    return Payment(**given)


async def dead(file: Path, *payments: Payment, reached: State = State.ACCEPTED) -> None:
    """Leave orders behind as a dead worker does."""
    book = SqliteJournal(file)
    for payment in payments:
        await book.intend(payment, "digest")
        if reached is not State.INTENT:
            await book.mark_sending(payment)
        if reached not in (State.INTENT, State.SENDING):
            await book.record(payment, "answer", reached)
    await book.aclose()


def kill(pay: Pool, notifier: Notifier) -> None:
    """End a worker as SIGKILL does: it does nothing more, and releases nothing."""
    notifier._task.cancel()
    for order in notifier._order_watcher._orders():
        notifier._order_watcher._leave(order)
    for task in [
        *notifier.dispatcher._tasks,
        *notifier._order_watcher._tasks,
        notifier.unconfirmed._task,
    ]:
        if task is not None:
            task.cancel()
    journal = pay._engine.store.journal
    assert isinstance(journal, SqliteJournal)
    assert isinstance(journal._writer, Inline)
    journal._writer.die()


def rows(file: Path) -> list[tuple[Any, ...]]:
    """Read each order's reference, status, delivered status and state."""
    db = sqlite3.connect(file)
    try:
        return db.execute(
            "SELECT reference, status, told, state FROM payments ORDER BY reference"
        ).fetchall()
    finally:
        db.close()


def run_sql(file: Path, sql: str, *given: object) -> None:
    """Change the journal's file directly."""
    db = sqlite3.connect(file, isolation_level=None)
    try:
        db.execute(sql, given)
    finally:
        db.close()
