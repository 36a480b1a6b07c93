import json
import logging
from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import Pool
from paymux.drivers import load
from paymux.drivers.base import Verb
from paymux.drivers.mpesa import CALLBACK_ADDRESSES, LOGIN, PUSH, QUERY, Mpesa, stk
from paymux.errors import (
    AuthenticationFailed,
    BadWebhook,
    Mismatch,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Unsupported,
    UsageError,
)
from paymux.http import Response, WebhookRequest, get, post
from paymux.models import Order, Payment, Reason, Status, Trust, merge
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, decide
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

DRIVER = Mpesa(
    account="kenya",
    consumer_key="the-key",
    consumer_secret="the-secret",
    shortcode="174379",
    passkey="the-passkey",
)
SECRETS = ("the-key", "the-secret", "the-passkey")
PUSHED = "ws_CO_191220191020363925"
CALLBACK = "https://shop.example/pay/0a1b2c"

# Its case of the contract tests.
CASE = Case(
    order={"currency": "KES", "payer": "254712345678"},
    opens="POST /mpesa/stkpush/v1/processrequest/",
    looks="POST /mpesa/stkpushquery/v1/query/",
    wire=b'"Amount":"1000"',
    login="GET /oauth/v1/generate/",
    tells_amount=False,
    unknown_word="7777",
    fields={"initiator_name": "simulator", "security_credential": "simulator"},
    by_message=True,
    payouts=(
        ("254712345678", "POST /mpesa/b2c/v3/paymentrequest/"),
        ("pochi:254712345678", "POST /mpesa/b2pochi/v1/paymentrequest/"),
        ("paybill:600999", "POST /mpesa/b2b/v1/paymentrequest/"),
        ("till:600998", "POST /mpesa/b2b/v1/paymentrequest/"),
        ("paybill:572572", "POST /mpesa/b2b/v1/remittax/"),
    ),
    payout_options={
        "paybill:600999": {"bill_reference": "353353"},
        "paybill:572572": {"bill_reference": "PRN1234XN"},
    },
    refund="POST /mpesa/reversal/v1/request/",
    words=Shape(
        fields={
            **dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), "simulator"),
            "shortcode": "174379",
        },
        asked={"provider_reference": "ws_CO_13012021093521236557"},
        asked_by="CheckoutRequestID",
        amounts=(),
        answers=("query_succeeded.200", "query_cancelled.200"),
        messages=("callback_succeeded", "callback_cancelled", "callback_expired"),
        places={name: name for name in ("ResultCode", "ResultDesc", "errorMessage")},
        told={
            name: f"Body.stkCallback.{name}"
            for name in ("ResultCode", "ResultDesc", "errorMessage")
        },
        said={
            "query_succeeded.200": Status.SUCCEEDED,
            "query_cancelled.200": Status.CANCELLED,
            "query_processing.200": Status.PENDING,
            "query_processing.500": Status.PENDING,
            "callback_succeeded": Status.SUCCEEDED,
            "callback_bare": Status.SUCCEEDED,
            "callback_cancelled": Status.CANCELLED,
            "callback_expired": Status.EXPIRED,
        },
    ),
    pages=(
        Shape(
            fields={
                **dict.fromkeys(("consumer_key", "consumer_secret", "passkey"), "simulator"),
                "shortcode": "174379",
                "adopt_c2b": True,
            },
            asked={"ids": {"TransID": "yzlyrEsRG1"}},
            amounts=("Response.0.0.amount",),
            answers=("pull_rows.200",),
            places={"transactiontype": "Response.0.0.transactiontype"},
            said={"pull_rows.200": Status.SUCCEEDED},
        ),
    ),
    prepares=lambda mpesa: mpesa.pull.registered.add("174379"),
    history_hours=48,
)


def order(**changes: Any) -> Order:
    """Return an order that the driver accepts, with these changes."""
    fields = {
        "account": "kenya",
        "kind": "collect",
        "reference": "order-1042-of-may",
        "amount": Decimal(1),
        "currency": "KES",
        "party": "254708374149",
        "webhook_url": CALLBACK,
    }
    return Order(**{**fields, **changes})


def pushed(script: Script) -> dict[str, str]:
    """Return the body of the last request."""
    body: dict[str, str] = json.loads(script.requests[-1].content() or b"")
    return body


def held(id: str | None = PUSHED, **changes: Any) -> Payment:
    """Return a payment as a shop holds it."""
    return Payment(account="kenya", provider="mpesa", provider_reference=id, **changes)


def said(code: object, words: object = "words", **more: object) -> Response:
    """Return the answer to a query with this result."""
    body = {
        "ResponseCode": "0",
        "CheckoutRequestID": PUSHED,
        "ResultCode": code,
        "ResultDesc": words,
        **more,
    }
    return Response(status=200, body=json.dumps(body).encode())


def verified(answer: Response, payment: Payment | None = None) -> Payment:
    """Return the payment that a query with this answer finds."""
    return drive(DRIVER.verify(Script(DRIVER, answer), payment or held()))


