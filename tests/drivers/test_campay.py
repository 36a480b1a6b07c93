import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers import load
from paymux.drivers.campay import CamPay
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
from paymux.http import Response, WebhookRequest, post
from paymux.models import Event, Order, Payment, Reason, Status, Trust, merge
from paymux.testing.contract import Case, Shape
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

LIVE = CamPay(username="the-app", password="the-password", webhook_key="the-webhook-key", live=True)
DEMO = CamPay(username="the-app", password="the-password")
KEYED = CamPay(username="the-app", password="the-password", webhook_key="the-webhook-key")
SUMMARY = CamPay(username="the-app", password="the-password", dialect="summary", live=True)
SECRETS = ("the-password", "the-webhook-key")
COLLECTED = "bcedde9b-62a7-4421-96ac-2e6179552a1a"
PAID_OUT = "26676007-1c31-46d7-9c71-acb031cf0de4"

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XAF", "payer": "+237 670 00 00 00"},
    opens="POST /api/collect/",
    looks="GET /api/transaction/",
    wire=b'"amount":"1000"',
    told={Status.CANCELLED: Status.FAILED, Status.EXPIRED: Status.FAILED},
    login="POST /api/token/",
    throttles=False,
    signs=True,
    signs_with=("webhook_key",),
    no_funds={"floats": {"MTN": 0, "ORANGE": 0}},
    dashboard=True,
    payouts=(
        ("237670000000", "POST /api/withdraw/"),
        ("237690000001", "POST /api/utilities/airtime/transfer/"),
    ),
    payout_options={"237690000001": {"extra": {"airtime": True}}},
    words=Shape(
        fields={"access_token": "simulator"},
        asked={"provider_reference": "bcedde9b-62a7-4421-96ac-2e6179552a1a"},
        answers=(
            "successful.200",
            "demo_record.200",
            "payout_failed.200",
            "pending.200",
            "summary_successful.200",
        ),
        messages=("callback", "summary_callback"),
        places={"status": "status", "reason": "reason"},
        told={"status": "status", "reason": "reason"},
        said={
            "successful.200": Status.SUCCEEDED,
            "demo_record.200": Status.SUCCEEDED,
            "summary_successful.200": Status.SUCCEEDED,
            "payout_failed.200": Status.FAILED,
            "pending.200": Status.PENDING,
            "callback": Status.SUCCEEDED,
            "summary_callback": Status.SUCCEEDED,
        },
    ),
)


def order(**changes: Any) -> Order:
    """Return the order of the documented example, with these changes."""
    fields = {
        "account": "campay",
        "kind": "collect",
        "reference": "12345678",
        "amount": Decimal(5),
        "currency": "XAF",
        "party": "237670000000",
        "description": "some description",
    }
    return Order(**{**fields, **changes})


def said(body: object, status: int = 200) -> Response:
    """Return an answer with this body."""
    return Response(
        status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode()
    )


def sent(script: Script) -> list[tuple[str, Any]]:
    """Return the body of the last request, with its fields in order."""
    return list(json.loads(script.requests[-1].content() or b"").items())


def held(reference: str | None = COLLECTED, **changes: Any) -> Payment:
    """Return a payment as a shop holds it."""
    return Payment(**{"account": "campay", "provider_reference": reference, **changes})


def verified(body: object, driver: CamPay = DEMO, payment: Payment | None = None) -> Payment:
    """Return the payment that a look-up with this answer finds."""
    return drive(
        driver.verify(
            Script(driver, body if isinstance(body, Response) else said(body)), payment or held()
        )
    )


def judged(
    answer: Response, path: str = "/collect/", *, money: bool = True
) -> ProviderError | None:
    """Return the driver's verdict on a refusal."""
    return DEMO.judge(post(path, dict, {}, money=money), answer)


def encoded(part: object) -> str:
    """Return one part of a JWT."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: object = None, header: object = None, key: str = "the-webhook-key") -> str:
    """Return a JWT as CamPay makes it, or as a forger would."""
    now = int(time.time())
    documented = {"alg": "HS256", "app": "Test", "typ": "JWT"}
    claims = (
        {"iat": now, "nbf": now, "exp": now + 3600, "source": "CamPay"}
        if claims is None
        else claims
    )
    text = f"{encoded(documented if header is None else header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(key.encode(), text.encode(), 'sha256'))}"


def called(body: object, driver: CamPay = KEYED) -> Event:
    """Return the event of a callback with this JSON body."""
    return driver.webhook(
        WebhookRequest(body=body if isinstance(body, bytes) else json.dumps(body).encode())
    )


def callback(**changes: object) -> dict[str, object]:
    """Return the documented callback with a valid signature, with these changes."""
    return {**sample("campay", "callback"), "signature": signed(), **changes}


def test_it_is_found_by_name_and_says_what_it_can_do() -> None:
    """`load("campay")` returns the driver; it claims no operation that CamPay lacks."""
    assert load("campay") is CamPay
    assert all(
        CamPay.can(verb)
        for verb in ("collect", "payout", "verify", "balance", "history", "webhook", "returned")
    )
    assert not any(CamPay.can(verb) for verb in ("find", "refund", "receipt", "methods"))
    for facts in CamPay.facts.values():
        assert (facts.deduplicates, facts.findable, facts.not_found_final_after) == (
            False,
            False,
            None,
        )
    assert CamPay.facts.keys() == {"collect", "payout"}


@pytest.mark.proves("campay: /token/ username: the API")
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "a"},
        {"password": "b"},
        {"webhook_key": "c"},
        {"access_token": "d", "dialect": "live"},
    ],
)
def test_one_of_the_two_ways_to_log_in_is_needed(fields: dict[str, Any]) -> None:
    """Half of a credential, or an unknown dialect, is refused, and the field is named."""
    with pytest.raises(UsageError, match=r"access_token|dialect"):
        CamPay(**fields)


@pytest.mark.proves("campay: base URL https://campay.net/api/")
@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"live": True}, "https://www.campay.net/api"),
        ({}, "https://demo.campay.net/api"),
        ({"live": True, "dialect": "summary"}, "https://campay.net/api"),
        ({"dialect": "summary"}, "https://demo.campay.net/api"),
        (
            {"live": True, "dialect": "summary", "base_url": "http://127.0.0.1:9/x"},
            "http://127.0.0.1:9/x",
        ),
    ],
)
def test_each_dialect_and_mode_has_its_host(fields: dict[str, Any], url: str) -> None:
    """Dialect and mode choose the host: live, demo or the summary's; `base_url` overrides all."""
    assert CamPay(access_token="t", **fields).url == url


