"""What an answer of M-Pesa's gateway or of a question proves, exactly.

Every small change of these rules fails a test.
"""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from paymux.drivers.mpesa import Mpesa, errors, status
from paymux.drivers.mpesa.results import Result
from paymux.errors import AuthenticationFailed, Mismatch, Unavailable
from paymux.models import Payment, Status
from paymux.values.status_words import log_unproved_success
from tests.driving import Script, drive

from .mpesa_initiator import DRIVER, another, held, parameters, reply, result, told

WORDS = "Duplicate OriginatorConversationID."


@pytest.mark.parametrize(
    "body",
    [
        {"errorMessage": WORDS, "errorCode": "500.002.1001"},
        {"ResponseDescription": WORDS.upper(), "ResponseCode": "500.002.1001"},
    ],
)
def test_a_used_id_is_told_by_its_words_with_the_code(body: dict[str, str]) -> None:
    """In a fault or an acknowledgement, in any case of its letters."""
    found = errors.duplicate(reply(500, body))
    assert found is not None
    assert (found.message.lower(), found.code) == (WORDS.lower(), "500.002.1001")


@pytest.mark.parametrize(
    "body",
    [
        {"errorMessage": "Duplicate request", "errorCode": "500.002.1001"},
        {"errorMessage": "OriginatorConversationID is missing", "errorCode": "500.002.1001"},
        {"errorMessage": [WORDS], "errorCode": "500.002.1001"},
        {"errorCode": WORDS},
        [WORDS],
        b"<html>Duplicate OriginatorConversationID</html>",
        b"",
    ],
)
def test_no_other_answer_says_that_an_id_was_used(body: object) -> None:
    """The same code means maintenance, too."""
    assert errors.duplicate(reply(500, body)) is None


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (None, "none"),
        ("77777", "77777"),
        ("R_000002", "R_000002"),
        ("9" * 16, "9" * 16),
        ("9" * 17, "of another form"),
        ("<script>", "of another form"),
        ("_", "of another form"),
        ("SFC_IC0003", "SFC_IC0003: it knows no such payment, or cannot say now"),
    ],
)
def test_a_question_without_an_answer_names_its_code(code: str | None, shown: str) -> None:
    """Only what has the form of a code is shown; a message may hold anything."""
    with pytest.raises(Unavailable) as caught:
        status.answered(DRIVER, Result(ResultType="0", ResultCode=code))
    assert str(caught.value) == f"kenya: the question was not answered: result code {shown}"


@pytest.mark.parametrize("code", ["0", "2001", "22"])
def test_a_code_that_waits_for_more_neither_answers_nor_refuses(code: str) -> None:
    """Only ResultType 0 is an end: the API user may be good."""
    with pytest.raises(Unavailable):
        status.answered(DRIVER, Result(ResultType="1", ResultCode=code))


def test_a_refusal_of_the_api_user_names_the_account() -> None:
    """Whose credential is wrong: a program has several accounts."""
    with pytest.raises(AuthenticationFailed) as caught:
        status.answered(DRIVER, Result(ResultType="0", ResultCode="2001"))
    error = caught.value
    assert (error.account, error.provider, error.code) == ("kenya", "mpesa", "2001")


ANSWER = {
    "TransactionStatus": "Completed",
    "Amount": "300",
    "ReceiptNo": "MBN31H462N",
    "DebitPartyName": "600992 - Shop",
    "CreditPartyName": "254708374149 - Ann",
    "FinalisedTime": "20180223054112",
    "OriginatorConversationID": "3211-416020-3",
    "ConversationID": "AG_20180223_000041b09c22e613d6c9",
}
NAMED = Payment(account="kenya", receipt="MBN31H462N")


def asked(
    payment: Payment, driver: Mpesa = DRIVER, changes: Mapping[str, str | None] = {}
) -> Payment:
    """Return what is found of a payment if its question has the answer with these changes."""
    rows = {key: value for key, value in {**ANSWER, **changes}.items() if value is not None}
    script = Script(driver, *told(result(ResultParameters=parameters(**rows))))
    by_receipt = payment.provider_reference is None
    found: Payment = drive((driver.find if by_receipt else driver.verify)(script, payment))
    return found