def incoming(body: object) -> WebhookRequest:
    """Return a message with this body."""
    return WebhookRequest(body=body if isinstance(body, bytes) else json.dumps(body).encode())


def fault(status: int, code: str, words: str) -> Response:
    """Return an error in the gateway's format."""
    body = {"requestId": "1-2-3", "errorCode": code, "errorMessage": words}
    return Response(status=status, body=json.dumps(body).encode())


def judged(path: str, answer: Response, *, money: bool = True) -> ProviderError | None:
    """Return the driver's verdict on an answer to a request for this path."""
    return DRIVER.judge(post(path, dict, {}, money=money), answer)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # In East Africa this is already the next day.
    late = datetime(2024, 6, 7, 21, 30, 45, tzinfo=UTC)
    monkeypatch.setattr(stk, "time", SimpleNamespace(time=late.timestamp))


def test_it_is_found_by_name() -> None:
    """`load("mpesa")` returns the driver with its operations."""
    assert load("mpesa") is Mpesa
    verbs: tuple[Verb, ...] = (
        "collect",
        "payout",
        "refund",
        "verify",
        "find",
        "balance",
        "webhook",
    )
    assert [Mpesa.can(verb) for verb in verbs] == [True] * 7
    assert [Mpesa.can("history"), Mpesa.can("returned")] == [True, False]
    assert not Mpesa.facts["collect"].deduplicates


def test_login_sends_key_and_secret_and_reads_a_lifetime_sent_as_text() -> None:
    """Token and lifetime are read from the documented answer, with the number as text."""
    script = Script(DRIVER, reply("mpesa", "login.200"))
    token = drive(DRIVER.token(script))
    assert (token.secret.reveal(), token.expires_in) == ("c9SQxWWhmdVRlyh0zh8gZDTkubVF", 3599)
    (request,) = script.requests
    assert request.target() == "/oauth/v1/generate?grant_type=client_credentials"
    assert (
        b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"the-key:the-secret"
    )
    assert not request.money


def test_refused_credentials_come_as_an_empty_400() -> None:
    """A 400 with an empty body is AuthenticationFailed."""
    with pytest.raises(AuthenticationFailed) as failed:
        drive(DRIVER.token(Script(DRIVER, reply("mpesa", "login_refused.400"))))
    assert failed.value.http_status == 400
    login = get(LOGIN, dict)
    assert isinstance(
        DRIVER.judge(login, fault(400, "400.008.02", "Invalid grant type")), AuthenticationFailed
    )
    assert not isinstance(
        DRIVER.judge(login, Response(status=400, body=b"<html>")), AuthenticationFailed
    )


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=200, body=b'{"expires_in": "3599"}'),
        Response(status=200, body=b"<html>"),
        reply("mpesa", "firewall.503"),
    ],
)
def test_a_login_without_a_token_is_no_login(answer: Response) -> None:
    """An answer without a token never becomes an empty token."""
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.token(Script(DRIVER, answer)))


