"""Intram's driver, tested with the bodies that its pages and clients publish."""

import json
import logging
import traceback
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux.drivers.base import Verb
from paymux.drivers.intram import REFERENCE_KEY, Intram
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
from paymux.models import Customer, Item, Order, Payment, Reason, Status, Tax, Trust, merge
from paymux.testing.contract import Case, Shape
from paymux.transport.outcome import Means, decide
from paymux.values.parsing import Unreadable
from tests.case import LEAVE
from tests.driving import Script, drive, reply, sample

ID = "5f2d7a96b97d9d3fea912c11"
KEYS: dict[str, Any] = {
    "public_key": "public-canary",
    "private_key": "private-canary",
    "secret": "secret-canary",
}
URLS = {
    "cancel_url": "https://monmagasin.com/cancel",
    "return_url": "https://monmagasin.com/return",
    "webhook_url": "https://monmagasin.com/callback",
}

# Its case of the contract tests.
CASE = Case(
    order={"currency": "XOF", **LEAVE},
    opens="POST /api/v1/payments/request/",
    looks="GET /api/v1/transactions/confirm/",
    wire=b'"amount":1000',
    told={Status.EXPIRED: Status.FAILED},
    repeats=True,
    mode=(b'"_env": "live"', b'"_env": "sandbox"'),
    shape={"confirm_shape": "nested", "env": "live"},
    words=Shape(
        fields=dict.fromkeys(("public_key", "private_key", "secret"), "simulator"),
        asked={"provider_reference": "5f60d7a0573bc71854bf095e"},
        amounts=("amount", "total_amount", "transaction._amount"),
        answers=("confirm_nested.200", "confirm_flat.200", "confirm_node.200"),
        messages=("callback_nested", "callback_flat"),
        places={"status": "status", "transaction._status": "transaction._status", "error": "error"},
        told={"status": "status", "transaction._status": "transaction._status", "error": "error"},
        said={
            "confirm_flat.200": Status.PENDING,
            "confirm_nested.200": Status.PENDING,
            "confirm_node.200": Status.SUCCEEDED,
            "confirm_node_pending.200": Status.PENDING,
            "callback_flat": Status.PENDING,
            "callback_nested": Status.PENDING,
        },
    ),
)


def intram(**fields: Any) -> Intram:
    """Return an account with the name of a store."""
    return Intram(**{**KEYS, "store": "Test Store", **fields})


def order(**fields: Any) -> Order:
    """Return an order of 1000 XOF with its three URLs."""
    return Order(
        **{
            "account": "intram",
            "kind": "collect",
            "reference": "order-1042",
            "amount": Decimal(1000),
            "currency": "XOF",
            **URLS,
            **fields,
        }
    )


def answer(body: Any, status: int = 200) -> Response:
    """Return a reply with this JSON body."""
    return Response(status=status, body=json.dumps(body).encode())


def sent(driver: Intram, wanted: Order) -> Any:
    """Return the body of the request for this order."""
    send = Script(driver, reply("intram", "page.200"))
    drive(driver.collect(send, wanted))
    (request,) = send.requests
    return json.loads(request.content() or b"")


def verified(driver: Intram, *replies: Response, asked: str = ID) -> Payment:
    """Return what a look-up finds."""
    return drive(
        driver.verify(Script(driver, *replies), Payment(account="intram", provider_reference=asked))
    )


def hook(body: Any, **fields: Any) -> WebhookRequest:
    """Return a callback with this body: JSON, or a text as it is."""
    return WebhookRequest(
        body=body.encode() if isinstance(body, str) else json.dumps(body).encode(), **fields
    )


@pytest.mark.proves(
    "intram: base URL https://webservices.intram.org:4002/api/v1/",
    "intram: use the sandbox for tests",
)
@pytest.mark.parametrize("live", [True, False])
def test_one_address_on_port_4002_serves_both_modes(live: bool) -> None:
    """Live and sandbox have the documented URL with its port: the keys select the mode."""
    assert intram(live=live).url == "https://webservices.intram.org:4002/api/v1"


