"""The rows of messages in a journal's file."""

from collections.abc import Sequence

from ..database import Database
from ..tables.message_rows import NewMessage

_HELD = "SELECT 1 FROM hints WHERE account = ? AND event = ?"
_COUNT = (
    "SELECT count(*) FROM hints WHERE account = ? AND kind = ? AND reference = ? AND proved = ?"
)
_KEEP = """INSERT INTO hints
    (account, kind, reference, provider_reference, at, event, worker, proved)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, event) DO """
# If the same message comes again, the worker that received it last handles it.
_OPEN = f"{_KEEP} UPDATE SET worker = excluded.worker"


class SqliteMessages:
    """The rows in a file, within a transaction."""

    def keep(
        self, messages: Sequence[NewMessage], at: str, worker: str, db: Database
    ) -> list[bool]:
        """Keep messages once, for this worker if they are open; False: there is no place for it."""
        return [_keep(one, at, worker if one.open else None, db) for one in messages]


def _keep(one: NewMessage, at: str, worker: str | None, db: Database) -> bool:
    if (
        one.reference is not None
        and db.execute(_HELD, (one.account, one.text)).fetchone() is None
        and db.execute(_COUNT, (one.account, one.kind, one.reference, one.proved)).fetchone()[0]
        >= one.places
    ):
        return False
    row = (one.account, one.kind, one.reference, one.provider_reference, at, one.text)
    db.execute(_OPEN if one.open else f"{_KEEP} NOTHING", (*row, worker, one.proved))
    return True
