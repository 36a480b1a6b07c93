import json
import logging
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import Pool
from paymux.drivers import load
from paymux.drivers.base import Duplicate, Verb
from paymux.drivers.cinetpay_transfer import Answer, CinetPayTransfer
from paymux.errors import (
    AuthenticationFailed,
    BadWebhook,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    UsageError,
)
from paymux.http import Response, WebhookRequest, get, post
from paymux.models import Customer, Order, Payment, Reason, Status
from paymux.simulator import Simulator
from paymux.testing.contract import Case, Shape
from paymux.transport import Means, decide
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample
from tests.toys import BASE, KEY, timeless

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payee": "+225 01 02 03 04 05"},
    opens="POST /v1/transfer/money/send/contact/",
    looks="GET /v1/transfer/check/money/",
    wire=b'"amount":"1000"',
    told={Status.CANCELLED: Status.FAILED, Status.EXPIRED: Status.FAILED},
    login="POST /v1/auth/login/",
    throttles=False,
    no_funds={"funds": 0},
    payouts=(("2250102030405", "POST /v1/transfer/money/send/contact/"),),
    fields={"currency": "XOF"},
    words=Shape(
        fields={"apikey": "simulator", "password": "simulator", "live": True},
        asked={"reference": "wage-7", "kind": "payout"},
        answers=(
            "check_val.200",
            "check_rej.200",
            "check_rec.200",
            "check_nos.200",
            "check_new.200",
        ),
        messages=("notification",),
        places={"treatment_status": "data.0.0.treatment_status", "code": "data.0.0.code"},
        told={"treatment_status": "treatment_status", "code": "code"},
        amounts=(),
        said={
            "check_val.200": Status.SUCCEEDED,
            "check_rej.200": Status.FAILED,
            "check_rec.200": Status.PENDING,
            "check_nos.200": Status.PENDING,
            "check_new.200": Status.PENDING,
            "notification": Status.SUCCEEDED,
        },
    ),
)

LIVE = CinetPayTransfer(apikey="the-apikey", password="the-password", live=True)
NAME = "cinetpay_transfer"
SEND, CONTACT = "/v1/transfer/money/send/contact", "/v1/transfer/contact"
# The annexe, https://docs.cinetpay.com/api/1.0-fr/transfert/annexe: what each code proves of a
# transfer that was sent. "refused": it says what is wrong with the request.
ANNEXE = {
    "-1": "unknown",
    "602": Reason.INSUFFICIENT_FUNDS,
    "701": "unknown",
    "702": "unknown",
    "703": "unknown",
    "704": Reason.OTHER,
    "707": "unknown",
    "708": Reason.OTHER,
    "709": "unknown",
    "710": "unknown",
    "715": "unknown",
    "716": Reason.OTHER,
    "717": Reason.UNKNOWN_PAYEE,
    "718": Reason.OTHER,
    "719": Reason.LIMIT,
    "720": Reason.LIMIT,
    "721": Reason.UNKNOWN_PAYEE,
    "723": "unknown",
    "724": Reason.UNKNOWN_PAYEE,
    "725": Reason.OTHER,
    "726": "unknown",
    "801": Reason.LIMIT,
    "802": Reason.UNKNOWN_PAYEE,
    "804": "unknown",
    "805": "duplicate",
}
WORDS = {
    "NEW": Status.PENDING,
    "REC": Status.PENDING,
    "NOS": Status.PENDING,
    "VAL": Status.SUCCEEDED,
    "REJ": Status.FAILED,
}


def order(**changes: Any) -> Order:
    """Return the order of the samples, with these changes."""
    fields = {
        "account": NAME,
        "kind": "payout",
        "reference": "wage-7",
        "amount": Decimal(500),
        "currency": "XOF",
        "party": "2250102030405",
        "webhook_url": "https://shop.example/pay/told",
    }
    return Order(**{**fields, **changes})


def said(body: object, status: int = 200) -> Response:
    """Return an answer with this body."""
    return Response(status=status, body=json.dumps(body).encode())


def rows(*found: dict[str, Any], code: object = 0) -> dict[str, Any]:
    """Return an answer with rows, in the page's form."""
    return {"code": code, "message": "OPERATION_SUCCES", "data": [list(found)]}


def sent(script: Script, number: int) -> list[dict[str, Any]]:
    """Return the rows of a request's form."""
    (name, text), *more = parse_qsl((script.requests[number].content() or b"").decode())
    assert (name, more) == ("data", [])
    found: list[dict[str, Any]] = json.loads(text)
    return found


