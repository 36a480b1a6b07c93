"""News between the workers of a journal in a file: the facts that other processes have added."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

from ...models import Payment
from ..wakeups import Subject, Subscription

# Seconds between looks while payments are watched: one takes 10 µs, so they are a thousandth of a
# core, and no payer sees a delay of a tenth of a second.
LOOK_SECONDS = 0.1
MAX_FACTS = 1000  # facts that one look reads

_LAST = "SELECT coalesce(max(id), 0) FROM facts"
_SINCE = """SELECT f.id, f.account, f.kind, f.reference, p.provider_reference FROM facts f
    LEFT JOIN payments p ON p.account = f.account AND p.kind = f.kind AND p.reference = f.reference
    WHERE f.id > ? ORDER BY f.id LIMIT ?"""


class FileWakeups:
    """Follows the facts of the file, while payments are watched: each is a piece of news.

    Nothing is sent, so that a worker that only writes pays nothing. That another process has
    written is seen by https://www.sqlite.org/pragma.html#pragma_data_version.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._last: int | None = None  # the last fact that was read; None: none is followed
        self._version = -1

    def forget(self) -> None:
        """Leave those who hear to the parent, in a forked child."""
        self._lock, self._subscriptions, self._last = threading.Lock(), WeakSet(), None

    def announce(self, payment: Payment) -> None:
        """Do nothing: its fact is in the file."""

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """Hear of news from now on, for as long as the subscription is held."""
        subscription = Subscription(wake)
        subscription.begin(lambda subject: subject)
        with self._lock:
            self._subscriptions.add(subscription)
        return subscription

    # In the journal's thread.

    def opened(self) -> None:
        """Compare no version of another connection with those of the new one."""
        self._version = -1

    @property
    def wanted(self) -> bool:
        """Return whether a payment is watched."""
        return any(one.watches for one in self._all())

    def look(self, db: sqlite3.Connection) -> None:
        """Pass on what other processes have added since the last look, before any row is read."""
        if not self.wanted:
            self._last = None
            return
        with suppress(sqlite3.Error):  # the next look finds the same
            if self._last is None:
                # What was added before is in the rows that a new watch reads.
                self._last = db.execute(_LAST).fetchone()[0]
            version = db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._read(db)
                self._version = version

    def _read(self, db: sqlite3.Connection) -> None:
        while found := db.execute(_SINCE, (self._last, MAX_FACTS)).fetchall():
            news: list[Subject] = []
            for id, account, kind, reference, theirs in found:
                self._last = id
                news.append(((account, kind), reference))
                if theirs is not None:
                    news.append(((account,), theirs))
            for subscription in self._all():
                subscription.heard(news)
            if len(found) < MAX_FACTS:
                return

    def _all(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions)
