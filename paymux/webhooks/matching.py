"""Which payment a message is about, and what is logged if it is about another one."""

from collections.abc import Awaitable, Callable
from functools import partial

from ..core import Engine, repeat_event_for
from ..core.notify import CALLBACK_SECONDS, CallbackFailed, run_callback
from ..errors import Mismatch, PaymuxError
from ..journal import OpenMessage
from ..models import Event, Payment, log
from ..primitives.redaction import mask
from .flood import HourlyLog


class EventMatcher:
    """Looks for a message's payment in the shop's storage (`lookup`) and in this pool."""

    def __init__(
        self, engine: Engine, lookup: Callable[[Event], Awaitable[Payment | None]] | None
    ) -> None:
        self._engine = engine
        self._lookup = lookup
        self._once_an_hour = HourlyLog()

    async def expected(self, event: Event) -> Payment | None:
        """Ask the shop's `lookup` for the payment; None: there is no `lookup`, or no payment."""
        if self._lookup is None:
            return None
        return await run_callback(
            "lookup", event.account, partial(self._lookup, event), CALLBACK_SECONDS
        )

    async def repeat_event_for(self, event: Event) -> Event:
        """Return the event that stands for all unauthenticated messages about an order."""
        try:
            return await repeat_event_for(self._engine, event, await self.expected(event))
        except (PaymuxError, CallbackFailed):
            return event

    async def is_kept(self, message: OpenMessage) -> bool:
        """Keep a message that is to be retried; False: its order has too many kept messages."""
        if message.open:
            return True
        try:
            return await self._engine.store.messages.keep(message.event, message)
        except PaymuxError:  # this process still has it in memory
            return True

    async def knows(self, event: Event, expected: Payment | None) -> bool:
        """Return whether a message is about one of our payments.

        If the journal fails, the answer is True: the message must not be dropped.
        """
        if (
            event.authenticated
            or expected is not None
            or self._engine.watch_registry.payment_of(event) is not None
        ):
            return True
        try:
            return await self._engine.store.messages.payment_of(event) is not None
        except PaymuxError:
            return True

    def refused(self, event: Event, mismatch: Mismatch) -> None:
        """Log a message that is about another payment than it says, for a person to look at."""
        said, known = mask(str(mismatch)), mismatch.expected
        if event.authenticated:
            log.error("%s", said)
        else:
            # If it was refused by its own content alone, any client can send any number of such
            # messages, about any order: then no order is named.
            asked = known is not None and mismatch.payment is not event.claims
            self._once_an_hour.error(said, known.reference if known is not None and asked else None)
