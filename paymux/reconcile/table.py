"""A file as a header and rows of cells: CSV with any usual delimiter, or JSON lines."""

import csv
import json
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from .columns import recognised
from .lines import Lines, refused
from .words import plain

DELIMITERS: Final = ";,\t|"
LOOKED_AT = 20  # lines in which the header is looked for: statements begin with an address
JOINED = 20  # lines that one quoted cell may go through
MAX_COLUMNS = 500
_PAYMENT = (
    "kind", "reference", "provider_reference", "receipt", "amount", "currency", "paid_at",
    "created_at",
)  # fmt: skip


class JsonNumber(str):
    """A number of JSON as it was written: its decimal mark is a point."""

    __slots__ = ()


class Table:
    """The rows of a file, each with the number of its line; a str is why a line cannot be read."""

    def __init__(self, field: str, lines: Lines, told: Collection[str]) -> None:
        self._field, self.lines = field, lines
        self._source = iter(lines)
        self._ahead: deque[tuple[int, str | None]] = deque(islice(self._source, LOOKED_AT))
        first = next((text for _, text in self._ahead if text is not None), None)
        if first is None:
            raise refused(field, lines.path, "it is empty", "a header and rows")
        self.delimiter = ","
        self.json = first.lstrip().startswith("{")
        self.above = 0  # lines above the header
        if first.lstrip().startswith("["):
            raise refused(field, lines.path, "this is a JSON array", "JSON lines: an object a line")
        self.headers = self._keys() if self.json else self._header(told)
        if len(self.headers) > MAX_COLUMNS:
            raise refused(
                field, lines.path, f"{len(self.headers)} columns", f"at most {MAX_COLUMNS}"
            )

    def _keys(self) -> list[str]:
        keys: dict[str, None] = {}
        for _, text in self._ahead:
            found = None if text is None else _object(text)
            keys.update(dict.fromkeys(found if isinstance(found, dict) else ()))
        if {"account", "status"} <= set(keys):  # payments, which leave out what is absent
            keys.update(dict.fromkeys(_PAYMENT))
        return list(keys)

    def _header(self, told: Collection[str]) -> list[str]:
        """Find the header and the delimiter: where the most columns are known."""
        best = (-1, 0, 0, ",", [""])
        wanted = {plain(one) for one in told}
        for place, (_, text) in enumerate(self._ahead):
            for delimiter in DELIMITERS:
                cells = None if text is None else _split(text, delimiter)
                if cells is None:
                    continue
                known = recognised(cells) + len(wanted & {plain(one[:100]) for one in cells})
                best = max(
                    best, (known, len(cells), -place, delimiter, cells), key=lambda one: one[:3]
                )
        _, _, place, self.delimiter, cells = best
        self.above = -place
        for _ in range(self.above + 1):
            self._ahead.popleft()
        return [one.strip() for one in cells]

    def _line(self) -> tuple[int, str | None] | None:
        return self._ahead.popleft() if self._ahead else next(self._source, None)

    def rows(self, after: int = 0) -> Iterator[tuple[int, Sequence[Any] | str]]:
        """Yield the rows behind a line: the cells, in the order of the headers."""
        columns, delimiter = len(self.headers), self.delimiter
        while (line := self._line()) is not None:
            number, text = line
            if text is None or "\0" in text:
                found: Sequence[Any] | str = (
                    "a NUL byte" if text else "a line of more than 65,536 characters"
                )
            elif self.json:
                found = self._values(text)
            else:
                # Nearly all lines have no quotes, and splitting takes a third of csv's time.
                cells = self._quoted(number, text) if '"' in text else text.split(delimiter)
                if isinstance(cells, list) and len(cells) != columns:
                    cells = _fitting(cells, columns)
                found = cells
            if number > after:
                yield number, found

    def _values(self, text: str) -> Sequence[Any] | str:
        found = _object(text)
        return [found.get(one) for one in self.headers] if isinstance(found, dict) else found

    def _quoted(self, number: int, text: str) -> list[str] | str:
        """Split a line with quotes; a cell may go on in the next lines."""
        taken: list[tuple[int, str | None]] = []
        while (cells := _split(text, self.delimiter)) is None:
            more = self._line() if len(taken) < JOINED else None
            if more is not None:
                taken.append(more)
            if more is None or more[1] is None:
                # It closes nowhere: this line is lost, and the next ones are read for themselves.
                self._ahead.extendleft(reversed(taken))
                return "a quote that is never closed"
            text = f"{text}\n{more[1]}"
        return cells


def _split(text: str, delimiter: str) -> list[str] | None:
    """Split a line; None: a quote is open at its end."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        # Text behind a closing quote: the quotes were not doubled, so they belong to the text.
        return None if "end of data" in str(error) else text.split(delimiter)


def _fitting(cells: list[str], columns: int) -> list[str] | str:
    while len(cells) > columns and not cells[-1].strip():
        cells.pop()
    if len(cells) == columns:
        return cells
    return f"{len(cells)} cells for {columns} columns"


def _object(text: str) -> dict[str, Any] | str:
    try:
        found = json.loads(text, parse_float=JsonNumber, parse_constant=JsonNumber)
    except (ValueError, RecursionError) as error:
        return f"no JSON: {str(error)[:80]}"
    return found if isinstance(found, dict) else "no JSON object"