def paid_out(*replies: Response, driver: CinetPayTransfer = LIVE, **changes: Any) -> Payment:
    """Return what a payout with these answers is."""
    return drive(driver.payout(Script(driver, *replies), order(**changes)))


def judged(answer: Response, path: str = SEND, *, money: bool = True) -> ProviderError | None:
    """Return the driver's verdict on an answer."""
    return LIVE.judge(post(path, dict, {}, money=money, form=True), answer)


def checked(answer: Response, **changes: Any) -> Payment:
    """Return what a check with this answer finds."""
    held = Payment(**{"account": NAME, "kind": "payout", "reference": "wage-7", **changes})
    return drive(LIVE.verify(Script(LIVE, answer), held))


KNOWN = reply(NAME, "contact_known.200")


def test_it_is_found_by_name_and_says_what_it_can_do() -> None:
    """`load` returns the driver; it claims no operation that this API lacks."""
    assert load(NAME) is CinetPayTransfer
    can: tuple[Verb, ...] = ("payout", "verify", "find", "balance", "webhook")
    assert all(CinetPayTransfer.can(verb) for verb in can)
    lacks: tuple[Verb, ...] = ("collect", "refund", "history", "receipt", "methods", "returned")
    assert not any(CinetPayTransfer.can(verb) for verb in lacks)
    facts = CinetPayTransfer.facts["payout"]
    assert (facts.deduplicates, facts.findable, facts.not_found_final_after) == (True, True, None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"apikey": "a", "live": True}, "password"),
        ({"password": "a", "live": True}, "apikey"),
        ({"apikey": "a", "password": "b"}, "live"),
        ({"apikey": "a", "password": "b", "live": True, "currency": "USD"}, "currency"),
    ],
)
def test_a_wrong_account_is_refused_by_field(fields: dict[str, Any], named: str) -> None:
    """Both credentials are needed, there is no sandbox, and no currency but the four."""
    with pytest.raises(UsageError, match=named):
        CinetPayTransfer(**fields)


def test_a_login_is_the_documented_form_and_gives_five_minutes() -> None:
    """`apikey` and `password` are a form, and the page states a lifetime of five minutes."""
    script = Script(LIVE, reply(NAME, "login.200"))
    token = drive(LIVE.token(script))
    assert token is not None
    assert (token.secret.reveal(), token.expires_in) == ("YOUR_TOKEN_HERE", None)
    assert CinetPayTransfer.token_life == 300
    request = script.requests[0]
    assert dict(parse_qsl((request.content() or b"").decode())) == {
        "apikey": "the-apikey",
        "password": "the-password",
    }
    assert (request.method, request.path, request.form) == ("POST", "/v1/auth/login", True)
    assert not request.money
    assert request.query["lang"] == "en"


def test_a_refused_login_is_authentication_failed() -> None:
    """701 is about the credentials; none of them is shown."""
    with pytest.raises(AuthenticationFailed, match="INVALID_CREDENTIALS") as failed:
        drive(LIVE.token(Script(LIVE, reply(NAME, "login_refused.200"))))
    shown = f"{failed.value!r} {failed.value.details}"
    assert not any(secret in shown for secret in ("the-apikey", "the-password"))


@pytest.mark.parametrize("code", ["702", "707", "-1", "715"])
def test_a_login_that_failed_otherwise_says_nothing_of_the_credentials(code: str) -> None:
    """A token that could not be made now is no wrong password."""
    with pytest.raises(OutcomeUnknown):
        drive(LIVE.token(Script(LIVE, said({"code": code, "message": "X", "data": []}))))


def test_the_token_is_in_the_query() -> None:
    """The page has it there, and in no header."""
    signed = LIVE.authorize(get("/v1/transfer/check/balance", dict), "t0ken")
    assert signed.target() == "/v1/transfer/check/balance?token=t0ken&lang=en"
    assert not signed.headers


