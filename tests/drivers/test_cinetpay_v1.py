"""CinetPay's API of 2026, tested with the bodies of its client and of its sandbox's scenarios."""

import contextlib
import json
import re
from decimal import Decimal
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paymux.drivers.cinetpay_v1 import CinetPayV1, checkout, transfer
from paymux.drivers.cinetpay_v1.answers import (
    CODES,
    TRANSFER_CODES,
    TRANSFER_WORDS,
    WORDS,
    Answer,
)
from paymux.drivers.cinetpay_v1.countries import CURRENCIES, method_of
from paymux.drivers.cinetpay_v1.ids import kind_of, own_id, reference_of
from paymux.errors import Mismatch, NotFound, OutcomeUnknown, ProviderError, Rejected, UsageError
from paymux.http import Response, get, post
from paymux.models import (
    Balance,
    Customer,
    Operator,
    Order,
    Payment,
    Reason,
    Status,
    compare,
)
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, Verdict, decide
from paymux.values.parsing import Unreadable
from tests.case import PAGE
from tests.driving import Script, drive, sample

PAYER, PAYEE = "2250712345678", "2250512345678"
BUYER = Customer(name="Ada", surname="Kouassi", email="ada@example.com")
_KEYS = {"api_key": "simulator", "api_password": "simulator", "country": "CI"}
# A request's fields, in the order of cinetpay-python 0.1.0, types/payment.py.
FIELDS = (
    "currency",
    "payment_method",
    "merchant_transaction_id",
    "amount",
    "lang",
    "designation",
    "client_email",
    "client_first_name",
    "client_last_name",
    "client_phone_number",
    "success_url",
    "failed_url",
    "notify_url",
    "channel",
    "direct_pay",
    "otp_code",
)

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payer": PAYER, "customer": BUYER, **PAGE},
    opens="POST /v1/payment/",
    looks="GET /v1/payment/",
    wire=b'"amount":1000',
    # It has no word for a payer who cancels.
    told={Status.CANCELLED: Status.FAILED},
    login="POST /v1/oauth/login/",
    throttles=False,
    seals=True,
    tells_amount=False,
    payouts=((PAYEE, "POST /v1/transfer/"),),
    payout_options={PAYEE: {"operator": "mtn"}},
    no_funds={"balance": 0},
    words=Shape(
        fields=_KEYS,
        asked={"reference": "order-123", "provider_reference": "transaction-123"},
        amounts=(),
        answers=("paid.200", "pending.200", "failed.200", "expired.200", "detailed.200"),
        messages=("notice",),
        places={
            "code": "code",
            "status": "status",
            "details.code": "details.code",
            "details.status": "details.status",
        },
        said={
            "paid.200": Status.SUCCEEDED,
            "pending.200": Status.PENDING,
            "failed.200": Status.FAILED,
            "failed.400": Status.FAILED,
            "expired.200": Status.EXPIRED,
            "detailed.200": Status.PENDING,
            "notice": Status.PENDING,
        },
    ),
    pages=(
        Shape(
            fields=_KEYS,
            asked={
                "kind": "payout",
                "reference": "transfer-1001",
                "provider_reference": "transfer-transaction-123",
            },
            answers=("transferred.200", "transfer_pending.200", "transfer_failed.200"),
            places={"transfer.code": "code", "transfer.status": "status"},
            said={
                "transferred.200": Status.SUCCEEDED,
                "transfer_pending.200": Status.PENDING,
                "transfer_failed.200": Status.FAILED,
            },
        ),
    ),
)


def driver(**fields: Any) -> CinetPayV1:
    """Return an account of Ivory Coast, of the sandbox by default."""
    return CinetPayV1(**{**_KEYS, **fields})


