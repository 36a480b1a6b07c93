"""Intram's Merchant API, tested with the bodies that its pages publish."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers import load
from paymux.drivers.base import Duplicate, NotJoining, Verb
from paymux.drivers.intram_merchant import IntramMerchant
from paymux.drivers.intram_merchant.answers import FAILURE, OPERATION, RESULT, TRANSACTION
from paymux.drivers.intram_merchant.signing import KEY_LIFE, check_message, signed
from paymux.errors import (
    AuthenticationFailed,
    BadWebhook,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    UsageError,
)
from paymux.http import Request, Response, WebhookRequest, get, post
from paymux.models import Customer, Event, Order, Payment, Reason, Status, Trust
from paymux.testing.contract import Case, Shape
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

NAME = "intram_merchant"

KEYS: dict[str, Any] = {"public_key": "simulator", "secret_key": "simulator"}

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payer": "+229 01 96 00 00 01", "operator": "mtn"},
    opens="POST /api/v1/merchant/payment-requests/",
    looks="GET /api/v1/merchant/transactions/",
    wire=b'"amount":1000',
    told={Status.CANCELLED: Status.FAILED, Status.EXPIRED: Status.FAILED},
    resends=frozenset(
        f"POST /api/v1/merchant/{path}/" for path in ("payment-requests", "payouts", "refunds")
    ),
    signs=True,
    signs_body=True,
    signs_with=("secret_key", "webhook_secret"),
    dashboard=True,
    payouts=(("2290196000002", "POST /api/v1/merchant/payouts/"),),
    payout_options={"2290196000002": {"operator": "mtn"}},
    refund="POST /api/v1/merchant/refunds/",
    words=Shape(
        fields={**KEYS, "live": True},
        asked={"kind": "payout"},
        asked_by="data.operation_id",
        amounts=("data.result.amount",),
        answers=(
            "operation_payout.200",
            "operation_failed.200",
            "operation_provider_error.200",
            "operation_settlement.200",
            "operation_refund.200",
        ),
        messages=("webhook_payout_completed",),
        places={
            "status": "data.status",
            "result.status": "data.result.status",
            "error.code": "data.error.code",
        },
        told={"event": "event", "data.status": "data.status"},
        said={
            "operation_payout.200": Status.SUCCEEDED,
            "operation_failed.200": Status.FAILED,
            "operation_provider_error.200": Status.PENDING,
            "operation_settlement.200": Status.PENDING,
            "operation_refund.200": Status.SUCCEEDED,
            "webhook_payout_completed": Status.SUCCEEDED,
        },
    ),
    pages=(
        Shape(
            fields={**KEYS, "live": True},
            asked={
                "provider_reference": "op_4d2a",
                "ids": {"transaction_reference": "AB12CD34EF"},
            },
            amounts=("data.amount",),
            answers=(
                "transaction.200",
                "transaction_pending.200",
                "transaction_error.200",
                "transaction_refunded.200",
            ),
            places={"transaction.status": "data.status"},
            said={
                "transaction.200": Status.SUCCEEDED,
                "transaction_pending.200": Status.PENDING,
                "transaction_error.200": Status.FAILED,
                "transaction_refunded.200": Status.SUCCEEDED,
            },
        ),
    ),
)


WHSEC = "whsec_canary"
LIVE = IntramMerchant(
    public_key="pk_live_a1", secret_key="sk_live_canary", webhook_secret=WHSEC, live=True
)
BARE = IntramMerchant(**KEYS, live=True)
ASKED = Payment(account=NAME, kind="payout", provider_reference="op_2f4a8b1c")


def order(kind: Any = "payout", **fields: Any) -> Order:
    """Return the order of the page's example."""
    own: Mapping[str, Any] = {
        "collect": {"reference": "order-4521", "amount": Decimal(12000), "party": "22961234567"},
        "payout": {"reference": "PO-2026-0001", "amount": Decimal(25000), "party": "22961234567"},
        "refund": {"reference": "refund-9001", "amount": Decimal(12000)},
    }
    operator = None if kind == "refund" else "mtn"
    given = {"operator": operator, **own[kind], **fields}
    return Order(account=NAME, kind=kind, currency="XOF", **given)


def said(body: object, status: int = 200) -> Response:
    """Return an answer with this body."""
    return Response(status=status, body=json.dumps(body).encode())


def bent(case: str, *path: str, to: object) -> Response:
    """Return a sample with one value changed."""
    body = sample(NAME, case)
    inner = body
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return said(body)


def sent(script: Script) -> Any:
    """Return the body of the first request."""
    return json.loads(script.requests[0].content())


def judged(case: str, *, money: bool = True) -> ProviderError | None:
    """Return the verdict on a sample."""
    request: Request[Any] = post("/payouts", dict, {}) if money else get("/balance", dict)
    return BARE.judge(request, reply(NAME, case))


def verified(*replies: Response, payment: Payment = ASKED) -> Payment:
    """Return what a look-up finds."""
    return drive(BARE.verify(Script(BARE, *replies), payment))


