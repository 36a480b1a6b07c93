import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator

from .asking import ask, raw, told, until

KEYS = {"x-api-key": "simulator", "x-private-key": "simulator", "x-secret-key": "simulator"}
MERCHANT = {**KEYS, "x-marchand-key": "simulator"}
BODY_KEYS = {"public": "simulator", "private": "simulator", "secret": "simulator"}
URLS = {
    "cancel_url": "https://shop.example/cancel",
    "return_url": "https://shop.example/return",
    "callback_url": "https://shop.example/callback",
}
# The page's minimal example, and its full one.
MINIMAL = {
    "invoice": {"currency": "XOF", "amount": 1000},
    "store": {"name": "Test Store"},
    "actions": URLS,
}
FULL = {
    "invoice": {
        "keys": BODY_KEYS,
        "currency": "XOF",
        "items": [],
        "taxes": [],
        "amount": 1000,
        "description": "Paiement test",
        "custom_datas": {"paymux_reference": "order-1", "seat": "12A"},
    },
    "store": {
        "name": "Mon Magasin",
        "postal_adress": "Adresse du magasin",
        "logo_url": "https://monmagasin.com/logo.png",
        "web_site_url": "https://monmagasin.com",
        "phone": "+22500000000",
        "template": "default",
    },
    "actions": URLS,
}
REQUEST = "/intram/api/v1/payments/request"
CONFIRM = "/intram/api/v1/transactions/confirm"
INVALID = {"error": True, "status": "ERROR", "message": "Invalid API keys"}


def changed(part: str, **fields: Any) -> dict[str, Any]:
    """Return the full request with some fields of a part changed."""
    whole: dict[str, Any] = FULL
    return {**whole, part: {**whole[part], **fields}}


async def requested(sim: Simulator, body: Any = FULL) -> Any:
    """Make a transaction, and return Intram's answer."""
    reply = await ask(sim, "POST", REQUEST, body, headers=MERCHANT)
    assert reply.status == 200
    return told(reply)


async def confirmed(sim: Simulator, transaction_id: str) -> Any:
    """Return the status of a transaction."""
    reply = await ask(sim, "GET", f"{CONFIRM}/{transaction_id}", headers=MERCHANT)
    assert reply.status == 200
    return told(reply)


async def decided(sim: Simulator, made: Any, decision: str) -> Response:
    """Decide on the checkout page."""
    path = made["receipt_url"].removeprefix(sim.url)
    return await ask(sim, "POST", path, {"decision": decision}, form=True)


@pytest.mark.parametrize("body", [MINIMAL, FULL])
async def test_a_request_makes_a_transaction_and_charges_no_payer(body: Any) -> None:
    """Both examples of the page are accepted; the answer has Intram's names."""
    sim = Simulator()
    made = await requested(sim, body)
    assert made == {
        "status": "PENDING",
        "transaction_id": made["transaction_id"],
        "receipt_url": f"{sim.url}/intram/payment/gate/{made['transaction_id']}",
        "total_amount": 1000,
        "currency": "xof",
        "qr_code": "data:image/png;base64,iVBORw0KGgo=",
    }
    assert len(made["transaction_id"]) == 24
    assert int(made["transaction_id"], 16)
    [entry] = sim.ledger
    assert (entry.status, int(entry.amount), entry.currency) == (Status.PENDING, 1000, "XOF")
    assert entry.reference == (None if body is MINIMAL else "order-1")
    assert sim.ledger.charged(provider="intram") == 0


async def test_the_answer_of_2020_has_a_message_and_an_error_flag() -> None:
    """The PHP SDK's README has `message` and `error: false`, without currency and QR code."""
    sim = Simulator()
    sim.intram.request_shape = "2020"
    made = await requested(sim)
    assert (made["message"], made["error"]) == ("Transaction created successfully", False)
    assert "qr_code" not in made


