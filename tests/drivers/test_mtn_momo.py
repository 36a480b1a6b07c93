"""MTN MoMo's driver, tested with the bodies of its portal, its notebook and its integrators."""

import base64
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers._ids import derived_uuid
from paymux.drivers.base import Duplicate
from paymux.drivers.mtn_momo import MtnMomo
from paymux.drivers.mtn_momo.account import own_id
from paymux.drivers.mtn_momo.answers import PAYOUT_REASON, REASON, REFUSALS, Transaction
from paymux.errors import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    UsageError,
)
from paymux.http import Request, Response, WebhookRequest, post
from paymux.models import Kind, Order, Payment, Reason, Status, Trust
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, decide
from paymux.values.parsing import Empty, Unreadable
from tests.driving import Script, drive, reply, sample

USER = "00000000-0000-4000-8000-00000000000a"
ID = "5f60d7a0-573b-4c71-8543-af095e0c1f2b"
KEY = "0123456789abcdef-orders"
FIELDS: dict[str, Any] = {
    f"{product}_{part}": "simulator"
    for product in ("collection", "disbursement")
    for part in ("key", "user", "api_key")
}

COLLECTS = Shape(
    fields=FIELDS,
    asked={"provider_reference": ID},
    answers=(
        "requesttopay_successful.200",
        "requesttopay_pending.200",
        "requesttopay_failed_reason_string.200",
    ),
    messages=("callback_successful",),
    places={"status": "status", "reason": "reason"},
    told={"status": "status", "reason": "reason"},
    said={
        "requesttopay_successful.200": Status.SUCCEEDED,
        "requesttopay_pending.200": Status.PENDING,
        "requesttopay_failed_reason_string.200": Status.FAILED,
        "callback_successful": Status.SUCCEEDED,
    },
)
OBJECTS = Shape(
    fields=FIELDS,
    asked={"provider_reference": ID},
    answers=("requesttopay_failed_reason_object.200",),
    messages=("callback_failed",),
    places={"status": "status", "reason": "reason.code"},
    amounts=(),
    told={"status": "status", "reason": "reason.code"},
    said={
        "requesttopay_failed_reason_object.200": Status.FAILED,
        "callback_failed": Status.FAILED,
    },
)
PAYOUTS = Shape(
    fields=FIELDS,
    asked={
        "provider_reference": ID,
        "kind": "payout",
        "ids": {"platform": "proxy", "api": "transfer"},
    },
    answers=(
        "transfer_successful.200",
        "transfer_number_types.200",
        "deposit_successful_no_receipt.200",
    ),
    places={"status": "status", "payout reason": "reason"},
    said={
        "transfer_successful.200": Status.SUCCEEDED,
        "transfer_number_types.200": Status.SUCCEEDED,
        "deposit_successful_no_receipt.200": Status.SUCCEEDED,
    },
)
REFUNDS = Shape(
    fields=FIELDS,
    asked={"provider_reference": ID, "kind": "refund"},
    answers=("refund_successful.200",),
    places={"status": "status", "payout reason": "reason"},
    said={"refund_successful.200": Status.SUCCEEDED},
)
# Its case of the contract tests.
CASE = Case(
    order={"currency": "UGX", "payer": "+256 772 12 34 56"},
    opens="POST /collection/v1_0/requesttopay/",
    looks="GET /collection/v1_0/requesttopay/",
    wire=b'"amount":"1000"',
    login="POST /collection/token/",
    resends=frozenset(
        {
            "POST /collection/v1_0/requesttopay/",
            "POST /disbursement/v1_0/transfer/",
            "POST /disbursement/v1_0/refund/",
        }
    ),
    payouts=(("256772123457", "POST /disbursement/v1_0/transfer/"),),
    refund="POST /disbursement/v1_0/refund/",
    words=COLLECTS,
    pages=(OBJECTS, PAYOUTS, REFUNDS),
)


# Accounts.

SANDBOX = MtnMomo(**FIELDS)
LIVE: dict[str, Any] = {
    **FIELDS,
    "collection_user": USER,
    "live": True,
    "target": "mtncameroon",
    "platform": "proxy",
    "id_key": KEY,
}
OTHER: dict[str, Any] = {f"other_{name}": f"other-{value}" for name, value in FIELDS.items()}


def order(kind: Kind = "collect", **more: Any) -> Order:
    """Return an order as the pool gives it to a driver."""
    given: dict[str, Any] = {
        "account": "mtn_momo",
        "kind": kind,
        "reference": "order-1",
        "amount": Decimal(1000),
        "currency": "XAF",
        "party": None if kind == "refund" else "237670000001",
        **more,
    }
    return Order(**given)