def test_a_payout_makes_the_payee_a_contact_then_sends() -> None:
    """Two documented forms, one row each; the second alone moves money, and what the first told
    of the contact is kept before it leaves.
    """
    script = Script(LIVE, KNOWN, reply(NAME, "send.200"))
    payment = drive(LIVE.payout(script, order()))
    first, second = script.requests
    assert (first.path, first.money, first.form) == (CONTACT, False, True)
    assert (second.path, second.money, second.form) == (SEND, True, True)
    assert not second.repeatable
    assert second.known == {"contact_lot": "0044557641201539786998"}
    (contact,) = sent(script, 0)
    assert [*contact] == [*sample(NAME, "contact_request")[0]]
    assert (contact["prefix"], contact["phone"]) == ("225", "0102030405")
    assert sent(script, 1) == sample(NAME, "send_request")
    assert (payment.status, payment.provider_status) == (Status.PENDING, "NEW")
    assert (payment.provider_reference, payment.reference) == ("EA1.2.Z3", "wage-7")
    assert (payment.kind, payment.amount, payment.payee) == (
        "payout",
        Decimal(500),
        "2250102030405",
    )


def test_a_contact_has_the_name_that_the_caller_gives() -> None:
    """Name, surname and e-mail are those of `customer`; a full name needs no surname."""
    script = Script(LIVE, KNOWN, reply(NAME, "send.200"))
    customer = Customer(name="Awa", surname="Kone", email="awa@shop.example")
    drive(LIVE.payout(script, order(customer=customer)))
    (contact,) = sent(script, 0)
    assert (contact["name"], contact["surname"]) == ("Kone", "Awa")
    assert contact["email"] == "awa@shop.example"
    script = Script(LIVE, KNOWN, reply(NAME, "send.200"))
    drive(LIVE.payout(script, order(customer=Customer(name="Awa Kone"))))
    (contact,) = sent(script, 0)
    assert (contact["name"], contact["surname"]) == ("Awa Kone", "2250102030405")
    script = Script(LIVE, KNOWN, reply(NAME, "send.200"))
    drive(LIVE.payout(script, order()))
    (contact,) = sent(script, 0)
    assert (contact["name"], contact["surname"]) == ("2250102030405", "2250102030405")
    assert contact["email"] == ""


@pytest.mark.parametrize("row", [{"code": 0}, {"code": "726"}, {"code": 726, "lot": " "}])
def test_a_contact_without_a_lot_is_one(row: dict[str, Any]) -> None:
    """New or known, the money is sent; nothing is kept that was not told."""
    script = Script(LIVE, said(rows(row)), reply(NAME, "send.200"))
    drive(LIVE.payout(script, order()))
    assert script.requests[1].known is None


def test_an_operator_is_sent_in_cinetpays_word() -> None:
    """`payment_method` is optional, and no page lists its words."""
    script = Script(LIVE, KNOWN, reply(NAME, "send.200"))
    drive(LIVE.payout(script, order(extra={"payment_method": "WAVECI"})))
    assert sent(script, 1)[0]["payment_method"] == "WAVECI"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": Decimal(502)}, "amount"),
        ({"amount": Decimal(1_500_005)}, "amount"),
        ({"webhook_url": None}, "webhook_url"),
        ({"extra": {"payment_method": 5}}, "payment_method"),
        ({"extra": {"payment_method": "O M"}}, "payment_method"),
        ({"extra": {"payment_method": "MÉ"}}, "payment_method"),
        ({"extra": {"payment_method": ""}}, "payment_method"),
    ],
)
def test_what_cinetpay_refuses_is_refused_before_anything_is_sent(
    changes: dict[str, Any], named: str
) -> None:
    """Amounts, the address for messages, and the operator's word."""
    script = Script(LIVE)
    with pytest.raises(UsageError, match=r"accepted: \w|CinetPay requires one") as refused:
        drive(LIVE.payout(script, order(**changes)))
    assert refused.value.name == named
    assert not script.requests


@timeless
async def test_another_currency_than_the_accounts_is_refused() -> None:
    """A request has no field for it: the same number would be paid in the account's."""
    sim = Simulator()
    hooks: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
    async with Pool(sim.driver(NAME), connection=sim.connection, **hooks) as pool:
        for currency in ("XAF", "GNF", "CDF", "USD"):
            with pytest.raises(UsageError, match="accepted: XOF") as refused:
                await pool.payout(
                    NAME, amount=500, currency=currency, payee="+237 670000000", reference="w-1"
                )
            assert refused.value.name == "currency"
    assert sim.requests == []


