"""The state of a journal: what waits in it, who holds what, and how its engine is set up."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from ...primitives.clock import wall_time
from ..database import Database, Worker
from .columns import IS_OPEN, IS_UNTOLD, PUT_NOTE, iso

EngineName: TypeAlias = Literal["sqlite", "postgresql"]

# Once a notifier has run for a kind, each end of it is delivered; of other kinds none ever is, so
# that these are all ends of a journal.
_ENTERED = "SELECT substr(name, 9) FROM notes WHERE name LIKE 'entered %'"
_UNTOLD = f"""SELECT count(*), min(updated_at) FROM payments
    WHERE {IS_UNTOLD} AND kind = ?"""
_TELLERS = f"""SELECT DISTINCT teller FROM payments
    WHERE {IS_UNTOLD} AND kind = ? AND teller > ''"""
_COUNT = f"SELECT count(*) FROM payments WHERE {IS_OPEN}"
# By indexes of what is open, which are small: a journal may have millions of rows.
_HOLDERS = f"""SELECT worker FROM payments WHERE {IS_OPEN} AND worker IS NOT NULL
    UNION SELECT watcher FROM payments WHERE {IS_OPEN} AND watcher IS NOT NULL
    UNION SELECT worker FROM hints WHERE worker IS NOT NULL
    UNION SELECT teller FROM unconfirmed WHERE ended IS NULL AND teller IS NOT NULL"""


class Inspection(NamedTuple):
    """What an engine says of itself."""

    engine: EngineName
    now: float  # Unix seconds, by its clock
    settings: Mapping[str, str]
    problems: tuple[str, ...] = ()


class JournalHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a look into a journal found."""

    engine: EngineName
    untold: int
    oldest_untold: float | None
    open_orders: int
    dead_workers: int
    clock: float
    settings: Mapping[str, str]
    problems: tuple[str, ...]


def look(worker: Worker, inspect: Callable[[Database], Inspection], db: Database) -> JournalHealth:
    """Look at a journal's rows and at its engine."""
    before = wall_time().timestamp()
    said = inspect(db)
    after = wall_time().timestamp()
    kinds = [kind for (kind,) in db.execute(_ENTERED).fetchall()]
    untold = [db.execute(_UNTOLD, (kind,)).fetchone() for kind in kinds]
    oldest = min((at for _, at in untold if at is not None), default=None)
    (open_orders,) = db.execute(_COUNT).fetchone()
    holders = {name for (name,) in db.execute(_HOLDERS).fetchall() if name}
    holders.update(name for kind in kinds for (name,) in db.execute(_TELLERS, (kind,)).fetchall())
    # Its time was read between these two: within them there is no difference.
    clock = round(min(after - said.now, max(before - said.now, 0.0)), 3)
    return JournalHealth(
        engine=said.engine,
        untold=sum(count for count, _ in untold),
        oldest_untold=None if oldest is None else _age(oldest),
        open_orders=open_orders,
        dead_workers=sum(not worker.lives(name) for name in holders),
        clock=clock,
        settings=said.settings,
        problems=said.problems,
    )


def touch(db: Database) -> None:
    """Write the smallest row."""
    db.execute(PUT_NOTE, ("health", iso(wall_time())))


def rehearse_write(name: str, db: Database) -> None:
    """Write a row that says nothing."""
    db.execute(PUT_NOTE, (name, iso(wall_time())))


def rehearse_delete(name: str, db: Database) -> None:
    """Delete the row that says nothing."""
    db.execute("DELETE FROM notes WHERE name = ?", (name,))


def count_overdue(before: datetime, db: Database) -> int:
    """Count the open orders that began before a time."""
    row = db.execute(f"{_COUNT} AND created_at < ?", (iso(before),)).fetchone()
    return int(row[0])


def _age(at: str) -> float:
    return max(wall_time().timestamp() - datetime.fromisoformat(at).timestamp(), 0.0)
