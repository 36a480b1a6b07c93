import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator

from .asking import FORM, ask, raw, told, until

AGENT = {"user-agent": "shop/1.0"}
KEYS = {"apikey": "simulator", "site_id": "123456"}
CARD = {
    "channels": "CREDIT_CARD",
    "customer_id": "7",
    "customer_name": "Ama",
    "customer_surname": "Kouassi",
    "customer_phone_number": "+2250712345678",
    "customer_email": "ama@shop.example",
    "customer_address": "Plateau",
    "customer_city": "Abidjan",
    "customer_country": "CI",
    "customer_state": "CI",
    "customer_zip_code": "00225",
}
# The order in which https://docs.cinetpay.com/api/1.0-en/checkout/hmac concatenates them.
SIGNED = [
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
]


def order(**fields: Any) -> dict[str, Any]:
    """Return the body of an initialisation, with the fields of the page's own sample."""
    return {
        **KEYS,
        "transaction_id": "order-1",
        "amount": 100,
        "currency": "XOF",
        "description": "Data bundle",
        "notify_url": "https://shop.example/notify",
        "return_url": "https://shop.example/return",
        "customer_name": "Ama",
        "customer_surname": "Kouassi",
        **fields,
    }


async def initialise(sim: Simulator, **fields: Any) -> Any:
    """Make a payment, and return the whole answer."""
    reply = await ask(sim, "POST", "/cinetpay/v2/payment", order(**fields), headers=AGENT)
    assert reply.status == 201, reply.body
    return told(reply)


async def check(sim: Simulator, **named: Any) -> Any:
    """Check a payment, order-1 by default, and return the complete answer."""
    body = {**KEYS, **(named or {"transaction_id": "order-1"})}
    return told(await ask(sim, "POST", "/cinetpay/v2/payment/check", body, headers=AGENT))


async def refused(
    sim: Simulator, body: Any, path: str = "/v2/payment", **headers: str
) -> tuple[int, Any]:
    """Send what must be refused, and return the HTTP status and the body."""
    reply = await ask(sim, "POST", f"/cinetpay{path}", body, headers={**AGENT, **headers})
    assert len(sim.ledger) == 0
    return reply.status, told(reply)


def signature(message: dict[str, str], key: str = "simulator") -> str:
    """Sign a notification's fields as the page says."""
    text = "".join(message[name] for name in SIGNED)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


async def test_a_payment_is_a_page_and_waits_for_its_payer() -> None:
    """The answer has the page's format and 201; no money moved; both ids find the payment."""
    sim = Simulator()
    made = await initialise(sim)
    assert list(made) == ["code", "message", "description", "data", "api_response_id"]
    assert (made["code"], made["message"]) == ("201", "CREATED")
    token = made["data"]["payment_token"]
    assert made["data"]["payment_url"] == f"{sim.url}/cinetpay/payment/{token}"
    assert [(entry.reference, entry.status) for entry in sim.ledger] == [
        ("order-1", Status.PENDING)
    ]
    for named in ({"transaction_id": "order-1"}, {"token": token}, {"payment_token": token}):
        found = await check(sim, **named)
        assert (found["code"], found["message"]) == ("662", "WAITING_CUSTOMER_PAYMENT")
        assert found["data"] == {
            "amount": "100",
            "currency": "XOF",
            "status": "WAITING_FOR_CUSTOMER",
            "payment_method": "",
            "description": "Data bundle",
            "metadata": None,
            "operator_id": None,
            "payment_date": " ",
            "fund_availability_date": " ",
        }
    assert sim.ledger.charged("order-1") == 0


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"apikey": "wrong"}, "609", 400),
        ({"apikey": ""}, "608", 400),
        ({"site_id": "654321"}, "613", 400),
        ({"site_id": None}, "608", 400),
        ({"transaction_id": None}, "608", 400),
        ({"transaction_id": 0}, "608", 400),
        ({"transaction_id": "order#1"}, "608", 400),
        ({"amount": None}, "608", 400),
        ({"amount": 0}, "608", 400),
        ({"amount": -5}, "608", 400),
        ({"amount": 100.0}, "608", 400),
        ({"amount": "100.5"}, "608", 400),
        ({"amount": True}, "608", 400),
        ({"amount": 101}, "608", 400),
        ({"amount": 101, "currency": "GNF"}, "608", 400),
        ({"currency": "EUR"}, "608", 400),
        ({"currency": "GBF"}, "608", 400),
        ({"currency": ["XOF"]}, "608", 400),
        ({"description": ""}, "608", 400),
        *[({"description": f"Bread {sign} butter"}, "608", 400) for sign in "#/,$_&"],
        ({"notify_url": None}, "608", 400),
        ({"notify_url": "/notify"}, "608", 400),
        ({"return_url": "ftp://shop.example"}, "608", 400),
        ({"return_url": "https://["}, "608", 400),
        ({"notify_url": "http://localhost/notify"}, "403", 403),
        ({"channels": "PIGEON"}, "608", 400),
        ({"lang": "de"}, "608", 400),
        ({"metadata": {"order": 1}}, "608", 400),
        ({"invoice_data": {"a": "1", "b": "2", "c": "3", "d": "4"}}, "608", 400),
        ({"invoice_data": ["a"]}, "608", 400),
        ({"lock_phone_number": "yes"}, "608", 400),
        ({"lock_phone_number": True}, "624", 400),
        ({"lock_phone_number": True, "customer_phone_number": "none"}, "624", 400),
        *[({**CARD, name: ""}, "608", 400) for name in CARD if name != "channels"],
    ],
)
async def test_a_bad_payment_is_refused_in_cinetpays_shape(
    fields: dict[str, Any], code: str, status: int
) -> None:
    """Each rule of the table of parameters has its code; nothing enters the ledger."""
    sim = Simulator()
    sim.cinetpay.loopback = False
    seen, body = await refused(sim, order(**fields))
    assert (seen, body["code"]) == (status, code)
    assert list(body) == ["code", "message", "description", "api_response_id"]


