"""What the journal's operations need of a database, whichever engine it is."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """Return how many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """A connection in a transaction: `sqlite3.Connection` is one."""

    def execute(self, sql: str, given: Any = (), /) -> Rows:
        """Run a statement of the journal's, with its values."""
        ...


Operation: TypeAlias = Callable[[Database], T]


class Worker(Protocol):
    """One user of a journal, as the journal's operations know it."""

    @property
    def name(self) -> str:
        """Return the name under which this worker claims rows; empty before the first use."""
        ...

    @property
    def suspended(self) -> bool:
        """Return whether this worker takes nothing now, because it cannot show that it lives."""
        ...

    def lives(self, name: str | None) -> bool:
        """Return whether a worker is alive."""
        ...

    def may_act(self, name: str | None) -> bool:
        """Return whether a worker may still do what only one may do: it lives, or did just now."""
        ...
