"""How the journal writes a time, and where the receipt of a payment is."""

from datetime import UTC, datetime

# The receipt of a payment, or the one that a message claimed; NULL if the row cannot be read.
RECEIPT = """CASE WHEN json_valid(payment) THEN coalesce(
    json_extract(payment, '$.receipt'), json_extract(payment, '$.ids.claimed_receipt')) END"""


def iso(when: datetime) -> str:
    """Format a time so that text order is time order."""
    return when.astimezone(UTC).isoformat(timespec="microseconds")