@pytest.mark.proves(
    "intram: headers X-API-KEY, X-PRIVATE-KEY",
    "intram: header X-MARCHAND-KEY",
    "intram: POST /payments/request",
    "intram: GET /transactions/confirm/{transaction_id}",
)
@pytest.mark.parametrize(("merchant_key", "fourth"), [("m-1", {"X-MARCHAND-KEY": "m-1"}), ("", {})])
def test_the_keys_travel_in_headers(merchant_key: str, fourth: dict[str, str]) -> None:
    """Every request has the three keys, and the merchant id only if one is set (2026)."""
    driver = intram(merchant_key=merchant_key)
    send = Script(driver, reply("intram", "page.200"), reply("intram", "confirm_flat.200"))
    drive(driver.collect(send, order()))
    drive(driver.verify(send, Payment(account="intram", provider_reference=ID)))
    three = {
        "X-API-KEY": "public-canary",
        "X-PRIVATE-KEY": "private-canary",
        "X-SECRET-KEY": "secret-canary",
    }
    assert [dict(request.headers) for request in send.requests] == [{**three, **fourth}] * 2
    assert [(request.method, request.target()) for request in send.requests] == [
        ("POST", "/payments/request"),
        ("GET", f"/transactions/confirm/{ID}"),
    ]


@pytest.mark.proves(
    "intram: invoice.currency XOF, invoice.amount",
    "intram: invoice.items, invoice.taxes",
    "intram: invoice.custom_datas",
    "intram: store postal_adress, logo_url",
    "intram: actions cancel_url, return_url",
)
def test_the_full_body_is_the_page_s() -> None:
    """A full order gives the documented request, with our reference in custom_datas."""
    page = sample("intram", "request_full_2026")
    items = [
        Item(name="T-shirt", quantity=2, unit_price=Decimal(500)),
        Item(name="trouser", unit_price=Decimal(12500), total_price=Decimal(12500)),
    ]
    taxes = [
        Tax(name="VAT (18%)", amount=Decimal(1000)),
        Tax(name=" other VAT", amount=Decimal(500)),
    ]
    body = sent(
        intram(store=page["store"]),
        order(
            description="Paiement test",
            items=tuple(items),
            taxes=tuple(taxes),
            metadata={"cart": 7},
        ),
    )
    page["invoice"]["items"] = sample("intram", "items_php")
    page["invoice"]["taxes"] = sample("intram", "taxes_php")
    page["invoice"]["custom_datas"] = {"paymux_reference": "order-1042", "cart": 7}
    assert json.dumps(body) == json.dumps(page)


@pytest.mark.proves("intram: the minimal request: currency")
def test_the_minimal_body_is_the_page_s() -> None:
    """A minimal order gives the documented minimal request, and our reference."""
    page = sample("intram", "request_minimal_2026")
    urls = {"cancel_url": "cancel", "return_url": "return", "webhook_url": "callback"}
    body = sent(
        intram(), order(**{field: f"http://example.com/{path}" for field, path in urls.items()})
    )
    page["invoice"]["custom_datas"] = {REFERENCE_KEY: "order-1042"}
    assert json.dumps(body) == json.dumps(page)


@pytest.mark.proves("intram: invoice.keys public, private")
def test_keys_go_into_the_body_only_when_asked() -> None:
    """The keys of `invoice.keys` (2025) are in the body with `keys_in_body=True` only."""
    keys = {"public": "public-canary", "private": "private-canary", "secret": "secret-canary"}
    assert list(sample("intram", "request_full_2025")["invoice"]["keys"]) == list(keys)
    assert sent(intram(keys_in_body=True), order())["invoice"]["keys"] == keys
    assert "canary" not in json.dumps(sent(intram(), order()))


@pytest.mark.proves("intram: invoice.currency XOF, invoice.amount")
def test_the_amount_is_an_integer_that_items_and_taxes_never_change() -> None:
    """The amount is a JSON integer in francs, whatever the sum of the items is."""
    lines = (Item(name="free", unit_price=Decimal(0), description="a gift"),)
    invoice = sent(intram(), order(items=lines, taxes=(Tax(name="TVA", amount=Decimal(180)),)))[
        "invoice"
    ]
    assert (invoice["amount"], type(invoice["amount"])) == (1000, int)
    assert invoice["items"] == [
        {"name": "free", "qte": "1", "price": "0", "totalamount": "0", "description": "a gift"}
    ]


@pytest.mark.proves("intram: invoice.items, invoice.taxes")
@pytest.mark.parametrize(
    "amount", [Decimal("0.5"), Decimal("NaN"), Decimal(-5), Decimal("1E+1000000"), 1.5]
)
def test_lines_that_are_not_whole_francs_are_refused(amount: Any) -> None:
    """A fraction, a float or nonsense in an item is refused before a request, and never rounded."""
    driver = intram()
    for wanted in (
        order(items=(Item(name="x", unit_price=amount),)),
        order(items=(Item(name="x", unit_price=Decimal(1), total_price=amount),)),
        order(taxes=(Tax(name="x", amount=amount),)),
    ):
        send = Script(driver)
        with pytest.raises(UsageError, match=r"^(items|taxes): "):
            drive(driver.collect(send, wanted))
        assert send.requests == []


