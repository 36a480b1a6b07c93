from decimal import Decimal
from typing import Any

import pytest

from paymux.errors import UsageError
from paymux.models import Reason, Status
from paymux.simulator import Entry, Ledger, Outcome


def entry(provider_reference: str = "p-1", **fields: Any) -> Entry:
    """Return an order of 500."""
    given = {
        "provider": "campay",
        "kind": "collect",
        "reference": "order-1",
        "currency": "XAF",
        **fields,
    }
    return Entry(provider_reference=provider_reference, amount=Decimal(500), **given)


def test_an_order_is_charged_once_and_asking_twice_charges_twice() -> None:
    """A double charge shows: two orders with one reference add up."""
    ledger = Ledger()
    first, second = ledger.open(entry("p-1")), ledger.open(entry("p-2"))
    assert ledger.charged("order-1") == 0
    ledger.settle(first, Outcome(Status.SUCCEEDED))
    assert ledger.charged("order-1") == 500
    ledger.settle(second, Outcome(Status.SUCCEEDED))
    assert ledger.charged("order-1") == 1000
    assert ledger.charged("p-1") == 500
    assert [one.provider_reference for one in ledger.entries("order-1")] == ["p-1", "p-2"]


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (Status.PENDING, Status.SUCCEEDED, True),
        (Status.PENDING, Status.FAILED, True),
        (Status.PENDING, Status.PENDING, True),
        (Status.PENDING, Status.REFUNDED, False),
        (Status.FAILED, Status.SUCCEEDED, True),
        (Status.EXPIRED, Status.SUCCEEDED, True),
        (Status.FAILED, Status.CANCELLED, False),
        (Status.SUCCEEDED, Status.REFUNDED, True),
        (Status.SUCCEEDED, Status.SUCCEEDED, False),
        (Status.SUCCEEDED, Status.FAILED, False),
        (Status.REFUNDED, Status.SUCCEEDED, False),
    ],
)
def test_money_that_moved_comes_back_only_by_a_refund(
    before: Status, after: Status, allowed: bool
) -> None:
    """An order may succeed late; a success never changes, and never comes twice."""
    ledger = Ledger()
    one = ledger.open(entry(status=before))
    if allowed:
        ledger.settle(one, Outcome(after, Reason.OTHER, "word"))
        assert (one.status, one.reason, one.code) == (after, Reason.OTHER, "word")
        assert (one.settled_at is not None) is after.terminal
    else:
        with pytest.raises(UsageError, match="cannot become"):
            ledger.settle(one, Outcome(after))
        assert one.status is before


@pytest.mark.parametrize(
    ("before", "accepted"),
    [
        (Status.SUCCEEDED, "refunded"),
        (Status.FAILED, "succeeded"),
        (Status.REFUNDED, "nothing: a refunded order stays as it is"),
    ],
)
def test_the_error_says_what_an_ended_order_can_become(before: Status, accepted: str) -> None:
    """In words, in the text and in `accepted`."""
    ledger = Ledger()
    one = ledger.open(entry(status=before))
    with pytest.raises(UsageError, match=f"; accepted: {accepted}$") as refused:
        ledger.settle(one, Outcome(Status.CANCELLED))
    assert refused.value.accepted == accepted


def test_kinds_providers_and_currencies_are_kept_apart() -> None:
    """Charges, payouts and refunds are added by kind, provider and currency, never mixed."""
    ledger = Ledger()
    for number, fields in enumerate(
        (
            {},
            {"kind": "payout"},
            {"kind": "refund"},
            {"provider": "mpesa", "currency": "KES"},
            {"provider": "mpesa", "currency": "KES", "kind": "payout"},
        )
    ):
        ledger.settle(ledger.open(entry(f"p-{number}", **fields)), Outcome(Status.SUCCEEDED))
    assert ledger.charged(provider="campay") == ledger.paid_out("p-1") == ledger.refunded() == 500
    assert ledger.totals() == {
        ("campay", "collect", "XAF"): 500,
        ("campay", "payout", "XAF"): 500,
        ("campay", "refund", "XAF"): 500,
        ("mpesa", "collect", "KES"): 500,
        ("mpesa", "payout", "KES"): 500,
    }
    with pytest.raises(UsageError, match="currency"):
        ledger.charged()
    assert len(ledger) == len(list(ledger)) == 5


def test_a_provider_reference_is_given_once() -> None:
    """A simulator that repeats an id is wrong, and gets an error."""
    ledger = Ledger()
    ledger.open(entry("p-1"))
    with pytest.raises(UsageError, match="p-1"):
        ledger.open(entry("p-1"))
    assert ledger.get("campay", "p-1") is not None
    assert ledger.get("mpesa", "p-1") is None