def held(kind: Kind = "collect", **more: Any) -> Payment:
    """Return a payment that is asked for."""
    given: dict[str, Any] = {"account": "mtn_momo", "kind": kind, "provider_reference": ID, **more}
    return Payment(**given)


ACCEPTED = Response(status=202)


class Unsigned:
    """Answers logins, which no token signs, and keeps them."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        return reply("mtn_momo", "token.200").answer(request.type)


def script(*replies: Response, **fields: Any) -> tuple[MtnMomo, Script]:
    """Return a live account, and what answers it."""
    driver = MtnMomo(**{**LIVE, **fields})
    return driver, Script(driver, *replies)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"platform": ""}, "platform"),
        ({"platform": "both"}, "platform"),
        ({"target": ""}, "target"),
        ({"target": "sandbox"}, "target"),
        ({"target": "mtnfrance"}, "target"),
        ({"id_key": ""}, "id_key"),
        ({"collection_api_key": ""}, "collection_api_key"),
        ({"collection_key": ""}, "collection_key"),
        ({"disbursement_user": ""}, "disbursement_user"),
        ({"other_collection_key": "x"}, "other_collection_user"),
        ({"other_url": "http://momo.example"}, "other_url"),
        (dict.fromkeys(FIELDS, ""), "collection_key"),
    ],
)
def test_an_account_is_whole_before_anything_is_sent(wrong: dict[str, Any], named: str) -> None:
    """What would be refused, or would ask at the wrong place, is named."""
    with pytest.raises(UsageError) as caught:
        MtnMomo(**{**LIVE, **wrong})
    assert caught.value.name == named


@pytest.mark.parametrize("target", ["mtncameroon", "mtnuganda"])
def test_a_country_is_no_target_of_the_sandbox(target: str) -> None:
    """The sandbox refuses it with a 500, and pays in EUR alone."""
    with pytest.raises(UsageError, match="target"):
        MtnMomo(**FIELDS, target=target)
    assert SANDBOX.target == "sandbox"
    assert SANDBOX.own_currencies == {"EUR"}
    assert MtnMomo(**LIVE).own_currencies == {"XAF"}


def test_each_platform_is_asked_at_its_own_host() -> None:
    """A base URL is of the platform of new payments, other_url of the other one."""
    proxy, africa = MtnMomo(**LIVE), MtnMomo(**{**LIVE, "platform": "africa"})
    assert (proxy.url, africa.url) == (
        "https://proxy.momoapi.mtn.com",
        "https://momoapi.momo.africa",
    )
    assert proxy.url_of("africa:collection") == africa.url
    assert africa.url_of("proxy:collection") == proxy.url
    own = MtnMomo(
        **LIVE, base_url="https://proxy.momoapi.mtn.co.rw", other_url="https://x.example/"
    )
    assert own.url_of("proxy:collection") == "https://proxy.momoapi.mtn.co.rw"
    assert own.url_of("africa:collection") == "https://x.example"


def test_a_number_is_of_the_accounts_country() -> None:
    """A live wallet pays no other country; a national number is read."""
    live = MtnMomo(**LIVE)
    assert live.party("collect", "6 70 00 00 01", "XAF") == "237670000001"
    with pytest.raises(UsageError, match="payer"):
        live.party("collect", "+256772123456", "XAF")
    with pytest.raises(UsageError, match="payer"):
        live.party("collect", "46733123453", "XAF")
    assert SANDBOX.party("collect", "46733123453", "EUR") == "46733123453"


# Requests.


def test_a_collect_is_the_page_s_request() -> None:
    """Fields in the page's order, all text; the id of the payment is derived from the order."""
    driver, send = script(ACCEPTED)
    asked = order(webhook_url="https://shop.example/pay/1", description="Café d'été & thé")
    found = drive(driver.collect(send, asked))
    (request,) = send.requests
    assert (request.method, request.path) == ("POST", "/collection/v1_0/requesttopay")
    assert json.loads(request.content()) == {
        "amount": "1000",
        "currency": "XAF",
        "externalId": "order-1",
        "payer": {"partyIdType": "MSISDN", "partyId": "237670000001"},
        "payerMessage": "Cafe d ete the",
        "payeeNote": "Cafe d ete the",
    }
    assert list(json.loads(request.content())) == list(sample("mtn_momo", "requesttopay_request"))
    ours = derived_uuid(KEY, "collect", "order-1")
    assert request.headers["X-Reference-Id"] == ours
    assert request.headers["X-Callback-Url"] == "https://shop.example/pay/1"
    assert request.repeatable
    assert request.known == {"provider_reference": ours, "platform": "proxy", "api": "requesttopay"}
    assert (found.status, found.provider_reference) == (Status.PENDING, ours)
    assert found.ids == {"platform": "proxy", "api": "requesttopay"}


