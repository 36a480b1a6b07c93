"""CinetPay's API of 2026, asked as its own client and its sandbox's scenarios do."""

from decimal import Decimal
from typing import Any

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator
from tests.driving import sample

from .asking import ask, told, until

API = "/cinetpay_v1/v1"
AGENT = {"user-agent": "shop"}
KEYS = {"api_key": "simulator", "api_password": "simulator"}
PAYMENT = {**sample("cinetpay_v1", "payment"), "merchant_transaction_id": "ORDER-123"}
TRANSFER = {**sample("cinetpay_v1", "transfer"), "merchant_transaction_id": "TRANSFER-1001"}


async def login(sim: Simulator) -> dict[str, str]:
    """Log in, and return the headers of a request."""
    reply = await ask(sim, "POST", f"{API}/oauth/login", KEYS, headers=AGENT)
    assert told(reply) == {
        **sample("cinetpay_v1", "login.200"),
        "access_token": told(reply)["access_token"],
    }
    return {**AGENT, "authorization": f"Bearer {told(reply)['access_token']}"}


async def asked(sim: Simulator, method: str, path: str, body: Any = None) -> Response:
    """Send a request with a token of its own."""
    return await ask(sim, method, f"{API}{path}", body, headers=await login(sim))


async def paid(sim: Simulator, **fields: Any) -> Any:
    """Ask for a payment, and return the answer."""
    given = {name: value for name, value in {**PAYMENT, **fields}.items() if value is not None}
    return told(await asked(sim, "POST", "/payment", given))


async def sent(sim: Simulator, **fields: Any) -> Any:
    """Ask for a transfer, and return the answer."""
    return told(await asked(sim, "POST", "/transfer", {**TRANSFER, **fields}))


async def test_a_payment_is_opened_and_looked_up_as_in_the_scenario() -> None:
    """The answers have the scenario's fields; each of the three ids finds the payment."""
    sim = Simulator()
    opened = await paid(sim)
    expected = sample("cinetpay_v1", "opened.200")
    assert opened.keys() == expected.keys()
    assert opened["details"] == expected["details"]
    assert opened["payment_url"] == f"{sim.url}/cinetpay_v1/payment/{opened['payment_token']}"
    sim.settle("ORDER-123", Status.SUCCEEDED)
    for name in ("payment_token", "transaction_id", "merchant_transaction_id"):
        state = told(await asked(sim, "GET", f"/payment/{opened[name]}"))
        assert state.keys() == sample("cinetpay_v1", "paid.200").keys()
        assert (state["code"], state["status"]) == (100, "SUCCESS")
    assert sim.ledger.charged("ORDER-123") == 1000


async def test_a_transfer_is_made_and_looked_up_as_in_the_scenario() -> None:
    """The sandbox's number is paid at once; the answer has the scenario's fields and more."""
    sim = Simulator()
    made = await sent(sim)
    assert made.keys() >= sample("cinetpay_v1", "transferred.200").keys()
    assert made.keys() >= sample("cinetpay_v1", "transfer_taken.200").keys()
    assert (made["code"], made["amount"], made["fee_amount"]) == (100, "100", "2")
    sim.cinetpay_v1.texts = False
    for name in ("transaction_id", "merchant_transaction_id"):
        state = told(await asked(sim, "GET", f"/transfer/{made[name]}"))
        assert (state["amount"], state["fee_amount"]) == (100, 2)
    assert sim.ledger.paid_out("TRANSFER-1001") == 100
    assert told(await asked(sim, "GET", "/balances"))["available_balance"] == "999898.00"


@pytest.mark.parametrize(
    ("number", "first", "last"),
    [
        ("+2250707070700", 100, 100),
        ("+2250707070701", 2001, 100),
        ("+2250707070703", 2010, 2010),
        ("+2250707070704", 2001, 2010),
        ("+2250707070706", 2001, 2002),
    ],
)
async def test_the_sandboxs_numbers_do_what_its_page_says(
    number: str, first: int, last: int
) -> None:
    """At once, later or never: the answer to a direct payment, and its state at the end."""
    sim = Simulator(payer_delay=0.01)
    opened = await paid(
        sim, client_phone_number=number, direct_pay=True, payment_method="OM_CI", otp_code="1234"
    )
    assert (opened["code"], opened["details"]["code"]) == (200, first)
    assert opened["details"]["must_be_redirected"] is False
    if last != 2002:
        await until(lambda: sim.ledger.newest.status.terminal)
    assert told(await asked(sim, "GET", "/payment/ORDER-123"))["code"] == last


