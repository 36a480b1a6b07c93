import json
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from paymux.drivers.base import Duplicate
from paymux.drivers.pawapay import PawaPay
from paymux.drivers.pawapay.answers import FAILURES, NO_CODE, STATUS, Failure, Found, Said
from paymux.drivers.pawapay.errors import CREDENTIALS, REFUSALS
from paymux.drivers.pawapay.orders import shown, written
from paymux.errors import AuthenticationFailed, NotFound, OutcomeUnknown, Rejected, UsageError
from paymux.http import Response, WebhookRequest, get, post
from paymux.models import Kind, Order, Payment, Status
from paymux.testing.contract import Case, Shape
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

ID = "f4401bd2-1568-4140-bf2d-eb77d2b2b639"  # of the documentation
MTN = "250783456000"
MTN_RWANDA = "MTN_MOMO_RWA"
KEY = "a key of sixteen characters"
TAKES = {"status": "ACCEPTED"}
PARAMETER = "INVALID_PARAMETER"
ANSWERS: dict[str, Status] = {
    "failed.200": Status.FAILED,
    "completed.200": Status.SUCCEEDED,
    "accepted.200": Status.PENDING,
    "processing.200": Status.PENDING,
    "in_reconciliation.200": Status.PENDING,
}
MESSAGES: dict[str, Status] = {
    "callback_completed": Status.SUCCEEDED,
    "callback_failed": Status.FAILED,
    "callback_redirect": Status.PENDING,
    "callback_payout_failed": Status.FAILED,
    "v1_callback_completed": Status.SUCCEEDED,
    "v1_callback_failed": Status.FAILED,
}
PLACES = {"status": "data.status", "failureCode": "data.failureReason.failureCode"}


def shape(kind: str, **answers: Status) -> Shape:
    """Return the answers to a status check of a kind."""
    said = {f"{name}.200": status for name, status in answers.items()}
    return Shape(
        fields={"api_token": "simulator"},
        asked={"provider_reference": ID, "kind": kind},
        answers=tuple(said),
        places={"status": "data.status"},
        amounts=("data.amount",),
        said=said,
    )


# Its case of the contract tests.
CASE = Case(
    order={"currency": "RWF", "payer": MTN, "operator": "mtn"},
    opens="POST /v2/deposits/",
    looks="GET /v2/deposits/",
    wire=b'"amount":"1000"',
    told={Status.CANCELLED: Status.FAILED, Status.EXPIRED: Status.FAILED},
    resends=frozenset({"POST /v2/deposits/", "POST /v2/payouts/", "POST /v2/refunds/"}),
    dashboard=True,
    fields={"wallet": "RWA", "id_key": KEY},
    no_funds={"wallets": {}},
    payouts=((MTN, "POST /v2/payouts/"),),
    refund="POST /v2/refunds/",
    refunds_one_by_one=True,
    words=Shape(
        fields={"api_token": "simulator"},
        asked={"provider_reference": ID},
        answers=tuple(ANSWERS),
        messages=tuple(MESSAGES),
        places=PLACES,
        told={"status": "status", "failureCode": "failureReason.failureCode"},
        amounts=("data.amount",),
        said={**ANSWERS, **MESSAGES},
    ),
    pages=(
        shape("payout", payout_completed=Status.SUCCEEDED, payout_enqueued=Status.PENDING),
        shape("refund", refund_completed=Status.SUCCEEDED),
    ),
)


FRESH = PawaPay(api_token="the-token", id_key="a key of sixteen characters")
REFUSED_FOR_SURE = sorted(REFUSALS)
uuid = FRESH.id_of


def order(**changes: Any) -> Order:
    """Return an order of 1000 RWF, with these changes."""
    fields = {
        "account": "pawapay",
        "kind": "collect",
        "reference": "order-1",
        "amount": Decimal(1000),
        "currency": "RWF",
        "party": MTN,
        "operator": "mtn",
    }
    return Order(**{**fields, **changes})


def said(body: object, status: int = 200) -> Response:
    """Return an answer with this body."""
    return Response(status=status, body=json.dumps(body).encode())


def accepted(kind: Kind = "collect", reference: str = "order-1") -> Response:
    """Return the answer that accepts an order."""
    name = {"collect": "depositId", "payout": "payoutId", "refund": "refundId"}[kind]
    return said({name: uuid(kind, reference), "status": "ACCEPTED"})