@pytest.mark.parametrize("api", ["transfer", "deposit"])
def test_a_payout_is_a_transfer_or_a_deposit(api: str) -> None:
    """`extra` chooses; the payment keeps which it was, as each is asked for at its own path."""
    driver, send = script(
        ACCEPTED, Response(status=200, body=b'{"status":"PENDING","externalId":"order-1"}')
    )
    extra = {"api": api} if api == "deposit" else {}
    found = drive(driver.payout(send, order("payout", extra=extra)))
    assert send.requests[0].path == f"/disbursement/v1_0/{api}"
    assert list(json.loads(send.requests[0].content())) == list(
        sample("mtn_momo", "transfer_request")
    )
    assert "X-Callback-Url" not in send.requests[0].headers
    again = drive(driver.verify(send, found))
    assert send.requests[1].target() == f"/disbursement/v1_0/{api}/{found.provider_reference}"
    assert again.ids["api"] == api


@pytest.mark.parametrize(
    ("kind", "extra"), [("payout", {"api": "refund"}), ("collect", {"api": "transfer"})]
)
def test_another_api_is_refused(kind: Kind, extra: dict[str, str]) -> None:
    """A word that is none of a kind's APIs sends nothing."""
    driver, send = script()
    verb = driver.collect if kind == "collect" else driver.payout
    with pytest.raises(UsageError):
        drive(verb(send, order(kind, extra=extra)))
    assert send.requests == []


def test_a_refund_names_its_collect_and_goes_to_its_platform() -> None:
    """The payment's own platform has it, whatever the configuration says now."""
    driver, send = script(ACCEPTED, **OTHER, platform="africa")
    paid = held(ids={"platform": "proxy", "api": "requesttopay"})
    found = drive(driver.refund(send, order("refund", amount=Decimal(400)), paid))
    (request,) = send.requests
    assert request.login == "proxy:disbursement"
    assert json.loads(request.content()) == {
        "amount": "400",
        "currency": "XAF",
        "externalId": "order-1",
        "referenceIdToRefund": ID,
        "payerMessage": "order-1",
        "payeeNote": "order-1",
    }
    assert {*json.loads(request.content())} == {*sample("mtn_momo", "refund_request")}
    assert found.ids["platform"] == "proxy"
    for of, shown in ((None, "None"), ("", "None"), ("cos-1", "'cos-1'")):
        with pytest.raises(UsageError, match="provider_reference") as refused:
            drive(driver.refund(send, order("refund"), held(provider_reference=of)))
        assert refused.value.value == shown


@given(st.text(max_size=300))
def test_a_note_is_one_that_mtn_accepts(said: str) -> None:
    """Of 1 to 128 characters, and none that its firewall refuses, whatever the description."""
    driver, send = script(ACCEPTED)
    drive(driver.collect(send, order(description=said)))
    note = json.loads(send.requests[0].content())["payerMessage"]
    assert 1 <= len(note) <= 128
    assert note.isascii()
    assert not set(note) & set("'&<>\"\\")


def test_a_login_is_of_one_product_and_has_no_body() -> None:
    """Basic, raw; X-Target-Environment only where it is asked for; a path that ends in a slash."""
    driver, send = MtnMomo(**LIVE, **OTHER), Unsigned()
    token = drive(driver.login(send, "proxy:disbursement"))
    assert token is not None
    assert token.expires_in == 3600
    drive(driver.login(send, "africa:collection"))
    old, new = send.requests
    assert (old.path, new.path) == ("/disbursement/token/", "/collection/token/")
    assert old.body is new.body is None
    assert base64.b64decode(old.headers["Authorization"].split()[1]) == b"simulator:simulator"
    assert (
        base64.b64decode(new.headers["Authorization"].split()[1])
        == b"other-simulator:other-simulator"
    )
    assert "X-Target-Environment" not in old.headers
    assert new.headers["X-Target-Environment"] == "mtncameroon"
    assert drive(driver.login(send, "")) is None


def test_a_request_is_signed_by_its_own_product_and_platform() -> None:
    """The subscription key, the token and the country; a request without a login by none."""
    driver, _ = script(**OTHER, disbursement_key="payouts")
    asked: Request[Any] = Request(method="GET", path="/x", type=Empty, login="proxy:disbursement")
    signed = driver.authorize(asked, "t1").headers
    assert signed == {
        "Authorization": "Bearer t1",
        "X-Target-Environment": "mtncameroon",
        "Ocp-Apim-Subscription-Key": "payouts",
    }
    other = msgspec.structs.replace(asked, login="africa:disbursement")
    assert driver.authorize(other, "t").headers["Ocp-Apim-Subscription-Key"] == "other-simulator"
    assert driver.authorize(msgspec.structs.replace(asked, login=""), None).headers == {}


