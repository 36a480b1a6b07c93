"""The files of a journal: which file may be one, and whether an open one is still in place."""

import contextlib
import errno
import os
import sqlite3
import stat
from pathlib import Path

from ...errors import UsageError
from ...primitives.redaction import shown
from .locks import Opened, identity
from .moved_file import moved

# files of SQLite next to a database: https://www.sqlite.org/tempfiles.html
SIDE_FILE_SUFFIXES = ("-wal", "-shm")
_OURS = {"payments", "facts", "hints", "turns"}
_COLUMNS = {"account", "kind", "reference", "state", "status", "payment", "digest"}
_WRONG = {
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "its folder is a file",
    errno.EISDIR: "it is a folder",
    errno.EACCES: "it may not be written by this user",
    errno.EPERM: "it may not be written by this user",
    errno.EROFS: "it lies on a disk that may only be read",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links go round in a circle",
}


class FileBusy(OSError):
    """The file cannot be used at this moment; try again soon."""


def unusable(path: str | os.PathLike[str], why: str) -> UsageError:
    """Return the error that says why no journal can be kept at a path."""
    said = f"journal: {os.fspath(path)[:4096]!r} is refused: {why}"
    return UsageError(
        said,
        name="journal",
        value=shown(os.fspath(path)),
        accepted="the path of a journal, or of no file yet",
    )


def checked_file(given: str) -> Path:
    """Return the file at a path; UsageError: no journal can be there.

    Nothing is created or changed.
    """
    if not given.strip():
        raise unusable(given, "the path is empty")
    if given == ":memory:":
        raise unusable(
            given, "a journal in memory would survive no crash; leave `journal` out in tests"
        )
    try:
        real = Path(os.path.realpath(given))
        real.parent.stat()
        with contextlib.suppress(FileNotFoundError):
            mode = real.stat().st_mode
            if stat.S_ISDIR(mode):
                raise unusable(given, _WRONG[errno.EISDIR])
            if not stat.S_ISREG(mode):
                raise unusable(given, "it is no ordinary file")
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise unusable(given, f"no file can have this name ({error})") from None
    except OSError as error:
        raise translated(given, error) from None
    return real


def translated(path: str | os.PathLike[str], error: OSError) -> Exception:
    """Return UsageError if the caller can fix the error.

    Otherwise return the error itself, which may pass.
    """
    why = _WRONG.get(error.errno or 0)
    return error if why is None else unusable(path, why)


def schema_version(path: Path, version: int) -> int:
    """Return a journal's version; refuse other files and later releases.

    The file is not changed.
    """
    if not path.exists() or not path.stat().st_size:
        return 0
    # Without a write-ahead log to read, `immutable` avoids creating files next to a foreign
    # database.
    how = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        with contextlib.closing(_read_only(path, how)) as db:
            found = db.execute("PRAGMA user_version").fetchone()[0]
            names = {
                name
                for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            }
            columns = {one[1] for one in db.execute("PRAGMA table_info(payments)")}
            marked = db.execute("PRAGMA application_id").fetchone()[0]
            gone = moved(db) if "notes" in names else None
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
            raise unusable(path, "the file is not a database") from None
        raise
    if found == 0 and not names and not marked:
        return 0  # created, and still empty
    if found == 0 or not (names >= _OURS and columns >= _COLUMNS):
        raise unusable(path, "it is the database of something else")
    if gone is not None:
        raise unusable(path, str(gone))
    if found > version:
        raise unusable(
            path, f"it was written by a later release of paymux (schema {found}); use that one"
        )
    return int(found)


def canonical_name(real: Path) -> Path:
    """Return the name by which a file with several names is opened.

    SQLite keeps one log for each name, so all processes must use the same name; each journal stores
    its own. See https://www.sqlite.org/howtocorrupt.html#_multiple_links_to_the_same_file.
    """
    if real.stat().st_nlink < 2:
        return real
    try:
        with contextlib.closing(_read_only(real, "mode=ro&immutable=1")) as db:
            found = db.execute("SELECT value FROM notes WHERE name = 'path'").fetchone()
        noted = Path(os.fsdecode(found[0]))
        return noted if identity(noted) == identity(real) else real
    except (sqlite3.Error, OSError, TypeError, ValueError):
        # Release 0.1.0 stored no name: take the name that has a log, left by workers that died.
        logs = [log for log in real.parent.glob("*-wal") if log.stat().st_size]
        names = (log.with_name(log.name.removesuffix("-wal")) for log in logs)
        return next(
            (name for name in names if name.exists() and identity(name) == identity(real)), real
        )


def note_name(db: sqlite3.Connection, path: Path) -> None:
    """Store the name by which a journal is opened, in the file itself and not only in its log."""
    name = os.fsencode(path)
    found = db.execute("SELECT value FROM notes WHERE name = 'path'").fetchone()
    if found is None or found[0] != name:
        db.execute("INSERT OR REPLACE INTO notes VALUES ('path', ?)", (name,))
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _read_only(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=0.2, isolation_level=None)


class FileLocation:
    """The identity of an open journal's files at the time when they were opened."""

    def __init__(self, given: Path) -> None:
        self._given = given
        self._main: tuple[int, int] | None = None
        self._beside: list[tuple[Path, tuple[int, int]]] = []
        self._opened: Opened | None = None

    def note(self, opened: Opened | None, real: Path) -> None:
        """Record the files that were opened just now."""
        found = identity(self._given)
        if found != (self._main or (opened.key if opened is not None else found)):
            raise FileBusy("another file was put in its place a moment ago")
        try:
            self._beside = [
                (path, identity(path))
                for path in (Path(f"{real}{end}") for end in SIDE_FILE_SUFFIXES)
            ]
        except FileNotFoundError:
            raise FileBusy("its -wal and -shm files were removed a moment ago") from None
        self._opened, self._main = opened, found
        if opened is not None:
            opened.stranded[id(self)] = self.stranded

    def rest(self) -> None:
        """Note that the database is closed for a while."""
        if self._opened is not None:
            self._opened.stranded.pop(id(self), None)
        self._beside = []

    def forget(self) -> None:
        """Note that the database is closed for good in this process."""
        self.rest()
        self._main, self._opened = None, None

    def displaced(self) -> str:
        """Return why a write would be lost: the file was moved or replaced.

        Empty text: it is in place.
        """
        try:
            if self._main is None or identity(self._given) == self._main:
                return ""
        except OSError:
            return (
                f"{os.fspath(self._given)!r} was moved or deleted while it was in use: put it "
                "back, or restart"
            )
        return (
            f"another file was put in the place of {os.fspath(self._given)!r} while it was in "
            "use: restart"
        )

    def lost(self) -> bool:
        """Return whether the file has no name left, so that anything written to it is lost."""
        return self._opened is not None and not self._opened.links()

    def stranded(self) -> bool:
        """Return whether SQLite's files next to the journal were removed or replaced.

        The next process to open the journal would then begin another log.
        """
        try:
            for path, known in self._beside:
                if identity(path) != known:
                    return True
        except OSError:
            return True
        return False
