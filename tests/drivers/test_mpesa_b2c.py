"""Payouts of M-Pesa: the request, our id in it, and what each synchronous answer proves."""

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers.base import Duplicate
from paymux.drivers.mpesa import Mpesa
from paymux.drivers.mpesa.b2c import B2C, POCHI, own_id
from paymux.drivers.mpesa.results import Ack
from paymux.drivers.mpesa.reversal import REVERSAL
from paymux.errors import OutcomeUnknown, UsageError
from paymux.http import Response, post
from paymux.models import Status, merge
from paymux.transport.outcome import Means, decide
from tests.driving import Script, drive, sample

from .mpesa_initiator import (
    CREDENTIAL,
    DRIVER,
    RESULT,
    TIMEOUT,
    ack,
    body_of,
    fault,
    order,
    reply,
)

OURS = "600992_wage-7"


def paid_out(answer: Response, driver: Mpesa = DRIVER, **changes: Any) -> tuple[Any, Script]:
    """Pay out, and return the payment and what was sent."""
    script = Script(driver, answer)
    return drive(driver.payout(script, order(**changes))), script


def test_a_payout_has_the_documented_fields_in_the_pages_order() -> None:
    """Every field of the page's sample is sent, in its order and as text."""
    payment, script = paid_out(ack(OURS), extra={"occasion": "ChristmasPay"})
    page = sample("mpesa", "b2c_request")
    said = body_of(script)
    assert list(said) == list(page)
    assert said == {
        **page,
        "OriginatorConversationID": OURS,
        "SecurityCredential": CREDENTIAL,
        "Remarks": "Payment",
        "QueueTimeOutURL": TIMEOUT,
        "ResultURL": RESULT,
    }
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (B2C, True, False)
    assert (payment.status, payment.provider_reference, payment.receipt) == (
        Status.PENDING,
        OURS,
        None,
    )
    assert payment.ids == {
        "OriginatorConversationID": OURS,
        "ConversationID": "AG_20240706_20106e9209f64bebd05b",
    }


def test_a_payout_to_a_business_wallet_is_one_of_b2pochi() -> None:
    """`pochi:` before the number chooses the other path and command."""
    payment, script = paid_out(ack(OURS), party="pochi:254705912645")
    page = sample("mpesa", "pochi_request")
    said = body_of(script)
    assert list(said) == [name for name in page if name != "Occassion"]
    assert (script.requests[0].path, said["CommandID"], said["PartyB"]) == (
        POCHI,
        page["CommandID"],
        "254705912645",
    )
    wallet = DRIVER.pending(order(party="pochi:254705912645"))
    assert merge(wallet, payment).payee == "pochi:254705912645"


def test_another_shortcode_may_pay_out() -> None:
    """`b2c_shortcode` is PartyA, and stands before our id."""
    driver = msgspec.structs.replace(DRIVER, b2c_shortcode="600997")
    _, script = paid_out(ack("600997_wage-7"), driver)
    assert body_of(script)["PartyA"] == "600997"
    assert body_of(script)["OriginatorConversationID"] == "600997_wage-7"


@given(st.from_regex(re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII), fullmatch=True))
def test_our_id_is_the_same_for_a_reference_and_fits(reference: str) -> None:
    """It has at most 36 of A-Z a-z 0-9 _ -, begins with the shortcode, and is found again."""
    ours = own_id(DRIVER, reference)
    assert re.fullmatch("600992_[A-Za-z0-9_-]{1,29}", ours, re.ASCII)
    assert ours == own_id(DRIVER, reference)
    plain = len(reference) <= 29 and "." not in reference
    assert (ours == f"600992_{reference}") == plain
    assert own_id(DRIVER, f"{reference}x"[-64:]) != ours or f"{reference}x"[-64:] == reference


