"""Which row of theirs is which of ours: by exact keys alone, one to one.

A key is the provider's reference, our reference, or the receipt's number, in this order, and always
with the account. Where several rows have one key, what they say decides which two belong together:
kind, amount and status. So the order of the rows in either file decides nothing.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypeAlias

from ..errors import UsageError
from .columns import KEYS
from .staging import COLUMNS, Staging

# Rows of one side that may have one key: a column where more have is no reference.
MAX_SAME_KEY = 10_000
_PAIRED: Final = {
    side: f"EXISTS (SELECT 1 FROM pairs WHERE pairs.{side} = {side}.n)"
    for side in ("ours", "theirs")
}
_RANK: Final = {"succeeded": 0, "refunded": 1, "pending": 2}
Detail: TypeAlias = tuple[Any, ...]  # n, account, kind, … as in COLUMNS
_KIND, _AMOUNT, _CURRENCY, _STATUS = 2, 6, 7, 8

STEPS: Final = (*KEYS, "twins")  # by name, in their order


def match(staging: Staging, step: int) -> None:
    """Do one step of matching, whole or not at all."""
    with staging.transaction() as db:
        name = STEPS[step]
        if name == "twins":
            _find_twins(db)
        else:
            _match_by(db, name)
        staging.cursor.matched = step + 1


def _match_by(db: sqlite3.Connection, key: str) -> None:
    """Pair the rows without a partner that have the same key."""
    if not all(
        db.execute(f"SELECT EXISTS (SELECT 1 FROM {side} WHERE {key} IS NOT NULL)").fetchone()[0]
        for side in ("ours", "theirs")
    ):
        return
    db.execute("CREATE TEMP TABLE IF NOT EXISTS new_pairs(ours INTEGER, theirs INTEGER)")
    db.execute("DELETE FROM new_pairs")
    # Both sides in the order of the key, side by side: SQLite sorts on disk, in its page cache.
    loose = " UNION ALL ".join(
        f"SELECT account, {key} AS key, {place} AS side, n FROM {side}"
        f" WHERE {key} IS NOT NULL AND NOT {_PAIRED[side]}"
        for place, side in enumerate(("ours", "theirs"))
    )
    sorted_rows = db.execute(
        f"SELECT account, key, side, n FROM ({loose}) ORDER BY account, key, side, n"
    )
    db.executemany("INSERT INTO new_pairs VALUES (?, ?)", _pairs(db, key, sorted_rows))
    db.execute("DROP INDEX pairs_theirs")
    db.execute("INSERT INTO pairs SELECT ours, theirs FROM new_pairs ORDER BY ours")
    db.execute("CREATE UNIQUE INDEX pairs_theirs ON pairs(theirs)")
    db.execute("DELETE FROM new_pairs")


def _pairs(
    db: sqlite3.Connection, key: str, rows: Iterable[tuple[str, str, int, int]]
) -> Iterator[tuple[int, int]]:
    for (_, value), group in groupby(rows, key=itemgetter(0, 1)):
        first = next(group)
        if first[2]:  # theirs come behind ours: there are none of ours
            continue
        ours, theirs = [first[3]], list[int]()
        for _, _, side, n in group:  # noqa: B031 - what is behind its first row
            (theirs if side else ours).append(n)
            if len(ours) > MAX_SAME_KEY or len(theirs) > MAX_SAME_KEY:
                raise _no_key(key, value)
        if len(ours) == len(theirs) == 1:
            yield ours[0], theirs[0]
        elif theirs:
            yield from pair_up(_details(db, "ours", ours), _details(db, "theirs", theirs))


def _details(db: sqlite3.Connection, side: str, numbers: Sequence[int]) -> list[Detail]:
    sql = f"SELECT n, {COLUMNS} FROM {side} WHERE n = ?"
    return [db.execute(sql, (n,)).fetchone() for n in numbers]


def _no_key(key: str, value: str) -> UsageError:
    accepted = f"--map {key}=COLUMN, or {key}= for none"
    return UsageError(
        f"{key}: over {MAX_SAME_KEY:,} rows have {value[:40]!r}; accepted: {accepted}",
        name=key,
        accepted=accepted,
    )


# What two rows with the same key must have in common, from everything to nothing.
_ALIKE: Sequence[Callable[[Detail], object]] = (
    itemgetter(_KIND, _CURRENCY, _AMOUNT, _STATUS),
    itemgetter(_KIND, _CURRENCY, _AMOUNT),
    itemgetter(_CURRENCY, _AMOUNT),
    itemgetter(_KIND),
    lambda _: None,
)


def pair_up(ours: list[Detail], theirs: list[Detail]) -> Iterator[tuple[int, int]]:
    """Pair rows that have one key: those that agree first, then by what they have in common."""
    ours, theirs = sorted(ours, key=_place), sorted(theirs, key=_place)
    for alike in _ALIKE:
        waiting: dict[object, list[Detail]] = defaultdict(list)
        for one in reversed(theirs):
            waiting[alike(one)].append(one)
        rest = []
        for one in ours:
            same = waiting.get(alike(one))
            if same:
                yield one[0], same.pop()[0]
            else:
                rest.append(one)
        ours = rest
        theirs = sorted((one for many in waiting.values() for one in many), key=_place)


def _place(row: Detail) -> tuple[object, ...]:
    """Return what sorts rows by what they say; only of equal ones does the line decide."""
    said = tuple((one is not None, one if one is not None else "") for one in row[1:])
    return (_RANK.get(row[_STATUS], 3), said, row[0])


def _find_twins(db: sqlite3.Connection) -> None:
    """Find rows of theirs that succeeded and have the key of an order with such a row already."""
    db.execute("DELETE FROM twins")
    db.execute(
        """CREATE TEMP TABLE IF NOT EXISTS
           loose(account TEXT, key TEXT, n INTEGER, kind TEXT, PRIMARY KEY(account, key, n))"""
    )
    for key in KEYS:
        db.execute("DELETE FROM loose")
        db.execute(
            f"INSERT INTO loose SELECT account, {key}, n, kind FROM theirs"
            f" WHERE {key} IS NOT NULL AND status = 'succeeded' AND NOT {_PAIRED['theirs']}"
        )
        if not db.execute("SELECT EXISTS (SELECT 1 FROM loose)").fetchone()[0]:
            continue
        # Of several orders, the one that says least by the alphabet: not the one that came first.
        db.execute(
            f"""INSERT OR IGNORE INTO twins SELECT loose.n, ours.n
                FROM ours CROSS JOIN loose
                     ON loose.account = ours.account AND loose.key = ours.{key}
                JOIN pairs ON pairs.ours = ours.n JOIN theirs ON theirs.n = pairs.theirs
                WHERE theirs.status = 'succeeded'
                  AND (loose.kind IS NULL OR ours.kind IS NULL OR loose.kind = ours.kind
                       OR loose.kind = 'out' AND ours.kind <> 'collect')
                ORDER BY loose.n, ours.reference, ours.provider_reference, ours.kind, ours.n"""
        )
    db.execute("DELETE FROM loose")