def message(body: object, *, at: float = 0.0, secret: str = WHSEC) -> WebhookRequest:
    """Return a message that was signed so many seconds from now, as webhooks.md does it."""
    stamp = datetime.fromtimestamp(time.time() + at, UTC).isoformat().replace("+00:00", "Z")
    raw = json.dumps(body).encode()
    seal = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
    headers = {"x-intram-signature": f"sha256={seal}", "x-intram-timestamp": stamp}
    return WebhookRequest(headers=headers, body=raw)


# Computed from the rule of authentication.md and of webhooks.md, by another program.
VECTORS = [
    (
        get("/balance", dict),
        "1a5b25add28545e117df45656c191716b65047f7a05d6950aacf401b06419423",
    ),
    (
        post("/payouts", dict, {"amount": 5000, "currency": "XOF"}),
        "7c650421a63f85a01ccfadc9e7ed81fdb3a14e5cf98213c3f3cecb452aa58f5f",
    ),
    (
        get("/transactions?status=SUCCESS&limit=100", dict),
        "b8530e20e8f169b876bbabb5a5d4cfcddb33c65b9af73af5ee0d141b90bec2f2",
    ),
]


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Set the clock."""
    now = datetime.fromisoformat(moment).timestamp()
    monkeypatch.setattr(time, "time", lambda: now)


def test_it_is_found_by_name_and_says_what_it_can_do() -> None:
    """`load` returns the driver; it claims no operation that the API lacks."""
    assert load(NAME) is IntramMerchant
    can = {"collect", "payout", "refund", "verify", "find", "balance", "history", "webhook"}
    assert {verb for verb in get_args(Verb) if IntramMerchant.can(verb)} == can
    for facts in IntramMerchant.facts.values():
        assert (facts.deduplicates, facts.findable, facts.not_found_final_after) == (
            False,
            True,
            None,
        )


@pytest.mark.parametrize(("request_", "seal"), VECTORS, ids=["GET", "POST", "query"])
def test_a_request_is_signed_as_the_page_says(
    monkeypatch: pytest.MonkeyPatch, request_: Request[Any], seal: str
) -> None:
    """Time, method, internal path, sorted query and the bytes that are sent."""
    at(monkeypatch, "2026-05-20T10:30:00+00:00")
    headers = signed(request_, "pk", "sk_sandbox_testsecret").headers
    assert headers == {
        "X-Api-Key": "pk",
        "X-Timestamp": "2026-05-20T10:30:00.000Z",
        "X-Signature": f"sha256={seal}",
    }


def test_a_message_is_checked_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw body after the time and a full stop, by the subscription's secret."""
    at(monkeypatch, "2026-05-20T10:34:59+00:00")
    raw = (
        b'{"event":"test.ping","operation_id":"op_test","occurred_at":"2026-05-20T10:30:00.000Z",'
        b'"data":{"test":true,"sent_at":"2026-05-20T10:30:00.000Z"}}'
    )
    seal = "sha256=aa6655fa091b4ba30dc6202dcec9d32f76e099c5c2a4b4de4889516d12fa1cee"
    headers = {"x-intram-signature": seal, "x-intram-timestamp": "2026-05-20T10:30:00.000Z"}
    incoming = WebhookRequest(headers=headers, body=raw)
    check_message(incoming, "whsec_test")
    with pytest.raises(Unreadable):
        check_message(incoming, "whsec_other")
    at(monkeypatch, "2026-05-20T10:35:01+00:00")
    with pytest.raises(Unreadable, match="5 minutes"):
        check_message(incoming, "whsec_test")


@pytest.mark.parametrize(
    ("live", "field", "value"),
    [
        (True, "public_key", "pk_sandbox_1"),
        (True, "secret_key", "sk_sandbox_1"),
        (False, "public_key", "pk_live_1"),
        (False, "secret_key", "sk_live_1"),
        (False, "public_key", ""),
        (False, "secret_key", ""),
    ],
)
def test_keys_of_the_other_mode_are_refused(live: bool, field: str, value: str) -> None:
    """A live key never rehearses, and a test key never serves; the error shows no key."""
    with pytest.raises(UsageError, match=field) as caught:
        IntramMerchant(**{**KEYS, "live": live, field: value})
    assert not value or value not in str(caught.value)


def test_no_secret_can_be_read_off_the_driver() -> None:
    """No key is in the driver's repr, and the secret key is in no header."""
    assert not any(one in repr(LIVE) for one in ("pk_live_a1", "sk_live_canary", WHSEC))
    headers = LIVE.authorize(get("/balance", dict), None).headers
    assert "sk_live_canary" not in str(headers)