def test_our_id_is_known_before_the_request_leaves() -> None:
    """A lost acknowledgement leaves our id, but no provider's reference: nothing proves it."""
    pending = DRIVER.pending(order())
    assert (pending.provider_reference, pending.ids) == (None, {"OriginatorConversationID": OURS})
    assert DRIVER.asks(pending) == "find"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("amount", {"amount": Decimal(9)}),
        ("amount", {"amount": Decimal(250_001)}),
        ("webhook_url", {"webhook_url": None}),
        ("description", {"description": "x"}),
        ("description", {"description": "x" * 101}),
        ("description", {"description": "tea & milk"}),
        ("command_id", {"extra": {"command_id": "BusinessPayBill"}}),
        ("command_id", {"extra": {"command_id": 7}}),
        ("command_id", {"party": "pochi:254705912645", "extra": {"command_id": "SalaryPayment"}}),
        ("extra", {"extra": {"account_reference": "order-7"}}),
        ("occasion", {"extra": {"occasion": ""}}),
    ],
)
def test_bad_input_is_named_and_never_sent(field: str, changes: dict[str, Any]) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(DRIVER)
    with pytest.raises(UsageError) as caught:
        drive(DRIVER.payout(script, order(**changes)))
    assert (caught.value.name, script.requests) == (field, [])


@pytest.mark.parametrize("command", ["SalaryPayment", "BusinessPayment", "PromotionPayment"])
def test_the_command_is_the_callers_choice(command: str) -> None:
    """The three commands of the page are accepted."""
    _, script = paid_out(ack(OURS), extra={"command_id": command})
    assert body_of(script)["CommandID"] == command


@pytest.mark.parametrize("field", ["initiator_name", "security_credential"])
def test_an_account_without_an_api_user_names_the_missing_field(field: str) -> None:
    """Each verb that needs it raises UsageError before anything is sent."""
    driver = msgspec.structs.replace(DRIVER, **{field: ""})
    script = Script(driver)
    receipt = msgspec.structs.replace(driver.pending(order()), receipt="SG632NMUAB")
    for verb in (
        driver.payout(script, order()),
        driver.refund(script, order("refund"), receipt),
        driver.find(script, receipt),
        driver.balance(script),
    ):
        with pytest.raises(UsageError) as caught:
            drive(verb)
        assert (caught.value.name, script.requests) == (field, [])