def order(**fields: Any) -> Order:
    """Return a collect that CinetPay accepts, with the fields of its scenario."""
    return Order(
        **{
            "account": "cinetpay_v1",
            "kind": "collect",
            "reference": "order-123",
            "amount": Decimal(1000),
            "currency": "XOF",
            "party": "2250707000000",
            "description": "Test payment",
            "customer": Customer(name="Jane", surname="Doe", email="test@example.com"),
            "return_url": "https://merchant.test/success",
            "cancel_url": "https://merchant.test/failed",
            "webhook_url": "https://merchant.test/notify",
            **fields,
        }
    )


def payout(**fields: Any) -> Order:
    """Return a payout that CinetPay accepts, with the fields of its scenario."""
    return Order(
        **{
            "account": "cinetpay_v1",
            "kind": "payout",
            "reference": "transfer-1001",
            "amount": Decimal(100),
            "currency": "XOF",
            "party": "2250707000001",
            "operator": "orange",
            "description": "Rechargement de compte",
            "webhook_url": "https://merchant.test/transfer/notify",
            **fields,
        }
    )


def made(placed: Order, said: Any, status: int = 200, **fields: Any) -> tuple[Payment, Any]:
    """Make an order; return the payment and the body of the request."""
    script = Script(driver(**fields), _reply(said, status))
    verb = script.driver.collect if placed.kind == "collect" else script.driver.payout
    payment = drive(verb(script, placed))
    (request,) = script.requests
    return payment, json.loads(request.content())


def verdict(said: Any, status: int, *, path: str = checkout.PATH, money: bool = True) -> Verdict:
    """Return what an answer means."""
    matches = partial(Answer.accepts, ours="A1", order=order())
    request = post(path, Answer, {}, money=money, matches=matches)
    return decide(driver(), request, _reply(said, status))


def looked_up(said: Any, status: int = 200, **fields: Any) -> Payment:
    """Look a payment up with this answer."""
    asked = Payment(
        **{
            "account": "cinetpay_v1",
            "reference": "order-123",
            "provider_reference": "transaction-123",
            **fields,
        }
    )
    script = Script(driver(), _reply(said, status))
    return drive(script.driver.verify(script, asked))


def _reply(said: Any, status: int) -> Response:
    return Response(status=status, body=json.dumps(said).encode())


def _paid(**fields: Any) -> dict[str, Any]:
    return {**sample("cinetpay_v1", "paid.200"), **fields}


def _sent(**fields: Any) -> dict[str, Any]:
    """Return the state of the scenario's transfer."""
    return {**sample("cinetpay_v1", "transferred.200"), **fields}


OUT: dict[str, Any] = {
    "kind": "payout",
    "reference": "transfer-1001",
    "provider_reference": "transfer-transaction-123",
}


# Requests.


def test_a_payment_is_asked_for_as_in_the_scenario() -> None:
    """The body is the scenario's, with our id, and with the channel of CinetPay's client."""
    ours = own_id("collect", "order-123")
    said = {**sample("cinetpay_v1", "opened.200"), "merchant_transaction_id": ours}
    payment, body = made(order(extra={"payment_method": "OM_CI", "otp_code": "1234"}), said)
    expected = sample("cinetpay_v1", "payment")
    assert body == {
        **expected,
        "payment_method": "OM_CI",
        "merchant_transaction_id": ours,
        "channel": "OTP",
        "direct_pay": True,
        "otp_code": "1234",
    }
    assert list(body) == [name for name in FIELDS if name in body]
    assert (payment.status, payment.reference) == (Status.PENDING, "order-123")
    assert payment.provider_reference == "transaction-123"
    assert payment.checkout_url == "https://secure.cinetpay.net/payment/payment-token"


def test_a_page_is_opened_without_a_network() -> None:
    """Without a network the payer chooses on the page, and may have no number."""
    said = {**sample("cinetpay_v1", "opened.200"), "merchant_transaction_id": "A1"}
    _, body = made(order(reference="A1", party=None, description="", cancel_url=None), said)
    absent = {"payment_method", "direct_pay", "client_phone_number", "otp_code"}
    assert body.keys() == {*FIELDS} - absent
    assert (body["channel"], body["lang"]) == ("PUSH", "fr")
    assert body["designation"] == "A1"
    assert body["failed_url"] == body["success_url"] == "https://merchant.test/success"


