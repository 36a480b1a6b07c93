"""PayDunya's driver, tested with bodies that PayDunya documents or that integrators saw."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux.drivers.base import Driver, Verb
from paymux.drivers.paydunya import REFERENCE, Answer, PayDunya, disburse, errors
from paymux.errors import (
    AuthenticationFailed,
    BadWebhook,
    Mismatch,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    Unsupported,
    UsageError,
)
from paymux.http import Request, Response, WebhookRequest, post
from paymux.models import (
    Customer,
    Event,
    Item,
    Kind,
    Order,
    Payment,
    Reason,
    Status,
    Tax,
    Trust,
    merge,
)
from paymux.testing.contract import Case, Shape
from paymux.values.parsing import Unreadable, convert
from tests.case import LEAVE
from tests.driving import Script, drive, reply, sample

MASTER = sample("paydunya", "hash")["master_key"]
HASH = sample("paydunya", "hash")["sha512"]
ASKED = "test_Jh2T8skw1j"  # the token in the page's answers
LIVE_TOKEN = "ERtyuILouhhRHICF0HboN"

# Each status of a disbursement.
WORDS = {
    "created": Status.PENDING,
    "pending": Status.PENDING,
    "success": Status.SUCCEEDED,
    "failed": Status.FAILED,
}

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", "payer": "221771234567", **LEAVE},
    opens="POST /sandbox-api/v1/checkout-invoice/create/",
    looks="GET /sandbox-api/v1/checkout-invoice/confirm/",
    wire=b'"total_amount":1000',
    told={Status.EXPIRED: Status.CANCELLED},
    repeats=True,
    signs=True,
    signs_with=("master_key",),
    no_funds={"balance": 0},
    mode=(b'"mode": "live"', b'"mode": "test"'),
    live={
        "private_key": "live_private_simulator",
        "base_url": "http://127.0.0.1:1/paydunya",
    },
    payouts=(
        ("seller@example.com", "POST /sandbox-api/v1/direct-pay/credit-account/"),
        ("221771234567", "POST /api/v2/disburse/submit-invoice/"),
    ),
    payout_options={"221771234567": {"operator": "wave"}},
    words=Shape(
        fields={
            **dict.fromkeys(("private_key", "access_token", "store_name"), "simulator"),
            "master_key": "master-key-test",
            "live": True,
        },
        asked={"provider_reference": "ERtyuILouhhRHICF0HboN"},
        amounts=("invoice.total_amount", "invoice.total_amount_without_fees"),
        answers=(
            "completed.200",
            "completed_live.200",
            "failed_live.200",
            "cancelled.200",
            "pending_live.200",
        ),
        messages=("ipn",),
        places={
            "status": "status",
            "invoice.status": "invoice.status",
            "fail_reason": "fail_reason",
        },
        signed={"data.hash": sample("paydunya", "hash")["sha512"]},
        told={
            "status": "data.status",
            "invoice.status": "data.invoice.status",
            "fail_reason": "data.fail_reason",
        },
        said={
            "completed.200": Status.SUCCEEDED,
            "completed_live.200": Status.SUCCEEDED,
            "cancelled.200": Status.CANCELLED,
            "failed_live.200": Status.FAILED,
            "pending_live.200": Status.PENDING,
            "ipn": Status.SUCCEEDED,
        },
    ),
    pages=(
        Shape(
            fields={
                **dict.fromkeys(("private_key", "access_token", "store_name"), "simulator"),
                "master_key": "master-key-test",
            },
            asked={"kind": "payout", "ids": {"disburse_token": "unknown-token "}},
            answers=tuple(f"disburse_{word}.200" for word in WORDS),
            messages=("disburse_message",),
            places={"disburse.status": "status"},
            told={"disburse.status": "status"},
            signed={"hash": sample("paydunya", "hash")["sha512"]},
            said={
                **{f"disburse_{word}.200": status for word, status in WORDS.items()},
                "disburse_message": Status.SUCCEEDED,
            },
        ),
    ),
)


def paydunya(**fields: Any) -> PayDunya:
    """Return a sandbox account."""
    given: dict[str, Any] = {
        "master_key": MASTER,
        "private_key": "test_private_secret",
        "access_token": "token-secret",
        "store_name": "Magasin le Choco",
        **fields,
    }
    return PayDunya(**given)


def live(**fields: Any) -> PayDunya:
    """Return a live account."""
    return paydunya(live=True, private_key="live_private_secret", **fields)


def order(kind: Kind = "collect", **fields: Any) -> Order:
    """Return an order of 5000 XOF."""
    given: dict[str, Any] = {
        "account": "paydunya",
        "kind": kind,
        "reference": "order-1042",
        "amount": Decimal(5000),
        "currency": "XOF",
        **fields,
    }
    return Order(**given)


def answer(body: Any, status: int = 200) -> Response:
    """Return a reply with any body."""
    return Response(status=status, body=json.dumps(body).encode())


def opened(driver: PayDunya, wanted: Order) -> tuple[Payment, Any]:
    """Collect an order; return the payment and the body of its request."""
    send = Script(
        driver, reply("paydunya", "created_live.200" if driver.live else "created_sandbox.200")
    )
    payment = drive(driver.collect(send, wanted))
    return payment, json.loads(send.requests[0].content() or b"")


def confirmed(driver: PayDunya, case: str, token: str = ASKED) -> Payment:
    """Verify a token with this sample as the answer."""
    return drive(
        driver.verify(
            Script(driver, reply("paydunya", case)),
            Payment(account="paydunya", live=driver.live, provider_reference=token),
        )
    )


def form(tree: Any, name: str = "data") -> dict[str, str]:
    """Return a tree as PHP writes it into a form: data[a][b]=…, without empty values."""
    if not isinstance(tree, dict):
        return {} if tree is None else {name: str(tree)}
    return {
        key: text for at, part in tree.items() for key, text in form(part, f"{name}[{at}]").items()
    }


def ipn(**changes: Any) -> dict[str, Any]:
    """Return the page's IPN, with changes below `data`."""
    return {**sample("paydunya", "ipn")["data"], **changes}


def incoming(tree: Any) -> WebhookRequest:
    """Return the message that PayDunya sends for a tree."""
    return WebhookRequest(body=urlencode(form(tree)).encode())


# Credentials and hosts.


