"""Once-locks: do something exactly once for a payment, with any number of workers."""

import uuid

from ..errors import Unavailable, UsageError
from ..models import Payment
from ..values import arguments
from .base import Journal


class Turn:
    """Acquire the once-lock; released on completion or process death.

    `async with turn as first`: True for one caller in any process. An error inside the block
    releases the lock without completion, so that another caller may acquire it.
    """

    def __init__(self, journal: Journal, payment: Payment, name: str) -> None:
        payment, name = arguments.payment(payment), arguments.named("name", name)
        if payment.reference is None:
            raise UsageError.field("payment.reference", None, "a payment with your reference")
        self._journal = journal
        self._payment = payment
        self._name = name
        self._caller = uuid.uuid4().hex
        self._first = False

    async def __aenter__(self) -> bool:
        try:
            self._first = await self._journal.take_turn(self._payment, self._name, self._caller)
        except OSError as error:
            raise Unavailable(f"{self._payment.account}: {error}") from None
        except BaseException:
            # Cancelled while acquiring: release it, or no caller could ever acquire it.
            await self._end(done=False)
            raise
        return self._first

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._first:
            await self._end(done=kind is None)

    async def _end(self, *, done: bool) -> None:
        try:
            await self._journal.end_turn(self._payment, self._name, self._caller, done=done)
        except OSError as error:
            raise Unavailable(f"{self._payment.account}: {error}") from None
