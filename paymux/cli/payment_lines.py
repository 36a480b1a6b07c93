"""Payments on standard input: a reference a line, CSV with a header, or JSON lines."""

import asyncio
import csv
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import UsageError
from ..models import Payment

if TYPE_CHECKING:
    from .invocation import Invocation

_CHUNK = 1 << 16  # bytes that are read at a time
_LINE = 1 << 20  # bytes of a line at the most
_FIELDS = ("account", "reference", "provider_reference", "amount", "currency", "kind", "receipt")


async def payments_in(cli: "Invocation", account: str | None) -> AsyncIterator[Payment]:
    """Yield the payments of standard input as they come; UsageError names a line that is none."""
    read = _Reader(cli, account)
    async for line in _lines():
        payment = read.payment(line)
        if payment is not None:
            yield payment


class _Reader:
    """Reads lines in the form that the first one shows."""

    def __init__(self, cli: "Invocation", account: str | None) -> None:
        self._cli = cli
        self._account = account
        self._number = 0
        self._header: list[str] | None = None
        self._mark = ","

    def payment(self, line: str) -> Payment | None:
        """Read a line; None: it is empty, or the header."""
        self._number += 1
        text = line.removeprefix("\ufeff") if self._number == 1 else line
        if not text.strip():
            return None
        if text.lstrip().startswith("{"):
            return self._made(self._json(text))
        if self._number == 1 and self._is_header(text):
            return None
        if self._header is None:
            return self._made({"reference": text.strip()})
        cells = next(csv.reader([text], delimiter=self._mark))
        return self._made(dict(zip(self._header, cells, strict=False)))

    def _is_header(self, text: str) -> bool:
        for mark in ",;\t|":
            names = [name.strip().lower() for name in next(csv.reader([text], delimiter=mark))]
            if {"reference", "provider_reference"} & set(names):
                self._header, self._mark = names, mark
                return True
        return False

    def _json(self, text: str) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            found = None
        if not isinstance(found, dict):
            raise self._refused(text)
        return found

    def _made(self, given: dict[str, Any]) -> Payment:
        fields = {name: str(given[name]).strip() for name in _FIELDS if given.get(name)}
        fields = {name: value for name, value in fields.items() if value}
        if not {"reference", "provider_reference"} & set(fields):
            raise self._refused(str(given))
        account = fields.pop("account", self._account)
        try:
            known: Any = {"account": account or "", **fields}
            if account is None and "provider_reference" in fields:
                known["account"] = self._cli.account(None)
            return Payment(**known)
        except (UsageError, ValueError, TypeError):
            raise self._refused(str(given)) from None

    def _refused(self, value: str) -> UsageError:
        accepted = "a reference, a row of CSV under a header, or JSON, with reference or "
        return UsageError.field(f"line {self._number}", value, f"{accepted}provider_reference")


async def _lines() -> AsyncIterator[str]:
    """Yield the lines of standard input; a first Ctrl-C ends it also while nothing comes."""
    rest = b""
    while chunk := await _chunk():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE:
            raise UsageError.field("standard input", "a long line", f"lines of {_LINE} bytes")
        for line in whole:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise UsageError.field("standard input", line[:20].hex(), "UTF-8") from None


async def _chunk() -> bytes:
    """Read what there is; in a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def done(found: bytes) -> None:
        if not read.done():
            read.set_result(found)

    def work() -> None:
        try:
            found = os.read(sys.stdin.fileno(), _CHUNK) if sys.stdin else b""
        except (OSError, ValueError):  # closed
            found = b""
        loop.call_soon_threadsafe(done, found)

    threading.Thread(target=work, daemon=True, name="paymux-stdin").start()
    return await read
