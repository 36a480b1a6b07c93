"""The questions in the journal: any worker may hear the answer."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

import msgspec

from ...models import Payment
from ...primitives.clock import wall_time
from ..database import Database, Worker
from ..questions import KEPT_SECONDS, Asked, Heard, changes
from .writer import Writer

T = TypeVar("T")

_COLUMNS = Asked.__struct_fields__
_NAMES, _PLACES = ", ".join(_COLUMNS), ", ".join("?" * len(_COLUMNS))
_GET = f"SELECT {_NAMES} FROM questions WHERE nonce = ?"
_NEW = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "nonce")
_PUT = f"""INSERT INTO questions ({_NAMES}) VALUES ({_PLACES})
    ON CONFLICT (nonce) DO UPDATE SET {_NEW}"""
_LEFT = "SELECT nonce FROM questions WHERE answer IS NOT NULL AND over = 0 ORDER BY expires"


class StoredQuestions:
    """The questions in a journal, shared by all its workers."""

    def __init__(self, writer: Writer[Any], worker: Worker) -> None:
        self._writer = writer
        self._worker = worker

    async def begin(self, asked: Asked) -> None:
        """Make a question durable before it is sent; old ones are deleted."""
        await self._writer.do(partial(self._begin, asked))

    async def look(self, nonce: str) -> Asked | None:
        """Return a question as it is now."""
        return await self._writer.read(partial(_get, nonce), alone=True)

    async def acknowledge(self, nonce: str, named: str) -> str | None:
        """Note the id of the acknowledgement; return the answer, if it came before."""
        change = partial(_changed, nonce, lambda asked: asked.acknowledge(named))
        return await self._writer.keep(change)

    async def give_up(self, nonce: str) -> str | None:
        """Stop waiting, unless there is an answer: return that."""
        return await self._writer.keep(partial(_changed, nonce, Asked.give_up))

    def forget(self, nonce: str) -> None:
        """Delete a question that was not acknowledged, without waiting for it."""
        self._writer.later(partial(_delete, nonce))

    def release(self, nonce: str) -> None:
        """Leave a question of this worker, and its answer, to any, without waiting for it."""
        self._writer.later(partial(_changed, nonce, self._left))

    async def hear(self, nonce: str, named: str, text: str, *, waits: bool) -> Heard:
        """Take a message; one that changes nothing costs no write."""
        asked = await self.look(nonce)
        heard = Heard.UNKNOWN if asked is None else asked.hear(named, text, "", lambda _: True)
        if not changes(heard):
            return heard
        hear = partial(self._heard, named, text, waits)
        return await self._writer.do(partial(_changed, nonce, hear)) or Heard.UNKNOWN

    async def time_out(self, nonce: str) -> bool:
        """Note that the provider sent a time-out."""
        asked = await self.look(nonce)
        if asked is None or asked.timed_out or asked.answer is not None:
            return asked is not None
        return bool(await self._writer.do(partial(_changed, nonce, Asked.time_out)))

    async def claim(self, accounts: Collection[str], count: int) -> list[Asked]:
        """Claim up to `count` answers that no verb awaits and no worker applies."""
        return await self._writer.do(
            partial(self._claim, accounts, count),
            undo=lambda found: (
                lambda db: [_changed(asked.nonce, self._left, db) for asked in found]
            ),
        )

    async def end(self, nonce: str, *, done: bool) -> None:
        """Let go of a claimed answer."""
        await self._writer.keep(partial(_changed, nonce, lambda asked: asked.end(done=done)))

    # Runs in the thread.

    def _left(self, asked: Asked) -> None:
        if asked.worker == self._worker.name:
            asked.end(done=False)

    def _begin(self, asked: Asked, db: Database) -> None:
        old = wall_time().timestamp() - KEPT_SECONDS
        db.execute("DELETE FROM questions WHERE expires < ?", (old,))
        _put(msgspec.structs.replace(asked, worker=self._worker.name), db)

    def _heard(self, named: str, text: str, waits: bool, asked: Asked) -> Heard:
        me = self._worker.name

        def lives(worker: str | None) -> bool:
            return waits if worker == me else self._worker.lives(worker)

        return asked.hear(named, text, me, lives)

    def _claim(self, accounts: Collection[str], count: int, db: Database) -> list[Asked]:
        found: list[Asked] = []
        for (nonce,) in db.execute(_LEFT).fetchall():
            asked = _get(nonce, db)
            if (
                asked is not None
                and asked.account in accounts
                and len(found) < count
                and not self._worker.lives(asked.worker)
            ):
                asked.worker = self._worker.name
                _put(asked, db)
                found.append(asked)
        return found


def _get(nonce: str, db: Database) -> Asked | None:
    row = db.execute(_GET, (nonce,)).fetchone()
    if row is None:
        return None
    said: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    early, payment = msgspec.json.decode(said["early"]), said["payment"]
    decoded = {
        "early": early,
        "payment": None if payment is None else msgspec.json.decode(payment, type=Payment),
        "timed_out": bool(said["timed_out"]),
        "over": bool(said["over"]),
    }
    return Asked(**{**said, **decoded})


def _put(asked: Asked, db: Database) -> None:
    said = {name: getattr(asked, name) for name in _COLUMNS}
    said["early"] = msgspec.json.encode(asked.early).decode()
    if asked.payment is not None:
        said["payment"] = msgspec.json.encode(asked.payment).decode()
    db.execute(_PUT, tuple(said.values()))


def _changed(nonce: str, change: Callable[[Asked], T], db: Database) -> T | None:
    """Change a question; None: it is not kept."""
    asked = _get(nonce, db)
    if asked is None:
        return None
    result = change(asked)
    _put(asked, db)
    return result


def _delete(nonce: str, db: Database) -> None:
    db.execute("DELETE FROM questions WHERE nonce = ?", (nonce,))
