"""Classes that other packages provide through entry points."""

from functools import cache
from typing import Any, TypeVar

from ..errors import UsageError

T = TypeVar("T")


@cache
def entries(group: str) -> tuple[Any, ...]:
    """List the entry points of a group; nothing is imported."""
    # Takes 5 ms, needed only for an unknown name and for the class of another package.
    from importlib.metadata import entry_points  # noqa: PLC0415

    return tuple(entry_points(group=group))


def refused(field: str, entry: Any, accepted: str) -> UsageError:
    """Return the error of an entry point that is refused; it names the entry point."""
    return UsageError.field(field, f"{entry.name} ({entry.value})", accepted)


def loaded(field: str, entry: Any, base: type[T]) -> type[T]:
    """Import an entry point's class; UsageError: it cannot be imported, or is no such class."""
    try:
        found = entry.load()
    except Exception as error:
        why = f"a {field} that can be imported ({type(error).__name__}: {error})"
        raise refused(field, entry, why) from error
    if not isinstance(found, type) or not issubclass(found, base):
        raise refused(field, entry, f"a class derived from {base.__module__}.{base.__qualname__}")
    return found