def test_a_payment_request_is_that_of_the_page() -> None:
    """The page's example, field by field, beside our reference in the free object."""
    buyer = Customer(name="Ada", surname="Lovelace", email="client@example.com")
    script = Script(BARE, reply(NAME, "payment_request.202"))
    wanted = order(
        "collect",
        description="Commande #4521",
        customer=buyer,
        metadata={"order_id": "4521"},
        return_url="https://shop.example.com/ok",
        cancel_url="https://shop.example.com/no",
    )
    found = drive(BARE.collect(script, wanted))
    example = sample(NAME, "payment_request_request")
    example["webhook_data"]["paymux_reference"] = "order-4521"
    assert sent(script) == example
    assert list(sent(script)) == list(example)
    assert (found.status, found.provider_reference, found.checkout_url) == (
        Status.PENDING,
        "op_4d2a",
        None,
    )


def test_a_payment_request_needs_no_payer() -> None:
    """The page asks for what is not known; the customer is there, and empty."""
    script = Script(BARE, reply(NAME, "payment_request.202"))
    drive(BARE.collect(script, order("collect", party=None, operator=None)))
    assert sent(script) == {
        "invoice": {"amount": 12000, "currency": "XOF", "customer": {}},
        "webhook_data": {"paymux_reference": "order-4521"},
    }


def test_the_number_of_a_customer_is_the_payers() -> None:
    """Where the order names no payer of its own."""
    script = Script(BARE, reply(NAME, "payment_request.202"))
    buyer = Customer(phone="22961234567")
    drive(BARE.collect(script, order("collect", party=None, operator=None, customer=buyer)))
    assert sent(script)["invoice"]["customer"] == {"phone": "22961234567"}


def test_a_payout_is_that_of_the_page() -> None:
    """The page's example, without the names that it has as optional."""
    script = Script(BARE, reply(NAME, "payout.202"))
    wanted = order(description="Settlement hebdomadaire", metadata={"batch_id": "B-42"})
    found = drive(BARE.payout(script, wanted))
    example = sample(NAME, "payout_request")
    for name in ("account_name", "account_surname"):
        del example["destination"][name]
    assert list(sent(script).items()) == list(example.items())
    assert (found.status, found.kind, found.provider_reference) == (
        Status.PENDING,
        "payout",
        "op_2f4a8b1c",
    )


WIRE: dict[str, Any] = {
    "operator": None,
    "party": "bank:BJ06...",
    "extra": {"swift": "ecocbjbj", "account_name": "Ada Lovelace"},
}


def test_a_wire_is_that_of_the_page() -> None:
    """The page's example of a bank account; the SWIFT code is written in capitals."""
    script = Script(BARE, bent("payout.202", "data", "payload", to={}))
    wanted = order(reference="PO-2026-WIRE-001", amount=Decimal(500_000), **WIRE)
    drive(BARE.payout(script, wanted))
    assert list(sent(script).items()) == list(sample(NAME, "payout_bank_request").items())
    long = Script(BARE, bent("payout.202", "data", "payload", to={}))
    named = {"swift": "ECOCBJBJ", "account_name": "x" * 100}
    drive(BARE.payout(long, order(**{**WIRE, "extra": named})))
    assert sent(long)["destination"]["account_name"] == "x" * 100
    bare = Script(BARE, bent("payout.202", "data", "payload", to={}))
    drive(BARE.payout(bare, order(**{**WIRE, "extra": {"swift": "ECOCBJBJXXX"}})))
    assert sent(bare)["destination"] == {
        "type": "bank_account",
        "swift": "ECOCBJBJXXX",
        "account_number": "BJ06...",
    }


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ({}, "swift"),
        ({"swift": "ECOC"}, "swift"),
        ({"swift": "ECOCBJBJXX"}, "swift"),
        ({"swift": "3COCBJBJ"}, "swift"),
        ({"swift": 7}, "swift"),
        ({"swift": "ECOCBJBJ", "account_name": "x" * 101}, "account_name"),
        ({"swift": "ECOCBJBJ", "account_name": 7}, "account_name"),
        ({"swift": "ECOCBJBJ", "account_name": "a\nb"}, "account_name"),
        ({"swift": "ECOCBJBJ", "provider_code": "MTN_BENIN_229"}, "provider_code"),
    ],
)
def test_a_wire_that_cannot_be_written_is_refused(extra: dict[str, Any], field: str) -> None:
    """A bank is named by its SWIFT code alone; nothing is sent, and no name is in the error."""
    script = Script(BARE)
    with pytest.raises(UsageError) as caught:
        drive(BARE.payout(script, order(**{**WIRE, "extra": extra})))
    assert caught.value.name == field
    assert script.requests == []
    with pytest.raises(UsageError, match="operator"):
        drive(BARE.payout(script, order(**{**WIRE, "operator": "mtn"})))


@pytest.mark.parametrize("name", ["swift", "account_name"])
def test_mobile_money_has_no_bank(name: str) -> None:
    """A field of a wire beside a phone number is a mistake, and nothing is sent."""
    script = Script(BARE)
    with pytest.raises(UsageError, match=name):
        drive(BARE.payout(script, order(extra={name: "ECOCBJBJ"})))
    assert script.requests == []


