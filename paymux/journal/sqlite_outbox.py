"""The outbox of a journal in a file: each of its calls is one operation of the journal's thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping
from functools import partial

from ..models import Kind, Payment, Status
from .base import Key, named
from .notifiers import Notifiers
from .outbox import FEW, Beat, Member, Open, Standing
from .reminders import Reminders
from .untold import Untold
from .watchers import Watchers
from .writer import Writer


class SqliteOutbox:
    """What is to be told and to be watched, of one worker."""

    def __init__(
        self, writer: Callable[[], Writer], notifiers: Notifiers, untold: Untold, watchers: Watchers
    ) -> None:
        self._writer = writer  # the one of now: a process that was forked has one of its own
        self._notifiers = notifiers
        self._untold = untold
        self._watchers = watchers
        self.reminders = Reminders(notifiers)
        self._now = 0.0  # that of the last beat: what is claimed was not watched then

    async def enter(self, member: Member, now: float) -> Beat:
        """Begin to live, and to own what is claimed from here on."""
        loop = asyncio.get_running_loop()

        def enter(db: sqlite3.Connection) -> Beat:
            self._untold.enter(member.kinds, db)
            self._watchers.enter(member.accounts, db)
            return self._beat(member, now, {}, dict.fromkeys(member.accounts, FEW), db)

        beat = await self._writer().do(enter)
        # A loop that has ended tells nothing more; one that is slow will go on.
        self._writer().pulse = lambda: None if loop.is_running() else partial(self._notifiers.leave, now)
        return beat

    async def beat(self, member: Member, now: float, held: Mapping[str, int], wanted: Mapping[str, int]) -> Beat:
        """Live on."""
        return await self._writer().do(partial(self._beat, member, now, held, wanted))

    async def leave(self, now: float) -> None:
        """End, and let go of all that was claimed."""
        self._writer().pulse = None

        def leave(db: sqlite3.Connection) -> None:
            self._untold.leave(db)
            self._notifiers.leave(now, db)  # whose orders are anybody's then

        await self._writer().do(leave)

    async def untold(self, kinds: tuple[Kind, ...], count: int, resting: Mapping[Key, Status]) -> list[Payment]:
        """Claim so many payments to tell."""
        return await self._writer().do(partial(self._untold.claim_some, kinds, count, resting))

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim one payment to tell, for one that did not enter."""
        return await self._writer().do(partial(self._untold.claim, named(payment)))

    async def told(self, payment: Payment) -> None:
        """Say that this state of a claimed payment was told, and let go of it."""
        await self._writer().keep(partial(self._untold.told, named(payment), payment.status))

    async def untell(self, payment: Payment) -> None:
        """Let go of a claimed payment that could not be told."""
        await self._writer().keep(partial(self._untold.untell, named(payment)))

    async def standing(self, payment: Payment) -> Standing | None:
        """Tell how far a payment's telling is."""
        return await self._writer().do(partial(self._untold.standing, named(payment)))

    async def open(self, accounts: Collection[str], count: int) -> list[Open]:
        """Claim so many open orders that no living notifier watches."""
        return await self._writer().do(partial(self._watchers.claim, accounts, count, self._now))

    async def take(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent."""
        return await self._writer().do(partial(self._watchers.take, payments))

    async def watched(self, accounts: Collection[str]) -> set[Key]:
        """Give what this notifier still has."""
        return await self._writer().do(partial(self._watchers.mine, accounts))

    async def let_go(self, payments: list[Payment]) -> None:
        """Leave claimed orders to other notifiers."""
        await self._writer().keep(partial(self._watchers.let_go, payments))

    async def leave_to_person(self, payment: Payment) -> bool:
        """Note that an order is left to a person, once."""
        return await self._writer().do(partial(self._watchers.leave_to_person, payment))

    def _beat(
        self,
        member: Member,
        now: float,
        held: Mapping[str, int],
        wanted: Mapping[str, int],
        db: sqlite3.Connection,
    ) -> Beat:
        late, places = self._notifiers.beat(member, now, held, wanted, db)
        self._now = now
        self.reminders.look(db)
        return Beat(late, places, self._watchers.too_many(member.accounts, now, db))