@pytest.mark.proves("intram: store name", "intram: store phone, whatever")
def test_store_fields_are_the_account_s_and_one_order_s() -> None:
    """The account's store is sent; `extra` replaces single fields of it for one order."""
    account = {"name": "Épicerie Zoé", "phone": "call me", "color": "#a845f4"}
    one = {
        "phone": "97",
        "logo_url": "l",
        "web_site_url": "w",
        "postal_adress": "BP 35",
        "template": "default",
    }
    assert sent(intram(store=account), order())["store"] == account
    assert sent(intram(store=account), order(extra={"store": one}))["store"] == {
        "name": "Épicerie Zoé",
        "postal_adress": "BP 35",
        "logo_url": "l",
        "web_site_url": "w",
        "phone": "97",
        "template": "default",
        "color": "#a845f4",
    }


@pytest.mark.proves("intram: store postal_adress, logo_url")
@pytest.mark.parametrize(
    ("store", "named"),
    [
        ({"nom": "x"}, "nom"),
        ({"name": 5}, "store.name"),
        ({"name": ""}, "store.name"),
        ({"name": "a\nb"}, "store.name"),
        ({"color": "x" * 2001}, "store.color"),
        (["x"], "store"),
        (None, "store"),
    ],
)
def test_a_wrong_store_names_the_field(store: Any, named: str) -> None:
    """A wrong field of the store is refused in the account, and in an order before a request."""
    with pytest.raises(UsageError, match=named):
        intram(store=store)
    driver, send = intram(), Script(intram())
    with pytest.raises(UsageError, match=named):
        drive(driver.collect(send, order(extra={"store": store})))
    assert send.requests == []


@pytest.mark.proves("intram: store name")
def test_a_store_needs_a_name() -> None:
    """Without a store name in the account or the order, nothing is sent."""
    driver = Intram(**KEYS)
    send = Script(driver, reply("intram", "page.200"))
    with pytest.raises(UsageError, match="store"):
        drive(driver.collect(send, order()))
    assert send.requests == []
    assert drive(driver.collect(send, order(extra={"store": {"name": "x"}}))).checkout_url


@pytest.mark.proves("intram: actions cancel_url, return_url")
@pytest.mark.parametrize("field", list(URLS))
def test_a_missing_address_is_refused(field: str) -> None:
    """Each of the three URLs is required, and the error names it."""
    driver, send = intram(), Script(intram())
    with pytest.raises(UsageError, match=field):
        drive(driver.collect(send, order(**{field: None})))
    assert send.requests == []


def test_the_reference_s_key_is_ours() -> None:
    """Metadata cannot replace our reference."""
    driver, send = intram(), Script(intram())
    with pytest.raises(UsageError, match=REFERENCE_KEY):
        drive(driver.collect(send, order(metadata={REFERENCE_KEY: "another"})))
    assert send.requests == []


@pytest.mark.proves("intram: POST /payments/request")
@pytest.mark.parametrize("case", ["page.200", "page_2020.200", "page_django.200"])
def test_an_opened_page_is_pending_with_its_address(case: str) -> None:
    """Every published answer gives the page's URL and Intram's id; nothing is paid yet."""
    driver = intram()
    body = sample("intram", case)
    payment = drive(driver.collect(Script(driver, reply("intram", case)), order()))
    assert payment.status is Status.PENDING
    assert payment.checkout_url == body.get("receipt_url", body.get("payment_url"))
    assert (payment.provider_reference, payment.reference) == (ID, "order-1042")
    assert (payment.receipt_url, payment.provider_status, payment.live) == (None, "PENDING", False)
    merged = merge(driver.pending(order(metadata={"cart": 7})), payment)
    assert (merged.amount, merged.currency, merged.metadata) == (Decimal(1000), "XOF", {"cart": 7})


def test_an_accepted_order_is_never_paid() -> None:
    """Even an answer with the status SUCCESS to a new order leaves the payment pending."""
    driver = intram()
    body = {**sample("intram", "page.200"), "status": "SUCCESS"}
    payment = drive(driver.collect(Script(driver, answer(body)), order()))
    assert (payment.status, payment.receipt_url) == (Status.PENDING, None)