def sent(script: Script, number: int = -1) -> dict[str, Any]:
    """Return the body of a request."""
    found: dict[str, Any] = json.loads(script.requests[number].content())
    return found


def found(status: str, code: str | None = None, kind: Kind = "payout") -> Payment:
    """Return a payment with this status and failure code, as a look-up finds it."""
    name = {"collect": "depositId", "payout": "payoutId", "refund": "refundId"}[kind]
    reason = {"failureReason": {"failureCode": code}} if code else {}
    data = {name: ID, "status": status, "amount": "5", "currency": "RWF", **reason}
    script = Script(FRESH, said({"status": "FOUND", "data": data}))
    asked = Payment(account="pawapay", kind=kind, provider_reference=ID)
    return drive(FRESH.verify(script, asked))


def judged(body: object, status: int = 200) -> object:
    """Return the verdict on an answer to a request of money."""
    request = post("/v2/payouts", Said, {})
    return FRESH.judge(request, said(body, status))


def test_a_deposit_is_sent_as_documented() -> None:
    """Each field has the page's name and form, and the id is derived from kind and reference."""
    script = Script(FRESH, accepted())
    asked = order(description="Order 123456", metadata={"orderId": "ORD-123456789"})
    payment = drive(FRESH.collect(script, asked))
    documented = sample("pawapay", "deposit_request")
    body = sent(script)
    assert body == {
        **documented,
        "depositId": uuid("collect", "order-1"),
        "payer": {"type": "MMO", "accountDetails": {"phoneNumber": MTN, "provider": MTN_RWANDA}},
        "amount": "1000",
        "currency": "RWF",
        "clientReferenceId": "order-1",
        "metadata": documented["metadata"][:1],
    }
    assert script.requests[0].headers["Authorization"] == "Bearer the-token"
    assert (payment.status, payment.provider_reference) == (Status.PENDING, body["depositId"])


def test_a_payout_is_sent_as_documented() -> None:
    """A payout names a recipient, and has an id of its own."""
    script = Script(FRESH, accepted("payout"))
    payment = drive(FRESH.payout(script, order(kind="payout", metadata={"orderId": "ORD-45"})))
    assert sent(script).keys() == (
        sample("pawapay", "payout_request").keys() - {"customerMessage"} | {"clientReferenceId"}
    )
    assert sent(script)["recipient"]["accountDetails"]["phoneNumber"] == MTN
    assert (payment.kind, payment.provider_reference) == ("payout", uuid("payout", "order-1"))
    assert uuid("payout", "order-1") != uuid("collect", "order-1")


def test_a_refund_names_its_deposit_and_a_part_of_it() -> None:
    """A refund has the deposit's id, an amount and a currency; its id may be named payoutId."""
    script = Script(FRESH, said({"payoutId": uuid("refund", "back-1"), "status": "ACCEPTED"}))
    paid = Payment(account="pawapay", kind="collect", provider_reference=ID)
    asked = order(kind="refund", reference="back-1", amount=Decimal(300), party=None, operator=None)
    drive(FRESH.refund(script, asked, paid))
    assert sent(script) == {
        "refundId": uuid("refund", "back-1"),
        "depositId": ID,
        "amount": "300",
        "currency": "RWF",
        "clientReferenceId": "back-1",
    }


def test_a_refund_of_an_order_of_ours_derives_the_deposit() -> None:
    """A payment that has only our reference is refunded by the id that is derived from it."""
    script = Script(FRESH, accepted("refund"))
    paid = Payment(account="pawapay", reference="order-1")
    drive(FRESH.refund(script, order(kind="refund", party=None), paid))
    assert sent(script)["depositId"] == uuid("collect", "order-1")
    script = Script(FRESH, accepted("refund"))
    page = Payment(account="pawapay", reference="order-1", provider_reference=ID)
    drive(FRESH.refund(script, order(kind="refund", party=None), page))
    assert sent(script)["depositId"] == ID


@pytest.mark.parametrize("named", [{}, {"provider_reference": "order-1"}, {"receipt": "1"}])
def test_a_refund_needs_the_deposit(named: dict[str, Any]) -> None:
    """A payment without our reference and pawaPay's id is UsageError, and nothing is sent."""
    script = Script(FRESH)
    with pytest.raises(UsageError, match=r"provider_reference.*UUID"):
        drive(FRESH.refund(script, order(kind="refund"), Payment(account="pawapay", **named)))
    assert script.requests == []


