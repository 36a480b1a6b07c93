"""Wave's driver, tested with bodies that Wave documents, or that were composed of its fields."""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers import load
from paymux.drivers.base import Duplicate
from paymux.drivers.wave import Wave
from paymux.drivers.wave.answers import KEY_REFUSALS, PAYOUT_ERROR, REFUSALS, Payout, Session
from paymux.drivers.wave.signature import seal
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
from paymux.models import Customer, Event, Order, Payment, Reason, Status, Trust
from paymux.testing.contract import Case, Shape
from paymux.values.parsing import Empty, Unreadable
from tests.driving import Script, drive, reply, sample

# Its case of the contract tests.
CASE = Case(
    order={
        "currency": "XOF",
        "payer": "221771234567",
        "return_url": "https://shop.example/back",
        "cancel_url": "https://shop.example/left",
    },
    opens="POST /v1/checkout/sessions/",
    looks="GET /v1/checkout/sessions/",
    wire=b'"amount":"1000"',
    told={Status.CANCELLED: Status.EXPIRED},
    signs=True,
    signs_body=True,
    signs_with=("webhook_secret",),
    no_funds={"balance": 0},
    dashboard=True,
    history_hours=48,
    payouts=(("221771234567", "POST /v1/payout/"),),
    resends=frozenset({"POST /v1/payout/", "POST /v1/checkout/sessions/cos-"}),
    refund="POST /v1/checkout/sessions/cos-",
    refunds_once=True,
    words=Shape(
        fields={"api_key": "simulator", "live": True},
        asked={"provider_reference": "cos-18qq25rgr100a"},
        answers=(
            "session_complete.200",
            "session_open.200",
            "session_tried.200",
            "session_expired.200",
        ),
        messages=("event_completed", "event_payment_failed"),
        places={
            "checkout_status": "checkout_status",
            "payment_status": "payment_status",
            "last_payment_error": "last_payment_error.code",
        },
        told={
            "checkout_status": "data.checkout_status",
            "payment_status": "data.payment_status",
            "last_payment_error": "data.last_payment_error.code",
        },
        said={
            "session_complete.200": Status.SUCCEEDED,
            "session_open.200": Status.PENDING,
            "session_tried.200": Status.PENDING,
            "session_expired.200": Status.EXPIRED,
            "event_completed": Status.SUCCEEDED,
            "event_payment_failed": Status.PENDING,
        },
    ),
    pages=(
        Shape(
            fields={"api_key": "simulator", "live": True},
            asked={"kind": "payout"},
            asked_by="id",
            answers=(
                "payout_succeeded.200",
                "payout_get.200",
                "payout_processing.200",
                "payout_failed.200",
            ),
            places={"payout.status": "status", "payout_error": "payout_error.error_code"},
            amounts=("receive_amount",),
            said={
                "payout_succeeded.200": Status.SUCCEEDED,
                "payout_get.200": Status.SUCCEEDED,
                "payout_processing.200": Status.PENDING,
                "payout_failed.200": Status.FAILED,
            },
        ),
    ),
)

WAVE = Wave(api_key="wave_sn_prod_key", webhook_secret="the-new-secret,the-old-one", live=True)
OPEN = Wave(api_key="wave_sn_prod_key", live=True)
DONE = Response(status=200)
PAID = Payment(
    account="wave",
    kind="collect",
    provider_reference="cos-18qq25rgr100a",
    amount=Decimal(5000),
    currency="XOF",
    status=Status.SUCCEEDED,
)
WAGE = msgspec.structs.replace(PAID, kind="payout", provider_reference="pt-185sewgm8100t")


def order(kind: Any = "collect", **changes: Any) -> Order:
    """Return an order, with these changes."""
    fields: dict[str, Any] = {
        "account": "wave",
        "kind": kind,
        "reference": "CMD-2024-001",
        "amount": Decimal(1000),
        "currency": "XOF",
    }
    if kind == "collect":
        fields |= {
            "return_url": "https://example.com/success",
            "cancel_url": "https://example.com/error",
        }
    if kind == "payout":
        fields |= {"amount": Decimal(500), "party": "221771234567"}
    return Order(**{**fields, **changes})


