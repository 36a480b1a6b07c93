"""Finding drivers by name: a module of this package without an underscore, or an entry point `paymux.drivers`."""

import importlib
from functools import cache
from typing import Any, get_args

from ..errors import UsageError
from .base import Driver, Verb


def names() -> list[str]:
    """List the drivers that come with paymux."""
    import pkgutil  # noqa: PLC0415 - a millisecond that only whoever lists drivers pays

    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name for name in found if name != "base" and not name.startswith("_"))


def load(name: str) -> type[Driver]:
    """Load a driver class by name; a name that nobody provides is UsageError."""
    if not name.isidentifier() or len(name) > 100:
        raise UsageError.field("driver", name, ", ".join(names()))
    if name in names():
        module = importlib.import_module(f".{name}", __name__)
        return next(
            found
            for found in vars(module).values()
            if isinstance(found, type) and issubclass(found, Driver) and found.__module__ == module.__name__
        )
    for entry in _elsewhere():
        if entry.name != name:
            continue
        found = entry.load()
        if isinstance(found, type) and issubclass(found, Driver):
            return found
    raise UsageError.field("driver", name, ", ".join(names()))


@cache
def _elsewhere() -> tuple[Any, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 5 ms that only a third party's driver costs

    return tuple(entry_points(group="paymux.drivers"))


def table() -> str:
    """Print which provider has which operation, as Markdown, from what each driver overrides."""
    verbs = get_args(Verb)
    rows = [["", *verbs], ["---"] * (len(verbs) + 1)]
    rows += [[name, *("✓" if load(name).can(verb) else "-" for verb in verbs)] for name in names()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