@pytest.mark.proves("paydunya: headers PAYDUNYA-MASTER-KEY")
def test_three_headers_sign_every_request() -> None:
    """Every request has the three keys; there is no login."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", "created_sandbox.200"))
    drive(driver.collect(send, order()))
    assert send.requests[0].headers == {
        "PAYDUNYA-MASTER-KEY": MASTER,
        "PAYDUNYA-PRIVATE-KEY": "test_private_secret",
        "PAYDUNYA-TOKEN": "token-secret",
    }
    assert type(driver).token is Driver.token


@pytest.mark.proves(
    "paydunya: PAR: POST https://app.paydunya.com/sandbox-api/v1/checkout-invoice/create",
    "paydunya: PAR: POST https://app.paydunya.com/api/v1/checkout-invoice/create",
    "paydunya: PER: POST https://app.paydunya.com/sandbox-api/v1/direct-pay/credit-account",
    "paydunya: PER: POST https://app.paydunya.com/api/v1/direct-pay/credit-account",
    (
        "paydunya: GET "
        "https://app.paydunya.com/sandbox-api/v1/checkout-invoice/confirm/[invoice_token]"
    ),
    "paydunya: GET https://app.paydunya.com/api/v1/checkout-invoice/confirm/[invoice_token]",
)
def test_sandbox_and_live_have_their_own_addresses() -> None:
    """`live` chooses the base URL, and `base_url` overrides both."""
    assert (paydunya().url, paydunya().root) == ("https://app.paydunya.com", "/sandbox-api/v1")
    assert (live().url, live().root) == ("https://app.paydunya.com", "/api/v1")
    assert live(base_url="http://127.0.0.1:1/paydunya/").url == "http://127.0.0.1:1/paydunya"


@pytest.mark.proves("paydunya: keys per application; test")
@pytest.mark.parametrize(
    ("mode", "key"),
    [(True, "test_private_secret"), (False, "live_private_secret"), (True, "test_public_secret")],
)
def test_a_key_of_the_other_mode_is_refused(mode: bool, key: str) -> None:
    """A prefix that contradicts `live` is UsageError naming the field, not the key."""
    with pytest.raises(UsageError, match="private_key") as refused:
        paydunya(live=mode, private_key=key)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("path", ["/api/v1", "/sandbox-api/v1/"])
def test_an_address_with_a_version_is_refused(path: str) -> None:
    """It would be there twice, since Disburse v2 has another."""
    with pytest.raises(UsageError, match=r"base_url.*without the version of an API"):
        paydunya(base_url=f"https://app.paydunya.com{path}")


def test_a_key_without_a_prefix_is_taken() -> None:
    """A simulator's key fits both modes."""
    assert paydunya(private_key="simulator", live=True).live
    assert not paydunya(private_key="simulator").live


@pytest.mark.proves("paydunya: keys per application; test", "paydunya: invoice.total_amount")
@pytest.mark.parametrize("field", ["master_key", "private_key", "access_token", "store_name"])
def test_what_every_call_needs_is_required(field: str) -> None:
    """A missing key or store name is UsageError naming it."""
    with pytest.raises(UsageError, match=field):
        paydunya(**{field: ""})


def test_no_secret_is_printed() -> None:
    """Neither the driver nor errors of its answers show a key."""
    driver = paydunya()
    with pytest.raises(AuthenticationFailed) as refused:
        drive(driver.collect(Script(driver, reply("paydunya", "wrong_keys.200")), order()))
    with pytest.raises(BadWebhook) as forged:
        driver.webhook(incoming(ipn(hash="0" * 128)))
    shown = (
        " ".join(map(repr, (driver, refused.value, forged.value)))
        + str(refused.value)
        + str(forged.value)
    )
    for secret in (MASTER, "test_private_secret", "token-secret", HASH):
        assert secret not in shown


def test_a_store_may_have_accents() -> None:
    """The store's texts are for people; only unprintable characters are refused."""
    _, body = opened(paydunya(store_name="Épicerie Thiès", store_tagline="Frais & bon"), order())
    assert body["store"] == {"name": "Épicerie Thiès", "tagline": "Frais & bon"}
    with pytest.raises(UsageError, match="store_tagline"):
        paydunya(store_tagline="two\nlines")


# Opening a page (PAR).


@pytest.mark.proves(
    "paydunya: PAR: POST https://app.paydunya.com/sandbox-api/v1/checkout-invoice/create",
    "paydunya: invoice.total_amount",
    "paydunya: invoice.description",
)
def test_the_least_invoice_is_the_pages() -> None:
    """A minimal order is the page's example, with our reference added."""
    wanted = sample("paydunya", "create_minimal")
    _, body = opened(paydunya(), order(description=wanted["invoice"]["description"]))
    assert body == {**wanted, "custom_data": {REFERENCE: "order-1042"}, "actions": {}}
    assert type(body["invoice"]["total_amount"]) is int


@pytest.mark.proves(
    "paydunya: items item_0 …: name, quantity",
    "paydunya: taxes tax_0 …: name, amount",
    "paydunya: custom_data: kept, shown",
    "paydunya: actions.cancel_url: where",
    "paydunya: actions.return_url: where",
    "paydunya: actions.callback_url: where",
)
def test_the_full_invoice_is_the_pages() -> None:
    """Items, taxes, store, custom data and actions are sent with the page's names, in its order."""
    wanted = sample("paydunya", "create_full")
    invoice = wanted["invoice"]
    full = order(
        amount=Decimal(42300),
        description=invoice["description"],
        items=tuple(
            Item(
                name=item["name"],
                quantity=item["quantity"],
                unit_price=Decimal(item["unit_price"]),
                description=item["description"],
            )
            for item in invoice["items"].values()
        ),
        taxes=tuple(
            Tax(name=tax["name"], amount=Decimal(tax["amount"]))
            for tax in invoice["taxes"].values()
        ),
        metadata=wanted["custom_data"],
        return_url=wanted["actions"]["return_url"],
        cancel_url=wanted["actions"]["cancel_url"],
        webhook_url=wanted["actions"]["callback_url"],
    )
    _, body = opened(paydunya(), full)
    assert body == {
        **wanted,
        "store": {"name": "Magasin le Choco"},
        "custom_data": {REFERENCE: "order-1042", **wanted["custom_data"]},
    }
    assert list(body["invoice"]) == ["items", "taxes", "total_amount", "description"]
    assert list(body["actions"]) == ["cancel_url", "return_url", "callback_url"]


@pytest.mark.proves(
    "paydunya: items never charge anything", "paydunya: taxes tax_0 …: name, amount"
)
def test_items_and_taxes_never_change_the_amount() -> None:
    """Items and taxes are only shown; the amount is charged."""
    shown = order(
        items=(
            Item(name="A", unit_price=Decimal(9000), total_price=Decimal(8000)),
            Item(name="B", quantity=2, unit_price=Decimal(0)),
        ),
        taxes=(Tax(name="TVA", amount=Decimal(900)),),
    )
    payment, body = opened(paydunya(), shown)
    assert body["invoice"]["total_amount"] == 5000
    assert [item["total_price"] for item in body["invoice"]["items"].values()] == ["8000", "0"]
    assert payment.amount == Decimal(5000)


@pytest.mark.parametrize("price", ["10.5", "-1", "1E+1000000", "NaN", "Infinity", "1E+12"])
def test_a_price_that_xof_cannot_say_is_refused(price: str) -> None:
    """An item that is not in whole francs is UsageError before a request."""
    driver = paydunya()
    for wanted in (
        order(items=(Item(name="A", unit_price=Decimal(price)),)),
        order(items=(Item(name="A", unit_price=Decimal(1), total_price=Decimal(price)),)),
        order(taxes=(Tax(name="TVA", amount=Decimal(price)),)),
    ):
        send = Script(driver)
        with pytest.raises(UsageError, match="items, taxes"):
            drive(driver.collect(send, wanted))
        assert send.requests == []


@pytest.mark.proves("paydunya: store name, tagline, postal_address")
def test_the_store_is_shown_as_the_page_names_it() -> None:
    """Every store setting is sent with the page's name."""
    store = {
        "name": "Magasin le Choco",
        "tagline": "Tout doux",
        "postal_address": "Dakar",
        "phone": "338600000",
        "logo_url": "https://choco.example/logo.png",
        "website_url": "https://choco.example",
    }
    driver = paydunya(**{f"store_{name}": value for name, value in store.items()})
    assert opened(driver, order())[1]["store"] == store


def test_channels_limit_the_ways_to_pay() -> None:
    """`extra={"channels": …}` is sent in the invoice, as PayDunya's own clients do."""
    _, body = opened(paydunya(), order(extra={"channels": ["card", "wave-senegal"]}))
    assert body["invoice"]["channels"] == ["card", "wave-senegal"]


