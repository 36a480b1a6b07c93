"""Rows of a result: a table on a terminal, tab-separated when piped, and JSON lines with --json."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from . import streams

T = TypeVar("T")

NARROW = 60  # columns of a terminal, below which a record is two lines
_GAP = "  "
_AHEAD = 200  # rows that are read before the widths of a table are chosen


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: its header, its cell of a row, and when it leaves a table that is too wide.

    `leaves`: the columns with the lowest number above 0 leave first; 0 never leaves, and is never
    cut. `right`: for numbers. `styled`: the colour's name for a cell, on a terminal only.
    """

    name: str
    cell: Callable[[T], str]
    leaves: int = 0
    right: bool = False
    styled: Callable[[T], str | None] | None = None


class Rows(Generic[T]):
    """Writes rows as they come, in one of three forms; `close` writes what is still held back.

    `encode` makes the JSON of a row. `width` is that of the terminal; None: piped.
    """

    def __init__(
        self,
        columns: Sequence[Column[T]],
        encode: Callable[[T], Any],
        *,
        json: bool,
        width: int | None,
        style: Callable[[str, str | None], str],
        at_once: bool = False,
    ) -> None:
        self._columns = list(columns)
        self._encode = encode
        self._json = json
        self._width = width
        self._style = style
        self._ahead = 1 if at_once else _AHEAD
        self._held: list[T] = []
        self._lines: list[str] = []  # piped ones: a write for each would cost half of the time
        self._widths: list[int] | None = None
        self._headed = False

    def write(self, row: T) -> None:
        """Write a row; in a table it may wait for the widths of the first rows."""
        if self._json:
            streams.write_json(self._encode(row))
        elif self._width is None:
            self._write_piped(row)
        else:
            self._held.append(row)
            if self._widths is not None or len(self._held) >= self._ahead:
                self.flush()

    def flush(self) -> None:
        """Write the rows that are held back."""
        self._flush_lines()
        if self._width is None or not self._held:
            return
        if self._widths is None:
            self._choose(self._width)
        rows, self._held = self._held, []
        streams.write("".join(map(self._line, rows)))

    def close(self) -> None:
        """Write what is held back; a piped result has its header even without rows."""
        self.flush()
        if not self._json and self._width is None and not self._headed:
            self._head_piped()

    def _write_piped(self, row: T) -> None:
        if not self._headed:
            self._head_piped()
        line = "\t".join(_one_line(column.cell(row)) for column in self._columns)
        self._lines.append(f"{line}\n")
        if len(self._lines) >= self._ahead:
            self._flush_lines()

    def _flush_lines(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            streams.write("".join(lines))

    def _head_piped(self) -> None:
        self._headed = True
        streams.write("\t".join(column.name for column in self._columns) + "\n")

    def _choose(self, width: int) -> None:
        """Choose the widths by the rows held back; columns leave until the table fits."""
        cells = [[_one_line(column.cell(row)) for row in self._held] for column in self._columns]
        widths = [
            max(map(cell_width, [column.name, *found]))
            for column, found in zip(self._columns, cells, strict=True)
        ]
        while width >= NARROW and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            leaving = [column.leaves for column in self._columns if column.leaves]
            if not leaving:
                break
            at = next(i for i, one in enumerate(self._columns) if one.leaves == min(leaving))
            del self._columns[at], widths[at]
        self._widths = widths
        if width >= NARROW:
            names = [_padded(c.name, w, right=c.right) for c, w in self._pairs(widths)]
            streams.write(self._style(_GAP.join(names).rstrip(), "bold") + "\n")

    def _pairs(self, widths: Iterable[int]) -> Iterable[tuple[Column[T], int]]:
        return zip(self._columns, widths, strict=True)

    def _line(self, row: T) -> str:
        if self._width is not None and self._width < NARROW:
            return self._record(row)
        cells = []
        for column, width in self._pairs(self._widths or []):
            text = _padded(_one_line(column.cell(row)), width, right=column.right)
            cells.append(self._style(text, column.styled(row) if column.styled else None))
        return _GAP.join(cells).rstrip() + "\n"

    def _record(self, row: T) -> str:
        """Write a record in two lines: what never leaves, then all else that fits."""
        kept = [c for c in self._columns if not c.leaves]
        first = _GAP.join(filter(None, (_one_line(column.cell(row)) for column in kept)))
        second = ""
        for column in sorted(self._columns, key=lambda one: -one.leaves):
            more = f"{second}{_GAP}{_one_line(column.cell(row))}".rstrip()
            if column.leaves and cell_width(more) <= (self._width or NARROW):
                second = more
        return f"{first}\n{second}\n" if second.strip() else f"{first}\n"


def cell_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * max(0, width - cell_width(text))
    return f"{space}{text}" if right else f"{text}{space}"


def _one_line(text: str) -> str:
    """Show what would break a row, or move the cursor, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