def said(body: object, status: int = 200) -> Response:
    """Return an answer with this body."""
    return Response(
        status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def body_of(script: Script) -> dict[str, Any]:
    """Return the body of the last request."""
    found: dict[str, Any] = json.loads(script.requests[-1].content())
    return found


def session(**changes: Any) -> dict[str, Any]:
    """Return the open session of the order, with these changes."""
    opened = {**sample("wave", "session_open.200"), "amount": "1000"}
    return {**opened, **changes}


def payout(**changes: Any) -> dict[str, Any]:
    """Return the payout of the order as it succeeded, with these changes."""
    told = sample("wave", "payout_succeeded.200")
    return {**told, "mobile": "+221771234567", **changes}


def judged(answer: Response, *, money: bool = True, repeatable: bool = False) -> Any:
    """Return the driver's verdict on a refusal."""
    return WAVE.judge(post("/x", dict, {}, money=money, repeatable=repeatable), answer)


def signed(body: bytes, secret: str = "the-new-secret", at: float | None = None) -> WebhookRequest:
    """Return a message as Wave signs it."""
    now = str(int(time.time() if at is None else at))
    header = f"t={now},v1={seal(secret, now, body)}"
    return WebhookRequest(body=body, headers={"wave-signature": header})


def event(name: str) -> bytes:
    """Return the body of a sampled event."""
    return json.dumps(sample("wave", name)).encode()


def test_it_is_found_by_name_and_has_no_sandbox() -> None:
    """`load("wave")` returns the driver; there is no host for tests, so `live` must be said."""
    assert load("wave") is Wave
    with pytest.raises(UsageError, match="live"):
        Wave(api_key="k")
    with pytest.raises(UsageError, match="api_key"):
        Wave(live=True)
    assert "wave_sn_prod_key" not in repr(WAVE)
    assert "the-old-one" in WAVE.secrets()


def test_a_session_is_asked_for_as_on_the_page() -> None:
    """The page's request, field by field; text amounts, and a payer is the only one who may pay."""
    script = Script(WAVE, said(session()))
    payment = drive(WAVE.collect(script, order()))
    assert body_of(script) == sample("wave", "session_request")
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (
        "/v1/checkout/sessions",
        True,
        False,
    )
    assert WAVE.authorize(request, None).headers == {"Authorization": "Bearer wave_sn_prod_key"}
    assert (payment.status, payment.provider_reference, payment.checkout_url) == (
        Status.PENDING,
        "cos-18qq25rgr100a",
        "https://pay.wave.com/c/cos-18qq25rgr100a",
    )
    script = Script(WAVE, said(session()))
    extra = {"aggregated_merchant_id": "am-7lks22ap113t4"}
    drive(WAVE.collect(script, order(cancel_url=None, party="221771234567", extra=extra)))
    asked = body_of(script)
    assert asked["error_url"] == asked["success_url"]
    assert asked["restrict_payer_mobile"] == "+221771234567"
    assert asked["aggregated_merchant_id"] == "am-7lks22ap113t4"


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("collect", {"return_url": None}, "return_url"),
        ("collect", {"extra": {"national_id": "1"}}, "extra: 'national_id'"),
        ("payout", {"extra": {"national_id": "1\n2"}}, "national_id"),
        ("payout", {"extra": {"aggregated_merchant_id": "am-" + "a" * 41}}, "merchant_id"),
        ("payout", {"extra": {"aggregated_merchant_id": "a" * 256}}, "at most 255"),
        ("payout", {"extra": {"aggregated_merchant_id": "a" * 255}}, "Wave's id"),
        ("collect", {"extra": {"aggregated_merchant_id": "shop"}}, "aggregated_merchant_id"),
        ("payout", {"extra": {"aggregated_merchant_id": 7}}, "aggregated_merchant_id"),
        ("payout", {"extra": {"national_id": "1" * 256}}, "national_id"),
        ("payout", {"description": "x" * 41}, "description"),
    ],
)
def test_what_wave_would_refuse_is_not_sent(kind: str, changes: Any, field: str) -> None:
    """A wrong option is UsageError, which names it, before anything is sent."""
    script = Script(WAVE)
    verb = WAVE.collect if kind == "collect" else WAVE.payout
    with pytest.raises(UsageError, match=field):
        drive(verb(script, order(kind, **changes)))
    assert not script.requests


def test_a_payout_is_asked_for_as_on_the_page_with_a_key_of_its_reference() -> None:
    """The same reference has the same key and bytes: Wave then never pays twice."""
    bodies = []
    for _ in range(2):
        script = Script(WAVE, said(payout(client_reference="CMD-2024-001")))
        who = Customer(name="Example", surname="Person")
        paid = drive(WAVE.payout(script, order("payout", customer=who)))
        (request,) = script.requests
        page = sample("wave", "payout_request")
        assert body_of(script) == {
            **page,
            "mobile": "+221771234567",
            "client_reference": "CMD-2024-001",
        }
        assert (request.path, request.money, request.repeatable) == ("/v1/payout", True, True)
        key = "payout-" + sha256(b"CMD-2024-001").hexdigest()
        assert request.headers["Idempotency-Key"] == key
        bodies.append(request.content())
    assert bodies[0] == bodies[1]
    assert (paid.status, paid.fee, paid.payee) == (Status.SUCCEEDED, Decimal(5), "221771234567")
    other = Script(WAVE, said(payout(client_reference="other")))
    drive(WAVE.payout(other, order("payout", reference="other")))
    assert other.requests[0].headers["Idempotency-Key"] != key


def test_every_field_of_a_payout_has_its_place() -> None:
    """What is told to the receiver, who they are, and for an aggregator, whose payout it is."""
    script = Script(WAVE, said(payout()))
    extra = {"national_id": "1" * 255, "aggregated_merchant_id": "am-7lks22ap113t4"}
    drive(WAVE.payout(script, order("payout", description="x" * 40, extra=extra)))
    assert body_of(script) == {
        "currency": "XOF",
        "receive_amount": "500",
        "mobile": "+221771234567",
        "national_id": "1" * 255,
        "payment_reason": "x" * 40,
        "client_reference": "CMD-2024-001",
        "aggregated_merchant_id": "am-7lks22ap113t4",
    }