@pytest.mark.parametrize(
    "change",
    [
        {"total_amount": 10000},
        {"total_amount": "1 000"},
        {"currency": "USD"},
        {"transaction_id": None},
        {"transaction_id": "../confirm"},
        {"receipt_url": None},
        {"receipt_url": "null"},
        {"status": "ERROR"},
        {"status": "CANCELED"},
    ],
)
def test_an_answer_that_is_not_to_our_order_is_unknown(change: dict[str, Any]) -> None:
    """Another amount or currency, no id, no URL, or a failure's status is no opened page."""
    driver = intram()
    with pytest.raises(OutcomeUnknown):
        drive(
            driver.collect(
                Script(driver, answer({**sample("intram", "page.200"), **change})), order()
            )
        )


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>gateway</html>", b'{"status":"PEND', b"[" * 5000]
)
def test_a_page_s_answer_that_cannot_be_read_is_unknown(body: bytes) -> None:
    """HTML, an empty body, cut or foreign JSON with HTTP 200 is neither a page nor a refusal."""
    driver = intram()
    with pytest.raises(OutcomeUnknown):
        drive(driver.collect(Script(driver, Response(status=200, body=body)), order()))


def test_opening_a_page_may_be_repeated() -> None:
    """A lost page charges no payer: the request is repeatable, and a new reference is safe."""
    driver = intram()
    send = Script(driver, reply("intram", "page.200"))
    drive(driver.collect(send, order()))
    assert (send.requests[0].money, send.requests[0].repeatable) == (True, True)
    assert "new reference is safe" in driver.lost_page
    assert not driver.facts["collect"].deduplicates
    assert not driver.facts["collect"].findable
    assert driver.facts["collect"].not_found_final_after is None


@pytest.mark.proves("intram: GET /transactions/confirm/{transaction_id}")
def test_the_flat_confirmation() -> None:
    """The flat format: amount without fees, operator and fee; a masked number is no payer."""
    payment = verified(intram(), reply("intram", "confirm_flat.200"))
    assert payment == Payment(
        account="intram",
        provider="intram",
        live=False,
        provider_reference=ID,
        status=Status.PENDING,
        provider_status="PENDING",
        amount=Decimal(1000),
        currency="XOF",
        operator="MOOV",
        fee=Decimal(50),
    )
    held = Payment(account="intram", provider_reference=ID, amount=Decimal(1000), currency="XOF")
    assert merge(held, payment).fee == Decimal(50)


@pytest.mark.proves("intram: GET /transactions/confirm/{transaction_id}")
def test_the_nested_confirmation() -> None:
    """The nested format: the inner id, public reference, amount, currency and time."""
    payment = verified(
        intram(), reply("intram", "confirm_nested.200"), asked="5f60d7a0573bc71854bf095e"
    )
    assert (payment.status, payment.amount, payment.currency) == (
        Status.PENDING,
        Decimal(1000),
        "XOF",
    )
    assert payment.provider_reference == "5f60d7a0573bc71854bf095e"
    assert payment.ids == {"_reference": "SaCsEhzMFc"}
    assert payment.message == "statut de la transaction"
    assert payment.created_at is not None
    assert payment.created_at.isoformat() == "2020-09-15T14:56:10.316000+00:00"


@pytest.mark.proves("intram: GET /transactions/confirm/{transaction_id}")
def test_the_node_client_s_confirmation() -> None:
    """The third format: total, customer, receipt and custom data of a success."""
    payment = verified(intram(), reply("intram", "confirm_node.200"))
    assert (payment.status, payment.amount, payment.receipt_url) == (
        Status.SUCCEEDED,
        Decimal(5000),
        "https://r/1",
    )
    assert payment.customer == Customer(name="Ada", phone="229", email="a@b.co")
    assert payment.metadata == {"orderId": "A-1"}
    waiting = {**sample("intram", "confirm_node_pending.200"), "receipt_url": "https://r/1"}
    pending = verified(intram(), answer(waiting))
    assert (pending.status, pending.amount, pending.receipt_url) == (Status.PENDING, None, None)


def test_a_success_of_zero_is_a_mismatch() -> None:
    """An amount of 0 is accepted while pending, and never in a success."""
    body = {**sample("intram", "confirm_node.200"), "total_amount": 0}
    held = Payment(account="intram", provider_reference=ID, amount=Decimal(5000))
    with pytest.raises(Mismatch, match="amount"):
        merge(held, verified(intram(), answer(body)))


@pytest.mark.parametrize(
    ("number", "payer"),
    [("22996000000", "22996000000"), ("2290196000000", "2290196000000"), ("96", None)],
)
def test_a_whole_number_is_the_payer(number: str, payer: str | None) -> None:
    """The account number is the payer if it is a complete number of Benin."""
    body = {**sample("intram", "confirm_flat.200"), "account_number": number}
    assert verified(intram(), answer(body)).payer == payer