@pytest.mark.parametrize("kind", ["payout", "refund"])
def test_only_a_deposit_is_refunded(kind: Kind) -> None:
    """A refund of anything else is UsageError, and nothing is sent."""
    script = Script(FRESH)
    paid = Payment(account="pawapay", kind=kind, provider_reference=ID)
    with pytest.raises(UsageError, match=r"payment\.kind.*a deposit"):
        drive(FRESH.refund(script, order(kind="refund", party=None), paid))
    assert script.requests == []


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("10", "10"),
        ("10.5", "10.5"),
        ("10.50", "10.5"),
        ("0.01", "0.01"),
        ("1000", "1000"),
        ("10.00", "10"),
    ],
)
def test_an_amount_has_no_zeros_at_its_end(asked: str, text: str) -> None:
    """The page's pattern forbids a fraction that ends in 0, which is refused."""
    assert written(Decimal(asked)) == text


@pytest.mark.parametrize(
    ("given_text", "text"),
    [
        ("Order 17, table 3", "Order 17 table 3"),
        ("Thé à la menthe", "Th la menthe"),
        ("ok", ""),
        ("", ""),
        ("Two tickets for the festival of Ouidah", "Two tickets for the fe"),
    ],
)
def test_what_fits_of_a_description_is_shown(given_text: str, text: str) -> None:
    """A payer sees letters, digits and spaces, 22 at most; less than 4 are left out."""
    assert shown(given_text) == text


@pytest.mark.parametrize("metadata", [{"n": 5}, {"": "x"}, dict.fromkeys("abcdefghijk", "x")])
def test_metadata_that_pawapay_cannot_have_is_refused(metadata: dict[str, Any]) -> None:
    """Only texts, and ten of them: UsageError, and nothing is sent."""
    script = Script(FRESH)
    with pytest.raises(UsageError, match="metadata"):
        drive(FRESH.collect(script, order(metadata=metadata)))
    assert script.requests == []


def test_an_operator_is_named_by_word_or_by_code() -> None:
    """Our word means the operator of the number's country; any other is named as pawaPay does."""
    script = Script(FRESH, accepted(), accepted(), accepted())
    for named in ({}, {"operator": "airtel"}, {"operator": None, "extra": {"provider": "X_RWA"}}):
        drive(FRESH.collect(script, order(**named)))
    codes = [sent(script, n)["payer"]["accountDetails"]["provider"] for n in range(3)]
    assert codes == [MTN_RWANDA, "AIRTEL_RWA", "X_RWA"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"operator": "wave"}, r"operator.*airtel, mtn"),
        ({"extra": {"provider": "mtn rwanda"}}, "provider"),
        ({"extra": {"provider": 5}}, "provider"),
    ],
)
def test_an_operator_that_is_none_there_is_refused(changes: dict[str, Any], match: str) -> None:
    """UsageError lists those of the country, and nothing is sent."""
    script = Script(FRESH)
    with pytest.raises(UsageError, match=match):
        drive(FRESH.collect(script, order(**changes)))
    assert script.requests == []


def test_an_operator_that_is_not_named_is_predicted() -> None:
    """PawaPay is asked who serves the number, before any money."""
    script = Script(FRESH, reply("pawapay", "predict.200"), accepted())
    drive(FRESH.collect(script, order(operator=None)))
    assert sent(script, 0) == {"phoneNumber": MTN}
    assert [request.money for request in script.requests] == [False, True]
    assert sent(script)["payer"]["accountDetails"]["provider"] == "MTN_MOMO_BEN"


def test_a_number_without_an_operator_is_rejected_unsent() -> None:
    """The prediction's refusal is Rejected, and no order leaves."""
    script = Script(FRESH, reply("pawapay", "predict_failed.200"))
    with pytest.raises(Rejected, match="format"):
        drive(FRESH.collect(script, order(operator=None)))
    assert len(script.requests) == 1


@pytest.mark.parametrize(("word", "status"), STATUS.items())
def test_every_status_word_proves_what_its_page_says(word: str, status: Status) -> None:
    """Only COMPLETED has paid; a failure needs a code beside it."""
    code = "UNSPECIFIED_FAILURE" if status is Status.FAILED else None
    assert found(word, code).status is status