def test_a_success_has_the_conversation_of_the_request_that_paid() -> None:
    """That of the answer, and none if the answer has none."""
    assert asked(held()).ids == {"ConversationID": "AG_20180223_000041b09c22e613d6c9"}
    assert asked(held(), changes={"ConversationID": None}).ids == {}


def test_what_has_not_paid_keeps_the_conversation_that_was_acknowledged() -> None:
    """Without an acknowledgement it is that of the answer."""
    ours = {"ConversationID": "AG_20180223_000041b09c22e613d6c9"}
    for word in ("Authorized", "Declined"):
        assert (
            asked(held(), changes={"TransactionStatus": word, "ConversationID": None}).ids == ours
        )
        assert asked(
            held(ids={}), changes={"TransactionStatus": word, "ConversationID": "AG_2"}
        ).ids == {"ConversationID": "AG_2"}
        assert (
            asked(held(ids={}), changes={"TransactionStatus": word, "ConversationID": None}).ids
            == {}
        )


def test_a_mismatch_names_what_differs() -> None:
    """The field, what was found, and the payment that was expected, if there is one."""
    with pytest.raises(Mismatch) as caught:
        asked(held(), changes={"OriginatorConversationID": "another"})
    error = caught.value
    assert (error.fields, error.expected) == (("provider_reference",), held())
    assert error.payment is not None
    assert error.payment.receipt == "MBN31H462N"
    for field, changes in (
        ("receipt", {"ReceiptNo": "MBN31H462M"}),
        ("account", {"DebitPartyName": "254700000126"}),
    ):
        with pytest.raises(Mismatch) as caught:
            asked(NAMED, changes=changes)
        assert (caught.value.fields, caught.value.expected) == ((field,), None)


def test_an_end_without_an_id_of_ours_is_bare_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing that only an end has is kept of it; what waits is kept as it is, and not logged."""
    bare = {"OriginatorConversationID": None, "ConversationID": None}
    waits = asked(held(), changes={"TransactionStatus": "Authorized", **bare})
    assert (waits.status, waits.amount) == (Status.PENDING, Decimal(300))
    assert caplog.records == []
    said = "its OriginatorConversationID proves nothing and is kept as pending"
    for word in ("Completed", "Declined", "Cancelled", "Expired"):
        log_unproved_success.cache_clear()
        found = asked(held(), changes={"TransactionStatus": word, **bare})
        assert (found.status, found.reason, found.receipt, found.paid_at) == (
            Status.PENDING,
            None,
            None,
            None,
        )
        assert caplog.messages == [f"mpesa: a success without {said}"]
        caplog.clear()


@pytest.mark.parametrize("own", ["600992", "600310", "300100"])
def test_money_is_ours_by_each_number_of_the_account(own: str) -> None:
    """Its shortcode, that of its payouts, and its till."""
    driver = another(DRIVER, b2c_shortcode="600310", till="300100")
    assert asked(NAMED, driver, {"DebitPartyName": f"{own} - Shop"}).kind == "payout"
    parties = {"DebitPartyName": "254708374149 - Ann", "CreditPartyName": f"{own} - Shop"}
    found = asked(NAMED, driver, parties)
    assert (found.kind, found.provider_reference) == ("collect", "MBN31H462N")


def test_a_payout_that_is_found_by_its_receipt_has_its_ids() -> None:
    """Both, or those that the answer has."""
    found = asked(NAMED)
    assert (found.provider_reference, found.ids) == (
        "3211-416020-3",
        {"ConversationID": "AG_20180223_000041b09c22e613d6c9"},
    )
    found = asked(NAMED, changes={"OriginatorConversationID": None, "ConversationID": None})
    assert (found.provider_reference, found.ids) == (None, {})