# Answers.


@pytest.mark.parametrize(
    ("case", "means"),
    [
        ("resource_already_exist.409", Means.DUPLICATE),
        ("invalid_currency.500", Means.REFUSED),
        ("target_environment.500", Means.REFUSED),
        ("callback_host.500", Means.REFUSED),
        ("internal.500", Means.UNKNOWN),
        ("unavailable.503", Means.UNKNOWN),
        ("resource_not_found.404", Means.UNKNOWN),
        ("waf.200", Means.UNKNOWN),
    ],
)
def test_what_an_answer_to_money_proves(case: str, means: Means) -> None:
    """Only a listed code refuses; a 5xx without one, and a firewall's page, prove nothing."""
    driver, send = script(ACCEPTED)
    drive(driver.collect(send, order()))
    assert decide(driver, send.requests[0], reply("mtn_momo", case)).means is means


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html></html>", b'{"message": "no"}'])
def test_no_other_answer_is_one_to_money(status: int, body: bytes) -> None:
    """Neither accepted nor refused: it is looked up."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    found = decide(driver, send.requests[0], Response(status=status, body=body))
    assert found.means is Means.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationFailed), (403, Rejected)],
)
def test_the_gateway_refuses_before_any_wallet(status: int, kind: type[ProviderError]) -> None:
    """Its form has the status in it; another status in it is no such answer."""
    driver, send = script(ACCEPTED)
    drive(driver.collect(send, order()))
    body = json.dumps({"statusCode": status, "message": "no"}).encode()
    (request,) = send.requests
    error = driver.judge(request, Response(status=status, body=body))
    assert type(error) is kind
    assert error is not None
    assert error.message == "no"
    odd = json.dumps({"statusCode": 418, "message": "no"}).encode()
    assert driver.judge(request, Response(status=status, body=odd)) is None


@pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 503])
def test_the_gateways_other_errors_prove_nothing(status: int) -> None:
    """It may have passed the request on before: of money nothing is sure."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    body = json.dumps({"statusCode": status, "message": "no"}).encode()
    assert driver.judge(send.requests[0], Response(status=status, body=body)) is None


def test_a_duplicate_is_409_to_money_and_nothing_else() -> None:
    """The same code in a look-up, or under another status, is none."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    (request,) = send.requests
    twice = reply("mtn_momo", "resource_already_exist.409")
    error = driver.judge(request, twice)
    assert isinstance(error, Duplicate)
    assert error.code == "RESOURCE_ALREADY_EXIST"
    assert error.message.startswith("Duplicated reference id")
    assert driver.judge(request, msgspec.structs.replace(twice, status=500)) is None
    look = msgspec.structs.replace(request, money=False)
    assert not isinstance(driver.judge(look, twice), Duplicate)


@pytest.mark.parametrize("body", [{}, {"message": "m"}, {"code": None}, {"code": ["NOT_ALLOWED"]}])
def test_an_error_without_a_code_is_none(body: dict[str, Any]) -> None:
    """A code that is no text is none of the list, and raises nothing."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    reply = Response(status=500, body=json.dumps(body).encode())
    assert driver.judge(send.requests[0], reply) is None


