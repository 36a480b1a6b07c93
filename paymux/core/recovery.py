"""Recovery after a crash: every open payment is looked up, and none is sent again.

But for the refunds of `repeating.py`, which are counted apart.
"""

from collections.abc import AsyncIterator, Iterable

import msgspec

from ..errors import PaymuxError, Unavailable
from ..journal import Journal, Row, State
from ..limits import Priority
from ..models import Event, Payment
from .confirmation import confirm, telling
from .engine import Engine
from .repeating import repeat, repeating


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """The result of recovering a payment that a crash or an unknown outcome had left open."""

    payment: Payment
    was: State
    resolved: bool  # False: watch it, or follow `advice`
    advice: str
    # It is a refund without an answer, which was sent again: its provider makes one of all.
    repeated: bool = False


async def recover(engine: Engine) -> AsyncIterator[Recovered]:
    """Recover every open row that no live worker is processing, once each."""
    engine.lifetime.use()
    journal = engine.store.require_journal()
    row: Row | None = None
    try:
        while (row := await journal.claim(row)) is not None:
            try:
                yield await _looked_after(engine, journal, row)
            finally:
                await journal.release(row)
    except OSError as error:
        raise Unavailable(str(error)) from None


async def _looked_after(engine: Engine, journal: Journal, row: Row) -> Recovered:
    payment = row.payment
    if payment.account not in engine.drivers:
        advice = f"this pool has no account {payment.account!r}"
        return Recovered(payment=payment, was=row.state, resolved=False, advice=advice)
    if row.state is State.INTENT:
        await journal.record(payment, "recover", State.NOT_SENT)
        return Recovered(
            payment=payment, was=row.state, resolved=True, advice="never sent; repeat it freely"
        )
    if row.state is State.SENDING:
        await journal.record(payment, "recover", State.UNKNOWN)
    found = await examine(engine, payment, row.events)
    payment, trouble = found.payment, str(found.failed or found.doubted or "")
    ended = payment.status.terminal
    advice = f"it {payment.status}" if ended else _advice(engine, payment, trouble)
    return Recovered(
        payment=payment,
        was=row.state,
        resolved=ended,
        advice=advice,
        repeated=found.repeated,
    )


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What the messages about a payment, and its provider, say about it."""

    payment: Payment
    doubted: PaymuxError | None = None  # the error of a message that was of no use
    failed: PaymuxError | None = None  # the error of the look-up, or of the repeat
    repeated: bool = False  # a refund that was sent again, in the place of a look-up


async def examine(
    engine: Engine, payment: Payment, events: Iterable[Event], priority: Priority = Priority.NOW
) -> Examined:
    """Look up an open payment: by its stored messages, then by its ids."""
    doubted: PaymuxError | None = None
    for event in telling(engine, payment, events):
        try:
            payment = await confirm(engine, event, payment, None, priority)
        except PaymuxError as error:
            doubted = error
        if payment.status.terminal:
            return Examined(payment=payment)
    failed: PaymuxError | None = None
    repeats = repeating(engine.driver(payment.account), payment)
    try:
        if repeats is not None:
            payment = await repeat(engine, repeats, payment, priority)
        elif engine.lookup_verb(payment) is not None:
            payment = await engine.look_up(payment, None, priority)
    except PaymuxError as error:
        failed = error
    repeated = repeats is not None
    return Examined(payment=payment, doubted=doubted, failed=failed, repeated=repeated)


def _advice(engine: Engine, payment: Payment, trouble: str) -> str:
    if engine.lookup_verb(payment) is not None:
        return f"still pending: watch it{f' ({trouble})' if trouble else ''}"
    if repeating(engine.driver(payment.account), payment) is not None:
        return f"not answered: recover again, which sends it again ({trouble})"
    return (
        f"nobody knows: ask {payment.provider} for {payment.amount} {payment.currency} "
        f"of {payment.created_at:%Y-%m-%d %H:%M} UTC under {payment.reference!r}; "
        f"never send it again{f' ({trouble})' if trouble else ''}"
    )
