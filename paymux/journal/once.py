"""Doing something exactly once for a payment, however many workers hear of it."""

import uuid
from typing import Self

from ..errors import Unavailable, UsageError
from ..models import Payment, log
from ..values import arguments
from ..values.payment_arguments import checked_payment
from .interface import Journal
from .suspension import SUSPENDED, Cancellation


class Turn:
    """`async with pool.once(payment, name) as turn`: `turn` is true for one caller in any process.

    `turn.fence` is a fencing token, 1 or more: it is higher for each later caller that gets the
    turn, so that what a late caller writes can be told from what its successor wrote. It is 0 where
    the turn is another caller's, or done. An error, or death, gives the turn back.

    With a journal in PostgreSQL, a worker that cannot show for 20 s that it lives is suspended: the
    body is cancelled, and Unavailable is raised. 30 s after its last sign of life, if the server
    sees it no more, another caller may have the turn. So a body must end when it is cancelled: it
    blocks the event loop for no seconds, and leaves behind no thread, process or `shield`.

    What no library can rule out: a worker that dies, or is cut off, between an effect and the
    record of it is repeated by another, later, never at once; and a machine that was unreachable
    for a minute and comes back may still send what its event loop had ready. `await
    turn.done(connection)` rules both out for effects in the database of the journal.
    """

    def __init__(self, journal: Journal, payment: Payment, name: str) -> None:
        payment, name = checked_payment(payment), arguments.named("name", name)
        if payment.reference is None:
            raise UsageError.field("payment.reference", None, "a payment with your reference")
        self._journal = journal
        self._payment = payment
        self._name = name
        self._caller = uuid.uuid4().hex
        self._cancellation: Cancellation | None = None
        self._in_transaction = False  # the caller's own transaction ends the turn
        self.fence = 0

    def __bool__(self) -> bool:
        return self.fence > 0

    async def __aenter__(self) -> Self:
        suspension = self._journal.suspension
        try:
            if suspension is not None:
                self._cancellation = Cancellation(suspension)
            self.fence = await self._journal.take_turn(self._payment, self._name, self._caller)
            if self.fence and self._cancellation is not None:
                self._cancellation.begin()
        except OSError as error:
            if self.fence:
                await self._give_back()
            raise self._unavailable(str(error)) from None
        except BaseException:
            # Cancelled while it was taken: it is given back, or no other caller would ever have it.
            await self._give_back()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if not self.fence:
            return
        if self._cancellation is not None and self._cancellation.end(kind):
            await self._give_back()
            said = f"{self._name} was cancelled, and may be another's: {SUSPENDED}"
            raise self._unavailable(said) from error
        if kind is not None or self._in_transaction:
            await self._give_back()
        elif not await self._ended():
            raise self._unavailable(
                f"{self._name} is done, but too late: another worker has had the turn since, and "
                "may have done it, too"
            )

    async def done(self, connection: object) -> None:
        """Complete the turn in your own transaction: both happen, or neither.

        `connection` is in a transaction of the journal's database: an `asyncpg.Connection`, a
        `psycopg.AsyncConnection`, or SQLAlchemy's `AsyncConnection` or `AsyncSession`. Write your
        effect in the same transaction, and commit it inside the `async with`. If it is rolled back,
        the turn is given back.

        UsageError, and nothing is written: the connection is to another server, database or schema
        than the journal's, or is in no transaction, or in one that may not write. Unavailable: too
        late, another worker has the turn: let your transaction be rolled back. An error of the
        database is that of your library.
        """
        if not self.fence:
            raise UsageError("done: this turn is another caller's, or done already")
        try:
            ours = await self._journal.end_turn_in(
                connection, self._payment, self._name, self._caller
            )
        except OSError as error:
            raise self._unavailable(str(error)) from None
        if not ours:
            raise self._unavailable(f"{self._name}: too late: another worker has the turn")
        self._in_transaction = True

    async def _ended(self) -> bool:
        try:
            return await self._journal.end_turn(self._payment, self._name, self._caller, done=True)
        except OSError as error:
            said = f"{self._name} is done, which is not stored yet: {error}"
            raise self._unavailable(said) from None

    async def _give_back(self) -> None:
        """Give the turn back, unless it is done; what is not stored now is stored later."""
        try:
            await self._journal.end_turn(self._payment, self._name, self._caller, done=False)
        except OSError as error:
            # No error of its own: the body's error, or the caller's cancellation, is on its way.
            # And while the caller's transaction is open, no worker can tell yet.
            if not self._in_transaction:
                log.warning(
                    "%s: %s is given back later: %s", self._payment.account, self._name, error
                )

    def _unavailable(self, said: str) -> Unavailable:
        return Unavailable(f"{self._payment.account}: {said}")
