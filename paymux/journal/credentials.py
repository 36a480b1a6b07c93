"""Which credentials are known to be good or refused, and how many requests of others are out."""

import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from .database import Database
    from .interface import Journal

    Do: TypeAlias = Callable[[Callable[[Database], Any]], Awaitable[Any]]

OUT_AT_ONCE = 3  # requests of a credential that are out, until it is proved
OUT_SECONDS = 60.0  # seconds for which a request without an answer counts as out
_ASKED = "asked"  # of a slot: a question has taken the place of its order's request


class Standing(StrEnum):
    """What is known of a credential."""

    UNKNOWN = "unknown"
    PROVED = "proved"
    REFUSED = "refused"  # for ever: another credential has another digest


class Credentials(Protocol):
    """The credentials of an account, each by its digest; what cannot be stored is an OSError."""

    async def standing(self, account: str, digest: str) -> Standing:
        """Return what is known of a credential."""
        ...

    async def take(self, account: str, digest: str, slot: str, *, again: bool) -> bool:
        """Count a request as out from now on; False: as many as possible are out, or it is refused.

        A request stays out until `free`, or for OUT_SECONDS, also if its process dies. `again`: a
        question about an order takes the place that the order's request has, once.
        """
        ...

    async def free(self, account: str, digest: str, slot: str) -> None:
        """Count a request as out no more."""
        ...

    async def settle(self, account: str, digest: str, standing: Standing) -> None:
        """Store what an answer says of a credential; nothing makes a refused one good again."""
        ...

    async def prove(self, account: str, slot: str) -> None:
        """Store that the credential of a request is good, if that still counts as out."""
        ...


class LocalCredentials:
    """Credentials in memory, for a pool without a journal."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Standing] = {}
        self._out: dict[tuple[str, str], dict[str, tuple[float, bool]]] = {}

    async def standing(self, account: str, digest: str) -> Standing:
        """Return what is known of a credential."""
        return self._known.get((account, digest), Standing.UNKNOWN)

    async def take(self, account: str, digest: str, slot: str, *, again: bool) -> bool:
        """Count a request as out from now on."""
        out, now = self._out.setdefault((account, digest), {}), time.time()
        for old in [one for one, (at, _) in out.items() if abs(now - at) >= OUT_SECONDS]:
            del out[old]
        refused = self._known.get((account, digest)) is Standing.REFUSED
        at, asked = out.get(slot, (now, False))
        held = slot in out
        if refused or (held and (asked or not again)) or (not held and len(out) >= OUT_AT_ONCE):
            return False
        out[slot] = at, again
        return True

    async def free(self, account: str, digest: str, slot: str) -> None:
        """Count a request as out no more."""
        self._out.get((account, digest), {}).pop(slot, None)

    async def settle(self, account: str, digest: str, standing: Standing) -> None:
        """Store what an answer says of a credential."""
        if self._known.get((account, digest)) is not Standing.REFUSED:
            self._known[(account, digest)] = standing

    async def prove(self, account: str, slot: str) -> None:
        """Store that the credential of a request is good."""
        for (owner, digest), out in self._out.items():
            if owner == account and slot in out:
                await self.settle(account, digest, Standing.PROVED)


class StoredCredentials:
    """Credentials in the journal's file, shared by its workers. Slots are rows like the standing.

    `do` and `keep` run an operation in the journal's thread: at once, and until it is durable.
    """

    def __init__(
        self,
        do: "Do",
        keep: "Do",
    ) -> None:
        self._do = do
        self._keep = keep

    async def standing(self, account: str, digest: str) -> Standing:
        """Return what is known of a credential."""
        found: Standing = await self._do(partial(_standing, account, digest))
        return found

    async def take(self, account: str, digest: str, slot: str, *, again: bool) -> bool:
        """Count a request as out from now on."""
        taken: bool = await self._do(partial(_take, account, digest, slot, again))
        return taken

    async def free(self, account: str, digest: str, slot: str) -> None:
        """Count a request as out no more."""
        await self._do(partial(_free, account, digest, slot))

    async def settle(self, account: str, digest: str, standing: Standing) -> None:
        """Store what an answer says of a credential."""
        await self._keep(partial(_settle, account, digest, standing))

    async def prove(self, account: str, slot: str) -> None:
        """Store that the credential of a request is good."""
        await self._keep(partial(_prove, account, slot))


def credentials_of(journal: "Journal | None") -> Credentials:
    """Return where a pool keeps how good each credential is; without a journal, in memory."""
    return LocalCredentials() if journal is None else journal.credentials


def _standing(account: str, digest: str, db: "Database") -> Standing:
    found = db.execute(
        "SELECT standing FROM credentials WHERE account = ? AND digest = ? AND slot = ''",
        (account, digest),
    ).fetchone()
    return Standing.UNKNOWN if found is None else Standing(found[0])


def _take(account: str, digest: str, slot: str, again: bool, db: "Database") -> bool:
    if _standing(account, digest, db) is Standing.REFUSED:
        return False
    now = time.time()
    db.execute(
        "DELETE FROM credentials WHERE account = ? AND digest = ? AND slot <> ''"
        " AND abs(at - ?) >= ?",
        (account, digest, now, OUT_SECONDS),
    )
    asked = db.execute(
        "UPDATE credentials SET standing = ? WHERE account = ? AND digest = ? AND slot = ?"
        " AND standing = ? AND ? = 1",
        (_ASKED, account, digest, slot, Standing.UNKNOWN, again),
    )
    if asked.rowcount:
        return True
    (out,) = db.execute(
        "SELECT count(*) FROM credentials WHERE account = ? AND digest = ? AND slot <> ''",
        (account, digest),
    ).fetchone()
    if out >= OUT_AT_ONCE:
        return False
    took = db.execute(
        "INSERT INTO credentials VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (account, digest, slot, _ASKED if again else Standing.UNKNOWN, now),
    )
    return bool(took.rowcount)


def _free(account: str, digest: str, slot: str, db: "Database") -> None:
    db.execute(
        "DELETE FROM credentials WHERE account = ? AND digest = ? AND slot = ?",
        (account, digest, slot),
    )


def _settle(account: str, digest: str, standing: Standing, db: "Database") -> None:
    db.execute(
        "INSERT INTO credentials VALUES (?, ?, '', ?, ?)"
        " ON CONFLICT (account, digest, slot) DO UPDATE"
        " SET standing = excluded.standing, at = excluded.at WHERE credentials.standing <> ?",
        (account, digest, standing, time.time(), Standing.REFUSED),
    )


def _prove(account: str, slot: str, db: "Database") -> None:
    found = db.execute(
        "SELECT digest FROM credentials WHERE account = ? AND slot = ?", (account, slot)
    )
    for (digest,) in found.fetchall():
        _settle(account, digest, Standing.PROVED, db)
