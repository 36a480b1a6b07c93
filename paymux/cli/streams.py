"""Standard output and error: results on one, all else on the other, in any encoding.

What an encoding cannot show is replaced by plain letters, and never raised: under cp850 `✓` is
"yes". The JSON of `--json` is UTF-8 whatever the locale.
"""

import codecs
import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import msgspec

_PLAIN = {
    "✓": "yes", "…": "...", "→": "->", "—": "-", "\u2013": "-", "\u2019": "'", "“": '"', "”": '"',
    "\u00a0": " ", "\u202f": " ", "«": '"', "»": '"', "─": "-", "│": "|", "━": "-", "·": "-",
    "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+",
    "╭": "+", "╮": "+", "╰": "+", "╯": "+", "█": "#", "▌": "#", "✗": "no",
    "À": "A", "Â": "A", "Ç": "C", "É": "E", "È": "E", "Ê": "E", "à": "a", "â": "a", "ç": "c",
    "é": "e", "è": "e", "ê": "e", "ë": "e", "î": "i", "ï": "i", "ô": "o", "ù": "u", "û": "u",
}  # fmt: skip


# Control characters but tab and line feed, and those that change the direction of a text.
_HARMFUL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class ReaderGone(Exception):
    """The reader of standard output has closed it: `| head -1`."""


class NotWritten(Exception):
    """A result could not be written: the disk behind standard output is full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in text), error.end


def prepare() -> None:
    """Let both streams replace what they cannot show."""
    codecs.register_error("paymux", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="paymux")


def write(text: str) -> None:
    """Write text to standard output; ReaderGone: it is closed; NotWritten: it cannot be."""
    _write(sys.stdout, text)


def write_json(value: object) -> None:
    """Write one line of JSON to standard output, as UTF-8; ReaderGone: it is closed."""
    write_bytes(_encoder().encode(value) + b"\n")


def write_bytes(encoded: bytes) -> None:
    """Write what is UTF-8 whatever the locale to standard output; ReaderGone: it is closed."""
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:  # a test's own stream, or started with the descriptor closed
        return write(encoded.decode())
    try:
        sys.stdout.flush()
        raw.write(encoded)
        raw.flush()
    except OSError as error:
        _give_up(sys.stdout)
        raise _ended(error) from None
    return None


@cache
def _encoder() -> "msgspec.json.Encoder":
    import msgspec  # noqa: PLC0415 - `--help` needs no JSON

    return msgspec.json.Encoder(enc_hook=str)


def harmless(text: str) -> str:
    """Show what would move the cursor or turn the line around, as Python writes it.

    A name in a file, or a provider's text, could else rewrite what stands on a terminal.
    """
    return _HARMFUL.sub(lambda found: repr(found[0])[1:-1], text)


def write_error(text: str) -> None:
    """Write text to standard error; one that is closed or full is no error."""
    try:
        _write(sys.stderr, harmless(text))
    except (ReaderGone, NotWritten):
        return


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # started with the descriptor closed
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream)
        raise _ended(error) from None


def _ended(error: OSError) -> Exception:
    return ReaderGone() if isinstance(error, BrokenPipeError) else NotWritten(error)


def _give_up(stream: TextIO) -> None:
    """Let what is still in the stream go nowhere, or Python would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