@pytest.mark.parametrize("channels", ["card", ["wave senegal"], [None, ""], {"card": True}, None])
def test_channels_that_are_no_names_are_refused(channels: object) -> None:
    """A wrong setting is UsageError before a request."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match="channels"):
        drive(driver.collect(send, order(extra={"channels": channels})))
    assert send.requests == []


def test_the_payer_is_filled_in_on_the_page() -> None:
    """A customer, or the payer's number without its country code, is sent for the page."""
    who = Customer(name="Alioune", surname="Faye", email="a@example.com")
    _, body = opened(paydunya(), order(customer=who, party="2250707070707"))
    assert body["invoice"]["customer"] == {
        "name": "Alioune Faye",
        "email": "a@example.com",
        "phone": "0707070707",
    }


def test_metadata_cannot_take_the_references_place() -> None:
    """The documented key has only our reference."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match=REFERENCE):
        drive(driver.collect(send, order(metadata={REFERENCE: "another"})))
    assert send.requests == []


@pytest.mark.proves("paydunya: create: response_text")
@pytest.mark.parametrize(
    ("driver", "case"), [(paydunya(), "created_sandbox.200"), (live(), "created_live.200")]
)
def test_the_response_text_is_the_pages_address(driver: PayDunya, case: str) -> None:
    """A created invoice is PENDING: its URL is for the payer, its token for us."""
    payment, _ = opened(driver, order())
    body = sample("paydunya", case)
    assert payment.checkout_url == body["response_text"]
    assert payment.provider_reference == body["token"]
    assert (payment.status, payment.live, payment.reference) == (
        Status.PENDING,
        driver.live,
        "order-1042",
    )


def test_opening_a_page_may_be_repeated_and_a_transfer_not() -> None:
    """Each POST makes a new page and charges no payer; a transfer moves money immediately."""
    driver = paydunya()
    pages = Script(driver, reply("paydunya", "created_sandbox.200"))
    drive(driver.collect(pages, order()))
    credits = Script(driver, reply("paydunya", "credited.200"))
    drive(driver.payout(credits, order("payout", amount=Decimal(4500), party="seller@example.com")))
    assert (pages.requests[0].money, pages.requests[0].repeatable) == (True, True)
    assert (credits.requests[0].money, credits.requests[0].repeatable) == (True, False)
    assert "a new reference is safe" in driver.lost_page


@pytest.mark.proves('paydunya: "00": success; anything')
@pytest.mark.parametrize(
    "body",
    [
        {"response_code": "00"},
        {"response_code": "00", "token": "test_x"},
        {"response_code": "00", "response_text": "Checkout Invoice Created", "token": "test_x"},
        {"response_code": "00", "response_text": "javascript:alert(1)", "token": "test_x"},
        {"response_code": "00", "response_text": "https://app.paydunya.com/x", "token": "../x"},
        {"response_text": "https://app.paydunya.com/x", "token": "test_x"},
        sample("paydunya", "without_codes.200"),
    ],
)
def test_an_answer_without_a_page_is_no_page(body: object) -> None:
    """JSON without the documented fields never becomes an empty success."""
    driver = paydunya()
    with pytest.raises(OutcomeUnknown):
        drive(driver.collect(Script(driver, answer(body)), order()))


# Errors.


@pytest.mark.proves("paydunya: response_code and response_text")
@pytest.mark.parametrize(
    ("case", "error", "code"),
    [
        ("wrong_keys.200", AuthenticationFailed, "1001"),
        ("unproved_identity.200", Rejected, "1002"),
        ("maintenance.200", Rejected, "5000"),
    ],
)
def test_a_page_that_was_not_made_says_why(
    case: str, error: type[ProviderError], code: str
) -> None:
    """`response_code` and `response_text` are in the error, although HTTP says 200."""
    driver = paydunya()
    with pytest.raises(error) as refused:
        drive(driver.collect(Script(driver, reply("paydunya", case)), order()))
    assert (refused.value.code, refused.value.message) == (
        code,
        sample("paydunya", case)["response_text"],
    )


@pytest.mark.proves("paydunya: response_code and response_text")
@pytest.mark.parametrize(
    ("case", "error", "code"),
    [
        ("wrong_keys.200", AuthenticationFailed, "1001"),
        ("not_found.200", NotFound, "1003"),
        ("maintenance.200", ProviderError, "5000"),
    ],
)
def test_a_look_up_that_failed_says_why(case: str, error: type[ProviderError], code: str) -> None:
    """A look-up's error has code and text; "not found" is no failed payment."""
    with pytest.raises(error) as refused:
        confirmed(paydunya(), case)
    assert type(refused.value) is error
    assert (refused.value.code, refused.value.message) == (
        code,
        sample("paydunya", case)["response_text"],
    )


def test_a_look_ups_status_and_words_go_together() -> None:
    """The HTTP status selects the error; code and text are PayDunya's."""
    body = {"response_code": ["404", "x"], "response_text": "Inconnu"}
    driver = paydunya()
    send = Script(driver, answer(body, 404))
    with pytest.raises(NotFound) as refused:
        drive(driver.verify(send, Payment(account="paydunya", provider_reference=ASKED)))
    assert (refused.value.code, refused.value.message, refused.value.http_status) == (
        "404",
        "Inconnu",
        404,
    )


@pytest.mark.proves('paydunya: "00": success; anything')
def test_the_code_may_be_a_number() -> None:
    """The number 0 is "00", as in PayDunya's own clients; no other value is."""
    made = {**sample("paydunya", "created_sandbox.200"), "response_code": 0}
    driver = paydunya()
    assert (
        drive(driver.collect(Script(driver, answer(made)), order())).provider_reference
        == "test_RHICF0HboN"
    )
    others: tuple[Any, ...] = (None, False, "", [], "000", "OK")
    for code in others:
        with pytest.raises((OutcomeUnknown, Rejected)):
            drive(driver.collect(Script(driver, answer({**made, "response_code": code})), order()))


@pytest.mark.proves("paydunya: header Content-Type: application/json")
@pytest.mark.parametrize("case", ["page.200", "page.502"])
def test_html_is_no_answer(case: str) -> None:
    """HTML with any status is no answer: no foreign exception, no success, no failure."""
    driver = paydunya()
    page = reply("paydunya", case)
    with pytest.raises(OutcomeUnknown):
        drive(driver.collect(Script(driver, page), order()))
    with pytest.raises(OutcomeUnknown):
        drive(driver.payout(Script(driver, page), order("payout", party="seller@example.com")))
    with pytest.raises(OutcomeUnknown):
        drive(
            driver.verify(
                Script(driver, page), Payment(account="paydunya", provider_reference=ASKED)
            )
        )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 423, 425, 429, 500, 503])
def test_a_bare_status_proves_nothing_of_money(status: int) -> None:
    """Without PayDunya's own body no status refuses a transfer for certain."""
    driver = paydunya()
    request: Request[Answer] = post("/direct-pay/credit-account", Answer, {})
    assert driver.judge(request, Response(status=status, body=b"<html></html>")) is None
    assert driver.judge(request, answer(sample("paydunya", "without_codes.200"), status)) is None
    if status >= 500:
        assert driver.judge(request, answer(sample("paydunya", "wrong_keys.200"), status)) is None


# Looking an invoice up.