def test_a_payout_is_read_whole() -> None:
    """Every field of the page's two samples, and of one that lacks what may be left out."""
    found = drive(WAVE.verify(Script(WAVE, reply("wave", "payout_get.200")), WAGE))
    assert found == Payment(
        account="wave",
        provider="wave",
        kind="payout",
        live=True,
        reference="FAH.4827.1734",
        provider_reference="pt-185sewgm8100t",
        status=Status.SUCCEEDED,
        amount=Decimal(15000),
        currency="XOF",
        payee="221555110233",
        operator="WAVE",
        fee=Decimal(150),
        provider_status="succeeded",
        created_at=datetime(2022, 6, 21, 9, 56, 29, tzinfo=UTC),
    )
    failed = drive(WAVE.verify(Script(WAVE, reply("wave", "payout_failed.200")), WAGE))
    assert (failed.reason, failed.provider_status) == (Reason.LIMIT, "failed")
    assert failed.message == "The recipient has reached their monthly limit."
    bare = drive(WAVE.verify(Script(WAVE, said({"id": "pt-1", "status": "processing"})), WAGE))
    assert (bare.payee, bare.message, bare.fee, bare.amount) == (None, None, None, None)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, Status.SUCCEEDED, None),
        ({"status": "processing"}, Status.PENDING, None),
        ({"status": "failed"}, Status.FAILED, Reason.OTHER),
        ({"status": "reversed"}, Status.REFUNDED, None),
        ({"status": "completed"}, Status.PENDING, None),
        ({"payout_error": {"error_code": "insufficient-funds"}}, Status.PENDING, None),
        ({"status": "processing", "payout_error": {}}, Status.PENDING, None),
        ({"status": "failed", "payout_error": {}}, Status.PENDING, None),
        (
            {"status": "failed", "payout_error": {"error_code": "recipient-limit-exceeded"}},
            Status.FAILED,
            Reason.LIMIT,
        ),
        (
            {"status": "failed", "payout_error": {"error_code": "internal-server-error"}},
            Status.PENDING,
            None,
        ),
        ({"receive_amount": None}, Status.PENDING, None),
    ],
)
def test_a_payout_fails_only_by_what_the_page_lists(
    changes: dict[str, Any], status: Status, reason: Reason | None
) -> None:
    """`failed` with an error that the page calls "an unknown state", or a new one, is pending."""
    found = drive(WAVE.verify(Script(WAVE, said(payout(**changes))), WAGE))
    assert (found.status, found.reason, found.kind) == (status, reason, "payout")


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_unlisted_word_ends_a_payout(word: str, code: str) -> None:
    """Whatever Wave says that is on no page leaves a payout pending, and raises nothing."""
    body = payout(status=word or "x", payout_error={"error_code": code})
    try:
        found = drive(OPEN.verify(Script(OPEN, said(body)), WAGE))
    except OutcomeUnknown:  # a word of white space is no answer
        return
    listed = code.strip().rstrip(".").rstrip().upper() in PAYOUT_ERROR
    failed = word.strip().rstrip(".").rstrip().upper() == "FAILED"
    assert found.status is (Status.FAILED if listed and failed else Status.PENDING) or not code


@pytest.mark.parametrize(
    ("checkout", "paid", "status"),
    [
        ("open", "processing", Status.PENDING),
        ("open", "failed", Status.PENDING),
        ("open", "cancelled", Status.PENDING),
        ("open", "succeeded", Status.PENDING),
        ("complete", "succeeded", Status.SUCCEEDED),
        ("complete", "processing", Status.PENDING),
        ("complete", "cancelled", Status.PENDING),  # perhaps one that was refunded
        ("complete", "failed", Status.PENDING),
        ("expired", "processing", Status.EXPIRED),
        ("expired", "cancelled", Status.EXPIRED),
        ("expired", "failed", Status.FAILED),
        ("expired", "succeeded", Status.PENDING),
        ("closed", "succeeded", Status.PENDING),
        ("complete", "paid", Status.PENDING),
    ],
)
def test_only_both_words_together_end_a_session(checkout: str, paid: str, status: Status) -> None:
    """A failed attempt is not the end; a paid one is only paid if the session is complete."""
    body = session(checkout_status=checkout, payment_status=paid)
    found = drive(WAVE.verify(Script(WAVE, said(body)), PAID))
    assert found.status is status
    assert found.provider_status == f"{checkout}/{paid}"


def test_a_session_that_ended_after_a_failed_attempt_says_why() -> None:
    """The reason of the last attempt is that of the end; an open session has none."""
    tried = sample("wave", "session_tried.200")
    assert drive(WAVE.verify(Script(WAVE, said(tried)), PAID)).reason is None
    ended = {**tried, "checkout_status": "expired", "payment_status": "failed"}
    found = drive(WAVE.verify(Script(WAVE, said(ended)), PAID))
    assert (found.status, found.reason) == (Status.FAILED, Reason.INSUFFICIENT_FUNDS)
    assert found.message == "Insufficient balance"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({}, "no id"),
        ({"id": "cos-1"}, "both statuses"),
        (session(wave_launch_url=None), "no wave_launch_url"),
        (session(amount="1001"), "another amount"),
        (session(currency="XAF"), "another currency"),
        (session(client_reference="other"), "another client_reference"),
        (session(payment_status=None), "both statuses"),
        (session(checkout_status=None), "both statuses"),
        (session(amount="1E+1000000"), "not an amount"),
        ([], "expected object"),
        (b"<html>", "JSON"),
    ],
)
def test_an_answer_about_something_else_opens_no_page(answer: object, why: str) -> None:
    """Without its own reference, amount and address a session is unknown, and is found later."""
    with pytest.raises(OutcomeUnknown):
        drive(WAVE.collect(Script(WAVE, said(answer)), order()))
    with pytest.raises(Unreadable, match=why):
        said(answer).answer(Session).answers_order(order())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": None}, "no id"),
        ({"status": None}, "no status"),
        ({"receive_amount": "501"}, "another amount"),
        ({"currency": "XAF"}, "another currency"),
        ({"mobile": "+221771234568"}, "another mobile"),
        ({"client_reference": "other"}, "another client_reference"),
    ],
)
def test_an_answer_about_another_payout_is_unknown(changes: dict[str, Any], why: str) -> None:
    """Another amount, payee or reference is not this payout, whatever its status."""
    with pytest.raises(OutcomeUnknown):
        drive(WAVE.payout(Script(WAVE, said(payout(**changes))), order("payout")))
    with pytest.raises(Unreadable, match=why):
        said(payout(**changes)).answer(Payout).answers_order(order("payout"))