@pytest.mark.parametrize(("currency", "amount"), [("XOF", 1_500_000), ("XAF", 1_500_005)])
def test_the_most_is_that_of_the_page(currency: str, amount: int) -> None:
    """1,500,000 XOF can be sent; the page has no limit for other currencies."""
    account = CinetPayTransfer(apikey="a", password="b", currency=currency, live=True)
    sending = {"currency": currency, "amount": Decimal(amount), "party": "237670000000"}
    paid = paid_out(KNOWN, reply(NAME, "send.200"), driver=account, **sending)
    assert (paid.amount, paid.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(
    ("currency", "payee"),
    [
        ("XOF", "237670000000"),
        ("XAF", "2250102030405"),
        ("GNF", "221770000000"),
        ("CDF", "224620000000"),
        ("XOF", "254712345678"),
    ],
)
def test_a_payee_of_another_currency_is_refused(currency: str, payee: str) -> None:
    """1000 XOF to a number of Cameroon would be 1000 of another franc."""
    with pytest.raises(UsageError, match="payee"):
        LIVE.party("payout", payee, currency)


@pytest.mark.parametrize(
    ("currency", "payee"),
    [("XOF", "+221 77 000 00 00"), ("XAF", "+237 670 00 00 00"), ("GNF", "+224 620 00 00 00")],
)
def test_a_payee_of_the_currency_is_read(currency: str, payee: str) -> None:
    """A number of a country of the account's currency is its digits."""
    expected = "".join(filter(str.isdigit, payee))
    assert LIVE.party("payout", payee, currency) == expected


@pytest.mark.parametrize("form", ["object", "list", "lists"])
def test_an_answer_has_three_forms(form: str) -> None:
    """`data` is an object, a list, or a list of lists: each is read, at each step."""
    one: dict[str, Any] = {"transaction_id": "EA1", "treatment_status": "NEW"}
    known: dict[str, Any] = {"code": 726, "lot": "1"}

    def put(row: dict[str, Any]) -> Response:
        data: Any = {"object": row, "list": [row], "lists": [[row]]}[form]
        return said({"code": 0, "message": "OPERATION_SUCCES", "data": data})

    assert paid_out(put(known), put(one)).provider_reference == "EA1"
    assert checked(put({"treatment_status": "VAL"})).status is Status.SUCCEEDED


@pytest.mark.parametrize("word", [*WORDS, "MYSTERY"])
def test_an_accepted_payout_is_pending_whatever_word_stands_in_it(word: str) -> None:
    """The answer to a request proves no end: neither VAL nor REJ ends it."""
    row = {"transaction_id": "EA1", "treatment_status": word, "code": 0}
    assert paid_out(KNOWN, said(rows(row))).status is Status.PENDING


def test_an_accepted_payout_may_repeat_the_order_and_say_that_it_waits() -> None:
    """Its own amount and reference are no other order's; NOS has a word for a person."""
    row = {"transaction_id": "EA1", "client_transaction_id": "wage-7", "amount": "500"}
    paid = paid_out(KNOWN, said(rows({**row, "treatment_status": "NOS"})))
    assert "back office" in (paid.message or "")


@pytest.mark.parametrize("where", ["row", "envelope"])
@pytest.mark.parametrize(("code", "proves"), ANNEXE.items())
def test_each_code_of_the_annexe_proves_what_is_listed(
    code: str, proves: object, where: str
) -> None:
    """In a row inside code 0, or in the envelope: a refusal, a duplicate, or nothing at all."""
    row = {"prefix": "225", "phone": "0102030405", "code": code, "status": "X"}
    answer = said(rows(row) if where == "row" else {"code": code, "message": "X", "data": []})
    verdict = decide(LIVE, post(SEND, dict, {}, form=True), answer)
    if isinstance(proves, Reason):
        assert verdict.means is Means.REFUSED
        assert isinstance(verdict.error, Rejected)
        assert (verdict.error.code, verdict.error.reason) == (code, proves)
        assert verdict.error.message == "X"
        return
    assert (verdict.means is Means.DUPLICATE) == (proves == "duplicate")
    assert not isinstance(verdict.error, Rejected)
    with pytest.raises((OutcomeUnknown, Duplicate)):
        paid_out(KNOWN, answer)


@pytest.mark.parametrize("code", ["705", "706"])
def test_a_stale_token_is_told_by_the_envelope(code: str) -> None:
    """Before anything is read, so money too may be sent again; in a row it proves nothing."""
    stale = said({"code": code, "message": "INVALID_TOKEN", "data": []})
    assert isinstance(judged(stale), AuthenticationFailed)
    assert isinstance(judged(stale, CONTACT, money=False), AuthenticationFailed)
    assert judged(said(rows({"code": code}))) is None


@given(code=st.one_of(st.integers(-(10**6), 10**6), st.text(max_size=12)), row=st.booleans())
def test_a_code_that_is_not_listed_proves_nothing(code: object, row: bool) -> None:
    """Whatever it is, a sent transfer is unknown: never refused, never another error."""
    if str(code).strip() in {*ANNEXE, "705", "706", "0"}:
        return
    answer = said(rows({"code": code}) if row else {"code": code, "message": "?", "data": []})
    assert judged(answer) is None
    with pytest.raises(OutcomeUnknown):
        paid_out(KNOWN, answer)


@pytest.mark.parametrize(
    "body",
    [
        rows({"code": "602", "transaction_id": "EA1"}),
        rows({"code": "602", "treatment_status": "NEW"}),
        rows({"code": "602"}, {"code": "602"}),
        rows({"code": "602"}, {"code": 0, "transaction_id": "EA1"}),
        rows({"code": "602"}, code="804"),
        rows({}, {}, code="602"),
        rows({}, {}, {}, code="602"),
        rows({"code": 0}, code="602"),
        rows({"code": "602"}, code=None),
        {"code": "602", "data": [[[]]]},
        {"code": "602", "data": [1]},
        {"message": "INSUFFICIENT_BALANCE"},
        [],
        "602",
    ],
)
def test_a_refusal_that_contradicts_itself_is_unknown(body: object) -> None:
    """An accepted row, several rows, or two codes: then an error is no proof."""
    verdict = decide(LIVE, post(SEND, dict, {}, form=True, matches=lambda _: False), said(body))
    assert verdict.means is Means.UNKNOWN


def test_two_contacts_in_an_answer_are_no_refusal() -> None:
    """One of them is not ours: the contact is asked for again."""
    two = said(rows({"code": "802"}, {"code": "802"}))
    assert judged(two, CONTACT, money=False) is None


def test_a_refusal_may_stand_in_both_places() -> None:
    """The same code in the envelope and in its row is one refusal."""
    assert isinstance(judged(said(rows({"code": "602"}, code="602"))), Rejected)


def why(answer: Response) -> str:
    """Return why an answer to a sent transfer is none."""
    request = post(SEND, Answer, {}, matches=lambda one: one.answers_order(order()))
    return decide(LIVE, request, answer).why


def test_what_is_no_answer_says_why() -> None:
    """An OutcomeUnknown is read by a person."""
    assert why(said(rows({"treatment_status": "NEW"}))) == "the transfer has no transaction_id"
    other = {"transaction_id": "EA1", "amount": "505"}
    assert why(said(rows(other))) == "the answer is about another amount"
    other = {"transaction_id": "EA1", "client_transaction_id": "wage-8"}
    assert why(said(rows(other))) == "the answer is about another transfer"
    assert why(said(rows({"transaction_id": "EA1"}, code="804"))) == "code 804"
    assert why(said(rows({"transaction_id": "EA1", "code": 9}))).endswith("with the error 9")
    assert why(said(rows({}, {}))) == "2 rows in place of one"
    check = get("/x", Answer, matches=lambda one: one.answers_check("wage-7", None))
    verdict = decide(LIVE, check, said(rows({"transaction_id": "EA1"})))
    assert verdict.why == "the transfer has no treatment_status"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 500, 502, 503, 504])
