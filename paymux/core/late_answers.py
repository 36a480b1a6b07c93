"""Answers for which no verb waits: what they say is applied to their payments."""

from functools import partial
from typing import Any, TypeVar

from ..errors import Mismatch, NoAnswer, PaymuxError
from ..http import Question, Sendable
from ..journal import Asked
from ..models import Payment, log, merge
from ..primitives.redaction import mask
from ..transport import PROOF, Call
from .engine import Engine
from .finding import check_receipt
from .questions import read

R = TypeVar("R")


class _Replay:
    """A `send` that gives a stored answer for the question; nothing is sent."""

    def __init__(self, engine: Engine, call: Call, asked: Asked) -> None:
        self._engine = engine
        self._call = call
        self._asked = asked

    async def __call__(self, request: Sendable[R]) -> R:
        """Give the answer."""
        if isinstance(request, Question):
            answer = read(self._call, request, self._asked.answer or "")
            if name := request.request.credential:
                guard = self._engine.transport.guard
                guard.replayed(self._call, name, self._asked.credential)
            return answer
        raise NoAnswer("nothing is sent for an answer that came late")


async def apply_late(engine: Engine, asked: Asked) -> Payment | None:
    """Apply an answer to its payment, and deliver that; None: it says nothing of a payment.

    Unavailable: the journal cannot be read now.
    """
    known, answer = asked.payment, asked.answer
    if answer is not None and asked.verb in ("balance", PROOF):
        await _balance(engine, asked)
    if known is None or answer is None or asked.verb not in ("verify", "find"):
        return None
    if known.reference is known.provider_reference is None and not known.ids:
        return None  # it was asked for by a receipt alone: it is no order
    if known.reference is not None and engine.store.journal is not None:
        row = await engine.store.row_of(known)
        known = known if row is None else row.payment
    try:
        payment = await _said(engine, asked, known)
    except PaymuxError as error:  # the same answer would say the same again
        level = log.error if isinstance(error, Mismatch) else log.warning
        level("%s: an answer that came late is not applied: %s", asked.account, mask(str(error)))
        return None
    await engine.store.keep(payment, "verify")
    engine.watch_registry.deliver(payment)
    return payment


async def _balance(engine: Engine, asked: Asked) -> None:
    """Read the late answer to a balance: it says how good the credential is, and no more."""
    driver = engine.driver(asked.account)
    call = engine.call(driver, "balance")

    async def look(call: Call) -> None:
        await driver.balance(_Replay(engine, call, asked))

    try:
        await engine.transport.perform(call, look)
    except PaymuxError as error:
        log.info("%s: a balance came late: %s", asked.account, mask(str(error)))


async def _said(engine: Engine, asked: Asked, known: Payment) -> Payment:
    """Return a payment with what its answer says of it."""
    driver = engine.driver(asked.account)
    call = engine.call(driver, asked.verb, None, known.reference)
    call.about = known
    look: Any = driver.verify if asked.verb == "verify" else driver.find
    found = await engine.transport.perform(call, partial(_again, engine, look, asked), known)
    if asked.verb == "find":
        check_receipt(found, known)
    found = call.stamped(found, found.kind or known.kind or "collect", known)
    if known.provider_reference is None and None in (known.reference, found.reference):
        raise Mismatch("nothing ties this payment to the order", payment=found, expected=known)
    return merge(known, found)


async def _again(engine: Engine, look: Any, asked: Asked, call: Call, payment: Payment) -> Payment:
    found: Payment = await look(_Replay(engine, call, asked), payment)
    return found
