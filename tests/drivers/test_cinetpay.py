"""CinetPay's driver, tested with the bodies that CinetPay documents."""

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.drivers import load
from paymux.drivers.base import Duplicate, Verb
from paymux.drivers.cinetpay import Answer, CinetPay
from paymux.errors import (
    AuthenticationFailed,
    BadWebhook,
    Mismatch,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    UsageError,
)
from paymux.http import Response, WebhookRequest, get, post
from paymux.models import Customer, Order, Payment, Reason, Status, Trust, compare
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, decide
from paymux.values.parsing import Unreadable
from tests.case import PAGE
from tests.driving import Script, drive, reply, sample

SECRET = "clef-secrete-du-marchand"
APIKEY = "votre-apikey"
FIELDS = (
    "cpm_site_id",
    "cpm_trans_id",
    "cpm_trans_date",
    "cpm_amount",
    "cpm_currency",
    "signature",
    "payment_method",
    "cel_phone_num",
    "cpm_phone_prefixe",
    "cpm_language",
    "cpm_version",
    "cpm_payment_config",
    "cpm_page_action",
    "cpm_custom",
    "cpm_designation",
    "cpm_error_message",
)

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payer": "2250712345678", **PAGE},
    opens="POST /v2/payment/",
    looks="POST /v2/payment/check/",
    wire=b'"amount":1000',
    signs=True,
    signs_with=("secret_key",),
    words=Shape(
        fields={"apikey": "simulator", "site_id": "votre-site-id", "live": True},
        asked={"reference": "order-1042"},
        amounts=("data.amount",),
        answers=(
            "check_accepted.200",
            "check_refused.200",
            "check_waiting.200",
            "check_succes_2021.200",
            "check_failed_2021.200",
        ),
        places={"data.status": "data.status", "code": "code", "message": "message"},
        said={
            "check_accepted.200": Status.SUCCEEDED,
            "check_succes_2021.200": Status.SUCCEEDED,
            "check_refused.200": Status.CANCELLED,
            "check_failed_2021.200": Status.FAILED,
            "check_waiting.200": Status.PENDING,
        },
    ),
)


def driver(**fields: Any) -> CinetPay:
    """Return an account, live by default."""
    return CinetPay(**{"apikey": APIKEY, "site_id": "votre-site-id", "live": True, **fields})


def order(**fields: Any) -> Order:
    """Return an order that CinetPay accepts."""
    return Order(
        **{
            "account": "cinetpay",
            "kind": "collect",
            "reference": "order-1042",
            "amount": Decimal(100),
            "currency": "XOF",
            "description": "Forfait internet",
            "webhook_url": "https://shop.example/pay/6f",
            "return_url": "https://shop.example/thanks",
            **fields,
        }
    )


def held(**fields: Any) -> Payment:
    """Return a payment as a shop holds it."""
    return Payment(**{"account": "cinetpay", "live": True, "reference": "order-1042", **fields})


def answered(status: int = 200, **body: Any) -> Response:
    """Return an answer with these fields."""
    return Response(status=status, body=json.dumps(body).encode())


def collected(placed: Order, *replies: Response, **fields: Any) -> tuple[Payment, dict[str, Any]]:
    """Collect an order; return the payment and the body of the request."""
    script = Script(driver(**fields), *(replies or (reply("cinetpay", "checkout.201"),)))
    payment = drive(script.driver.collect(script, placed))
    (request,) = script.requests
    return payment, json.loads(request.content() or b"")


def checked(answer: Response, payment: Payment | None = None) -> Payment:
    """Verify a payment with this answer of CinetPay."""
    script = Script(driver(), answer)
    return drive(script.driver.verify(script, payment or held()))


def signed(fields: Mapping[str, Any], key: str = SECRET) -> str:
    """Sign the fields as CinetPay documents."""
    message = "".join(str(fields.get(name, "")) for name in FIELDS)
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()


def notified(
    fields: Mapping[str, Any], token: str | None = None, *, form: bool = True
) -> WebhookRequest:
    """Return a notification with these fields."""
    body = urlencode(fields) if form else json.dumps(fields)
    return WebhookRequest(body=body.encode(), headers={} if token is None else {"x-token": token})


@pytest.mark.proves(
    "cinetpay: POST https://api-checkout.cinetpay.com/v2/payment:",
    "cinetpay: /v2/payment apikey",
    "cinetpay: /v2/payment amount: int",
    "cinetpay: /v2/payment currency",
    "cinetpay: /v2/payment notify_url",
    "cinetpay: /v2/payment return_url",
)
def test_the_guides_own_order_goes_out_as_the_guide_writes_it() -> None:
    """The guide's example order gives its example body, with an integer amount and `channels`."""
    customer = Customer(name="Jean-Marc", surname="Dje Bi")
    urls = {
        "webhook_url": "https://www.exemple.com/notify",
        "return_url": "https://www.exemple.com/return",
    }
    placed = order(
        reference="id-de-paiement-unique",
        description="TRANSACTION DESCRIPTION",
        customer=customer,
        **urls,
    )
    _, body = collected(placed)
    expected = sample("cinetpay", "checkout_guide")
    assert body == expected
    assert list(body) == list(expected)
    assert type(body["amount"]) is int


def test_every_documented_field_can_be_sent() -> None:
    """channels, lang, metadata, invoice_data, lock_phone_number, customer_id, card fields: sent."""
    customer = Customer(
        name="Francisse",
        surname="Kouadio",
        email="client@exemple.com",
        address="Cocody",
        city="Abidjan",
        country="CI",
        state="CI",
        zip_code="00225",
    )
    extra = {
        "channels": "CREDIT_CARD",
        "lang": "fr",
        "invoice_data": {"Donnee1": "un", "Donnee2": "deux"},
        "lock_phone_number": True,
        "customer_id": "172",
    }
    placed = order(
        amount=Decimal(1000),
        party="2250700000000",
        customer=customer,
        metadata={"basket": "B-7"},
        extra=extra,
        return_url="https://shop.example/thanks?order=1042",
    )
    _, body = collected(placed)
    expected = sample("cinetpay", "checkout_full")
    assert body == expected
    assert list(body) == list(expected)
    assert set(extra) == CinetPay.settings


