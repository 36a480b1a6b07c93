"""The messages of a pool's providers: in its journal, until each is finished."""

import asyncio
from typing import TYPE_CHECKING

from ..errors import PaymuxError, Unavailable
from ..models import Event, Payment, log
from .base import Arrival, Check
from .stored_events import OpenMessage

if TYPE_CHECKING:
    from .interface import Journal

# seconds to wait for the disk with what is known; another process may hold the lock
RECORD_WAIT_SECONDS = 2.0


class Messages:
    """The messages that are kept; without a journal none is."""

    def __init__(self, journal: "Journal | None") -> None:
        self._journal = journal

    async def arrive(
        self, event: Event, about: Payment | None, check: Check, message: OpenMessage | None
    ) -> Arrival:
        """Find and check the payment of a message; store the message if it names an order.

        `about`: the payment, if the caller knows it. Unavailable: let the provider send it again.
        """
        if self._journal is None:
            check(about, None)
            return Arrival(known=about)
        was = message is not None and message.open
        if message is not None:
            message.event, message.open = event, True  # also if the wait for it is interrupted
        arrival = Arrival()
        try:
            arrival = await self._journal.arrive(event, about, check, open=message is not None)
        except OSError as error:
            raise Unavailable(f"{event.account}: {error}") from None
        except PaymuxError:
            if message is not None:
                message.open = was
            raise
        if message is not None:
            message.open = was if arrival.kept is None else arrival.kept
        return arrival

    async def keep(self, event: Event, message: OpenMessage | None) -> bool:
        """Keep a message before it is acknowledged; Unavailable: let the provider send it again.

        False: the limit of messages for its order is reached. It is not stored; a look-up is
        enough.
        """
        if self._journal is None:
            return True
        if message is not None:
            message.event, message.open = event, True
        try:
            kept = await self._journal.keep_event(event, open=message is not None)
        except OSError as error:
            raise Unavailable(f"{event.account}: {error}") from None
        if message is not None:
            message.open = kept
        return kept

    async def end(self, message: OpenMessage, *, done: bool) -> None:
        """End an open message.

        If that cannot be stored, it is processed again, which is harmless.
        """
        was, message.open = message.open, False
        if was and self._journal is not None:
            try:
                async with asyncio.timeout(RECORD_WAIT_SECONDS):
                    await self._journal.end_event(message.event, done=done)
            except OSError as error:
                account = message.event.account
                log.warning("%s: the end of a message was not kept: %s", account, error)

    async def claim(self, count: int) -> list[OpenMessage]:
        """Claim up to `count` open messages that no live worker is processing."""
        if self._journal is None:
            return []
        try:
            found = await self._journal.claim_events(count)
        except OSError as error:
            raise Unavailable(str(error)) from None
        return [OpenMessage(event, open=True) for event in found]

    async def payment_of(self, event: Event) -> Payment | None:
        """Return the payment that a message claims to be about; its secret path counts first."""
        if self._journal is None:
            return None
        try:
            found = await self._journal.about(event)
        except OSError as error:
            raise Unavailable(f"{event.account}: {error}") from None
        return None if found is None else found.payment

    async def events_of(self, payment: Payment) -> tuple[Event, ...]:
        """Return the webhook messages about a payment."""
        if self._journal is None:
            return ()
        try:
            return await self._journal.events_of(payment)
        except OSError as error:
            raise Unavailable(f"{payment.account}: {error}") from None