def test_no_secret_can_be_read_off_the_driver() -> None:
    """No credential is in the driver's repr."""
    assert not any(secret in repr(LIVE) for secret in SECRETS)
    assert "the-token" not in repr(CamPay(access_token="the-token"))


@pytest.mark.proves("campay: POST /token/: log", "campay: /token/ username: the API")
def test_a_login_gives_a_token_for_its_stated_seconds() -> None:
    """The documented login is sent, and `expires_in` is read as seconds."""
    script = Script(DEMO, reply("campay", "login.200"))
    token = drive(DEMO.token(script))
    assert token is not None
    assert token.secret.reveal() == sample("campay", "login.200")["token"]
    assert token.expires_in == 3600
    assert (script.requests[0].method, script.requests[0].target()) == ("POST", "/token/")
    assert sent(script) == list(sample("campay", "login_request").items())
    assert not script.requests[0].money


@pytest.mark.proves("campay: /token/ token, without")
def test_a_token_without_a_lifetime_has_a_stated_default() -> None:
    """The summary's login has no `expires_in`: the driver's own lifetime is used."""
    token = drive(SUMMARY.token(Script(SUMMARY, reply("campay", "summary_login.200"))))
    assert token is not None
    assert (token.secret.reveal(), token.expires_in) == ("<ACCESS_TOKEN>", None)
    assert CamPay.token_life == 1800


@pytest.mark.proves("campay: header Authorization: Token")
def test_a_permanent_token_needs_no_login() -> None:
    """With `access_token` no login is sent, and every request has it as `Token`."""
    driver = CamPay(access_token="the-token", username="a", password="b")
    script = Script(driver)
    assert drive(driver.token(script)) is None
    assert not script.requests
    request = post("/collect/", dict, {})
    assert driver.authorize(request, None).headers == {"Authorization": "Token the-token"}
    assert DEMO.authorize(request, "temporary").headers == {"Authorization": "Token temporary"}


def test_a_refused_login_says_which_side_is_wrong() -> None:
    """A 400 with `non_field_errors` is AuthenticationFailed, without any secret."""
    with pytest.raises(AuthenticationFailed, match="provided credentials") as failed:
        drive(DEMO.token(Script(DEMO, reply("campay", "login_refused.400"))))
    assert failed.value.http_status == 400
    assert not any(secret in f"{failed.value} {failed.value!r}" for secret in SECRETS)


@pytest.mark.proves("campay: /token/ token, without")
@pytest.mark.parametrize("body", [b"<html>", {}, {"token": None}, {"expires_in": 3600}])
def test_a_login_without_a_token_is_no_login(body: object) -> None:
    """A 200 without a token is no login."""
    with pytest.raises(OutcomeUnknown):
        drive(DEMO.token(Script(DEMO, said(body))))


def test_a_collect_is_the_documented_request_and_its_answer_is_pending() -> None:
    """The request is the SDK's, field by field, and an accepted push is pending, not paid."""
    script = Script(DEMO, reply("campay", "collect.200"))
    payment = drive(DEMO.collect(script, order()))
    assert sent(script) == list(sample("campay", "collect_request").items())
    request = script.requests[0]
    assert (request.method, request.target(), request.money, request.repeatable) == (
        "POST",
        "/collect/",
        True,
        False,
    )
    assert (payment.status, payment.provider_status) == (Status.PENDING, None)
    assert payment.provider_reference == COLLECTED
    assert payment.prompt == "*126# for MTN or #150*50# for ORANGE"
    assert (payment.account, payment.provider, payment.kind, payment.live) == (
        "campay",
        "campay",
        "collect",
        False,
    )


def test_a_payout_is_the_documented_request() -> None:
    """The SDK's "disburse" sends `/withdraw/`, and the answer is pending."""
    script = Script(LIVE, reply("campay", "payout.200"))
    payment = drive(
        LIVE.payout(script, order(kind="payout", reference="a1f0c0de-0000-4000-8000-000000000001"))
    )
    assert sent(script) == list(sample("campay", "payout_request").items())
    assert (script.requests[0].target(), script.requests[0].money) == ("/withdraw/", True)
    assert (payment.kind, payment.live, payment.provider_reference) == ("payout", True, PAID_OUT)
    assert (payment.status, payment.provider_status) == (Status.PENDING, "PENDING")