ENDS = [
    (Status.FAILED, Reason.DECLINED, 2010),
    (Status.FAILED, Reason.INSUFFICIENT_FUNDS, 2005),
    (Status.FAILED, Reason.WRONG_PIN, 2004),
    (Status.FAILED, Reason.UNKNOWN_PAYER, 2006),
    (Status.FAILED, Reason.LIMIT, 2011),
    (Status.CANCELLED, None, 2010),
    (Status.EXPIRED, None, 2003),
]


@pytest.mark.parametrize(("status", "reason", "code"), ENDS)
async def test_an_end_has_its_code(status: Status, reason: Reason | None, code: int) -> None:
    """Each end has one of the listed codes; a code of a test replaces it."""
    sim = Simulator()
    await paid(sim)
    sim.settle("ORDER-123", status, reason=reason)
    assert told(await asked(sim, "GET", "/payment/ORDER-123"))["code"] == code
    sim.cinetpay_v1.failed = 400
    assert (await asked(sim, "GET", "/payment/ORDER-123")).status == 400
    sim.ledger.newest.code = "2008"
    state = told(await asked(sim, "GET", "/payment/ORDER-123"))
    assert (state["code"], state["status"]) == (2008, "OTP_EXPIRED")


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("currency", {"currency": "XAF"}),
    ("merchant_transaction_id", {"merchant_transaction_id": "X" * 31}),
    ("merchant_transaction_id", {"merchant_transaction_id": "order_123"}),
    ("amount", {"amount": 99}),
    ("amount", {"amount": 2_500_001}),
    ("amount", {"amount": "1000"}),
    ("amount", {"amount": True}),
    ("lang", {"lang": "de"}),
    ("designation", {"designation": ""}),
    ("client_email", {"client_email": "jane"}),
    ("client_first_name", {"client_first_name": "J"}),
    ("client_last_name", {"client_last_name": "   "}),
    ("success_url", {"success_url": None}),
    ("failed_url", {"failed_url": "ftp://merchant.test/x"}),
    ("notify_url", {"notify_url": f"https://merchant.test/{'x' * 100}"}),
    ("channel", {"channel": "CARD"}),
    ("payment_method", {"payment_method": "OM_SN"}),
    ("payment_method", {"payment_method": None, "direct_pay": True}),
    ("client_phone_number", {"client_phone_number": "0707000000"}),
    ("client_phone_number", {"client_phone_number": None, "direct_pay": True}),
    ("direct_pay", {"direct_pay": "yes"}),
    ("otp_code", {"otp_code": "12"}),
    ("otp_code", {"direct_pay": True}),
]


@pytest.mark.parametrize(("field", "given"), REFUSED, ids=range(len(REFUSED)))
async def test_a_field_beyond_the_limits_is_refused(field: str, given: dict[str, Any]) -> None:
    """Each limit of CinetPay's own client is 1004, which names the field; nothing is opened."""
    sim = Simulator()
    said = await paid(sim, **given)
    assert (said["code"], said["status"]) == (1004, "INVALID_PARAMS")
    assert field in said["description"]
    assert len(sim.ledger) == 0


async def test_a_transfer_beyond_the_limits_is_refused() -> None:
    """Amount, network, number and balance are checked; an open transfer counts in the balance."""
    sim = Simulator()
    for given in (
        {"amount": 1_500_001},
        {"payment_method": "WAVE_SN"},
        {"phone_number": "0707000001"},
        {"reason": ""},
    ):
        assert (await sent(sim, **given))["code"] == 1004
    sim.cinetpay_v1.balance = Decimal(600)
    assert (await sent(sim, amount=595))["code"] == 2005
    waiting = {"phone_number": "+2250512345678", "amount": 500, "payment_method": "MTN_CI"}
    assert (await sent(sim, **waiting))["code"] == 2002
    assert sim.cinetpay_v1.balance == 90
    sim.settle("TRANSFER-1001", Status.FAILED)
    assert sim.cinetpay_v1.balance == 600