def test_a_wire_stays_pending_with_its_account() -> None:
    """What is queued for settlement is no success; the account is that of the order."""
    body = sample(NAME, "operation_settlement.200")
    body["data"]["payload"]["destination"] = {"type": "bank_account", "account_number": "BJ06..."}
    found = drive(BARE.verify(Script(BARE, said(body)), ASKED))
    assert (found.status, found.payee) == (Status.PENDING, "bank:BJ06...")


def test_a_refund_is_that_of_the_page() -> None:
    """The page's example, with our reference beside the metadata."""
    script = Script(BARE, reply(NAME, "refund.202"))
    paid = Payment(account=NAME, ids={"transaction_reference": "AB12CD34EF"})
    drive(BARE.refund(script, order("refund", description="Demande client"), paid))
    example = sample(NAME, "refund_request")
    assert sent(script) == {**example, "metadata": {"paymux_reference": "refund-9001"}}


def test_a_refund_asks_for_the_transaction_that_is_not_known() -> None:
    """A payment held by its operation alone is looked up first, which moves nothing."""
    replies = [reply(NAME, f"{one}.200") for one in ("operation_payment_request", "transaction")]
    script = Script(BARE, *replies, reply(NAME, "refund.202"))
    paid = Payment(account=NAME, provider_reference="op_4d2a")
    drive(BARE.refund(script, order("refund"), paid))
    assert [(one.method, one.money) for one in script.requests] == [
        ("GET", False),
        ("GET", False),
        ("POST", True),
    ]
    nothing = Script(BARE, reply(NAME, "operation_payout.200"))
    with pytest.raises(UsageError, match="transaction"):
        drive(BARE.refund(nothing, order("refund"), ASKED))


@pytest.mark.parametrize("kind", ["collect", "payout", "refund"])
def test_each_order_has_one_key_for_an_hour(kind: Any) -> None:
    """It is made of kind and reference, of the page's characters, and lives far below 24 h."""
    paid = Payment(account=NAME, receipt="AB12CD34EF")
    keys = []
    for reference in ("a", "a", "b", "9" * 64, "x.y_z-1"):
        case = "payment_request" if kind == "collect" else kind
        script = Script(BARE, bent(f"{case}.202", "data", "payload", to={}))
        wanted = order(kind, reference=reference)
        more = (paid,) if kind == "refund" else ()
        drive(getattr(BARE, kind)(script, wanted, *more))
        (request, *_) = script.requests
        assert (request.money, request.repeatable, request.repeats_for) == (True, True, KEY_LIFE)
        keys.append(request.headers["Idempotency-Key"])
    assert len(set(keys)) == 4
    assert keys[0] == keys[1] == f"{kind}-ca978112ca1bbdcafac231b39a23dc4d"
    assert all(8 <= len(one) <= 128 and one.replace("-", "").isalnum() for one in keys)
    assert KEY_LIFE <= 6 * 3600


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"operator": None}, "operator"),
        ({"operator": "celtiis"}, "operator"),
        ({"extra": {"provider_code": "mtn!"}}, "provider_code"),
        ({"extra": {"provider_code": 7}}, "provider_code"),
        ({"description": "x" * 501}, "description"),
    ],
)
def test_a_payout_that_cannot_be_written_is_refused(fields: dict[str, Any], field: str) -> None:
    """Nothing is guessed of a payee's network, and nothing is sent."""
    script = Script(BARE)
    with pytest.raises(UsageError, match=field):
        drive(BARE.payout(script, order(**fields)))
    assert script.requests == []


def test_a_network_can_be_named_in_intrams_words() -> None:
    """`extra` has the code of a network for which there is no word of ours."""
    script = Script(BARE, reply(NAME, "payout.202"))
    drive(BARE.payout(script, order(operator=None, extra={"provider_code": "SBIN_BENIN_229"})))
    assert sent(script)["destination"]["provider_code"] == "SBIN_BENIN_229"


def test_our_reference_is_no_ones_metadata() -> None:
    """The key by which an operation is found cannot be taken by a caller's own."""
    with pytest.raises(UsageError, match="metadata"):
        drive(BARE.collect(Script(BARE), order("collect", metadata={"paymux_reference": "x"})))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("data", "operation_id"), None),
        (("data", "operation_id"), "../payouts"),
        (("data", "type"), "refund"),
        (("data", "type"), "another"),
        (("data", "payload"), {"reference": "PO-2026-0002"}),
        (("data", "payload"), {"amount": 24999}),
        (("data",), []),
    ],
)
def test_an_answer_to_another_order_is_unknown(path: tuple[str, ...], to: object) -> None:
    """Crossed responses, and those without an id that can be asked for, prove nothing."""
    with pytest.raises(OutcomeUnknown):
        drive(BARE.payout(Script(BARE, bent("payout.202", *path, to=to)), order()))


