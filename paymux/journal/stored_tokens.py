"""The shared tokens in the journal: a row for each account and the credential of its login."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from ..primitives import clock
from .database import Database, Worker
from .shared_tokens import SharedToken
from .writer import Writer

Key: TypeAlias = tuple[str, str]  # the account, and the begin of its login's digest

_OF = "WHERE account = ? AND login = ?"
_BEGIN = """
    INSERT INTO tokens (account, login, generation, sealed, life, expires, given, asker, asked)
    VALUES (?, ?, 0, '', 0, 0, 0, '', 0) ON CONFLICT (account, login) DO NOTHING"""
_GET = f"SELECT generation, sealed, life, expires, given, asker, asked FROM tokens {_OF}"
_DROP = f"UPDATE tokens SET sealed = '' {_OF}"
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

        A look that finds a token, or another worker's login, changes nothing.
        """
        return await self._writer.do(partial(self._ask, (account, login), known, refused, seconds))

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
        """Keep the token of a login that nobody permitted, without waiting."""
        ends = clock.monotonic() + left
        self._writer.later(partial(self._offer_late, (account, login), seal, life, ends))

    def withdraw(self, account: str, login: str, generation: int) -> None:
        """End the right of a login that gave no token, without waiting."""
        self._writer.later(partial(_end_right, (account, login), generation))

    # Runs in the thread.

    def _ask(
        self, key: Key, known: int, refused: bool, seconds: float, db: Database
    ) -> SharedToken:
        db.execute(_BEGIN, key)
        generation, sealed, life, expires, given, asker, asked = db.execute(_GET, key).fetchone()
        now = self._now(db)
        if generation > known and sealed and expires > now:
            return SharedToken(generation, sealed, life, expires - now)
        if refused and generation == known and sealed:
            db.execute(_DROP, key)
        # Compared both ways: a clock that was set back must not keep the right for ever.
        if self._worker.lives(asker) and abs(now - asked) < seconds:
            return SharedToken()
        permitted: int = max(given, generation, known) + 1
        db.execute(_PERMIT, (permitted, self._worker.name, now, *key))
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
        newest, *_, given, _, _ = db.execute(_GET, key).fetchone()
        generation: int = max(newest, given) + 1
        sealed = seal(generation)
        if sealed is not None:
            db.execute(_PERMIT, (generation, "", 0.0, *key))
            self._offer(key, generation, sealed, life, ends, db)


def _end_right(key: Key, generation: int, db: Database) -> None:
    db.execute(_END, (*key, generation))