@pytest.mark.proves(
    "campay: POST /collect/: mobile",
    "campay: /collect/ amount as text",
    "campay: /collect/ reference",
)
def test_the_summary_collects_in_its_own_words() -> None:
    """In the summary's dialect `+237…` is sent, and an answer with a status is read."""
    script = Script(SUMMARY, reply("campay", "summary_collect.200"))
    asked = order(reference="order-1042", amount=Decimal(1000), description="Achat data forfait")
    payment = drive(SUMMARY.collect(script, asked))
    assert sent(script) == list(sample("campay", "summary_collect_request").items())
    assert (script.requests[0].target(), payment.provider_reference) == ("/collect/", "abc123")
    assert payment.status is Status.PENDING


@pytest.mark.proves(
    "campay: POST /disburse/: money",
    "campay: /disburse/ amount as text",
    "campay: /disburse/ reference",
)
def test_the_summary_pays_out_by_disburse() -> None:
    """`/disburse/` is the summary's path for a payout."""
    script = Script(SUMMARY, reply("campay", "summary_payout.200"))
    asked = order(
        kind="payout",
        reference="order-1042",
        amount=Decimal(2000),
        party="237690000000",
        description="Paiement prestataire",
    )
    payment = drive(SUMMARY.payout(script, asked))
    assert sent(script) == list(sample("campay", "summary_payout_request").items())
    assert (script.requests[0].target(), script.requests[0].money) == ("/disburse/", True)
    assert (payment.kind, payment.provider_reference) == ("payout", "xyz456")


@pytest.mark.proves(
    "campay: POST /transaction/",
    "campay: /transaction/ reference",
    "campay: /transaction/ reference,",
)
def test_the_summary_verifies_by_a_post_that_moves_nothing() -> None:
    """POST /transaction/ is a look-up there, and SUCCESS is success."""
    script = Script(SUMMARY, reply("campay", "summary_successful.200"))
    payment = drive(SUMMARY.verify(script, held("abc123")))
    assert sent(script) == [("reference", "abc123")]
    request = script.requests[0]
    assert (request.method, request.target(), request.money) == ("POST", "/transaction/", False)
    assert (payment.status, payment.amount, payment.currency) == (
        Status.SUCCEEDED,
        Decimal(1000),
        "XAF",
    )


@pytest.mark.proves("campay: /collect/ reference")
@pytest.mark.parametrize("driver", [DEMO, SUMMARY])
@pytest.mark.parametrize("case", ["successful.200", "demo_record.200", "summary_successful.200"])
def test_both_dialects_understand_both_vocabularies(driver: CamPay, case: str) -> None:
    """Each dialect understands the answers of both."""
    assert verified(reply("campay", case), driver).status is Status.SUCCEEDED


def test_an_order_without_a_description_says_its_reference() -> None:
    """The reference is the default description, since CamPay may refuse an empty one."""
    script = Script(DEMO, reply("campay", "collect.200"))
    drive(DEMO.collect(script, order(description="")))
    assert dict(sent(script))["description"] == "12345678"


def test_external_user_travels_as_metadata_and_comes_back() -> None:
    """`external_user`, the only metadata that CamPay accepts, is sent and read back."""
    script = Script(DEMO, reply("campay", "collect.200"))
    drive(DEMO.collect(script, order(metadata={"external_user": "user-7"})))
    assert dict(sent(script))["external_user"] == "user-7"
    found = verified(reply("campay", "demo_record.200"))
    assert found.metadata == {"external_user": "jm_pt_0123456789abcdef0123456789abcdef"}


@pytest.mark.parametrize(
    "metadata", [{"cart": "7"}, {"external_user": 7}, {"external_user": "u", "cart": "7"}]
)
def test_other_metadata_is_refused_before_anything_is_sent(metadata: dict[str, Any]) -> None:
    """Metadata that CamPay would drop is refused before a request."""
    script = Script(DEMO)
    for verb in (DEMO.collect, DEMO.payout):
        with pytest.raises(UsageError, match="metadata"):
            drive(verb(script, order(metadata=metadata)))
    assert not script.requests


@pytest.mark.parametrize(
    "answer",
    [
        said({}),
        said({"reference": None, "status": "SUCCESSFUL"}),
        said({"reference": "None"}),
        said({"reference": COLLECTED, "external_reference": "another"}),
        said({"reference": COLLECTED, "amount": "6.00"}),
        said({"reference": COLLECTED, "amount": 0}),
        said({"reference": COLLECTED, "amount": "five"}),
        said({"reference": COLLECTED, "amount": "1E+1000000"}),
        said({"reference": [COLLECTED]}),
        said([]),
        said(b""),
        said(b"<html>502</html>"),
        said(b'{"reference": "bcedd'),
        said({"reference": COLLECTED}, 302),
        said({"reference": COLLECTED}, 500),
        said({"message": "ER101 Invalid phone number"}),
        said({"message": "Insufficient balance", "error_code": "ER301"}, 500),
        said({"message": "who knows", "error_code": "ER999"}, 400),
        said({"message": "like ER101", "error_code": "ER999"}, 400),
        said({"detail": "Withdrawals are disabled."}, 403),
        said({"detail": "Not found."}, 404),
        said({"detail": "Token expired"}, 401),
        said({"detail": "Request was throttled."}, 429),
        said({"detail": "A duplicate UUID"}, 400),
        said(b"<html>bad request</html>", 400),
        said({}, 408),
        said({}, 409),
    ],
)
@pytest.mark.parametrize("verb", ["collect", "payout"])
def test_an_answer_that_proves_nothing_leaves_the_outcome_unknown(
    verb: str, answer: Response
) -> None:
    """No reference, another order's, an unlisted code or a bare status: the outcome is unknown."""
    with pytest.raises(OutcomeUnknown):
        drive(getattr(DEMO, verb)(Script(DEMO, answer), order(kind=verb)))


