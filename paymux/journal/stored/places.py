"""The places of stated limits in the journal: who holds how many, and who wants more."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ...limits import Lent, Need, PlacesListener, abandoned, fair_shares
from ...primitives import clock
from ..database import Database, Worker
from .unconfirmed import Do

_READ = """SELECT holder, worker, held, wanted, number, rest, ended FROM places
    WHERE account = ? AND kind = ?"""
_OF = "account = ? AND kind = ? AND holder = ?"
_KEEP = """INSERT INTO places (account, kind, holder, worker, held, wanted, number, rest, ended)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (account, kind, holder) DO UPDATE SET
    worker = excluded.worker, held = excluded.held, wanted = excluded.wanted,
    number = excluded.number, rest = excluded.rest, ended = NULL"""
_ENDED = f"UPDATE places SET ended = ? WHERE {_OF}"
# Of no worker any more: that of an ended holder may live on.
_LEFT = f"""UPDATE places SET worker = '', held = ?, wanted = 0, number = ?, rest = ?, ended = ?
    WHERE {_OF}"""
_DROP = f"DELETE FROM places WHERE {_OF}"


class _Holder(NamedTuple):
    """A row: one holder of places of a limit."""

    holder: str
    worker: str
    held: int
    wanted: int
    number: int  # of its last request that changed anything
    rest: float  # seconds for which its places count as used once it has ended
    ended: float | None  # when that was seen


def _machines_clock(_: Database) -> float:
    return clock.monotonic()


class StoredPlaces:
    """The places of stated limits, lent to the workers of a journal.

    `grace`: seconds for which a worker may still act once it is taken for dead. `clock` reads the
    database's own clock, in seconds; None: the workers share a machine, and its monotonic clock.
    """

    def __init__(
        self,
        do: Do[Any],
        worker: Worker,
        grace: float = 0.0,
        clock: Callable[[Database], float] | None = None,
    ) -> None:
        self._do = do
        self._worker = worker
        self._grace = grace
        self._clock = clock or _machines_clock

    async def ask(self, need: Need) -> Lent | None:
        """Store what a holder has and needs, and lend it what is free of its share."""
        lent: Lent | None = await self._do(partial(self._ask, need))
        return lent

    async def end(self, need: Need) -> None:
        """End a holder, whose last `held` places count as used for `rest` seconds more."""
        await self._do(partial(self._end, need))

    def listen(self, listener: PlacesListener) -> None:
        """Tell nothing: a worker that locks a byte of a file lives while it runs."""

    # Runs in a transaction of the journal's.

    def _ask(self, need: Need, db: Database) -> Lent | None:
        # Read now, as a request may have waited: the moment of its sending would be too early.
        now = self._clock(db)
        mine, living, resting = self._read(need, now, db)
        if mine is not None and mine.number >= need.number:
            return None
        # A holder that was taken for dead, wrongly, may have lost its places since.
        held = min(need.held, mine.held) if mine is not None else 0
        usable = need.limit - sum(one.held for one in resting)
        wanted = {one.holder: min(one.wanted, need.limit) for one in living}
        shares = fair_shares(max(usable, 0), {**wanted, need.holder: need.wanted})
        lack = any(one.held < shares[one.holder] for one in living)
        # No worker's share: some of it for requests to come, and some for the next worker.
        spare = (usable - sum(shares.values())) // max(len(living), 1)
        goal = shares[need.holder] + (0 if lack else max(min(need.spare, spare), 0))
        free = max(usable - sum(one.held for one in living) - held, 0)
        lent = held + min(free, max(goal - held, 0))
        said = (self._worker.name, lent, need.wanted)
        if mine is None or said != (mine.worker, mine.held, mine.wanted) or mine.ended is not None:
            key = (need.account, need.kind, need.holder)
            db.execute(_KEEP, (*key, *said, need.number, need.rest + self._grace))
        could = fair_shares(max(usable, 0), {**wanted, need.holder: need.limit})[need.holder]
        waits = [one.ended + one.rest - now for one in resting if one.ended is not None]
        return Lent(lent, goal, could, others_lack=lack, free_in=min(waits, default=0.0))

    def _read(
        self, need: Need, now: float, db: Database
    ) -> tuple[_Holder | None, list[_Holder], list[_Holder]]:
        """Return this holder, other living ones, and ended ones whose places still count."""
        mine, living, resting, lives = None, list[_Holder](), list[_Holder](), dict[str, bool]()
        for row in db.execute(_READ, (need.account, need.kind)).fetchall():
            one, key = _Holder(*row), (need.account, need.kind, row[0])
            if one.holder == need.holder:
                mine = one
                continue
            if one.worker and one.holder in abandoned:  # its worker may live on
                db.execute(_LEFT, (one.held, one.number, one.rest, now, *key))
                one = one._replace(worker="", wanted=0, ended=now)
            if one.worker not in lives:
                lives[one.worker] = self._worker.lives(one.worker)
            if lives[one.worker]:  # also if it was taken for dead a moment ago
                if one.ended is not None:
                    db.execute(_ENDED, (None, *key))
                living.append(one)
            elif one.held == 0 or (one.ended is not None and one.ended + one.rest <= now):
                db.execute(_DROP, key)
            else:
                # A moment still to come is that of a machine which has started again since.
                if one.ended is None or one.ended > now:
                    one = one._replace(ended=now)
                    db.execute(_ENDED, (now, *key))
                resting.append(one)
        return mine, living, resting

    def _end(self, need: Need, db: Database) -> None:
        key = (need.account, need.kind, need.holder)
        if need.held == 0:
            db.execute(_DROP, key)
        else:
            db.execute(_LEFT, (need.held, need.number, need.rest, self._clock(db), *key))