@pytest.mark.proves(
    "paydunya: confirm invoice: items",
    "paydunya: confirm custom_data",
    "paydunya: confirm status",
    "paydunya: confirm customer: name",
    "paydunya: confirm receipt_url",
    "paydunya: completed",
)
def test_a_completed_invoice_succeeded() -> None:
    """The page's answer is read: amount, customer, receipt, metadata and mode."""
    payment = confirmed(paydunya(), "completed.200")
    assert payment.status is Status.SUCCEEDED
    assert (payment.amount, payment.currency, payment.fee) == (Decimal(42300), "XOF", None)
    assert (payment.live, payment.provider_reference, payment.provider_status) == (
        False,
        ASKED,
        "completed",
    )
    assert payment.customer == Customer(
        name="Alioune Faye", phone="774563209", email="aliounefaye@gmail.com"
    )
    assert payment.payer == "221774563209"
    assert (
        payment.receipt_url
        == "https://paydunya.com/sandbox-checkout/receipt/pdf/test_Jh2T8skw1j.pdf"
    )
    assert payment.metadata == sample("paydunya", "completed.200")["custom_data"]
    assert (payment.reason, payment.message) == (None, None)


@pytest.mark.proves(
    "paydunya: GET https://app.paydunya.com/sandbox-api/v1/checkout-invoice/confirm/[invoice_token]",
    "paydunya: GET https://app.paydunya.com/api/v1/checkout-invoice/confirm/[invoice_token]",
)
def test_the_look_up_goes_to_the_invoices_token() -> None:
    """The token is in the path; a token with a slash or the like is UsageError."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", "completed.200"))
    drive(driver.verify(send, Payment(account="paydunya", provider_reference=ASKED)))
    assert send.requests[0].method == "GET"
    assert send.requests[0].target() == "/sandbox-api/v1/checkout-invoice/confirm/test_Jh2T8skw1j"
    for token in ("..", "a/b", "a?b", "é", "x" * 101, None):
        with pytest.raises(UsageError, match="provider_reference"):
            drive(driver.verify(send, Payment(account="paydunya", provider_reference=token)))


@pytest.mark.proves("paydunya: confirm fail_reason", "paydunya: cancelled")
def test_a_cancelled_invoice_says_why() -> None:
    """`fail_reason` is the message; the page's example has `mode` live with a sandbox token."""
    payment = confirmed(live(), "cancelled.200")
    assert (payment.status, payment.reason) == (Status.CANCELLED, Reason.CANCELLED)
    assert payment.message == "Payment cancelled by customer"
    assert payment.live


@pytest.mark.proves("paydunya: confirm fail_reason", "paydunya: failed")
def test_a_failed_invoice_says_why() -> None:
    """A mobile-money failure has its text in `errors`; its `response_code` "00" is no success."""
    payment = confirmed(live(), "failed_live.200", LIVE_TOKEN)
    assert (payment.status, payment.reason) == (Status.FAILED, Reason.OTHER)
    assert payment.message == "Solde insuffisant"
    assert payment.provider_status == "failed"


@pytest.mark.proves("paydunya: pending")
def test_a_pending_invoice_is_pending() -> None:
    """PHP's empty lists and nulls are missing values."""
    payment = confirmed(live(), "pending_live.200", LIVE_TOKEN)
    assert payment.status is Status.PENDING
    assert (payment.customer, payment.payer, payment.operator, payment.receipt_url) == (
        None,
        None,
        None,
        None,
    )
    assert (payment.metadata, payment.ids, payment.reference) == ({}, {}, None)


@pytest.mark.parametrize("word", ["expired", "paid", "", None, "complete"])
def test_an_unknown_word_is_pending(word: str | None) -> None:
    """Only the page's four statuses decide; another one is kept, and the payment stays pending."""
    driver = paydunya()
    body = {**sample("paydunya", "completed.200"), "status": word}
    send = Script(driver, answer(body))
    payment = drive(driver.verify(send, Payment(account="paydunya", provider_reference=ASKED)))
    assert payment.status is Status.PENDING
    assert payment.provider_status == (word or None)


def test_fees_of_the_provider_are_no_difference() -> None:
    """`total_amount_without_fees` is the order's amount; the difference is the fee."""
    payment = confirmed(live(), "completed_live.200", LIVE_TOKEN)
    assert (payment.amount, payment.fee) == (Decimal(5000), Decimal(150))
    held = Payment(account="paydunya", live=True, amount=Decimal(5000), currency="XOF")
    assert merge(held, payment).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("total", "net", "amount", "fee"),
    [
        ("5000", "5000", "5000", None),
        (5000, None, "5000", None),
        ("5000", "0", "5000", None),
        (None, "5000", "5000", None),
        ("4000", "5000", "4000", "1000"),
        ("0", "5000", "0", "5000"),
        (0, None, "0", None),
        (None, None, None, None),
    ],
)
def test_no_figure_makes_a_payment_larger(
    total: object, net: object, amount: str | None, fee: str | None
) -> None:
    """The smaller of two amounts is compared with the order, so that an underpayment shows."""
    invoice = {"token": ASKED, "total_amount": total, "total_amount_without_fees": net}
    found = paydunya().payment(convert(Answer, {"invoice": invoice}), ASKED)
    assert found.amount == (Decimal(amount) if amount else None)
    assert found.fee == (Decimal(fee) if fee else None)


@pytest.mark.parametrize("figure", ["1E+1000000", "NaN", "5 000", "cinq", [], {"a": 1}])
def test_a_strange_figure_is_unreadable(figure: object) -> None:
    """A value that is no amount is no answer, and never a missing amount."""
    with pytest.raises(Unreadable):
        paydunya().payment(convert(Answer, {"invoice": {"total_amount": figure}}), ASKED)


@pytest.mark.proves("paydunya: custom_data: kept, shown", "paydunya: confirm custom_data")
def test_our_reference_comes_back_and_the_rest_is_metadata() -> None:
    """Our reference is read from the custom data; the rest is metadata."""
    payment = confirmed(live(), "completed_live.200", LIVE_TOKEN)
    assert payment.reference == "order-1042"
    assert payment.metadata == {"size": 42}
    stranger = Answer(custom_data={REFERENCE: ["order-1042"]})
    assert live().payment(stranger, LIVE_TOKEN).reference is None


def test_what_live_answers_add_is_kept() -> None:
    """The operator in one spelling, and two further ids, are kept."""
    payment = confirmed(live(), "completed_live.200", LIVE_TOKEN)
    assert payment.operator == "wave-senegal"
    assert payment.ids == {"receipt_identifier": "RCPT-1", "provider_reference": "OP-1"}


@pytest.mark.parametrize(
    ("told", "payer"),
    [
        ("774563209", "221774563209"),
        ("+221 77 456 32 09", "221774563209"),
        ("2250707070707", "2250707070707"),
        ("+229 97 00 11 22", "22997001122"),
        ("00229 97001122", "22997001122"),
        ("338221234", "221338221234"),
        ("+33142685300", "33142685300"),
        ("0707070707", None),
        ("70123456", None),
        ("", None),
    ],
)
def test_a_national_number_is_read_where_it_has_one_meaning(told: str, payer: str | None) -> None:
    """A number without country is Senegal's, or unknown; the customer keeps it as it was sent."""
    found = paydunya().payment(convert(Answer, {"customer": {"phone": told}}), ASKED)
    assert found.payer == payer
    assert (found.customer and found.customer.phone) == (told or None)


@pytest.mark.proves("paydunya: confirm mode: test or live")
@pytest.mark.parametrize(
    ("account", "mode", "token", "found"),
    [
        (live(), "live", LIVE_TOKEN, True),
        (live(), "test", LIVE_TOKEN, False),
        (live(), "sandbox", LIVE_TOKEN, False),
        (live(), None, LIVE_TOKEN, True),
        (live(), None, ASKED, False),
        (live(), "LIVE", ASKED, True),
        (paydunya(), "test", ASKED, False),
        (paydunya(), None, "abc", False),
        (paydunya(), "live", ASKED, True),
    ],
)
def test_the_mode_is_the_providers(
    account: PayDunya, mode: str | None, token: str, found: bool
) -> None:
    """`mode` decides; only if it is missing, the token's prefix does."""
    assert account.payment(Answer(mode=mode), token).live is found


