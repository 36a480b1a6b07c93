"""Orders and messages that the promises are tried with."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from paymux import Payment, Status
from paymux.journal import Journal, State
from paymux.models import Event, Trust

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def order(reference: str = "order-1", **more: Any) -> Payment:
    """Return an order that is to be recorded."""
    given: dict[str, Any] = {
        "account": "toy", "provider": "toy", "kind": "collect", "live": False,
        "reference": reference, "amount": Decimal(500), "currency": "XAF",
        "payer": "237677777777", "created_at": MADE, **more,
    }  # fmt: skip
    return Payment(**given)


def paid(reference: str = "order-1", **more: Any) -> Payment:
    """Return an order that succeeded."""
    said = {"provider_reference": f"id-{reference}", "status": Status.SUCCEEDED, **more}
    return order(reference, **said)


async def sent(journal: Journal, payment: Payment, state: State | None = State.ACCEPTED) -> Payment:
    """Record an order as it is sent, up to its answer; None: it has none yet."""
    assert await journal.intend(payment, "digest") is None
    await journal.mark_sending(payment)
    if state is not None:
        await journal.record(payment, "answer", state)
    return payment


def message(number: int = 1, *, of: str | None = "order-1", **more: Any) -> Event:
    """Return a message about an order, which its number tells from others."""
    signed = more.pop("signed", False)
    path = more.pop("path", None)
    claims = Payment(
        **{"account": "toy", "provider": "toy", "kind": "collect", "reference": of,
           "status": Status.SUCCEEDED, "receipt": f"R{number}", **more}
    )  # fmt: skip
    return Event(
        account="toy", provider="toy", claims=claims, path_reference=path,
        trust=Trust.BODY if signed else Trust.NOTHING,
    )  # fmt: skip
