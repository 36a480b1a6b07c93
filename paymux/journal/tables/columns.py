"""How the journal writes a time, an amount and a note, and where the receipt of a payment is."""

from datetime import UTC, datetime

from ...models import Payment

# The receipt of a payment, or the one that a message claimed; NULL if the row cannot be read.
RECEIPT = """CASE WHEN json_valid(payment) THEN coalesce(
    json_extract(payment, '$.receipt'), json_extract(payment, '$.ids.claimed_receipt')) END"""

PUT_NOTE = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def iso(when: datetime) -> str:
    """Format a time so that text order is time order."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def amount_text(payment: Payment) -> str | None:
    """Format an amount so that a database can read it as a number."""
    return None if payment.amount is None else str(payment.amount)