def test_a_transfer_is_asked_for_as_in_the_scenario() -> None:
    """The body is the scenario's, with our id."""
    ours = own_id("payout", "transfer-1001")
    payment, body = made(payout(), _sent(merchant_transaction_id=ours))
    assert body == {**sample("cinetpay_v1", "transfer"), "merchant_transaction_id": ours}
    assert (payment.status, payment.fee) == (Status.SUCCEEDED, Decimal(2))
    assert payment.reference == "transfer-1001"


@pytest.mark.parametrize(
    ("customer", "names"),
    [
        (Customer(name="Ada", surname="Kouassi", email="a@b.ci"), ("Ada", "Kouassi")),
        (Customer(name="Ada Marie Kouassi", email="a@b.ci"), ("Ada", "Marie Kouassi")),
    ],
)
def test_a_payer_has_two_names(customer: Customer, names: tuple[str, str]) -> None:
    """A name alone is a given and a family name."""
    body = checkout.body(driver(), order(customer=customer))
    assert (body["client_first_name"], body["client_last_name"]) == names


BAD: list[tuple[str, dict[str, Any]]] = [
    ("amount", {"amount": Decimal(99)}),
    ("amount", {"amount": Decimal(2_500_001)}),
    ("payer", {"party": None, "operator": "orange"}),
    ("operator", {"operator": "tmoney"}),
    ("payment_method", {"extra": {"payment_method": "OM_SN"}}),
    ("payment_method", {"extra": {"payment_method": ["OM_CI"]}}),
    ("lang", {"extra": {"lang": "de"}}),
    ("channel", {"extra": {"channel": "CARD"}}),
    ("otp_code", {"extra": {"otp_code": "123"}}),
    ("otp_code", {"extra": {"otp_code": 1234}}),
    ("description", {"description": "x" * 256}),
    ("return_url", {"return_url": None}),
    ("return_url", {"return_url": f"https://shop.example/{'x' * 100}"}),
    ("cancel_url", {"cancel_url": f"https://shop.example/{'x' * 100}"}),
    ("webhook_url", {"webhook_url": None}),
    ("webhook_url", {"webhook_url": f"https://shop.example/{'x' * 100}"}),
    ("customer", {"customer": None}),
    ("customer.email", {"customer": Customer(name="Ada", surname="Kouassi", email="ada")}),
    ("customer.name", {"customer": Customer(name="A", surname="Kouassi", email="a@b.ci")}),
    ("customer.surname", {"customer": Customer(name="Ada", email="a@b.ci")}),
]


@pytest.mark.parametrize(("field", "given"), BAD, ids=range(len(BAD)))
def test_what_cinetpay_would_refuse_is_named_and_not_sent(
    field: str, given: dict[str, Any]
) -> None:
    """Each field beyond CinetPay's limits is UsageError, which names it; nothing is sent."""
    script = Script(driver())
    with pytest.raises(UsageError) as caught:
        drive(script.driver.collect(script, order(**given)))
    assert caught.value.name == field or field in str(caught.value)
    assert "1234" not in str(caught.value)
    assert script.requests == []


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("amount", {"amount": Decimal(99)}),
        ("amount", {"amount": Decimal(1_500_001)}),
        ("operator", {"operator": None}),
        ("operator", {"operator": "airtel"}),
        ("description", {"description": "x" * 256}),
        ("webhook_url", {"webhook_url": None}),
    ],
)
def test_a_payout_that_cinetpay_would_refuse_is_not_sent(field: str, given: Any) -> None:
    """A payout without its network, or beyond a limit, is UsageError with what is accepted."""
    script = Script(driver())
    with pytest.raises(UsageError) as caught:
        drive(script.driver.payout(script, payout(**given)))
    assert caught.value.name == field
    if field == "operator":
        assert "orange, moov, mtn, wave" in str(caught.value)
    assert script.requests == []


