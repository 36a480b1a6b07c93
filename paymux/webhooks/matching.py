"""Which payment a message is about, and what is said of one that is about none."""

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
    """Looks for a message's payment where the shop keeps it, and where this pool does."""

    def __init__(
        self, engine: Engine, lookup: Callable[[Event], Awaitable[Payment | None]] | None
    ) -> None:
        self._engine = engine
        self._lookup = lookup
        self._once_an_hour = HourlyLog()

    async def expected(self, event: Event) -> Payment | None:
        """Ask the shop for its payment, where it keeps them."""
        if self._lookup is None:
            return None
        return await run_callback(
            "lookup", event.account, partial(self._lookup, event), CALLBACK_SECONDS
        )

    async def repeat_event_for(self, event: Event) -> Event:
        """Give what stands for all the messages about an order that prove nothing."""
        try:
            return await repeat_event_for(self._engine, event, await self.expected(event))
        except (PaymuxError, CallbackFailed):
            return event

    async def is_kept(self, message: OpenMessage) -> bool:
        """Keep a message that is repeated; False: its order has as many as are kept."""
        if message.open:
            return True
        try:
            return await self._engine.store.keep_event(message.event, message)
        except PaymuxError:  # it is in our memory, too
            return True

    async def knows(self, event: Event, expected: Payment | None) -> bool:
        """Tell whether a message is about a payment of ours.

        A journal that fails is no reason to drop it.
        """
        if (
            event.authenticated
            or expected is not None
            or self._engine.watch_registry.payment_of(event) is not None
        ):
            return True
        try:
            return await self._engine.store.payment_of(event) is not None
        except PaymuxError:
            return True

    def refused(self, event: Event, mismatch: Mismatch) -> None:
        """Tell a person of a message about another payment than it says."""
        said, known = mask(str(mismatch)), mismatch.expected
        if event.authenticated:
            log.error("%s", said)
        else:
            # Refused by what it says alone, anybody may send any number of them, about any order.
            asked = known is not None and mismatch.payment is not event.claims
            self._once_an_hour.error(said, known.reference if known is not None and asked else None)