async def test_an_id_is_taken_once() -> None:
    """A second request with an id is 1200; payments and transfers have ids of their own."""
    sim = Simulator()
    await paid(sim, merchant_transaction_id="A1")
    again = await paid(sim, merchant_transaction_id="A1")
    assert (again["code"], again["status"]) == (1200, "TRANSACTION_EXIST")
    assert (await sent(sim, merchant_transaction_id="A1"))["code"] == 100
    assert len(sim.ledger) == 2
    sim.cinetpay_v1.shared_ids = True
    await paid(sim, merchant_transaction_id="A2")
    assert (await sent(sim, merchant_transaction_id="A2"))["code"] == 1200
    assert len(sim.ledger) == 3


async def test_what_is_not_known_is_not_found() -> None:
    """An unknown id is 404, and so is a payment where transfers are looked up."""
    sim = Simulator()
    opened = await paid(sim)
    for path in ("/payment/NONE", f"/transfer/{opened['transaction_id']}"):
        reply = await asked(sim, "GET", path)
        assert (reply.status, told(reply)["status"]) == (404, "NOT_FOUND")
    assert (await asked(sim, "GET", "/nothing")).status == 404


async def test_a_token_is_needed_and_expires() -> None:
    """Without a token 1002, with an old one 1003, with wrong keys 1005; Cloudflare comes first."""
    sim = Simulator()
    bad = {**KEYS, "api_password": "wrong"}
    reply = await ask(sim, "POST", f"{API}/oauth/login", bad, headers=AGENT)
    assert told(reply)["code"] == 1005
    reply = await ask(sim, "GET", f"{API}/balances", headers=AGENT)
    assert told(reply)["code"] == 1002
    headers = await login(sim)
    sim.cinetpay_v1.tokens.revoke()
    sim.cinetpay_v1.stale_status = 200
    reply = await ask(sim, "GET", f"{API}/balances", headers=headers)
    assert (reply.status, told(reply)["status"]) == (200, "EXPIRED_TOKEN")
    for agent in ({}, {"user-agent": "Python-urllib/3.11"}):
        reply = await ask(sim, "POST", f"{API}/oauth/login", KEYS, headers=agent)
        assert (reply.status, reply.body) == (403, b"error code: 1010")


async def test_an_end_is_told_with_the_orders_token() -> None:
    """The notification has the documented fields, the first answer's token, and no status."""
    sim = Simulator()
    heard: list[WebhookRequest] = []

    async def hear(message: WebhookRequest) -> None:
        heard.append(message)

    sim.on_webhook(hear)
    opened, made = await paid(sim), await sent(sim)
    sim.fault("cinetpay_v1", "", kind=Fault.WEBHOOK_FORGED)
    sim.settle("ORDER-123", Status.SUCCEEDED)
    await until(lambda: len(heard) == 3)
    transfer, forged, notice = (told(Response(status=200, body=one.body)) for one in heard)
    assert notice.keys() == sample("cinetpay_v1", "notice").keys()
    assert notice["notify_token"] == opened["notify_token"]
    assert transfer["notify_token"] == made["notify_token"]
    assert forged == {**notice, "notify_token": forged["notify_token"]}
    assert forged["notify_token"] != notice["notify_token"]


async def test_a_page_may_be_paid_that_was_called_failed() -> None:
    """An integrator saw FAILED in the answer of a page that works."""
    sim = Simulator()
    sim.cinetpay_v1.opens_as = 2010
    opened = await paid(sim)
    assert opened["details"]["status"] == "FAILED"
    path = opened["payment_url"].removeprefix(sim.url)
    back = await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert back.headers["location"] == PAYMENT["success_url"]
    assert sim.ledger.charged("ORDER-123") == 1000
    assert (await ask(sim, "GET", "/cinetpay_v1/payment/ORDER-123")).status == 404
