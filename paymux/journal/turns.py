"""Doing something exactly once for a payment, however many workers hear of it."""

import uuid

from .. import given
from ..errors import Unavailable, UsageError
from ..models import Payment
from .base import Journal


class Turn:
    """`async with turn as first`: True for one caller in any process; an error, or death, gives the turn back."""

    def __init__(self, journal: Journal, payment: Payment, name: str) -> None:
        payment, name = given.payment(payment), given.named("name", name)
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
            # Cancelled while it was taken: it is given back, or else nobody would ever have it.
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