@pytest.mark.parametrize("kind", ["collect", "payout", "refund"])
@pytest.mark.parametrize("code", FAILURES)
def test_every_listed_failure_ends_a_payment(kind: Kind, code: str) -> None:
    """FAILED with a code of the page is an end, with our reason."""
    payment = found("FAILED", code, kind)
    assert (payment.status, payment.reason) == (Status.FAILED, FAILURES.reasons[code])


@pytest.mark.parametrize("kind", ["collect", "payout", "refund"])
@pytest.mark.parametrize("code", [None, "UNKNOWN_ERROR", "MYSTERY"])
def test_a_failure_without_a_listed_code_proves_nothing(kind: Kind, code: str | None) -> None:
    """Who reads FAILED pays again, so a code of no page, or none, leaves it pending."""
    assert found("FAILED", code, kind).status is Status.PENDING


@given(word=st.text(min_size=1), code=st.none() | st.text(min_size=1))
def test_an_unlisted_word_is_pending_and_never_raises(word: str, code: str | None) -> None:
    """Any other word or code leaves a payment pending, or the answer unread."""
    assume(word.strip(" .").upper() not in STATUS)
    try:
        payment = found(word, code)
    except OutcomeUnknown:
        return
    assert payment.status is Status.PENDING


def test_a_success_with_a_failure_code_is_a_contradiction() -> None:
    """It proves neither."""
    assert found("COMPLETED", "INSUFFICIENT_BALANCE").status is Status.PENDING


def test_the_outer_word_is_no_status() -> None:
    """FOUND says that there is a payment; NOT_FOUND is NotFound, and no failure."""
    asked = Payment(account="pawapay", provider_reference=ID)
    inside = reply("pawapay", "in_reconciliation.200")
    assert drive(FRESH.verify(Script(FRESH, inside), asked)).status is Status.PENDING
    with pytest.raises(NotFound):
        drive(FRESH.verify(Script(FRESH, reply("pawapay", "not_found.200")), asked))
    with pytest.raises(OutcomeUnknown):
        drive(FRESH.verify(Script(FRESH, said({"status": "FOUND"})), asked))


def test_an_answer_about_another_payment_is_none() -> None:
    """Neither another id nor another kind answers a look-up."""
    others: list[tuple[Kind, str]] = [("payout", ID), ("collect", uuid("collect", "order-2"))]
    for kind, id in others:
        asked = Payment(account="pawapay", kind=kind, provider_reference=id)
        script = Script(FRESH, reply("pawapay", "completed.200"))
        with pytest.raises(OutcomeUnknown):
            drive(FRESH.verify(script, asked))


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize("code", REFUSED_FOR_SURE)
def test_every_listed_refusal_moves_nothing(code: str, status: int) -> None:
    """REJECTED with a code of the page is Rejected, with our reason."""
    error = judged({"status": "REJECTED", "failureReason": {"failureCode": code}}, status)
    assert isinstance(error, Rejected)
    assert (error.code, error.reason) == (code, REFUSALS[code])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "REJECTED"}, 200),
        ({"status": "REJECTED", "failureReason": {"failureCode": "UNKNOWN_ERROR"}}, 200),
        ({"failureReason": {"failureCode": "MYSTERY"}}, 400),
        ({"failureReason": {"failureCode": "AUTHENTICATION_ERROR"}}, 400),
    ],
)
def test_a_refusal_without_a_listed_code_proves_nothing(body: object, status: int) -> None:
    """Of money it is no answer, so that the outcome is unknown."""
    with pytest.raises(Unreadable):
        judged(body, status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "ACCEPTED"}, 200),
        ({"failureReason": {"failureCode": "UNKNOWN_ERROR"}}, 500),
        ({"status": "REJECTED", "failureReason": {"failureCode": "INVALID_AMOUNT"}}, 500),
        ({"failureReason": {"failureCode": "INVALID_AMOUNT"}}, 200),
        ({"status": "NOT_FOUND"}, 404),
        ({}, 429),
    ],
)
def test_what_is_no_refusal_of_money_is_none(body: object, status: int) -> None:
    """HTTP 500 proves nothing, nor does a code in an answer that rejects nothing."""
    assert judged(body, status) is None