@pytest.mark.parametrize("code", ["602", "705", "805"])
def test_a_refusal_under_a_gateways_status_is_unknown(status: int, code: str) -> None:
    """Under 3xx and 5xx it is unknown who speaks, and what was done before."""
    answer = said({"code": code, "message": "X", "data": []}, status)
    assert judged(answer) is None
    with pytest.raises(OutcomeUnknown):
        paid_out(KNOWN, answer)


@pytest.mark.parametrize(
    "row",
    [
        {"treatment_status": "NEW"},
        {"transaction_id": "EA1", "client_transaction_id": "wage-8"},
        {"transaction_id": "EA1", "amount": "505"},
        {"transaction_id": "EA1", "amount": "5e2"},
        {"transaction_id": "EA1", "code": "804"},
    ],
)
def test_an_answer_about_something_else_is_unknown(row: dict[str, Any]) -> None:
    """Without an id, about another reference or amount, or with an error, nothing is accepted."""
    with pytest.raises(OutcomeUnknown):
        paid_out(KNOWN, said(rows(row)))


@pytest.mark.parametrize("code", sorted({*ANNEXE, "1", "999"} - {"726"}))
def test_a_contact_that_is_refused_refuses_the_payout(code: str) -> None:
    """Any error of its row is a refusal: no money was asked to move."""
    script = Script(LIVE, said(rows({"code": code, "status": "X"})))
    with pytest.raises(Rejected) as refused:
        drive(LIVE.payout(script, order()))
    assert refused.value.code == code
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_gateways_status_refuses_no_payout(status: int) -> None:
    """Without CinetPay's code the first step has no answer: the payout is not sent, not refused."""
    page = Response(status=status, body=b"<html>")
    assert judged(page, CONTACT, money=False) is None
    assert isinstance(judged(Response(status=429), CONTACT, money=False), RateLimited)