def test_an_answer_may_repeat_nothing_of_its_payout() -> None:
    """What is left out contradicts nothing; a success without its amount is pending."""
    bare = {"id": "pt-1", "status": "succeeded"}
    paid = drive(WAVE.payout(Script(WAVE, said(bare)), order("payout")))
    silent = session(client_reference=None, amount=None, currency=None)
    opened = drive(WAVE.collect(Script(WAVE, said(silent)), order()))
    assert (opened.provider_reference, opened.amount) == ("cos-18qq25rgr100a", None)
    assert (paid.provider_reference, paid.status) == ("pt-1", Status.PENDING)


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("name", ["code", "error", "error_code"])
def test_each_listed_code_refuses_money_for_certain(code: str, name: str) -> None:
    """In each of the page's three spellings, under any status but those that leave it open."""
    for status in (200, 400, 404, 409, 422):
        refusal = judged(said({name: code, "message": "no"}, status), repeatable=True)
        assert isinstance(refusal, Rejected)
        assert (refusal.code, refusal.reason, refusal.message) == (code, REFUSALS[code], "no")
    for status in (408, 429, 500, 503, 504):
        assert judged(said({name: code}, status), repeatable=True) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply("wave", "key_unknown.401"), AuthenticationFailed),
        (reply("wave", "key_reused.409"), Duplicate),
        (reply("wave", "no_funds.422"), Rejected),
        (reply("wave", "invalid.400"), Rejected),
        (reply("wave", "invalid_error_key.400"), Rejected),
        (reply("wave", "no_key.400"), Rejected),
        (reply("wave", "reversal_late.400"), Rejected),
        (reply("wave", "refund_failed.400"), Rejected),
        (reply("wave", "broken.500"), None),
        (reply("wave", "throttled.429"), None),
        (said({"code": "a-new-one"}, 400), None),
        (said({"code": "a-new-one"}, 429), None),
        (said({"code": "too-many-requests"}, 400), None),
        (said({"code": "internal-server-error"}, 400), None),
        (said({"code": "service-unavailable"}, 422), None),
        (said({"code": "no-matching-api-key"}, 403), None),
        (said({"code": "not-found", "id": "pt-1"}, 400), None),
        (said(b"<html>", 400), None),
        (said({}, 408), None),
        (said({"code": ["insufficient-funds"]}, 400), None),
    ],
)
def test_what_a_refusal_of_a_payout_means(
    answer: Response, kind: type[ProviderError] | None
) -> None:
    """A key that had another body may have paid; 429, 5xx and unlisted codes prove nothing."""
    for repeatable in (True, False):
        found = judged(answer, repeatable=repeatable)
        if kind is None:
            throttled = not repeatable and answer.body == reply("wave", "throttled.429").body
            assert type(found) is (RateLimited if throttled else type(None))
        else:
            assert type(found) is kind
            assert found.code == json.loads(answer.body).get("code", found.code) is not None
            assert found.message


def test_a_throttled_session_waits_and_a_look_up_says_what_it_is() -> None:
    """429 in Wave's words refuses a session before it is made; a look-up has the usual errors."""
    throttled = judged(reply("wave", "throttled.429"))
    assert isinstance(throttled, RateLimited)
    assert (throttled.code, throttled.message) == ("too-many-requests", "Too many requests")
    assert isinstance(judged(reply("wave", "throttled.429"), money=False), RateLimited)
    unknown = judged(reply("wave", "session_unknown.404"), money=False)
    assert isinstance(unknown, NotFound)
    assert (unknown.code, unknown.message) == (
        "checkout-session-not-found",
        "Checkout session not found",
    )
    assert isinstance(judged(said({"code": "not-found"}, 499), money=True), Rejected)
    assert judged(said({"code": "not-found"}, 500), money=True) is None
    assert isinstance(judged(said({"code": "closed"}, 409), money=False), Rejected)
    assert judged(said({"code": "x"}, 500), money=False) is None
    for body in ({}, {"id": "cos-1"}, {"id": "cos-1", "code": "x"}):
        assert judged(said(body, 409), money=False) is None
    for code, status in KEY_REFUSALS.items():
        for money in (True, False):
            refused = judged(said({"code": code}, status), money=money)
            assert isinstance(refused, AuthenticationFailed)
            assert judged(said({"code": code}, 444), money=money) is None