@pytest.mark.proves("cinetpay: /v2/payment customer_name")
@pytest.mark.parametrize(
    ("customer", "name", "surname"),
    [
        (Customer(name="Jean-Marc", surname="Dje Bi"), "Dje Bi", "Jean-Marc"),
        (Customer(name="Jean-Marc Dje Bi"), "Jean-Marc Dje Bi", None),
        (Customer(surname="Dje Bi"), "Dje Bi", None),
        (None, None, None),
    ],
)
def test_family_and_given_name_are_on_the_right_keys(
    customer: Customer | None, name: str | None, surname: str | None
) -> None:
    """customer_name is the family name ("le nom"), customer_surname the given one ("le prénom")."""
    _, body = collected(order(customer=customer))
    assert (body.get("customer_name"), body.get("customer_surname")) == (name, surname)


def test_a_customers_phone_serves_where_no_payer_is_named() -> None:
    """customer_phone_number is the payer, or else the customer's number, in E.164."""
    customer = Customer(phone="+33 6 12 34 56 78")
    assert collected(order(customer=customer))[1]["customer_phone_number"] == "+33612345678"
    both = order(customer=customer, party="2250700000000")
    assert collected(both)[1]["customer_phone_number"] == "+2250700000000"


@pytest.mark.parametrize(
    ("currency", "written", "expected"),
    [
        ("XAF", "6 70 00 00 00", "237670000000"),
        ("CDF", "0812 345 678", "243812345678"),
        ("GNF", "601 12 34 56", "224601123456"),
        ("GBF", "601 12 34 56", "224601123456"),
        ("XOF", "+225 07 07 12 34 56", "2250707123456"),
        ("XAF", "+225 07 07 12 34 56", "2250707123456"),
        ("USD", "+243 812 345 678", "243812345678"),
    ],
)
def test_a_national_number_is_read_by_the_currency(
    currency: str, written: str, expected: str
) -> None:
    """If only one served country has the currency, its national numbers are accepted."""
    assert driver().party("collect", written, currency) == expected
    _, body = collected(
        order(amount=Decimal(1000), currency=currency, customer=Customer(phone=written))
    )
    assert body["customer_phone_number"] == f"+{expected}"


@pytest.mark.parametrize(
    ("currency", "written"), [("XOF", "07 07 12 34 56"), ("USD", "812345678"), ("", "670000000")]
)
def test_a_national_number_of_several_countries_is_asked_for_in_full(
    currency: str, written: str
) -> None:
    """If several countries share the currency, the error asks for the country code."""
    with pytest.raises(UsageError, match=r"payer.*in international form"):
        driver().party("collect", written, currency)
    with pytest.raises(UsageError, match=r"customer\.phone.*in international form"):
        collected(order(amount=Decimal(1000), currency=currency, customer=Customer(phone=written)))


def test_a_customers_phone_may_be_a_fixed_line() -> None:
    """A customer's contact may be a fixed line; a payer of mobile money may not."""
    _, body = collected(order(customer=Customer(phone="+33 1 42 68 53 00")))
    assert body["customer_phone_number"] == "+33142685300"
    with pytest.raises(UsageError, match="a mobile phone number"):
        driver().party("collect", "+237 222 12 34 56", "XAF")


@pytest.mark.proves(
    "cinetpay: /v2/payment transaction_id",
    'cinetpay: /v2/payment code "201"',
    "cinetpay: /v2/payment description",
    "cinetpay: /v2/payment data.payment_token",
    "cinetpay: /v2/payment api_response_id",
    "cinetpay: always store payment_token",
)
def test_an_opened_page_is_pending_and_keeps_its_ids() -> None:
    """An opened page is PENDING; reference, provider_reference and transaction_id are the same."""
    payment, _ = collected(order())
    assert payment.status is Status.PENDING
    assert payment.reference == payment.provider_reference == "order-1042"
    assert payment.checkout_url == "https://checkout.cinetpay.com/payment/5f0a3b9c7e1d4286"
    assert payment.ids == {
        "payment_token": "5f0a3b9c7e1d4286",
        "api_response_id": "1663322990.1234",
    }
    assert (payment.kind, payment.live, payment.provider) == (None, True, "cinetpay")


@pytest.mark.proves("cinetpay: POST https://api-checkout.cinetpay.com/v2/payment:")
def test_opening_a_page_is_money_that_is_never_sent_twice() -> None:
    """The request is a money request that is never repeated; credentials are in its body."""
    script = Script(driver(), reply("cinetpay", "checkout.201"))
    drive(script.driver.collect(script, order()))
    (request,) = script.requests
    assert (request.method, request.path, request.money, request.repeatable) == (
        "POST",
        "/v2/payment",
        True,
        False,
    )


