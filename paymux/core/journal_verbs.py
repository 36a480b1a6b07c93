"""The pool's verbs for its journal: recovery, listing, once-locks, and a person's decisions."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

from .. import journal
from ..errors import Unavailable
from ..models import Event, Kind, Payment, Status
from ..values import arguments
from ..values.payment_arguments import checked_payment
from ..values.validation import checked_reference

if TYPE_CHECKING:
    from .engine import Engine
    from .health import Health
    from .recovery import Recovered


class JournalVerbs:
    """The journal's verbs. Without one, `health`, `unconfirmed` and `dealt_with` work."""

    _engine: "Engine"

    def recover(self) -> "AsyncIterator[Recovered]":
        """Find out how each payment ended that a crash or an unknown outcome left open.

        Yields, one by one, what was resolved and what to do about the rest. Nothing is sent again,
        but a refund that its provider knows by its path and has not answered (`repeated`). Run it
        at every start.
        """
        from .recovery import recover  # noqa: PLC0415 - once at a start

        return recover(self._engine)

    def payments(
        self,
        *,
        account: str | None = None,
        status: Status | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Payment]:
        """List the journal's payments, oldest first.

        An order that was refused or never sent is no payment.
        """
        return _listed(
            self._engine,
            None if account is None else arguments.text("account", account),
            None if status is None else arguments.status("status", status),
            None if since is None else arguments.moment("since", since),
        )

    async def payment(
        self, account: str, reference: str, *, kind: Kind = "collect"
    ) -> Payment | None:
        """Return an order by your reference as the journal has it, without asking its provider.

        None: there is none, or it was refused or never sent. The page that a payer waits on may ask
        every second: an entered `Webhooks` or `Notifier` keeps the journal up to date. Unavailable:
        the journal cannot be read now.
        """
        named = Payment(
            account=self._engine.driver(account).account,
            kind=arguments.kind("kind", kind),
            reference=checked_reference(reference),
        )
        self._engine.lifetime.use()
        self._engine.store.require_journal()
        row = await self._engine.store.row_of(named)
        return None if row is None or row.state.frees_reference else row.payment

    def once(self, payment: Payment, name: str) -> "journal.Turn":
        """Do something once: `async with pool.once(payment, "fulfilled") as turn`, and `if turn:`.

        The turn is true for one caller in all processes. `turn.fence` is higher for each next one,
        so a late caller can be detected.
        """
        # first: an unawaited coroutine must be closed before any other error
        payment = checked_payment(payment)
        return journal.Turn(self._engine.store.require_journal(), payment, name)

    def unconfirmed(self) -> AsyncIterator[Event]:
        """List open messages about payments that no look-up confirms (M-Pesa's C2B).

        A message that is, or may still be, about an order of ours is not listed, nor one whose
        payment is adopted within minutes. Without a journal, only messages to this process are
        listed.
        """
        from .unconfirmed import unconfirmed  # noqa: PLC0415 - a person asks for it

        return unconfirmed(self._engine)

    async def dealt_with(self, event: Event, *, because: str) -> None:
        """End an entry of `unconfirmed` for good, with a reason.

        The same message does not reopen it.
        """
        from .unconfirmed import dealt_with  # noqa: PLC0415 - a person asks for it

        await dealt_with(self._engine, event, because)

    async def health(self, *, deadline: float = 2.0) -> "Health":
        """Return the state of the pool and its journal within `deadline` seconds.

        What ails the journal raises nothing: `state` is "down", and `problems` says why. It makes
        one small write, so ask every few seconds, not at every request.
        """
        from .health import health  # noqa: PLC0415 - few programs show it

        return await health(self._engine, deadline)

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
        """End a payment that no API ends, by a person's decision, with the reason.

        `status`: SUCCEEDED, FAILED, CANCELLED or EXPIRED. The payment's outcome must be unknown, or
        a dead worker was sending it, or it is pending beyond its provider's time-out. If possible,
        the provider is asked once more. If the provider reports another end, that is a Mismatch,
        and its `payment` is what the provider reported. If the provider cannot be reached, try
        later. The decision is stored with `because` (and `by`: who decided), and delivered to
        `on_payment` like any other end. The reference stays used. A success that the provider
        reports later is applied and logged; a failure reported after "succeeded" is a Mismatch.
        """
        from .resolution import resolve  # noqa: PLC0415 - a person asks for it

        return await resolve(
            self._engine, payment, status, because=because, receipt=receipt, by=by, seconds=deadline
        )


async def _listed(
    engine: "Engine", account: str | None, status: Status | None, since: datetime | None
) -> AsyncIterator[Payment]:
    engine.lifetime.use()
    kept = engine.store.require_journal()
    try:
        async for payment in kept.payments(account=account, status=status, since=since):
            yield payment
    except OSError as error:
        raise Unavailable(str(error)) from None
