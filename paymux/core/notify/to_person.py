"""Leaving an order to a person: recorded in the journal, so that it is logged once."""

from ...journal import Outbox
from ...models import Payment, log
from ...primitives.redaction import shown


async def leave_to_person(outbox: Outbox, payment: Payment, why: str) -> None:
    """Record and log that an order is not looked up any more; not again at each restart."""
    try:
        if await outbox.leave_to_person(payment):
            said = (payment.account, payment.kind or "collect", shown(payment.reference), why)
            log.error("%s: the %s %s is left to a person, and not looked up any more: %s", *said)
    except OSError as error:
        log.warning(
            "%s: could not record that an order is left to a person: %s", payment.account, error
        )
