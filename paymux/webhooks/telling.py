"""Making sure that `on_payment` was called with the end of a payment."""

from ..core import Engine
from ..core.notify import Notifier
from ..journal import OpenMessage
from ..models import Payment
from .pending import Unfinished
from .unrecorded import Unrecorded


class Teller:
    """Has `on_payment` called for the payments of messages and of answers."""

    def __init__(self, engine: Engine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier
        self.unrecorded = Unrecorded(engine, notifier.dispatcher)

    async def tell(self, message: OpenMessage, payment: Payment, until: float) -> Unfinished | None:
        """Make sure that `on_payment` was called with a payment's status; None: it was.

        If the outbox has the payment, the outbox goes on with it.
        """
        wanted = (payment.kind or "collect") in self._notifier.dispatcher.kinds
        if not wanted or message.told is payment.status:
            return None
        outbox = self._notifier.outbox
        told: bool | None = None
        if outbox is not None:
            told = await self._notifier.dispatcher.wait_notified(outbox, payment, until, message)
        elif (journal := self._engine.store.journal) is not None:
            told = await self._notifier.dispatcher.once(journal.outbox, payment, until, message)
        if told is None:  # it is not our order: only this message is about it
            await self.unrecorded.tell(payment)
        return Unfinished(always=outbox is None) if told is False else None
