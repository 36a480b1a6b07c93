"""How a file is to be read, as a caller says it or as `[reconcile.<account>]` keeps it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import UsageError
from ..models import Status
from ..primitives import coerce
from ..values import arguments
from .columns import FIELDS
from .lines import checked_encoding

MAX_WORDS = 500  # words for a status that one format may have


class FileFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is read. What is left out is guessed, or refused where a guess is not sure.

    `columns` gives fields (account, reference, provider_reference, receipt, amount, net, fee,
    currency, kind, status, at, party) the header or number of their column; "" means that a field
    has none. `statuses` gives the file's words their statuses. `encoding` is Python's name; None is
    UTF-8. `decimal` is the mark before the decimals of an amount, "," or ".".

    ```python
    from paymux import FileFormat, Status

    told = FileFormat(columns={"amount": "Montant net"}, statuses={"BON": Status.SUCCEEDED})
    print(told.decimal)  # None: guessed, or refused where a guess is not sure
    ```
    """

    columns: Mapping[str, str] = {}
    statuses: Mapping[str, Status] = {}
    encoding: str | None = None
    decimal: str | None = None


def completed(form: FileFormat, kept: FileFormat) -> FileFormat:
    """Return a format, with what it leaves out as it is `kept` elsewhere."""
    return FileFormat(
        columns={**kept.columns, **form.columns},
        statuses={**kept.statuses, **form.statuses},
        encoding=form.encoding or kept.encoding,
        decimal=form.decimal or kept.decimal,
    )


def checked_format(name: str, value: object) -> FileFormat:
    """Check a format of a caller, or a table of a config; UsageError names the field."""
    if value is None:
        return FileFormat()
    fields = (
        msgspec.structs.asdict(value) if coerce.is_a(value, FileFormat) else coerce.mapping(value)
    )
    if fields is None:
        raise UsageError.field(name, value, "a FileFormat")
    for field in fields:
        if field not in FileFormat.__struct_fields__:
            raise UsageError.field(name, field, ", ".join(FileFormat.__struct_fields__))
    columns = _texts(f"{name}.columns", fields.get("columns", {}))
    for field in columns:
        if field not in FIELDS:
            raise UsageError.field(f"{name}.columns", field, ", ".join(FIELDS))
    decimal = fields.get("decimal") or None
    if decimal not in (None, ",", "."):
        raise UsageError.field(f"{name}.decimal", decimal, "a comma or a point")
    statuses = _texts(f"{name}.statuses", fields.get("statuses", {}))
    encoding = fields.get("encoding") or None
    return FileFormat(
        columns=columns,
        statuses={
            word: arguments.status(f"{name}.statuses", one) for word, one in statuses.items()
        },
        encoding=None
        if encoding is None
        else checked_encoding(arguments.text("encoding", encoding, longest=40)),
        decimal=decimal,
    )


def _texts(name: str, value: Any) -> dict[str, str]:
    found = coerce.mapping(value)
    if found is None or len(found) > MAX_WORDS:
        raise UsageError.field(name, value, f"a mapping of at most {MAX_WORDS} texts to texts")
    return {
        arguments.text(name, key, longest=100): arguments.text(name, one, longest=100)
        for key, one in found.items()
    }