@pytest.mark.parametrize("absent", [None, "", [], False])
def test_bent_objects_do_not_hide_a_success(absent: Any) -> None:
    """A wrong type instead of a documented object leaves the other fields readable."""
    names = ("customer", "custom_data", "custom_datas", "transaction")
    body = {
        **sample("intram", "confirm_flat.200"),
        "status": "SUCCESS",
        **dict.fromkeys(names, absent),
    }
    payment = verified(intram(), answer(body))
    assert (payment.status, payment.amount, payment.customer) == (
        Status.SUCCEEDED,
        Decimal(1000),
        None,
    )


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("PENDING", Status.PENDING, None),
        ("SUCCESS", Status.SUCCEEDED, None),
        ("SUCCESSFUL", Status.SUCCEEDED, None),
        ("success", Status.SUCCEEDED, None),
        ("COMPLETED", Status.SUCCEEDED, None),
        ("CANCELED", Status.CANCELLED, Reason.CANCELLED),
        ("Cancelled", Status.CANCELLED, Reason.CANCELLED),
        ("FAIL", Status.FAILED, Reason.OTHER),
        ("FAILED", Status.FAILED, Reason.OTHER),
        ("ERROR", Status.FAILED, Reason.OTHER),
        ("REFUNDED", Status.REFUNDED, None),
        ("PENDING_OTP", Status.PENDING, None),
        ("ERROR: KEY MISSING", Status.PENDING, None),
    ],
)
def test_status_words(word: str, status: Status, reason: Reason | None) -> None:
    """Every published status, in any case, is read in both formats; others stay pending."""
    flat = {**sample("intram", "confirm_flat.200"), "status": word}
    nested = {"transaction": {"_id": ID, "_status": word, "_amount": 1000}}
    for body in (flat, nested):
        payment = verified(intram(), answer(body))
        assert (payment.status, payment.reason, payment.provider_status) == (status, reason, word)


def test_an_unknown_word_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown status is one warning, however often it is polled."""
    body = {**sample("intram", "confirm_flat.200"), "status": "EN_ATTENTE_OTP"}
    with caplog.at_level(logging.WARNING, logger="paymux"):
        for _ in range(3):
            verified(intram(), answer(body))
    assert [record.getMessage() for record in caplog.records].count(
        caplog.records[0].getMessage()
    ) == 1
    assert "EN_ATTENTE_OTP" in caplog.text


def test_two_words_that_disagree_prove_nothing() -> None:
    """An outer SUCCESS with another inner status is no success: both are kept."""
    body = sample("intram", "confirm_nested.200")
    body["status"] = "SUCCESS"
    payment = verified(intram(), answer(body), asked="5f60d7a0573bc71854bf095e")
    assert (payment.status, payment.provider_status) == (Status.PENDING, "SUCCESS/PENDING")
    body["transaction"]["_status"] = "FAIL"
    assert (
        verified(intram(), answer(body), asked="5f60d7a0573bc71854bf095e").status is Status.PENDING
    )
    body["transaction"]["_status"] = "SUCCESS"
    assert (
        verified(intram(), answer(body), asked="5f60d7a0573bc71854bf095e").status
        is Status.SUCCEEDED
    )


@pytest.mark.parametrize(
    "body",
    [
        {"status": "ERROR", "message": "Internal error"},
        {"status": "SUCCESS"},
        {"amount": 1000},
        {"status": "SUCCESS", "amount": "1e3"},
        {"transaction": {"_id": "..", "_status": "SUCCESS", "_amount": 1000}},
        {},
    ],
)
def test_an_answer_without_word_or_amount_is_no_answer(body: dict[str, Any]) -> None:
    """An error's body or an empty object is neither a failure nor a success: the look-up failed."""
    driver = intram()
    with pytest.raises(OutcomeUnknown):
        verified(driver, answer(body))


PLACES = [
    {"status": "PENDING", "amount": 1000, "custom_datas": {REFERENCE_KEY: "order-1042", "cart": 7}},
    {"status": "PENDING", "amount": 1000, "custom_data": {REFERENCE_KEY: "order-1042", "cart": 7}},
    {
        "transaction": {
            "_id": ID,
            "_status": "PENDING",
            "invoice": {"amount": 1000, "custom_datas": {REFERENCE_KEY: "order-1042", "cart": 7}},
        }
    },
    {
        "transaction": {
            "_id": ID,
            "_status": "PENDING",
            "invoice": {"amount": 1000, "custom_data": {REFERENCE_KEY: "order-1042", "cart": 7}},
        }
    },
]