def test_a_listed_code_beside_other_fields_is_no_error_of_mtns() -> None:
    """A proxy may echo a code: only code and message are MTN's form, and the message may lack."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    (request,) = send.requests
    bare = {"code": "NOT_ALLOWED"}
    error = driver.judge(request, Response(status=500, body=json.dumps(bare).encode()))
    assert isinstance(error, Rejected)
    assert error.message == ""
    more = {**bare, "message": "m", "path": "/x"}
    assert driver.judge(request, Response(status=500, body=json.dumps(more).encode())) is None


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_listed_code_refuses_with_its_reason(code: str, status: int) -> None:
    """With whatever HTTP status it comes."""
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    body = json.dumps({"code": code, "message": "m"}).encode()
    error = driver.judge(send.requests[0], Response(status=status, body=body))
    assert isinstance(error, Rejected)
    assert (error.code, error.reason, error.message) == (code, REFUSALS[code], "m")


@given(st.text(max_size=40), st.sampled_from([400, 401, 403, 404, 409, 500, 503]))
def test_an_unlisted_code_refuses_nothing(code: str, status: int) -> None:
    """An error that no list has leaves money unknown."""
    if code in REFUSALS or code == "RESOURCE_ALREADY_EXIST":
        return
    driver, send = script(ACCEPTED)
    drive(driver.payout(send, order("payout")))
    reply = Response(status=status, body=json.dumps({"code": code, "message": "m"}).encode())
    assert decide(driver, send.requests[0], reply).means is Means.UNKNOWN


@pytest.mark.parametrize("case", ["token_login_failed.500", "token_invalid_client.401"])
def test_a_refused_login_is_authentication_failed(case: str) -> None:
    """Whichever platform says it, and with whichever status."""
    driver, send = script(reply("mtn_momo", case))
    with pytest.raises(AuthenticationFailed):
        drive(driver.login(send, "proxy:collection"))
    driver, send = script(reply("mtn_momo", "token_no_target.400"))
    with pytest.raises(Rejected, match="X-Target-Environment"):
        drive(driver.login(send, "proxy:collection"))
    denied = Response(status=401, body=b'{"statusCode": 401, "message": "denied"}')
    driver, send = script(denied)
    with pytest.raises(AuthenticationFailed, match="denied"):
        drive(driver.login(send, "proxy:collection"))


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
@pytest.mark.parametrize("body", [b"", b"{}", b"<html></html>", b'{"message": "x"}'])
def test_a_login_s_other_errors_say_nothing_of_credentials(status: int, body: bytes) -> None:
    """A firewall's page, or MTN's own trouble, is no wrong key: the login is tried again."""
    driver = MtnMomo(**LIVE)
    request = post("/collection/token/", Empty, None, money=False)
    error = driver.judge(request, Response(status=status, body=body))
    assert not isinstance(error, AuthenticationFailed)
    assert decide(driver, request, Response(status=500, body=b'{"error": "x"}')).error is None
    bare = driver.judge(request, Response(status=400, body=b"{}"))
    assert isinstance(bare, Rejected)
    assert bare.message == ""


ENDS: dict[str, tuple[Status, Reason]] = {
    "APPROVAL_REJECTED": (Status.FAILED, Reason.DECLINED),
    "REJECTED": (Status.FAILED, Reason.DECLINED),
    "PAYMENT_NOT_APPROVED": (Status.FAILED, Reason.DECLINED),
    "TRANSACTION_CANCELED": (Status.CANCELLED, Reason.CANCELLED),
    "EXPIRED": (Status.EXPIRED, Reason.EXPIRED),
    "COULD_NOT_PERFORM_TRANSACTION": (Status.EXPIRED, Reason.EXPIRED),
    "PAYER_NOT_FOUND": (Status.FAILED, Reason.UNKNOWN_PAYER),
    "PAYEE_NOT_FOUND": (Status.FAILED, Reason.UNKNOWN_PAYEE),
    "PAYEE_NOT_ALLOWED_TO_RECEIVE": (Status.FAILED, Reason.UNKNOWN_PAYEE),
    "SENDER_ACCOUNT_NOT_ACTIVE": (Status.FAILED, Reason.OTHER),
    "NOT_ENOUGH_FUNDS": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "PAYER_LIMIT_REACHED": (Status.FAILED, Reason.LIMIT),
    "PAYEE_LIMIT_REACHED": (Status.FAILED, Reason.LIMIT),
    "TRANSACTION_NOT_FOUND": (Status.FAILED, Reason.OTHER),
    "VALIDATION_ERROR": (Status.FAILED, Reason.OTHER),
    "NOT_ALLOWED": (Status.FAILED, Reason.OTHER),
    "NOT_ALLOWED_TARGET_ENVIRONMENT": (Status.FAILED, Reason.OTHER),
    "INVALID_CALLBACK_URL_HOST": (Status.FAILED, Reason.OTHER),
    "INVALID_CURRENCY": (Status.FAILED, Reason.OTHER),
    "INTERNAL_PROCESSING_ERROR": (Status.FAILED, Reason.OTHER),
    "SERVICE_UNAVAILABLE": (Status.FAILED, Reason.OTHER),
}
OPEN = {
    *("ONGOING", "PENDING", "DELAYED", "PAYER_DELAYED", "PAYEE_DELAYED"),
    "TRANSACTION_NOT_COMPLETED",
}
KINDS: tuple[Kind, ...] = ("collect", "payout", "refund")


def said(kind: Kind, status: str, reason: object = None) -> Payment:
    """Return what a look-up reads in a status and a reason."""
    body = {"externalId": "order-1", "amount": "1000", "currency": "XAF", "status": status}
    told = json.dumps({**body, "reason": reason}).encode()
    api = {"collect": "requesttopay", "payout": "transfer", "refund": "refund"}[kind]
    driver, send = script(Response(status=200, body=told))
    return drive(driver.verify(send, held(kind, ids={"platform": "proxy", "api": api})))


def test_the_table_has_every_word_of_the_lists() -> None:
    """What is not tested here is not in the driver."""
    assert {*ENDS, *OPEN} == {*PAYOUT_REASON} == {*REASON} - {"*"}


@pytest.mark.parametrize("shape", ["text", "object"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", sorted({*ENDS, *OPEN}))
def test_what_each_reason_proves(kind: Kind, code: str, shape: str) -> None:
    """Beside FAILED it is an end, or contradicts it; beside SUCCESSFUL it contradicts that."""
    reason = code if shape == "text" else {"code": code, "message": "m"}
    found = said(kind, "FAILED", reason)
    if code in OPEN:
        assert found.status is Status.PENDING
    else:
        assert (found.status, found.reason) == ENDS[code]
    assert found.provider_status == f"FAILED/{code}"
    assert said(kind, "SUCCESSFUL", reason).status is Status.PENDING
    assert said(kind, "PENDING", reason).status is Status.PENDING


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=30))
def test_an_unlisted_reason_fails_no_money_that_leaves(kind: Kind, code: str) -> None:
    """A collect that says FAILED has failed; a payout or refund is asked for again."""
    if code in ENDS or code in OPEN or code in ("NONE", "NULL", "UNDEFINED"):
        return
    expected = Status.FAILED if kind == "collect" else Status.PENDING
    assert said(kind, "FAILED", code).status is expected


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(max_size=30))
def test_an_unlisted_status_is_pending(kind: Kind, word: str) -> None:
    """No word but the page's ends a payment."""
    if word.strip().rstrip(".").rstrip().upper() in ("SUCCESSFUL", "FAILED"):
        return
    try:
        assert said(kind, word).status is Status.PENDING
    except OutcomeUnknown:  # it says nothing at all
        assert word.strip().lower() in ("", "none", "null", "undefined")


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_may_come_without_a_reason(kind: Kind) -> None:
    """The status alone is the page's word for an end."""
    found = said(kind, "FAILED")
    assert (found.status, found.reason) == (Status.FAILED, Reason.OTHER)