def test_the_push_has_the_documented_fields_in_order_and_as_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A paybill push is the documented request, except for our own values."""
    ticks = iter([datetime(2016, 2, 16, 13, 56, second, tzinfo=UTC) for second in (27, 28, 29)])
    monkeypatch.setattr(stk, "time", SimpleNamespace(time=lambda: next(ticks).timestamp()))
    script = Script(DRIVER, reply("mpesa", "push.200"))
    asked = order(
        webhook_url="https://mydomain.com/path",
        description="Test",
        extra={"account_reference": "Test"},
    )
    drive(DRIVER.collect(script, asked))
    documented = sample("mpesa", "push_request")
    body = pushed(script)
    assert list(body) == list(documented)
    assert {**body, "Password": ""} == {**documented, "Password": ""}
    # The Password has the same Timestamp as the field, although the clock moved on.
    assert b64decode(body["Password"]).decode() == f"174379the-passkey{documented['Timestamp']}"
    assert (script.requests[0].method, script.requests[0].target()) == ("POST", PUSH)
    assert script.requests[0].headers["Authorization"] == "Bearer simulator-token"
    assert script.requests[0].money
    assert not script.requests[0].repeatable


def test_times_are_east_african() -> None:
    """The timestamp is in UTC+3 on any machine: 21:30 UTC is 00:30 of the next day."""
    script = Script(DRIVER, reply("mpesa", "push.200"))
    drive(DRIVER.collect(script, order()))
    assert pushed(script)["Timestamp"] == "20240608003045"


def test_a_till_is_paid_as_buy_goods() -> None:
    """With a till, PartyB is the till, and BusinessShortCode stays the head office."""
    driver = msgspec.structs.replace(DRIVER, till="5550001")
    script = Script(driver, reply("mpesa", "push.200"))
    drive(driver.collect(script, order()))
    body = pushed(script)
    assert [body[name] for name in ("TransactionType", "PartyB", "BusinessShortCode")] == [
        "CustomerBuyGoodsOnline",
        "5550001",
        "174379",
    ]


def test_what_the_order_does_not_say_has_a_default() -> None:
    """AccountReference is the first 12 of the reference, TransactionDesc is `Payment`."""
    script = Script(DRIVER, reply("mpesa", "push.200"))
    drive(DRIVER.collect(script, order()))
    assert (pushed(script)["AccountReference"], pushed(script)["TransactionDesc"]) == (
        "order-1042-o",
        "Payment",
    )


def test_an_accepted_push_is_pending() -> None:
    """An accepted push is PENDING, not paid; it has both ids and the text for the payer."""
    payment = drive(DRIVER.collect(Script(DRIVER, reply("mpesa", "push.200")), order()))
    assert payment == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        provider_reference=PUSHED,
        ids={"MerchantRequestID": "29115-34620561-1"},
        prompt="Success. Request accepted for processing",
    )
    answer = {**sample("mpesa", "push.200"), "ResultCode": "0"}
    odd = drive(
        DRIVER.collect(
            Script(DRIVER, Response(status=200, body=json.dumps(answer).encode())), order()
        )
    )
    assert odd.status is Status.PENDING


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": Decimal(250_001)}, "amount"),
        ({"amount": Decimal(0)}, "amount"),
        ({"amount": Decimal("1E+1000000")}, "amount"),
        ({"amount": Decimal("1.5")}, "amount"),
        ({"webhook_url": None}, "webhook_url"),
        ({"webhook_url": "ftp://shop.example/pay"}, "webhook_url"),
        ({"party": None}, "payer"),
        ({"party": "237670000000"}, "payer"),
        ({"description": "fourteen chars"}, "description"),
        (
            {"description": "Tea & milk"},
            "description: 'Tea & milk' is refused; accepted: text without &",
        ),
        ({"description": "a\nb"}, "description"),
        ({"description": "   "}, "description"),
        ({"extra": {"account_reference": "thirteen-char"}}, "account_reference"),
        ({"extra": {"account_reference": ""}}, "account_reference"),
        ({"extra": {"account_reference": 12}}, "account_reference"),
        ({"extra": {"account_reference": "a@b"}}, "text without @"),
        ({"extra": {"account_reference": "no#1"}}, "text without #"),
    ],
)
def test_bad_orders_are_refused_before_anything_is_sent(
    changes: dict[str, Any], named: str
) -> None:
    """Orders that Daraja would refuse or drop are UsageError naming the field, and never cut."""
    script = Script(DRIVER)
    with pytest.raises(UsageError, match=f"^{named}|{named}$"):
        drive(DRIVER.collect(script, order(**changes)))
    assert script.requests == []


@pytest.mark.proves("mpesa_gateway: the path has the word mpesa")
@pytest.mark.parametrize("word", ["mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query"])
@pytest.mark.parametrize("write", [str.lower, str.upper, str.title])
def test_a_word_to_avoid_in_the_callback_address_is_warned_of_and_not_refused(
    word: str, write: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback path with a word that the docs advise against is used, with one warning."""
    url = f"https://shop.example/{write(word)}-callback/"
    script = Script(DRIVER, reply("mpesa", "push.200"))
    drive(DRIVER.collect(script, order(webhook_url=url)))
    assert pushed(script)["CallBackURL"] == url
    assert caplog.records == []
    Pool(
        DRIVER,
        msgspec.structs.replace(DRIVER, account="second"),
        webhook_base=url,
        webhook_key="k" * 16,
    )
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("paymux", "WARNING")
    assert f"{word[:3]}" in record.getMessage()
    assert "mpesa advises against" in record.getMessage()


@pytest.mark.parametrize(
    "base",
    ["https://mpesa.safaricom.example/pay", "https://sql.shop.example", "https://shop.example"],
)
def test_a_hosts_name_is_nobodys_business(base: str, caplog: pytest.LogCaptureFixture) -> None:
    """A word in the host causes no warning."""
    Pool(DRIVER, webhook_base=base, webhook_key="k" * 16)
    assert caplog.records == []


def test_a_sandbox_may_call_back_over_http() -> None:
    """A sandbox accepts an http callback on any host; a live account needs https."""
    plain = "http://shop.example/pay"
    script = Script(DRIVER, reply("mpesa", "push.200"))
    drive(DRIVER.collect(script, order(webhook_url=plain)))
    assert pushed(script)["CallBackURL"] == plain
    live = msgspec.structs.replace(DRIVER, live=True)
    with pytest.raises(UsageError, match="webhook_url"):
        drive(live.collect(Script(live), order(webhook_url=plain)))


def test_the_limit_is_a_setting() -> None:
    """`max_amount` changes Safaricom's limit for an account."""
    driver = msgspec.structs.replace(DRIVER, max_amount=500_000)
    script = Script(driver, reply("mpesa", "push.200"))
    drive(driver.collect(script, order(amount=Decimal(500_000))))
    assert pushed(script)["Amount"] == "500000"


