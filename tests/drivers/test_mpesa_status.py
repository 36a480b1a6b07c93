"""Transaction status and balance of M-Pesa: questions whose answers come as messages."""

import copy
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers.mpesa.balance import BALANCE
from paymux.drivers.mpesa.status import STATUS
from paymux.errors import (
    AuthenticationFailed,
    CredentialRefused,
    Mismatch,
    Rejected,
    Unavailable,
    Unsupported,
    UsageError,
)
from paymux.models import Payment, Reason, Status
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, sample

from .mpesa_initiator import (
    CREDENTIAL,
    DRIVER,
    NAMES,
    body_of,
    fault,
    held,
    incoming,
    order,
    result,
    told,
)

COMPLETED = sample("mpesa", "status_completed")
PAYS_OUT = msgspec.structs.replace(DRIVER, b2c_shortcode="600310")


def changed(**values: object) -> dict[str, Any]:
    """Return the sample of a completed payout with other parameters; None: without one."""
    found: dict[str, Any] = copy.deepcopy(COMPLETED)
    rows = found["Result"]["ResultParameters"]["ResultParameter"]
    rows[:] = [row for row in rows if row["Key"] not in values]
    rows += [{"Key": key, "Value": value} for key, value in values.items() if value is not None]
    return found


def asked(answer: dict[str, Any], payment: Payment | None = None) -> Payment:
    """Return what a question with this answer finds."""
    return drive(PAYS_OUT.verify(Script(PAYS_OUT, *told(answer)), payment or held()))


def by_receipt(answer: dict[str, Any], driver: Any = PAYS_OUT, receipt: str = "MBN31H462N") -> Any:
    """Return what a question for a receipt finds."""
    named = Payment(account="kenya", receipt=receipt, kind="collect")
    return drive(driver.find(Script(driver, *told(answer)), named))


def test_the_question_has_the_documented_fields_in_the_pages_order() -> None:
    """Exactly one of the two names is sent, and the page's spaces in names are its typing error."""
    script = Script(PAYS_OUT, *told(COMPLETED))
    drive(PAYS_OUT.verify(script, held()))
    page = {
        name.replace(" ", ""): value for name, value in sample("mpesa", "status_request").items()
    }
    said = body_of(script)
    assert list(said) == [name for name in page if name != "TransactionID"]
    assert (script.requests[0].path, script.requests[0].money) == (STATUS, False)
    assert (said["OriginalConversationID"], said["PartyA"]) == ("3211-416020-3", "600310")
    assert (said["CommandID"], said["IdentifierType"]) == ("TransactionStatusQuery", "4")


def test_a_completed_payout_is_read_with_its_fee_and_time() -> None:
    """The page's sample: TransactionStatus decides, and times are East African."""
    found = asked(COMPLETED)
    assert (found.status, found.kind, found.amount, found.receipt) == (
        Status.SUCCEEDED,
        "payout",
        Decimal(300),
        "MBN31H462N",
    )
    assert found.fee == Decimal("22.40")
    assert found.paid_at is not None
    assert found.paid_at.isoformat() == "2018-02-23T02:41:12+00:00"
    assert found.provider_reference == "3211-416020-3"


WORDS = {
    "Completed": (Status.SUCCEEDED, None),
    "Cancelled": (Status.CANCELLED, Reason.CANCELLED),
    "Declined": (Status.FAILED, Reason.DECLINED),
    "Expired": (Status.EXPIRED, Reason.EXPIRED),
    "Initiated": (Status.PENDING, None),
    "Authorized": (Status.PENDING, None),
    "Pending Authorized": (Status.PENDING, None),
    "Reversed": (Status.PENDING, None),
    "0": (Status.PENDING, None),
}


@pytest.mark.parametrize("kind", ["payout", "refund"])
@pytest.mark.parametrize("word", WORDS)
def test_each_word_of_the_transaction_status_proves_its_status(word: str, kind: str) -> None:
    """The four final words end a payment; every other word leaves it pending."""
    found = asked(changed(TransactionStatus=word), held(kind))
    assert (found.status, found.reason) == WORDS[word]
    assert (found.receipt is None) == (found.status is not Status.SUCCEEDED)