def test_what_is_found_by_our_reference_is_what_became_of_the_order() -> None:
    """Of several sessions a paid one counts, then one that can be paid, then the newest."""
    lost = msgspec.structs.replace(PAID, provider_reference=None, reference="CMD-2024-001")
    gone = session(id="cos-1", checkout_status="expired", payment_status="cancelled")
    newer = {**gone, "id": "cos-2", "when_created": "2024-01-16T10:00:00Z"}
    still = session(id="cos-3", when_created="2024-01-15T11:00:00Z")
    paid = session(id="cos-4", checkout_status="Complete", payment_status="Succeeded")
    cases = (
        ([gone, paid, still, newer], "cos-4", Status.SUCCEEDED),
        ([gone, still, newer], "cos-3", Status.PENDING),
        ([newer, gone], "cos-2", Status.EXPIRED),
        ([{**still, "checkout_status": "Expired"}, session(id="cos-5")], "cos-5", Status.PENDING),
        ([{**still, "when_created": None}, session(id="cos-5")], "cos-5", Status.PENDING),
    )
    listed = [(each, *ends) for found, *ends in cases for each in permutations(found)]
    for found, expected, status in listed:
        script = Script(WAVE, said({"result": found}))
        payment = drive(WAVE.find(script, lost))
        assert (payment.provider_reference, payment.status) == (expected, status)
        assert script.requests[0].target() == (
            "/v1/checkout/sessions/search?client_reference=CMD-2024-001"
        )


def test_nothing_found_is_not_the_end_and_two_payouts_are_no_answer() -> None:
    """An empty list is NotFound, never final; two payouts of one reference are for a person."""
    lost = msgspec.structs.replace(WAGE, provider_reference=None, reference="FAH.4827.1734")
    for kind in ("collect", "payout"):
        asked = msgspec.structs.replace(lost, kind=kind)
        with pytest.raises(NotFound, match="client_reference"):
            drive(WAVE.find(Script(WAVE, reply("wave", "payout_search_empty.200")), asked))
        with pytest.raises(Unreadable, match="no id"):
            drive(WAVE.find(Script(WAVE, said({"result": [{}]})), asked))
    script = Script(WAVE, said({"result": [sample("wave", "payout_get.200")]}))
    found = drive(WAVE.find(script, lost))
    assert (found.status, found.reference) == (Status.SUCCEEDED, "FAH.4827.1734")
    assert script.requests[0].target() == "/v1/payouts/search?client_reference=FAH.4827.1734"
    with pytest.raises(Unreadable, match="2 payouts"):
        drive(WAVE.find(Script(WAVE, said({"result": [payout(), payout()]})), lost))


def test_a_receipt_finds_its_session() -> None:
    """The payer's transaction is asked for by its id."""
    asked = Payment(account="wave", receipt="TCN4Y4ZC3FM")
    script = Script(WAVE, reply("wave", "session_complete.200"))
    found = drive(WAVE.find(script, asked))
    assert script.requests[0].target() == "/v1/checkout/sessions?transaction_id=TCN4Y4ZC3FM"
    assert (found.receipt, found.status) == ("TCN4Y4ZC3FM", Status.SUCCEEDED)


@pytest.mark.parametrize(
    ("payment", "path", "ids", "status"),
    [
        (
            PAID,
            "/v1/checkout/sessions/cos-18qq25rgr100a/refund",
            {"session": "cos-18qq25rgr100a"},
            Status.SUCCEEDED,
        ),
        (
            WAGE,
            "/v1/payout/pt-185sewgm8100t/reverse",
            {"payout": "pt-185sewgm8100t"},
            Status.PENDING,
        ),
    ],
)
def test_a_refund_is_whole_and_named_by_its_path(
    payment: Payment, path: str, ids: dict[str, str], status: Status
) -> None:
    """No body, and what it gives back is durable before it leaves; a reversal is looked up."""
    script = Script(WAVE, DONE)
    back = drive(WAVE.refund(script, order("refund", amount=Decimal(5000)), payment))
    (request,) = script.requests
    assert (request.target(), request.body, request.money) == (path, None, True)
    assert (request.repeatable, request.known) == (True, ids)
    assert ("Idempotency-Key" in request.headers) is ("payout" in ids)
    assert (back.status, back.ids, back.kind) == (status, ids, "refund")
    assert back.provider_reference == payment.provider_reference


@pytest.mark.parametrize(
    ("payment", "field"),
    [
        (msgspec.structs.replace(PAID, amount=Decimal(5001)), "amount"),
        (msgspec.structs.replace(PAID, amount=None), "amount"),
        (msgspec.structs.replace(PAID, provider_reference=None), "provider_reference"),
        (msgspec.structs.replace(PAID, kind="refund"), "kind"),
    ],
)
def test_a_part_or_an_unknown_payment_is_not_refunded(payment: Payment, field: str) -> None:
    """Only a whole payment that Wave has given an id: UsageError, and nothing is sent."""
    script = Script(WAVE)
    with pytest.raises(UsageError, match=field):
        drive(WAVE.refund(script, order("refund", amount=Decimal(5000)), payment))
    assert not script.requests


@pytest.mark.parametrize(
    "answer",
    [
        said(b"<html>"),
        said({"code": "x"}),
        said(b"OK"),
        *(said(b"", status) for status in (201, 204, 299, 300, 304)),
    ],
)
def test_a_refund_without_its_documented_answer_is_unknown(answer: Response) -> None:
    """200 without a body is the answer: a page, any other body or status is none."""
    with pytest.raises(OutcomeUnknown):
        drive(WAVE.refund(Script(WAVE, answer), order("refund", amount=Decimal(5000)), PAID))


