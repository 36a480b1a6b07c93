"""Refunds of M-Pesa: a reversal of the whole amount, by receipt, asked for once."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux.drivers.mpesa.reversal import REVERSAL
from paymux.errors import OutcomeUnknown, Rejected, UsageError
from paymux.models import Payment, Status
from tests.driving import Script, drive, reply, sample

from .mpesa_initiator import CREDENTIAL, DRIVER, RESULT, TIMEOUT, another, body_of, fault, order
from .mpesa_initiator import reply as response

PAID = Payment(
    account="kenya",
    provider="mpesa",
    kind="collect",
    reference="order-7",
    provider_reference="ws_CO_1",
    receipt="PDU91HIVIT",
    amount=Decimal(200),
    currency="KES",
    status=Status.SUCCEEDED,
)
BACK = order("refund", reference="back-7", amount=Decimal(200), description="Payment reversal")


def test_a_refund_has_the_documented_fields_in_the_pages_order() -> None:
    """Every field of the page's sample, and accepted is pending."""
    script = Script(DRIVER, reply("mpesa", "reversal_ack.200"))
    found = drive(DRIVER.refund(script, BACK, PAID))
    page = sample("mpesa", "reversal_request")
    said = body_of(script)
    assert list(said) == list(page)
    assert said == {
        **page,
        "Initiator": "testapi",
        "SecurityCredential": CREDENTIAL,
        "ReceiverParty": "600992",
        "ResultURL": RESULT,
        "QueueTimeOutURL": TIMEOUT,
    }
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (REVERSAL, True, False)
    assert (found.status, found.kind, found.amount, found.receipt) == (
        Status.PENDING,
        "refund",
        Decimal(200),
        None,
    )
    assert found.provider_reference == "f1e2-4b95-a71d-b30d3cdbb7a7735297"
    assert found.ids == {
        "ConversationID": "AG_20210706_20106e9209f64bebd05b",
        "OriginalTransactionID": "PDU91HIVIT",
    }
    assert request.credential == "security_credential"
    assert DRIVER.asks(found) == "verify"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("payment.receipt", {"receipt": None}),
        ("payment.receipt", {"receipt": ""}),
        ("payment.receipt", {"receipt": "PDU91\nHIVIT"}),
        ("payment.receipt", {"receipt": "P" * 41}),
        ("payment.kind", {"kind": "payout"}),
        ("payment.kind", {"kind": "refund"}),
        ("payment.kind", {"kind": None}),
        ("amount", {"amount": Decimal(201)}),
        ("amount", {"amount": None}),
        ("amount", {"currency": "USD"}),
    ],
)
def test_what_cannot_be_reversed_is_named_and_never_sent(
    field: str, changes: dict[str, Any]
) -> None:
    """No receipt, no part of an amount, no payout: UsageError says what to do."""
    script = Script(DRIVER)
    with pytest.raises(UsageError) as caught:
        drive(DRIVER.refund(script, BACK, msgspec.structs.replace(PAID, **changes)))
    assert (caught.value.name, script.requests) == (field, [])


def test_no_address_for_the_result_is_a_usage_error() -> None:
    """The outcome comes only there."""
    with pytest.raises(UsageError, match="webhook_url"):
        drive(DRIVER.refund(Script(DRIVER), msgspec.structs.replace(BACK, webhook_url=None), PAID))


def test_a_lost_acknowledgement_leaves_nothing_to_ask_by() -> None:
    """A reversal has no id of ours: it is unknown, and never sent again."""
    script = Script(DRIVER, fault(500, "500.001.1001", "Internal Server Error"))
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.refund(script, BACK, PAID))
    assert len(script.requests) == 1
    assert DRIVER.asks(DRIVER.pending(BACK)) is None


def test_a_refused_reversal_is_refused_for_certain() -> None:
    """The page's own error of a wrong receipt."""
    script = Script(DRIVER, reply("mpesa", "reversal_error.400"))
    with pytest.raises(Rejected) as caught:
        drive(DRIVER.refund(script, BACK, PAID))
    assert caught.value.details == {"field": "TransactionID"}


def test_an_answer_that_accepts_nothing_is_unknown() -> None:
    """An acknowledgement has a code and an id; any other body under 200 proves nothing."""
    script = Script(DRIVER, response(200, {"ResponseCode": "1", "ConversationID": "AG_1"}))
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.refund(script, BACK, PAID))


@pytest.mark.parametrize(
    ("said", "remarks"), [(None, "Refund"), ("ok", "ok"), ("x" * 100, "x" * 100)]
)
def test_a_reason_is_shown_as_it_is(said: str | None, remarks: str) -> None:
    """Of 2 to 100 characters; without one it says what it is. A currency may be unknown."""
    script = Script(DRIVER, reply("mpesa", "reversal_ack.200"))
    back = msgspec.structs.replace(BACK, description=said)
    drive(DRIVER.refund(script, back, msgspec.structs.replace(PAID, currency=None)))
    assert body_of(script)["Remarks"] == remarks


@pytest.mark.parametrize("said", ["x", "x" * 101])
def test_a_reason_that_cannot_be_shown_is_named(said: str) -> None:
    """UsageError, and nothing is sent."""
    script = Script(DRIVER)
    with pytest.raises(UsageError) as caught:
        drive(DRIVER.refund(script, msgspec.structs.replace(BACK, description=said), PAID))
    assert (caught.value.name, script.requests) == ("reason", [])


def test_a_refund_takes_no_settings_and_needs_an_api_user() -> None:
    """A setting of another verb is named; without the API user, the error says what needs one."""
    with pytest.raises(UsageError, match="extra"):
        drive(
            DRIVER.refund(
                Script(DRIVER), msgspec.structs.replace(BACK, extra={"command": "x"}), PAID
            )
        )
    bare = another(DRIVER, initiator_name="", security_credential="")
    with pytest.raises(UsageError, match="a refund is asked for by an API user"):
        drive(bare.refund(Script(bare), BACK, PAID))


def test_a_part_says_what_the_whole_is() -> None:
    """The amount that was paid, or that it is not known."""
    for paid, accepted in ((Decimal(201), "amount, 201:"), (None, "find it first")):
        with pytest.raises(UsageError, match=accepted):
            drive(DRIVER.refund(Script(DRIVER), BACK, msgspec.structs.replace(PAID, amount=paid)))