@pytest.mark.parametrize(
    "body",
    [
        rows(),
        rows({"lot": "1"}),
        rows({"code": 0}, {"code": 0}),
        rows({"code": 0}, code="715"),
        rows({"code": 726}, code="-1"),
        {"code": "-1", "message": "OPERATION_ERROR", "data": []},
        {"code": "804", "message": "OPERATOR_UNAVAILABLE", "data": []},
        {},
    ],
)
def test_without_a_contact_no_money_is_sent(body: object) -> None:
    """An answer without one row of a contact is no answer."""
    script = Script(LIVE, said(body))
    with pytest.raises(OutcomeUnknown):
        drive(LIVE.payout(script, order()))
    assert [request.money for request in script.requests] == [False]


@pytest.mark.parametrize(("word", "status"), WORDS.items())
def test_each_word_of_the_page_is_its_status(word: str, status: Status) -> None:
    """VAL and REJ are final, NEW, REC and NOS are not."""
    row = {"client_transaction_id": "wage-7", "treatment_status": word}
    found = checked(said(rows(row)))
    assert (found.status, found.provider_status) == (status, word)
    assert (found.reason is None) == (status is not Status.FAILED)


@given(word=st.text(min_size=1, max_size=20))
def test_a_word_that_is_not_listed_is_pending(word: str) -> None:
    """No word but the page's two ends a transfer."""
    if word.strip().rstrip(".").rstrip().upper() in WORDS:
        return
    try:
        found = checked(said(rows({"treatment_status": word})))
    except OutcomeUnknown:
        return  # white space, or a word for nothing
    assert found.status is Status.PENDING


@pytest.mark.parametrize("word", ["CONFIRM", "REFUSED", "FAILED", "SUCCESS", "N"])
@pytest.mark.parametrize("field", ["sending_status", "transfer_valid", "status", "comment"])
def test_no_other_field_speaks_of_the_status(field: str, word: str) -> None:
    """`sending_status` has words that no page lists: they decide nothing."""
    assert checked(said(rows({"treatment_status": "REC", field: word}))).status is Status.PENDING
    assert checked(said(rows({"treatment_status": "VAL", field: word}))).status is Status.SUCCEEDED


def test_a_transfer_that_waits_says_for_what() -> None:
    """NOS may wait for ever: a person is told where."""
    assert "back office" in (checked(reply(NAME, "check_nos.200")).message or "")
    assert checked(reply(NAME, "check_rej.200")).message == "Rejected by the operator"
    assert checked(reply(NAME, "check_rec.200")).message is None


@pytest.mark.parametrize(
    ("code", "reason"), [("602", Reason.INSUFFICIENT_FUNDS), ("802", Reason.UNKNOWN_PAYEE)]
)
def test_a_rejected_transfer_may_say_why(code: str, reason: Reason) -> None:
    """A code beside REJ is its reason; beside any other word it leaves it pending."""
    assert checked(said(rows({"treatment_status": "REJ", "code": code}))).reason is reason
    for word in ("VAL", "NEW", "NOS"):
        found = checked(said(rows({"treatment_status": word, "code": code})))
        assert found.status is Status.PENDING


