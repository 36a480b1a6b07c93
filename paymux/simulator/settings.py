"""The doubtful points of each provider as settings: read, checked and changed by their names.

A provider's settings are the plain attributes that its `__init__` sets, and those of its parts:
`campay.webhook_url`, `mpesa.results.lost`. What each accepts is what `__init__` declares.
"""

import ast
import inspect
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import GenericAlias
from typing import Any, Literal

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from .base import Provider

_PLAIN: Mapping[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "Decimal": Decimal,
    "None": None,
}
_MANY = (list, tuple, set, frozenset)


def read(provider: Provider) -> dict[str, Any]:
    """Return a provider's settings as JSON holds them; those of its parts are nested."""
    found: dict[str, Any] = {}
    for part, name, kind in _settings(provider):
        into = found.setdefault(part, {}) if part else found
        value = msgspec.to_builtins(getattr(_owner(provider, part), name))
        into[name] = sorted(value) if kind in (set, frozenset) else value
    return found


def checked(provider: Provider, given: object) -> list[tuple[object, str, Any]]:
    """Check settings; return the owner, name and new value of each. UsageError: one is refused."""
    known = {(part, name): kind for part, name, kind in _settings(provider)}
    changes = []
    for part, name, value in _flat(provider.name, given, {part for part, _ in known}):
        field = ".".join(filter(None, (provider.name, part, name)))
        if (part, name) not in known:
            raise UsageError.field("setting", field, ", ".join(n for p, n in known if p == part))
        owner = _owner(provider, part)
        changes.append((owner, name, _converted(field, value, known[part, name], owner, name)))
    return changes


def copied(old: Provider, new: Provider) -> Provider:
    """Give a new provider the settings of an old one, but not its balances."""
    for part, name, _ in _settings(old):
        if not {part, name} & old.balances:
            setattr(_owner(new, part), name, getattr(_owner(old, part), name))
    for dotted in old.stays:
        part, _, name = dotted.rpartition(".")
        if hasattr(_owner(old, part), name):
            setattr(_owner(new, part), name, getattr(_owner(old, part), name))
    return new


def _flat(provider: str, given: object, parts: set[str]) -> Iterator[tuple[str, str, object]]:
    table = coerce.mapping(given)
    if table is None:
        raise UsageError.field(provider, given, "an object of settings and their values")
    for name, value in table.items():
        inner = coerce.mapping(value) if name in parts else None
        if inner is None:
            yield "", str(name), value
        else:
            yield from ((str(name), str(key), one) for key, one in inner.items())


def _owner(provider: Provider, part: str) -> object:
    return getattr(provider, part) if part else provider


def _settings(provider: Provider) -> Iterator[tuple[str, str, Any]]:
    """Go through the part, name and type of each setting."""
    parts: dict[str, Any] = {"": provider}
    for name, value in vars(provider).items():
        ours = (
            type(value).__module__.partition(".")[0] == type(provider).__module__.partition(".")[0]
        )
        if name[:1] != "_" and ours and hasattr(value, "__dict__") and name != "core":
            parts[name] = value
    for part, owner in parts.items():
        declared = _declared(vars(type(owner)).get("__init__"))
        for name, value in vars(owner).items():
            kind = declared.get(name, type(value))
            if name[:1] != "_" and _is_plain(value) and kind is not type(None):
                yield part, name, kind


def _is_plain(value: object) -> bool:
    """Return whether JSON can hold a value and give it back."""
    if isinstance(value, dict):
        return all(isinstance(one, str) for one in value) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, Decimal)


def _converted(field: str, value: object, kind: Any, owner: object, name: str) -> Any:
    try:
        found = msgspec.convert(value, _exact(kind, getattr(owner, name)))
        if _is_finite(found):
            return found
        accepted = "a number"
    except msgspec.ValidationError:
        accepted = str(kind.__name__) if isinstance(kind, type) else _words(kind)
    raise UsageError.field(field, value, accepted)


def _is_finite(value: object) -> bool:
    """Return whether a number, or each of a table's, can be reckoned with: "NaN" is a Decimal."""
    values = value.values() if isinstance(value, dict) else (value,)
    return all(math.isfinite(one) for one in values if isinstance(one, (float, Decimal)))


def _exact(kind: Any, old: object) -> Any:
    """Return a collection's type with that of its items, as they are now."""
    if isinstance(old, dict):
        return GenericAlias(dict, (str, _common(old.values())))
    if isinstance(old, (list, tuple, set, frozenset)) and kind in _MANY:
        item = _common(old)
        return GenericAlias(kind, (item, ...) if kind is tuple else (item,))
    return kind


def _common(values: Iterable[object]) -> Any:
    kinds = {type(one) for one in values}
    return kinds.pop() if len(kinds) == 1 else Any


def _words(kind: Any) -> str:
    words = getattr(kind, "__args__", ())
    return ", ".join(
        "null" if one in (None, type(None)) else getattr(one, "__name__", str(one)) for one in words
    )


@cache
def _declared(made: Any) -> Mapping[str, Any]:
    """Return the types that an `__init__` states for attributes, as far as they are plain."""
    found: dict[str, Any] = {}
    try:
        source = ast.parse(textwrap.dedent(inspect.getsource(made)))
    except (OSError, TypeError, SyntaxError):
        return found  # a class without source: its values tell their types
    given = {
        arg.arg: arg.annotation
        for node in ast.walk(source)
        if isinstance(node, ast.arguments)
        for arg in node.args
    }
    for node in ast.walk(source):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            annotation, [target] = given.get(node.value.id), node.targets
            if annotation is not None and isinstance(target, ast.Attribute):
                found[target.attr] = _type(annotation)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
            found[node.target.attr] = _type(node.annotation)
    return {name: kind for name, kind in found.items() if kind is not None}


def _type(node: ast.expr) -> Any:
    """Read an annotation of plain words: `Literal["a"]`, `int | None`; None: another one."""
    match node:
        case ast.Name(id=name):
            return _PLAIN.get(name)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=words)):
            return Literal[tuple(ast.literal_eval(word) for word in words)]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=word):
            return Literal[ast.literal_eval(word)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            inner = _type(left)
            return None if inner is None else inner | None
    return None