async def test_what_the_node_sdk_sends_is_taken() -> None:
    """Items and taxes as maps, channels, and custom_data at the top."""
    sim = Simulator()
    item = {
        "item_1": {"name": "Croco shoes", "quantity": 3, "unit_price": 10000, "total_price": 30000}
    }
    tax = {"tax_1": {"name": "TVA (18%)", "amount": 6300}}
    body = {
        "invoice": {
            "amount": 42300,
            "currency": "XOF",
            "channels": ["mtn-benin"],
            "items": item,
            "taxes": tax,
        },
        "store": {"name": "LandryShop"},
        "actions": URLS,
        "custom_data": {"paymux_reference": "order-1"},
    }
    made = await requested(sim, body)
    sim.intram.confirm_shape = "nested"
    record = (await confirmed(sim, made["transaction_id"]))["transaction"]
    assert (record["invoice"]["items"], record["invoice"]["taxes"]) == (item, tax)
    assert record["invoice"]["custom_datas"] == {"paymux_reference": "order-1"}
    assert record["_channels"] == ["mtn-benin"]
    assert [entry.amount for entry in sim.ledger.entries("order-1")] == [42300]


async def test_asking_twice_makes_two_transactions() -> None:
    """No field of a request is unique for Intram: each request is a new transaction."""
    sim = Simulator()
    first, second = await requested(sim), await requested(sim)
    assert first["transaction_id"] != second["transaction_id"]
    assert len(sim.ledger.entries("order-1")) == 2


@pytest.mark.parametrize("header", list(MERCHANT))
@pytest.mark.parametrize("value", ["wrong", "", None])
async def test_every_key_must_be_good(header: str, value: str | None) -> None:
    """A wrong or missing key is 401 with the published body; only the merchant id is optional."""
    sim = Simulator()
    headers = {name: key for name, key in {**MERCHANT, header: value}.items() if key is not None}
    for method, path in (("POST", REQUEST), ("GET", f"{CONFIRM}/0")):
        reply = await ask(sim, method, path, FULL if method == "POST" else None, headers=headers)
        if header == "x-marchand-key" and value is None:
            assert reply.status != 401
        else:
            assert (reply.status, told(reply)) == (401, INVALID)
    assert len(sim.ledger) == (1 if header == "x-marchand-key" and value is None else 0)


@pytest.mark.proves("intram: header X-MARCHAND-KEY")
async def test_the_merchant_id_was_required_before_2026() -> None:
    """As on the page of 2025: "toutes les requêtes doivent inclure" four headers."""
    sim = Simulator()
    sim.intram.merchant_key_required = True
    assert (await ask(sim, "POST", REQUEST, FULL, headers=KEYS)).status == 401
    assert (await ask(sim, "POST", REQUEST, FULL, headers=MERCHANT)).status == 200


@pytest.mark.parametrize(
    ("rule", "keys", "status"),
    [
        ("ignored", None, 200),
        ("ignored", {"public": "wrong"}, 200),
        ("checked", None, 200),
        ("checked", BODY_KEYS, 200),
        ("checked", {**BODY_KEYS, "secret": "wrong"}, 401),
        ("checked", "wrong", 401),
        ("required", BODY_KEYS, 200),
        ("required", None, 401),
    ],
)
async def test_keys_in_the_body_are_what_the_year_says(rule: str, keys: Any, status: int) -> None:
    """The keys of the page of 2025 are dead code in 2026; they are never sent back."""
    sim = Simulator()
    sim.intram.body_keys = rule
    reply = await ask(sim, "POST", REQUEST, changed("invoice", keys=keys), headers=MERCHANT)
    assert reply.status == status
    assert all("keys" not in entry.words["invoice"] for entry in sim.ledger)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "invoice"),
        ({"invoice": {}, "actions": URLS}, "store"),
        ({"invoice": {}, "store": {}}, "actions"),
        ([], "invoice"),
        (changed("invoice", currency=None), "currency"),
        (changed("invoice", currency="XAF"), "currency"),
        (changed("invoice", amount=None), "amount"),
        (changed("invoice", amount=0), "amount"),
        (changed("invoice", amount=-5), "amount"),
        (changed("invoice", amount=True), "amount"),
        (changed("invoice", amount="1000"), "amount"),
        (changed("invoice", amount=10.5), "decimals"),
        (changed("invoice", amount=float("nan")), "amount"),
        (changed("invoice", amount=1e300), "amount"),
        (changed("invoice", items="shoes"), "items"),
        (changed("invoice", taxes=5), "taxes"),
        (changed("invoice", custom_datas="x"), "custom_datas"),
        (changed("store", name=" "), "store.name"),
        (changed("store", name=None), "store.name"),
        (changed("actions", cancel_url=None), "cancel_url"),
        (changed("actions", return_url="shop.example"), "return_url"),
        (changed("actions", callback_url="https://[x"), "callback_url"),
    ],
)
async def test_a_bad_request_is_refused(body: Any, word: str) -> None:
    """HTTP 400 with the error object, and nothing is accepted."""
    sim = Simulator()
    reply = await ask(sim, "POST", REQUEST, body, headers=MERCHANT)
    assert reply.status == 400
    assert (told(reply)["error"], told(reply)["status"]) == (True, "ERROR")
    assert word in told(reply)["message"]
    assert len(sim.ledger) == 0