@pytest.mark.proves("cinetpay: /v2/payment amount as text")
@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "2500"},
        {"amount": 101, "currency": "USD"},
        {"currency": "CDF"},
        {"currency": "GNF"},
        {"invoice_data": {"a": "1", "b": "2", "c": "3"}, "metadata": "order-1", "lang": "en"},
        {"lock_phone_number": True, "customer_phone_number": "+22890000000", "channels": "ALL"},
        {"site_id": 123456},
        CARD,
    ],
)
async def test_what_the_page_allows_is_accepted(fields: dict[str, Any]) -> None:
    """Every optional field, the amount as text as in the curl, and whole dollars are accepted."""
    sim = Simulator()
    await initialise(sim, **fields)
    assert len(sim.ledger) == 1


@pytest.mark.proves(
    "cinetpay: header Content-Type: application/json", "cinetpay: the Python example sends"
)
async def test_only_json_from_a_named_client_is_read() -> None:
    """A form is 403, broken JSON is 608, and without a user agent Cloudflare answers."""
    sim = Simulator()
    assert (await refused(sim, order(), **FORM))[1]["code"] == "403"
    assert (await refused(sim, b"amount=100&currency=XOF"))[1]["code"] == "608"
    assert (await refused(sim, [1, 2]))[1]["code"] == "608"
    reply = await ask(sim, "POST", "/cinetpay/v2/payment", order())
    assert (reply.status, reply.body) == (403, b"error code: 1010")
    assert len(sim.ledger) == 0


async def test_doubtful_refusals_are_settings() -> None:
    """A wrong key has two codes, special characters may pass, an account has one currency."""
    sim = Simulator()
    sim.cinetpay.bad_key = "624"
    assert (await refused(sim, order(apikey="wrong")))[1]["message"] == "UNKNOWN_ERROR"
    sim.cinetpay.currencies = {"XAF"}
    assert (await refused(sim, order()))[1]["code"] == "608"
    sim.cinetpay.special = False
    await initialise(sim, currency="XAF", description="Bread, butter & jam")


@pytest.mark.proves("cinetpay: an identifier sent before")
async def test_a_transaction_id_is_good_once() -> None:
    """A repeated id is an error, whatever became of the first, and makes no second payment."""
    sim = Simulator()
    await initialise(sim)
    for amount in (100, 200):
        reply = await ask(sim, "POST", "/cinetpay/v2/payment", order(amount=amount), headers=AGENT)
        assert (reply.status, told(reply)["code"]) == (400, "620")
        sim.settle("order-1", Status.PENDING)
    assert len(sim.ledger) == 1


async def test_a_check_names_what_it_asks_for() -> None:
    """Without an id it is 608, for an unknown one 624, and with a wrong key 609."""
    sim = Simulator()
    path = "/v2/payment/check"
    assert (await refused(sim, KEYS, path))[1]["code"] == "608"
    for named in ({"transaction_id": "nobody"}, {"token": "nobody"}, {"payment_token": "nobody"}):
        status, body = await refused(sim, {**KEYS, **named}, path)
        assert (status, body["code"], "data" in body) == (400, "624", False)
    assert (await refused(sim, {"apikey": "x", "site_id": "123456", "transaction_id": "o"}, path))[
        1
    ]["code"] == "609"