@pytest.mark.parametrize("kind", KINDS)
def test_a_payment_has_what_was_said_of_it(kind: Kind) -> None:
    """Each field in its place; the party is the payer of a collect, and the payee of a payout."""
    party = {"partyIdType": "MSISDN", "partyId": "237670000001"}
    told = {"status": "FAILED", "reason": {"code": "NOT_ENOUGH_FUNDS", "message": "no money"}}
    body = {"externalId": "order-1", "amount": "1000", "currency": "XAF", **told}
    answer = json.dumps({**body, "payer": party, "payee": party}).encode()
    api = {"collect": "requesttopay", "payout": "transfer", "refund": "refund"}[kind]
    driver, send = script(Response(status=200, body=answer))
    assert drive(driver.verify(send, held(kind, ids={"platform": "proxy", "api": api}))) == Payment(
        account="mtn_momo",
        provider="mtn_momo",
        kind=kind,
        live=True,
        reference="order-1",
        provider_reference=ID,
        ids={"platform": "proxy", "api": api},
        status=Status.FAILED,
        amount=Decimal(1000),
        currency="XAF",
        payer="237670000001" if kind == "collect" else None,
        payee="237670000001" if kind == "payout" else None,
        provider_status="FAILED/NOT_ENOUGH_FUNDS",
        reason=Reason.INSUFFICIENT_FUNDS,
        message="no money",
    )
    assert driver.payment(Transaction()).provider_status is None
    assert SANDBOX.payment(Transaction()).live is False


def test_the_portals_own_sample_has_numbers() -> None:
    """Each is read as text, and no number of a payee as a fraction."""
    driver, send = script(reply("mtn_momo", "transfer_number_types.200"))
    found = drive(driver.verify(send, held("payout", ids={"platform": "proxy", "api": "transfer"})))
    assert (found.reference, found.receipt, found.payee) == ("83453", "363440463", "4609274685")


def test_a_success_needs_no_receipt() -> None:
    """The sandbox's deposit came without one."""
    driver, send = script(reply("mtn_momo", "deposit_successful_no_receipt.200"))
    found = drive(driver.verify(send, held("payout", ids={"platform": "proxy", "api": "deposit"})))
    assert (found.status, found.receipt) == (Status.SUCCEEDED, None)


# Platforms.

MISSING = reply("mtn_momo", "resource_not_found.404")
PAID = reply("mtn_momo", "requesttopay_successful.200")