@pytest.mark.proves("cinetpay: /v2/payment description")
@pytest.mark.parametrize(
    "lost",
    [
        reply("cinetpay", "blocked.403"),
        Response(status=200, body=b"<html>"),
        Response(status=502, body=b"bad gateway"),
        Response(status=302, headers={"location": "https://elsewhere.example"}),
        Response(status=201, body=b'{"code":"201","message":"CREATED"}'),
        Response(status=200, body=b'{"code":"201","data":{"payment_token":"t","payment_url":" "}}'),
        Response(
            status=200,
            body=b'{"code":"201","data":{"payment_token":"t","payment_url":"javascript:alert(1)"}}',
        ),
        Response(status=200, body=b'{"code":"00","data":{"payment_url":"https://x.example"}}'),
        Response(status=200, body=b"{}"),
        Response(status=200, body=b'{"code":"628","message":"INTERNAL_ERROR"}'),
        Response(status=500, body=b'{"code":"999","message":"NEW_WORD"}'),
        Response(status=400, body=b""),
        Response(status=401, body=b""),
        Response(status=409, body=b"{}"),
        Response(status=429, body=b"<html>slow down</html>"),
    ],
)
def test_an_answer_that_is_no_page_and_no_listed_refusal_is_unknown(lost: Response) -> None:
    """HTML, redirects, bare statuses, unlisted codes or a page without a URL prove nothing."""
    with pytest.raises(OutcomeUnknown):
        collected(order(), lost)


def test_a_lost_page_says_that_a_new_reference_is_safe() -> None:
    """A page whose URL was lost cannot be paid: the error says that a new reference is safe."""
    assert "new reference is safe" in CinetPay.lost_page
    assert CinetPay.facts["collect"].findable


@pytest.mark.proves("cinetpay: an error has code, message")
@pytest.mark.parametrize("status", [200, 400, 403, 409, 500])
@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("403", "FORBIDDEN", Rejected),
        ("429", "TOO_MANY_REQUEST", RateLimited),
        ("608", "MINIMUM_REQUIRED_FIELDS", Rejected),
        ("609", "AUTH_NOT_FOUND", AuthenticationFailed),
        ("613", "ERROR_SITE_ID_NOTVALID", AuthenticationFailed),
        ("620", "ERROR_DOUBLE_PAYEMNT", Duplicate),
        ("624", "UNKNOWN_ERROR", Rejected),
        ("641", "ERROR_AMOUNT_TOO_LOW", Rejected),
        ("642", "ERROR_AMOUNT_TOO_HIGH", Rejected),
        ("1010", "browser_signature_banned", Rejected),
        (608, "MINIMUM_REQUIRED_FIELDS", Rejected),
    ],
)
def test_a_listed_refusal_of_a_page_is_sure_on_any_status(
    status: int, code: str | int, message: str, error: type[ProviderError]
) -> None:
    """A listed code, as text or number, refuses for certain, whatever the HTTP status is."""
    with pytest.raises(ProviderError) as caught:
        collected(order(), answered(status, code=code, message=message, description="", data=[]))
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.http_status) == (str(code), status)


@pytest.mark.proves("cinetpay: /v2/payment api_response_id", "cinetpay: an error has code, message")
def test_an_error_keeps_code_message_description_and_id() -> None:
    """api_response_id becomes `request_id`, the description `details`; a bad amount is LIMIT."""
    with pytest.raises(Rejected) as caught:
        collected(order(), reply("cinetpay", "fields.400"))
    error = caught.value
    assert (error.code, error.message) == ("608", "MINIMUM_REQUIRED_FIELDS")
    assert error.details == {"description": "amount must be an integer"}
    assert error.request_id == "1716800180.4474"
    with pytest.raises(Rejected) as limited:
        collected(order(), answered(400, code="641", message="ERROR_AMOUNT_TOO_LOW"))
    assert limited.value.reason is Reason.LIMIT


@pytest.mark.proves("cinetpay: an identifier sent before")
@pytest.mark.parametrize(
    "said",
    [
        reply("cinetpay", "duplicate.400"),
        answered(
            400,
            code="608",
            message="MINIMUM_REQUIRED_FIELDS",
            description="transaction_id already exists",
        ),
        answered(409, code="625", message="TRANSACTION_ID_EXIST", description=""),
        answered(200, code="700", message="DUPLICATE_TRANSACTION"),
        answered(
            400, code="ERROR_CODE", message="", description="Cet identifiant a déjà été envoyé"
        ),
    ],
)
def test_a_reference_used_before_is_a_duplicate(said: Response) -> None:
    """The documented error for a repeated transaction_id is a duplicate, with any code."""
    with pytest.raises(Duplicate):
        collected(order(), said)


def test_what_is_no_duplicate() -> None:
    """A check, a wrong field and a created page are no duplicates, whatever their texts are."""
    with pytest.raises(Rejected) as caught:
        checked(answered(400, code="608", message="MINIMUM", description="already"))
    assert type(caught.value) is Rejected
    for words in ("amount must be an integer, double given", "customer_not_exist"):
        with pytest.raises(Rejected) as refused:
            collected(
                order(),
                answered(400, code="608", message="MINIMUM_REQUIRED_FIELDS", description=words),
            )
        assert type(refused.value) is Rejected
    page = sample("cinetpay", "checkout.201") | {
        "description": "Transaction already created with success"
    }
    payment, _ = collected(order(), answered(201, **page))
    assert payment.checkout_url


@pytest.mark.proves(
    "cinetpay: POST https://api-checkout.cinetpay.com/v2/payment/check",
    "cinetpay: /v2/payment/check apikey",
    "cinetpay: the Python example sends",
)
def test_a_check_asks_by_transaction_id() -> None:
    """Both verify and find look up by our reference, with the guide's own body."""
    script = Script(driver(), *[reply("cinetpay", "check_accepted.200")] * 3)
    asked = [
        script.driver.verify(script, held(reference="id-de-paiement")),
        script.driver.verify(
            script, Payment(account="cinetpay", provider_reference="id-de-paiement")
        ),
        script.driver.find(script, held(reference="id-de-paiement", ids={"payment_token": "t"})),
    ]
    for one in asked:
        found = drive(one)
        assert found.reference == found.provider_reference == "id-de-paiement"
    for request in script.requests:
        assert json.loads(request.content() or b"") == sample("cinetpay", "check_request")
        assert (request.method, request.path, request.money) == ("POST", "/v2/payment/check", False)