@pytest.mark.proves("intram: invoice.custom_datas")
@pytest.mark.parametrize("body", PLACES)
def test_our_reference_is_read_back(body: dict[str, Any]) -> None:
    """The reference is read from the custom data in any place; another one is a Mismatch."""
    payment = verified(intram(), answer(body))
    assert (payment.reference, payment.metadata) == ("order-1042", {"cart": 7})
    with pytest.raises(Mismatch, match="reference"):
        merge(Payment(account="intram", reference="order-1043", provider_reference=ID), payment)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 100}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"transaction_id": "f" * 24}, "provider_reference"),
    ],
)
def test_another_payment_s_answer_is_a_mismatch(change: dict[str, Any], field: str) -> None:
    """An answer about another amount, currency or id does not confirm ours."""
    body = {**sample("intram", "confirm_flat.200"), "status": "SUCCESS", **change}
    held = Payment(account="intram", provider_reference=ID, amount=Decimal(1000), currency="XOF")
    with pytest.raises(Mismatch, match=field):
        merge(held, verified(intram(), answer(body)))


@pytest.mark.proves("intram: transactions of the sandbox")
def test_a_sandbox_success_on_a_live_account_is_a_mismatch() -> None:
    """A sandbox transaction (`_env`) never confirms a live payment."""
    body = sample("intram", "callback_nested")
    body["status"] = body["transaction"]["_status"] = "SUCCESS"
    asked = body["transaction"]["invoice"]["transaction"]
    found = verified(intram(live=True), answer(body), asked=asked)
    with pytest.raises(Mismatch, match="live"):
        merge(Payment(account="intram", live=True, provider_reference=asked), found)
    assert (
        merge(Payment(account="intram", provider_reference=asked), found).status is Status.SUCCEEDED
    )


def test_a_look_up_by_the_public_reference() -> None:
    """The widget's short reference can be looked up, and stays the payment's id."""
    payment = verified(intram(), reply("intram", "confirm_nested.200"), asked="SaCsEhzMFc")
    assert (payment.provider_reference, payment.ids) == ("SaCsEhzMFc", {"_reference": "SaCsEhzMFc"})


@pytest.mark.parametrize("asked", [None, "", "..", "a/b", "a b", "é", "x" * 129])
def test_an_id_that_cannot_be_intram_s_is_refused(asked: str | None) -> None:
    """A missing or odd id is UsageError naming the field, and nothing is sent."""
    driver = intram()
    send = Script(driver)
    with pytest.raises(UsageError, match="provider_reference"):
        drive(driver.verify(send, Payment(account="intram", provider_reference=asked)))
    assert send.requests == []


@pytest.mark.proves(
    "intram: HTTP 200: success",
    "intram: HTTP 400: an error",
    "intram: HTTP 401: an error of authentication",
    "intram: HTTP 500: an error",
    "intram: an error comes with a message",
)
@pytest.mark.parametrize(
    ("case", "collect", "look_up"),
    [
        ("invalid_keys.200", AuthenticationFailed, AuthenticationFailed),
        ("invalid_keys.400", AuthenticationFailed, AuthenticationFailed),
        ("invalid_keys.401", AuthenticationFailed, AuthenticationFailed),
        ("invalid_keys.500", None, None),
        ("refused.200", Rejected, ProviderError),
        ("refused.400", Rejected, Rejected),
    ],
)
def test_errors(
    case: str, collect: type[ProviderError] | None, look_up: type[ProviderError] | None
) -> None:
    """`error: true` is a refusal with HTTP 200, 400 and 401; HTTP 500 proves nothing."""
    driver = intram()
    for request, kind in (
        (post("/payments/request", dict, {}), collect),
        (get("/x", dict), look_up),
    ):
        error = driver.judge(request, reply("intram", case))
        assert type(error) is (kind or type(None))
        if error is not None:
            assert error.message == sample("intram", case)["message"]
            assert error.code == sample("intram", case).get("status")


@pytest.mark.proves("intram: an error comes with a message")
@pytest.mark.parametrize("flag", [True, "true", 1])
def test_the_error_flag_in_its_forms(flag: Any) -> None:
    """A flag as text or number counts, too; a refused look-up is never a failed payment."""
    body = {"error": flag, "status": "ERROR", "message": "nope", "amount": 1000}
    with pytest.raises(ProviderError) as caught:
        verified(intram(), answer(body))
    assert type(caught.value) is ProviderError


@pytest.mark.proves("intram: HTTP 200: success")
@pytest.mark.parametrize("flag", [False, "false", 0, None, ""])
def test_no_error_flag_is_no_error(flag: Any) -> None:
    """`error: false` with a status is an answer."""
    body = {**sample("intram", "confirm_flat.200"), "error": flag, "status": "SUCCESS"}
    assert verified(intram(), answer(body)).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b"", b'{"message": "no"}', b'{"error": false}']
)
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429, 500, 502])
def test_a_bare_status_proves_nothing_about_money(status: int, body: bytes) -> None:
    """Only the documented error body refuses a collect; a look-up believes some statuses."""
    driver = intram()
    given = Response(status=status, body=body)
    assert decide(driver, post("/payments/request", dict, {}), given).means is Means.UNKNOWN
    kinds = {400: Rejected, 404: NotFound, 429: RateLimited}
    assert type(driver.judge(get("/x", dict), given)) is kinds.get(status, type(None))