def test_a_duplicate_exists() -> None:
    """DUPLICATE_IGNORED means that an earlier request with this id was accepted."""
    assert isinstance(judged(sample("pawapay", "duplicate.200")), Duplicate)


@pytest.mark.parametrize(
    ("code", "status"), [(c, s) for c in sorted(CREDENTIALS) for s in (401, 403)]
)
def test_a_refused_token_or_signature_is_one_of_the_credentials(code: str, status: int) -> None:
    """Whatever was asked for, it is AuthenticationFailed."""
    body = {"failureReason": {"failureCode": code, "failureMessage": "no"}}
    assert isinstance(judged(body, status), AuthenticationFailed)
    asked = FRESH.judge(get("/v2/deposits/x", Found), said(body, status))
    assert isinstance(asked, AuthenticationFailed)


def test_an_answer_that_names_another_id_accepts_nothing() -> None:
    """An answer to another request leaves ours unknown."""
    script = Script(FRESH, accepted(reference="order-2"))
    with pytest.raises(OutcomeUnknown):
        drive(FRESH.collect(script, order()))


def test_a_message_of_v1_has_the_amount_that_was_paid() -> None:
    """`depositedAmount` counts, and not `requestedAmount`."""
    body = {**sample("pawapay", "v1_callback_completed"), "depositedAmount": "14"}
    claims = FRESH.webhook(WebhookRequest(body=json.dumps(body).encode())).claims
    assert (claims.amount, claims.currency, claims.payer) == (Decimal(14), "ZMW", "260763456789")
    assert claims.operator == "MTN_MOMO_ZMB"


@pytest.mark.parametrize(
    "changes",
    [{"depositId": None}, {"payoutId": ID}, {"depositId": "order-1"}, {"status": None}],
)
def test_a_message_without_one_id_and_a_status_is_unreadable(changes: dict[str, Any]) -> None:
    """Of two kinds, of none, or with an id that is no UUID: it is about no payment."""
    body = {**sample("pawapay", "callback_completed"), **changes}
    with pytest.raises(Unreadable):
        FRESH.webhook(WebhookRequest(body=json.dumps(body).encode()))


def test_a_page_brings_the_browser_back_with_the_id_alone() -> None:
    """The address is a hint; without one id it is none."""
    event = FRESH.returned(f"https://shop.example/back?depositId={ID}")
    assert (event.claims.provider_reference, event.claims.status) == (ID, Status.PENDING)
    for query in ("", "depositId=1", f"depositId={ID}&depositId={ID}"):
        with pytest.raises(Unreadable):
            FRESH.returned(f"https://shop.example/back?{query}")


@pytest.mark.parametrize("name", ["active_conf.200", "active_conf_list.200"])
def test_the_configuration_is_read_in_both_forms(name: str) -> None:
    """Operations are an object in the guides, and a list on the API's page."""
    conf = drive(FRESH.active_conf(Script(FRESH, reply("pawapay", name))))
    assert (conf.signed_requests_only, conf.signed_callbacks) == (True, True)
    [deposits] = [one for one in conf.operations if one.operation == "DEPOSIT"]
    assert (deposits.min_amount, deposits.max_amount) == (Decimal(100), Decimal(2_000_000))
    assert (deposits.decimals, deposits.status) == ("NONE", "OPERATIONAL")


def known(**changes: Any) -> PawaPay:
    """Return an account whose configuration is known: MTN Rwanda, 100 to 2,000,000, no decimals."""
    driver = PawaPay(api_token="limits", **changes)
    drive(driver.active_conf(Script(driver, reply("pawapay", "active_conf.200"))))
    return driver


@pytest.mark.parametrize("amount", ["99", "2000001", "150.5"])
@pytest.mark.parametrize("kind", ["collect", "payout"])
def test_an_amount_outside_the_known_limits_is_refused_unsent(kind: Kind, amount: str) -> None:
    """UsageError names what the operator takes."""
    driver = known()
    script = Script(driver)
    verb = driver.collect if kind == "collect" else driver.payout
    with pytest.raises(UsageError, match=f"amount.*{MTN_RWANDA}"):
        drive(verb(script, order(kind=kind, amount=Decimal(amount))))
    assert script.requests == []


def test_a_refund_is_compared_with_the_limits_of_its_deposit() -> None:
    """The operator is that of the deposit that is refunded."""
    driver = known()
    paid = Payment(account="pawapay", provider_reference=ID, operator=MTN_RWANDA)
    with pytest.raises(UsageError, match="amount"):
        drive(driver.refund(Script(driver), order(kind="refund", amount=Decimal(5)), paid))