@pytest.mark.proves("cinetpay: /v2/payment/check payment_token")
def test_a_check_asks_by_token_where_that_is_all_we_hold() -> None:
    """Without a reference the look-up uses `token`, as documented; its answer has no reference."""
    script = Script(driver(), reply("cinetpay", "check_accepted.200"))
    found = drive(
        script.driver.verify(script, Payment(account="cinetpay", ids={"payment_token": "5f0a"}))
    )
    assert json.loads(script.requests[0].content() or b"") == {
        "apikey": APIKEY,
        "site_id": "votre-site-id",
        "token": "5f0a",
    }
    assert found.status is Status.SUCCEEDED
    assert found.reference is None


@pytest.mark.proves("cinetpay: /v2/payment/check payment_token")
def test_a_check_of_nothing_is_refused_before_sending() -> None:
    """Without reference and token: UsageError, and nothing is sent."""
    script = Script(driver())
    with pytest.raises(UsageError, match="payment_token"):
        drive(script.driver.verify(script, Payment(account="cinetpay")))
    assert script.requests == []


@pytest.mark.proves(
    "cinetpay: /v2/payment/check code",
    "cinetpay: /v2/payment/check operator_id",
    "cinetpay: /v2/payment/check payment_date",
)
def test_an_accepted_payment_is_read_whole() -> None:
    """amount, currency, operator, operator_id and payment_date of the 2022 format are read."""
    found = checked(reply("cinetpay", "check_accepted.200"))
    assert found.status is Status.SUCCEEDED
    assert (found.amount, found.currency, found.operator) == (Decimal(100), "XOF", "OM")
    assert found.ids == {
        "operator_id": "MP220915.2257.A76307",
        "api_response_id": "1663323067.7677",
    }
    assert found.paid_at == datetime(2022, 9, 15, 22, 57, 15, tzinfo=UTC)
    assert (found.provider_status, found.reason, found.metadata) == ("ACCEPTED", None, {})


def test_a_cancelled_payment_has_no_date() -> None:
    """627 with REFUSED is CANCELLED; a date of one space is no date."""
    found = checked(reply("cinetpay", "check_refused.200"))
    assert (found.status, found.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert found.paid_at is None
    assert "operator_id" not in found.ids


@pytest.mark.proves(
    "cinetpay: /v2/payment/check code",
    "cinetpay: /v2/payment/check operator_id",
    "cinetpay: /v2/payment/check payment_date",
    "cinetpay: /v2/payment/check phone_prefix",
    "cinetpay: message PAYMENT_FAILED",
)
def test_the_form_of_2021_is_understood() -> None:
    """Without status, amount and currency the code decides; prefix and number are the payer."""
    found = checked(reply("cinetpay", "check_succes_2021.200"))
    assert found.status is Status.SUCCEEDED
    assert (found.payer, found.operator, found.ids["operator_id"]) == (
        "2250102324373",
        "FLOOZ",
        "8210407187720",
    )
    assert (found.amount, found.currency) == (None, None)
    assert found.paid_at == datetime(2021, 4, 7, 14, 7, 24, tzinfo=UTC)
    failed = checked(reply("cinetpay", "check_failed_2021.200"))
    assert (failed.status, failed.reason, failed.paid_at) == (Status.FAILED, Reason.OTHER, None)


def test_waiting_for_the_customer_is_not_failing() -> None:
    """WAITING_FOR_CUSTOMER is pending, and metadata comes back unchanged."""
    found = checked(reply("cinetpay", "check_waiting.200"))
    assert found.status is Status.PENDING
    assert found.metadata == {"basket": "B-7"}
    assert found.provider_status == "WAITING_FOR_CUSTOMER"


OF_2021 = sample("cinetpay", "check_succes_2021.200")["data"]
CODES = {
    "00": (Status.SUCCEEDED, None),
    "201": (Status.PENDING, None),
    "600": (Status.FAILED, Reason.OTHER),
    "602": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "603": (Status.PENDING, None),
    "604": (Status.FAILED, Reason.WRONG_PIN),
    "606": (Status.PENDING, None),
    "607": (Status.PENDING, None),
    "623": (Status.PENDING, None),
    "625": (Status.EXPIRED, Reason.EXPIRED),
    "627": (Status.CANCELLED, Reason.CANCELLED),
    "635": (Status.FAILED, Reason.UNKNOWN_PAYER),
    "636": (Status.FAILED, Reason.UNKNOWN_PAYER),
    "638": (Status.PENDING, None),
    "641": (Status.FAILED, Reason.LIMIT),
    "642": (Status.FAILED, Reason.LIMIT),
    "660": (Status.REFUNDED, None),
    "661": (Status.PENDING, None),
    "662": (Status.PENDING, None),
    "663": (Status.PENDING, None),
    "664": (Status.PENDING, None),
    "804": (Status.PENDING, None),
    "807": (Status.FAILED, Reason.LIMIT),
    "808": (Status.FAILED, Reason.LIMIT),
    "809": (Status.FAILED, Reason.LIMIT),
    "810": (Status.FAILED, Reason.LIMIT),
    "811": (Status.FAILED, Reason.LIMIT),
    "812": (Status.FAILED, Reason.LIMIT),
    "601": (Status.PENDING, None),
    "605": (Status.PENDING, None),
    "628": (Status.PENDING, None),
    "629": (Status.PENDING, None),
    "987": (Status.PENDING, None),
}


@pytest.mark.proves("cinetpay: 00: succeeded", "cinetpay: 600: failed")
@pytest.mark.parametrize(("code", "meant"), CODES.items())
def test_the_code_decides_where_there_is_no_status(
    code: str, meant: tuple[Status, Reason | None]
) -> None:
    """The whole code table: only proof that no money moved is final; all else is PENDING."""
    for form in (code, int(code)) if code != "00" else (code,):
        found = checked(answered(code=form, message="WORD", data=OF_2021))
        assert (found.status, found.reason) == meant
        assert found.provider_status == code


REFUSALS = {
    code for code, (status, _) in CODES.items() if status not in (Status.SUCCEEDED, Status.REFUNDED)
}
# The words of a pending payment: with one of these, no other word may be read as an end.
WAITING = {"201", "607", "623", "638", "661", "662", "663", "664"}


@pytest.mark.parametrize("code", CODES)
def test_status_and_code_say_the_same_or_prove_nothing(code: str) -> None:
    """ACCEPTED needs 00, REFUSED an error's code; any other pair is PENDING."""
    refused = CODES[code][0] if CODES[code][0].terminal else Status.FAILED
    for word, status in (
        ("ACCEPTED", Status.SUCCEEDED if code == "00" else Status.PENDING),
        (" accepted.", Status.SUCCEEDED if code == "00" else Status.PENDING),
        ("REFUSED", refused if code in REFUSALS - WAITING else Status.PENDING),
        ("WAITING_FOR_CUSTOMER", Status.PENDING),
        ("PENDING", Status.PENDING),
        ("SOMETHING_NEW", Status.PENDING),
    ):
        found = checked(
            answered(
                code=code, message="X", data={"status": word, "amount": 100, "currency": "XOF"}
            )
        )
        assert (found.status, found.provider_status) == (status, word.strip())
        assert (found.reason is not None) == (status not in (Status.PENDING, Status.SUCCEEDED))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("600", Reason.DECLINED),
        ("603", Reason.DECLINED),
        ("631", Reason.LIMIT),
        ("634", Reason.UNKNOWN_PAYER),
        ("637", Reason.UNKNOWN_PAYER),
        ("801", Reason.LIMIT),
        ("803", Reason.WRONG_PIN),
        ("804", Reason.DECLINED),
    ],
)
def test_a_refused_payment_has_a_reason_for_the_payer(code: str, reason: Reason) -> None:
    """REFUSED with any listed code has a reason, with a sentence in both languages."""
    found = checked(answered(code=code, message="X", data={"status": "REFUSED"}))
    assert (found.status, found.reason) == (Status.FAILED, reason)
    assert reason.text("fr")
    assert reason.text("en")