REFUSED = {
    "validation_error.400": Rejected,
    "missing_idempotency_key.400": Rejected,
    "invalid_idempotency_key.400": Rejected,
    "missing_api_key.401": AuthenticationFailed,
    "signature_invalid.401": AuthenticationFailed,
    "ip_allowlist_empty.403": AuthenticationFailed,
    "ip_not_allowed.403": AuthenticationFailed,
    "merchant_inactive.403": AuthenticationFailed,
    "transaction_not_found.404": Rejected,
    "idempotency_conflict.409": Duplicate,
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_listed_refusal_is_sure(case: str) -> None:
    """Each documented refusal has its error and its code; of a look-up, unknown is not found."""
    error = judged(case)
    assert type(error) is REFUSED[case]
    assert error.code == case.partition(".")[0]
    if case.startswith("transaction_not_found"):
        assert type(judged(case, money=False)) is NotFound


@pytest.mark.parametrize("code", ["amount_too_small", "amount_too_large", "unknown_currency"])
def test_a_refused_amount_has_its_reason(code: str) -> None:
    """Limits are told as such."""
    error = BARE.judge(post("/payouts", dict, {}), said({"error": True, "code": code}, 400))
    assert isinstance(error, Rejected)
    assert error.reason is (Reason.OTHER if code == "unknown_currency" else Reason.LIMIT)


@pytest.mark.parametrize(
    "answer",
    [
        reply(NAME, "internal_error.500"),
        said({"error": True, "code": "auth_error"}, 500),
        said({"error": True, "code": "validation_error"}, 500),
        said({"error": True, "code": "missing_api_key"}, 403),
        said({"error": True, "code": "something_new"}, 400),
        said({"error": "true", "code": "validation_error"}, 400),
        said({"error": True, "code": "idempotency_conflict"}, 400),
        said({"code": "validation_error"}, 400),
        said({"error": True, "code": "validation_error"}),
    ],
)
def test_any_other_refusal_proves_nothing_of_money(answer: Response) -> None:
    """A code that is not listed, or not with this status, leaves the outcome unknown."""
    assert BARE.judge(post("/payouts", dict, {}), answer) is None


def test_without_the_store_of_keys_nothing_is_repeated() -> None:
    """The page says to try again; but nothing would then tell a repeat from another order."""
    with pytest.raises(NotJoining):
        judged("idempotency_error.500")
    assert judged("idempotency_error.500", money=False) is None


PROVES = {
    "insufficient_balance": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "merchant_wallet_missing": (Status.FAILED, Reason.OTHER),
    "missing_provider_code": (Status.FAILED, Reason.OTHER),
    "provider_unavailable": (Status.FAILED, Reason.OTHER),
    "provider_rejected": (Status.FAILED, Reason.DECLINED),
    "amount_exceeds_transaction": (Status.FAILED, Reason.OTHER),
    "not_refundable": (Status.FAILED, Reason.OTHER),
    "transaction_not_settled": (Status.FAILED, Reason.OTHER),
    "unsupported_payment_method": (Status.FAILED, Reason.OTHER),
    "provider_error": (Status.PENDING, None),
    "stripe_unavailable": (Status.PENDING, None),
    "network_error": (Status.PENDING, None),
}


@pytest.mark.parametrize("code", PROVES)
def test_each_code_of_a_failed_operation_proves_what_the_page_says(code: str) -> None:
    """Only what cannot have moved money is a failure; the rest is a matter for a person."""
    found = verified(bent("operation_failed.200", "data", "error", "code", to=code))
    assert (found.status, found.reason) == PROVES[code]
    assert found.provider_status == f"failed/{code}"
    told = "ask Intram before you pay it again" in (found.message or "")
    assert told is (found.status is Status.PENDING)
    assert {one.upper() for one in PROVES if PROVES[one][0] is Status.FAILED} == {
        one for one in FAILURE if FAILURE[one] is Status.FAILED
    }


@given(st.text(min_size=1, max_size=40))
def test_an_unlisted_code_fails_nothing(code: str) -> None:
    """Whatever else an operation failed with, its money may have moved."""
    found = verified(bent("operation_failed.200", "data", "error", "code", to=code))
    listed = FAILURE.get(code.strip().rstrip(".").rstrip().upper())
    assert (found.status is Status.FAILED) is (listed is Status.FAILED)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_an_unlisted_word_ends_nothing(status: str, result: str) -> None:
    """An operation's words are those of the page, or it is pending."""
    body = sample(NAME, "operation_payout.200")
    body["data"]["status"], body["data"]["result"]["status"] = status, result
    listed = {*OPERATION, *RESULT}
    try:
        found = verified(said(body))
    except OutcomeUnknown:
        return
    words = {one.strip().rstrip(".").rstrip().upper() for one in (status, result)}
    assert found.status is Status.PENDING or words & listed


@pytest.mark.parametrize(
    ("status", "result", "expected"),
    [
        ("queued", None, Status.PENDING),
        ("processing", None, Status.PENDING),
        ("expired", None, Status.PENDING),
        ("succeeded", "completed", Status.SUCCEEDED),
        ("succeeded", "pending", Status.PENDING),
        ("succeeded", "queued_for_settlement", Status.PENDING),
        ("succeeded", None, Status.PENDING),
        ("failed", "completed", Status.PENDING),
        ("queued", "completed", Status.PENDING),
        ("failed", None, Status.PENDING),
    ],
)
def test_each_word_of_an_operation_proves_what_the_page_says(
    status: str, result: str | None, expected: Status
) -> None:
    """`succeeded` alone says that the operation was carried out, not that money moved."""
    body = sample(NAME, "operation_payout.200")
    body["data"]["status"], body["data"]["result"]["status"] = status, result
    assert verified(said(body)).status is expected


def test_a_failure_after_several_tries_proves_nothing() -> None:
    """What the try before brought about is unknown, whatever the last one says."""
    assert verified(reply(NAME, "operation_failed.200")).status is Status.FAILED
    for tries in (2, "3", 1.5, "x"):
        found = verified(bent("operation_failed.200", "data", "attempts", to=tries))
        assert (found.status, found.reason) == (Status.PENDING, None)


def test_a_payout_is_read_whole() -> None:
    """Every field that the page shows."""
    found = verified(reply(NAME, "operation_settlement.200"))
    assert (found.reference, found.payee, found.amount, found.currency) == (
        "PO-2026-0001",
        "22961234567",
        Decimal(25000),
        "XOF",
    )
    assert (found.live, found.receipt) == (True, None)
    paid = bent("operation_settlement.200", "data", "result", "status", to="completed")
    found = verified(paid)
    assert (found.status, found.receipt) == (Status.SUCCEEDED, "MTN987654321")
    assert found.paid_at == datetime(2026, 5, 20, 10, 30, 14, tzinfo=UTC)
    back = verified(
        reply(NAME, "operation_refund.200"),
        payment=Payment(account=NAME, kind="refund", provider_reference="op_6f7c"),
    )
    assert (back.kind, back.status, back.reference, back.receipt) == (
        "refund",
        Status.SUCCEEDED,
        "refund-9001",
        "9DEFGH1234",
    )


def test_a_collect_is_what_its_transaction_says() -> None:
    """An operation that succeeded has a page; only the transaction says that it was paid."""
    asked = Payment(account=NAME, provider_reference="op_4d2a")
    opened = reply(NAME, "operation_payment_request.200")
    found = verified(opened, reply(NAME, "transaction.200"), payment=asked)
    assert (found.status, found.reference, found.provider_reference) == (
        Status.SUCCEEDED,
        "order-4521",
        "op_4d2a",
    )
    assert (found.receipt, found.fee, found.payer, found.amount) == (
        "AB12CD34EF",
        Decimal(240),
        "22961234567",
        Decimal(12000),
    )
    assert found.checkout_url == "https://gateway.intram.org/AB12CD34EF"
    done = bent("operation_payment_request.200", "data", "result", "status", to="completed")
    none = json.loads(done.body)
    del none["data"]["result"]["transaction_reference"]
    assert verified(said(none), payment=asked).status is Status.PENDING
    known = msgspec.structs.replace(asked, ids={"transaction_reference": "AB12CD34EF"})
    assert verified(reply(NAME, "transaction.200"), payment=known).status is Status.SUCCEEDED


@pytest.mark.parametrize("kind", ["DEBIT", "REFUND"])
def test_a_failed_transaction_fails_no_money_that_left(kind: str) -> None:
    """It is also said after a network error: what left may have arrived."""
    asked = Payment(account=NAME, receipt="AB12CD34EF")
    answer = bent("transaction_error.200", "data", "type", to=kind)
    found = drive(BARE.find(Script(BARE, answer), asked))
    assert (found.status, found.kind) == (Status.PENDING, {"DEBIT": "payout"}.get(kind, "refund"))


@given(st.text(min_size=1, max_size=40))
def test_an_unlisted_transaction_word_ends_nothing(word: str) -> None:
    """A transaction's words are those of the page, or it is pending."""
    answer = bent("transaction.200", "data", "status", to=word)
    known = Payment(
        account=NAME,
        provider_reference="op_4d2a",
        ids={"transaction_reference": "AB12CD34EF"},
    )
    try:
        found = verified(answer, payment=known)
    except OutcomeUnknown:
        return
    if word.strip().rstrip(".").rstrip().upper() not in TRANSACTION:
        assert found.status is Status.PENDING


@pytest.mark.parametrize(
    ("case", "path", "payment"),
    [
        ("operation_payout.200", ("data", "operation_id"), ASKED),
        ("operation_payout.200", ("data", "status"), ASKED),
        (
            "transaction.200",
            ("data", "reference"),
            msgspec.structs.replace(
                ASKED, kind="collect", ids={"transaction_reference": "AB12CD34EF"}
            ),
        ),
    ],
)
@pytest.mark.parametrize("to", [None, "op_other", {}])
def test_a_look_up_believes_no_other_answer(
    case: str, path: tuple[str, ...], payment: Payment, to: object
) -> None:
    """An answer about something else, or without a status, says nothing."""
    if to == "op_other" and path[-1] == "status":
        return
    with pytest.raises(OutcomeUnknown):
        verified(bent(case, *path, to=to), payment=payment)


@pytest.mark.parametrize("asked", [None, "AB12CD34EF", "op_../../x", "op_"])
def test_only_an_operation_can_be_verified(asked: str | None) -> None:
    """Another id is UsageError, before anything is sent."""
    with pytest.raises(UsageError, match="provider_reference"):
        verified(payment=Payment(account=NAME, provider_reference=asked))


def listed(*operations: Any, before: object = None) -> Response:
    """Return a page of a list of operations."""
    return said({"error": False, "data": operations, "paging": {"next_before": before}})


def made(
    status: str = "succeeded", reference: str = "wage-7", date: str = "2026-05-20T10:30:00.000Z"
) -> Any:
    """Return a payout's operation in a list."""
    body = sample(NAME, "operation_payout.200")["data"]
    body |= {"status": status, "date": date, "payload": {"reference": reference, "amount": 25000}}
    if status == "failed":
        body |= {"result": None, "error": {"code": "provider_rejected"}}
    return body


LOST = Payment(account=NAME, kind="payout", reference="wage-7")


def test_an_order_is_found_by_our_reference_on_any_page() -> None:
    """The list is read page by page, by its own cursor, until the reference is there."""
    script = Script(BARE, listed(made(reference="x"), before="2026-05-19T12:34:56.000Z"))
    script.replies.append(listed(made(reference="y"), made()))
    found = drive(BARE.find(script, LOST))
    assert (found.status, found.reference, found.provider_reference) == (
        Status.SUCCEEDED,
        "wage-7",
        "op_2f4a8b1c",
    )
    assert [one.target() for one in script.requests] == [
        "/operations?limit=100&type=payout",
        "/operations?before=2026-05-19T12:34:56.000Z&limit=100&type=payout",
    ]


def test_what_was_never_listed_is_not_found() -> None:
    """The end of the list is no proof, and is told as what it is."""
    with pytest.raises(NotFound):
        drive(BARE.find(Script(BARE, listed(made(reference="x"))), LOST))
    with pytest.raises(NotFound):
        drive(BARE.find(Script(BARE, listed(made(), made())), order_of("refund")))


def order_of(kind: Any) -> Payment:
    """Return a lost order of another kind with the same reference."""
    return msgspec.structs.replace(LOST, kind=kind)


def test_a_search_ends_before_the_order_was_made() -> None:
    """An operation of more than an hour before is another order's, and no older page is asked."""
    since = datetime(2026, 5, 20, 12, tzinfo=UTC)
    lost = msgspec.structs.replace(LOST, created_at=since)
    older = listed(made(), before="2026-05-19T12:34:56.000Z")
    script = Script(BARE, older)
    with pytest.raises(NotFound):
        drive(BARE.find(script, lost))
    assert len(script.requests) == 1
    near = msgspec.structs.replace(lost, created_at=since - timedelta(minutes=31))
    assert drive(BARE.find(Script(BARE, older), near)).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("failed", "succeeded"), Status.SUCCEEDED),
        (("succeeded", "failed"), Status.SUCCEEDED),
        (("failed", "queued"), Status.PENDING),
        (("failed", "failed"), Status.FAILED),
    ],
)
def test_a_reference_that_was_used_twice_failed_only_if_both_did(
    rows: tuple[str, ...], expected: Status
) -> None:
    """A forgotten key pays again: a later failure does not undo an earlier payout."""
    found = drive(BARE.find(Script(BARE, listed(*map(made, rows))), LOST))
    assert found.status is expected