def test_every_network_of_the_client_can_be_named() -> None:
    """All 28 methods of CinetPay's client, by our words or by its own."""
    named = set()
    for country, currencies in CURRENCIES.items():
        for word in get_args(Operator):
            placed = order(operator=word, currency=currencies[0])
            with contextlib.suppress(UsageError):
                named.add(method_of(country, placed))
    assert len(named) == 26
    for country, method in (("CD", "AFRICELL_CD"), ("NE", "ZAMANI_NE")):
        placed = order(extra={"payment_method": method})
        assert method_of(country, placed) == method


def test_a_key_of_the_other_mode_is_refused() -> None:
    """A sandbox's key never asks the live host, nor a live key the sandbox."""
    with pytest.raises(UsageError, match=r"live.*sk_test_") as caught:
        driver(api_key="sk_test_canary", live=True)
    assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match=r"live.*sk_live_"):
        driver(api_key="sk_live_canary")
    assert driver(api_key="sk_live_x", live=True).url == "https://api.cinetpay.co"
    assert driver(api_key="sk_test_x").url == "https://api.cinetpay.net"
    with pytest.raises(UsageError, match="country"):
        driver(country="FR")


def test_a_currency_is_one_of_the_accounts_country() -> None:
    """Each country has its own; the Congo's wallets hold dollars, too."""
    assert driver().own_currencies == {"XOF"}
    assert driver(country="CM").own_currencies == {"XAF"}
    assert driver(country="CD").own_currencies == {"CDF", "USD"}
    named = [driver(country=country).own_currencies for country in CURRENCIES]
    assert frozenset().union(*named) == CinetPayV1.currencies


def test_a_number_is_one_of_the_accounts_country() -> None:
    """A national number is completed by the country's code; that of another country is refused."""
    assert driver().party("collect", "07 12 34 56 78", "XOF") == "2250712345678"
    assert driver(country="SN").party("payout", "77 123 45 67", "XOF") == "221771234567"
    with pytest.raises(UsageError, match="payee"):
        driver(country="SN").party("payout", "+2250712345678", "XOF")


# Our ids.


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.from_regex(r"(PP|PX|PQ)?[A-Za-z0-9._-]{1,64}", fullmatch=True), unique=True))
def test_no_two_orders_have_one_id(references: list[str]) -> None:
    """Each order has an id of its own, which fits, and shows its kind, perhaps its reference."""
    seen = set()
    for reference in references:
        for kind in ("collect", "payout"):
            id = own_id(kind, reference)
            assert re.fullmatch("[A-Z0-9]{1,30}", id)
            assert kind_of(id) == kind
            assert reference_of(id) in (None, reference)
            seen.add((id, kind, reference))
    assert len({id for id, *_ in seen}) == len(seen)


def test_an_id_stays_what_it_was() -> None:
    """A payment is found by its reference years later: the ids never change."""
    assert own_id("collect", "ORDER1042") == "ORDER1042"
    assert own_id("payout", "ORDER1042") == "PPORDER1042"
    assert own_id("collect", "order-1042") == "PXX74DZX5ZJWAIPNX5JHFSBRBH3R"
    assert own_id("payout", "order-1042") == "PQX74DZX5ZJWAIPNX5JHFSBRBH3R"
    assert own_id("collect", "PPORDER1042") == "PXOKLIEGD6ZR7FLJAZV2C6C4VJU5"


@pytest.mark.parametrize(
    ("id", "reference"),
    [
        ("ORDER1042", "ORDER1042"),
        ("PPORDER1042", "ORDER1042"),
        ("PXOQK5EYSEYXHG5NEVDXYKQGC5QX", None),
        ("PQOQK5EYSEYXHG5NEVDXYKQGC5QX", None),
        ("order-1042", None),
        ("PPorder-1042", None),
        ("PP", None),
        ("A" * 31, None),
    ],
)
def test_an_id_is_read_as_the_reference_that_it_is_made_of(id: str, reference: str | None) -> None:
    """A digest, and an id of another program, are read as none."""
    assert reference_of(id) == reference