@pytest.mark.proves("cinetpay: message SUCCES in the answer", "cinetpay: message PAYMENT_FAILED")
@pytest.mark.parametrize(
    "message", ["SUCCES", "SUCCESS", "success.", "OK", "Paiement réussi", "", None]
)
def test_a_message_alone_decides_nothing(message: str | None) -> None:
    """SUCCES and SUCCESS are the same, and other messages do not change the success of 00."""
    assert checked(answered(code="00", message=message, data=OF_2021)).status is Status.SUCCEEDED
    assert checked(answered(code="662", message=message, data={})).status is Status.PENDING
    assert checked(answered(code="628", message=message, data=OF_2021)).status is Status.PENDING


@pytest.mark.parametrize(
    "message", ["PAYMENT_FAILED", "TRANSACTION_CANCEL", "INSUFFISENT_BALANCE", "PENDING"]
)
def test_a_message_that_contradicts_the_code_leaves_it_in_doubt(message: str) -> None:
    """00 with the message PAYMENT_FAILED is neither success nor failure."""
    assert checked(answered(code="00", message=message, data=OF_2021)).status is Status.PENDING


@pytest.mark.parametrize("lacking", ["operator_id", "payment_method", "payment_date"])
def test_a_success_of_2021_has_its_own_fields(lacking: str) -> None:
    """A success of 2021 has no amount, but operator, operator_id and date."""
    body = sample("cinetpay", "check_succes_2021.200")
    assert checked(answered(**body)).status is Status.SUCCEEDED
    del body["data"][lacking]
    assert checked(answered(**body)).status is Status.PENDING


@pytest.mark.parametrize("lacking", ["amount", "currency"])
def test_a_success_of_2022_has_amount_and_currency(lacking: str) -> None:
    """Without amount or currency a success of 2022 proves nothing, and is no failure."""
    body = sample("cinetpay", "check_accepted.200")
    body["data"][lacking] = " "
    found = checked(answered(**body))
    assert (found.status, found.reason, found.paid_at) == (Status.PENDING, None, None)


@pytest.mark.parametrize("data", [[], {}, None, [{}], {"payment_method": "OM"}])
def test_a_code_alone_is_no_success(data: object) -> None:
    """`{"code": "00"}` without a payment may only mean that the request worked."""
    assert checked(answered(code="00", message="SUCCES", data=data)).status is Status.PENDING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
def test_a_success_under_an_http_error_is_none(status: int) -> None:
    """A success needs HTTP 2xx; otherwise the look-up failed."""
    for case in ("check_accepted.200", "check_succes_2021.200"):
        with pytest.raises(OutcomeUnknown):
            checked(answered(status, **sample("cinetpay", case)))


