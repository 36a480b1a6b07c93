"""One operation in one transaction, and what is known of it when its COMMIT had no answer."""

import time
from typing import Any

from ...errors import PaymuxError
from ..work import Answer, Work
from .connection import Conflict, Connection, Failed, ServerGone

SETTLE_SECONDS = 2.0  # seconds for the server to end a session that is lost
# Of the role itself, which may end its own sessions.
_END = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1 AND pid <> pg_backend_pid() AND backend_start::text = $2"""
# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT: NULL is a
# transaction so old that the server has forgotten it.
_STATUS = "SELECT pg_xact_status($1::text::xid8)"


class Doubt:
    """An operation whose COMMIT had no answer."""

    def __init__(self, work: Work, result: Any, db: Connection, lost: ServerGone) -> None:
        self.work = work
        self.result = result
        self.lost = lost
        self._transaction = db.transaction
        self._session = (db.pid, db.began)

    def durable(self, db: Connection) -> bool:
        """Return whether the operation is durable, once its session has ended for certain."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                status = db.value(_STATUS, self._transaction)
            except ServerGone:
                raise
            except Failed:
                return False  # a number of the future: the server is a copy that never had it
            if status != "in progress":
                return bool(status == "committed")
            if time.monotonic() > until:
                raise ServerGone("the journal's database: an earlier session does not end")
            db.value(_END, *self._session)
            time.sleep(0.05)


def transact(db: Connection, work: Work, lock: int | None) -> Answer | Doubt | None:
    """Run an operation in a transaction of its own; None: it met another one.

    ServerGone: the session is lost, and nothing of the operation is durable.
    """
    if work.alone:
        return _alone(db, work)
    try:
        db.begin(lock)
        try:
            result = work.do(db)
        except Failed:
            raise
        except Exception as error:  # noqa: BLE001 - an unreadable row must not end the thread
            if isinstance(db.failed, ServerGone):
                raise db.failed from None
            db.rollback()
            ours = isinstance(error, PaymuxError | OSError)
            return Answer(work, error=error if ours else OSError(f"the journal: {error}"))
        if db.failed is not None:
            raise db.failed
    except ServerGone:
        raise
    except Conflict:
        db.rollback()
        return None
    except Failed as error:
        db.rollback()
        return Answer(work, error=OSError(str(error)))
    try:
        db.commit()
    except ServerGone as lost:
        if lock is not None:
            return Doubt(work, result, db, lost)
        raise
    except Conflict:
        return None
    except Failed as error:
        return Answer(work, error=OSError(str(error)))
    return Answer(work, result)


def _alone(db: Connection, work: Work) -> Answer | None:
    """Run an operation whose statements are transactions of their own."""
    db.failed = None
    try:
        return Answer(work, work.do(db))
    except ServerGone:
        raise
    except Conflict:
        return None
    except Exception as error:  # noqa: BLE001 - as above
        if isinstance(db.failed, ServerGone):
            raise db.failed from None
        ours = isinstance(error, PaymuxError | OSError)
        return Answer(work, error=error if ours else OSError(f"the journal: {error}"))
