"""Which notifier watches which open order."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice

from ...models import Payment
from ...primitives.clock import wall_time
from ..base import OrderKey, Row, State, order_key
from ..database import Database, Worker
from ..outbox import OpenOrder
from .columns import IS_OPEN, iso
from .inbox import Inbox
from .notifiers import LivingNotifier, Notifiers
from .rows import ScannedPayments

# orders beyond its share that a notifier keeps: a small difference is not worth a transfer
MAX_EXCESS_ORDERS = 100

_OF = "account = ? AND kind = ? AND reference = ?"
_NEXT = f"""SELECT kind, reference, state, payment, worker, left_at FROM payments
    WHERE account = ? AND watcher IS ? AND {IS_OPEN}"""
_WATCHER = f"SELECT min(watcher) FROM payments WHERE account = ? AND watcher > ? AND {IS_OPEN}"
_COUNT = f"""SELECT count(*), count(CASE WHEN watcher = ? THEN 1 END) FROM payments
    WHERE account = ? AND {IS_OPEN}"""
_CLAIM = f"UPDATE payments SET watcher = ? WHERE {_OF}"
_TAKE = f"""UPDATE payments SET watcher = ? WHERE {_OF} AND watcher IS NULL AND {IS_OPEN}
    AND state IN ('accepted', 'unknown')"""
_LET_GO = f"UPDATE payments SET watcher = NULL WHERE {_OF} AND watcher = ?"
_LEFT = f"UPDATE payments SET left_at = ? WHERE {_OF} AND left_at IS NULL AND {IS_OPEN}"
_MINE = f"SELECT kind, reference FROM payments WHERE account = ? AND watcher = ? AND {IS_OPEN}"
_OWNED = (
    "UPDATE payments SET worker = ?, fence = fence + 1 WHERE account = ? AND kind = ? AND "
    "reference = ?"
)
_DISOWNED = f"UPDATE payments SET worker = NULL WHERE {_OF}"


class WatchClaims:
    """Claims open orders, inside a transaction of the journal's thread."""

    def __init__(
        self,
        worker: Worker,
        notifiers: Notifiers,
        inbox: Inbox,
        lives: Callable[[str | None, OrderKey], bool],
        apply: Callable[[Database, Payment, str, State | None], object],
    ) -> None:
        self._worker = worker
        self._notifiers = notifiers
        self._inbox = inbox
        self._lives = lives  # whether a live worker is processing an order
        self._apply = apply
        self._scanned = ScannedPayments("it cannot be watched")

    def claim(
        self, accounts: Collection[str], count: int, now: float, db: Database
    ) -> list[OpenOrder]:
        """Claim orders that no live notifier watches.

        States left by a dead worker are fixed first.
        """
        found = []
        living = self._notifiers.living(now, db)
        # Read all that is wanted before any write: a cursor would meet its own changes.
        for payment, state, left in list(islice(self._unwatched(accounts, living, db), count)):
            if (after := self._settled(payment, state, db)) is not State.NOT_SENT:
                db.execute(_CLAIM, (self._worker.name, *order_key(payment)))
                row = Row(state=after, payment=payment, events=self._inbox.events_of(payment, db))
                found.append(OpenOrder(row, left))
        return found

    def _unwatched(
        self,
        accounts: Collection[str],
        living: Mapping[str, LivingNotifier],
        db: Database,
    ) -> Iterator[tuple[Payment, State, bool]]:
        for account in accounts:
            rows = self._unwatched_of(account, living, db)
            yield from islice(rows, max(-self._beyond(account, living, db), 0))

    def _unwatched_of(
        self, account: str, living: Mapping[str, LivingNotifier], db: Database
    ) -> Iterator[tuple[Payment, State, bool]]:
        for watcher in (None, *self._gone(account, living, db)):
            for kind, reference, state, text, worker, left_at in db.execute(
                _NEXT, (account, watcher)
            ):
                key = (account, kind, reference)
                being_sent = state in (State.INTENT, State.SENDING) and self._lives(worker, key)
                payment = None if being_sent else self._scanned.payment(key, text)
                if payment is not None:
                    yield payment, State(state), left_at is not None

    def take(self, payments: list[Payment], db: Database) -> list[Payment]:
        """Claim orders just sent; return those that no other worker had claimed."""
        return [
            one
            for one in payments
            if db.execute(_TAKE, (self._worker.name, *order_key(one))).rowcount
        ]

    def mine(self, accounts: Collection[str], db: Database) -> set[OrderKey]:
        """Return the orders that this worker still watches."""
        name = self._worker.name
        return {
            (account, *row) for account in accounts for row in db.execute(_MINE, (account, name))
        }

    def too_many(self, accounts: Collection[str], now: float, db: Database) -> int:
        """Count this worker's orders beyond its share, so that each notifier uses its look-ups."""
        living = self._notifiers.living(now, db)
        return sum(max(self._beyond(account, living, db), 0) for account in accounts)

    def _beyond(self, account: str, living: Mapping[str, LivingNotifier], db: Database) -> int:
        """Return this worker's orders beyond its share; negative: how many it may claim."""
        asking = sum(account in one.accounts for one in living.values())
        if asking < 2:
            return -sys.maxsize
        total, mine = db.execute(_COUNT, (self._worker.name, account)).fetchone()
        return int((mine or 0) - total // asking - MAX_EXCESS_ORDERS)

    def let_go(self, payments: list[Payment], db: Database) -> None:
        """Release orders, so that other notifiers may claim them."""
        for payment in payments:
            db.execute(_LET_GO, (*order_key(payment), self._worker.name))

    def enter(self, accounts: Collection[str], db: Database) -> None:
        """Release all orders of an earlier loop of this worker."""
        for account, kind, reference in self.mine(accounts, db):
            db.execute(_LET_GO, (account, kind, reference, self._worker.name))

    def leave_to_person(self, payment: Payment, db: Database) -> bool:
        """Record that an order is left to a person; False: it was already, or it has ended."""
        return bool(db.execute(_LEFT, (iso(wall_time()), *order_key(payment))).rowcount)

    def _gone(self, account: str, living: Collection[str], db: Database) -> Iterator[str]:
        watcher = ""
        while (watcher := db.execute(_WATCHER, (account, watcher)).fetchone()[0]) is not None:
            if watcher not in living:
                yield watcher

    def _settled(self, payment: Payment, state: State, db: Database) -> State:
        """Record the state of an order whose sender died; return its state from then on."""
        after = {State.INTENT: State.NOT_SENT, State.SENDING: State.UNKNOWN}.get(state)
        if after is None:
            return state
        key = order_key(payment)
        db.execute(_OWNED, (self._worker.name, *key))
        self._apply(db, payment, "recover", after)
        db.execute(_DISOWNED, key)
        return after