@pytest.mark.parametrize(
    "answer",
    [
        {
            "reference": COLLECTED,
            "external_reference": "12345678",
            "amount": "5.00",
            "status": "PENDING",
        },
        {"reference": COLLECTED, "external_reference": "None", "amount": 5},
        {"reference": COLLECTED, "amount": 5.0},
    ],
)
def test_an_answer_that_echoes_our_order_is_ours(answer: dict[str, Any]) -> None:
    """Our own order is recognised, in whatever form its amount is written."""
    payment = drive(DEMO.collect(Script(DEMO, said(answer)), order()))
    assert (payment.provider_reference, payment.status) == (COLLECTED, Status.PENDING)


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (sample("campay", "refused_number.400"), "ER101", Reason.UNKNOWN_PAYER),
        (sample("campay", "refused_float.400"), "ER301", Reason.INSUFFICIENT_FUNDS),
        ({"message": "ER102 Unsupported Carrier phone number"}, "ER102", Reason.UNKNOWN_PAYER),
        ({"detail": "ER201: Invalid amount"}, "ER201", Reason.OTHER),
        ({"code": "ER201", "message": "Invalid amount"}, "ER201", Reason.OTHER),
        ({"message": ["ER101"]}, "ER101", Reason.UNKNOWN_PAYER),
    ],
)
def test_the_listed_codes_prove_that_no_money_moved(
    body: object, code: str, reason: Reason
) -> None:
    """ER101, ER102, ER201 and ER301 refuse a money request for certain, in any place."""
    for verb in (DEMO.collect, DEMO.payout):
        with pytest.raises(Rejected) as refused:
            drive(verb(Script(DEMO, said(body, 400)), order()))
        assert (refused.value.code, refused.value.reason) == (code, reason)
        assert type(refused.value) is Rejected


def test_a_stale_token_is_known_even_on_money() -> None:
    """`Invalid token.` means not processed, so that the transport may log in and repeat once."""
    for money in (True, False):
        assert isinstance(
            judged(reply("campay", "stale_token.401"), money=money), AuthenticationFailed
        )
    assert judged(said({"detail": "Invalid token."}, 500)) is None
    assert judged(said({"detail": "Other words."}, 401)) is None


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_are_refused_in_campays_own_shape(status: int) -> None:
    """Only a text under `detail` refuses a look-up's credentials; a firewall's page does not."""
    assert isinstance(judged(said({"detail": "no"}, status), money=False), AuthenticationFailed)
    firewall: tuple[object, ...] = (
        {"message": "Forbidden"},
        {"detail": "no", "ray": "7"},
        {"detail": ["no"]},
        {},
        b"<html>",
        b"",
    )
    for body in firewall:
        assert judged(said(body, status), money=False) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (404, NotFound),
        (429, RateLimited),
    ],
)
def test_on_a_look_up_a_bare_status_is_enough(status: int, kind: type[ProviderError]) -> None:
    """A bare status refuses a look-up; it proves nothing about money."""
    for body in (b"<html>", b"{}", b'{"detail": "no"}', b"[1]"):
        assert isinstance(judged(said(body, status), money=False), kind)
        assert judged(said(body, status)) is None


def test_a_documented_success_is_read_whole() -> None:
    """Status, amount, operator, both ids and the receipt are read from the README's record."""
    script = Script(DEMO, reply("campay", "successful.200"))
    payment = drive(DEMO.verify(script, held()))
    assert (script.requests[0].method, script.requests[0].target()) == (
        "GET",
        f"/transaction/{COLLECTED}/",
    )
    assert (payment.status, payment.provider_status) == (Status.SUCCEEDED, "SUCCESSFUL")
    assert (payment.amount, payment.currency, payment.operator) == (Decimal(5), "XAF", "MTN")
    assert (payment.reference, payment.provider_reference) == ("12345678", COLLECTED)
    assert (payment.receipt, payment.ids) == ("1880106956", {"code": "CP201027T00005"})
    assert (payment.fee, payment.reason, payment.message) == (None, None, None)


def test_a_record_of_the_demo_host_is_read_whole() -> None:
    """Amounts as text, "None" for null, and the fee as the part that the merchant does not get."""
    payment = verified(reply("campay", "demo_record.200"))
    assert (payment.status, payment.amount, payment.fee) == (
        Status.SUCCEEDED,
        Decimal(5),
        Decimal(1),
    )
    assert (payment.reason, payment.message) == (None, None)
    assert (payment.kind, payment.payer, payment.payee) == ("collect", "237670000000", None)
    known = held(payment.provider_reference, amount=Decimal(5), currency="XAF")
    assert merge(known, payment).status is Status.SUCCEEDED


