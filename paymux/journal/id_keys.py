"""The fingerprint of each account's `id_key`: with another key, one order would be two payments."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from .database import Database

    Do: TypeAlias = Callable[[Callable[[Database], Any]], Awaitable[Any]]

_FIND = "SELECT value FROM notes WHERE name = ?"
_KEEP = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO NOTHING"


class IdKeys(Protocol):
    """The fingerprints, in the journal for ever; what cannot be read or stored is an OSError."""

    async def kept(self, account: str, *, live: bool) -> str:
        """Return the fingerprint of an account; "": it has none yet."""
        ...

    async def keep(self, account: str, fingerprint: str, *, live: bool) -> str:
        """Keep a fingerprint if the account has none, and return the one that it has."""
        ...


class StoredIdKeys:
    """The fingerprints as notes, which every release since 0.2 has, on both engines.

    `do` and `read` run an operation in the journal's thread: until it is durable, and at once.
    """

    def __init__(self, do: "Do", read: "Do") -> None:
        self._do = do
        self._read = read

    async def kept(self, account: str, *, live: bool) -> str:
        """Return the fingerprint of an account; "": it has none yet."""
        found: str = await self._read(partial(_kept, _name(account, live=live)))
        return found

    async def keep(self, account: str, fingerprint: str, *, live: bool) -> str:
        """Keep a fingerprint if the account has none, and return the one that it has."""
        found = await self.kept(account, live=live)
        if not found:
            found = await self._do(partial(_keep, _name(account, live=live), fingerprint))
        return found


def _name(account: str, *, live: bool) -> str:
    """Return the name of the note; a sandbox, where no money is, may have another key."""
    return f"id_key {'live' if live else 'sandbox'} {account}"


def _kept(name: str, db: "Database") -> str:
    found = db.execute(_FIND, (name,)).fetchone()
    return "" if found is None else str(found[0])


def _keep(name: str, fingerprint: str, db: "Database") -> str:
    db.execute(_KEEP, (name, fingerprint))
    return _kept(name, db)