@pytest.mark.proves("intram: header Content-Type: application/json")
async def test_a_form_is_no_request() -> None:
    """The page requires JSON."""
    reply = await ask(Simulator(), "POST", REQUEST, {"invoice": "{}"}, headers=MERCHANT, form=True)
    assert reply.status == 400


async def test_an_error_may_hide_in_http_200() -> None:
    """The SDKs read `error`, not the HTTP status."""
    sim = Simulator()
    sim.intram.errors_in_200 = True
    for reply in (
        await ask(sim, "POST", REQUEST, FULL),
        await ask(sim, "POST", REQUEST, {}, headers=MERCHANT),
        await ask(sim, "GET", f"{CONFIRM}/0", headers=MERCHANT),
    ):
        assert (reply.status, told(reply)["error"]) == (200, True)


@pytest.mark.proves("intram: HTTP 500: an error")
@pytest.mark.parametrize(("breaks", "orders"), [("before", 0), ("after", 1)])
async def test_a_server_error_says_nothing_of_what_was_done(breaks: str, orders: int) -> None:
    """HTTP 500 in Intram's own format, before or after the transaction was made."""
    sim = Simulator()
    sim.intram.breaks = breaks
    reply = await ask(sim, "POST", REQUEST, FULL, headers=MERCHANT)
    assert (reply.status, told(reply)["error"]) == (500, True)
    assert len(sim.ledger) == orders


async def test_faults_speak_as_intram_does() -> None:
    """A planned stale key and a planned throttle have Intram's body."""
    sim = Simulator()
    sim.fault("intram", kind=Fault.STALE_TOKEN)
    sim.fault("intram", kind=Fault.THROTTLE)
    stale = await ask(sim, "POST", REQUEST, FULL, headers=MERCHANT)
    throttled = await ask(sim, "POST", REQUEST, FULL, headers=MERCHANT)
    assert (stale.status, told(stale)) == (401, INVALID)
    assert (throttled.status, throttled.headers["retry-after"], told(throttled)["error"]) == (
        429,
        "1",
        True,
    )


async def test_the_flat_shape_is_the_pages() -> None:
    """Fees are added on top, and no id is sent."""
    sim = Simulator()
    made = await requested(sim)
    known = {"amount": 1000, "currency": "XOF", "account_number": "22996XXXXXX", "source": "MOOV"}
    pending = await confirmed(sim, made["transaction_id"])
    assert pending == {"status": "PENDING", **known, "fees": 50, "net_amount": 1050}
    sim.settle("order-1", Status.SUCCEEDED)
    assert (await confirmed(sim, made["transaction_id"]))["status"] == "SUCCESS"
    assert sim.ledger.charged("order-1") == 1000


async def test_the_nested_shape_carries_the_order() -> None:
    """The pages of 2020 to 2022: underscored names, the store, the invoice and its custom data."""
    sim = Simulator()
    sim.intram.confirm_shape = "nested"
    made = await requested(sim)
    found = await confirmed(sim, made["transaction_id"])
    assert (found["error"], found["status"], found["message"]) == (
        False,
        "PENDING",
        "statut de la transaction",
    )
    record = found["transaction"]
    assert (record["_id"], record["_amount"], record["_type"]) == (
        made["transaction_id"],
        1000,
        "DEBIT",
    )
    assert (record["_status"], record["_country_code"], len(record["_reference"])) == (
        "PENDING",
        "BJ",
        10,
    )
    assert (record["_store"], record["marchand"]["_env"]) == (FULL["store"], "sandbox")
    assert record["invoice"]["custom_datas"] == {"paymux_reference": "order-1", "seat": "12A"}
    assert record["invoice"]["transaction"] == made["transaction_id"]


