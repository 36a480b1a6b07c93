"""Asking the provider about orders: all of ours (`verify`), or those that differ (`ask`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..bulk import Bulk
from ..errors import Mismatch, NotFound, UsageError
from ..models import Payment
from .comparing import Said
from .reading import payments_of
from .rows import UnreadableRow, staged_payment

if TYPE_CHECKING:
    from ..pool import Pool

AT_ONCE = 50  # look-ups in flight, and rows that are asked for between two commits


class Answer(NamedTuple):
    """What the provider said of an order: its row, or why there is none."""

    row: Said | None
    said: str


async def ask(pool: "Pool", rows: Sequence[Said], *, own: bool) -> dict[int, Answer]:
    """Ask for some orders at once; `own`: they are the journal's, which learns what is found.

    What says nothing about a payment is raised (Unavailable, RateLimited, AuthenticationFailed).
    """
    known = [await _known(pool, row) if own else payments_of(row, amounts=False) for row in rows]
    answers: dict[int, Answer] = {}
    failed: Exception | None = None
    async with Bulk(pool, known, AT_ONCE) as bulk:
        async for one in bulk:
            row = rows[one.index]
            if one.payment is not None:
                answers[row.n] = _answer(row, one.payment)
            elif isinstance(one.error, Mismatch) and one.error.payment is not None:
                answers[row.n] = _answer(row, one.error.payment, str(one.error))
            elif isinstance(one.error, NotFound):
                answers[row.n] = Answer(None, "not found")
            elif isinstance(one.error, UsageError):
                answers[row.n] = Answer(None, f"cannot be asked: {str(one.error)[:120]}")
            else:
                failed = failed or one.error
    if failed is not None:
        raise failed
    return answers


def _answer(row: Said, payment: Payment, note: str | None = None) -> Answer:
    try:
        found = staged_payment(payment, ours=False)
    except UnreadableRow as error:
        return Answer(None, f"cannot be compared: {error}")
    said = Said(row.n, *found)
    # What the provider leaves out is as the order has it.
    kept = said._replace(
        reference=said.reference or row.reference,
        provider_reference=said.provider_reference or row.provider_reference,
    )
    return Answer(kept, note or payment.status.value)


async def _known(pool: "Pool", row: Said) -> Payment:
    """Return an order as the journal has it, with all ids that a look-up may need."""
    named = payments_of(row, amounts=True)
    if row.reference is None or named.kind is None:
        return named
    journal = pool.internals.engine.store.require_journal()
    found = await journal.find(row.account, named.kind, reference=row.reference)
    return named if found is None else found.payment