@pytest.mark.parametrize(
    ("case", "kind", "words", "reason"),
    [
        ("push_invalid_phone.400", Rejected, "Invalid PhoneNumber", None),
        ("push_invalid_remarks.400", Rejected, "Invalid Remarks", None),
        ("push_merchant_unknown.500", Rejected, "shortcode is unknown", None),
        ("push_wrong_credentials.500", Rejected, "passkey", None),
        ("push_subscriber_locked.500", Rejected, "Unable to lock", Reason.BUSY),
        ("spike_arrest.500", RateLimited, "Spike Arrest", None),
        ("stale_token.401", AuthenticationFailed, "Invalid Access Token", None),
        ("stale_token.404", AuthenticationFailed, "Invalid Access Token", None),
    ],
)
def test_refusals_of_a_push_are_known_by_code_and_message(
    case: str, kind: type[ProviderError], words: str, reason: Reason | None
) -> None:
    """One code has several meanings; each refusal is the right error for its message."""
    with pytest.raises(kind, match=words) as refused:
        drive(DRIVER.collect(Script(DRIVER, reply("mpesa", case)), order()))
    body = sample("mpesa", case)
    assert type(refused.value) is kind
    assert (refused.value.code, refused.value.reason) == (body["errorCode"], reason)
    assert refused.value.request_id == body.get("requestId")
    assert refused.value.http_status == int(case[-3:])


def test_a_refused_field_is_named() -> None:
    """A refused field's name, in Daraja's spelling, is in the error's `details`."""
    error = judged(PUSH, reply("mpesa", "push_invalid_phone.400"))
    assert error is not None
    assert error.details == {"field": "PhoneNumber"}
    assert judged(PUSH, fault(400, "400.002.05", "Invalid Request Payload")) is not None


@pytest.mark.parametrize(
    "answer",
    [
        reply("mpesa", "query_processing.500"),
        reply("mpesa", "system_busy.500"),
        reply("mpesa", "firewall.503"),
        Response(status=400),
        Response(status=401, body=b"<html>"),
        Response(status=404, body=b'{"errorMessage": "Resource not found"}'),
        Response(status=429, body=b"slow down"),
        Response(status=500, body=b'{"Envelope": {"Body": {"Fault": "policy"}}}'),
        Response(status=500, body=b'{"errorCode": {"deep": 1}, "errorMessage": []}'),
        Response(status=302),
        Response(status=200, body=b""),
        Response(status=200, body=b'{"requestId": "1", "errorMessage": "?"}'),
        Response(status=200, body=b'{"ResponseCode": "0"}'),
        Response(status=200, body=b'{"ResponseCode": "1", "CheckoutRequestID": "ws_CO_1"}'),
        Response(
            status=200,
            body=b'{"errorCode": "400.002.02", "errorMessage": "Bad Request - Invalid Amount"}',
        ),
        fault(500, "500.001.1001", "something new"),
        fault(500, "500.002.1001", "service under maintenance"),
        fault(500, "500.003.1001", "Internal Server Error"),
    ],
)
def test_any_other_answer_to_a_push_is_unknown(answer: Response) -> None:
    """An answer that is no listed refusal proves nothing about money, and nothing is repeated."""
    request = post(PUSH, dict, {}, matches=lambda found: False)
    assert DRIVER.judge(request, answer) is None
    with pytest.raises(OutcomeUnknown, match="anything may have happened"):
        drive(DRIVER.collect(Script(DRIVER, answer), order()))


def test_a_fault_is_judged_by_endpoint() -> None:
    """Faults of a push prove nothing as answers to a query or another endpoint."""
    locked = fault(500, "500.001.1001", "Unable to lock subscriber")
    assert isinstance(judged(PUSH, locked), Rejected)
    assert judged(QUERY, locked, money=False) is None
    assert (
        judged(
            "/mpesa/b2c/v3/paymentrequest", fault(500, "500.001.1001", "Merchant does not exist")
        )
        is None
    )
    assert isinstance(judged(QUERY, reply("mpesa", "system_busy.500"), money=False), RateLimited)


def test_the_query_has_the_documented_fields_and_a_fresh_password() -> None:
    """The query is the documented request, and no money request."""
    script = Script(DRIVER, said("1032"))
    drive(DRIVER.verify(script, held()))
    body = pushed(script)
    assert list(body) == list(sample("mpesa", "query_request"))
    assert (body["CheckoutRequestID"], body["Timestamp"]) == (PUSHED, "20240608003045")
    assert b64decode(body["Password"]) == b"174379the-passkey20240608003045"
    assert not script.requests[0].money


def apigee(
    code: object, words: object = "Spike arrest violation.", **more: object
) -> dict[str, object]:
    """Return a fault in Apigee's format."""
    return {"fault": {"faultstring": words, "detail": {"errorcode": code}, **more}}


