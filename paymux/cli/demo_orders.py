"""The orders of the demonstration: what each payer does, and how each order ends."""

import msgspec

from ..models import Payment, Status


class Case(msgspec.Struct, kw_only=True):
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
    found = [
        _case("order-1", "campay", 5000, "XAF", "237677777777", "approves", paid),
        _case("order-2", "campay", 700, "XAF", "237677777770", "declines", failed),
        _case("order-3", "mpesa", 250, "KES", "254708374149", "approves", paid),
        _case("order-4", "mpesa", 90, "KES", "254708374142", "cancels", cancelled),
        _case("order-5", "campay", 1200, "XAF", "237677777777", "waits, then approves", paid),
        _case("order-6", "cinetpay", 1500, "XOF", None, "pays on the page", paid),
        _case("order-7", "intram", 2500, "XOF", None, "pays on the page", paid),
        _case("order-8", "paydunya", 4200, "XOF", None, "pays on the page", paid),
        _case(
            "1009",
            "mpesa_gateway",
            310,
            "KES",
            "254711000009",
            "approves; an update socket reports it",
            paid,
        ),
        _case(
            "order-10", "mpesa", 480, "KES", "254711000006", "approves; our answer is lost", paid
        ),
        _case(
            "order-11",
            "mpesa",
            333,
            "KES",
            "254711000007",
            "approves; answer and webhook are lost",
            None,
        ),
    ]
    found[4].seconds, found[9].seconds = 7.0, 3.0
    found[9].answer_lost = found[10].answer_lost = found[10].webhook_lost = True
    return found


def _case(
    reference: str,
    account: str,
    amount: int,
    currency: str,
    payer: str | None,
    story: str,
    ends: Status | None,
) -> Case:
    return Case(
        reference=reference,
        account=account,
        amount=amount,
        currency=currency,
        payer=payer,
        story=story,
        ends=ends,
    )