@pytest.mark.proves("paydunya: confirm mode: test or live")
def test_a_test_payment_on_a_live_account_is_a_mismatch() -> None:
    """A sandbox success never completes a live order."""
    driver = live()
    held = Payment(account="paydunya", live=True, amount=Decimal(42300), provider_reference=ASKED)
    found = drive(driver.verify(Script(driver, reply("paydunya", "completed.200")), held))
    with pytest.raises(Mismatch) as refused:
        merge(held, found)
    assert refused.value.fields == ("live",)


@pytest.mark.proves("paydunya: confirm invoice: items")
def test_another_invoice_is_a_mismatch() -> None:
    """An answer about another token or amount does not complete this order."""
    held = Payment(account="paydunya", amount=Decimal(42301), provider_reference="test_other")
    with pytest.raises(Mismatch) as refused:
        merge(held, confirmed(paydunya(), "completed.200", "test_other"))
    assert refused.value.fields == ("amount", "provider_reference")


@pytest.mark.parametrize(
    "body", [sample("paydunya", "without_codes.200"), {"response_code": "00"}, {}]
)
def test_an_answer_without_an_invoice_is_none(body: object) -> None:
    """A JSON error without the documented fields is no pending payment."""
    driver = paydunya()
    with pytest.raises(OutcomeUnknown):
        drive(
            driver.verify(
                Script(driver, answer(body)), Payment(account="paydunya", provider_reference=ASKED)
            )
        )


# Transfers (PER).


@pytest.mark.proves(
    "paydunya: PER: POST https://app.paydunya.com/sandbox-api/v1/direct-pay/credit-account",
    "paydunya: PER: POST https://app.paydunya.com/api/v1/direct-pay/credit-account",
    "paydunya: credit-account account_alias",
    "paydunya: credit-account response_code",
)
def test_a_transfer_is_the_pages_and_done_at_once() -> None:
    """A local number and a whole amount are sent; "00" is SUCCEEDED with the transaction's id."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", "credited.200"))
    wanted = order(
        "payout",
        amount=Decimal(4500),
        party=driver.party("payout", "+221 77 111 11 11"),
        operator="paydunya",
    )
    payment = drive(driver.payout(send, wanted))
    assert json.loads(send.requests[0].content() or b"") == sample("paydunya", "credit")
    assert send.requests[0].target() == "/sandbox-api/v1/direct-pay/credit-account"
    assert (payment.status, payment.provider_reference) == (Status.SUCCEEDED, "TEST000001")
    assert (payment.kind, payment.payee, payment.payer) == ("payout", "221771111111", None)
    assert (payment.amount, payment.reference) == (Decimal(4500), "order-1042")


@pytest.mark.proves("paydunya: credit-account account_alias")
@pytest.mark.parametrize(
    ("payee", "alias"),
    [
        ("221771111111", "771111111"),
        ("boutique@example.sn", "boutique@example.sn"),
        ("221.a+b@mail.example.co.uk", "221.a+b@mail.example.co.uk"),
    ],
)
def test_an_account_is_credited_by_number_or_e_mail(payee: str, alias: str) -> None:
    """A PayDunya account is a number without its country code, or an e-mail address."""
    driver = paydunya()
    body = {"response_code": "00", "transaction_id": "T1"}
    send = Script(driver, answer(body))
    drive(
        driver.payout(
            send, order("payout", party=driver.party("payout", payee), operator="paydunya")
        )
    )
    assert json.loads(send.requests[0].content() or b"")["account_alias"] == alias


@pytest.mark.parametrize("payee", ["70123456", "+237670000000", "a@b", "@x.sn", "a b@x.sn", "", 7])
def test_a_payee_that_is_no_number_and_no_e_mail_is_refused(payee: Any) -> None:
    """A payee is a number with its country code, of a country served, or an e-mail."""
    with pytest.raises(UsageError, match="payee"):
        paydunya().party("payout", payee)


def test_an_account_that_could_be_somebody_elses_is_refused() -> None:
    """Without its country code a foreign number is ambiguous: an e-mail address is required."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match="e-mail"):
        drive(driver.payout(send, order("payout", party="2250707070707", operator="paydunya")))
    assert send.requests == []


def test_a_payer_may_be_of_any_country_served() -> None:
    """A payer's number is E.164, of a country whose operators the page offers."""
    assert paydunya().party("collect", "+225 07 07 07 07 07") == "2250707070707"
    with pytest.raises(UsageError, match="payer"):
        paydunya().party("collect", "+237670000000")


@pytest.mark.proves("paydunya: credit-account response_code")
@pytest.mark.parametrize(
    "body",
    [
        {"response_code": "00"},
        {"response_code": "00", "transaction_id": " "},
        {"transaction_id": "T1"},
        {
            **sample("paydunya", "credited.200"),
            "description": "Success! Amount of 45000 FCFA has been transfered",
        },
    ],
)
def test_an_answer_that_is_not_this_transfers_is_unknown(body: object) -> None:
    """Without "00", a transaction id and our amount, the outcome is unknown."""
    driver = paydunya()
    with pytest.raises(OutcomeUnknown):
        drive(
            driver.payout(Script(driver, answer(body)), order("payout", party="seller@example.com"))
        )


@pytest.mark.parametrize(
    ("case", "error", "reason"),
    [
        ("wrong_keys.200", AuthenticationFailed, None),
        ("no_funds.200", Rejected, Reason.INSUFFICIENT_FUNDS),
        ("callback_unreachable.200", OutcomeUnknown, None),
        ("maintenance.200", OutcomeUnknown, None),
        ("unproved_identity.200", OutcomeUnknown, None),
        ("not_found.200", OutcomeUnknown, None),
        ("unsupported_way.200", OutcomeUnknown, None),
    ],
)
def test_a_transfer_is_refused_for_certain_only_by_known_words(
    case: str, error: type[Exception], reason: Reason | None
) -> None:
    """An unknown code, or one with two meanings, leaves the outcome unknown."""
    driver = paydunya()
    with pytest.raises(error) as refused:
        drive(
            driver.payout(
                Script(driver, reply("paydunya", case)), order("payout", party="seller@example.com")
            )
        )
    assert getattr(refused.value, "reason", None) is reason
    if isinstance(refused.value, ProviderError):
        body = sample("paydunya", case)
        assert (refused.value.code, refused.value.message) == (
            body["response_code"],
            body["response_text"],
        )


def test_a_transfer_cannot_be_asked_about() -> None:
    """Transfers have no look-up: verify is Unsupported, and sends nothing."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(Unsupported, match="payout"):
        drive(
            driver.verify(
                send, Payment(account="paydunya", kind="payout", provider_reference="TEST000001")
            )
        )
    assert send.requests == []


# Payouts to a phone (Disburse v2).

CALLBACK = "https://www.exemple.com/callback"


def wage(**changes: Any) -> Order:
    """Return the payout of the page's sample."""
    given: dict[str, Any] = {
        "amount": Decimal(500),
        "party": "221771111111",
        "operator": "orange",
        "webhook_url": CALLBACK,
        **changes,
    }
    return order("payout", **given)


def disbursed(*replies: str, **changes: Any) -> tuple[Payment, Script]:
    """Pay out with these samples as the answers."""
    driver = paydunya()
    send = Script(driver, *(reply("paydunya", case) for case in replies))
    return drive(driver.payout(send, wage(**changes))), send