@pytest.mark.parametrize("status", [200, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("code", ["SpikeArrestViolation", "QuotaViolation"])
def test_apigees_throttling_comes_before_daraja(code: str, status: int) -> None:
    """Both policies, complete, mean throttled under any status, also for money."""
    answer = Response(status=status, body=json.dumps(apigee(f"policies.ratelimit.{code}")).encode())
    for path, money in ((PUSH, True), (QUERY, False), (LOGIN, False)):
        verdict = decide(DRIVER, post(path, dict, {}, money=money), answer)
        assert verdict.means is Means.THROTTLED
        assert isinstance(verdict.error, RateLimited)
        assert verdict.error.code == f"policies.ratelimit.{code}"


SPIKE = "policies.ratelimit.SpikeArrestViolation"


@pytest.mark.parametrize(
    "body",
    [
        apigee("policies.ratelimit.FailedToResolveSpikeArrestRate"),
        apigee("policies.concurrentratelimit.ConcurrentRatelimtViolation"),
        apigee("policies.ratelimit.SpikeArrestViolation.Other"),
        apigee("POLICIES.RATELIMIT.QUOTAVIOLATION"),
        apigee([SPIKE]),
        apigee(SPIKE, words=None),
        apigee(SPIKE, more="x"),
        {**apigee(SPIKE), "CheckoutRequestID": PUSHED},
        {"fault": {"detail": {"errorcode": SPIKE}}},
        {"fault": {"faultstring": "x", "detail": SPIKE}},
        {"fault": SPIKE},
        {"errorcode": SPIKE},
        [apigee(SPIKE)],
        f"<fault>{SPIKE}</fault>",
    ],
)
@pytest.mark.parametrize("status", [200, 401, 429, 500])
def test_any_other_fault_of_apigees_leaves_money_unknown(body: object, status: int) -> None:
    """Another policy or format does not prove that processing did not start."""
    answer = Response(status=status, body=json.dumps(body).encode())
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.collect(Script(DRIVER, answer), order()))


def test_a_result_beside_a_fault_ends_nothing() -> None:
    """A fault that says "being processed" leaves the payment pending, with any result."""
    for code in ("0", "1032"):
        odd = {**sample("mpesa", "query_processing.500"), "ResultCode": code, "ResponseCode": "0"}
        for status in (200, 500):
            found = verified(Response(status=status, body=json.dumps(odd).encode()))
            assert (found.status, found.provider_status) == (Status.PENDING, code)


@pytest.mark.parametrize("case", ["query_succeeded.200", "query_cancelled.200"])
def test_a_result_under_http_500_is_none(case: str) -> None:
    """Under HTTP 500 the only documented answer to a query is "being processed"."""
    body = json.dumps(sample("mpesa", case)).encode()
    with pytest.raises(OutcomeUnknown):
        verified(Response(status=500, body=body), held(sample("mpesa", case)["CheckoutRequestID"]))


@pytest.mark.parametrize(
    ("case", "code"), [("query_processing.500", "500.001.1001"), ("query_processing.200", "4999")]
)
def test_both_shapes_of_processing_are_pending(case: str, code: str) -> None:
    """Both of Daraja's formats for "processing" are pending, neither error nor failure."""
    id = sample("mpesa", case).get("CheckoutRequestID", PUSHED)
    payment = verified(reply("mpesa", case), held(id))
    assert (payment.status, payment.provider_status) == (Status.PENDING, code)
    assert payment.provider_reference == id
    assert payment.reason is None


@pytest.mark.parametrize(
    "words", ["The transaction is STILL being Processed", "request is being processed"]
)
@pytest.mark.parametrize("code", ["0", "1", "1032"])
def test_words_of_processing_outweigh_any_code(code: str, words: str) -> None:
    """A contradictory answer is neither success nor failure."""
    payment = verified(said(code, words))
    assert (payment.status, payment.provider_status, payment.reason) == (Status.PENDING, code, None)


def test_only_the_start_of_the_words_is_searched() -> None:
    """A forger's long text takes no time, and does not change the status."""
    assert verified(said("1032", "being " * 40_000 + "processed")).status is Status.CANCELLED
    assert verified(said("1032", "x" * 300 + "still being processed")).status is Status.CANCELLED


RESULTS = [
    ("0", Status.SUCCEEDED, None),
    ("1", Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    ("2", Status.FAILED, Reason.LIMIT),
    ("3", Status.FAILED, Reason.LIMIT),
    ("4", Status.FAILED, Reason.LIMIT),
    ("8", Status.FAILED, Reason.LIMIT),
    ("17", Status.PENDING, None),
    ("26", Status.PENDING, None),
    ("1001", Status.FAILED, Reason.BUSY),
    ("1019", Status.EXPIRED, Reason.EXPIRED),
    ("1025", Status.PENDING, None),
    ("1031", Status.CANCELLED, Reason.CANCELLED),
    ("1032", Status.CANCELLED, Reason.CANCELLED),
    ("1036", Status.PENDING, None),
    ("1037", Status.EXPIRED, Reason.EXPIRED),
    ("1101", Status.FAILED, Reason.OTHER),
    ("1102", Status.FAILED, Reason.OTHER),
    ("2001", Status.FAILED, Reason.WRONG_PIN),
    ("2028", Status.FAILED, Reason.OTHER),
    ("2029", Status.FAILED, Reason.OTHER),
    ("4999", Status.PENDING, None),
    ("8006", Status.FAILED, Reason.OTHER),
    ("9999", Status.PENDING, None),
    ("E3008", Status.FAILED, Reason.DECLINED),
    ("SFC_IC0003", Status.FAILED, Reason.OTHER),
    ("00", Status.PENDING, None),
    ("0.0", Status.PENDING, None),
]


@pytest.mark.parametrize(("code", "status", "reason"), RESULTS)
def test_every_result_code_has_its_meaning(
    code: str, status: Status, reason: Reason | None
) -> None:
    """Only 0 is success, only proof that no money moved is failure, in query and callback."""
    asked = verified(said(code))
    assert (asked.status, asked.reason, asked.provider_status) == (status, reason, code)
    told = {
        "CheckoutRequestID": PUSHED,
        "ResultCode": int(code) if code.isdigit() else code,
        "ResultDesc": "words",
    }
    if code != "00":
        claims = DRIVER.webhook(incoming({"Body": {"stkCallback": told}})).claims
        assert (claims.status, claims.reason, claims.provider_status) == (status, reason, code)


def test_an_unknown_code_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown code is kept as pending, and logged the first time."""
    with caplog.at_level(logging.WARNING, "paymux"):
        for _ in range(3):
            assert verified(said("70707")).status is Status.PENDING
    assert [record.getMessage() for record in caplog.records] == [
        "mpesa: unknown status '70707' is kept as pending"
    ]


def test_a_query_tells_neither_amount_nor_receipt() -> None:
    """A success by query has no amount and no receipt, since Daraja sends none."""
    id = sample("mpesa", "query_succeeded.200")["CheckoutRequestID"]
    payment = verified(reply("mpesa", "query_succeeded.200"), held(id))
    assert payment.status is Status.SUCCEEDED
    assert (payment.amount, payment.receipt, payment.currency, payment.paid_at) == (
        None,
        None,
        None,
        None,
    )
    assert payment.ids == {"MerchantRequestID": "22205-34066-1"}
    assert payment.message == "The service request is processed successfully."
    assert verified(reply("mpesa", "query_cancelled.200"), held(id)).status is Status.CANCELLED


@pytest.mark.parametrize(
    "answer",
    [
        said("0", CheckoutRequestID="ws_CO_of_another"),
        said("0", ResponseCode="1"),
        said(None),
        said(False),
        said("", ""),
        Response(status=200, body=b"{}"),
        Response(status=200, body=b"<html>OK</html>"),
        Response(status=500, body=b"{}"),
        fault(500, "500.001.1001", "something new"),
        fault(500, "500.003.1001", "is being processed"),
        reply("mpesa", "firewall.503"),
    ],
)
def test_an_answer_that_is_not_ours_is_no_answer(answer: Response) -> None:
    """An answer to another query, an empty one or a foreign one changes nothing."""
    with pytest.raises(OutcomeUnknown):
        verified(answer)


def test_a_query_answer_need_not_echo_the_id() -> None:
    """Without an id in the answer, the payment keeps its own id."""
    payment = verified(Response(status=200, body=b'{"ResultCode": 1032}'))
    assert (payment.status, payment.provider_reference) == (Status.CANCELLED, PUSHED)


def test_only_a_push_can_be_asked_for() -> None:
    """Without a CheckoutRequestID, or with a C2B payment's number, nothing is sent."""
    script = Script(DRIVER)
    for payment in (held(None), held("RKL51ZDR4F", ids={"TransID": "RKL51ZDR4F"})):
        with pytest.raises(Unsupported):
            drive(DRIVER.verify(script, payment))
    assert script.requests == []


def test_a_callback_of_success_is_a_claim_with_the_receipt() -> None:
    """All fields of a callback are claims, and prove nothing."""
    event = DRIVER.webhook(incoming(sample("mpesa", "callback_succeeded")))
    assert (event.account, event.provider, event.trust) == ("kenya", "mpesa", Trust.NOTHING)
    assert event.claims == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        provider_reference=PUSHED,
        ids={"MerchantRequestID": "29115-34620561-1", "receipt": "NLJ7RT61SV"},
        status=Status.SUCCEEDED,
        amount=Decimal(1),
        currency="KES",
        payer="254708374149",
        receipt="NLJ7RT61SV",
        provider_status="0",
        message="The service request is processed successfully.",
        paid_at=datetime(2019, 12, 19, 7, 21, 15, tzinfo=UTC),
    )


@pytest.mark.proves("mpesa_gateway: Body.stkCallback MerchantRequestID")
@pytest.mark.parametrize(
    ("case", "id", "status"),
    [
        ("callback_bare", "ws_CO_123456789", Status.SUCCEEDED),
        ("callback_cancelled", PUSHED, Status.CANCELLED),
        ("callback_expired", "ws_CO_23052022122137653708374149", Status.EXPIRED),
        ("callback_operator_unknown", "ws_CO_270920212128259339", Status.FAILED),
    ],
)
def test_callbacks_without_metadata_are_read(case: str, id: str, status: Status) -> None:
    """Failures, and some successes, have no CallbackMetadata; codes are numbers or text."""
    claims = DRIVER.webhook(incoming(sample("mpesa", case))).claims
    assert (claims.provider_reference, claims.status) == (id, status)
    assert (claims.amount, claims.receipt, claims.paid_at) == (None, None, None)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"Item": None}, {"Item": []}, {"Item": [{"Name": "Balance"}]}]
)
def test_empty_metadata_is_no_metadata(metadata: object) -> None:
    """A callback with any form of empty metadata is read."""
    body = sample("mpesa", "callback_bare")
    body["Body"]["stkCallback"]["CallbackMetadata"] = metadata
    claims = DRIVER.webhook(incoming(body)).claims
    assert (claims.status, claims.amount) == (Status.SUCCEEDED, None)


