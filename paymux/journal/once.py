"""Doing something exactly once for a payment, however many workers hear of it."""

import uuid
from typing import Self

from ..errors import Unavailable, UsageError
from ..models import Payment
from ..values import arguments
from ..values.payment_arguments import checked_payment
from .interface import Journal


class Turn:
    """`async with pool.once(payment, name) as turn`: `turn` is true for one caller in any process.

    `turn.fence` is a fencing token, 1 or more: it is higher for each later caller that gets the
    turn, so that what a late caller writes can be told from what its successor wrote. It is 0 where
    the turn is another caller's, or done. An error, or death, gives the turn back.
    """

    def __init__(self, journal: Journal, payment: Payment, name: str) -> None:
        payment, name = checked_payment(payment), arguments.named("name", name)
        if payment.reference is None:
            raise UsageError.field("payment.reference", None, "a payment with your reference")
        self._journal = journal
        self._payment = payment
        self._name = name
        self._caller = uuid.uuid4().hex
        self.fence = 0

    def __bool__(self) -> bool:
        return self.fence > 0

    async def __aenter__(self) -> Self:
        try:
            self.fence = await self._journal.take_turn(self._payment, self._name, self._caller)
        except OSError as error:
            raise Unavailable(f"{self._payment.account}: {error}") from None
        except BaseException:
            # Cancelled while it was taken: it is given back, or no other caller would ever have it.
            await self._end(done=False)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.fence:
            await self._end(done=kind is None)

    async def _end(self, *, done: bool) -> None:
        try:
            await self._journal.end_turn(self._payment, self._name, self._caller, done=done)
        except OSError as error:
            raise Unavailable(f"{self._payment.account}: {error}") from None