def test_a_payout_is_two_requests_and_only_the_second_moves_money() -> None:
    """The token goes back as it came, and is known before the money leaves."""
    paid, send = disbursed("disburse_invoiced.200", "disburse_submitted.200")
    first, second = send.requests
    body = json.loads(first.content() or b"")
    assert body == {**sample("paydunya", "disburse_invoice"), "disburse_id": "order-1042"}
    assert list(body)[:4] == list(sample("paydunya", "disburse_invoice"))
    assert json.loads(second.content() or b"") == {
        "disburse_invoice": "unknown-token ",
        "disburse_id": "order-1042",
    }
    assert [one.target() for one in send.requests] == [disburse.INVOICE, disburse.SUBMIT]
    assert [(one.money, one.repeatable) for one in send.requests] == [(False, False), (True, False)]
    assert second.known == {
        "provider_reference": "unknown-token",
        "disburse_token": "unknown-token ",
    }
    assert paid.ids == {
        "disburse_token": "unknown-token ",
        "transaction_id": "TX-TEST",
        "disburse_tx_id": "OP-TEST",
    }


@pytest.mark.parametrize("word", [None, "success", "failed", "created", "pending", "done"])
def test_no_answer_to_a_submit_is_an_end(word: str | None) -> None:
    """`00` proves nothing, with or without a status: the look-up tells the end."""
    driver = paydunya()
    said = {**sample("paydunya", "disburse_submitted.200"), "status": word}
    send = Script(driver, reply("paydunya", "disburse_invoiced.200"), answer(said))
    paid = drive(driver.payout(send, wage()))
    assert (paid.status, paid.provider_reference) == (Status.PENDING, "unknown-token")
    assert driver.asks(paid) == "verify"


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("wrong_keys.200", AuthenticationFailed),
        ("no_funds.200", Rejected),
        ("callback_unreachable.200", Rejected),
        ("unsupported_way.200", Rejected),
        ("maintenance.200", Rejected),
        ("not_found.200", Rejected),
    ],
)
def test_a_token_that_was_not_made_moves_nothing(case: str, error: type[Exception]) -> None:
    """Any code of the first request is a refusal: nothing was submitted."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", case))
    with pytest.raises(error):
        drive(driver.payout(send, wage()))
    assert len(send.requests) == 1


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("wrong_keys.200", OutcomeUnknown),
        ("no_funds.200", Rejected),
        ("callback_unreachable.200", OutcomeUnknown),
        ("unsupported_way.200", OutcomeUnknown),
        ("maintenance.200", OutcomeUnknown),
        ("not_found.200", OutcomeUnknown),
        ("page.200", OutcomeUnknown),
        ("page.502", OutcomeUnknown),
    ],
)
def test_a_submit_is_refused_for_certain_only_by_known_words(
    case: str, error: type[Exception]
) -> None:
    """4002 is a refusal with the words about funds alone; whatever is not listed is unknown."""
    with pytest.raises(error):
        disbursed("disburse_invoiced.200", case)


@pytest.mark.parametrize("words", ["You don't have enough funds", "Invalid Masterkey Specified"])
@pytest.mark.parametrize("code", ["5000", "9999"])
def test_words_without_their_code_refuse_no_money(code: str, words: str) -> None:
    """Of money, a refusal is certain by its code and its words together."""
    said = {"response_code": code, "response_text": words}
    request: Request[Answer] = post("/api/v1/direct-pay/credit-account", Answer, {})
    assert paydunya().judge(request, answer(said)) is None
    assert paydunya().judge(post(disburse.SUBMIT, Answer, {}), answer(said)) is None


def test_an_error_is_told_in_paydunyas_form_below_500() -> None:
    """From 500 on a body is no refusal; a text that is missing is empty."""
    assert errors.told(answer({"response_code": 5000}, 499)) == ("5000", "")
    assert errors.told(answer({"response_code": 5000}, 500)) is None


@given(st.text(max_size=6), st.text(max_size=30))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_an_unlisted_code_of_a_submit_is_unknown(code: str, words: str) -> None:
    """No code outside the table proves that no money moved."""
    driver = paydunya()
    said = {"response_code": f"9{code}", "response_text": words}
    send = Script(driver, reply("paydunya", "disburse_invoiced.200"), answer(said))
    with pytest.raises(OutcomeUnknown):
        drive(driver.payout(send, wage()))


@given(st.text(max_size=12).filter(lambda word: word.strip().lower() not in WORDS))
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_an_unlisted_word_of_a_disbursement_is_pending(word: str) -> None:
    """Only `success` and `failed` are ends."""
    body = {**sample("paydunya", "disburse_success.200"), "status": f"x{word}"}
    assert checked(body).status is Status.PENDING


def checked(body: Mapping[str, Any]) -> Payment:
    """Look up a disbursement with this answer."""
    held = Payment(account="paydunya", kind="payout", ids={"disburse_token": "unknown-token "})
    driver = paydunya()
    send = Script(driver, answer(body))
    found = drive(driver.verify(send, held))
    assert send.requests[0].target() == disburse.CHECK
    assert not send.requests[0].money
    assert json.loads(send.requests[0].content() or b"") == {"disburse_invoice": "unknown-token "}
    return found


def test_a_look_up_tells_the_end_and_the_amount() -> None:
    """The amount is compared with the order; without one, a success is pending."""
    body = sample("paydunya", "disburse_success.200")
    found = checked(body)
    assert (found.status, found.amount, found.kind) == (Status.SUCCEEDED, Decimal(203), "payout")
    assert checked({**body, "amount": None}).status is Status.PENDING
    failed = checked(sample("paydunya", "disburse_failed.200"))
    assert (failed.status, failed.message) == (Status.FAILED, "Compte introuvable")


def test_a_payout_that_was_looked_up_has_all_that_the_answer_says() -> None:
    """Each field of the answer has its place; what the answer leaves out is None."""
    fields = {"fees": "15", "response_text": "done"}
    found = checked({**sample("paydunya", "disburse_success.200"), **fields})
    told = Payment(
        account="paydunya",
        provider="paydunya",
        kind="payout",
        live=False,
        provider_reference="unknown-token",
        ids={
            "disburse_token": "unknown-token ",
            "transaction_id": "TX-TEST",
            "disburse_tx_id": "OP-TEST",
        },
        status=Status.SUCCEEDED,
        amount=Decimal(203),
        currency="XOF",
        fee=Decimal(15),
        provider_status="success",
        message="done",
    )
    assert found == told
    bare = checked({"response_code": "00", "status": "pending", "fees": "0", "response_text": ""})
    assert bare == Payment(
        account="paydunya",
        provider="paydunya",
        kind="payout",
        live=False,
        provider_reference="unknown-token",
        ids={"disburse_token": "unknown-token "},
        currency="XOF",
        provider_status="pending",
    )


@pytest.mark.parametrize("token", [None, "", " ", "a b", "a/b", ["x"], {"x": 1}, 5, "x" * 101])
def test_an_answer_without_a_token_makes_none(token: object) -> None:
    """What is no token is not submitted."""
    driver = paydunya()
    send = Script(driver, answer({"response_code": "00", "disburse_token": token}))
    with pytest.raises(OutcomeUnknown):
        drive(driver.payout(send, wage()))
    assert len(send.requests) == 1
    with pytest.raises(Unreadable, match="no token of a disbursement"):
        disburse.Disbursement(disburse_token=token).named()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"token": "another"}, "about another token"),
        ({"status": None}, "has no status"),
        ({"response_code": None}, "response_code is not 00"),
    ],
)
def test_an_answer_about_another_token_is_no_answer(changes: dict[str, Any], why: str) -> None:
    """A state is believed of the token that was asked about, and of no other."""
    body = {**sample("paydunya", "disburse_success.200"), **changes}
    with pytest.raises(OutcomeUnknown):
        checked(body)
    with pytest.raises(Unreadable, match=why):
        answer(body).answer(disburse.Disbursement).tells(token="unknown-token ")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (
            {"operator": None},
            r"operator: missing.*orange, free, expresso, wave, djamo; nothing in a number",
        ),
        ({"operator": "mtn"}, "operator: 'mtn' is refused.*orange, free, expresso, wave, djamo"),
        ({"party": "22370123456", "operator": "moov"}, "one of orange$"),
        ({"amount": Decimal(199)}, "amount: '199' is refused; accepted: 200 XOF or more"),
        ({"webhook_url": None}, "webhook_url: missing.*a pool with webhook_base makes one"),
    ],
)
def test_a_payout_that_nobody_can_route_is_refused_unsent(
    changes: dict[str, Any], word: str
) -> None:
    """Nothing is guessed: the network is named, with the choices of the number's country."""
    disbursed("disburse_invoiced.200", "disburse_submitted.200", amount=Decimal(200))
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match=word):
        drive(driver.payout(send, wage(**changes)))
    assert send.requests == []