def test_the_endpoint_tells_a_payout_from_a_collect() -> None:
    """A `withdraw` record is a payout: its number is the payee's, and it has no net amount."""
    payment = verified(reply("campay", "payout_failed.200"), payment=held(PAID_OUT))
    assert (payment.kind, payment.payer, payment.payee) == ("payout", None, "237670000000")
    assert (payment.status, payment.reason) == (Status.FAILED, Reason.INSUFFICIENT_FUNDS)
    assert (payment.message, payment.fee, payment.metadata) == ("Insufficient balance", None, {})
    silent = verified(reply("campay", "pending.200"), payment=held(kind="payout"))
    assert (silent.kind, silent.status) == ("payout", Status.PENDING)


@pytest.mark.proves(
    "campay: PENDING: waiting",
    "campay: SUCCESS: succeeded",
    "campay: FAILED: failed",
    "campay: CANCELLED: cancelled",
)
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING", Status.PENDING),
        ("SUCCESSFUL", Status.SUCCEEDED),
        ("successful", Status.SUCCEEDED),
        ("SUCCESS", Status.SUCCEEDED),
        ("FAILED", Status.FAILED),
        ("CANCELLED", Status.CANCELLED),
        ("EXPIRED", Status.PENDING),
        ("COMPLETED", Status.PENDING),
        ("UNSUCCESSFUL", Status.PENDING),
    ],
)
def test_only_known_words_end_a_payment(word: str, status: Status) -> None:
    """An unknown status, "expired" among them, stays pending and is kept in `provider_status`."""
    payment = verified({"reference": COLLECTED, "status": word, "amount": 5, "currency": "XAF"})
    assert (payment.status, payment.provider_status) == (status, word)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Insufficient balance", Reason.INSUFFICIENT_FUNDS),
        ("timeout", Reason.EXPIRED),
        ("Cancelled by the customer", Reason.CANCELLED),
        ("failed", Reason.OTHER),
        ("None", Reason.OTHER),
        (None, Reason.OTHER),
    ],
)
def test_a_failure_has_a_reason_of_ours(words: str | None, reason: Reason) -> None:
    """Clear texts become a reason, others OTHER; CamPay's text is kept."""
    payment = verified({"reference": COLLECTED, "status": "FAILED", "reason": words})
    assert payment.reason is reason
    assert payment.message == (None if words in (None, "None") else words)


@pytest.mark.parametrize("amount", [5, 5.0, "5", "5.00", "None", None])
def test_an_amount_is_read_however_it_is_written(amount: object) -> None:
    """A number, its text and "None" give the same amount, or none."""
    found = verified({"reference": COLLECTED, "status": "PENDING", "amount": amount}).amount
    assert found == (None if amount in (None, "None") else Decimal(5))


def test_a_net_amount_of_nothing_is_no_fee() -> None:
    """The fee is known only with both amounts, and if the merchant gets more than nothing."""
    for body in (
        {"app_amount": "4.00"},
        {"amount": "5.00"},
        {"amount": "5.00", "app_amount": "0.00"},
    ):
        assert verified({"reference": COLLECTED, "status": "PENDING", **body}).fee is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "SUCCESSFUL"},
        {"reference": COLLECTED},
        {"reference": "None", "status": "SUCCESSFUL"},
        [],
    ],
)
def test_a_record_without_reference_or_status_is_no_answer(body: object) -> None:
    """JSON without the expected fields never becomes an empty payment."""
    with pytest.raises(OutcomeUnknown):
        verified(body)


def test_an_unknown_reference_is_not_found() -> None:
    """404 on a look-up is NotFound, which is never final at CamPay."""
    with pytest.raises(NotFound):
        verified(reply("campay", "not_found.404"))


def test_a_payment_without_a_provider_reference_cannot_be_verified() -> None:
    """CamPay has no look-up by our reference: UsageError, and nothing is sent."""
    script = Script(DEMO)
    for missing in (None, ""):
        with pytest.raises(UsageError, match="provider_reference"):
            drive(DEMO.verify(script, held(missing)))
    assert not script.requests


def test_a_reference_cannot_leave_its_place_in_the_path() -> None:
    """A hostile reference from a callback is quoted in the path."""
    script = Script(DEMO, reply("campay", "not_found.404"))
    with pytest.raises(NotFound):
        drive(DEMO.verify(script, held("../balance/?x=#")))
    assert script.requests[0].target() == "/transaction/..%2Fbalance%2F%3Fx%3D%23/"


def test_the_balance_is_told_per_operator() -> None:
    """The balances of the operators are separate, because a payout uses only its operator's."""
    script = Script(DEMO, reply("campay", "balance.200"))
    balance = drive(DEMO.balance(script))
    assert (script.requests[0].method, script.requests[0].target()) == ("GET", "/balance/")
    assert (balance.currency, balance.available) == ("XAF", Decimal("1500.5"))
    assert balance.by_operator == {"MTN": Decimal("1500.5"), "ORANGE": Decimal(0)}