@pytest.mark.parametrize(
    ("status", "reason", "code", "message", "word"),
    [
        (Status.SUCCEEDED, None, "00", "SUCCES", "ACCEPTED"),
        (Status.FAILED, None, "600", "PAYMENT_FAILED", "REFUSED"),
        (Status.FAILED, Reason.INSUFFICIENT_FUNDS, "602", "INSUFFISENT_BALANCE", "REFUSED"),
        (Status.FAILED, Reason.WRONG_PIN, "604", "OTP_CODE_ERROR", "REFUSED"),
        (Status.FAILED, Reason.UNKNOWN_PAYER, "635", "ERROR_PHONE_NUMBER_NOT_FOUND", "REFUSED"),
        (Status.FAILED, Reason.LIMIT, "808", "DAILY_MAX_AMOUNT_TRANSACTION_REACHED", "REFUSED"),
        (Status.CANCELLED, None, "627", "TRANSACTION_CANCEL", "REFUSED"),
        (Status.EXPIRED, None, "625", "ABONNEMENT_OR_TRANSACTIONS_EXPIRED", "REFUSED"),
    ],
)
async def test_each_end_has_its_code(
    status: Status, reason: Reason | None, code: str, message: str, word: str
) -> None:
    """`data.status` has the end, with the code and the (misspelt) message of the table."""
    sim = Simulator()
    await initialise(sim, metadata="order-1")
    sim.settle("order-1", status, reason=reason)
    found = await check(sim)
    assert (found["code"], found["message"], found["data"]["status"]) == (code, message, word)
    assert found["data"]["metadata"] == "order-1"
    assert (found["data"]["operator_id"] is not None) == (status is Status.SUCCEEDED)
    assert found["data"]["payment_date"] != " "
    assert sim.ledger.charged("order-1") == (100 if status is Status.SUCCEEDED else 0)


async def test_money_given_back_has_its_own_code() -> None:
    """After a refund by the operator the code is 660; no page has a status word for it."""
    sim = Simulator()
    await initialise(sim)
    sim.settle("order-1", Status.SUCCEEDED)
    sim.settle("order-1", Status.REFUNDED)
    found = await check(sim)
    assert (found["code"], found["message"], found["data"]["status"]) == ("660", "REFUNDED", None)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("603", "SERVICE_UNAVAILABLE"),
        ("606", "INCORRECT_SETTINGS"),
        ("607", "PENDING"),
        ("623", "WAITING_CUSTOMER_TO_VALIDATE"),
        ("636", "ERROR_PHONE_NUMBER_NOT_SUPPORTED"),
        ("638", "SECURE_PAYMENT_WAITING_CONFIRMATION"),
        ("641", "ERROR_AMOUNT_TOO_LOW"),
        ("642", "ERROR_AMOUNT_TOO_HIGH"),
        ("661", "REFUNDING_IN_PROCESS"),
        ("663", "WAITING_CUSTOMER_OTP_CODE"),
        ("664", "WAITING_CUSTOMER_PAYMENT_AT_OPERATOR_SIDE"),
        ("804", "OPERATOR_UNAVAILABLE"),
        ("807", "DAILY_MAX_NUMBER_TRANSACTION_REACHED"),
        ("809", "MONTHLY_MAX_AMOUNT_TRANSACTION_REACHED"),
        ("810", "MONTHLY_MAX_NUMBER_TRANSACTION_REACHED"),
        ("811", "WEEKLY_MAX_AMOUNT_TRANSACTION_REACHED"),
        ("812", "WEEKLY_MAX_NUMBER_TRANSACTION_REACHED"),
        ("999", "UNKNOWN_ERROR"),
    ],
)
@pytest.mark.parametrize("status", [Status.PENDING, Status.FAILED])
async def test_a_test_may_name_any_code(code: str, message: str, status: Status) -> None:
    """Every code of the table is possible, with the truth in the ledger and `data.status`."""
    sim = Simulator()
    await initialise(sim)
    sim.settle("order-1", status, code=code)
    found = await check(sim)
    assert (found["code"], found["message"]) == (code, message)
    assert found["data"]["status"] == (
        "REFUSED" if status is Status.FAILED else "WAITING_FOR_CUSTOMER"
    )
    assert [entry.status for entry in sim.ledger] == [status]


