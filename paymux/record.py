"""What a pool does with its journal: what became of each payment, whose turn it is, and a person's word."""

from collections.abc import AsyncIterator
from datetime import datetime

from . import given
from .engine import Engine
from .journal import Turn
from .models import Event, Payment, Status
from .recover import Recovered, recover
from .resolve import resolve
from .unconfirmed import dealt_with, unconfirmed


class Record:
    """The verbs of a pool over its journal; without one, all but `unconfirmed` and `dealt_with` are UsageError."""

    _engine: Engine

    def recover(self) -> AsyncIterator[Recovered]:
        """Find out what became of every payment that a crash or an unknown outcome left open; sends nothing again.

        What was resolved, and what to do about the rest, is yielded one by one; run it at every start.
        """
        return recover(self._engine)

    def payments(
        self, *, account: str | None = None, status: Status | None = None, since: datetime | None = None
    ) -> AsyncIterator[Payment]:
        """List the journal's payments, oldest first."""
        return self._engine.payments(
            None if account is None else given.text("account", account),
            None if status is None else given.status("status", status),
            None if since is None else given.moment("since", since),
        )

    def once(self, payment: Payment, name: str) -> Turn:
        """Make `async with pool.once(payment, "fulfilled") as first` true for one caller in any process."""
        payment = given.payment(payment)  # before the journal is missed: a coroutine would be left unclosed
        return Turn(self._engine.records.book(), payment, name)

    def unconfirmed(self) -> AsyncIterator[Event]:
        """List what providers told and no look-up confirms (M-Pesa's C2B payments), until it was dealt with.

        What is, or may still prove to be, the payment of an order of ours is not listed. Without a journal it is
        what this process has heard.
        """
        return unconfirmed(self._engine)

    async def dealt_with(self, event: Event, *, because: str) -> None:
        """End an entry of `unconfirmed` for good, and say why; the same message again does not open it."""
        await dealt_with(self._engine, event, because)

    async def resolve(
        self,
        payment: Payment,
        status: Status,
        *,
        because: str,
        receipt: str | None = None,
        by: str | None = None,
        deadline: float | None = None,
    ) -> Payment:
        """End a payment that no API ends, as a person says: SUCCEEDED, FAILED, CANCELLED or EXPIRED, and why.

        For what is unknown, what a dead worker was sending, or what is pending beyond its provider's time-out. The
        provider is asked once more, where it can be: if it tells another end, that is a Mismatch whose `payment`
        is what it told; if it cannot be reached, try later. The word is kept with `because` (and `by`, who says
        so), and `on_payment` hears it like any other end. The reference stays used. A success that the provider
        tells later is applied and logged; a failure that it tells after "succeeded" is a Mismatch.
        """
        return await resolve(
            self._engine, payment, status, because=because, receipt=receipt, by=by, seconds=deadline
        )