def test_a_payment_is_asked_for_where_it_was_processed() -> None:
    """The configuration has moved on; the payment has not."""
    driver, send = script(PAID, **OTHER, platform="africa")
    found = drive(driver.verify(send, held(ids={"platform": "proxy", "api": "requesttopay"})))
    (request,) = send.requests
    assert request.login == "proxy:collection"
    assert found.ids["platform"] == "proxy"
    here = drive(driver.verify(Script(driver, PAID), held(ids={"platform": "africa"})))
    assert here.ids["platform"] == "africa"


def test_without_its_platform_both_are_asked() -> None:
    """A lost journal finds a payment of before the move; what neither has is not found."""
    driver, send = script(MISSING, PAID, **OTHER, platform="africa")
    found = drive(driver.find(send, held(provider_reference=None, reference="order-1")))
    assert [one.login for one in send.requests] == ["africa:collection", "proxy:collection"]
    assert found.ids["platform"] == "proxy"
    assert found.provider_reference == derived_uuid(KEY, "collect", "order-1")
    driver, send = script(MISSING, MISSING, **OTHER)
    with pytest.raises(NotFound) as none:
        drive(driver.find(send, held(provider_reference=None, reference="order-1")))
    assert "no platform" not in str(none.value), "the answer of the last platform"


def test_where_a_payment_was_found_is_noted() -> None:
    """A payment that a caller wrote by hand is a collect; where it was found is noted."""
    driver, send = script(PAID)
    found = drive(driver.verify(send, msgspec.structs.replace(held(), kind=None)))
    assert send.requests[0].path.startswith("/collection/v1_0/requesttopay")
    assert found.ids == {"platform": "proxy", "api": "requesttopay"}


def test_a_platform_without_credentials_is_named_and_not_guessed() -> None:
    """Asking at the wrong platform would say "not found" of a payment that exists."""
    driver, send = script(MISSING)
    with pytest.raises(UsageError, match="other_collection_key"):
        drive(driver.verify(send, held(ids={"platform": "africa"})))
    with pytest.raises(UsageError, match="platform"):
        drive(driver.verify(send, held(ids={"platform": "moon"})))
    assert send.requests == []


def test_a_lost_payout_is_found_whichever_api_it_was() -> None:
    """A transfer is looked for first, then a deposit."""
    driver, send = script(MISSING, reply("mtn_momo", "deposit_successful_no_receipt.200"))
    found = drive(driver.find(send, held("payout", provider_reference=None, reference="o")))
    assert found.ids == {"platform": "proxy", "api": "deposit"}


@pytest.mark.parametrize("wrong", ["known-1", "..", "x" * 36, "5f60d7a0573b4c718543af095e0c1f2b"])
def test_an_id_that_is_no_uuid_is_not_asked_for(wrong: str) -> None:
    """It is none of ours, and would be another path."""
    driver, send = script()
    with pytest.raises(UsageError, match="provider_reference"):
        drive(driver.verify(send, held(provider_reference=wrong)))
    assert send.requests == []


# Messages and the rest.


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_callback_is_a_hint_by_either_method(method: str) -> None:
    """It is unsigned; the id of a collect follows from our reference, that of a payout does not."""
    driver = MtnMomo(**LIVE)
    body = sample("mtn_momo", "callback_successful")
    event = driver.webhook(WebhookRequest(method=method, body=json.dumps(body).encode()))
    assert event.trust is Trust.NOTHING
    assert event.claims.reference == "order-000123"
    assert event.claims.provider_reference == derived_uuid(KEY, "collect", "order-000123")
    body["payee"] = body.pop("payer")
    event = driver.webhook(WebhookRequest(method=method, body=json.dumps(body).encode()))
    assert (event.claims.kind, event.claims.provider_reference) == ("payout", None)
    body["referenceId"] = ID
    event = driver.webhook(WebhookRequest(method=method, body=json.dumps(body).encode()))
    assert event.claims.provider_reference == ID


@pytest.mark.parametrize("body", [{}, {"status": "SUCCESSFUL"}, {"externalId": "order-1"}])
def test_a_callback_that_names_nothing_is_unreadable(body: dict[str, str]) -> None:
    """Without a status, or without an order, it is about nothing."""
    with pytest.raises(Unreadable):
        MtnMomo(**LIVE).webhook(WebhookRequest(body=json.dumps(body).encode()))