@pytest.mark.parametrize("cursor", ["2026-05-19T12:34:56.000Z", "&type=refund", "x" * 60])
def test_a_cursor_that_leads_nowhere_ends_the_search(cursor: str) -> None:
    """A list that repeats its cursor, or names another query, is no answer."""
    script = Script(BARE, *[listed(before=cursor)] * 3)
    with pytest.raises(Unreadable, match="cursor"):
        drive(BARE.find(script, LOST))
    assert len(script.requests) <= 2


@pytest.mark.parametrize("receipt", ["", "a/b", "é"])
def test_a_receipt_is_one_of_intrams(receipt: str) -> None:
    """What no page shows is UsageError, before anything is sent."""
    with pytest.raises(UsageError, match="receipt"):
        drive(BARE.find(Script(BARE), Payment(account=NAME, receipt=receipt)))


def test_the_balance_is_the_sum_of_the_ways_to_pay() -> None:
    """The documented answer, that of the first version, and that of no wallet."""
    found = drive(BARE.balance(Script(BARE, reply(NAME, "balance.200"))))
    assert (found.currency, found.available) == ("XOF", Decimal(1_240_000))
    assert found.by_operator == {"MTN Bénin": 800_000, "Moov Bénin": 440_000}
    first = drive(BARE.balance(Script(BARE, reply(NAME, "balance_first.200"))))
    assert (first.available, first.by_operator) == (Decimal(10_000), {})
    assert drive(BARE.balance(Script(BARE, reply(NAME, "balance_none.200")))).available == 0
    with pytest.raises(Unreadable):
        drive(BARE.balance(Script(BARE, said({"data": {}}))))