def test_an_unknown_word_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown status is kept as PENDING, and logged once, not at every poll."""
    with caplog.at_level(logging.WARNING, "paymux"):
        for _ in range(3):
            found = checked(answered(code="662", data={"status": "WORD_OF_TOMORROW"}))
    assert found.provider_status == "WORD_OF_TOMORROW"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("status", [200, 400, 402, 404, 500])
def test_a_verdict_is_read_on_any_status(status: int) -> None:
    """A JSON body about a payment is read whatever the HTTP status is."""
    body = sample("cinetpay", "check_refused.200")
    assert checked(answered(status, **body)).status is Status.CANCELLED


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (reply("cinetpay", "unknown_error.400"), Rejected),
        (answered(400, code="609", message="AUTH_NOT_FOUND"), AuthenticationFailed),
        (answered(400, code="613", message="ERROR_SITE_ID_NOTVALID"), AuthenticationFailed),
        (answered(429, code="429", message="TOO_MANY_REQUEST"), RateLimited),
        (Response(status=429, body=b"slow down"), RateLimited),
        (answered(404, code="999", message="TRANSACTION_NOT_FOUND"), NotFound),
        (Response(status=404), NotFound),
    ],
)
def test_a_refused_check_is_no_verdict(said: Response, error: type[ProviderError]) -> None:
    """A refused look-up raises; it never makes the payment FAILED."""
    with pytest.raises(ProviderError) as caught:
        checked(said)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "said",
    [
        Response(status=200, body=b"<html>"),
        Response(status=200, body=b"{}"),
        Response(status=200, body=b'{"code":"628","message":"INTERNAL_ERROR"}'),
        Response(status=500, body=b'{"code":"628","message":"INTERNAL_ERROR","data":[]}'),
        Response(status=503, body=b"busy"),
        Response(
            status=200, body=b'{"code":"00","data":{"status":"ACCEPTED","amount":"1E+1000000"}}'
        ),
        Response(status=200, body=b'{"code":"00","data":{"status":"ACCEPTED","amount":"NaN"}}'),
        Response(status=200, body=b"[" * 5000),
        Response(status=200, body=b'{"data":{"metadata":"x"}}'),
    ],
)
def test_an_unreadable_check_is_no_answer(said: Response) -> None:
    """HTML, an unlisted error, an empty object and a monstrous amount are no answers."""
    request = post("/v2/payment/check", Answer, {}, money=False, matches=Answer.speaks)
    assert decide(driver(), request, said).means is Means.UNKNOWN
    with pytest.raises(OutcomeUnknown):
        checked(said)


def test_a_cheaper_payment_is_told_from_ours() -> None:
    """The amount and currency of a look-up are compared, so that another payment is found out."""
    found = checked(reply("cinetpay", "check_accepted.200"))
    compare(found, held(amount=Decimal(100), currency="XOF"))
    with pytest.raises(Mismatch, match="amount"):
        compare(found, held(amount=Decimal(5000), currency="XOF"))


@pytest.mark.parametrize(
    ("told", "metadata"),
    [
        ('{"basket": 7}', {"basket": 7}),
        ({"basket": 7}, {"basket": 7}),
        ("user1", {"metadata": "user1"}),
        (None, {}),
        (" ", {}),
        ("[1]", {"metadata": "[1]"}),
    ],
)
def test_metadata_comes_back(told: object, metadata: object) -> None:
    """Our JSON metadata is read back; a text from another system is kept under `metadata`."""
    assert checked(answered(code="00", data={"metadata": told})).metadata == metadata


@pytest.mark.proves("cinetpay: /v2/payment/check phone_prefix")
@pytest.mark.parametrize(
    ("prefix", "number", "payer"),
    [
        ("225", "0102324373", "2250102324373"),
        ("+225", "01 02 32 43 73", "2250102324373"),
        (225, "0102324373", "2250102324373"),
        (None, "0102324373", None),
        ("225", None, None),
        ("225", "٠١٠٢", None),
        ("225", "9" * 40, None),
    ],
)
def test_prefix_and_number_make_the_payer(
    prefix: object, number: object, payer: str | None
) -> None:
    """A payer is E.164 digits or nothing."""
    found = checked(answered(code="00", data={"phone_prefix": prefix, "phone_number": number}))
    assert found.payer == payer


@pytest.mark.proves("cinetpay: currency GBF, of Guinea")
def test_gbf_travels_as_gnf_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The guide's GBF is accepted and sent as GNF with a warning; GNF itself has no warning."""
    placed = order(currency="GBF")
    with caplog.at_level(logging.WARNING, "paymux"):
        _, body = collected(placed)
    assert body["currency"] == "GNF"
    assert driver().pending(placed).currency == "GNF"
    assert [record.getMessage() for record in caplog.records] == [
        "cinetpay: GBF is sent as GNF, its ISO 4217 name"
    ]
    caplog.clear()
    collected(order(currency="GNF"))
    assert caplog.records == []
    assert checked(answered(code="00", data={"currency": "GBF"})).currency == "GNF"


@pytest.mark.proves("cinetpay: currency XOF", "cinetpay: currency XAF", "cinetpay: currency CDF")
@pytest.mark.parametrize("currency", ["XOF", "XAF", "CDF", "GNF", "USD"])
def test_the_five_currencies_travel_whole(currency: str) -> None:
    """Each documented currency is accepted, in whole units."""
    assert currency in CinetPay.currencies
    assert CinetPay.decimals[currency] == 0
    assert collected(order(currency=currency))[1]["currency"] == currency


def test_a_dollar_amount_need_not_be_a_multiple_of_five() -> None:
    """Amounts must be multiples of 5, except in USD."""
    assert collected(order(currency="USD", amount=Decimal(3)))[1]["amount"] == 3


CARD = {
    "name": "Awa",
    "surname": "Diop",
    "email": "a@b.sn",
    "address": "1",
    "city": "Dakar",
    "country": "SN",
}


