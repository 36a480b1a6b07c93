"""The outbox: terminal payments not yet delivered to `on_payment`, and who delivers each."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from ...models import Kind, Payment, Status, log
from ...primitives.clock import wall_time
from ..base import Ended, OrderKey, order_key
from ..database import Database, Worker
from ..outbox import NotifiedStatus
from .columns import IS_UNTOLD, iso
from .end_claims import EndClaims, FoundEnd, NewEnd
from .notifiers import Notifiers
from .rows import ScannedPayments, read_payment

FIRST_NOTIFIER_WINDOW = timedelta(days=3)  # how far back the first notifier of a kind delivers

_OF = "account = ? AND kind = ? AND reference = ?"
_NEXT = f"""SELECT account, kind, reference, status, payment FROM payments
    WHERE kind = ? AND teller IS ? AND {IS_UNTOLD} ORDER BY updated_at"""
_TELLER = f"SELECT min(teller) FROM payments WHERE kind = ? AND teller > ? AND {IS_UNTOLD}"
_ONE = f"SELECT teller, status, payment FROM payments WHERE {_OF} AND {IS_UNTOLD}"
_CLAIM = f"UPDATE payments SET teller = ? WHERE {_OF}"
_TOLD = f"UPDATE payments SET told = ?, teller = NULL WHERE {_OF} AND teller IN (?, ?)"
_LET_GO = f"UPDATE payments SET teller = NULL WHERE {_OF} AND teller IN (?, ?)"
_LET_ALL_GO = f"UPDATE payments SET teller = NULL WHERE kind = ? AND teller = ? AND {IS_UNTOLD}"
_OLD = f"UPDATE payments SET told = status WHERE kind = ? AND updated_at < ? AND {IS_UNTOLD}"
_TURN = f"SELECT worker FROM turns WHERE {_OF} AND name = ?"
_ALONE = "!"  # suffix of a worker that delivers one payment without a notifier


class Unnotified:
    """Claims payments to deliver, inside a transaction of the journal's thread."""

    def __init__(self, worker: Worker, notifiers: Notifiers, ends: EndClaims | None) -> None:
        self._worker = worker
        self._notifiers = notifiers
        self._ends = ends  # None: each is claimed inside the transaction that it is written in
        self._scanned = ScannedPayments("it cannot be told")
        self.session: object = None  # of the entered notifier, for which ends are claimed

    def enter(self, kinds: tuple[Kind, ...], db: Database) -> None:
        """Release claims of an earlier loop of this worker.

        The first notifier of a kind delivers payments of the last three days only.
        """
        self.leave(db)
        now = wall_time()
        for kind in kinds:
            if db.execute(
                "INSERT INTO notes VALUES (?, ?) ON CONFLICT DO NOTHING",
                (f"entered {kind}", iso(now)),
            ).rowcount:
                old = db.execute(_OLD, (kind, iso(now - FIRST_NOTIFIER_WINDOW))).rowcount
                if old:
                    log.info(
                        "%d payments (%s) that ended more than three days ago count as told",
                        old,
                        kind,
                    )

    def leave(self, db: Database) -> None:
        """Release every claim of this worker."""
        for kind in ("collect", "payout", "refund"):
            db.execute(_LET_ALL_GO, (kind, self._worker.name))

    def claim_some(
        self,
        kinds: tuple[Kind, ...],
        count: int,
        resting: Mapping[OrderKey, Status],
        db: Database,
    ) -> list[Payment]:
        """Claim the oldest payments that no live worker delivers."""
        found = list(self._some(kinds, count, resting, db))
        for payment in found:
            db.execute(_CLAIM, (self._worker.name, *order_key(payment)))
        return found

    def claim(self, key: OrderKey, db: Database) -> Payment | None:
        """Claim one payment for a worker without a notifier.

        No other delivers it while it lives.
        """
        row = db.execute(_ONE, key).fetchone()
        if row is None or self._tells(row[0], db) or not self._may_tell(key, row[1], db):
            return None
        db.execute(_CLAIM, (self._worker.name + _ALONE, *key))
        return read_payment(key, row[2])

    def ended_all(self, ends: Sequence[tuple[Payment, str, object]], db: Database) -> list[Ended]:
        """Claim ends that were just written, each with the id of its fact and a session."""
        if self._ends is None:
            return [self._ended(payment, session, db) for payment, _, session in ends]
        new = [
            NewEnd(order_key(payment), id, payment.status, asked=self._asks(session))
            for payment, id, session in ends
        ]
        found = self._ends.claim(new, self._worker.name, db) if new else {}
        results = []
        for (payment, _, _), one in zip(ends, new, strict=True):
            end = found.get(one.id, FoundEnd(None, claimed=False))
            claimed = payment if end.claimed and one.asked else None
            results.append(Ended(claimed=claimed, told=end.told == payment.status))
        return results

    def _asks(self, session: object) -> bool:
        return session is not None and session is self.session

    def _ended(self, payment: Payment, session: object, db: Database) -> Ended:
        """Claim an end that was just written, if this notifier asks and no worker delivers it."""
        key = order_key(payment)
        teller, told = db.execute(f"SELECT teller, told FROM payments WHERE {_OF}", key).fetchone()
        if told == payment.status:
            return Ended(told=True)
        if (
            not self._asks(session)
            or (teller is not None and self._tells(teller, db))
            or not self._may_tell(key, payment.status, db)
        ):
            return Ended()
        db.execute(_CLAIM, (self._worker.name, *key))
        return Ended(claimed=payment)

    def end(self, key: OrderKey, told: Status | None, db: Database) -> None:
        """Release a claim, and record the status that was delivered, if it was."""
        name = self._worker.name
        sql, given = (_LET_GO, key) if told is None else (_TOLD, (told, *key))
        db.execute(sql, (*given, name, name + _ALONE))

    def notified_status(self, key: OrderKey, db: Database) -> NotifiedStatus | None:
        """Return a payment's status, and the status that was delivered last."""
        row = db.execute(f"SELECT status, told FROM payments WHERE {_OF}", key).fetchone()
        return None if row is None else NotifiedStatus(Status(row[0]), row[1] and Status(row[1]))

    def _some(
        self,
        kinds: tuple[Kind, ...],
        count: int,
        resting: Mapping[OrderKey, Status],
        db: Database,
    ) -> Iterator[Payment]:
        for kind in kinds:
            for teller in (None, *self._gone(kind, db)):
                # Read all that is wanted before any write: a cursor would meet its own changes.
                for account, _, reference, status, text in db.execute(_NEXT, (kind, teller)):
                    key = (account, kind, reference)
                    if count <= 0:
                        return
                    payment = (
                        None if resting.get(key) == status else self._scanned.payment(key, text)
                    )
                    if payment is not None and self._may_tell(key, status, db):
                        count -= 1
                        yield payment

    def _gone(self, kind: Kind, db: Database) -> Iterator[str]:
        """Return the tellers of this kind that do not deliver any more."""
        teller = ""
        while (teller := db.execute(_TELLER, (kind, teller)).fetchone()[0]) is not None:
            if not self._tells(teller, db):
                yield teller

    def _tells(self, teller: str | None, db: Database) -> bool:
        """Return whether a teller goes on.

        One with a slow loop does: it may be inside a callback.
        """
        if teller is None:
            return False
        worker = teller.removesuffix(_ALONE)
        if worker == teller == self._worker.name:
            return True
        return (
            self._worker.lives(worker) if worker != teller else self._notifiers.entered(worker, db)
        )

    def _may_tell(self, key: OrderKey, status: Status, db: Database) -> bool:
        """Return whether no worker of release 0.1 delivers this status or has delivered it.

        Such a worker may still run while the file is upgraded, and it knows only once-locks. So
        each claim reads them, for as long as files of 0.1 are upgraded.
        """
        turn = db.execute(_TURN, (*key, f"on_payment {status}")).fetchone()
        if turn is None:
            return True
        if turn[0] is None:
            db.execute(f"UPDATE payments SET told = status WHERE {_OF}", key)
        return turn[0] is not None and not self._worker.lives(turn[0])
