"""The shared tokens in the journal: a row for each account and the credential of its login."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ...primitives import clock
from ..database import Database, Worker
from ..shared_tokens import SharedToken
from .writer import Writer

Key: TypeAlias = tuple[str, str]  # the account, and the begin of its login's digest

_OF = "WHERE account = ? AND login = ?"
_BEGIN = """
    INSERT INTO tokens (account, login, generation, sealed, life, expires, given, asker, asked)
    VALUES (?, ?, 0, '', 0, 0, 0, '', 0) ON CONFLICT (account, login) DO NOTHING"""
_GET = f"SELECT generation, sealed, life, expires, given, asker, asked FROM tokens {_OF}"
_DROP = f"UPDATE tokens SET sealed = '' {_OF} AND generation = ?"
_PERMIT = f"UPDATE tokens SET given = ?, asker = ?, asked = ? {_OF}"
_KEEP = (
    f"UPDATE tokens SET generation = ?, sealed = ?, life = ?, expires = ? {_OF} AND generation < ?"
)
_END = f"UPDATE tokens SET asker = '' {_OF} AND given = ?"


class StoredTokens:
    """The tokens in a journal, shared by all its workers.

    `now` reads the clock that the workers share, in Unix seconds: no two clocks are compared.
    """

    def __init__(
        self, writer: Writer[Any], worker: Worker, now: Callable[[Database], float]
    ) -> None:
        self._writer = writer
        self._worker = worker
        self._now = now

    async def ask(
        self, account: str, login: str, known: int, *, refused: bool, seconds: float
    ) -> SharedToken:
        """Return a token that is newer than generation `known`, or the right to log in, or neither.

        Those who wait for another worker's login only read.
        """
        key = (account, login)
        if not refused:
            found = await self._writer.read(partial(self._look, key, known, seconds), alone=True)
            if found is not None:
                return found
        return await self._writer.do(partial(self._ask, key, known, refused, seconds))

    async def offer(
        self, account: str, login: str, generation: int, sealed: str, life: float, left: float
    ) -> bool:
        """Keep the token of a permitted login, unless a newer one is kept."""
        ends = clock.monotonic() + left  # it may be stored much later
        return await self._writer.keep(
            partial(self._offer, (account, login), generation, sealed, life, ends)
        )

    def offer_late(
        self, account: str, login: str, seal: Callable[[int], str | None], life: float, left: float
    ) -> None:
        """Keep the token of a login that was not permitted, without waiting."""
        ends = clock.monotonic() + left
        self._writer.later(partial(self._offer_late, (account, login), seal, life, ends))

    def withdraw(self, account: str, login: str, generation: int) -> None:
        """End the right of a login that gave no token, without waiting."""
        self._writer.later(partial(_end_right, (account, login), generation))

    # Runs in the thread.

    def _look(self, key: Key, known: int, seconds: float, db: Database) -> SharedToken | None:
        """Return a newer token, or that another worker logs in; None: none does."""
        row, now = _row(key, db), self._now(db)
        if row.generation > known and row.sealed and row.expires > now:
            left = min(row.expires - now, row.life)
            return SharedToken(row.generation, row.sealed, row.life, left)
        # Compared both ways: a clock that was set back must not keep the right for ever.
        taken = abs(now - row.asked) < seconds and self._worker.lives(row.asker)
        return SharedToken() if taken else None

    def _ask(
        self, key: Key, known: int, refused: bool, seconds: float, db: Database
    ) -> SharedToken:
        db.execute(_BEGIN, key)
        if refused:
            db.execute(_DROP, (*key, known))
        found = self._look(key, known, seconds, db)
        if found is not None:
            return found
        row = _row(key, db)
        permitted = max(row.given, row.generation, known) + 1
        db.execute(_PERMIT, (permitted, self._worker.name, self._now(db), *key))
        return SharedToken(permitted=permitted)

    def _offer(
        self, key: Key, generation: int, sealed: str, life: float, ends: float, db: Database
    ) -> bool:
        expires = self._now(db) + ends - clock.monotonic()
        kept = db.execute(_KEEP, (generation, sealed, life, expires, *key, generation))
        _end_right(key, generation, db)
        return kept.rowcount > 0

    def _offer_late(
        self,
        key: Key,
        seal: Callable[[int], str | None],
        life: float,
        ends: float,
        db: Database,
    ) -> None:
        db.execute(_BEGIN, key)
        row, age = _row(key, db), life - (ends - clock.monotonic())
        began = self._now(db) - age
        if row.asked >= began or self._worker.lives(row.asker):
            return  # another worker has logged in since then, or does now: its token is newer
        generation = max(row.given, row.generation) + 1
        sealed = seal(generation)
        if sealed is not None:
            db.execute(_PERMIT, (generation, "", began, *key))
            self._offer(key, generation, sealed, life, ends, db)


class _Row(NamedTuple):
    generation: int = 0
    sealed: str = ""
    life: float = 0.0
    expires: float = 0.0
    given: int = 0
    asker: str = ""
    asked: float = 0.0


def _row(key: Key, db: Database) -> _Row:
    found = db.execute(_GET, key).fetchone()
    return _Row() if found is None else _Row(*found)


def _end_right(key: Key, generation: int, db: Database) -> None:
    db.execute(_END, (*key, generation))