# What an answer proves.


STATES = {
    "100": ("SUCCESS", Status.SUCCEEDED, Status.SUCCEEDED),
    "200": ("OK", Status.PENDING, Status.PENDING),
    "2001": ("INITIATED", Status.PENDING, Status.PENDING),
    "2002": ("PENDING", Status.PENDING, Status.PENDING),
    "2003": ("EXPIRED", Status.EXPIRED, Status.PENDING),
    "2004": ("OTP_ERROR", Status.FAILED, Status.PENDING),
    "2005": ("INSUFFICIENT_BALANCE", Status.FAILED, Status.FAILED),
    "2006": ("USER_NOT_FOUND", Status.FAILED, Status.FAILED),
    "2007": ("USER_IS_BLOCKED", Status.FAILED, Status.FAILED),
    "2008": ("OTP_EXPIRED", Status.FAILED, Status.PENDING),
    "2010": ("FAILED", Status.FAILED, Status.FAILED),
    "2011": ("NOT_ALLOWED", Status.FAILED, Status.FAILED),
    "-1": ("OPERATION_ERROR", Status.PENDING, Status.PENDING),
    "1200": ("TRANSACTION_EXIST", Status.PENDING, Status.PENDING),
}


@pytest.mark.parametrize("code", STATES)
def test_every_code_of_a_look_up_has_its_status(code: str) -> None:
    """What each code proves of a payment, and of a transfer, where some prove nothing."""
    word, payment, sent = STATES[code]
    assert looked_up(_paid(code=int(code), status=word)).status is payment
    assert looked_up(_sent(code=int(code), status=word), **OUT).status is sent
    # The word alone, and the code alone, say the same.
    assert looked_up(_paid(code=int(code), status=None)).status is payment
    assert looked_up(_sent(code=None, status=word), **OUT).status is sent


def test_the_tables_have_the_codes_of_the_client_and_no_others() -> None:
    """Each code that says how far a payment is, and none that is an error of a request."""
    listed = {code for code, (_, one, _) in STATES.items() if code not in ("-1", "1200")}
    assert CODES.keys() == TRANSFER_CODES.keys() == listed
    assert WORDS.keys() == TRANSFER_WORDS.keys() == {STATES[code][0] for code in listed}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(-9999, 99999) | st.text(max_size=12), st.text(max_size=20))
def test_an_unlisted_code_proves_nothing(code: object, word: str) -> None:
    """Whatever else CinetPay says of a payment leaves it pending, and raises nothing of its own."""
    assume(str(code).strip().rstrip(".").upper() not in STATES)
    assume(word.strip().rstrip(".").rstrip().upper() not in WORDS)
    for said, more in ((_paid(code=code, status=word), {}), (_sent(code=code, status=word), OUT)):
        try:
            found = looked_up(said, **more)
        except (OutcomeUnknown, ProviderError):
            continue
        assert found.status is Status.PENDING
    for path in (checkout.PATH, transfer.PATH):
        for status in (200, 400, 500):
            assert verdict({"code": code, "status": word}, status, path=path).means in (
                Means.UNKNOWN,
                *((Means.STALE, Means.REFUSED, Means.DUPLICATE) if word.upper() in ERRORS else ()),
            )


ERRORS = {
    "INVALID_TOKEN": (1002, Means.STALE),
    "EXPIRED_TOKEN": (1003, Means.STALE),
    "INVALID_PARAMS": (1004, Means.REFUSED),
    "INVALID_CREDENTIALS": (1005, Means.STALE),
    "TRANSACTION_EXIST": (1200, Means.DUPLICATE),
}
UNPAYABLE = {
    2005: ("INSUFFICIENT_BALANCE", Reason.INSUFFICIENT_FUNDS),
    2006: ("USER_NOT_FOUND", Reason.UNKNOWN_PAYEE),
    2007: ("USER_IS_BLOCKED", Reason.UNKNOWN_PAYEE),
    2011: ("NOT_ALLOWED", Reason.DECLINED),
}


