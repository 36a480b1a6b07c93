"""The orders of the demonstration: what each payer does, and how each order ends."""

import msgspec

from ..models import Payment, Status


class Case(msgspec.Struct):
    """One order of the demonstration, and its expected end; None: it stays unknown."""

    reference: str
    account: str
    amount: int
    currency: str
    payer: str | None
    story: str
    ends: Status | None
    seconds: float = 1.5  # until the payer decides
    answer_lost: bool = False
    webhook_lost: bool = False
    shown: str = "…"
    payment: Payment | None = None


def cases() -> list[Case]:
    """Return the orders; magic numbers of the simulator decide, all other payers pay."""
    paid, failed, cancelled = Status.SUCCEEDED, Status.FAILED, Status.CANCELLED
    socket = "approves; an update socket reports it"
    lost, both_lost = "approves; our answer is lost", "approves; answer and webhook are lost"
    page = "pays on the page"
    return [
        Case("order-1", "campay", 5000, "XAF", "237677777777", "approves", paid),
        Case("order-2", "campay", 700, "XAF", "237677777770", "declines", failed),
        Case("order-3", "mpesa", 250, "KES", "254708374149", "approves", paid),
        Case("order-4", "mpesa", 90, "KES", "254708374142", "cancels", cancelled),
        Case("order-5", "campay", 1200, "XAF", "237677777777", "waits, then approves", paid, 7.0),
        Case("order-6", "cinetpay", 1500, "XOF", None, page, paid),
        Case("order-7", "intram", 2500, "XOF", None, page, paid),
        Case("order-8", "paydunya", 4200, "XOF", None, page, paid),
        Case("1009", "mpesa_gateway", 310, "KES", "254711000009", socket, paid),
        Case("order-10", "mpesa", 480, "KES", "254711000006", lost, paid, 3.0, answer_lost=True),
        Case(
            "order-11", "mpesa", 333, "KES", "254711000007", both_lost, None,
            answer_lost=True, webhook_lost=True,
        ),
    ]  # fmt: skip
