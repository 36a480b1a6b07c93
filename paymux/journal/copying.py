"""Moving a journal from a file to a database, with its open orders.

All rows go in one transaction, are read back in it and compared one by one. The file is marked
before that transaction is committed: so at no moment can workers open both. Killed at any moment
and run again, it ends the same: either nothing had happened, or the mark leads to the end.
"""

from collections.abc import Callable
from itertools import zip_longest

from ..errors import UsageError
from ..primitives.redaction import Secret
from .postgres.address import Address
from .postgres.connection import ServerGone
from .postgres.target import TABLES, Target, opened_target
from .sqlite.source import ROWS_AT_ONCE, Source, opened_source, refuse_other


def copy_journal(path: str, url: Secret, said: Callable[[str], None] = lambda _: None) -> int:
    """Move a journal to a database; return how many rows it has there.

    `said` is called with what is done. UsageError: a worker lives on the file, it was moved
    elsewhere, or the database has a journal already. OSError: not now; run it again.
    """
    address = Address(url)
    with opened_source(path) as source:
        done = source.moved
        if done is not None:
            refuse_other(done, str(address))
        with opened_target(address) as target:
            if target.move == source.id:
                said("the rows are there already")
            elif done is not None and done.state == "moved":
                raise OSError(f"{address} does not have the rows of this file any more")
            else:
                target.see_empty()
                _fill(source, target, said)
                _compare(source, target, said)
                target.note(source.id)
                _commit(source, target)
        source.mark("moved", str(target))
        return sum(source.count(table) for table, _ in TABLES)


def undo_copy(path: str, url: Secret) -> None:
    """Let workers open a file again whose move was broken off, if the database lacks its rows.

    UsageError: the move was completed, or the rows are there: run the copy again instead. OSError:
    the database cannot be asked, so that is unknown; where it is gone for good, restore it empty.
    """
    address = Address(url)
    with opened_source(path) as source:
        done = source.moved
        if done is None:
            raise UsageError("journal: no move of this file was begun", name="journal")
        refuse_other(done, str(address))
        if done.state == "moved":
            raise UsageError(f"journal: {done}", name="journal", accepted="one broken off")
        with opened_target(address) as target:
            if target.move == source.id:
                said = "the rows are there; accepted: the same copy again, which ends the move"
                raise UsageError(f"journal: {said}", name="journal")
            source.unmark()


def _commit(source: Source, target: Target) -> None:
    source.mark("moving", str(target))
    try:
        target.commit()
    except ServerGone:
        raise  # it may be durable: the next run finds out
    except OSError:
        source.unmark()
        raise


def _columns(source: Source, target: Target, table: str) -> tuple[str, ...]:
    """Return the columns that both have; each engine has some of its own."""
    theirs = set(target.columns(table))
    return tuple(name for name in source.columns(table) if name in theirs)


def _fill(source: Source, target: Target, said: Callable[[str], None]) -> None:
    for table, key in TABLES:
        columns = _columns(source, target, table)
        for rows in source.rows(table, columns, key):
            target.fill(table, columns, rows)
        if count := source.count(table):
            said(f"{table}: {count} rows")
    target.number(table for table, key in TABLES if key == ("id",))


def _compare(source: Source, target: Target, said: Callable[[str], None]) -> None:
    for table, key in TABLES:
        columns = _columns(source, target, table)
        ours = (row for rows in source.rows(table, columns, key) for row in rows)
        theirs = target.rows(table, columns, key, ROWS_AT_ONCE)
        for one, other in zip_longest(ours, theirs):
            if one != other:
                where = dict(zip(columns, one or other, strict=True))
                name = " ".join(str(where[part]) for part in key)
                raise OSError(f"{table}: the row {name} is not the same there; nothing is moved")
    said("each row was read back and is the same")
