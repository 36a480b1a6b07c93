"""Daily ERROR records for undelivered payments and unwatched orders of a journal."""

import time
from collections.abc import Collection
from datetime import datetime

from ...models import log
from ...primitives import clock
from ..database import Database
from ..tables.columns import IS_OPEN, IS_UNTOLD, PUT_NOTE
from ..tables.notifiers import LivingNotifier, Notifiers

DAY_SECONDS = 86_400.0
CHECK_SECONDS = 60.0  # seconds between checks
OVERDUE_SECONDS = 30.0  # seconds within which an end is delivered although its worker died
# seconds without any notifier before open orders are reported; a restart takes less
ABSENT_SECONDS = 600.0

_UNTOLD = f"""SELECT count(*), min(updated_at) FROM payments
    WHERE kind = ? AND {IS_UNTOLD}"""
_ACCOUNT = f"SELECT min(account) FROM payments WHERE account > ? AND {IS_OPEN}"
_OPEN = f"SELECT count(*) FROM payments WHERE account = ? AND {IS_OPEN}"


class Reminders:
    """Checks, inside a transaction of the journal's thread, for work that no notifier does."""

    def __init__(self, notifiers: Notifiers) -> None:
        self._notifiers = notifiers
        self._next = float("-inf")

    def look(self, db: Database) -> None:
        """Log what is undelivered or unwatched, if it is time to check."""
        now = clock.monotonic()
        if now < self._next:
            return
        self._next = now + CHECK_SECONDS
        try:
            self._look(now, db)
        except Exception as error:  # noqa: BLE001 - no reminder may undo the write it runs with
            log.warning("undelivered payments and unwatched orders cannot be counted: %s", error)

    def _look(self, now: float, db: Database) -> None:
        kinds = {
            name.removeprefix("entered ")
            for (name,) in db.execute("SELECT name FROM notes WHERE name LIKE 'entered %'")
        }
        if not kinds:
            return  # no notifier was ever entered
        living = self._notifiers.living(now, db).values()
        for kind in sorted(kinds - {kind for one in living for kind in one.kinds}):
            self._untold(kind, db)
        if living or self._notifiers.absent(now, db) >= ABSENT_SECONDS:
            self._unwatched(living, db)

    def _untold(self, kind: str, db: Database) -> None:
        count, oldest = db.execute(_UNTOLD, (kind,)).fetchone()
        age = (clock.wall_time() - datetime.fromisoformat(oldest)).total_seconds() if count else 0.0
        if age > OVERDUE_SECONDS and _is_new(f"untold {kind}", db):
            log.error(
                "%d payments (%s) have ended and on_payment has not heard of them, "
                "the oldest for %.1f h: no notifier of this journal tells them",
                *(count, kind, age / 3600),
            )

    def _unwatched(self, living: Collection[LivingNotifier], db: Database) -> None:
        covered = {account for one in living for account in one.accounts}
        account, lonely = "", []
        while (account := db.execute(_ACCOUNT, (account,)).fetchone()[0]) is not None:
            if account not in covered:
                lonely.append(f"{account} ({db.execute(_OPEN, (account,)).fetchone()[0]})")
        if lonely and _is_new("unwatched", db):
            log.error("open orders of accounts that no living notifier has: %s", ", ".join(lonely))


def _is_new(name: str, db: Database) -> bool:
    """Record that something is logged; False: it was logged within a day."""
    now = time.time()
    said = db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
    if said is not None and now - DAY_SECONDS < float(said[0]) <= now:
        return False
    db.execute(PUT_NOTE, (name, repr(now)))
    return True