def test_only_an_empty_answer_to_money_has_to_be_200() -> None:
    """A session that was made with 201 is one; a session that was expired with 204, too."""
    opened = drive(WAVE.collect(Script(WAVE, said(session(), 201)), order()))
    assert opened.provider_reference == "cos-18qq25rgr100a"
    drive(WAVE.expire(Script(WAVE, said(b"", 204)), provider_reference="cos-1"))


@pytest.mark.parametrize(
    ("payment", "path"),
    [
        (msgspec.structs.replace(WAGE, kind=None), "/v1/payout/pt-185sewgm8100t/reverse"),
        (msgspec.structs.replace(WAGE, provider_reference="x-1"), "/v1/payout/x-1/reverse"),
        (
            msgspec.structs.replace(PAID, kind=None),
            "/v1/checkout/sessions/cos-18qq25rgr100a/refund",
        ),
    ],
)
def test_a_payout_is_reversed_also_if_only_its_kind_or_its_id_says_so(
    payment: Payment, path: str
) -> None:
    """A payment that a caller wrote by hand may lack its kind: Wave's id names it, too."""
    script = Script(WAVE, DONE)
    drive(WAVE.refund(script, order("refund", amount=Decimal(5000)), payment))
    assert script.requests[0].target() == path


def test_each_reversal_has_a_key_of_its_own_reference() -> None:
    """A second one under another reference is another request; a repeat is the same one."""
    keys = []
    for reference in ("back-1", "back-1", "back-2"):
        script = Script(WAVE, DONE)
        back = order("refund", amount=Decimal(5000), reference=reference)
        drive(WAVE.refund(script, back, WAGE))
        keys.append(script.requests[0].headers["Idempotency-Key"])
    assert keys[0] == keys[1] == "reverse-" + sha256(b"back-1").hexdigest()
    assert keys[2] == "reverse-" + sha256(b"back-2").hexdigest()


def test_a_refund_of_a_part_says_what_the_whole_is() -> None:
    """The error names the amount that was paid, or that it is not known."""
    asked = order("refund", amount=Decimal(5000))
    for paid, accepted in ((Decimal(5001), "amount, 5001:"), (None, "find it first")):
        with pytest.raises(UsageError, match=accepted) as refused:
            drive(WAVE.refund(Script(WAVE), asked, msgspec.structs.replace(PAID, amount=paid)))
        assert (refused.value.name, refused.value.value) == ("amount", "'5000'")


def test_a_reversal_is_what_its_payout_says() -> None:
    """It is PENDING until the payout is `reversed`; a refund of a session has nothing to ask."""
    taken = Payment(
        account="wave",
        kind="refund",
        reference="back-1",
        provider_reference="pt-185sewgm8100t",
        ids={"payout": "pt-185sewgm8100t"},
    )
    assert WAVE.asks(taken) == "verify"
    for word, status in (("succeeded", Status.PENDING), ("reversed", Status.SUCCEEDED)):
        found = drive(WAVE.verify(Script(WAVE, said(payout(status=word))), taken))
        assert found == Payment(
            account="wave",
            provider="wave",
            kind="refund",
            live=True,
            provider_reference="pt-185b5e4b8100c",
            status=status,
            amount=Decimal(500),
            currency="XOF",
            provider_status=word,
        )
    lost = msgspec.structs.replace(taken, provider_reference=None)
    assert WAVE.asks(lost) is None
    given = msgspec.structs.replace(taken, ids={"session": "cos-1"}, provider_reference="cos-1")
    assert WAVE.asks(given) is None


def test_the_balance_and_a_recipient_are_told() -> None:
    """The wallet's amount; what Wave knows of a name, in its own words."""
    balance = drive(WAVE.balance(Script(WAVE, reply("wave", "balance.200"))))
    assert (balance.available, balance.currency) == (Decimal(1250000), "XOF")
    with pytest.raises(Unreadable):
        drive(WAVE.balance(Script(WAVE, said({"currency": "XOF"}))))
    script = Script(WAVE, reply("wave", "recipient.200"))
    known = drive(WAVE.recipient(script, payee="+221 77 123 45 67", amount=5000, name="A B"))
    assert (known.within_limits, known.name_match) == (True, "MATCH")
    assert body_of(script) == {
        "mobile": "+221771234567",
        "name": "A B",
        "amount": "5000",
        "currency": "XOF",
    }
    assert not script.requests[0].money


@pytest.mark.parametrize("field", ["name", "national_id"])
def test_a_recipient_is_compared_by_what_is_given(field: str) -> None:
    """A name or a number of 255 characters is sent, and a longer one is not; no other is sent."""
    said: dict[str, Any] = {"payee": "221771234567", "amount": 5000}
    script = Script(WAVE, reply("wave", "recipient.200"))
    drive(WAVE.recipient(script, **said, **{field: "x" * 255}))
    assert body_of(script) == {
        "mobile": "+221771234567",
        field: "x" * 255,
        "amount": "5000",
        "currency": "XOF",
    }
    with pytest.raises(UsageError, match=field):
        drive(WAVE.recipient(Script(WAVE), **said, **{field: "x" * 256}))