@pytest.mark.proves("campay: GET /balance/: the balance", "campay: /balance/ available_balance")
def test_the_summarys_balance_is_one_figure() -> None:
    """`available_balance` as text is read in both dialects; a missing one is no balance."""
    for driver in (SUMMARY, DEMO):
        balance = drive(driver.balance(Script(driver, reply("campay", "summary_balance.200"))))
        assert (balance.available, balance.by_operator) == (Decimal(50000), {})
        with pytest.raises(Unreadable):
            drive(driver.balance(Script(driver, said({"currency": "XAF"}))))
    empty = drive(DEMO.balance(Script(DEMO, said({"total_balance": 0, "available_balance": "7"}))))
    assert empty.available == 0


def past(script: Script, since: datetime, until: datetime) -> list[Payment]:
    """List a history to its end."""

    async def listed() -> list[Payment]:
        return [
            payment async for payment in DEMO.history(script, since, until) if payment is not None
        ]

    return drive(listed())


def test_the_history_is_asked_by_days_and_cut_to_the_period() -> None:
    """Whole days are requested, and rows outside the period are left out."""
    script = Script(DEMO, reply("campay", "history.200"))
    found = past(
        script, datetime(2021, 1, 25, 13, tzinfo=UTC), datetime(2021, 1, 29, 10, tzinfo=UTC)
    )
    request = script.requests[0]
    assert (request.method, request.target(), request.money) == ("POST", "/history/", False)
    assert sent(script) == list(sample("campay", "history_request").items())
    (payment,) = found
    assert payment.provider_reference == "25c63c72-8485-4059-85ad-fdb4bfb26c21"
    assert (payment.kind, payment.status, payment.amount) == (
        "collect",
        Status.SUCCEEDED,
        Decimal(5),
    )
    assert (payment.fee, payment.operator) == (Decimal("0.05"), "ORANGE")
    assert payment.receipt == "MP210129.1052.A35072"
    assert payment.created_at == datetime(2021, 1, 29, 9, 52, 34, 876707, tzinfo=UTC)


def test_a_debit_in_the_history_is_a_payout() -> None:
    """A row without endpoint has its direction in `debit`; one without a date is never lost."""
    body = {
        "data": [
            {
                "reference_uuid": PAID_OUT,
                "debit": "5.00",
                "status": "SUCCESSFUL",
                "phone_number": "2376",
            }
        ]
    }
    (payment,) = past(
        Script(DEMO, said(body)),
        datetime(2021, 1, 25, tzinfo=UTC),
        datetime(2021, 1, 26, tzinfo=UTC),
    )
    assert (payment.kind, payment.payee, payment.created_at) == ("payout", "2376", None)


def test_a_history_without_its_list_is_no_empty_history() -> None:
    """A JSON error with status 200 does not become an empty history."""
    with pytest.raises(OutcomeUnknown):
        past(
            Script(DEMO, said({"message": "no"})),
            datetime(2021, 1, 1, tzinfo=UTC),
            datetime.now(UTC),
        )


def test_a_payment_link_is_a_page_that_charges_nobody() -> None:
    """A payment link has a URL and its order, and is pending: it charges no payer by itself."""
    script = Script(DEMO, reply("campay", "link.200"))
    payment = drive(
        DEMO.payment_link(
            script,
            amount="5",
            reference="12345678",
            description="some description",
            payer="+237 670 00 00 00",
            return_url="https://mysite.example/",
        )
    )
    assert sent(script) == list(sample("campay", "link_request").items())
    assert (script.requests[0].target(), script.requests[0].money) == ("/get_payment_link/", False)
    assert payment.checkout_url == "https://www.campay.com/pay/with/link/"
    assert (payment.reference, payment.provider_reference) == ("12345678", COLLECTED)
    assert (payment.amount, payment.currency, payment.payer) == (Decimal(5), "XAF", "237670000000")
    assert (payment.status, payment.live, payment.kind) == (Status.PENDING, False, "collect")


def test_a_payment_link_needs_only_amount_and_reference() -> None:
    """An older answer without a reference gives the URL; an answer without a link is no answer."""
    script = Script(SUMMARY, said({"link": "https://www.campay.net/pay/1"}))
    payment = drive(SUMMARY.payment_link(script, amount=5, reference="order-1"))
    assert sent(script) == [
        ("amount", "5"),
        ("currency", "XAF"),
        ("description", "order-1"),
        ("external_reference", "order-1"),
        ("payment_options", "MOMO,CARD"),
    ]
    assert (payment.checkout_url, payment.provider_reference) == (
        "https://www.campay.net/pay/1",
        None,
    )
    with pytest.raises(OutcomeUnknown):
        drive(
            DEMO.payment_link(
                Script(DEMO, said({"reference": COLLECTED})), amount=5, reference="order-1"
            )
        )


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("amount", {"amount": 5.0}),
        ("amount", {"amount": "5.5"}),
        ("amount", {"amount": 0}),
        ("amount", {"amount": Decimal("1E+1000000")}),
        ("reference", {"reference": ""}),
        ("reference", {"reference": "x" * 65}),
        ("reference", {"reference": "order 1"}),
        ("reference", {"reference": "ordre-é"}),
        ("reference", {"reference": None}),
        ("payer", {"payer": "254708374149"}),
        ("payer", {"payer": "6700"}),
        ("return_url", {"return_url": "http://shop.example/"}),
        ("return_url", {"return_url": "javascript:alert(1)"}),
    ],
)
def test_a_payment_link_checks_its_own_input(field: str, fields: dict[str, Any]) -> None:
    """The driver checks the arguments of `payment_link` before it sends a request."""
    script = Script(DEMO)
    with pytest.raises(UsageError, match=field):
        drive(DEMO.payment_link(script, **{"amount": 5, "reference": "order-1", **fields}))
    assert not script.requests