@pytest.mark.proves("intram: always validate callbacks")
def test_a_nested_callback_is_a_hint() -> None:
    """The JSON callback of 2022: id, amount and custom data are unproved claims."""
    event = intram().webhook(hook(sample("intram", "callback_nested")))
    assert (event.account, event.provider, event.trust) == ("intram", "intram", Trust.NOTHING)
    assert event.claims.provider_reference == "5f6a223d768b1875356440cc"
    assert (event.claims.amount, event.claims.currency) == (Decimal(42300), "XOF")
    assert event.claims.metadata == {"categorie": "Jeu concours", "periode": "Noël 2015"}


def test_a_flat_callback_is_a_hint_without_an_id() -> None:
    """The later JSON callback has no transaction id: only its callback path names the order."""
    event = intram().webhook(hook(sample("intram", "callback_flat")))
    assert (event.trust, event.claims.provider_reference) == (Trust.NOTHING, None)
    assert (event.claims.amount, event.claims.provider_status) == (Decimal(1000), "PENDING")


@pytest.mark.parametrize(
    "body",
    [
        {"transaction_id": ID, "transaction": {"_id": "other"}, "token": "other"},
        {"transaction": {"_id": ID, "invoice": {"transaction": "other"}}, "token": "other"},
        {"transaction": {"invoice": {"transaction": ID}}, "reference": "other"},
        {"transaction": ID, "token": "other"},
        {"token": ID, "reference": "other"},
        {"reference": ID},
        f"transaction_id={ID}&status=SUCCESS",
        f"transaction%5B_id%5D={ID}&status=SUCCESS",
        f"transaction={ID}&currency=xof",
        f"token={ID}",
        f"reference={ID}",
    ],
)
def test_where_a_callback_names_its_transaction(body: Any) -> None:
    """JSON and form are read alike; the id is found under each name, the most certain first."""
    event = intram().webhook(hook(body))
    assert (event.trust, event.claims.provider_reference) == (Trust.NOTHING, ID)


def test_the_form_callback() -> None:
    """The Django page's form: an id, and a status that is only a claim."""
    event = intram().webhook(hook(sample("intram", "callback_form")))
    assert (event.claims.provider_reference, event.claims.provider_status) == (ID, "SUCCESS")
    assert event.trust is Trust.NOTHING


DEEP = b'{"transaction":' * 50_000
HOSTILE = [
    b"",
    b"{",
    b"{}",
    b"[1, 2]",
    b"null",
    b"hello",
    b"\xff\xfe\x00",
    b'{"status": "SUCC\xff"}',
    DEEP,
    DEEP + b"1" + b"}" * 50_000,
    b'{"transaction_id": "a", "transaction_id": "b"}',
    b"transaction_id=a&transaction_id=b",
    b"&".join(b"f%d=1" % at for at in range(300)),
    b'{"transaction_id": {"$ne": 1}}',
    b'{"transaction_id": "../balance"}',
    b'{"transaction_id": "\\ud800"}',
    '{"token": "é"}'.encode(),
    b'{"transaction_id": "a", "amount": 1E+1000000}',
    b'{"transaction_id": "a", "amount": "1E+1000000"}',
    b'{"transaction_id": "a", "amount": NaN}',
    b'{"transaction_id": "a", "amount": ' + b"9" * 5000 + b"}",
    b'{"transaction_id": "a", "fees": "a lot"}',
    b'{"transaction": {"_id": ["x"]}}',
    b'{"transaction": {"invoice": {"amount": {}}}}',
    b"x" * 300_000,
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_callbacks_are_unreadable(body: bytes) -> None:
    """No hostile body gives an event, or raises anything but the documented errors."""
    with pytest.raises((Unreadable, BadWebhook, UnicodeDecodeError)):
        intram().webhook(WebhookRequest(body=body, headers={"content-type": "é"}))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        (f"https://shop.example/return?token={ID}", None),
        (f"https://shop.example/return?token={ID}#top", None),
        (f"https://shop.example/return?STATUS=SUCCESS?transaction_id={ID}", "SUCCESS"),
        (f"https://shop.example/return?STATUS=CANCELED&transaction_id={ID}", "CANCELED"),
        (f"https://shop.example/return?order=7?token={ID}", None),
        (f"https://shop.example/?wc-api=x&state=7?STATUS=SUCCESS?transaction_id={ID}", "SUCCESS"),
        (f"?token={ID}", None),
    ],
)
def test_the_browser_came_back(url: str, word: str | None) -> None:
    """Both documented queries are read, also after our own query and with a second `?`."""
    event = intram().returned(url)
    assert (event.account, event.provider, event.trust) == ("intram", "intram", Trust.NOTHING)
    assert (event.claims.provider_reference, event.claims.provider_status) == (ID, word)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://shop.example/return",
        "https://shop.example/return?STATUS=SUCCESS",
        "https://shop.example/return?token=",
        "https://shop.example/return?token=..",
        "https://shop.example/return?token=%ff",
        "https://shop.example/return?token=a?token=b",
        "http://[::1?token=%00",
        "https://shop.example/return#?token=a",
        "https://shop.example/?" + "a=1&" * 300,
        "https://shop.example/?token=" + "a" * 300_000,
    ],
)
def test_an_address_without_one_sound_id_is_unreadable(url: str) -> None:
    """No id, two of them or an odd one is Unreadable, and no other error is raised."""
    with pytest.raises((Unreadable, UnicodeDecodeError)):
        intram().returned(url)