ACCEPTED = sample("mpesa", "b2c_ack.200")
# Each answer of the pages, and what it means for a money request.
ANSWERS: list[tuple[Response, Means]] = [
    (reply(200, ACCEPTED), Means.ANSWER),
    (reply(200, {**ACCEPTED, "ResponseCode": 0}), Means.ANSWER),
    (reply(200, {**ACCEPTED, "ResponseCode": "1"}), Means.UNKNOWN),
    (reply(200, {**ACCEPTED, "ResponseCode": "2001"}), Means.UNKNOWN),
    (reply(200, {**ACCEPTED, "ResponseCode": None}), Means.UNKNOWN),
    (reply(200, {**ACCEPTED, "ConversationID": ""}), Means.UNKNOWN),
    (
        reply(
            200,
            {"ResponseCode": "1", "ResponseDescription": "Duplicate OriginatorConversationID."},
        ),
        Means.DUPLICATE,
    ),
    (reply(500, sample("mpesa", "b2c_duplicate.500")), Means.DUPLICATE),
    (fault(500, "500.002.1001", "Service is currently under maintenance"), Means.UNKNOWN),
    (fault(500, "00.002.1001", "Service is currently under maintenance"), Means.UNKNOWN),
    (fault(400, "400.002.02", "Bad Request - Invalid Amount"), Means.REFUSED),
    (fault(400, "400.002.05", "Invalid Request Payload"), Means.REFUSED),
    (fault(401, "401.002.01", "Error Occurred - Invalid Access Token - x"), Means.STALE),
    (fault(401, "401.003.01", "Invalid Access Token"), Means.STALE),
    (fault(400, "400.003.01", "Invalid Access Token"), Means.STALE),
    (fault(404, "404.001.03", "Invalid Access Token"), Means.STALE),
    (fault(404, "404.001.01", "Resource not found"), Means.REFUSED),
    (fault(404, "404.002.01", "Resource not found"), Means.REFUSED),
    (fault(404, "404.003.01", "Resource not found"), Means.REFUSED),
    (fault(405, "405.001", "GET Method Not Allowed"), Means.REFUSED),
    (fault(500, "500.003.02", "Error Occurred: Spike Arrest Violation"), Means.THROTTLED),
    (fault(500, "500.003.03", "Error Occurred: Quota Violation"), Means.THROTTLED),
    (fault(500, "500.003.02", "System is busy. Please try again in few minutes."), Means.UNKNOWN),
    (fault(500, "500.001.1001", "Internal Server Error"), Means.UNKNOWN),
    (fault(500, "500.001.1001", "[MerchantValidate] - Wrong credentials"), Means.UNKNOWN),
    (fault(500, "500.003.1001", "Internal Server Error"), Means.UNKNOWN),
    (fault(404, "404.001.04", "Invalid Authentication Header"), Means.UNKNOWN),
    (fault(404, "404.001.01", ""), Means.UNKNOWN),
    (reply(503, b"upstream connect error or disconnect/reset before headers"), Means.UNKNOWN),
    (reply(503, b"Request unsuccessful. Incapsula incident ID: 1-2"), Means.UNKNOWN),
    (reply(200, b"<html></html>"), Means.UNKNOWN),
    (reply(400, b""), Means.UNKNOWN),
]


@pytest.mark.parametrize("path", [B2C, POCHI, REVERSAL])
@pytest.mark.parametrize(("answer", "means"), ANSWERS)
def test_each_answer_proves_what_the_pages_say(path: str, answer: Response, means: Means) -> None:
    """A wrong FAILED costs the amount: only listed codes refuse, everything else is unknown."""
    request = post(path, Ack, {}, matches=Ack.accepts)
    assert decide(DRIVER, request, answer).means is means


LISTED = {
    *("400.002.02", "400.002.05", "401.002.01", "401.003.01", "400.003.01", "404.001.03"),
    *("404.001.01", "404.002.01", "404.003.01", "405.001"),
}


@given(
    st.integers(300, 599),
    st.from_regex(r"[0-9]{2,3}\.[0-9]{3}(\.[0-9]{2,4})?", fullmatch=True) | st.text(max_size=12),
    st.text(max_size=40),
)
def test_an_answer_that_no_page_lists_proves_nothing(status: int, code: str, words: str) -> None:
    """Whatever the code and the words, the payout is unknown, and no other error is raised."""
    if code.strip() in LISTED:
        return
    request = post(B2C, Ack, {}, matches=Ack.accepts)
    assert decide(DRIVER, request, fault(status, code, words)).means is Means.UNKNOWN


def test_an_acknowledgement_of_another_id_is_no_answer() -> None:
    """Our id comes back; another one is about something else, so the outcome is unknown."""
    with pytest.raises(OutcomeUnknown):
        paid_out(ack("600992_wage-8"))


def test_a_payout_is_sent_once() -> None:
    """A duplicate is not followed by another request: it is looked up later."""
    script = Script(DRIVER, reply(500, sample("mpesa", "b2c_duplicate.500")))
    with pytest.raises(Duplicate, match="Duplicate"):
        drive(DRIVER.payout(script, order()))
    assert len(script.requests) == 1


def test_no_credential_is_shown() -> None:
    """The credential is in no repr of the driver, the request or the payment."""
    payment, script = paid_out(ack(OURS))
    assert CREDENTIAL in DRIVER.secrets()
    shown = repr((DRIVER, script.requests, payment, payment.ids, order()))
    assert CREDENTIAL not in shown