@pytest.mark.parametrize("case", ["c2b_validation", "c2b_confirmation"])
def test_a_c2b_message_is_a_hint(case: str) -> None:
    """A C2B payment has its number and the payer's own reference, and no status."""
    event = DRIVER.webhook(incoming(sample("mpesa", case)))
    assert event.trust is Trust.NOTHING
    assert event.claims == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        reference="Sample Transaction",
        provider_reference="RKL51ZDR4F",
        ids={"receipt": "RKL51ZDR4F", "TransID": "RKL51ZDR4F", "MSISDN": "2547 ***** 126"},
        amount=Decimal(5),
        currency="KES",
        receipt="RKL51ZDR4F",
        paid_at=datetime(2023, 11, 21, 9, 13, 25, tzinfo=UTC),
    )


def test_c2b_replies_are_the_documented_bodies() -> None:
    """Accepting and rejecting have Safaricom's bodies; an unknown code is refused."""
    assert Mpesa.c2b_reply(True) == sample("mpesa", "c2b_accepted")
    assert Mpesa.c2b_reply(False, "C2B00012") == sample("mpesa", "c2b_rejected")
    for code in ("C2B00010", "C2B00017", "12", ""):
        with pytest.raises(UsageError, match="code"):
            Mpesa.c2b_reply(False, code)


