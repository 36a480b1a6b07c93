"""A worker whose bodies of `once` write down each moment in which they act.

Run by tests/campaigns/turns.py: URL, kind of journal, scale of the times, file, orders, callers.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from paymux import Payment, Pool, Unavailable
from paymux.journal.database import Database, Worker
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.timing import (
    ANSWER_SECONDS,
    BEAT_SECONDS,
    GRACE_SECONDS,
    SUSPEND_SECONDS,
    Timing,
)
from paymux.journal.postgres.worker import PostgresWorker
from paymux.journal.suspension import Suspension
from paymux.journal.tables.turns import TurnTable

from ..toys import Desk, Toy, Wire

SCALE = 1 / 15  # of the times of a worker, in tests
WORK_SECONDS = 0.01  # seconds of work in a body before it acts
ACT_SECONDS = 0.05  # seconds between two moments in which a body acts
_BEAT = "SELECT beat, ended IS NOT NULL FROM workers WHERE id = ?"


class _LockAlone:
    """A worker that trusts the lock of a session: who holds none is dead."""

    suspended = False

    def __init__(self, worker: PostgresWorker) -> None:
        self._worker = worker

    @property
    def name(self) -> str:
        return self._worker.name

    def lives(self, name: str | None) -> bool:
        return self._worker.lives(name)

    def may_act(self, name: str | None) -> bool:
        return self._worker.lives(name)


class _LeaseAlone(_LockAlone):
    """A worker that trusts the time since the last beat: it stops itself, and takes no lock."""

    @property
    def suspended(self) -> bool:  # type: ignore[override]
        return self._worker.suspended

    def may_act(self, name: str | None) -> bool:
        db: Database | None = self._worker._db
        if db is None or not name or name == self.name:
            return bool(name)
        found = db.execute(_BEAT, (int(name),)).fetchone()
        if found is None or found[1]:
            return False
        life = self._worker.life
        return life.beats.unmoved(int(name), found[0]) < life.timing.grace


class LockJournal(PostgresJournal):
    """A journal whose turns are free as soon as the lock of their worker is."""

    def __init__(self, url: str, timing: Timing) -> None:
        super().__init__(url, timing=timing)
        self._turn_table = TurnTable(self._alone())

    def _alone(self) -> Worker:
        return _LockAlone(self._postgres_worker)

    @property
    def suspension(self) -> Suspension | None:  # type: ignore[override]
        return None


class LeaseJournal(LockJournal):
    """A journal whose turns are free as soon as the lease of their worker lapsed."""

    def _alone(self) -> Worker:
        return _LeaseAlone(self._postgres_worker)

    @property
    def suspension(self) -> Suspension | None:  # type: ignore[override]
        return self._life


def scaled(scale: float) -> Timing:
    """Return the times of a worker, each so much shorter."""
    return Timing(
        beat=BEAT_SECONDS * scale,
        suspend=SUSPEND_SECONDS * scale,
        grace=GRACE_SECONDS * scale,
        answer=ANSWER_SECONDS * scale,
    )


def journal_of(kind: str, url: str, timing: Timing) -> PostgresJournal:
    """Make a journal of a kind: ours, or one that lacks half of it."""
    if kind == "lock":
        return LockJournal(url, timing)
    if kind == "lease":
        return LeaseJournal(url, timing)
    return PostgresJournal(url, timing=timing)


class Callers:
    """Ask for the turns of orders, one after the other, until all are done."""

    def __init__(self, pay: Pool, file: int, orders: int, timing: Timing) -> None:
        self._pay = pay
        self._file = file
        self._open = [f"order-{n}" for n in range(orders)]
        self._timing = timing

    async def run(self) -> None:
        """Work as one caller until no order is left."""
        while self._open:
            # Of the oldest few: all callers want the same turns.
            reference = random.choice(self._open[:6])
            payment = Payment(account="toy", kind="collect", reference=reference)
            try:
                async with self._pay.once(payment, "shipped") as turn:
                    if turn:
                        await self._act(reference, turn.fence)
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            if not await self._done(payment):
                await asyncio.sleep(0.1)
            elif reference in self._open:
                self._open.remove(reference)

    async def _done(self, payment: Payment) -> bool:
        try:
            return await self._pay._engine.store.require_journal().turn_done(payment, "shipped")
        except OSError:
            return False

    async def _act(self, reference: str, fence: int) -> None:
        # Most are short; some last as long as a break.
        long = random.random() < 0.3
        seconds = self._timing.grace * random.uniform(0.3, 3.0) if long else 0.2
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(WORK_SECONDS)  # it works, and may be stopped meanwhile
            self._say(reference, fence, "acts")
            await asyncio.sleep(ACT_SECONDS)
        self._say(reference, fence, "done")

    def _say(self, reference: str, fence: int, what: str) -> None:
        os.write(self._file, f"{reference} {fence} {time.monotonic():.6f} {what}\n".encode())


async def main(url: str, kind: str, scale: str, file: str, orders: str, callers: str) -> None:
    """Run callers at once until all orders are done."""
    timing = scaled(float(scale))
    descriptor = os.open(Path(file), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    journal = journal_of(kind, url, timing)
    pay = Pool(Toy(), connection=Wire(Desk()), journal=journal)
    async with pay, asyncio.TaskGroup() as group:
        at_once = Callers(pay, descriptor, int(orders), timing)
        for _ in range(int(callers)):
            group.create_task(at_once.run())
    os.close(descriptor)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
