"""From a file, or from payments and rows of a caller, into the staging file."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from ..errors import UsageError
from ..models import Model, Payment
from ..primitives import coerce
from .amounts import as_decimal
from .columns import Columns, guess, without_amount
from .formats import FileFormat
from .lines import Lines
from .rows import RowReader, Staged, UnreadableRow, staged_payment
from .staging import BATCH, Side, Staging
from .table import Table
from .times import moment_of

Item: TypeAlias = Payment | Mapping[str, Any]
Numbered: TypeAlias = tuple[int, Staged | str]
ROWS_SHOWN = 3


class Explanation(Model, frozen=True, kw_only=True):
    """How a file is understood: the column of each field, and its first rows as they were read.

    `columns` maps fields to headers, `unused` are the other headers. `rows` has at most three: a
    field maps to its value as text, or `unreadable` to the reason.
    """

    file: str
    form: str
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


class FileSide:
    """One file, opened and mapped. Close it."""

    def __init__(
        self,
        side: str,
        path: str,
        form: FileFormat,
        account: str | None,
        currency: Callable[[str], str | None],
        *,
        needs_amount: bool,
    ) -> None:
        self.side, self._form = side, form
        field, where = ("ours", "ours.") if side == "ours" else ("statement", "")
        self.lines = Lines(field, path, form.encoding)
        try:
            self.table = Table(field, self.lines, [one for one in form.columns.values() if one])
            self.columns = guess(where, self.table.headers, form.columns)
            if needs_amount and not {"amount", "net"} & set(self.columns.found):
                raise without_amount(where, self.table.headers)
            if account is None and "account" not in self.columns.found:
                raise UsageError.missing("account", "this file has no column of accounts")
            self._reader = RowReader(field, self.columns, form, account, currency)
        except BaseException:
            self.lines.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.lines.close()

    def numbered(self, after: int = 0) -> Iterator[Numbered]:
        """Yield each row behind a line as it is staged, or why it cannot be."""
        read = self._reader.read
        for number, cells in self.table.rows(after):
            if type(cells) is str:
                yield number, cells
                continue
            try:
                yield number, read(number, cells)
            except UnreadableRow as error:
                yield number, str(error)

    def explain(self) -> Explanation:
        """Read the first rows, and say how they are understood. Then the file is to be closed."""
        columns = self.columns
        names = {field: columns.name(field) or "" for field in columns.found}
        delimiter = {"\t": "tab"}.get(self.table.delimiter, self.table.delimiter)
        form = "JSON lines" if self.table.json else f"CSV, {delimiter}"
        return Explanation(
            file=self.lines.path,
            form=f"{form}, {self._form.encoding or 'utf-8'}",
            columns=names,
            unused=tuple(
                one for place, one in enumerate(columns.headers)
                if place not in columns.found.values()
            ),
            rows=tuple(_shown(one) for _, one in islice(self.numbered(), ROWS_SHOWN)),
        )  # fmt: skip


_SHOWN = (
    "account", "kind", "reference", "provider_reference", "receipt", "amount", "currency",
    "status", "at",
)  # fmt: skip


def _shown(row: Staged | str) -> Mapping[str, str]:
    if isinstance(row, str):
        return {"unreadable": row}
    shown: dict[str, str] = {}
    for field, value in zip(_SHOWN, row, strict=False):
        said: Any = value
        if field == "amount":
            said = as_decimal(value)
        elif field == "at":
            moment = moment_of(value)
            said = moment and moment.isoformat()
        if said is not None:
            shown[field] = str(said)
    return shown


def stage(
    staging: Staging,
    side: str,
    rows: Iterable[Numbered],
    before: Callable[[Side], None] | None = None,
) -> int:
    """Stage at most a batch of rows, with how far the side is; return how many there were."""
    here = staging.cursor.side(side)
    tally = staging.cursor.read
    kept: list[tuple[Any, ...]] = []
    lost: list[tuple[int, str]] = []
    count = 0
    sums: dict[tuple[Any, Any], tuple[int, int]] = {}
    for number, row in islice(rows, BATCH):
        count += 1
        here.line = number
        if isinstance(row, str):
            lost.append((number, row[:200]))
            continue
        kept.append((number, *row))
        key, at = (row[1], row[6]), row[8]
        before_rows, before_units = sums.get(key, (0, 0))
        sums[key] = (before_rows + 1, before_units + (row[5] or 0))
        if at is not None:
            here.first = at if here.first is None else min(here.first, at)
            here.last = at if here.last is None else max(here.last, at)
    if count == 0:
        return 0
    for (kind, currency), (rows_there, units) in sums.items():
        tally.add(side, "read", kind, currency, rows_there, units)
    here.rows += len(kept)
    if before is not None:
        before(here)
    with staging.transaction():
        staging.put(side, kept, lost)
    return count


class ItemReader:
    """Reads payments and rows of a caller, as one table whose header is the first row's names."""

    def __init__(
        self,
        side: str,
        form: FileFormat,
        account: str | None,
        currency: Callable[[str], str | None],
    ) -> None:
        self._side, self._form = side, form
        self._account, self._currency = account, currency
        self._headers: Sequence[str] = ()
        self._reader: RowReader | None = None

    def read(self, number: int, item: object) -> Staged | str:
        """Return an item as it is staged, or why it cannot be; UsageError: it is no row."""
        name = "ours" if self._side == "ours" else "statement"
        try:
            if coerce.is_a(item, Payment):
                return staged_payment(item, ours=self._side == "ours")
            row = coerce.mapping(item)
            if row is None:
                raise UsageError.field(name, item, "payments, or mappings of names to values")
            if self._reader is None:
                self._headers = [str(one) for one in row]
                where = "ours." if self._side == "ours" else ""
                columns: Columns = guess(where, self._headers, self._form.columns)
                self._reader = RowReader(name, columns, self._form, self._account, self._currency)
            return self._reader.read(number, [row.get(one) for one in self._headers])
        except UnreadableRow as error:
            return str(error)


async def in_batches(
    items: Iterable[Any] | AsyncIterable[Any],
) -> AsyncGenerator[list[Any], None]:
    """Gather a caller's items into batches; an async generator is closed at the end."""
    if not isinstance(items, AsyncIterable):
        source = iter(items)
        while batch := list(islice(source, BATCH)):
            yield batch
        return
    batch = []
    stream = aiter(items)
    try:
        async for item in stream:
            batch.append(item)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def payments_of(row: Sequence[Any], amounts: bool) -> Payment:
    """Return a staged order as a payment to look up: n, then as in COLUMNS."""
    _, account, kind, reference, provider_reference, receipt, amount, currency, *_ = row
    return msgspec.convert(
        {
            "account": account,
            "kind": None if kind == "out" else kind,
            "reference": reference,
            "provider_reference": provider_reference,
            "receipt": receipt,
            "amount": as_decimal(amount) if amounts else None,
            "currency": currency if amounts else None,
        },
        Payment,
    )