async def _all(script: Script, since: datetime, until: datetime) -> list[Payment]:
    return [one async for one in BARE.history(script, since, until) if one is not None]


def test_the_history_is_a_list_of_transactions() -> None:
    """Each row is read with its own text, from `since` to before `until`, page by page."""
    page = sample(NAME, "transactions.200")
    older = json.loads(json.dumps(page))
    older["data"][0]["date"] = "2026-05-01T00:00:00.000Z"
    script = Script(BARE, said(page), said(older))
    since, until = datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 5, 21, tzinfo=UTC)
    (found,) = drive(_all(script, since, until))
    assert (found.kind, found.status, found.receipt, found.fee) == (
        "collect",
        Status.SUCCEEDED,
        "AB12CD34EF",
        Decimal(240),
    )
    assert json.loads(found.raw)["net_amount"] == 11760
    assert [one.target() for one in script.requests] == [
        "/transactions?before=2026-05-21T00:00:00.000Z&limit=100",
        "/transactions?before=2026-05-19T12:34:56.000Z&limit=100",
    ]


def read(body: object, **how: Any) -> Event:
    """Return the event of a signed message."""
    return LIVE.webhook(message(body, **how))


def test_a_documented_message_is_read() -> None:
    """Its body is proved, and names our order and the operation."""
    event = read(sample(NAME, "webhook_payout_completed"))
    claims = event.claims
    assert (event.trust, claims.kind, claims.reference) == (Trust.BODY, "payout", "PO-2026-0001")
    assert (claims.provider_reference, claims.amount, claims.payee) == (
        "op_2f4a",
        Decimal(25000),
        "22961234567",
    )
    assert read(sample(NAME, "webhook_ping")).ping
    unsigned = WebhookRequest(body=json.dumps(sample(NAME, "webhook_payout_completed")).encode())
    assert BARE.webhook(unsigned).trust is Trust.NOTHING


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("payout.completed", Status.SUCCEEDED),
        ("payout.queued", Status.PENDING),
        ("payout.failed", Status.PENDING),
        ("payment_request.created", Status.PENDING),
        ("payment_request.paid", Status.SUCCEEDED),
        ("payment_request.pending", Status.PENDING),
        ("payment_request.failed", Status.FAILED),
        ("refund.completed", Status.SUCCEEDED),
        ("refund.pending", Status.PENDING),
        ("refund.failed", Status.PENDING),
        ("payout.reversed", Status.PENDING),
    ],
)
def test_each_event_claims_what_the_page_says(event: str, status: Status) -> None:
    """A failure of money that leaves is also told after a network error: it claims nothing."""
    body = {"event": event, "operation_id": "op_1", "data": {}}
    assert read(body).claims.status is status


