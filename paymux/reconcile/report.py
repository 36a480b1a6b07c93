"""The report in a file: rows as they are found, `.part` until the end, the same after a crash."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from ..errors import UsageError
from ..primitives.spreadsheet import as_text
from .difference import Difference
from .summary import Summary

REPORT_COLUMNS: Final = (
    "kind", "account", "reference", "provider_reference", "receipt", "our_amount",
    "their_amount", "our_currency", "their_currency", "our_status", "their_status", "our_line",
    "their_line", "perhaps", "note", "advice",
)  # fmt: skip
JSON_NAMES: Final = (".jsonl", ".ndjson", ".json")


def cells(difference: Difference, language: str = "en") -> dict[str, str]:
    """Return a difference as the columns of the report, as text; "" is an absent value."""
    note = difference.reason or ", ".join(
        [*difference.also, *([f"asked: {difference.asked}"] if difference.asked else [])]
    )
    more = {"note": note, "advice": difference.kind.advice(language)}
    found = {one: more[one] if one in more else getattr(difference, one) for one in REPORT_COLUMNS}
    return {name: "" if value is None else str(value) for name, value in found.items()}


def as_json(difference: Difference, language: str = "en") -> dict[str, Any]:
    """Return a difference as a JSON object, with its advice."""
    fields: dict[str, Any] = msgspec.to_builtins(difference)
    return {"type": "difference", **fields, "advice": difference.kind.advice(language)}


def summary_json(summary: Summary) -> dict[str, Any]:
    """Return a summary as a JSON object."""
    fields: dict[str, Any] = msgspec.to_builtins(summary)
    return {"type": "summary", **fields, "adds_up": summary.adds_up}


class Report:
    """The file of a run. Nothing is at `path` until the run is over."""

    def __init__(self, path: str, language: str, delimiter: str, *, marked: bool) -> None:
        self.path, self._part = path, f"{path}.part"
        self._language, self._delimiter, self._marked = language, delimiter, marked
        self._json = path.endswith(JSON_NAMES)
        self._file: BinaryIO | None = None

    def open(self, written: int) -> int:
        """Go on behind what was written when the cursor was; return how much that is."""
        try:
            file = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._file = os.fdopen(file, "r+b")
            if os.fstat(file).st_size < written:
                raise UsageError.field(
                    "out", self._part, "the file that the last run began; --restart"
                )
            self._file.truncate(written)
            self._file.seek(written)
        except OSError as error:
            raise UsageError.field(
                "out", self.path, f"a file that can be written ({error.strerror})"
            ) from None
        if written == 0 and not self._json:
            head = "\ufeff" if self._marked else ""
            return self._write(
                (head + self._line(dict(zip(REPORT_COLUMNS, REPORT_COLUMNS, strict=True)))).encode()
            )
        return written

    def write(self, found: Iterable[Difference]) -> int:
        """Write differences; return how long the report is now."""
        if self._json:
            lines = [msgspec.json.encode(as_json(one, self._language)) + b"\n" for one in found]
            return self._write(b"".join(lines))
        rows = [self._line(cells(one, self._language)) for one in found]
        return self._write("".join(rows).encode("utf-8", "replace"))

    def _write(self, data: bytes) -> int:
        assert self._file is not None  # noqa: S101 - it was opened
        self._file.write(data)
        self._file.flush()
        return self._file.tell()

    def _line(self, row: Mapping[str, str]) -> str:
        line = io.StringIO()
        csv.writer(line, delimiter=self._delimiter, lineterminator="\r\n").writerow(
            [as_text(one) for one in row.values()]
        )
        return line.getvalue()

    def finish(self, summary: Summary, written: int) -> None:
        """Write the summary, where the report is JSON lines, and give the report its name."""
        if self._file is None:  # the last run ended between its last row and this
            if not Path(self._part).exists():
                return
            self.open(written)
        if self._json:
            # How often a run was stopped is no part of what it found.
            last = summary_json(msgspec.structs.replace(summary, resumed=0))
            self._write(msgspec.json.encode(last) + b"\n")
        self.close(durable=True)
        Path(self._part).replace(self.path)

    def close(self, *, durable: bool = False) -> None:
        """Close the file."""
        if self._file is not None:
            if durable:
                os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