@pytest.mark.parametrize("path", [checkout.PATH, transfer.PATH])
@pytest.mark.parametrize("status", [200, 400, 401, 422])
@pytest.mark.parametrize("word", ERRORS)
def test_every_error_of_a_money_request_is_what_is_listed(
    word: str, status: int, path: str
) -> None:
    """A code and its word are an error with any HTTP status, also in `details`; else nothing is."""
    code, means = ERRORS[word]
    assert verdict({"code": code, "status": word}, status, path=path).means is means
    assert verdict({"code": code}, status, path=path).means is means
    nested = {"code": status, "details": {"code": code, "status": word}}
    assert verdict(nested, status, path=path).means is means
    for contradiction in ("SUCCESS", "PENDING", "MYSTERY"):
        said = {"code": code, "status": contradiction}
        assert verdict(said, status, path=path).means is Means.UNKNOWN


@pytest.mark.parametrize("word", ERRORS)
def test_an_error_may_be_told_by_its_word_alone(word: str) -> None:
    """As CinetPay's own client reads EXPIRED_TOKEN; beside a success it is none."""
    code, means = ERRORS[word]
    assert verdict({"status": word}, 400).means is means
    assert verdict({"code": 9999, "status": word}, 400).means is Means.UNKNOWN
    assert verdict({"code": 100, "details": {"status": word}}, 200).means is Means.UNKNOWN
    made_one = {"code": code, "status": word, "payment_token": "t"}
    left = means if means is Means.DUPLICATE else Means.UNKNOWN
    assert verdict(made_one, 400).means is left
    assert verdict({**made_one, "payment_token": None, "transaction_id": "t"}, 400).means is left


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"description": "one", "message": "two", "details": {"message": "three"}}, "one"),
        ({"message": "two", "details": {"message": "three"}}, "two"),
        ({"details": {"message": "three"}}, "three"),
        ({}, ""),
    ],
)
def test_an_error_says_what_cinetpay_says(said: dict[str, Any], message: str) -> None:
    """Its text is the description, else a message; its code is CinetPay's."""
    error = verdict({"code": 1004, "status": "INVALID_PARAMS", **said}, 400).error
    assert error is not None
    assert (error.message, error.code, error.reason) == (message, "1004", None)


@pytest.mark.parametrize("code", UNPAYABLE)
def test_a_transfer_is_refused_only_by_what_proves_that_none_was_made(code: int) -> None:
    """Four codes refuse a transfer; of a payment, or with a transaction's id, they do not."""
    word, reason = UNPAYABLE[code]
    said = {"code": code, "status": word, "description": "non"}
    refused = verdict(said, 400, path=transfer.PATH)
    assert (refused.means, refused.error and refused.error.reason) == (Means.REFUSED, reason)
    assert verdict(said, 400).means is Means.UNKNOWN
    assert verdict({**said, "transaction_id": "t"}, 400, path=transfer.PATH).means is Means.UNKNOWN


@pytest.mark.parametrize("code", [-1, 2003, 2004, 2008, 2010, 404, 500])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_other_code_refuses_a_transfer(code: int, status: int) -> None:
    """An operation that failed, or is over, may have moved the money: it is looked up."""
    words = {"-1": "OPERATION_ERROR", **{one: word for one, (word, *_) in STATES.items()}}
    said = {"code": code, "status": words.get(str(code), "NOT_FOUND")}
    for more in ({}, {"transaction_id": "t", "merchant_transaction_id": "A1"}):
        assert verdict({**said, **more}, status, path=transfer.PATH).means is Means.UNKNOWN