@given(
    st.text(max_size=30).filter(
        lambda word: word.strip().rstrip(".").upper() not in {one.upper() for one in WORDS}
    )
)
def test_a_word_of_no_page_is_pending(word: str) -> None:
    """A new word ends nothing and raises nothing."""
    assert asked(changed(TransactionStatus=word)).status is Status.PENDING


@pytest.mark.parametrize("missing", ["Amount", "ReceiptNo", "TransactionStatus"])
def test_a_success_needs_amount_and_receipt(missing: str) -> None:
    """Without what each documented success has, it is pending."""
    assert asked(changed(**{missing: None})).status is Status.PENDING


@pytest.mark.parametrize("word", ["Completed", "Declined"])
def test_an_end_needs_an_id_of_ours(word: str) -> None:
    """An answer with neither of our ids is pending; one of them is enough."""
    bare = {"OriginatorConversationID": None, "ConversationID": None, "TransactionStatus": word}
    assert asked(changed(**bare)).status is Status.PENDING
    for one in ("OriginatorConversationID", "ConversationID"):
        assert asked(changed(**{**bare, one: held_id(one)})).status is WORDS[word][0]


def held_id(name: str) -> str:
    """Return an id of the payment that is held."""
    return "3211-416020-3" if name[0] == "O" else "AG_20180223_000041b09c22e613d6c9"


@pytest.mark.parametrize("field", ["OriginatorConversationID", "ConversationID"])
@pytest.mark.parametrize("word", ["Completed", "Declined", "Initiated"])
def test_an_answer_about_another_payment_is_a_mismatch(field: str, word: str) -> None:
    """Another id than ours ends nothing, whatever the word."""
    with pytest.raises(Mismatch):
        asked(changed(**{field: "another", "TransactionStatus": word}))


def test_a_parameter_with_two_values_is_not_believed() -> None:
    """Only the second DebitPartyName has a meaning of its own."""
    twice = copy.deepcopy(COMPLETED)
    rows = twice["Result"]["ResultParameters"]["ResultParameter"]
    rows.append({"Key": "TransactionStatus", "Value": "Declined"})
    assert asked(twice).status is Status.PENDING


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((code, AuthenticationFailed) for code in (18, "20", "21", 22, 2001, 2028, 8006)),
        *((code, Unavailable) for code in (1, 15, 17, 26, "SFC_IC0003", "R000002", 100000000)),
        *((code, Unavailable) for code in ("", None, "77777", "<script>")),
    ],
)
def test_another_result_code_says_nothing_of_the_payment(code: object, error: type) -> None:
    """The question failed, and the payment is what it was."""
    refused = copy.deepcopy(COMPLETED)
    refused["Result"]["ResultCode"] = code
    with pytest.raises(error) as caught:
        asked(refused)
    assert "<script>" not in str(caught.value)
    wrong = str(code) in ("18", "20", "2001", "8006")
    assert isinstance(caught.value, CredentialRefused) == wrong


def test_an_answer_that_waits_for_more_is_none() -> None:
    """ResultType 1 is no answer, whatever its code."""
    waits = copy.deepcopy(COMPLETED)
    waits["Result"]["ResultType"] = 1
    with pytest.raises(Unavailable):
        asked(waits)


@pytest.mark.parametrize(
    "field", ["TransactionID", "OriginalConversationID", "TransactionID|OriginalConversationID"]
)
def test_a_refused_name_is_asked_once_more_by_the_older_one(field: str) -> None:
    """The page of 2025 and the one before name the id differently."""
    refused = fault(400, "400.002.02", f"Bad Request - Invalid {field}")
    script = Script(PAYS_OUT, refused, *told(COMPLETED))
    assert drive(PAYS_OUT.verify(script, held())).status is Status.SUCCEEDED
    first, second = [request.body for request in script.requests]
    assert first["OriginalConversationID"] == second["OriginatorConversationID"]
    assert "OriginalConversationID" not in second
    with pytest.raises(Rejected):
        drive(PAYS_OUT.verify(Script(PAYS_OUT, refused, refused), held()))


@pytest.mark.parametrize("words", ["Bad Request - Invalid Initiator", "Bad Request"])
def test_another_refusal_is_not_asked_again(words: str) -> None:
    """Only a refused name has another name."""
    script = Script(PAYS_OUT, fault(400, "400.002.02", words))
    with pytest.raises(Rejected):
        drive(PAYS_OUT.verify(script, held()))
    assert len(script.requests) == 1