def test_a_signed_callback_claims_and_does_not_prove() -> None:
    """A valid JWT proves the origin only: it does not sign the fields, so they stay claims."""
    event = called(callback())
    assert (event.account, event.provider, event.trust) == ("campay", "campay", Trust.ORIGIN)
    claims = event.claims
    assert claims.provider_reference == "85ac913b-bf64-49c5-979e-d175f058a6af"
    assert (claims.reference, claims.amount, claims.currency) == ("order-1", Decimal(100), "XAF")
    assert (claims.kind, claims.payer, claims.receipt) == ("collect", "237670000000", "1880106956")
    assert (claims.metadata, claims.message) == ({}, None)
    replayed = called(callback(reference="another", amount="1"))
    assert replayed.trust is Trust.ORIGIN
    assert Trust.BODY not in (event.trust, replayed.trust)


@pytest.mark.parametrize(
    "incoming",
    [
        lambda fields: WebhookRequest(method="GET", query=urlencode(fields)),
        lambda fields: WebhookRequest(method="POST", body=urlencode(fields).encode()),
        lambda fields: WebhookRequest(method="POST", body=json.dumps(fields).encode()),
        lambda fields: WebhookRequest(
            method="POST", body=b"\n " + json.dumps(fields, indent=1).encode()
        ),
    ],
)
def test_a_callback_is_read_from_either_method(
    incoming: Callable[[dict[str, object]], WebhookRequest],
) -> None:
    """GET or POST is a setting at CamPay; JSON and form have the same claims."""
    event = KEYED.webhook(incoming(callback()))
    assert (event.trust, event.claims) == (Trust.ORIGIN, called(callback()).claims)


def test_a_withdrawals_callback_is_a_payout() -> None:
    """`endpoint` gives the direction in a callback, too."""
    claims = called(callback(endpoint="withdraw", status="FAILED")).claims
    assert (claims.kind, claims.payee, claims.payer) == ("payout", "237670000000", None)


@pytest.mark.proves("campay: reference, status, amount", "campay: always check the signature")
def test_the_unsigned_callback_of_the_summary_is_a_mere_hint() -> None:
    """Without a webhook key it proves nothing; with one it is refused. `customer` is the payer."""
    body = sample("campay", "summary_callback")
    event = called(body, SUMMARY)
    assert event.trust is Trust.NOTHING
    assert (event.claims.provider_reference, event.claims.amount) == ("abc123", Decimal(1000))
    assert (event.claims.payer, event.claims.live) == ("237670000000", True)
    for unsigned in (
        body,
        {**body, "signature": None},
        {**body, "signature": "None"},
        {**body, "signature": " "},
    ):
        with pytest.raises(BadWebhook):
            called(unsigned)
    assert called(callback(), DEMO).trust is Trust.NOTHING


def test_the_published_signature_verifies() -> None:
    """The test vector of the Go client, a JWT without claims, is valid with its key only."""
    key = "geTrvNBLvXS35UvK3PnTnQgpjGmaEGe7wa6k3Ns4zehhvjncsjXnQsV7ZzhDWjDMEt7"
    jwt = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.9kFRoXMiiGWhCbnDPoOMVhgVTzYxu2MjNi-uTWGRcEU"
    right, wrong = (CamPay(access_token="t", webhook_key=one) for one in (key, key + "-invalid"))
    assert called(callback(signature=jwt), right).trust is Trust.ORIGIN
    with pytest.raises(BadWebhook):
        called(callback(signature=jwt), wrong)


NOW = time.time()
UNSIGNED = f"{encoded({'alg': 'none'})}.{encoded({})}."


@pytest.mark.proves("campay: always check the signature")
@pytest.mark.parametrize(
    "signature",
    [
        UNSIGNED,
        UNSIGNED[:-1],
        signed(key=""),
        signed(key="another-key"),
        signed(header={"alg": "none"}),
        signed(header={"alg": "HS512"}),
        signed(header={"alg": "RS256"}),
        signed(header={"alg": "hs256"}),
        signed(header={"alg": ["HS256"]}),
        signed(header={}),
        signed(header=["HS256"]),
        signed(header={"alg": "HS256", "jku": "https://forger.example/keys"}),
        signed(header={"alg": "HS256", "x5u": "https://forger.example/cert"}),
        signed(header={"alg": "HS256", "jwk": {}}),
        signed(header={"alg": "HS256", "crit": ["exp"]}),
        signed(header=b'{"alg": "none", "alg": "HS256"}'),
        signed({"exp": NOW - 3600}),
        signed({"exp": 0}),
        signed({"exp": -1}),
        signed({"exp": "soon"}),
        signed({"exp": None}),
        signed({"exp": 1e300}),
        signed(b'{"exp": NaN}'),
        signed(b'{"exp": Infinity}'),
        signed(b'{"exp": ' + b"9" * 400 + b"}"),
        signed(b'{"exp": ' + b"9" * 9000 + b"}"),
        signed({"nbf": NOW + 3600}),
        signed(b'{"nbf": NaN}'),
        signed({"iat": NOW + 3600}),
        signed({"iat": [NOW]}),
        signed(b"[" * 50_000),
        signed(b'{"a":' * 20_000),
        signed(b"\xff"),
        signed(b""),
        signed([]),
        signed() + "=",
        signed() + ".",
        "." + signed(),
        signed().replace(".", "..", 1),
        signed()[:-1],
        "x",
        "..",
        "é.é.é",
        "\u0661.\u0662.\u0663",
        5,
        True,
        1.5,
        "A" * 100_000,
    ],
)
def test_a_forged_signature_is_refused(signature: object) -> None:
    """No key, another algorithm, the token's own key, a wrong time, or no JWT: BadWebhook."""
    # Unreadable: longer than any message
    with pytest.raises((BadWebhook, Unreadable)) as refused:
        called(callback(signature=signature))
    assert not any(secret in f"{refused.value} {refused.value!r}" for secret in SECRETS)