def test_the_answer_to_a_payment_ends_nothing() -> None:
    """FAILED in the answer to a payment is not believed: its page may still be paid."""
    said = sample("cinetpay_v1", "direct_failed.200")
    placed = order(reference="order-124", operator="mtn")
    said["merchant_transaction_id"] = own_id("collect", "order-124")
    payment, _ = made(placed, said)
    assert (payment.status, payment.reason) == (Status.PENDING, None)
    assert (payment.provider_status, payment.message) == ("FAILED", "Paiement echoue")
    said["details"] = {"code": 100, "status": "SUCCESS"}
    assert made(placed, said)[0].status is Status.PENDING


def test_the_answer_to_a_transfer_fails_nothing() -> None:
    """A word of failure beside an accepted code is looked up; a success is one."""
    taken = sample("cinetpay_v1", "transfer_taken.200")
    taken["merchant_transaction_id"] = own_id("payout", "transfer-1001")
    for word, status in (("PENDING", Status.PENDING), ("FAILED", Status.PENDING)):
        payment, _ = made(payout(), {**taken, "code": 200, "status": word})
        assert (payment.status, payment.reason) == (status, None)
    payment, _ = made(payout(), {**taken, "code": 100, "status": "SUCCESS"})
    assert (payment.status, payment.amount, payment.payee) == (
        Status.SUCCEEDED,
        Decimal(100),
        "2250707000001",
    )


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("another merchant_transaction_id", {"merchant_transaction_id": "B2"}),
    ("no transaction_id", {"transaction_id": None}),
    ("no payment_url", {"payment_url": None}),
    ("no payment_url", {"payment_url": "javascript:alert(1)"}),
    ("none of an accepted request", {"code": 2010}),
    ("another amount", {"amount": "999"}),
]


@pytest.mark.parametrize(("why", "changed"), WRONG, ids=range(len(WRONG)))
def test_an_answer_about_something_else_is_unknown(why: str, changed: dict[str, Any]) -> None:
    """An answer without our id, or without a page, leaves the order unknown."""
    said = {**sample("cinetpay_v1", "opened.200"), "merchant_transaction_id": "A1", **changed}
    request = post(
        checkout.PATH,
        Answer,
        {},
        matches=partial(Answer.accepts, ours="A1", order=order(reference="A1"), page=True),
    )
    found = decide(driver(), request, _reply(said, 200))
    assert found.means is Means.UNKNOWN
    assert why in found.why


@pytest.mark.parametrize("url", [None, "http://pay.example/1", "https://pay.example/1"])
def test_only_a_push_needs_no_page(url: str | None) -> None:
    """Without the URL of its page an order is unknown, unless the payer's phone was asked."""
    said = {**sample("cinetpay_v1", "opened.200"), "merchant_transaction_id": "A1"}
    said["payment_url"] = url
    payment, _ = made(order(reference="A1", operator="mtn"), said)
    assert payment.checkout_url == url
    if url is None:
        with pytest.raises(OutcomeUnknown):
            made(order(reference="A1"), said)
    else:
        assert made(order(reference="A1"), said)[0].checkout_url == url


def test_a_failure_under_an_http_error_is_read_and_an_error_is_not() -> None:
    """The state of a payment is one with its id; anything else is judged by its HTTP status."""
    failed = _paid(code=2010, status="FAILED")
    assert looked_up(failed, 400).status is Status.FAILED
    with pytest.raises(Rejected):
        looked_up({**failed, "merchant_transaction_id": None}, 400)


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("no code", {"code": None, "status": None}),
        ("no merchant_transaction_id", {"merchant_transaction_id": None}),
        ("another payment", {"transaction_id": "another"}),
        ("not an amount", {"amount": "much"}),
        ("not an amount", {"fee_amount": "much"}),
    ],
)
def test_what_answers_no_look_up_is_named(why: str, changed: dict[str, Any]) -> None:
    """An answer without a code, our id or the id that was asked for is none."""
    said = _sent(**changed)
    request = get(
        "/v1/transfer/x", Answer, matches=partial(Answer.answers, asked="transfer-transaction-123")
    )
    found = decide(driver(), request, _reply(said, 200))
    assert found.means is Means.UNKNOWN
    assert why in found.why