async def test_the_customers_format_has_the_customer_only_after_a_success() -> None:
    """As intram-nodejs reads it: customer, receipt and custom data when the status is SUCCESS."""
    sim = Simulator()
    sim.intram.confirm_shape = "customer"
    made = await requested(sim)
    pending = await confirmed(sim, made["transaction_id"])
    assert set(pending) == {"error", "status", "message", "total_amount"}
    sim.settle("order-1", Status.SUCCEEDED)
    paid = await confirmed(sim, made["transaction_id"])
    assert set(paid["customer"]) == {"name", "phone", "email"}
    assert paid["receipt_url"].endswith(
        f"/sandbox-checkout/receipt/pdf/{made['transaction_id']}.pdf"
    )
    assert (paid["custom_data"]["seat"], paid["total_amount"]) == ("12A", 1000)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.SUCCEEDED, "SUCCESS"),
        (Status.FAILED, "FAIL"),
        (Status.CANCELLED, "CANCELED"),
        (Status.EXPIRED, "FAIL"),
    ],
)
async def test_each_end_has_its_word(status: Status, word: str) -> None:
    """The words are those of the Node SDK; a test may set others."""
    sim = Simulator()
    made = await requested(sim)
    sim.settle("order-1", status)
    assert (await confirmed(sim, made["transaction_id"]))["status"] == word
    sim.intram.words[status] = "COMPLETED"
    assert (await confirmed(sim, made["transaction_id"]))["status"] == "COMPLETED"


async def test_a_test_may_name_the_word() -> None:
    """ERROR is the word of 2026; PROCESSING is on no page."""
    sim = Simulator()
    made = await requested(sim)
    sim.settle("order-1", Status.PENDING, code="PROCESSING")
    assert (await confirmed(sim, made["transaction_id"]))["status"] == "PROCESSING"
    sim.settle("order-1", Status.FAILED, reason=Reason.OTHER, code="ERROR")
    assert (await confirmed(sim, made["transaction_id"]))["status"] == "ERROR"


@pytest.mark.parametrize("status", [400, 404])
async def test_an_unknown_transaction_is_an_error(status: int) -> None:
    """No page shows the status for an unknown id; a test chooses."""
    sim = Simulator()
    sim.intram.unknown_status = status
    reply = await ask(sim, "GET", f"{CONFIRM}/5f2d7a96b97d9d3fea912c11", headers=MERCHANT)
    assert (reply.status, told(reply)["error"]) == (status, True)


@pytest.mark.parametrize(
    "path", ["/api/v1//transactions/confirm/{}", "/api/v1/transactions/confirm/{}/"]
)
async def test_extra_slashes_are_forgiven(path: str) -> None:
    """The PHP and Django SDKs send two slashes, as in their published examples."""
    async with Simulator() as sim:
        made = await requested(sim)
        answer = await raw(
            sim, "GET", f"/intram{path.format(made['transaction_id'])}", headers=MERCHANT
        )
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"PENDING"' in answer


async def test_other_paths_are_not_there() -> None:
    """Neither the API nor the page has other paths."""
    sim = Simulator()
    assert (await ask(sim, "GET", "/intram/api/v1/balance", headers=MERCHANT)).status == 404
    assert (await ask(sim, "GET", REQUEST, headers=MERCHANT)).status == 404
    assert (await ask(sim, "GET", "/intram/payment/gate/0")).status == 404
    assert (await ask(sim, "GET", "/intram/elsewhere")).status == 404


