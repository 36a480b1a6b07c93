"""The refund of a session, and the reversal of a payout: whole, and idempotent by their path.

https://docs.wave.com/checkout: "idempotent: called twice, it makes one refund"; 200 without a body.
https://docs.wave.com/payout: "if you try to reverse a payout that was reversed, you get a success
code, but no other transaction is made (…) you can retry without risk"; within three days.
"""

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from ...errors import Rejected, UsageError
from ...http import Request, Send, get, post
from ...models import Order, Payment, Status
from ...values.parsing import Empty
from . import payouts
from .answers import Payout

if TYPE_CHECKING:
    from . import Wave

# The names in `ids` of what a refund gives back.
SESSION, PAYOUT = "session", "payout"
_REFUND, _REVERSE = "/v1/checkout/sessions/{id}/refund", "/v1/payout/{id}/reverse"


async def refund(driver: "Wave", send: Send, order: Order, payment: Payment) -> Payment:
    """Give a whole payment back, or take a whole payout back, with its fee."""
    of = payment.provider_reference
    if payment.kind == "refund":
        accepted = "a collect or a payout: Wave gives no refund back"
        raise UsageError.field("payment.kind", payment.kind, accepted)
    if of is None:
        why = "Wave refunds by its own id: find the payment first"
        raise UsageError.missing("payment.provider_reference", why)
    if payment.amount != order.amount:
        paid = payment.amount if payment.amount is not None else "what was paid: find it first"
        accepted = f"the whole amount, {paid}: Wave gives no part of it back"
        raise UsageError.field("amount", f"{order.amount:.20g}", accepted)
    name = PAYOUT if payment.kind == "payout" or of.startswith("pt-") else SESSION
    return await sent(send, msgspec.structs.replace(driver.pending(order), ids={name: of}))


def is_unanswered(refund: Payment) -> bool:
    """Return whether a refund was sent, and its answer lost: it has an id only once it is taken."""
    named = PAYOUT in refund.ids or SESSION in refund.ids
    return named and refund.provider_reference is None and not refund.status.terminal


async def sent(send: Send, refund: Payment) -> Payment:
    """Send the request of a refund: each repeat has the same path, and no body."""
    ids = refund.ids
    name = PAYOUT if PAYOUT in ids else SESSION
    await send(_request(name, ids[name], refund.reference or ""))
    # A session's refund has no status to read: its answer is the only one. A payout says
    # `reversed` itself.
    status = Status.SUCCEEDED if name == SESSION else Status.PENDING
    return msgspec.structs.replace(refund, provider_reference=ids[name], status=status)


async def again(driver: "Wave", send: Send, refund: Payment) -> Payment:
    """Send an unanswered refund again.

    A payout that was reversed gives "a success code": so if it is refused now, and the payout
    still says `succeeded`, no request before was taken. No page says so of a session's refund.
    """
    try:
        return await sent(send, refund)
    except Rejected as refused:
        if PAYOUT not in refund.ids:
            raise
        of = refund.ids[PAYOUT]
        asked = get("/v1/payout/{id}", Payout, at={"id": of}, matches=Payout.answers)
        payout = payouts.read(driver, await send(asked))
        if payout.status not in (Status.SUCCEEDED, Status.REFUNDED):
            raise
        back = payout.status is Status.REFUNDED
        return msgspec.structs.replace(
            refund,
            provider_reference=of,
            status=Status.SUCCEEDED if back else Status.FAILED,
            reason=None if back else refused.reason,
            provider_status=payout.provider_status if back else refused.code,
            message=None if back else refused.message,
        )


def is_reversal(refund: Payment) -> bool:
    """Return whether this is a reversal: what became of it, its payout says."""
    return PAYOUT in refund.ids


def reversal(driver: "Wave", said: Payout) -> Payment:
    """Read what a payout says of its reversal: nothing, until it is `reversed`."""
    payout = payouts.read(driver, said)
    back = payout.status is Status.REFUNDED
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind="refund",
        live=driver.live,
        provider_reference=payout.provider_reference,
        status=Status.SUCCEEDED if back else Status.PENDING,
        amount=payout.amount,
        currency=payout.currency,
        provider_status=payout.provider_status,
    )


def _request(name: str, of: str, reference: str) -> Request[Empty]:
    path, headers = _REFUND, {}
    if name == PAYOUT:
        # "Any request that changes data must have a key", and the sample of this one has none.
        path = _REVERSE
        headers = {"Idempotency-Key": f"reverse-{sha256(reference.encode()).hexdigest()}"}
    known = {name: of}
    return post(path, Empty, None, at={"id": of}, headers=headers, repeatable=True, known=known)
