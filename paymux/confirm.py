"""What ties a message to an order: the rules that keep one payment's news from confirming another's order."""

import msgspec

from .errors import Mismatch
from .models import Event, Payment, Trust


def expect(event: Event, known: Payment, owner: str | None) -> None:
    """Refuse a message about another payment than the known one, before the provider is asked.

    `owner` is the reference under which this pool knows the claimed provider reference.
    """
    claimed = event.claims.provider_reference
    if event.attempt not in (None, known.reference):
        raise Mismatch(
            f"{event.account}: the message came in on another order's path",
            payment=event.claims,
            expected=known,
            fields=("reference",),
        )
    if (claimed and known.provider_reference not in (None, claimed)) or owner not in (None, known.reference):
        raise Mismatch(
            f"{event.account}: the message is about another payment",
            payment=event.claims,
            expected=known,
            fields=("provider_reference",),
        )


def vouch(event: Event, known: Payment, found: Payment) -> Payment:
    """Give what the provider found, with what only the message knows, or Mismatch where nothing ties the two.

    The provider's id that we hold ties them, or our reference in the provider's answer, or the order's own secret
    callback path. A receipt stays a claim in `ids` unless the path or the body proves it.
    """
    proved = event.trust is Trust.BODY or (event.attempt is not None and event.attempt == known.reference)
    if known.provider_reference is None and found.reference is None and not proved:
        raise Mismatch(
            f"{event.account}: nothing ties this payment to the order",
            payment=found,
            expected=known,
            fields=("reference",),
        )
    claims = event.claims
    if claims.receipt is None or found.receipt is not None:
        return found
    if proved:
        return msgspec.structs.replace(found, receipt=claims.receipt, paid_at=found.paid_at or claims.paid_at)
    return msgspec.structs.replace(found, ids={**found.ids, "claimed_receipt": claims.receipt})
