"""A person's decision about a payment that no API ends: one more look-up, then it is stored."""

from datetime import timedelta

import msgspec

from ..errors import BadWebhook, Mismatch, NotFound, Unsupported, UsageError
from ..journal import Resolution, Row, check_resolvable
from ..models import Payment, Reason, Status, compare, log, merge
from ..primitives.clock import wall_time
from ..values import arguments
from ..values.payment_arguments import checked_payment
from ..values.validation import checked_reference, checked_text
from .confirmation import confirm, telling
from .engine import Engine

_WORDS = {
    Status.SUCCEEDED: None,
    Status.FAILED: Reason.OTHER,
    Status.CANCELLED: Reason.CANCELLED,
    Status.EXPIRED: Reason.EXPIRED,
}


async def resolve(
    engine: Engine,
    payment: Payment,
    status: Status,
    *,
    because: str,
    receipt: str | None,
    by: str | None,
    seconds: float | None,
) -> Payment:
    """End an open payment as a person decides, unless one more look-up says how it ended."""
    payment = checked_payment(payment)
    checked_reference(payment.reference)
    said = _checked_status(status)
    because = checked_text("because", because, 500)
    receipt = None if receipt is None else checked_text("receipt", receipt, 64)
    by = None if by is None else checked_text("by", by, 100)
    driver = engine.driver(payment.account)
    engine.lifetime.use()
    engine.store.require_journal()
    row = await engine.store.row_of(payment)
    if row is None:
        raise UsageError.field("payment", payment.reference, "a payment that is in the journal")
    compare(payment, row.payment)
    if row.payment.status is said:
        return row.payment  # the same decision again, or from another person
    before = wall_time() - timedelta(seconds=driver.pace(row.payment).watch_timeout)
    check_resolvable(row.state, row.payment, before)
    known = await _asked(engine, row, said, seconds)
    if known.status.terminal:
        if known.status is said:
            return known
        raise _contradiction(known, said)
    word = Resolution(payment=_ended(known, said, receipt), because=because, by=by, before=before)
    await engine.store.resolve(word)
    log.info("%s: %s %s by a person's word", known.account, known.reference, said)
    engine.watch_registry.deliver(word.payment)
    return word.payment


def _checked_status(status: Status) -> Status:
    said = arguments.status("status", status)
    if said not in _WORDS:
        raise UsageError.field("status", status, ", ".join(_WORDS))
    return said


async def _asked(engine: Engine, row: Row, said: Status, seconds: float | None) -> Payment:
    """Ask the provider by each stored message and by the known ids; return the payment.

    A look-up that is not possible now raises its error: the decision must wait. Unknown payments
    and answers that contradict the order do not end it; but if such an answer reports a success,
    only a success may be decided.
    """
    known = row.payment
    for event in telling(engine, known, await engine.store.messages.events_of(known)):
        try:
            known = await confirm(engine, event, known, seconds)
        except Mismatch as mismatch:
            _heed(mismatch, said)
        except (BadWebhook, NotFound, Unsupported):
            continue
        if known.status.terminal:
            return known
    if engine.lookup_verb(known) is not None:
        try:
            known = await engine.look_up(known, seconds)
        except Mismatch as mismatch:
            _heed(mismatch, said)
        except (NotFound, Unsupported):
            pass
    return known


def _heed(mismatch: Mismatch, said: Status) -> None:
    found = mismatch.payment
    paid = found is not None and found.status in (Status.SUCCEEDED, Status.REFUNDED)
    if paid and said is not Status.SUCCEEDED:
        raise mismatch


def _contradiction(known: Payment, said: Status) -> Mismatch:
    return Mismatch(
        f"{known.account}: asked just now, the provider says that it {known.status}, not {said}",
        payment=known,
        expected=msgspec.structs.replace(known, status=said),
        fields=("status",),
    )


def _ended(known: Payment, said: Status, receipt: str | None) -> Payment:
    told = Payment(
        account=known.account,
        status=said,
        receipt=receipt,
        reason=_WORDS[said],
        provider_status=known.provider_status,
        updated_at=wall_time(),
    )
    return merge(known, told)
