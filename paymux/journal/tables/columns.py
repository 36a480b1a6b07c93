"""How the journal writes a time, an amount and a note, and what its statements ask of rows."""

from datetime import UTC, datetime

from ...models import Payment

# The receipt of a payment, or the one that a message claimed; NULL if the row cannot be read.
RECEIPT = """CASE WHEN json_valid(payment) THEN coalesce(
    json_extract(payment, '$.receipt'), json_extract(payment, '$.ids.claimed_receipt')) END"""

# Indexes of a file have the same texts, and PostgreSQL has columns of truth values in their place.
IS_OPEN = "status = 'pending' AND state NOT IN ('refused', 'not_sent')"
IS_UNTOLD = "status <> 'pending' AND told IS NOT status"
# Once a notifier has run for a kind, a payment of it stays as it is until it is delivered.
MUST_BE_TOLD = f"""({IS_UNTOLD}
    AND EXISTS (SELECT 1 FROM notes WHERE name = 'entered ' || kind))"""

PUT_NOTE = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


def iso(when: datetime) -> str:
    """Format a time so that text order is time order."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")


def amount_text(payment: Payment) -> str | None:
    """Format an amount so that a database can read it as a number."""
    return None if payment.amount is None else str(payment.amount)
