"""What a config keeps of how the statements of an account are read: `[reconcile.<account>]`."""

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..primitives import coerce
from .formats import checked_format
from .plan import checked_edge


def checked_kept(value: object) -> dict[str, Mapping[str, Any]]:
    """Check the `[reconcile.<account>]` tables of a config; UsageError names the wrong field.

    Each has the fields of a FileFormat, and `edge`.
    """
    tables = coerce.mapping(value)
    if tables is None:
        raise UsageError.field("reconcile", value, "a table for each account")
    kept: dict[str, Mapping[str, Any]] = {}
    for account, table in tables.items():
        name = f"reconcile.{coerce.text(account) or '…'}"
        fields = coerce.mapping(table)
        if fields is None:
            raise UsageError.field(name, table, "a table")
        fields = dict(fields)
        if checked_edge(fields.get("edge"), f"{name}.edge") is None:
            fields.pop("edge", None)
        checked_format(name, {key: one for key, one in fields.items() if key != "edge"})
        kept[str(account)] = fields
    return kept
