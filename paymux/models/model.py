"""The base of the models: endpoints of other frameworks may take and return them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Self

import msgspec
from msgspec.structs import force_setattr

MAX_DEPTH = 64  # levels of nested mappings and lists
# An amount of at most 15 digits before its point and 9 after it; Python writes 0.0000001 as 1E-7.
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?(?:E-[1-9])?")
_MAX_DECIMALS = 9


class Model(msgspec.Struct, frozen=True):
    """A struct that FastAPI and pydantic know, too: as a field, a body, or what is returned.

    Its JSON is that of `msgspec.json`, with amounts as strings, and so is its schema. A body that
    is no such struct is refused by pydantic like any other, which FastAPI answers with 422. Nothing
    here imports pydantic before pydantic asks.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - pydantic is what calls this

        steps = map(core_schema.no_info_plain_validator_function, (_legible, cls._read))
        return core_schema.chain_schema(
            list(steps),
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            serialization=core_schema.plain_serializer_function_ser_schema(
                msgspec.to_builtins, when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        _, components = msgspec.json.schema_components([cls])
        found: dict[str, Any] = _inlined(components[cls.__name__], components)
        return found

    @classmethod
    def _read(cls, value: object) -> Self:
        """Read what a body has; ValueError: it is no such struct."""
        if isinstance(value, cls):
            return value
        _check_floats(value)
        # Through JSON, so that it is read as what is stored or received in another way.
        try:
            written = msgspec.json.encode(value)
            found = msgspec.json.decode(written, type=cls)
        except (msgspec.MsgspecError, RecursionError) as error:  # 0.19: no ValueError
            raise ValueError(str(error)) from None
        _check(found, msgspec.json.decode(written))
        return found


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:
    """Return a schema with the components that it refers to in their places.

    Pydantic knows only the names that it gave itself.
    """
    if isinstance(schema, list):
        return [_inlined(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _inlined(one, components) for name, one in schema.items()}


def _legible(value: object) -> object:
    """Return a value that JSON can hold, or a text instead of it.

    FastAPI shows what it refuses as JSON, and fails where that is impossible.
    """
    try:
        if not isinstance(value, Model):
            _check_json(value, MAX_DEPTH)
            msgspec.json.encode(value)
    except Exception:  # noqa: BLE001 - in a program's own value, anything may be raised
        return "what JSON cannot hold, or not as deep"
    return value


def _check_json(value: object, levels: int) -> None:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        if not levels:
            raise ValueError("nested too deep")
        for one in value:
            _check_json(one, levels - 1)
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError("not a number")


def _check_floats(value: object) -> None:
    """Refuse a float anywhere but in the metadata: no other field of a model is one."""
    if isinstance(value, float):
        raise ValueError("an amount is a string or an integer, not a float")  # noqa: TRY004 - pydantic reads it
    inner: Any = ()
    if isinstance(value, Mapping):
        inner = [one for name, one in value.items() if name != "metadata"]
    elif isinstance(value, list | tuple):
        inner = value
    for one in inner:
        _check_floats(one)


def _check(found: object, given: Any) -> None:
    """Refuse amounts and times that no payment has, and make each time UTC.

    `given` is what was read as `found`: a Decimal no longer tells how it was written.
    """
    if isinstance(found, msgspec.Struct):
        names = zip(found.__struct_fields__, found.__struct_encode_fields__, strict=True)
        for name, written in names:
            one = getattr(found, name)
            if isinstance(one, datetime):
                force_setattr(found, name, _utc(one))
            else:
                _check(one, given.get(written))
    elif isinstance(found, Mapping):
        for name, one in found.items():
            _check(one, given.get(name))
    elif isinstance(found, Decimal) and not (
        _AMOUNT.fullmatch(str(given)) and _decimals(found) <= _MAX_DECIMALS
    ):
        raise ValueError("an amount has digits and a point: at most 15 before it and 9 after it")


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0  # a text: not a number


def _utc(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError("a time has an offset, such as Z")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time is in the years 1 to 9999 of UTC") from None