@pytest.mark.parametrize(
    ("party", "operator", "mode", "alias"),
    [
        ("221771111111", "wave", "wave-senegal", "771111111"),
        ("2250707070707", "mtn", "mtn-ci", "0707070707"),
        ("2290197979797", "celtiis", "celtiis-cash", "0197979797"),
        ("22890112233", "tmoney", "t-money-togo", "90112233"),
        ("22370123456", "orange", "orange-money-mali", "70123456"),
        ("22670123456", "moov", "moov-burkina-faso", "70123456"),
    ],
)
def test_a_number_and_its_network_are_written_as_paydunya_does(
    party: str, operator: Any, mode: str, alias: str
) -> None:
    """The number is national, and the mode is that of the network in the number's country."""
    assert disburse.route(operator, party) == (mode, alias)


@pytest.mark.parametrize("way", ["flat form", "data=<JSON>", "JSON"])
def test_a_message_about_a_payout_is_a_hint(way: str) -> None:
    """It names the token, which `verify` asks about; a wrong hash is refused."""
    for told, refused in ((HASH, False), ("0" * 128, True), ("", True)):
        tree = {**sample("paydunya", "disburse_message"), "hash": told}
        body = {
            "flat form": urlencode(tree),
            "data=<JSON>": urlencode({"data": json.dumps(tree)}),
            "JSON": json.dumps(tree),
        }[way].encode()
        if refused:
            with pytest.raises(BadWebhook):
                paydunya().webhook(WebhookRequest(body=body))
            continue
        event = paydunya().webhook(WebhookRequest(body=body))
        claims = event.claims
        assert (event.trust, claims.kind, claims.status) == (
            Trust.NOTHING,
            "payout",
            Status.SUCCEEDED,
        )
        assert (claims.provider_reference, claims.amount) == ("unknown-token", Decimal(203))
        assert paydunya().asks(claims) == "verify"


def test_a_kept_transfer_is_not_asked_about_as_a_disbursement() -> None:
    """Payouts of a journal from before Disburse have no token: nothing is asked, as before."""
    kept = Payment(account="paydunya", kind="payout", provider_reference="TEST000001")
    assert paydunya().asks(kept) is None


# The popup (PSR) and the return URL.


@pytest.mark.proves("paydunya: PSR: the page's third API")
def test_the_popup_gets_what_it_asks_for() -> None:
    """A collected page gives the `{success, mode, token}` of PayDunya's script."""
    sandboxed, _ = opened(paydunya(), order())
    assert paydunya().popup(sandboxed) == {
        "success": True,
        "mode": "test",
        "token": "test_RHICF0HboN",
    }
    charged, _ = opened(live(), order())
    assert live().popup(charged) == {"success": True, "mode": "live", "token": LIVE_TOKEN}


@pytest.mark.proves("paydunya: PSR: the page's third API")
@pytest.mark.parametrize(
    "payment",
    [
        Payment(account="paydunya"),
        Payment(account="other", provider_reference="x"),
        Payment(account="paydunya", kind="payout", provider_reference="TEST000001"),
    ],
)
def test_a_popup_needs_a_page(payment: Payment) -> None:
    """A payment without a page of this account is UsageError."""
    with pytest.raises(UsageError, match="payment"):
        paydunya().popup(payment)


@pytest.mark.proves("paydunya: actions.return_url: where")
@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/back?token=test_RHICF0HboN",
        "https://shop.example/back?token=test_RHICF0HboN#top",
        "https://shop.example/back?order=7&token=test_RHICF0HboN",
        "https://shop.example/back?order=7?token=test_RHICF0HboN",
    ],
)
def test_the_return_page_tells_the_token(url: str) -> None:
    """`?token=` names the invoice, also after our own query; it claims no status."""
    event = paydunya().returned(url)
    assert (event.trust, event.claims.provider_reference) == (Trust.NOTHING, "test_RHICF0HboN")
    assert (event.claims.status, event.claims.amount) == (Status.PENDING, None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://x",
        "https://x?token=",
        "https://x?token=../../x",
        "https://x?token=a&token=b",
        "http://[",
    ],
)
def test_a_return_without_a_token_is_refused(url: str) -> None:
    """A URL that names no invoice, or two, is refused."""
    with pytest.raises((BadWebhook, Unreadable)):
        paydunya().returned(url)


# Messages (IPN).


def encodings(tree: Mapping[str, Any]) -> dict[str, bytes]:
    """Return one message in every form that PayDunya sends or is said to send."""
    fields = form(tree)
    plain = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    once = urlencode(fields)
    document = json.dumps(tree)
    sparing = document.replace("%", "%25").replace("&", "%26").replace("+", "%2B")
    return {
        "nested": plain.encode(),
        "percent-encoded keys": once.encode(),
        "nested, twice encoded": "&".join(
            f"{quote(k)}={quote(v)}" for k, v in _pairs(once)
        ).encode(),
        "data=<JSON>": f"data={sparing}".encode(),
        "data=<JSON>, encoded": urlencode({"data": document}).encode(),
        "data=<JSON>, twice encoded": f"data={quote(quote(document))}".encode(),
        "data=<JSON>, twice encoded as forms": f"data={quote_plus(quote_plus(document))}".encode(),
        "JSON": json.dumps({"data": tree}, ensure_ascii=False).encode(),
        "JSON without data": document.encode(),
    }


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]


@pytest.mark.proves("paydunya: the IPN: a POST of a form", "paydunya: the IPN has the shape")
@pytest.mark.parametrize("way", list(encodings({})))
def test_a_message_is_read_in_every_form(way: str) -> None:
    """A message has the same claims in every form, and proves nothing."""
    event = paydunya().webhook(WebhookRequest(body=encodings(ipn())[way]))
    claims = event.claims
    assert (event.account, event.provider, event.trust) == ("paydunya", "paydunya", Trust.NOTHING)
    assert (claims.provider_reference, claims.reference) == ("test_jkEdPY8SuG", "order-1042")
    assert (claims.status, claims.amount, claims.live) == (Status.SUCCEEDED, Decimal(42300), False)
    assert claims.metadata == {"categorie": "Jeu concours", "prix": "Bon de réduction de 50%"}
    assert claims.customer == Customer(
        name="Alioune Faye", phone="774563209", email="aliounefaye@gmail.com"
    )


