"""Shell commands that mend a configuration: they change one line of its file, or one variable."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .findings import Mend

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*(["']?)([A-Za-z0-9_-]+)\1\s*=""")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a setting stands, or would: in the file, or in a variable of the environment."""

    variable: str  # such as PAYMUX_KENYA__PASSKEY
    key: str
    table: str = ""  # such as accounts.kenya; "" is the top of the file
    path: Path | None = None  # None: it is in the environment

    def put(self, value: str, *, fill: str = "") -> Mend:
        """Return the command that sets the key to a TOML value: text in quotes, true, 5."""
        if self.path is None:
            plain = value.strip('"')
            return Mend(command=f"export {self.variable}={shlex.quote(plain)}", fill=fill)
        line = f"{self.key} = {value}"
        found, header = _found(self.path, self.table, self.key)
        if found:
            return Mend(command=_sed(f"{found}s|.*|{line}|", self.path), fill=fill)
        if header is not None:
            edit = f"{header}a {line}" if header else f"1i {line}"
            return Mend(command=_sed(edit, self.path), fill=fill)
        # Another form of TOML: an inline table, or no such table yet.
        name = f"[{self.table}]\\n" if self.table else ""
        text = f"{name}{line}\\n".replace("%", "%%")
        return Mend(command=f"printf {shlex.quote(text)} >> {quoted(self.path)}", fill=fill)

    def enter(self, account: str) -> Mend:
        """Return the command that asks for a credential without showing it."""
        if self.path is None:
            return Mend(command=f"read -rs {self.variable} && export {self.variable}")
        config = f" --config {quoted(self.path)}"
        return Mend(command=f"paymux{config} config set-secret {account} {self.key}")

    def edit(self) -> Mend:
        """Return the command that lets the user change a value that no command can tell."""
        if self.path is None:
            return Mend(command=f"read -rs {self.variable} && export {self.variable}")
        found, header = _found(self.path, self.table, self.key)
        return edited(self.path, found or header or 1)

    def rename(self, name: str) -> Mend:
        """Return the command that gives the key another name, and leaves its value."""
        if self.path is None:
            other = f"{self.variable.rpartition('__')[0]}__{name.upper()}"
            return Mend(command=f'export {other}="${self.variable}"; unset {self.variable}')
        found, _ = _found(self.path, self.table, self.key)
        if not found:
            return self.edit()
        return Mend(command=_sed(f"{found}s|{self.key}|{name}|", self.path))

    def drop(self) -> Mend:
        """Return the command that makes a comment of the line, or removes the variable."""
        if self.path is None:
            return Mend(command=f"unset {self.variable}")
        found, _ = _found(self.path, self.table, self.key)
        if not found:  # a table, or another form of TOML
            return self.edit()
        return Mend(command=_sed(f"{found}s|^|# |", self.path))


def quoted(path: Path | str) -> str:
    """Return a path as the shell reads it."""
    return shlex.quote(str(path))


def edited(path: Path, line: int) -> Mend:
    """Return the command that opens a file at a line."""
    return Mend(command=f'"${{EDITOR:-vi}}" +{line} {quoted(path)}')


def _sed(edit: str, path: Path) -> str:
    return f"sed -i {shlex.quote(edit)} {quoted(path)}"


def _found(path: Path, table: str, key: str) -> tuple[int, int | None]:
    """Return the line of a key that stands alone in it, or 0; and that of its table's header.

    The top of the file has the header 0; None: there is no such table with lines of its own.
    """
    header = None if table else 0
    for number, line, within in _lines(path):
        if within != table:
            continue
        match = _KEY.match(line)
        if match is None and _HEADER.fullmatch(line):
            header = number
        elif match and match[2] == key and _is_whole(line):
            return number, header
    return 0, header


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    within = ""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for number, line in enumerate(lines, 1):
        if header := _HEADER.fullmatch(line):
            within = re.sub(r"[\"'\s]", "", header[1])
        yield number, line, within


def _is_whole(line: str) -> bool:
    """Return whether a line is TOML by itself: no part of a longer value."""
    try:
        return bool(tomllib.loads(line))
    except ValueError:
        return False