def test_a_session_can_be_expired() -> None:
    """It moves no money; one that is over already is Rejected."""
    script = Script(WAVE, DONE)
    drive(WAVE.expire(script, provider_reference="cos-1"))
    (request,) = script.requests
    assert (request.target(), request.money) == ("/v1/checkout/sessions/cos-1/expire", False)
    over = said({"code": "x", "message": "already complete"}, 409)
    with pytest.raises(Rejected):
        drive(WAVE.expire(Script(WAVE, over), provider_reference="cos-1"))


def row(kind: str, **changes: Any) -> dict[str, Any]:
    """Return a transaction of the page's sample, with these changes."""
    told: dict[str, Any] = sample("wave", "transactions.200")["items"][0]
    return {**told, "transaction_type": kind, **changes}


def past(*answers: Response, days: int = 1) -> tuple[list[Payment], list[str]]:
    """List a history from 15 January on; return it, and what was asked."""
    since = datetime(2024, 1, 15, tzinfo=UTC)
    script = Script(WAVE, *answers)

    async def listed() -> list[Payment]:
        until = since + timedelta(days=days)
        return [one async for one in WAVE.history(script, since, until) if one is not None]

    return drive(listed()), [request.target() for request in script.requests]


def day(*items: dict[str, Any], **info: Any) -> Response:
    """Return a day's transactions."""
    return said({"items": items, "date": "2024-01-15", "page_info": info})


def test_the_history_asks_for_each_day_and_page() -> None:
    """Up to the day after Wave's own today; a cursor leads to more rows."""
    answers = [
        day(),
        day(),
        day(row("api_checkout", client_reference="a"), has_next_page=True, end_cursor="TFR"),
        day(row("merchant_payment")),
        day(),
    ]
    found, asked = past(*answers, days=40)
    assert asked == [
        "/v1/transactions",
        "/v1/transactions?date=2024-01-14",
        "/v1/transactions?date=2024-01-15",
        "/v1/transactions?date=2024-01-15&after=TFR",
        "/v1/transactions?date=2024-01-16",
    ]
    assert [(one.reference, one.amount, one.fee, one.kind) for one in found] == [
        ("a", Decimal(1000), Decimal(10), "collect"),
        (None, Decimal(1000), Decimal(10), "collect"),
    ]
    with pytest.raises(Unreadable, match="cursor"):
        past(day(), day(has_next_page=True))
    with pytest.raises(Unreadable, match="which day"):
        past(said({"items": []}))


@pytest.mark.parametrize(
    ("told", "kind", "amount"),
    [
        (row("api_payout", amount="-500", fee="5"), "payout", 500),
        (row("api_payout", amount="500", fee="5"), "payout", 500),
        (row("api_payout_reversal", amount="500", fee="-5"), "refund", 500),
        (row("api_payout", amount="500", is_reversal=True), "refund", 500),
        (row("api_checkout_refund", amount="-990", fee="-10"), "refund", 1000),
        (row("merchant_sweep", amount="-990", fee="0"), "collect", 990),
    ],
)
def test_a_row_has_what_the_other_side_paid_or_got(told: Any, kind: str, amount: int) -> None:
    """Whatever its sign; the fee is in what a payer paid, and not in what a payee got."""
    found, _ = past(day(), day(), day(told), day())
    [one] = found
    assert (one.kind, one.amount, one.status) == (kind, Decimal(amount), Status.SUCCEEDED)
    assert one.receipt == "T_V3TFOUE7VU"


def test_a_row_without_an_amount_is_no_row() -> None:
    """Unreadable, with the number of the row."""
    with pytest.raises(Unreadable, match="row 1"):
        past(day(), day(row("api_checkout", amount=None)))


def claimed(incoming: WebhookRequest, driver: Wave = WAVE) -> Event:
    """Read a message."""
    return driver.webhook(incoming)


@pytest.mark.parametrize("secret", ["the-new-secret", "the-old-one"])
def test_each_secret_of_the_webhook_proves_a_body(secret: str) -> None:
    """While one secret replaces another, both are good; the body is proved, and asked about."""
    found = claimed(signed(event("event_completed"), secret))
    assert found.trust is Trust.BODY
    assert (found.claims.status, found.claims.reference) == (Status.SUCCEEDED, "CMD-2024-001")
    assert (found.claims.amount, found.claims.receipt) == (Decimal(1000), "TCN4Y4ZC3FM")
    assert WAVE.confirms(found)
    failed = claimed(signed(event("event_payment_failed"), secret))
    assert (failed.claims.status, failed.claims.provider_reference) == (
        Status.PENDING,
        "cos-18qq25rgr100a",
    )