@pytest.mark.parametrize(
    "incoming",
    [
        message({"event": "payout.completed", "operation_id": "op_1"}, secret="whsec_other"),
        WebhookRequest(body=b'{"event":"payout.completed","operation_id":"op_1"}'),
        WebhookRequest(headers={"x-intram-signature": "é", "x-intram-timestamp": "\x00"}),
    ],
)
def test_a_message_that_was_not_signed_is_refused(incoming: WebhookRequest) -> None:
    """Forged, unsigned and hostile headers are BadWebhook."""
    with pytest.raises(BadWebhook):
        LIVE.webhook(incoming)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_message_is_refused(seconds: int) -> None:
    """A replay after five minutes is BadWebhook, and so is one from the future."""
    body = {"event": "payout.completed", "operation_id": "op_1"}
    assert not read(body, at=seconds * 0.9).ping
    with pytest.raises(BadWebhook, match="5 minutes"):
        read(body, at=seconds)


@pytest.mark.parametrize("operation", [None, "../x", 7, {}])
def test_a_message_without_an_operation_is_unreadable(operation: object) -> None:
    """There is nothing that could be asked for."""
    with pytest.raises(Unreadable):
        read({"event": "payout.completed", "operation_id": operation})


def test_a_subscription_gives_its_secret_once() -> None:
    """The request is that of the page, moves no money, and its secret is not shown."""
    script = Script(BARE, reply(NAME, "webhook_subscription.201"))
    url = "https://my-app.example.com/intram/webhook"
    secret = drive(IntramMerchant.subscribe(BARE, script, url=url, event="payout.*"))
    assert sent(script) == sample(NAME, "webhook_subscription_request")
    assert (secret.reveal(), "whsec" in repr(secret)) == ("whsec_b4c3a2", False)
    (request,) = script.requests
    assert not request.money
    assert request.headers["Idempotency-Key"].startswith("webhook-")
    wrong: Any
    for wrong in ({"url": "http://x.example"}, {"event": "payout.* "}, {"event": 7}):
        with pytest.raises(UsageError):
            drive(IntramMerchant.subscribe(BARE, Script(BARE), **{"url": url, **wrong}))
    with pytest.raises(OutcomeUnknown):
        drive(IntramMerchant.subscribe(BARE, Script(BARE, said({"data": {}}, 201)), url=url))
