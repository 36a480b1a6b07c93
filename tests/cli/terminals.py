"""Starts a command as a user does: on a terminal of some width, piped, in an encoding."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SECONDS = 60  # after which a command hangs
_COMMAND = (sys.executable, "-m", "paymux")


@dataclass(frozen=True)
class Setting:
    """Where a command writes, and in which locale: several values of the matrix at once."""

    columns: int | None = None  # of a terminal; None: a pipe
    first_line: bool = False  # its reader leaves after a line
    no_stdin: bool = False  # started with the descriptor closed; else it is empty
    encoding: str = "utf-8"  # what standard output is decoded by
    variables: Mapping[str, str] | None = None
    words: tuple[str, ...] = ()


class Shown(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def shown(setting: Setting, words: Sequence[str], folder: Path, here: Mapping[str, str]) -> Shown:
    """Run a command in a setting; what its encoding cannot show fails here."""
    line = [*_COMMAND, *words]
    if setting.no_stdin:
        line = ["sh", "-c", 'exec "$@" <&-', "sh", *line]
    variables = {**here, **(setting.variables or {})}
    read, write = pty.openpty() if setting.columns else os.pipe()
    if setting.columns:
        fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 40, setting.columns, 0, 0))
    started = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=variables,
    )
    os.close(write)
    try:
        out = _read(read, first_line=setting.first_line)
        _, err = started.communicate(timeout=SECONDS)
    finally:
        started.kill()
        started.wait()
    text = out.decode(setting.encoding).replace("\r\n", "\n")
    return Shown(started.returncode, text, err.decode(setting.encoding))


def _read(descriptor: int, *, first_line: bool) -> bytes:
    found = b""
    with contextlib.suppress(OSError):  # EIO: a terminal's other end is closed
        while chunk := os.read(descriptor, 1 if first_line else 1 << 16):
            found += chunk
            if first_line and chunk == b"\n":
                break
    os.close(descriptor)
    return found