def test_a_repeated_request_is_asked_for_as_the_first_one() -> None:
    """Result 15: it was acknowledged under another ConversationID, and the first one paid."""
    ours = {"OriginatorConversationID": "3211-416020-3", "ConversationID": "AG_2"}
    found = asked(COMPLETED, held(ids=ours))
    assert found.status is Status.SUCCEEDED
    assert found.ids["ConversationID"] == "AG_20180223_000041b09c22e613d6c9"
    waits = asked(changed(TransactionStatus="Authorized"), held(ids=ours))
    assert (waits.status, waits.ids["ConversationID"]) == (Status.PENDING, "AG_2")
    with pytest.raises(Mismatch):  # one of the two did not pay: the other may have
        asked(changed(TransactionStatus="Declined"), held(ids=ours))
    with pytest.raises(Mismatch):  # an id that M-Pesa gave is that of one request
        asked(COMPLETED, held(ids={"ConversationID": "AG_2"}))
    with pytest.raises(Mismatch):
        asked(changed(OriginatorConversationID=None), held(ids=ours))


def test_a_payout_is_found_by_our_reference() -> None:
    """Its id is made of the reference, so a lost journal loses no payout."""
    answer = changed(OriginatorConversationID="600310_wage-7", ConversationID="AG_2")
    script = Script(PAYS_OUT, *told(answer))
    named = Payment(account="kenya", kind="payout", reference="wage-7")
    found = drive(PAYS_OUT.find(script, named))
    assert body_of(script)["OriginalConversationID"] == "600310_wage-7"
    assert (found.status, found.reference, found.provider_reference, found.payee) == (
        Status.SUCCEEDED,
        "wage-7",
        "600310_wage-7",
        "254708374149",
    )


def test_the_id_that_was_sent_is_asked_for_though_the_account_changed() -> None:
    """The pending payment has its id, also if the shortcode is another one by now."""
    lost = DRIVER.pending(order())
    script = Script(PAYS_OUT, *told(changed(OriginatorConversationID="600992_wage-7")))
    assert drive(PAYS_OUT.find(script, lost)).provider_reference == "600992_wage-7"


@pytest.mark.parametrize("kind", ["collect", "refund"])
def test_nothing_else_is_found_by_our_reference(kind: Any) -> None:
    """A push and a reversal have no id of ours."""
    with pytest.raises(Unsupported):
        drive(DRIVER.find(Script(DRIVER), Payment(account="kenya", kind=kind, reference="x-1")))


def test_a_receipt_is_found_with_the_kind_that_its_parties_say() -> None:
    """Debit party ours: a payout. Credit party ours: a collect."""
    paid_out = by_receipt(COMPLETED)
    assert (paid_out.kind, paid_out.payee, paid_out.provider_reference) == (
        "payout",
        "254708374149",
        "3211-416020-3",
    )
    parties = {
        "DebitPartyName": "254708374149 - John Doe",
        "CreditPartyName": "600310 - Safaricom333",
    }
    collected = by_receipt(changed(**parties))
    assert (collected.kind, collected.payer, collected.fee) == ("collect", "254708374149", None)
    assert (collected.receipt, collected.ids) == ("MBN31H462N", {"TransID": "MBN31H462N"})
    again = Script(PAYS_OUT, *told(changed(**parties)))
    drive(PAYS_OUT.find(again, collected))
    assert body_of(again)["TransactionID"] == "MBN31H462N"


@pytest.mark.parametrize(
    "parties",
    [
        {},
        {"DebitPartyName": "600310", "CreditPartyName": "600310 - Safaricom333"},
        {"DebitPartyName": "6003100 - Another", "CreditPartyName": "254708374149"},
        {"DebitPartyName": "254708374149", "CreditPartyName": "Safaricom 600310"},
    ],
)
def test_a_receipt_of_others_is_a_mismatch(parties: dict[str, str]) -> None:
    """Only a party that begins with our shortcode makes a payment ours."""
    none = {"DebitPartyName": None, "CreditPartyName": None}
    with pytest.raises(Mismatch):
        by_receipt(changed(**{**none, **parties}))