def test_limits_are_forgotten_after_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are old refuse nothing, nor do those of another account or operator."""
    driver = known()
    small = order(amount=Decimal(5))
    for other in (PawaPay(api_token="another"), PawaPay(api_token="limits", live=True, id_key=KEY)):
        script = Script(other, said({"depositId": other.id_of("collect", "order-1"), **TAKES}))
        drive(other.collect(script, small))
    answer = said({"depositId": driver.id_of("collect", "order-1"), **TAKES})
    drive(driver.collect(Script(driver, answer), order(amount=Decimal(5), operator="airtel")))
    later = time.time() + 901
    monkeypatch.setattr(time, "time", lambda: later)
    drive(driver.collect(Script(driver, answer), small))


def test_wallets_are_added_up_by_currency() -> None:
    """`wallet` names one; without it, wallets of several currencies are refused."""
    balances = reply("pawapay", "wallet_balances.200")
    found = drive(FRESH.wallets(Script(FRESH, balances)))
    assert [one.name for one in found] == ["ZMB/ZMW", "UGA/UGX"]
    for wallet in ("ZMB", "ZMB/ZMW"):
        driver = PawaPay(api_token="x", wallet=wallet)
        balance = drive(driver.balance(Script(driver, balances)))
        assert (balance.currency, balance.available) == ("ZMW", Decimal("21798.03"))
    for wallet in ("", "ZM", "KEN"):
        driver = PawaPay(api_token="x", wallet=wallet)
        with pytest.raises(UsageError, match=r"wallet.*ZMB/ZMW, UGA/UGX"):
            drive(driver.balance(Script(driver, balances)))


def test_an_id_key_belongs_to_a_live_account() -> None:
    """Without one, two merchants' order-1 would be one payment."""
    with pytest.raises(UsageError, match="id_key"):
        PawaPay(api_token="x", live=True)
    assert PawaPay(api_token="x", live=True, id_key=KEY).url == "https://api.pawapay.io"


def test_the_id_of_an_order_stays_in_every_release() -> None:
    """It is how a lost journal finds an order again."""
    assert uuid("collect", "order-1") == "32202e6e-842e-4c39-9258-c3fd76ae29a9"
    assert uuid("refund", "order-1") == "a00d8e87-0e24-4dbd-9c1d-f513a92f5bd9"


def looked(body: object, status: int) -> Any:
    """Return the verdict on an answer to a look-up."""
    return FRESH.judge(get("/v2/deposits/x", Found), said(body, status))


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        ({"status": "NOT_FOUND"}, 200, NotFound, None),
        ({"status": "REJECTED"}, 200, Rejected, None),
        ({"failureReason": {"failureCode": "INVALID_PARAMETER"}}, 200, Rejected, PARAMETER),
        ({"failureReason": {"failureCode": "INVALID_PARAMETER"}}, 400, Rejected, PARAMETER),
        ({"failureReason": {"failureCode": "INVALID_PARAMETER"}}, 404, NotFound, None),
        ({"failureReason": {"failureCode": "INVALID_PARAMETER"}}, 409, type(None), None),
        ({"status": "NOT_FOUND"}, 202, type(None), None),
        ({"status": "NOT_FOUND"}, 503, type(None), None),
        ({"status": "FOUND"}, 200, type(None), None),
    ],
)
def test_a_look_up_is_refused_as_its_page_says(
    body: object, status: int, kind: type, code: str | None
) -> None:
    """Only what is on a page is a refusal; HTTP 404 and 429 are read as everywhere."""
    error = looked(body, status)
    assert type(error) is kind
    assert getattr(error, "code", None) == code