def test_a_balance_is_that_of_payouts_or_of_a_product() -> None:
    """Money that can be paid out; without that product, what was collected."""
    driver, send = script(*[reply("mtn_momo", "balance.200")] * 2)
    found = drive(driver.balance(send))
    assert (found.available, found.currency) == (Decimal(1000), "EUR")
    drive(driver.balance_of(send, product="collection"))
    assert [one.target() for one in send.requests] == [
        "/disbursement/v1_0/account/balance",
        "/collection/v1_0/account/balance",
    ]
    with pytest.raises(UsageError, match="product"):
        drive(driver.balance_of(send, product="remittance"))
    alone = {name: "" for name in FIELDS if name.startswith("disbursement")}
    driver, send = script(reply("mtn_momo", "balance.200"), **alone)
    drive(driver.balance(send))
    assert send.requests[0].login == "proxy:collection"
    with pytest.raises(UsageError, match="disbursement_key"):
        drive(driver.payout(send, order("payout")))


def test_a_holder_is_asked_for_by_number() -> None:
    """Whether an account is active, and whose it is; the product is the account's own."""
    name = {"given_name": "Sand", "family_name": "Box"}
    driver, send = script(
        reply("mtn_momo", "accountholder_active.200"),
        Response(status=200, body=json.dumps(name).encode()),
    )
    assert drive(driver.holder_active(send, phone="670 00 00 01")) is True
    assert drive(driver.holder(send, phone="670 00 00 01", product="disbursement")) == name
    path = "v1_0/accountholder/msisdn/237670000001"
    assert [one.target() for one in send.requests] == [
        f"/collection/{path}/active",
        f"/disbursement/{path}/basicuserinfo",
    ]


def test_a_sandbox_user_is_made_with_the_key_alone() -> None:
    """Two requests that no token signs; the same id again, after a lost answer, is no failure."""
    driver = MtnMomo(collection_key="simulator")
    send = Script(driver, Response(status=409), reply("mtn_momo", "apikey.201"))
    found = drive(driver.provision(send, callback_host="shop.example"))
    made, keyed = send.requests
    assert json.loads(made.content()) == {"providerCallbackHost": "shop.example"}
    assert found == {
        "collection_user": made.headers["X-Reference-Id"],
        "collection_api_key": sample("mtn_momo", "apikey.201")["apiKey"],
    }
    assert keyed.target() == f"/v1_0/apiuser/{found['collection_user']}/apikey"
    assert [made.money, keyed.money, made.login, keyed.login] == [False, False, "", ""]
    for host in ("https://shop.example", "127.0.0.1:80", "shop", 5):
        with pytest.raises(UsageError, match="callback_host"):
            drive(driver.provision(send, callback_host=host))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="disbursement_key"):
        drive(driver.provision(send, callback_host="shop.example", product="disbursement"))
    with pytest.raises(UsageError, match="live"):
        drive(MtnMomo(**LIVE).provision(send, callback_host="shop.example"))


def test_a_sandbox_without_an_id_key_has_ids_of_its_own_user() -> None:
    """The sandbox is shared: two developers' order-1 would be one payment."""
    one = MtnMomo(**{**FIELDS, "collection_user": USER})
    two = MtnMomo(**{**FIELDS, "collection_user": ID})
    assert own_id(one, "collect", "order-1") != own_id(two, "collect", "order-1")
    assert own_id(MtnMomo(**LIVE), "payout", "a") == derived_uuid(KEY, "payout", "a")


@pytest.mark.parametrize("body", [{"status": "SUCCESSFUL"}, {"externalId": "order-1"}, {}])
def test_an_answer_without_status_or_order_is_none(body: dict[str, str]) -> None:
    """It says nothing of a payment, or not of which one: the look-up has failed."""
    with pytest.raises(Unreadable, match="no status, or does not say about which order"):
        msgspec.convert(body, Transaction).answers()
    driver, send = script(Response(status=200, body=json.dumps(body).encode()))
    with pytest.raises(OutcomeUnknown):
        drive(driver.verify(send, held(ids={"platform": "proxy"})))


def test_what_an_account_lacks_is_named_as_its_field() -> None:
    """Of its own platform without a prefix; another platform is asked with credentials alone."""
    alone = {name: "" for name in FIELDS if name.startswith("disbursement")}
    driver, send = script(**alone)
    with pytest.raises(UsageError) as caught:
        drive(driver.payout(send, order("payout")))
    assert caught.value.name == "disbursement_key"
    with pytest.raises(UsageError) as caught:
        drive(driver.verify(send, held(ids={"platform": "moon"})))
    assert (caught.value.name, caught.value.accepted) == ("platform", "proxy, africa")
    driver, send = script(MISSING)
    with pytest.raises(NotFound):
        drive(driver.find(send, held(provider_reference=None, reference="order-1")))
    payouts = {name: "" for name in FIELDS if name.startswith("collection")}
    one, two = (MtnMomo(**{**FIELDS, **payouts, "disbursement_user": user}) for user in (USER, ID))
    assert own_id(one, "payout", "a") != own_id(two, "payout", "a")
