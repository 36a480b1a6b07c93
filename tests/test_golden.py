"""Every later release reads `tests/golden/payment-<release>.json`; no file is edited."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Customer, Payment, Reason, Status

GOLDEN = sorted((Path(__file__).parent / "golden").glob("payment-*.json"))
PAYMENTS: list[dict[str, Any]] = [
    one for file in GOLDEN for one in json.loads(file.read_text("utf-8"))
]


@pytest.mark.parametrize("number", range(len(PAYMENTS)))
def test_a_stored_payment_is_read_and_written_again(number: int) -> None:
    """A payment of any release is read with every field, and is equal after another round trip."""
    stored = PAYMENTS[number]
    payment = msgspec.json.decode(json.dumps(stored), type=Payment)
    written = json.loads(msgspec.json.encode(payment))
    # Default values are not written; all other values are.
    assert {**stored, "status": payment.status, **written} == {**stored, "status": payment.status}
    assert msgspec.json.decode(msgspec.json.encode(payment), type=Payment) == payment


def test_a_whole_stored_payment_means_what_it_meant() -> None:
    """Each field of release 0.1.0 has its type and its value."""
    stored = json.loads(
        (Path(__file__).parent / "golden" / "payment-0.1.0.json").read_text("utf-8")
    )[1]
    assert msgspec.json.decode(json.dumps(stored), type=Payment) == Payment(
        account="kenya",
        provider="mpesa",
        kind="collect",
        live=True,
        reference="order-1042",
        provider_reference="ws_CO_191220191020363925",
        ids={"MerchantRequestID": "29115-34620561-1", "claimed_receipt": "NLJ7RT61SV"},
        status=Status.REFUNDED,
        amount=Decimal("5000.25"),
        currency="KES",
        payer="254708374149",
        payee="254700000000",
        operator="Safaricom",
        receipt="NLJ7RT61SV",
        receipt_url="https://receipts.example/NLJ7RT61SV",
        fee=Decimal("0.50"),
        refunded_amount=Decimal("5000.25"),
        checkout_url="https://pay.example/checkout/1042",
        prompt="*126#",
        provider_status="0",
        reason=Reason.INSUFFICIENT_FUNDS,
        message="Félicitations ✓",
        customer=Customer(
            name="Awa",
            surname="Diop",
            email="awa@example.com",
            phone="254708374149",
            address="1 rue de la Paix",
            city="Douala",
            country="CM",
            state="LT",
            zip_code="00237",
        ),
        metadata={"basket": [1, {"sku": "A-1", "gift": True}], "note": None},
        paid_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        created_at=datetime(2026, 1, 2, 3, 0, tzinfo=UTC),
        updated_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
        raw='{"ResultCode":"0"}',
    )


def test_every_field_and_word_is_kept_in_a_golden_file() -> None:
    """Every field, status and reason of today is in a golden file: no later release can lose it."""
    assert {name for one in PAYMENTS for name in one} == set(Payment.__struct_fields__)
    assert {name for one in PAYMENTS for name in one.get("customer", {})} == set(
        Customer.__struct_fields__
    )
    assert {one.get("status", "pending") for one in PAYMENTS} == set(Status)
    assert {one["reason"] for one in PAYMENTS if "reason" in one} == set(Reason)