@pytest.mark.proves("paydunya: paid, failed and cancelled")
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", Status.SUCCEEDED),
        ("cancelled", Status.CANCELLED),
        ("failed", Status.FAILED),
        ("pending", Status.PENDING),
    ],
)
def test_messages_tell_every_end(word: str, status: Status) -> None:
    """Paid, cancelled and failed invoices have the same format."""
    event = paydunya().webhook(incoming(ipn(status=word, fail_reason="Non")))
    assert event.claims.status is status
    assert event.claims.message == (None if status is Status.SUCCEEDED else "Non")


@pytest.mark.proves("paydunya: hash: the SHA-512")
def test_the_hash_is_that_of_the_master_key_in_either_case() -> None:
    """The integrators' test vector passes, in both cases of hex digits."""
    assert hashlib.sha512(MASTER.encode()).hexdigest() == HASH
    assert paydunya().webhook(incoming(ipn(hash=HASH.upper()))).claims.reference == "order-1042"


@pytest.mark.proves("paydunya: hash: the SHA-512")
@pytest.mark.parametrize(
    "forged",
    [
        "",
        None,
        "0" * 128,
        HASH[:-1],
        f" {HASH}",
        f"{HASH}0",
        hashlib.sha512(b"").hexdigest(),
        "é" * 128,
        sample("paydunya", "completed.200")["hash"],
    ],
)
@pytest.mark.parametrize("way", ["percent-encoded keys", "data=<JSON>, encoded", "JSON"])
def test_a_wrong_or_missing_hash_is_refused(way: str, forged: str | None) -> None:
    """A message without the right hash is forged; the error shows no hash."""
    with pytest.raises(BadWebhook) as refused:
        paydunya().webhook(WebhookRequest(body=encodings(ipn(hash=forged))[way]))
    assert HASH not in str(refused.value)


@pytest.mark.parametrize("forged", ["\ud800", 5, True, ["x"], {"x": HASH}, 10**400])
def test_a_hash_of_another_type_is_refused(forged: object) -> None:
    """A hash of any other type raises nothing foreign."""
    with pytest.raises((BadWebhook, Unreadable)):
        paydunya().webhook(WebhookRequest(body=json.dumps({"data": ipn(hash=forged)}).encode()))


def test_the_hash_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is `hmac.compare_digest` over bytes."""
    compared: list[tuple[object, object]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return hmac.compare_digest(left, right)

    monkeypatch.setattr("paymux.drivers.paydunya.compare_digest", compare)
    paydunya().webhook(incoming(ipn()))
    assert compared == [(HASH.encode(), HASH.encode())]


@pytest.mark.proves('paydunya: the hash "shows that')
def test_a_replayed_hash_proves_nothing() -> None:
    """The hash is the same in every message, so that the claim stays a claim."""
    changed = ipn(
        invoice={"token": "test_cheap", "total_amount": "1"}, custom_data={REFERENCE: "dear-order"}
    )
    event = paydunya().webhook(incoming(changed))
    assert event.trust is Trust.NOTHING
    assert (event.claims.provider_reference, event.claims.reference) == ("test_cheap", "dear-order")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"data=",
        b"data=[]",
        b"data=%7B",
        b"\xff\xfe",
        b"data%5Bhash%5D=%FF",
        b"data[invoice]=x&data[invoice][token]=y",
        b"data[invoice][token]=y&data[invoice]=x",
        b"data[hash]=a&data[hash]=b",
        b"data" + b"[a]" * 5000 + b"=x",
        b"data[]=x&data[[]]=y",
        b"{" + b'"a":{' * 50000,
        b'{"data":"' + b"[" * 5000 + b'"}',
        b'{"data":{"hash":"\\ud800"}}',
        b'{"data":"\\ud800"}',
        b'{"data":1,"data":2}',
        b"data=" + b"x" * 300_000,
        b"&".join(b"data[a%d]=x" % number for number in range(300)),
    ],
)
def test_a_hostile_message_is_only_unreadable(body: bytes) -> None:
    """Hostile messages raise only errors that the pool turns into BadWebhook."""
    with pytest.raises((BadWebhook, Unreadable, UnicodeDecodeError)):
        paydunya().webhook(WebhookRequest(body=body))


@pytest.mark.parametrize(
    "query", ["", "data[hash]=\udcff", 'data={"hash":"\udcff"}', "data[hash]=%FF"]
)
def test_a_hostile_query_is_only_unreadable(query: str) -> None:
    """A GET is read like a form, with any query."""
    with pytest.raises((BadWebhook, Unreadable)):
        paydunya().webhook(WebhookRequest(method="GET", query=query))


@pytest.mark.parametrize(
    "more",
    [
        "data[custom_data]=x&data[custom_data][a]=y",
        "data[custom_data][a]=y&data[custom_data]=x",
        "data[custom_data][a]=y&data[custom_data][a][b]=x",
        "data[custom_data][a]=y&data[custom_data][a][b][c]=x",
        "data[custom_data]" + "[a]" * 9 + "=x",
    ],
)
def test_a_form_that_contradicts_itself_is_unreadable(more: str) -> None:
    """Even with the hash, a name cannot be both a text and a tree, nor a tree be deep."""
    rightly_hashed = f"data[hash]={HASH}&data[invoice][token]=test_x"
    assert (
        paydunya().webhook(WebhookRequest(body=rightly_hashed.encode())).claims.provider_reference
        == "test_x"
    )
    with pytest.raises(Unreadable):
        paydunya().webhook(WebhookRequest(body=f"{rightly_hashed}&{more}".encode()))


@pytest.mark.proves("paydunya: the IPN has the shape")
@pytest.mark.parametrize("token", ["", None, "../x", "é", "\ud800", "x" * 101, ["a"], {"a": "b"}])
def test_a_message_without_a_token_names_nothing(token: object) -> None:
    """A message without a token, or with one that would change a path, is refused."""
    body = json.dumps({"data": ipn(invoice={"token": token})}).encode()
    with pytest.raises(Unreadable):
        paydunya().webhook(WebhookRequest(body=body))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.sampled_from(sorted(ipn())), _VALUES, max_size=6))
def test_no_value_in_a_rightly_hashed_message_crashes(changes: dict[str, Any]) -> None:
    """With the hash, any types in any fields give an event or Unreadable."""
    body = json.dumps({"data": {**ipn(), **changes, "hash": HASH}}).encode()
    try:
        event: Event | None = paydunya().webhook(WebhookRequest(body=body))
    except (BadWebhook, Unreadable, UnicodeDecodeError):
        event = None
    assert event is None or event.trust is Trust.NOTHING


# What the driver is.


def test_what_is_supported_is_what_is_written() -> None:
    """PayDunya collects, pays out, verifies, and sends messages and browsers: nothing else."""
    verbs: tuple[Verb, ...] = ("collect", "payout", "verify", "webhook", "returned")
    others: tuple[Verb, ...] = ("find", "refund", "balance", "history", "receipt", "methods")
    assert all(PayDunya.can(verb) for verb in verbs)
    assert not any(PayDunya.can(verb) for verb in others)


def test_neither_money_verb_is_deduplicated_or_findable() -> None:
    """PayDunya stores no reference of ours: no deduplication, and no look-up by it."""
    for kind in ("collect", "payout"):
        facts = PayDunya.facts[kind]
        assert (facts.deduplicates, facts.findable, facts.not_found_final_after) == (
            False,
            False,
            None,
        )


def test_a_found_payment_survives_json() -> None:
    """A looked-up payment is equal after encoding to JSON and decoding."""
    payment = confirmed(live(), "completed_live.200", LIVE_TOKEN)
    assert msgspec.json.decode(msgspec.json.encode(payment), type=Payment) == payment