def test_an_answer_about_another_receipt_is_a_mismatch() -> None:
    """The receipt that was asked for is in the answer."""
    for answer in (COMPLETED, changed(ReceiptNo=None)):
        with pytest.raises(Mismatch):
            by_receipt(answer, receipt="MBN31H462M")


def test_what_can_be_asked_for_depends_on_the_payment_and_the_role() -> None:
    """A push by its id; a payout and a refund with the role; a lost push and refund never."""
    push = Payment(account="kenya", kind="collect", reference="x-1")
    no_role = msgspec.structs.replace(DRIVER, status_role=False)
    for driver in (DRIVER, no_role):
        assert driver.asks(push) is None
        assert driver.asks(msgspec.structs.replace(push, provider_reference="ws_1")) == "verify"
    assert DRIVER.asks(held()) == DRIVER.asks(held("refund")) == "verify"
    assert DRIVER.asks(held("refund", provider_reference=None, ids={})) is None
    assert DRIVER.asks(held(provider_reference=None, ids={})) == "find"
    assert [no_role.asks(held(kind)) for kind in ("payout", "refund")] == [None, None]
    receipt = Payment(account="kenya", receipt="MBN31H462N")
    assert (DRIVER.asks(receipt), no_role.asks(receipt)) == ("find", None)


def test_the_balance_is_that_of_the_utility_account() -> None:
    """A payout leaves it; the others are told by their names."""
    script = Script(DRIVER, *told(sample("mpesa", "balance_answer")))
    found = drive(DRIVER.balance(script))
    page = sample("mpesa", "balance_request")
    assert (script.requests[0].path, list(body_of(script))) == (BALANCE, list(page))
    assert (found.currency, found.available) == ("KES", Decimal("228037.00"))
    assert found.by_account == {
        "Working Account": Decimal("700000.00"),
        "Float Account": Decimal("0.00"),
        "Utility Account": Decimal("228037.00"),
        "Charges Paid Account": Decimal("-1540.00"),
        "Organization Settlement Account": Decimal("0.00"),
    }


def test_a_balance_is_what_is_available_not_what_is_there() -> None:
    """The second of the four amounts: money that is reserved cannot be paid out."""
    said = "Utility Account|KES|900.00|700.00|200.00|0.00"
    answer = result(ResultParameters={"ResultParameter": {"Key": "AccountBalance", "Value": said}})
    assert drive(DRIVER.balance(Script(DRIVER, *told(answer)))).available == 700


@pytest.mark.parametrize("said", ["", "Utility Account|USD|1|1|0|0", "Working Account|KES|1|1|0|0"])
def test_a_balance_without_a_utility_account_is_unreadable(said: str) -> None:
    """No other account stands in for it."""
    answer = result(ResultParameters={"ResultParameter": {"Key": "AccountBalance", "Value": said}})
    with pytest.raises(Unreadable):
        drive(DRIVER.balance(Script(DRIVER, *told(answer))))


def test_an_answer_names_its_question_by_its_conversation_id() -> None:
    """`answer_id` reads it with and without spaces in the keys; without it, nothing is tied."""
    assert DRIVER.answer_id(incoming(COMPLETED)) == "AG_20180223_0000493344ae97d86f75"
    assert DRIVER.answer_id(incoming({"Result": {"Conversation ID": "AG_1"}})) == "AG_1"
    for body in ({}, {"Result": {"OriginatorConversationID": "1-2"}}, {"Result": None}):
        with pytest.raises(Unreadable):
            DRIVER.answer_id(incoming(body))


def test_no_name_and_no_credential_is_kept() -> None:
    """Of a party only the number is read."""
    for found in (asked(COMPLETED), by_receipt(COMPLETED)):
        kept = msgspec.json.encode(found).decode() + repr(found)
        assert not [name for name in (*NAMES, CREDENTIAL) if name in kept]
    with pytest.raises(Mismatch) as caught:
        by_receipt(COMPLETED, driver=DRIVER)
    assert not [name for name in (*NAMES, CREDENTIAL) if name in f"{caught.value}{caught.value!r}"]
    with pytest.raises(UsageError):
        drive(DRIVER.verify(Script(DRIVER), held(provider_reference=None)))
