"""Finding simulated providers: files of this folder, and the entry points `paymux.simulators`."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeAlias

from ..errors import UsageError
from ..models import log
from ..primitives import coerce
from ..values.entry_points import entries, loaded, refused
from .base import Provider

Chosen: TypeAlias = Iterable[str | type[Provider]] | None

_GROUP = "paymux.simulators"


@cache
def own() -> dict[str, type[Provider]]:
    """Return the providers that come with paymux: a class with a name in a file of this folder."""
    package = importlib.import_module(__package__)
    found: dict[str, type[Provider]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        members = vars(importlib.import_module(f".{module.name}", __package__)).values()
        for member in members:
            if isinstance(member, type) and issubclass(member, Provider) and "name" in vars(member):
                found[member.name] = member
    return found


def names() -> list[str]:
    """List all simulated providers: those that come with paymux, and those of other packages.

    It raises nothing.
    """
    return sorted({*own(), *(entry.name for entry in entries(_GROUP))})


def load(name: str) -> type[Provider]:
    """Load a simulated provider by name; a name that no package provides is UsageError.

    An entry point that cannot be imported, is no provider, or has another name is UsageError, too.
    """
    if name in own():
        return own()[name]
    for entry in entries(_GROUP):
        if entry.name == name:
            return _checked(entry)
    raise UsageError.field("providers", name, ", ".join(names()))


def choose(providers: Chosen) -> dict[str, type[Provider]]:
    """Return the providers with these names, and these classes; None: all that are found.

    Of all, an entry point that is refused is logged and left out: the others do not need it.
    """
    if providers is None:
        return dict(_whole())
    given = coerce.sequence(providers)
    if given is None:
        raise UsageError.field("providers", providers, "a list of names and classes")
    found = dict(_named(one) for one in given)
    if not found:
        raise UsageError.field("providers", providers, f"at least one: {', '.join(names())}")
    return found


def _whole() -> Iterator[tuple[str, type[Provider]]]:
    for name in names():
        try:
            yield name, load(name)
        except UsageError as error:
            log.error("the simulated provider %s is left out: %s", name, error)


def _named(one: object) -> tuple[str, type[Provider]]:
    if isinstance(one, type) and issubclass(one, Provider) and hasattr(one, "name"):
        return one.name, one
    name = coerce.text(one)
    if name is None:
        raise UsageError.field("providers", one, "a name, or a class derived from Provider")
    return name, load(name)


def _checked(entry: Any) -> type[Provider]:
    """Load an entry point, and refuse a provider that would be mounted at another name."""
    found = loaded("simulator", entry, Provider)
    if vars(found).get("name") != entry.name:
        raise refused("simulator", entry, f"a provider with `name = {entry.name!r}`")
    return found
