"""Results of M-Pesa: what each code claims of a payout and a refund, and what is believed."""

import logging
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers.mpesa import Mpesa, codes
from paymux.errors import BadWebhook
from paymux.models import Event, Payment, Reason, Status, Trust, merge
from paymux.values.parsing import Unreadable
from tests.driving import sample

from .mpesa_initiator import CREDENTIAL, DRIVER, NAMES, held, incoming, parameters, result

NO_ROLE = msgspec.structs.replace(DRIVER, status_role=False)
FAILED, PENDING = Status.FAILED, Status.PENDING
OTHER, LIMIT = Reason.OTHER, Reason.LIMIT
# Each code of the pages: what it proves of a payout, and of a refund.
CODES: dict[str, tuple[Any, Any]] = {
    "0": ((Status.SUCCEEDED, None), (Status.SUCCEEDED, None)),
    "1": ((FAILED, Reason.INSUFFICIENT_FUNDS), (FAILED, Reason.INSUFFICIENT_FUNDS)),
    **dict.fromkeys(("2", "3", "4", "8"), ((FAILED, LIMIT), (PENDING, None))),
    **dict.fromkeys(("2040", "SFC_IC0003"), ((FAILED, Reason.UNKNOWN_PAYEE), (PENDING, None))),
    **dict.fromkeys(
        ("11", "2006", "18", "20", "21", "22", "2001", "2028", "8006", "24", "25", "29"),
        ((FAILED, OTHER), (FAILED, OTHER)),
    ),
    **dict.fromkeys(("15", "17", "19", "26"), ((PENDING, None), (PENDING, None))),
    **dict.fromkeys(
        [f"1000000{end}" for end in ("00", "01", "02", "04", "05", "07", "09", "10", "11")],
        ((PENDING, None), (PENDING, None)),
    ),
    **dict.fromkeys(("R000001", "R000002"), ((PENDING, None), (FAILED, OTHER))),
}


def claimed(body: dict[str, Any]) -> Payment:
    """Return what a message claims."""
    event = DRIVER.webhook(incoming(body))
    assert event.trust is Trust.NOTHING
    return event.claims


def on_path(body: dict[str, Any], known: Payment, **changes: Any) -> Event:
    """Return a message as it comes to the own path of an order."""
    event = NO_ROLE.webhook(incoming(body))
    fields = {"path_reference": known.reference, "path_use": known.kind, **changes}
    return msgspec.structs.replace(event, **fields)


def accepted(kind: Any = "payout", **changes: Any) -> Payment:
    """Return an order of 10 shillings as it is held, with the ids of `result`."""
    ids = {"provider_reference": "600992_wage-7", "ids": {"ConversationID": "AG_1"}}
    return held(kind, amount=Decimal(10), **{**ids, **changes})


def believed(
    body: dict[str, Any], known: Payment | None = None, driver: Mpesa = NO_ROLE, **changes: Any
) -> Payment:
    """Return an order after a message to its path, for an account that cannot ask."""
    known = known or accepted()
    proved = driver.proof(on_path(body, known, **changes), known)
    assert proved is not None
    return merge(known, proved)


PAID = result(ResultParameters=parameters(TransactionAmount=10, TransactionReceipt="SG632NMUAB"))


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("code", CODES)
def test_each_code_of_the_pages_proves_its_status(code: str, kind: Any) -> None:
    """Both columns of the table, with the code as text and as a number."""
    expected = CODES[code][kind == "refund"]
    assert codes.result(DRIVER, kind, code, "words") == expected
    for written in {code, int(code) if code.isdigit() else code}:
        body = result(written, ResultParameters=parameters(Amount=10))
        found = believed(body, accepted(kind))
        assert (found.status, found.reason) == expected


@given(
    st.text(max_size=16) | st.integers(-5, 10**10) | st.floats(allow_nan=False) | st.none(),
    st.sampled_from(["payout", "refund"]),
)
def test_a_code_of_no_page_is_pending(code: Any, kind: Any) -> None:
    """It ends nothing, and nothing is raised but that the message cannot be read."""
    if str(code).strip().rstrip(".").upper() in CODES:
        return
    try:
        body = result(code, ResultParameters=parameters(Amount=10))
        claims = DRIVER.webhook(incoming(body)).claims
    except (Unreadable, BadWebhook):
        return
    assert claims.status is PENDING
    assert believed(body, accepted(kind)).status is PENDING