async def test_a_word_takes_the_place_of_the_status() -> None:
    """A code that is a word becomes `data.status`: PENDING, as was seen, or any other."""
    sim = Simulator()
    await initialise(sim)
    sim.settle("order-1", Status.PENDING, code="PENDING")
    found = await check(sim)
    assert (found["code"], found["data"]["status"]) == ("662", "PENDING")


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
async def test_the_older_page_has_no_amount(status: Status) -> None:
    """The format of 2021 has no amount, currency or status, and a failure no operator_id."""
    sim = Simulator()
    sim.cinetpay.shape = "2021"
    await initialise(sim, customer_phone_number="+2250749012966")
    sim.settle("order-1", status)
    found = await check(sim)
    assert list(found) == ["code", "message", "api_response_id", "data"]
    names = {"operator_id", "payment_method", "payment_date", "phone_number", "phone_prefix"}
    assert set(found["data"]) == (names if status is Status.SUCCEEDED else names - {"operator_id"})
    assert (found["data"]["phone_prefix"], found["data"]["phone_number"]) == ("225", "0749012966")


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("7", "00"),
        ("0", "600"),
        ("1", "602"),
        ("2", "627"),
        ("3", "625"),
        ("4", "662"),
        ("5", "604"),
        ("8", "808"),
    ],
)
async def test_a_magic_number_decides_by_itself(last: str, code: str) -> None:
    """The payer's number decides; one that never answers leaves the payment waiting."""
    async with Simulator(payer_delay=0.0) as sim:
        sim.on_webhook(lambda incoming: None)
        await initialise(sim, customer_phone_number=f"+225070000000{last}")
        await until(lambda: last == "4" or all(entry.status.terminal for entry in sim.ledger))
        assert (await check(sim))["code"] == code
        assert sim.ledger.charged("order-1") == (100 if last == "7" else 0)


async def test_an_order_without_a_number_does_as_the_simulator_says() -> None:
    """The default decides for payers without a number."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        await initialise(sim)
        await until(lambda: sim.ledger.charged("order-1") == 100)


@pytest.mark.parametrize("notification", ["form", "json"])
@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.CANCELLED])
async def test_a_notification_is_signed_over_its_fields_in_order(
    notification: str, status: Status
) -> None:
    """Sixteen fields, no status, and x-token: an HMAC of their values without separators."""
    async with Simulator() as sim:
        got: list[WebhookRequest] = []
        sim.on_webhook(got.append)
        sim.cinetpay.pings, sim.cinetpay.notification = False, notification
        await initialise(
            sim, description="Crème", metadata="é=1", customer_phone_number="+2250712345678"
        )
        sim.settle("order-1", status)
        await until(lambda: got)
    message = got[0]
    assert (message.method, message.path) == ("POST", "/notify")
    if notification == "form":
        assert message.headers["content-type"] == FORM["content-type"]
        body = dict(parse_qsl(message.body.decode(), keep_blank_values=True))
    else:
        assert message.headers["content-type"] == "application/json"
        body = json.loads(message.body)
    assert list(body) == SIGNED
    assert message.headers["x-token"] == signature(body)
    assert body["cpm_error_message"] == (
        "SUCCES" if status is Status.SUCCEEDED else "TRANSACTION_CANCEL"
    )
    assert {
        name: body[name] for name in ("cpm_site_id", "cpm_trans_id", "cpm_amount", "cpm_custom")
    } == {
        "cpm_site_id": "123456",
        "cpm_trans_id": "order-1",
        "cpm_amount": "100",
        "cpm_custom": "é=1",
    }
    assert (body["cpm_phone_prefixe"], body["cel_phone_num"]) == ("225", "0712345678")


async def test_a_forged_notification_has_another_key() -> None:
    """A forged success lacks a valid signature; the true message follows."""
    async with Simulator() as sim:
        got: list[WebhookRequest] = []
        sim.on_webhook(got.append)
        sim.cinetpay.pings = False
        await initialise(sim)
        sim.fault("cinetpay", "order-1", kind=Fault.WEBHOOK_FORGED)
        sim.settle("order-1", Status.FAILED)
        await until(lambda: len(got) == 2)
    forged, true = (
        dict(parse_qsl(message.body.decode(), keep_blank_values=True)) for message in got
    )
    assert (forged["cpm_error_message"], true["cpm_error_message"]) == ("SUCCES", "PAYMENT_FAILED")
    assert got[0].headers["x-token"] != signature(forged)
    assert got[1].headers["x-token"] == signature(true)


@pytest.mark.proves("cinetpay: POST to notify_url")
async def test_the_older_page_notifies_two_fields() -> None:
    """api-checkout-doc's notification is JSON with two fields; a form may be unsigned, too."""
    async with Simulator() as sim:
        got: list[WebhookRequest] = []
        sim.on_webhook(got.append)
        sim.cinetpay.pings, sim.cinetpay.notification = False, "minimal"
        await initialise(sim)
        sim.settle("order-1", Status.SUCCEEDED)
        sim.cinetpay.notification, sim.cinetpay.secret_key = "form", None
        await initialise(sim, transaction_id="order-2")
        sim.settle("order-2", Status.SUCCEEDED)
        await until(lambda: len(got) == 2)
    assert json.loads(got[0].body) == {"cpm_trans_id": "order-1", "cpm_site_id": "123456"}
    assert all("x-token" not in message.headers for message in got)