@pytest.mark.proves("intram: use the sandbox for tests")
@pytest.mark.parametrize(
    ("field", "key", "live"),
    [
        ("private_key", "tpk_5e9469e6", True),
        ("secret", "tsk_243a7b89", True),
        ("public_key", "pk_sandbox_1", True),
        ("secret", "sk_sandbox_1", True),
        ("public_key", "pk_live_1", False),
        ("secret", "sk_live_1", False),
        ("private_key", "pk_9c0410014969f276e8b3685f", False),
        ("merchant_key", "tpk_5e9469e6", True),
    ],
)
def test_a_key_of_the_other_mode_is_refused(field: str, key: str, live: bool) -> None:
    """A key whose prefix contradicts `live` is refused by name, and not shown."""
    with pytest.raises(UsageError, match=field) as caught:
        intram(live=live, **{field: key})
    assert key not in str(caught.value)
    assert intram(live=not live, **{field: key}).live is not live


@pytest.mark.parametrize("live", [True, False])
def test_keys_without_a_prefix_pass_in_both_modes(live: bool) -> None:
    """A public key of 64 hex digits is accepted in both modes."""
    assert intram(live=live, public_key="5e59e0c34bb8737c" * 4).live is live


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"public_key": ""}, "public_key"),
        ({"private_key": ""}, "private_key"),
        ({"secret": ""}, "secret"),
        ({"secret": "a\r\nX-Evil: 1"}, "secret"),
        ({"merchant_key": "a\x00b"}, "merchant_key"),
        ({"keys_in_body": "no"}, "keys_in_body"),
        ({"live": "no"}, "live"),
        ({"base_url": "http://intram.example"}, "base_url"),
    ],
)
def test_a_wrong_field_names_itself(fields: dict[str, Any], named: str) -> None:
    """A missing or wrong field of the account is UsageError with its name."""
    with pytest.raises(UsageError, match=named):
        intram(**fields)


def test_what_intram_cannot_do() -> None:
    """Intram collects, verifies and sends webhooks; the driver offers nothing else."""
    verbs: tuple[Verb, ...] = (
        "collect",
        "payout",
        "refund",
        "verify",
        "find",
        "balance",
        "history",
        "receipt",
        "methods",
        "webhook",
        "returned",
    )
    assert {verb for verb in verbs if Intram.can(verb)} == {
        "collect",
        "verify",
        "webhook",
        "returned",
    }
    assert (Intram.payer, Intram.currencies) == ("none", frozenset({"XOF"}))
    assert Intram.required == frozenset(KEYS)


@pytest.mark.proves("intram: never share the API keys")
def test_no_secret_is_ever_shown() -> None:
    """No key is in the account's repr, in a request's, or in any error with its traceback."""
    driver = intram(merchant_key="merchant-canary", keys_in_body=True)
    shown = [repr(driver), str(msgspec.structs.asdict(driver))]
    for case in ("invalid_keys.401", "refused.400", "invalid_keys.500"):
        send = Script(driver, reply("intram", case))
        with pytest.raises((ProviderError, OutcomeUnknown)) as caught:
            drive(driver.collect(send, order()))
        shown += [str(caught.value), repr(caught.value), repr(send.requests[0])]
        shown += traceback.format_exception(caught.value)
    assert "canary" not in "".join(shown)