def test_the_signature_covers_the_time_and_the_raw_body_without_a_dot() -> None:
    """`t` and the body are joined by nothing; any of several v1 may be the right one."""
    body = event("event_completed")
    good = signed(body)
    now, _, mac = good.headers["wave-signature"].partition(",v1=")
    seconds = now.removeprefix("t=")

    def read(header: str, content: bytes = body) -> Event | None:
        try:
            return claimed(WebhookRequest(body=content, headers={"wave-signature": header}))
        except BadWebhook:
            return None

    assert read(f"{now},v1={'0' * 64},v1={mac}") is not None
    assert read(f"v1={mac},{now}") is not None
    wrong = f",v1={'0' * 64}"
    assert read(f"{now}{wrong * 15},v1={mac}") is not None
    for header in (f"{now},v1={mac}{wrong * 16}", f"{now},v1={mac}{wrong * 17}", now):
        with pytest.raises(BadWebhook, match="its Wave-Signature is none"):
            claimed(WebhookRequest(body=body, headers={"wave-signature": header}))
    dotted = seal("the-new-secret", f"{seconds}.", body)
    for header in (
        f"{now},v1={dotted}",
        f"{now},v1={seal('another', seconds, body)}",
        f"{now},v1={seal('', seconds, body)}",
        f"{now},v1={seal('the-new-secret,the-old-one', seconds, body)}",
        f"{now}",
        f"v1={mac}",
        f"{now},{now},v1={mac}",
        f"t={int(seconds) + 1},v1={mac}",
        f"t=-{seconds},v1={mac}",
        f"t=nan,v1={mac}",
        f"t=\u0661,v1={mac}",
        f"t=,v1={mac}",
        f"{now},v0={mac}",
        f"{now},v1={mac.upper()}",
        f"{now},v1=é",
        f"{now},v1=\udcff",
        "",
        "," * 99,
        f"{now}" + f",v1={'0' * 64}" * 40 + f",v1={mac}",
    ):
        assert read(header) is None, header
    assert read(good.headers["wave-signature"], body + b" ") is None
    assert (
        read(good.headers["wave-signature"], json.dumps(json.loads(body), indent=1).encode())
        is None
    )


@pytest.mark.parametrize(
    ("seconds", "good"), [(-301, False), (-299, True), (299, True), (302, False)]
)
def test_a_message_is_good_for_five_minutes(seconds: int, good: bool) -> None:
    """One that was signed long ago, or far ahead, is BadWebhook."""
    message = signed(event("event_completed"), at=time.time() + seconds)
    if good:
        assert claimed(message).trust is Trust.BODY
    else:
        with pytest.raises(BadWebhook, match="five minutes"):
            claimed(message)


@pytest.mark.parametrize(("seconds", "good"), [(300.0, True), (-300.0, True), (300.5, False)])
def test_five_minutes_are_enough(
    monkeypatch: pytest.MonkeyPatch, seconds: float, good: bool
) -> None:
    """The last moment of the tolerance counts."""
    message = signed(event("event_completed"), at=1_800_000_000)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000 + seconds)
    if good:
        assert claimed(message).trust is Trust.BODY
    else:
        with pytest.raises(BadWebhook, match="five minutes"):
            claimed(message)


def test_a_shared_secret_proves_who_sent_it_and_not_what() -> None:
    """The portal's other strategy shows the secret: Trust.ORIGIN; without either, BadWebhook."""
    body = event("event_completed")
    for word in ("Bearer", "bearer"):
        shared = WebhookRequest(body=body, headers={"authorization": f"{word} the-old-one"})
        assert claimed(shared).trust is Trust.ORIGIN
    for header in (
        "Bearer the-old",
        "the-old-one",
        "Bearer",
        "Bearer é",
        "Bearer \udcff",
        "Basic the-old-one",
    ):
        with pytest.raises(BadWebhook, match="neither a Wave-Signature"):
            claimed(WebhookRequest(body=body, headers={"authorization": header}))
    with pytest.raises(BadWebhook):
        claimed(WebhookRequest(body=body))
    # A bad signature is not mended by a secret that was seen.
    both = {**signed(body, "x").headers, "authorization": "Bearer the-old-one"}
    with pytest.raises(BadWebhook):
        claimed(WebhookRequest(body=body, headers=both))
    assert claimed(WebhookRequest(body=body), OPEN).trust is Trust.NOTHING


@pytest.mark.parametrize("name", ["event_merchant", "event_b2b"])
def test_a_payment_that_came_by_itself_is_left_to_a_person(name: str) -> None:
    """No look-up confirms it; what its sender typed is not taken for our reference."""
    found = claimed(signed(event(name)))
    assert not WAVE.confirms(found)
    assert found.claims.reference is None
    assert found.claims.amount == (1000 if name == "event_merchant" else 39800)


def test_a_test_event_is_a_ping_and_an_unknown_one_is_not_read() -> None:
    """The portal's test is acknowledged; an event of no page is Unreadable, and told again."""
    for kind in ("test.test_event", "b2b.payment_failed"):
        assert claimed(signed(json.dumps({"id": "EV_1", "type": kind}).encode())).ping
    for body in (
        {"id": "EV_1", "type": "checkout.session.new"},
        {"id": "EV_1", "type": "checkout.session.completed"},
        {"id": "EV_1", "type": "checkout.session.completed", "data": {"amount": "1"}},
        {"id": "EV_1", "type": "merchant.payment_received", "data": {}},
        {"id": "EV_1", "data": {"id": "cos-1"}},
    ):
        with pytest.raises(Unreadable):
            claimed(signed(json.dumps(body).encode()))


def test_a_key_with_a_secret_of_its_own_signs_its_requests() -> None:
    """Over the time and the bytes that are sent; a look-up has none."""
    driver = Wave(api_key="k", signing_secret="its-secret", live=True)
    for request in (post("/v1/payout", Empty, {"a": "1"}), get("/v1/balance", dict)):
        header = driver.authorize(request, None).headers["Wave-Signature"]
        now, _, mac = header.partition(",v1=")
        body = b'{"a":"1"}' if request.body else b""
        assert mac == seal("its-secret", now.removeprefix("t="), body)
        assert abs(int(now.removeprefix("t=")) - time.time()) < 60