@pytest.mark.proves("cinetpay: /v2/payment currency", "cinetpay: the return page must work")
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"amount": Decimal(101)}, "amount: '101'"),
        ({"amount": Decimal(102), "currency": "GNF"}, "a multiple of 5 in GNF"),
        ({"amount": Decimal("2.5"), "currency": "USD"}, "amount"),
        ({"amount": Decimal("2.5")}, "amount"),
        ({"description": ""}, "description"),
        ({"description": " "}, "description"),
        *(
            ({"description": f"Forfait {char} internet"}, f"description: '{char}' is refused")
            for char in "#/,$_&"
        ),
        ({"webhook_url": None}, "webhook_url"),
        ({"webhook_url": "https://localhost/pay"}, "webhook_url"),
        ({"return_url": None}, "return_url"),
        ({"return_url": "http://127.0.0.1:8000/x"}, "return_url"),
        ({"return_url": "http://[::1]/x"}, "return_url"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        (
            {"extra": {"channels": "CASH"}},
            "channels: 'CASH' is refused; accepted: ALL, MOBILE_MONEY",
        ),
        ({"extra": {"channels": ["ALL"]}}, "channels"),
        ({"extra": {"lang": "de"}}, "lang"),
        ({"extra": {"invoice_data": {"a": "1", "b": "2", "c": "3", "d": "4"}}}, "invoice_data"),
        ({"extra": {"invoice_data": {"a": 1}}}, "invoice_data"),
        ({"extra": {"invoice_data": "a"}}, "invoice_data"),
        ({"extra": {"lock_phone_number": True}}, "lock_phone_number"),
        ({"extra": {"lock_phone_number": "yes"}, "party": "2250700000000"}, "lock_phone_number"),
        ({"customer": Customer(phone="12")}, r"customer\.phone"),
        ({"extra": {"channels": "CREDIT_CARD"}}, r"customer\.name"),
        (
            {
                "extra": {"channels": "CREDIT_CARD"},
                "customer": Customer(**CARD),
                "party": "221770000000",
            },
            r"^customer\.state, customer\.zip_code: missing",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(wrong: dict[str, Any], named: str) -> None:
    """Input that CinetPay would refuse is UsageError naming the field, before any request."""
    script = Script(driver())
    with pytest.raises(
        UsageError, match=named.replace("$", r"\$") if "is refused" in named else named
    ):
        drive(script.driver.collect(script, order(**wrong)))
    assert script.requests == []


def test_a_simulator_on_this_machine_may_call_this_machine() -> None:
    """Loopback URLs are refused only for the live host."""
    placed = order(webhook_url="http://127.0.0.1:8000/pay", return_url="http://localhost:8000/back")
    payment, body = collected(placed, base_url="http://127.0.0.1:9000/cinetpay")
    assert body["notify_url"] == "http://127.0.0.1:8000/pay"
    assert payment.checkout_url


@pytest.mark.proves("cinetpay: POST https://api-checkout.cinetpay.com/v2/payment:")
def test_there_is_no_sandbox() -> None:
    """live=False needs a base_url; a missing field is named."""
    with pytest.raises(UsageError, match="no sandbox"):
        CinetPay(apikey=APIKEY, site_id="1")
    assert (
        CinetPay(apikey=APIKEY, site_id="1", base_url="http://127.0.0.1:9").url
        == "http://127.0.0.1:9"
    )
    assert driver().url == "https://api-checkout.cinetpay.com"
    for field in ("apikey", "site_id"):
        with pytest.raises(UsageError, match=field):
            driver(**{field: ""})


def test_the_driver_can_what_cinetpay_can() -> None:
    """collect, verify, find, webhook and returned; this API has no payout, refund or balance."""
    found = load("cinetpay")
    assert found is CinetPay
    able = {"collect", "verify", "find", "webhook", "returned"}
    assert {verb for verb in get_args(Verb) if found.can(verb)} == able


@pytest.mark.proves("cinetpay: /v2/payment apikey")
def test_requests_of_others_are_signed_too() -> None:
    """`pool.send` adds the credentials to a body, too; a GET has no body."""
    signed_post = driver().authorize(post("/v2/other", Answer, {"a": 1}), None)
    assert signed_post.body == {"apikey": APIKEY, "site_id": "votre-site-id", "a": 1}
    assert driver().authorize(get("/v2/other", Answer), None).body is None


@pytest.mark.proves(
    "cinetpay: POST to notify_url",
    "cinetpay: cpm_trans_id",
    "cinetpay: cpm_site_id: our own",
    "cinetpay: a notification never tells",
)
def test_the_minimal_notification_is_a_hint() -> None:
    """The guide's two fields, as JSON or form, name the payment and prove nothing."""
    for form in (True, False):
        event = driver().webhook(notified(sample("cinetpay", "notice_minimal"), form=form))
        assert (event.trust, event.ping) == (Trust.NOTHING, False)
        assert event.claims.reference == event.claims.provider_reference == "id-de-paiement"
        assert event.claims.status is Status.PENDING


def test_a_signed_notification_vouches_for_its_origin_only() -> None:
    """x-token over the sixteen fields proves the origin; the claims have no status."""
    fields = sample("cinetpay", "notice")
    assert tuple(fields) == FIELDS
    for form in (True, False):
        for token in (signed(fields), signed(fields).upper()):
            event = driver(secret_key=SECRET).webhook(notified(fields, token, form=form))
            assert event.trust is Trust.ORIGIN
    claims = event.claims
    assert (claims.reference, claims.amount, claims.currency) == ("order-1042", Decimal(100), "XOF")
    assert (claims.payer, claims.operator, claims.metadata) == (
        "2250700000000",
        "OM",
        {"basket": "B-7"},
    )
    assert (claims.status, claims.message, claims.paid_at) == (Status.PENDING, "SUCCES", None)


def test_an_absent_field_signs_as_nothing() -> None:
    """The two fields alone can be signed: an absent field counts as an empty text."""
    fields = sample("cinetpay", "notice_minimal")
    event = driver(secret_key=SECRET).webhook(notified(fields, signed(fields)))
    assert event.trust is Trust.ORIGIN


def test_characters_moved_between_fields_are_not_called_authentic() -> None:
    """The signed text has no separators: a moved character keeps it valid, so never Trust.BODY."""
    fields = sample("cinetpay", "notice")
    shifted = {**fields, "cpm_amount": "10", "cpm_currency": "0XOF"}
    assert signed(shifted) == signed(fields)
    event = driver(secret_key=SECRET).webhook(notified(shifted, signed(fields)))
    assert event.trust is Trust.ORIGIN
    assert event.claims.status is Status.PENDING


@pytest.mark.parametrize("field", FIELDS[1:])
def test_a_changed_field_is_a_forgery(field: str) -> None:
    """Every signed field counts."""
    fields = sample("cinetpay", "notice")
    with pytest.raises(BadWebhook):
        driver(secret_key=SECRET).webhook(
            notified({**fields, field: fields[field] + "1"}, signed(fields))
        )


@pytest.mark.parametrize(
    "token", [None, "", "00", "é" * 64, "\udcff" * 64, signed({}, "other"), "0" * 64]
)
def test_an_unsigned_or_forged_notification_is_refused(token: str | None) -> None:
    """With a key, a missing or wrong x-token is BadWebhook, without any secret in the error."""
    fields = sample("cinetpay", "notice")
    with pytest.raises(BadWebhook) as caught:
        driver(secret_key=SECRET).webhook(notified(fields, token))
    assert SECRET not in str(caught.value)
    assert signed(fields) not in str(caught.value)


@pytest.mark.proves("cinetpay: cpm_site_id: our own")
def test_another_accounts_notification_is_refused() -> None:
    """cpm_site_id must be this account's, signed or not."""
    fields = sample("cinetpay", "notice_minimal")
    other = {**fields, "cpm_site_id": "445160"}
    for form in (True, False):
        with pytest.raises(BadWebhook):
            driver().webhook(notified(other, form=form))
    event = driver(site_id="445160").webhook(notified(other))
    assert event.claims.reference == "id-de-paiement"


def test_a_get_is_a_ping() -> None:
    """CinetPay checks the URL by a GET without data: there is no payment to confirm."""
    for method in ("GET", "HEAD"):
        event = driver(secret_key=SECRET).webhook(
            WebhookRequest(method=method, query="cpm_trans_id=order-1042")
        )
        assert event.ping
        assert event.claims.reference is None


SITE = "cpm_site_id=votre-site-id"
HOSTILE = [
    b"",
    b"{",
    b"[1]",
    b"\xff\xfe",
    b'{"a":' * 50_000,
    b'{"cpm_trans_id":"a","cpm_trans_id":"b","cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":{"a":1},"cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":"\\ud800","cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":"a","cpm_custom":"\\ud800","cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":"a","cpm_amount":NaN,"cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":"a","cpm_amount":1e400,"cpm_site_id":"votre-site-id"}',
    b'{"cpm_trans_id":"a","cpm_amount":' + b"9" * 10_000 + b',"cpm_site_id":"votre-site-id"}',
    f"cpm_trans_id=a&{SITE}&cpm_amount=1E%2B1000000".encode(),
    f"cpm_trans_id=a&cpm_trans_id=b&{SITE}".encode(),
    f"cpm_trans_id=%20&{SITE}".encode(),
    f"cpm_trans_id=%ff&{SITE}".encode(),
    b"&".join(b"a%d=1" % n for n in range(500)),
    SITE.encode(),
    b"cpm_trans_id=a",
    b"x" * 300_000,
]


@pytest.mark.proves("cinetpay: cpm_trans_id")
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("key", ["", SECRET])
def test_a_hostile_notification_is_refused_in_our_words(body: bytes, key: str) -> None:
    """The parser raises only BadWebhook, Unreadable and UnicodeDecodeError."""
    with pytest.raises((BadWebhook, Unreadable, UnicodeDecodeError)):
        driver(secret_key=key).webhook(WebhookRequest(body=body, headers={"x-token": "a" * 64}))


@given(st.binary(max_size=300), st.text(max_size=70))
def test_no_bytes_break_the_parser(body: bytes, token: str) -> None:
    """Any body and header is read or refused, and an event can be written as JSON."""
    for start in (
        b"",
        b"cpm_trans_id=a&cpm_site_id=votre-site-id&cpm_custom=",
        b'{"cpm_site_id":"votre-site-id",',
    ):
        try:
            event = driver().webhook(WebhookRequest(body=start + body, headers={"x-token": token}))
        except (BadWebhook, Unreadable, UnicodeDecodeError):
            continue
        assert msgspec.json.decode(msgspec.json.encode(event.claims), type=Payment) == event.claims


@pytest.mark.proves("cinetpay: the return page must work")
def test_the_browser_comes_back_with_a_hint() -> None:
    """transaction_id and token of the return URL are claims without a status."""
    event = driver().returned(
        "https://shop.example/thanks?order=7&transaction_id=order-1042&token=5f0a#top"
    )
    assert (event.trust, event.claims.reference, event.claims.status) == (
        Trust.NOTHING,
        "order-1042",
        Status.PENDING,
    )
    assert event.claims.ids == {"payment_token": "5f0a"}
    assert driver().returned("/thanks?token=5f0a").claims.reference is None


@pytest.mark.parametrize(
    "url",
    ["", "https://shop.example/thanks", "http://[?x=%ff", "/?transaction_id=a&transaction_id=b"],
)
def test_a_return_without_a_payment_is_unreadable(url: str) -> None:
    """A return URL that names no payment, or two, is Unreadable."""
    with pytest.raises(Unreadable):
        driver().returned(url)


def test_secrets_are_never_shown() -> None:
    """Neither apikey nor secret key is in a repr or an error."""
    account = driver(secret_key=SECRET)
    script = Script(account, reply("cinetpay", "unknown_error.400"))
    with pytest.raises(Rejected) as caught:
        drive(account.collect(script, order()))
    (request,) = script.requests
    for shown in (repr(account), str(caught.value), repr(caught.value), repr(request)):
        assert APIKEY not in shown
        assert SECRET not in shown
    with pytest.raises(UsageError) as refused:
        driver(apikey="clef\nsecrete")
    assert "secrete" not in str(refused.value)