@pytest.mark.parametrize(
    ("peer", "listed"),
    [
        ("196.201.214.200", True),
        ("196.201.213.114", True),
        ("196.201.212.69", True),
        ("::ffff:196.201.212.138", True),
        ("196.201.214.201", False),
        ("127.0.0.1", False),
        ("196.201.214.200, 10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_source_addresses_can_be_checked(peer: str | None, listed: bool) -> None:
    """The twelve documented addresses are known, also in the form of a dual-stack socket."""
    assert Mpesa.from_safaricom(peer) is listed
    assert len(CALLBACK_ADDRESSES) == 12


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"<html>",
        b"[" * 100_000,
        b'{"Body":' * 50_000,
        b'{"Body": {}}',
        b'{"Body": {"other": {"ResultCode": 0, "CheckoutRequestID": "x"}}}',
        b'{"Body": {"stkCallback": {"ResultCode": 0}}}',
        b'{"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1"}}}',
        b'{"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1", "ResultCode": false}}}',
        (
            b'{"Body": {"stkCallback": {"CheckoutRequestID": "ws_CO_1", '
            b'"ResultCode": 1, "ResultCode": 0}}}'
        ),
        b'{"Body": {"stkCallback": []}, "TransID": "RKL51ZDR4F"}',
        b'{"TransID": ""}',
        b'{"TransID": "RKL51ZDR4F", "TransAmount": "1E+1000000"}',
        b'{"TransID": "RKL51ZDR4F", "TransAmount": ' + b"9" * 5000 + b"}",
        b'{"TransID": "RKL51ZDR4F", "TransAmount": NaN}',
        b'{"Result": {"ResultCode": 0}}',
    ],
)
def test_hostile_messages_are_unreadable(body: bytes) -> None:
    """A message that does not have Safaricom's format is dropped."""
    with pytest.raises((BadWebhook, Unreadable, UnicodeDecodeError)):
        DRIVER.webhook(incoming(body))


def test_a_strange_date_or_phone_is_left_out() -> None:
    """An impossible date or phone number is left out; the rest of the message is read."""
    body = sample("mpesa", "c2b_confirmation")
    for time in ("00010101000000", "20231399000000", "yesterday", 10**30, None):
        claims = DRIVER.webhook(incoming({**body, "TransTime": time, "MSISDN": "a" * 64})).claims
        assert (claims.paid_at, claims.payer, claims.amount) == (None, None, Decimal(5))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
ITEMS = ("Amount", "MpesaReceiptNumber", "TransactionDate", "PhoneNumber")


@pytest.mark.slow
@given(st.data())
def test_no_message_breaks_the_parser(data: st.DataObject) -> None:
    """Any JSON in any documented field gives an event or Unreadable."""
    told = {name: data.draw(JUNK) for name in ("CheckoutRequestID", "ResultCode", "ResultDesc")}
    told["CallbackMetadata"] = {
        "Item": [{"Name": name, "Value": data.draw(JUNK)} for name in ITEMS]
    }
    flat = {
        name: data.draw(JUNK)
        for name in ("TransID", "TransTime", "TransAmount", "BillRefNumber", "MSISDN")
    }
    for body in ({"Body": {"stkCallback": told}}, flat, {"Body": data.draw(JUNK), **flat}):
        try:
            event = DRIVER.webhook(incoming(body))
        except (Unreadable, UnicodeDecodeError):
            continue
        assert event.trust is Trust.NOTHING


def test_a_success_is_never_undone_by_a_query() -> None:
    """If a query reports a paid payment as failed, this is logged, and the success stays."""
    known = merge(held(), DRIVER.webhook(incoming(sample("mpesa", "callback_succeeded"))).claims)
    found = verified(said("1037"))
    with pytest.raises(Mismatch):
        merge(known, found)
    merged = merge(known, verified(said("0")))
    assert (merged.receipt, merged.amount) == ("NLJ7RT61SV", Decimal(1))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"consumer_key": ""}, "consumer_key"),
        ({"passkey": ""}, "passkey"),
        ({"passkey": "a\r\nb"}, "passkey"),
        ({"consumer_secret": "the-secret\x00"}, "consumer_secret"),
        ({"shortcode": "1743"}, "shortcode"),
        ({"shortcode": "17437९"}, "shortcode"),
        ({"shortcode": 174379}, "shortcode"),
        ({"till": "my till"}, "till"),
        ({"till": None}, "till"),
        ({"max_amount": 0}, "max_amount"),
        ({"max_amount": True}, "max_amount"),
        ({"max_amount": 1e6}, "max_amount"),
        ({"live": "no"}, "live"),
    ],
)
def test_wrong_fields_name_themselves(fields: dict[str, Any], named: str) -> None:
    """A wrong credential or number of the account is UsageError, and no secret is in it."""
    good = {"consumer_key": "k", "consumer_secret": "s", "shortcode": "174379", "passkey": "p"}
    with pytest.raises(UsageError, match=f"^{named}: ") as refused:
        Mpesa(**{**good, **fields})
    assert "the-secret" not in str(refused.value)


