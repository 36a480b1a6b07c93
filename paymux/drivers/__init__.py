"""Finding drivers by name: a module of this package, or the entry-point group `paymux.drivers`."""

import importlib
import importlib.metadata
import pkgutil

from ..errors import UsageError
from .base import Driver


def names() -> list[str]:
    """List the drivers that come with paymux."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def load(name: str) -> type[Driver]:
    """Load a driver class by name; a name that nobody provides is UsageError."""
    if name in names():
        module = importlib.import_module(f".{name}", __name__)
        return next(
            found
            for found in vars(module).values()
            if isinstance(found, type) and issubclass(found, Driver) and found.__module__ == module.__name__
        )
    for entry in importlib.metadata.entry_points(group="paymux.drivers", name=name):
        found = entry.load()
        if isinstance(found, type) and issubclass(found, Driver):
            return found
    raise UsageError.field("driver", name, ", ".join(names()))