def test_an_error_has_the_code_and_the_words_of_pawapay() -> None:
    """So a caller can log them; where pawaPay says nothing, there are none."""
    told = {"failureReason": {"failureCode": "AUTHORISATION_ERROR", "failureMessage": "no right"}}
    for error in (judged(told, 403), looked(told, 403)):
        assert isinstance(error, AuthenticationFailed)
        assert (error.code, error.message) == ("AUTHORISATION_ERROR", "no right")
    bare = judged({"status": "REJECTED", "failureReason": {"failureCode": "INVALID_AMOUNT"}})
    assert isinstance(bare, Rejected)
    assert (bare.code, bare.message) == ("INVALID_AMOUNT", "")
    twice = judged(sample("pawapay", "duplicate.200"))
    assert isinstance(twice, Duplicate)
    assert (twice.code, twice.message) == ("DUPLICATE_IGNORED", "DUPLICATE_IGNORED")
    unknown = looked({"status": "NOT_FOUND"}, 200)
    assert "not known yet" in str(unknown)
    with pytest.raises(Unreadable, match="without a code"):
        judged({"status": "REJECTED"})


def test_a_refund_that_names_its_deposit_is_a_refund() -> None:
    """A message with both ids is about the refund."""
    refund = sample("pawapay", "refund_completed.200")["data"]
    body = {**refund, "refundId": uuid("refund", "x"), "depositId": ID}
    claims = FRESH.webhook(WebhookRequest(body=json.dumps(body).encode())).claims
    assert (claims.kind, claims.provider_reference) == ("refund", uuid("refund", "x"))


@pytest.mark.parametrize("word", ["COMPLETED", "FAILED", "PROCESSING", "FOUND", None])
def test_an_answer_that_neither_accepts_nor_refuses_is_none(word: str | None) -> None:
    """A request is ACCEPTED, or ENQUEUED by v1; any other word leaves its outcome unknown."""
    answer = Said(deposit_id=ID, status=word)
    with pytest.raises(Unreadable, match="neither accepts"):
        answer.answers_order(ID)
    with pytest.raises(Unreadable, match="another id"):
        answer.answers_order(uuid("collect", "order-1"))
    for taken in ("ACCEPTED", "ENQUEUED"):
        assert Said(deposit_id=ID, status=taken).answers_order(ID)
        assert drive(FRESH.collect(Script(FRESH, accepted()), order())).status is Status.PENDING


def test_a_status_check_is_about_its_payment_and_has_a_status() -> None:
    """Otherwise it is no answer, with the reason in words."""
    other = Found(status="FOUND", data=Said(deposit_id=ID, status="COMPLETED"))
    assert other.answers("collect", ID)
    with pytest.raises(Unreadable, match="about another payment"):
        other.answers("payout", ID)
    with pytest.raises(Unreadable, match="about another payment"):
        other.answers("collect", uuid("collect", "x"))
    with pytest.raises(Unreadable, match="no status"):
        Found(status="FOUND", data=Said(deposit_id=ID)).answers("collect", ID)
    with pytest.raises(Unreadable, match="no id of one"):
        Found(status="NOT_FOUND").answers("collect", ID)


@pytest.mark.parametrize("word", ["FAILED", "failed", " Failed. "])
def test_a_failure_without_a_code_is_none_in_any_spelling(word: str) -> None:
    """What else the word may look like, it ends nothing."""
    assert Said(status=word).code() == NO_CODE
    assert Said(status=word, failure_reason=Failure(failure_code="OTHER_ERROR")).code() == (
        "OTHER_ERROR"
    )
    assert Said(status="COMPLETED").code() is None
    assert Said().code() is None


def test_a_payer_may_have_made_a_code_and_is_led_to_two_pages() -> None:
    """PREAUTH sends the code, REDIRECT_AUTH where the payer goes; the second page may be named."""
    script = Script(FRESH, accepted())
    urls = {"return_url": "https://shop.example/yes", "cancel_url": "https://shop.example/no"}
    drive(FRESH.collect(script, order(extra={"pre_authorisation_code": "367025"}, **urls)))
    body = sent(script)
    assert body["preAuthorisationCode"] == "367025"
    assert (body["successfulUrl"], body["failedUrl"]) == tuple(urls.values())


@pytest.mark.parametrize(
    ("kind", "code"), [("collect", ""), ("collect", 5), ("collect", "1" * 37), ("payout", "1")]
)
def test_a_code_that_is_none_is_refused_unsent(kind: Kind, code: object) -> None:
    """UsageError, and nothing is sent; a payout has no payer."""
    script = Script(FRESH)
    asked = order(kind=kind, extra={"pre_authorisation_code": code})
    with pytest.raises(UsageError, match="pre_authorisation_code"):
        drive(FRESH.collect(script, asked) if kind == "collect" else FRESH.payout(script, asked))
    assert script.requests == []