def test_a_look_up_is_tied_by_our_id() -> None:
    """Without an amount in the answer, only the id ties it: another one is a Mismatch."""
    expected = Payment(account="cinetpay_v1", reference="order-123")
    for other in ("B2", own_id("collect", "order-124"), own_id("payout", "order-123")):
        found = looked_up(_paid(merchant_transaction_id=other))
        with pytest.raises(Mismatch, match="reference"):
            compare(found, expected)
    for ours in ("order-123", own_id("collect", "order-123")):
        assert looked_up(_paid(merchant_transaction_id=ours)).reference == "order-123"
    for lacking in ("merchant_transaction_id", "transaction_id"):
        with pytest.raises(OutcomeUnknown):
            looked_up(_paid(**{lacking: None}))


def test_an_order_is_asked_for_by_the_id_that_is_known() -> None:
    """By CinetPay's id if there is one, else by ours; a payout at the path of transfers."""
    known: list[dict[str, Any]] = [
        {"reference": "order-123"},
        {"reference": "order-123", "provider_reference": "transaction-123"},
        {"provider_reference": "transaction-123"},
        {"reference": "order-123", "kind": "payout"},
    ]
    asked = []
    for fields in known:
        own = own_id("payout" if "kind" in fields else "collect", "order-123")
        said = _paid(merchant_transaction_id=own)
        script = Script(driver(), _reply(said, 200))
        drive(script.driver.find(script, Payment(account="cinetpay_v1", **fields)))
        asked.append(script.requests[0].target())
    assert asked == [
        f"/v1/payment/{own_id('collect', 'order-123')}",
        "/v1/payment/transaction-123",
        "/v1/payment/transaction-123",
        f"/v1/transfer/{own_id('payout', 'order-123')}",
    ]
    with pytest.raises(UsageError, match="reference"):
        drive(script.driver.verify(script, Payment(account="cinetpay_v1")))


@pytest.mark.parametrize("status", [200, 404, 400])
def test_not_found_is_an_error_of_a_look_up_and_never_final(status: int) -> None:
    """404 says that it is not known yet; of an order it would say nothing."""
    said = {"code": 404, "status": "NOT_FOUND", "description": "introuvable"}
    with pytest.raises(NotFound):
        looked_up(said, status)
    assert verdict(said, status).means is Means.UNKNOWN
    assert all(fact.not_found_final_after is None for fact in driver().facts.values())


def test_a_refused_token_is_stale_in_cinetpays_own_words_alone() -> None:
    """A 401 of a look-up in another form than CinetPay's says nothing of the token."""
    own = {"code": 401, "status": "UNAUTHORIZED"}
    assert verdict(own, 401, money=False).means is Means.STALE
    assert verdict(own, 401).means is Means.UNKNOWN
    assert verdict({"message": "Unauthenticated."}, 401, money=False).means is Means.UNKNOWN


@pytest.mark.parametrize(
    ("said", "held"),
    [
        (sample("cinetpay_v1", "balances.200"), "249711.74"),
        ({"code": 200, "status": "OK", "available_balance": 12345}, "12345"),
    ],
)
def test_a_balance_is_a_text_or_a_number(said: Any, held: str) -> None:
    """Both forms of the only published answers; the currency is the account's, if none is told."""
    script = Script(driver(), _reply(said, 200))
    expected = Balance(currency="XOF", available=Decimal(held))
    assert drive(script.driver.balance(script)) == expected


def test_a_balance_without_a_currency_is_unreadable_where_there_are_two() -> None:
    """An account of the Congo has francs or dollars: which, only the answer says."""
    for said in ({"code": 200, "available_balance": "5"}, {"code": 200, "currency": "USD"}):
        script = Script(driver(country="CD"), _reply(said, 200))
        with pytest.raises(Unreadable, match="balance"):
            drive(script.driver.balance(script))
