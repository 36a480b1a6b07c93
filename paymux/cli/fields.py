"""The fields of a driver's coroutine as options of a command: `--amount 500`."""

import enum
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ..errors import UsageError
from ..primitives.redaction import Secret
from ..values import arguments

_LISTS = {list, Sequence, Iterable}
_UNIONS = {Union, types.UnionType}


class Field(msgspec.Struct, frozen=True):
    """One field of a coroutine: its name, its type, and its default."""

    name: str
    type: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Return whether the field may not be left out."""
        return self.default is inspect.Parameter.empty

    @property
    def accepted(self) -> str:
        """Return what one value may be, for an error."""
        return _accepted(self.type)

    @property
    def help(self) -> str:
        """Return what is accepted, for a list of fields."""
        repeated = "; may be repeated" if _item(self.type) is not None else ""
        default = f"; default: {self.default}" if self.default and not self.required else ""
        required = "; required" if self.required else ""
        return f"{self.accepted}{repeated}{required}{default}"

    def read(self, texts: Sequence[str]) -> Any:
        """Convert the texts of the command line; UsageError names the field."""
        item = _item(self.type)
        if item is not None:
            return [_read(self.name, text, item) for text in texts]
        if len(texts) > 1:
            said = f"{self.name}: given {len(texts)} times; accepted: one value"
            raise UsageError(said, name=self.name, accepted="one value")
        return _read(self.name, texts[0], self.type)


def fields_of(method: Callable[..., Any]) -> list[Field]:
    """List the fields of a driver's coroutine: its parameters after `self` and `send`."""
    try:
        hints = get_type_hints(method)
    except NameError:  # a name that only type checkers see: the text is handed on
        hints = {}
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        Field(one.name, hints.get(one.name, str), one.default)
        for one in list(inspect.signature(method).parameters.values())[2:]
        if one.kind in kinds
    ]


def _item(type: Any) -> Any:
    """Return the type of a list's items; None: it is no list."""
    for one in _members(type):
        if (get_origin(one) or one) in _LISTS:
            return (get_args(one) or (str,))[0]
    return None


def _members(type: Any) -> list[Any]:
    """Return the types that a value may have, without None: such a field is left out instead."""
    parts = get_args(type) if get_origin(type) in _UNIONS else (type,)
    return [one for one in parts if one is not types.NoneType]


def _accepted(type: Any) -> str:
    item = _item(type)
    members = _members(type if item is None else item)
    if Decimal in members:  # a driver that takes numbers takes them as text, too
        members = [one for one in members if one not in (int, str)]
    return " or ".join(dict.fromkeys(map(_word, members)))


def _word(type: Any) -> str:
    if choices := _choices(type):
        return " or ".join(choices)
    words = {
        str: "text",
        Secret: "text",
        int: "a whole number",
        Decimal: "a number",
        bool: "true or false",
        datetime: "a time with its offset, such as 2026-11-30T08:00:00+03:00",
    }
    return words.get(type) or f"JSON of {getattr(type, '__name__', type)}"


def _choices(type: Any) -> dict[str, Any]:
    """Return the values of a Literal or an enum by their text; empty: it is neither."""
    if get_origin(type) is Literal:
        return {str(one): one for one in get_args(type)}
    if isinstance(type, enum.EnumType):
        members: list[Any] = list(type)
        return {str(one.value): one for one in members}
    return {}


def _read(name: str, text: str, type: Any) -> Any:
    members = _members(type)
    if Secret in members:
        return Secret(text)
    if str in members:  # the driver reads it, and names the field itself
        members = [str]
    for one in members:
        try:
            return _converted(name, text, one)
        # UsageError is a ValueError; MsgspecError of 0.19 is not; TypeError: no type of JSON
        except (ValueError, TypeError, msgspec.MsgspecError):
            continue
    raise UsageError.field(name, text, _accepted(type))


def _converted(name: str, text: str, type: Any) -> Any:
    if choices := _choices(type):
        if text not in choices:
            raise ValueError(text)
        return choices[text]
    readers: Mapping[Any, Callable[[str, object], Any]] = {
        str: arguments.text,
        Decimal: arguments.amount,
        bool: arguments.flag,
        datetime: arguments.moment,
        int: _whole,
    }
    reader = readers.get(type)
    return reader(name, text) if reader else msgspec.json.decode(text, type=type)


def _whole(name: str, text: object) -> int:
    number = arguments.amount(name, text)
    if number != int(number):
        raise ValueError(text)
    return int(number)