SETTINGS = {
    "MPESA_ENVIRONMENT": "production",
    "MPESA_CONSUMER_KEY": "the-key",
    "MPESA_CONSUMER_SECRET": "the-secret",
    "MPESA_SHORTCODE": "174379",
    "MPESA_PASSKEY": "the-passkey",
}


@pytest.mark.proves(
    "mpesa_gateway: MPESA_ENVIRONMENT 'sandbox'",
    "mpesa_gateway: MPESA_CONSUMER_KEY, MPESA_CONSUMER_SECRET",
    "mpesa_gateway: integration steps 1",
)
@pytest.mark.parametrize("settings", [SETTINGS, SimpleNamespace(**SETTINGS)])
def test_settings_are_read_by_their_django_names(settings: object) -> None:
    """A mapping and an object such as django.conf.settings give the same driver."""
    driver = Mpesa.from_settings(settings)
    assert (driver.live, driver.url, driver.account) == (
        True,
        "https://api.safaricom.co.ke",
        "mpesa",
    )
    assert (driver.secrets(), driver.shortcode) == ((*SECRETS, ""), "174379")
    paying = Mpesa.from_settings(
        {**SETTINGS, "MPESA_INITIATOR_NAME": "api", "MPESA_SECURITY_CREDENTIAL": "cipher"}
    )
    assert (paying.initiator_name, paying.secrets()[-1]) == ("api", "cipher")
    sandbox = Mpesa.from_settings({**SETTINGS, "MPESA_ENVIRONMENT": "sandbox"})
    assert (sandbox.live, sandbox.url) == (False, "https://sandbox.safaricom.co.ke")


@pytest.mark.proves("mpesa_gateway: MPESA_ENVIRONMENT 'sandbox'")
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("value", ["", None, 7, "\n", "a\x00b"])
def test_a_missing_or_wrong_setting_is_named(name: str, value: object) -> None:
    """Errors of from_settings have the setting's own name, and no secret."""
    for settings in (
        {**SETTINGS, name: value},
        {key: text for key, text in SETTINGS.items() if key != name},
    ):
        with pytest.raises(UsageError, match=f"^{name}: ") as refused:
            Mpesa.from_settings(settings)
        assert not any(secret in str(refused.value) for secret in SECRETS)


def test_no_secret_is_printed() -> None:
    """No credential shows in a driver, a request or an error."""
    script = Script(DRIVER, reply("mpesa", "push_wrong_credentials.500"))
    with pytest.raises(Rejected) as refused:
        drive(DRIVER.collect(script, order()))
    printed = f"{DRIVER!r} {script.requests[0]!r} {refused.value!r} {refused.value}"
    assert not any(secret in printed for secret in SECRETS)
    assert pushed(script)["Password"] not in printed


def test_a_stale_token_is_refused_before_processing() -> None:
    """Both token faults mean a stale token, also for money: M-Pesa did not get the request."""
    for case in ("stale_token.401", "stale_token.404"):
        assert decide(DRIVER, post(PUSH, dict, {}), reply("mpesa", case)).means is Means.STALE
    throttled = decide(DRIVER, post(PUSH, dict, {}), reply("mpesa", "spike_arrest.500"))
    assert throttled.means is Means.THROTTLED