def test_clocks_may_differ_by_a_minute() -> None:
    """Every date has a tolerance of a minute, and no more."""
    now = time.time()
    for claims in (
        {"exp": now - 30},
        {"nbf": now + 30},
        {"iat": now + 30},
        {},
        {"source": "CamPay"},
    ):
        assert called(callback(signature=signed(claims))).trust is Trust.ORIGIN
    for claims in ({"exp": now - 90}, {"nbf": now + 90}, {"iat": now + 90}):
        with pytest.raises(BadWebhook):
            called(callback(signature=signed(claims)))


def test_no_changed_bit_of_a_signature_passes() -> None:
    """Every changed bit of a signed JWT, also the last character's unused bits, is refused."""
    jwt = signed().encode()
    for place in range(8 * len(jwt)):
        flipped = bytearray(jwt)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(BadWebhook):
            called(callback(signature=flipped.decode("latin-1")))


@pytest.mark.parametrize("driver", [KEYED, DEMO])
@pytest.mark.parametrize(
    "incoming",
    [
        WebhookRequest(),
        WebhookRequest(method="GET"),
        WebhookRequest(body=b"{}"),
        WebhookRequest(body=b"["),
        WebhookRequest(body=b"null"),
        WebhookRequest(body=b"\xff\xfe"),
        WebhookRequest(body=b'{"reference": "a", "reference": "b"}'),
        WebhookRequest(method="GET", query="reference=a&reference=b"),
        WebhookRequest(method="GET", query="reference=%ff"),
        WebhookRequest(body=b'{"reference": ' + b"[" * 100_000),
        WebhookRequest(body=b'{"reference": {"a": "b"}}'),
        WebhookRequest(body=b'{"reference": "None", "status": "SUCCESSFUL"}'),
        WebhookRequest(body=b'{"reference": "\\ud800"}'),
        WebhookRequest(body=b'{"reference": "a", "amount": "1E+1000000"}'),
        WebhookRequest(body=b'{"reference": "a", "amount": 1e999}'),
        WebhookRequest(body=b'{"reference": "a", "amount": NaN}'),
        WebhookRequest(body=b'{"reference": "a", "amount": "\xd9\xa1"}'),
        WebhookRequest(body=b"a" * 300_000),
    ],
)
def test_an_unreadable_callback_is_dropped(driver: CamPay, incoming: WebhookRequest) -> None:
    """Hostile bodies quickly raise one of the three errors that the pool catches."""
    with pytest.raises((BadWebhook, Unreadable, UnicodeDecodeError)):
        driver.webhook(incoming)


FIELDS = st.sampled_from(
    [*sample("campay", "callback"), "customer", "app_amount", "debit", "datetime"]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers(), max_size=2),
    st.just(signed()),
)


@pytest.mark.slow
@given(st.dictionaries(FIELDS, VALUES), st.binary(max_size=40))
def test_no_foreign_error_leaves_a_callback(fields: dict[str, object], junk: bytes) -> None:
    """Any message gives an event or one of the three errors that the pool catches."""
    body = json.dumps(fields).encode()
    for incoming in (
        WebhookRequest(body=body),
        WebhookRequest(body=junk),
        WebhookRequest(body=body[:-1] + junk),
        WebhookRequest(
            method="GET",
            query=urlencode({name: str(value) for name, value in fields.items()}, errors="replace"),
        ),
    ):
        for driver in (KEYED, DEMO):
            try:
                event = driver.webhook(incoming)
            except (BadWebhook, Unreadable, UnicodeDecodeError):
                continue
            assert event.claims.provider_reference
            assert msgspec.json.encode(event.claims)


def test_a_returning_browser_names_our_reference_and_proves_nothing() -> None:
    """The redirect of a payment link is a hint with our reference; without one it is unreadable."""
    event = CamPay(access_token="simulator").returned(
        "https://shop.example/back?status=SUCCESSFUL&external_reference=order-1&operator=MTN&reason=None"
    )
    assert (event.trust, event.claims.reference, event.claims.provider_reference) == (
        Trust.NOTHING,
        "order-1",
        None,
    )
    for url in (
        "https://shop.example/back",
        "https://shop.example/back?status=SUCCESSFUL",
        "?a=%ff&a=b",
    ):
        with pytest.raises(Unreadable):
            CamPay(access_token="simulator").returned(url)