async def test_the_url_is_pinged_and_told_of_every_change() -> None:
    """First comes a GET without data; waiting for the customer is a change like any other."""
    async with Simulator() as sim:
        got: list[tuple[str, str]] = []

        def receive(incoming: WebhookRequest) -> None:
            body = dict(parse_qsl(incoming.body.decode()))
            got.append((incoming.method, body.get("cpm_error_message", "")))
            assert incoming.query == ""

        sim.on_webhook(receive)
        sim.cinetpay.early = True
        await initialise(sim)
        await until(lambda: len(got) == 2)
        sim.settle("order-1", Status.PENDING, code="623")
        sim.settle("order-1", Status.SUCCEEDED)
        await until(lambda: len(got) == 4)
    assert got == [
        ("GET", ""),
        ("POST", "WAITING_CUSTOMER_PAYMENT"),
        ("POST", "WAITING_CUSTOMER_TO_VALIDATE"),
        ("POST", "SUCCES"),
    ]


@pytest.mark.parametrize(
    ("decision", "word", "paid"),
    [("approve", "ACCEPTED", 100), ("decline", "REFUSED", 0), ("cancel", "REFUSED", 0)],
)
@pytest.mark.parametrize(("address", "joint"), [("/return", "?"), ("/return?shop=1", "&")])
async def test_a_person_decides_on_the_page(
    decision: str, word: str, paid: int, address: str, joint: str
) -> None:
    """After any decision the customer is redirected with both ids; the page decides once."""
    sim = Simulator()
    made = await initialise(sim, return_url=f"https://shop.example{address}")
    token = made["data"]["payment_token"]
    path = f"/cinetpay/payment/{token}"
    shown = await ask(sim, "GET", path)
    assert (shown.status, "100\u00a0XOF" in shown.body.decode()) == (200, True)
    assert (await ask(sim, "POST", path, {}, form=True)).status == 200
    for again in (decision, decision):
        gone = await ask(sim, "POST", path, {"decision": again}, form=True)
        assert (gone.status, gone.headers["location"]) == (
            302,
            f"https://shop.example{address}{joint}transaction_id=order-1&token={token}",
        )
    await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert (await check(sim))["data"]["status"] == word
    assert sim.ledger.charged("order-1") == paid
    assert (await ask(sim, "GET", "/cinetpay/payment/nobody")).status == 404


async def test_the_way_back_may_be_a_post() -> None:
    """The docs let the back button post a form to return_url."""
    sim = Simulator()
    sim.cinetpay.returns = "POST"
    token = (await initialise(sim))["data"]["payment_token"]
    back = await ask(sim, "POST", f"/cinetpay/payment/{token}", {"decision": "approve"}, form=True)
    assert back.status == 200
    assert b'method="post" action="https://shop.example/return"' in back.body
    assert f'name="token" value="{token}"'.encode() in back.body


async def test_slashes_are_forgiven_on_the_socket() -> None:
    """A doubled slash (PyPI cinetpay 0.0.1) or a trailing one is accepted, other paths are not."""
    async with Simulator() as sim:
        made = await raw(sim, "POST", "/cinetpay/v2/payment/", order(), AGENT)
        found = await raw(
            sim, "POST", "/cinetpay//v2/payment/check", {**KEYS, "transaction_id": "order-1"}, AGENT
        )
        lost = await raw(sim, "GET", "/cinetpay/v2/payment", None, AGENT)
    assert made.startswith(b"HTTP/1.1 201 ")
    assert b"WAITING_FOR_CUSTOMER" in found
    assert lost.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("kind", "status", "code"), [(Fault.THROTTLE, 429, "429"), (Fault.STALE_TOKEN, 400, "609")]
)
async def test_faults_speak_as_cinetpay(kind: Fault, status: int, code: str) -> None:
    """Throttled and unauthorised are codes of the page's table, and nothing was processed."""
    sim = Simulator()
    sim.fault("cinetpay", kind=kind)
    reply: Response = await ask(sim, "POST", "/cinetpay/v2/payment", order(), headers=AGENT)
    assert (reply.status, told(reply)["code"]) == (status, code)
    assert len(sim.ledger) == 0