@pytest.mark.parametrize(
    ("decision", "back", "word", "charged"),
    [
        ("approve", "return", "SUCCESS", 1000),
        ("decline", "cancel", "FAIL", 0),
        ("cancel", "cancel", "CANCELED", 0),
    ],
)
@pytest.mark.parametrize("query", ["token", "STATUS"])
async def test_the_page_decides_and_sends_the_browser_back(
    query: str, decision: str, back: str, word: str, charged: int
) -> None:
    """The query is appended as published: `?token=…`, or with a second `?` in its middle."""
    sim = Simulator()
    sim.intram.redirect_query = query
    made = await requested(sim)
    reference = made["transaction_id"]
    path = made["receipt_url"].removeprefix(sim.url)
    shown = await ask(sim, "GET", path)
    assert "<h1>Mon Magasin</h1>" in shown.body.decode()
    assert "1\u202f000\u00a0XOF" in shown.body.decode()
    assert (await ask(sim, "POST", path, {"decision": "dance"}, form=True)).status == 200
    gone = await decided(sim, made, decision)
    tail = (
        f"?token={reference}" if query == "token" else f"?STATUS={word}?transaction_id={reference}"
    )
    assert (gone.status, gone.headers["location"]) == (302, f"https://shop.example/{back}{tail}")
    assert (await decided(sim, made, decision)).headers == gone.headers
    await decided(sim, made, "approve")
    assert (await confirmed(sim, reference))["status"] == word
    assert sim.ledger.charged("order-1") == charged


async def test_a_query_is_appended_to_whatever_is_there() -> None:
    """A return URL with a query gets a second query, as published."""
    sim = Simulator()
    made = await requested(
        sim, changed("actions", return_url="https://shop.example/return?state=7")
    )
    gone = await decided(sim, made, "approve")
    assert (
        gone.headers["location"]
        == f"https://shop.example/return?state=7?token={made['transaction_id']}"
    )


async def test_a_page_without_a_way_back_just_ends() -> None:
    """If URLs are not required, the page shows the end, and no callback is sent."""
    sim = Simulator()
    sim.intram.urls_required = ()
    made = await requested(sim, {**MINIMAL, "actions": {}})
    assert "Paiement réussi" in (await decided(sim, made, "approve")).body.decode()
    assert sim.deliveries == []


@pytest.mark.parametrize("default", [Status.SUCCEEDED, Status.CANCELLED])
async def test_a_default_decides_by_itself(default: Status) -> None:
    """An order has no payer: without a default it waits for the page."""
    sim = Simulator(payer_delay=0.0, default=default)
    await requested(sim)
    [entry] = sim.ledger
    await until(lambda: entry.status is default)
    waiting = Simulator(payer_delay=0.0)
    await requested(waiting)
    assert next(iter(waiting.ledger)).status is Status.PENDING


def read(incoming: WebhookRequest) -> Any:
    """Read a callback, JSON or form."""
    if "form" in incoming.headers["content-type"]:
        return {name: values[0] for name, values in parse_qs(incoming.body.decode()).items()}
    return json.loads(incoming.body)


@pytest.mark.proves("intram: actions.callback_url")
@pytest.mark.parametrize("shape", ["nested", "flat", "form"])
async def test_the_callback_is_unsigned_in_three_shapes(shape: str) -> None:
    """A POST with the transaction, a flat body or a form; nothing proves its sender."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.intram.callback_shape = shape
    made = await requested(sim)
    sim.settle("order-1", Status.SUCCEEDED)
    await until(lambda: got)
    [incoming] = got
    assert (incoming.method, incoming.path, set(incoming.headers)) == (
        "POST",
        "/callback",
        {"host", "content-type"},
    )
    said = read(incoming)
    assert said["status"] == "SUCCESS"
    if shape == "nested":
        assert said["transaction"]["_id"] == made["transaction_id"]
        assert said["transaction"]["invoice"]["amount"] == 1000
    elif shape == "flat":
        assert "transaction_id" not in said
        assert said["net_amount"] == 1050
    else:
        assert (said["transaction_id"], said["amount"]) == (made["transaction_id"], "1000")


async def test_a_forged_callback_claims_a_success() -> None:
    """A forged callback looks like a true one; only a look-up shows the difference."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.fault("intram", "order-1", kind=Fault.WEBHOOK_FORGED)
    made = await requested(sim)
    sim.settle("order-1", Status.FAILED)
    await until(lambda: len(got) == 2)
    assert [read(one)["status"] for one in got] == ["SUCCESS", "FAIL"]
    assert (await confirmed(sim, made["transaction_id"]))["status"] == "FAIL"


async def test_a_cancelled_order_may_stay_silent() -> None:
    """No page says whether a cancelled order calls back."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    await requested(sim)
    sim.settle("order-1", Status.CANCELLED)
    await until(lambda: got)
    sim.intram.cancel_calls_back = False
    await requested(sim)
    sim.settle("order-1", Status.CANCELLED)
    assert len(sim.deliveries) == 1