def test_a_check_asks_by_our_reference() -> None:
    """By ours if there is one, and else by CinetPay's."""
    asked: tuple[tuple[dict[str, Any], dict[str, str]], ...] = (
        ({"reference": "wage-7"}, {"client_transaction_id": "wage-7"}),
        (
            {"reference": "wage-7", "provider_reference": "EA1.2.Z3"},
            {"client_transaction_id": "wage-7"},
        ),
        ({"provider_reference": "EA1.2.Z3"}, {"transaction_id": "EA1.2.Z3"}),
    )
    for held, query in asked:
        script = Script(LIVE, reply(NAME, "check_val.200"))
        found = drive(LIVE.verify(script, Payment(account=NAME, **held)))
        signed = {"token": "simulator-token", "lang": "en"}
        assert script.requests[0].query == {**query, **signed}
        assert (found.reference, found.provider_reference) == ("wage-7", "EA1.2.Z3")
        assert found.payee == "2250102030405"
    with pytest.raises(UsageError, match="reference"):
        drive(LIVE.verify(Script(LIVE), Payment(account=NAME)))


@pytest.mark.parametrize(
    ("row", "held"),
    [
        ({"client_transaction_id": "wage-8"}, {"reference": "wage-7"}),
        ({"transaction_id": "EA9"}, {"provider_reference": "EA1", "reference": None}),
    ],
)
def test_another_transfers_row_is_no_answer(row: dict[str, Any], held: dict[str, Any]) -> None:
    """A check that answers about another transfer proves nothing of this one."""
    with pytest.raises(OutcomeUnknown):
        checked(said(rows({"treatment_status": "VAL", **row})), **held)


def test_two_rows_are_no_answer_to_a_check() -> None:
    """One of them is not ours, and nothing says which."""
    row = {"treatment_status": "VAL"}
    with pytest.raises(OutcomeUnknown):
        checked(said(rows(row, row)))


def test_not_found_is_told_and_never_final() -> None:
    """723 is NotFound, which ends no watch."""
    with pytest.raises(NotFound):
        checked(reply(NAME, "not_found.200"))
    assert CinetPayTransfer.facts["payout"].not_found_final_after is None


@pytest.mark.parametrize(
    "body", [{"code": 0, "data": []}, {"code": "715", "data": {"available": 5}}, {"code": 0}]
)
def test_no_balance_is_invented(body: object) -> None:
    """Without `available`, or with an error, there is no balance."""
    with pytest.raises(OutcomeUnknown):
        drive(LIVE.balance(Script(LIVE, said(body))))


def test_the_balance_is_what_can_be_sent() -> None:
    """`available` in the account's currency, without what is held for transfers that wait."""
    body = {"code": 0, "data": {"amount": 900, "inUsing": 100, "available": 800}}
    account = CinetPayTransfer(apikey="a", password="b", currency="XAF", live=True)
    held = drive(account.balance(Script(account, said(body))))
    assert (held.available, held.currency) == (Decimal(800), "XAF")


def told(fields: dict[str, str], method: str = "POST") -> WebhookRequest:
    """Return a notification."""
    body = "&".join(f"{name}={value}" for name, value in fields.items())
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return WebhookRequest(method=method, headers=headers, body=body.encode())


def test_a_notification_is_a_hint_about_a_payout() -> None:
    """Its ten fields are read, and nothing of them is proved."""
    event = LIVE.webhook(told(sample(NAME, "notification")))
    claims = event.claims
    assert (event.trust.name, event.ping) == ("NOTHING", False)
    assert (claims.kind, claims.reference) == ("payout", "wage-7")
    assert (claims.provider_reference, claims.status) == ("EA1.2.Z3", Status.SUCCEEDED)
    assert (claims.amount, claims.receipt) == (Decimal(500), "CI261201.1020.B00007")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_is_a_ping(method: str) -> None:
    """CinetPay asks by GET whether the address answers, without data: none is read."""
    event = LIVE.webhook(told(sample(NAME, "notification"), method))
    assert event.ping
    assert event.claims.reference is None


@pytest.mark.parametrize("fields", [{}, {"treatment_status": "VAL"}, {"transaction_id": "none"}])
def test_a_notification_without_an_id_is_refused(fields: dict[str, str]) -> None:
    """It is about no transfer."""
    with pytest.raises((Unreadable, BadWebhook)):
        LIVE.webhook(told(fields))


def test_no_secret_can_be_read_off_the_driver(caplog: pytest.LogCaptureFixture) -> None:
    """No credential is in the repr, and the token in a query is in none of a request."""
    assert not any(secret in repr(LIVE) for secret in ("the-apikey", "the-password"))
    with caplog.at_level(logging.DEBUG):
        signed = LIVE.authorize(get("/v1/transfer/check/balance", dict), "t0ken")
    assert "t0ken" not in repr(signed)
    assert "t0ken" not in caplog.text
