"""Finding drivers: modules of this package, and the entry points `paymux.drivers`."""

import importlib
from collections.abc import Iterable
from typing import Any, get_args

from ..errors import UsageError
from ..models import Kind
from ..values.entry_points import entries, loaded, refused
from .base import Driver, Verb

_GROUP = "paymux.drivers"
_NEEDED = ("name", "live_url", "currencies")


def own() -> list[str]:
    """List the drivers that come with paymux: the modules without a leading underscore."""
    import pkgutil  # noqa: PLC0415 - a millisecond that `import paymux` does not need

    found = [module.name for module in pkgutil.iter_modules(__path__)]
    return sorted(name for name in found if name != "base" and not name.startswith("_"))


def names() -> list[str]:
    """List all drivers: those that come with paymux, and those of other packages."""
    return sorted({*own(), *(entry.name for entry in entries(_GROUP))})


def load(name: str) -> type[Driver]:
    """Load a driver class by name; a name that no package provides is UsageError.

    An entry point that cannot be imported, is no driver, or is incomplete is UsageError, too.
    """
    if name in own():
        return _class(name)
    for entry in entries(_GROUP):
        if entry.name == name:
            return _checked(entry)
    raise UsageError.field("driver", name, ", ".join(names()))


def exported(name: str) -> type[Driver] | None:
    """Return paymux's driver with this class name, such as `MpesaGateway`; None: there is none."""
    if not name[:1].isupper():
        return None
    for module in own():
        if module.replace("_", "") == name.lower():
            found = _class(module)
            return found if found.__name__ == name else None
    return None


_BY_RECEIPT = "find (receipt)"


def table(drivers: Iterable[str] | None = None) -> str:
    """Return a Markdown table: which provider has which operation (its driver overrides it).

    `find` is by our reference: ✓, or the only kinds that can be asked for by it.
    """
    verbs = [*get_args(Verb)]
    verbs.insert(verbs.index("find") + 1, _BY_RECEIPT)
    rows = [["", *verbs], ["---"] * (len(verbs) + 1)]
    for name in own() if drivers is None else drivers:
        driver = load(name)
        rows.append([name, *(_cell(driver, verb) for verb in verbs)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(driver: type[Driver], verb: Any) -> str:
    if verb == _BY_RECEIPT:
        return "✓" if any("receipt" in by for by in driver.finds_by.values()) else "-"
    if verb != "find":
        return "✓" if driver.can(verb) else "-"
    kinds = [kind for kind in get_args(Kind) if driver.can(kind)]
    by_ours = [kind for kind in kinds if "reference" in driver.finds_by.get(kind, ())]
    return "✓" if by_ours and by_ours == kinds else ", ".join(by_ours) or "-"


def _class(name: str) -> type[Driver]:
    """Return the driver that a module of this package defines."""
    module = importlib.import_module(f".{name}", __name__)
    return next(
        found
        for found in vars(module).values()
        if isinstance(found, type)
        and issubclass(found, Driver)
        and found.__module__ == module.__name__
    )


def _checked(entry: Any) -> type[Driver]:
    """Load an entry point, and refuse a driver that would fail later in other code."""
    found = loaded("driver", entry, Driver)
    lacking = [field for field in _NEEDED if not getattr(found, field, None)]
    if lacking:
        raise refused("driver", entry, f"a driver with {', '.join(lacking)}")
    if not found.__struct_config__.frozen:
        accepted = "a frozen driver: `class Acme(Driver, frozen=True, kw_only=True)`"
        raise refused("driver", entry, accepted)
    return found
