"""The lines of a file as text: of a `.gz`, of standard input, in any encoding, in flat memory."""

import codecs
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import UsageError

CHUNK = 1 << 16  # bytes that are read at once
LONGEST_LINE = 1 << 16  # characters; no statement has a line of a tenth of it
LONGEST_SKIP = 64 << 20  # characters without the end of a line, after which a file is no table
# A table shrinks to a twentieth at best; a file of zeros to a thousandth.
_HARMLESS, _BOMB_RATIO = 64 << 20, 200
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "a spreadsheet or zip archive"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"\x1f\x8b", "a gzip file"),
)


def refused(field: str, path: str, why: str, hint: str) -> UsageError:
    """Return the error of a file that cannot be read."""
    said = f"{field}: {path}: {why}; accepted: {hint}"
    return UsageError(said, name=field, value=path, accepted=hint)


class Lines:
    """The numbered lines of one file. A line that is too long is None; blank ones are left out."""

    def __init__(self, field: str, path: str, encoding: str | None) -> None:
        self._field, self.path = field, path
        self._encoding = encoding
        self.marked = False  # it begins with a byte order mark, as files of Excel do
        if path == "-" and sys.stdin is None:
            raise refused(field, path, "standard input is closed", "a file")
        self._source = sys.stdin.buffer if path == "-" else _opened(field, path)
        self._head = self._source.read(CHUNK)
        self._unzip = None
        if path.endswith(".gz") or (path == "-" and self._head[:2] == b"\x1f\x8b"):
            self._unzip = zlib.decompressobj(31)
        self._taken = self._given = 0
        self._inside = False  # a packed file that has not come to its end

    def close(self) -> None:
        """Close the file."""
        if self.path != "-":
            self._source.close()

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        """Yield each line with its number, from 1."""
        number, rest, skipped = 1, "", 0
        for text in self._texts():
            first, *others = text.split("\n")
            rest += first
            if not others:
                if len(rest) > LONGEST_LINE:
                    skipped, rest = skipped + len(rest), ""
                if skipped > LONGEST_SKIP:
                    raise self._refused(
                        f"line {number} has no end in {LONGEST_SKIP >> 20} MiB", "a CSV file"
                    )
                continue
            yield from _line(number, rest, skipped)
            for number, line in enumerate(others[:-1], number + 1):  # noqa: B020 - goes on from it
                yield from _line(number, line, 0)
            number, rest, skipped = number + 1, others[-1], 0
        yield from _line(number, rest, skipped)

    def _texts(self) -> Iterator[str]:
        """Decode the file, chunk by chunk."""
        decoder, left = None, 0
        for chunk in self._chunks():
            if decoder is None:
                decoder = self._decoder(chunk)
            try:
                text = decoder.decode(chunk)
            except UnicodeError as error:
                line = left + chunk[: max(0, getattr(error, "start", 0))].count(b"\n") + 1
                raise self._undecodable(line) from None
            left += chunk.count(b"\n")
            yield text
        if decoder is not None:
            try:
                yield decoder.decode(b"", final=True)
            except UnicodeError:
                raise self._undecodable(left + 1) from None

    def _chunks(self) -> Iterator[bytes]:
        chunk = self._head
        try:
            while chunk:
                if self._unzip is None:
                    yield chunk
                else:
                    yield from self._unzipped(chunk)
                chunk = self._source.read(CHUNK)
            if self._inside:
                raise self._refused("it is cut off", "the whole file")
        except OSError as error:
            raise self._refused(str(error), "a file that can be read") from None

    def _unzipped(self, chunk: bytes) -> Iterator[bytes]:
        self._taken += len(chunk)
        while chunk and self._unzip is not None:
            try:
                part = self._unzip.decompress(chunk, CHUNK)
            except zlib.error as error:
                raise self._refused(str(error), "a gzip file") from None
            self._given += len(part)
            self._inside = not self._unzip.eof
            if self._given > _HARMLESS and self._given > self._taken * _BOMB_RATIO:
                raise self._refused(
                    f"it unpacks to more than {_BOMB_RATIO} times its size", "a table"
                )
            if part:
                yield part
            chunk = self._unzip.unconsumed_tail
            if self._unzip.eof:  # a file may be several, one behind the other
                chunk = self._unzip.unused_data
                self._unzip = zlib.decompressobj(31)
                if not chunk.startswith(b"\x1f"):
                    return

    def _decoder(self, first: bytes) -> codecs.IncrementalDecoder:
        """Return the decoder of a file that begins so; UsageError: it is no text."""
        for magic, what in _OTHER_FILES:
            if first.startswith(magic):
                raise self._refused(f"this is {what}", "CSV or JSON lines (save it as CSV)")
        marked = next(((mark, name) for mark, name in _MARKS if first.startswith(mark)), None)
        self.marked = marked is not None
        if marked and marked[1] != "utf-8" and self._encoding is None:
            raise self._refused("it is not UTF-8", f"--encoding {marked[1]}")
        name = self._encoding or "utf-8"
        if name.replace("_", "-").lower() in ("utf-8", "utf8"):
            name = "utf-8-sig"
        if first.count(b"\0") > len(first) // 10 and not name.startswith(
            ("utf-16", "utf-32", "utf_")
        ):
            raise self._refused("this is no text", "CSV or JSON lines")
        return codecs.getincrementaldecoder(name)()

    def _undecodable(self, line: int) -> UsageError:
        if self._encoding is None:
            return self._refused(
                f"line {line} is not UTF-8", "--encoding cp1252, if Excel wrote it"
            )
        return self._refused(f"line {line} is not {self._encoding}", "another --encoding")

    def _refused(self, why: str, hint: str) -> UsageError:
        return refused(self._field, self.path, why, hint)


def _line(number: int, line: str, skipped: int) -> Iterator[tuple[int, str | None]]:
    if skipped or len(line) > LONGEST_LINE:
        yield number, None
    elif line and not line.isspace():
        yield number, line.removesuffix("\r")


def checked_encoding(name: str | None) -> str | None:
    """Return an encoding that Python knows and that has text; UsageError: any other."""
    if name is None:
        return None
    try:
        info = codecs.lookup(name)
        if not getattr(info, "_is_text_encoding", True):
            raise LookupError
    except (LookupError, ValueError):
        raise UsageError.field(
            "encoding", name, "an encoding, such as utf-8, cp1252 or utf-16"
        ) from None
    return info.name


def _opened(field: str, path: str) -> BinaryIO:
    """Open a regular file: a pipe could let us wait for ever."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such name"
        raise refused(field, path, why, "a file") from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise refused(field, path, "it is no regular file", "a file, or - for standard input")
    return io.FileIO(file)  # it is read in large pieces already


def fingerprint(path: str) -> list[object]:
    """Return what changes when a file changes: its size, its time, and a hash of its ends."""
    from hashlib import sha256  # noqa: PLC0415 - only where a run can be resumed

    with Path(path).open("rb") as file:
        found = os.fstat(file.fileno())
        ends = sha256(file.read(CHUNK))
        file.seek(max(0, found.st_size - CHUNK))
        ends.update(file.read(CHUNK))
    return [os.path.realpath(path), found.st_size, found.st_mtime_ns, ends.hexdigest()]