def test_a_code_of_no_page_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A person learns of it, and the log does not fill."""
    with caplog.at_level(logging.WARNING, "paymux"):
        for _ in range(3):
            claimed(result("40404"))
    assert len([one for one in caplog.records if "40404" in one.message]) == 1


@pytest.mark.parametrize("kind", [1, "1", None, "", 2])
@pytest.mark.parametrize("code", ["0", "1", "2001", "R000002"])
def test_a_result_that_waits_for_more_ends_nothing(code: str, kind: object) -> None:
    """Whatever its code: only ResultType 0 is an end."""
    body = result(code, ResultType=kind, ResultParameters=parameters(Amount=10))
    assert claimed(body).status is PENDING
    assert believed(body).status is PENDING


def test_the_results_of_the_pages_are_read() -> None:
    """Receipt, amount, number and time of a success; a failure has neither receipt nor time."""
    paid = claimed(sample("mpesa", "b2c_paid"))
    assert (paid.status, paid.amount, paid.receipt, paid.payee) == (
        Status.SUCCEEDED,
        Decimal(10),
        "SG632NMUAB",
        "254705912645",
    )
    assert paid.paid_at is not None
    assert paid.paid_at.isoformat() == "2024-07-06T19:48:52+00:00"
    before = claimed(sample("mpesa", "b2c_paid_before"))
    assert (before.receipt, before.amount) == ("NLJ41HAY6Q", Decimal(10))
    back = claimed(sample("mpesa", "reversal_done"))
    assert (back.status, back.amount, back.receipt, back.fee) == (
        Status.SUCCEEDED,
        Decimal("1.0"),
        "SKE52PAWR9",
        None,
    )
    assert back.paid_at is not None
    assert back.paid_at.isoformat() == "2021-11-14T10:27:11+00:00"
    for name in ("b2c_initiator_wrong", "reversal_invalid"):
        failed = claimed(sample("mpesa", name))
        assert (failed.status, failed.receipt, failed.paid_at) == (FAILED, None, None)


def test_a_failure_with_the_words_of_a_success_is_pending() -> None:
    """A page pairs code 21 with "processed successfully": a contradiction proves nothing."""
    assert claimed(sample("mpesa", "reversal_contradiction")).status is PENDING


@pytest.mark.parametrize("code", ["0", "1", "2001", "2040"])
@pytest.mark.parametrize(
    "words", ["The transaction is being processed", "Still under processing, please wait."]
)
def test_a_code_of_an_end_with_the_words_of_a_wait_is_pending(code: str, words: str) -> None:
    """In any wording of "being processed": a code that contradicts it proves nothing."""
    assert codes.result(DRIVER, "payout", code, words) == (PENDING, None)


def test_a_reversal_that_another_request_made_is_told() -> None:
    """R000001 of a refund that was sent once: another request gave the money back."""
    found = believed(result("R000001"), accepted("refund"))
    assert (found.status, found.receipt) == (FAILED, None)
    assert "not by this request" in (found.message or "")


def test_parameters_are_a_list_or_one_object_with_or_without_spaces() -> None:
    """A Value may be missing, and a key may have spaces."""
    one = result(ResultParameters={"ResultParameter": {"Key": "Transaction Amount", "Value": "10"}})
    assert claimed(one).amount == 10
    odd = {"ResultParameter": [{"Key": "Amount"}, {"Value": 3}, 7, None, {"Key": ["Amount"]}]}
    assert claimed(result(ResultParameters=odd)).amount is None
    spaced = {"Result Type": 0, "Result Code": "2001", "Conversation ID": "AG_1"}
    found = claimed({"Result": spaced})
    assert (found.status, found.ids) == (FAILED, {"ConversationID": "AG_1"})


@pytest.mark.parametrize("told", [None, [], "words", 7, {"ResultParameter": "words"}])
def test_parameters_in_another_form_are_left_out(told: object) -> None:
    """The message is a hint all the same."""
    assert claimed(result(ResultParameters=told)).amount is None


def test_a_request_that_waited_too_long_is_a_reason_to_ask() -> None:
    """Both known forms claim nothing; of our own request only the id is read."""
    waited = claimed(sample("mpesa", "result_waited"))
    assert (waited.status, waited.receipt) == (PENDING, None)
    flat = {**sample("mpesa", "request_waited"), "SecurityCredential": CREDENTIAL}
    event = DRIVER.webhook(incoming(flat))
    assert event.claims.status is PENDING
    kept = msgspec.json.encode(event).decode()
    assert not [one for one in (CREDENTIAL, "testapi", "254705912645", "remarked") if one in kept]


def test_no_name_of_a_payee_is_kept() -> None:
    """Of "254705912645 - NICHOLAS …" only the number is read."""
    for name in ("b2c_paid", "b2c_paid_before", "reversal_done"):
        event = DRIVER.webhook(incoming(sample("mpesa", name)))
        kept = msgspec.json.encode(event).decode() + repr(event)
        assert not [one for one in NAMES if one in kept]


def test_an_account_that_may_ask_believes_no_result() -> None:
    """A result is a hint: the transaction status decides."""
    known = accepted()
    assert DRIVER.proof(on_path(PAID, known), known) is None


def test_an_account_that_may_not_ask_believes_a_result_that_is_tied_to_its_order() -> None:
    """Own path, our id, the acknowledged id and the amount: paid, with the receipt."""
    found = believed(PAID)
    assert (found.status, found.receipt, found.reference) == (
        Status.SUCCEEDED,
        "SG632NMUAB",
        "wage-7",
    )
    failed = believed(result(2001))
    assert (failed.status, failed.reason, failed.receipt) == (FAILED, OTHER, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"path_reference": None, "path_use": None},
        {"path_reference": "wage-8"},
        {"path_use": "refund"},
        {"path_use": "collect"},
        {"path_use": "payout_timeout"},
    ],
)
@pytest.mark.parametrize("body", [PAID, result(2001)])
def test_a_result_on_another_path_is_not_believed(
    body: dict[str, Any], changes: dict[str, Any]
) -> None:
    """The order stays as it is held."""
    assert believed(body, **changes) == accepted()


@pytest.mark.parametrize(
    "known",
    [
        accepted(provider_reference="600992_wage-8"),
        accepted(provider_reference=None),
        accepted(ids={"ConversationID": "AG_2"}),
        accepted(ids={}),
    ],
)
@pytest.mark.parametrize("body", [PAID, result(2001)])
def test_a_result_with_another_id_is_not_believed(body: dict[str, Any], known: Payment) -> None:
    """Both ids must be those of the acknowledgement; without one, nothing is proved."""
    assert believed(body, known) == known


def test_a_success_without_the_amount_is_not_believed() -> None:
    """Every documented success has it."""
    assert believed(result(0)).status is PENDING


def test_a_push_is_never_settled_by_a_result() -> None:
    """The code 0 of a result is not that of a push."""
    push = Payment(account="kenya", kind="collect", reference="x-1", provider_reference="ws_1")
    assert NO_ROLE.proof(on_path(PAID, push), push) is None
