import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Fault, Simulator

from .asking import FORM, ask, raw, told, until

TEST = {
    "paydunya-master-key": "simulator",
    "paydunya-private-key": "test_private_simulator",
    "paydunya-token": "simulator",
}
LIVE = {**TEST, "paydunya-private-key": "live_private_simulator"}
HASH = hashlib.sha512(b"simulator").hexdigest()
ITEM = {
    "name": "Chemise",
    "quantity": 1,
    "unit_price": "5000",
    "total_price": "5000",
    "description": "",
}
ACTIONS = {
    "cancel_url": "https://shop.example/cancel",
    "return_url": "https://shop.example/return",
    "callback_url": "https://shop.example/ipn",
}


def order(**fields: Any) -> dict[str, Any]:
    """Return the page's smallest invoice, with our reference in its custom data."""
    return {
        "invoice": {"total_amount": 5000, "description": "Chaussure VANS"},
        "store": {"name": "Magasin le Choco"},
        "custom_data": {"paymux_reference": "order-1"},
        "actions": ACTIONS,
        **fields,
    }


async def create(sim: Simulator, *, live: bool = False, **fields: Any) -> str:
    """Create an invoice, and return its token."""
    path = f"/paydunya/{'api' if live else 'sandbox-api'}/v1/checkout-invoice/create"
    made = told(await ask(sim, "POST", path, order(**fields), headers=LIVE if live else TEST))
    assert made["response_code"] == "00", made
    return str(made["token"])


async def confirm(sim: Simulator, token: str, *, method: str = "GET", live: bool = False) -> Any:
    """Confirm an invoice, and return the whole answer."""
    path = f"/paydunya/{'api' if live else 'sandbox-api'}/v1/checkout-invoice/confirm/{token}"
    reply = await ask(sim, method, path, headers=LIVE if live else TEST)
    assert reply.status == 200
    return told(reply)


async def credit(sim: Simulator, alias: Any = "771111111", amount: Any = 4500) -> Any:
    """Credit an account in the sandbox, and return the answer."""
    body = {"account_alias": alias, "amount": amount}
    return told(
        await ask(
            sim, "POST", "/paydunya/sandbox-api/v1/direct-pay/credit-account", body, headers=TEST
        )
    )


@pytest.mark.parametrize(
    ("live", "site", "length"), [(False, "sandbox-checkout", 15), (True, "checkout", 21)]
)
async def test_an_invoice_is_a_page_and_waits_for_its_payer(
    live: bool, site: str, length: int
) -> None:
    """`response_text` is the address of the page; tokens of the sandbox begin with test_."""
    sim = Simulator()
    path = f"/paydunya/{'api' if live else 'sandbox-api'}/v1/checkout-invoice/create"
    made = told(await ask(sim, "POST", path, order(), headers=LIVE if live else TEST))
    assert list(made) == ["response_code", "response_text", "description", "token"]
    assert (made["response_code"], made["description"]) == ("00", "Checkout Invoice Created")
    assert made["response_text"] == f"{sim.url}/paydunya/{site}/invoice/{made['token']}"
    assert (made["token"].startswith("test_"), len(made["token"])) == (not live, length)
    assert [(one.reference, int(one.amount), one.currency, one.status) for one in sim.ledger] == [
        ("order-1", 5000, "XOF", Status.PENDING)
    ]
    found = await confirm(sim, made["token"], live=live)
    assert (found["status"], found["mode"], found["receipt_url"]) == (
        "pending",
        "live" if live else "test",
        "",
    )
    assert (await confirm(sim, made["token"], live=not live))[
        "response_text"
    ] == "Transaction Not Found"


@pytest.mark.parametrize("name", list(TEST))
@pytest.mark.parametrize("value", [None, "wrong", "live_private_simulator"])
async def test_all_three_headers_are_wanted(name: str, value: str | None) -> None:
    """A wrong key, or the other mode's, is HTTP 200 with a code that is not 00."""
    sim = Simulator()
    headers = {**TEST, name: value} if value else {key: TEST[key] for key in TEST if key != name}
    for method, path in (
        ("POST", "checkout-invoice/create"),
        ("GET", "checkout-invoice/confirm/test_x"),
        ("POST", "direct-pay/credit-account"),
    ):
        reply = await ask(sim, method, f"/paydunya/sandbox-api/v1/{path}", order(), headers=headers)
        assert (reply.status, told(reply)) == (
            200,
            {"response_code": "1001", "response_text": "Invalid Masterkey Specified"},
        )
    assert len(sim.ledger) == 0


@pytest.mark.proves("paydunya: invoice.total_amount")
@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"invoice": None}, "total_amount"),
        ({"invoice": {"description": "x"}}, "total_amount"),
        ({"invoice": [{"total_amount": 5000}]}, "invoice"),
        *[
            ({"invoice": {"total_amount": amount}}, "total_amount")
            for amount in (0, -5, 0.5, "5.5", "many", True, None, [5000])
        ],
        ({"store": {}}, "store"),
        ({"store": {"name": ""}}, "store"),
        ({"store": "Choco"}, "store"),
        ({"custom_data": "order-1"}, "custom_data"),
        ({"custom_data": ["order-1"]}, "custom_data"),
        ({"actions": "https://shop.example"}, "actions"),
        ({"invoice": {"total_amount": 5000, "items": "shirts"}}, "items"),
        ({"invoice": {"total_amount": 5000, "taxes": 18}}, "taxes"),
        ({"invoice": {"total_amount": 5000, "customer": "Ama"}}, "customer"),
    ],
)
async def test_a_bad_invoice_is_refused_with_http_200(fields: dict[str, Any], word: str) -> None:
    """Only total_amount and the store's name are required; a refusal has code and text."""
    sim = Simulator()
    path = "/paydunya/sandbox-api/v1/checkout-invoice/create"
    reply = await ask(sim, "POST", path, order(**fields), headers=TEST)
    assert reply.status == 200
    assert set(told(reply)) == {"response_code", "response_text"}
    assert told(reply)["response_code"] == "1001"
    assert word in told(reply)["response_text"]
    assert told(await ask(sim, "POST", path, b"{", headers=TEST))["response_text"] == "Invalid JSON"
    assert len(sim.ledger) == 0


@pytest.mark.parametrize("amount", [5000, "5000", 5000.0])
@pytest.mark.parametrize("items", [[ITEM, ITEM], {"item_0": ITEM, "item_1": ITEM}])
async def test_clients_write_items_and_amounts_their_own_way(amount: Any, items: Any) -> None:
    """Items as list or map and amounts as number or string are one invoice."""
    sim = Simulator()
    taxes = {"tax_0": {"name": "TVA (18%)", "amount": 900}}
    invoice = {"total_amount": amount, "items": items, "taxes": taxes, "channels": ["card"]}
    token = await create(sim, invoice=invoice, actions=dict.fromkeys(ACTIONS))
    found = (await confirm(sim, token))["invoice"]
    assert (found["total_amount"], found["items"], found["taxes"]) == (
        5000,
        {"item_0": ITEM, "item_1": ITEM},
        taxes,
    )
    sim.settle(token, Status.SUCCEEDED)
    assert sim.ledger.charged(token) == 5000


@pytest.mark.proves("paydunya: confirm actions: what we")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.PENDING, "pending"),
        (Status.SUCCEEDED, "completed"),
        (Status.FAILED, "failed"),
        (Status.CANCELLED, "cancelled"),
        (Status.EXPIRED, "cancelled"),
    ],
)
async def test_a_confirmation_has_its_state_in_status(
    method: str, status: Status, word: str
) -> None:
    """The response code is always 00; all fields of the page are there, in its order."""
    sim = Simulator()
    sim.paydunya.extras = False
    token = await create(sim, custom_data={"paymux_reference": "order-1", "numero": 5})
    if status.terminal:
        sim.settle("order-1", status, reason=Reason.CANCELLED)
    found = await confirm(sim, token, method=method)
    assert list(found) == [
        "response_code",
        "response_text",
        "hash",
        "invoice",
        "custom_data",
        "actions",
        "mode",
        "status",
        "fail_reason",
        "customer",
        "receipt_url",
    ]
    assert list(found["invoice"]) == ["items", "taxes", "token", "total_amount", "description"]
    assert (found["response_code"], found["response_text"]) == ("00", "Transaction Found")
    assert (found["status"], found["hash"], found["invoice"]["token"]) == (word, HASH, token)
    assert (found["custom_data"], found["actions"]) == (
        {"paymux_reference": "order-1", "numero": 5},
        ACTIONS,
    )
    failed = status.terminal and status is not Status.SUCCEEDED
    assert found["fail_reason"] == ("Payment cancelled by customer" if failed else "")
    assert sim.ledger.charged("order-1") == (5000 if status is Status.SUCCEEDED else 0)


async def test_live_bodies_have_more_than_the_page() -> None:
    """Fees paid in addition, amounts as strings, reasons in `errors`, expiry and operator."""
    sim = Simulator()
    sim.paydunya.strings, sim.paydunya.fees, sim.paydunya.failure = True, 150, "errors"
    token = await create(sim)
    sim.settle(token, Status.FAILED, reason=Reason.INSUFFICIENT_FUNDS)
    found = await confirm(sim, token)
    assert (found["invoice"]["total_amount"], found["invoice"]["total_amount_without_fees"]) == (
        "5150",
        "5000",
    )
    assert found["invoice"]["expire_date"]
    assert (found["fail_reason"], found["errors"]["message"]) == ("", "Insufficient balance")
    assert found["customer"]["payment_method"] == "wave_senegal"
    assert (found["receipt_identifier"], found["provider_reference"]) == ("", "")


async def test_another_word_may_be_said() -> None:
    """A test may set the status word; the ledger keeps the truth."""
    sim = Simulator()
    sim.paydunya.expired = "expired"
    first, second = await create(sim), await create(sim)
    sim.settle(first, Status.EXPIRED)
    sim.settle(second, Status.PENDING, code="processing")
    assert [(await confirm(sim, token))["status"] for token in (first, second)] == [
        "expired",
        "processing",
    ]
    assert [entry.status for entry in sim.ledger] == [Status.EXPIRED, Status.PENDING]


async def test_every_invoice_is_a_new_one() -> None:
    """PayDunya knows no duplicates: the same invoice twice is two, and both can be paid."""
    sim = Simulator()
    tokens = {await create(sim), await create(sim)}
    sim.settle("order-1", Status.SUCCEEDED)
    assert len(tokens) == 2
    assert sim.ledger.charged("order-1") == 10_000


@pytest.mark.parametrize("stem", ["77000000", "+22177000000", "00221 77 00 00 00 "])
@pytest.mark.parametrize(
    ("last", "word"), [("7", "completed"), ("0", "failed"), ("2", "cancelled"), ("4", "pending")]
)
async def test_a_magic_number_decides_by_itself(stem: str, last: str, word: str) -> None:
    """The prefilled customer's number, local or not, decides."""
    async with Simulator(payer_delay=0.0) as sim:
        customer = {"name": "Ama", "email": "ama@shop.example", "phone": f"{stem}{last}"}
        token = await create(sim, invoice={"total_amount": 5000, "customer": customer}, actions={})
        await until(lambda: last == "4" or all(entry.status.terminal for entry in sim.ledger))
        found = await confirm(sim, token)
    assert found["status"] == word
    assert {name: found["customer"][name] for name in customer} == customer
    assert sim.ledger.charged() == (5000 if last == "7" else 0)
    assert sim.deliveries == []


async def test_an_order_without_a_number_does_as_the_simulator_says() -> None:
    """The default decides for payers without a number; the page's fictitious customer pays."""
    async with Simulator(payer_delay=0.0, default=Status.SUCCEEDED) as sim:
        sim.on_webhook(lambda incoming: None)
        token = await create(sim)
        await until(lambda: sim.ledger.charged("order-1") == 5000)
        assert (await confirm(sim, token))["customer"]["name"] == "Alioune Faye"


@pytest.mark.proves("paydunya: the IPN: a POST of a form")
@pytest.mark.parametrize("notification", ["form", "bare", "data", "twice", "json"])
@pytest.mark.parametrize(
    ("status", "word"),
    [(Status.SUCCEEDED, "completed"), (Status.FAILED, "failed"), (Status.CANCELLED, "cancelled")],
)
async def test_the_ipn_is_the_confirmation_under_data(
    notification: str, status: Status, word: str
) -> None:
    """A nested form with encoded brackets, and its variants: one tree, as in a confirmation."""
    async with Simulator() as sim:
        got: list[WebhookRequest] = []
        sim.on_webhook(got.append)
        sim.paydunya.notification = notification
        token = await create(
            sim, custom_data={"paymux_reference": "order-1", "gift": True, "note": None}
        )
        sim.settle("order-1", status)
        await until(lambda: got)
        found = await confirm(sim, token)
    message = got[0]
    assert (message.method, message.path) == ("POST", "/ipn")
    text = message.body.decode()
    if notification == "json":
        assert message.headers["content-type"] == "application/json"
        assert json.loads(text) == {"data": found}
        return
    assert message.headers["content-type"] == FORM["content-type"]
    body = dict(parse_qsl(text, keep_blank_values=True))
    if notification in ("form", "bare"):
        assert ("data%5Bhash%5D=" if notification == "form" else "data[hash]=") in text
        assert (body["data[status]"], body["data[hash]"]) == (word, HASH)
        assert (body["data[invoice][token]"], body["data[invoice][total_amount]"]) == (
            token,
            "5000",
        )
        assert (body["data[custom_data][paymux_reference]"], body["data[custom_data][gift]"]) == (
            "order-1",
            "1",
        )
        assert "data[custom_data][note]" not in body
    else:
        assert (
            json.loads(unquote(body["data"]) if notification == "twice" else body["data"]) == found
        )


async def test_a_forged_ipn_has_another_hash() -> None:
    """A forged success lacks the master key; the true message follows."""
    async with Simulator() as sim:
        got: list[dict[str, str]] = []
        sim.on_webhook(lambda incoming: got.append(dict(parse_qsl(incoming.body.decode()))))
        token = await create(sim)
        sim.fault("paydunya", token, kind=Fault.WEBHOOK_FORGED)
        sim.settle(token, Status.CANCELLED)
        await until(lambda: len(got) == 2)
    assert [body["data[status]"] for body in got] == ["completed", "cancelled"]
    assert [body["data[hash]"] == HASH for body in got] == [False, True]


@pytest.mark.proves("paydunya: actions.cancel_url: where")
@pytest.mark.parametrize(
    ("decision", "word", "back"),
    [
        ("approve", "completed", "https://shop.example/return?token="),
        ("decline", "failed", "https://shop.example/cancel"),
        ("cancel", "cancelled", "https://shop.example/cancel"),
    ],
)
async def test_a_person_decides_on_the_page(decision: str, word: str, back: str) -> None:
    """After a payment return_url with the token, otherwise cancel_url; the page decides once."""
    sim = Simulator()
    token = await create(sim)
    path = f"/paydunya/sandbox-checkout/invoice/{token}"
    shown = await ask(sim, "GET", path)
    assert (shown.status, "5\u202f000\u00a0XOF" in shown.body.decode()) == (200, True)
    assert (await ask(sim, "POST", path, {"decision": "?"}, form=True)).status == 200
    for again in (decision, decision):
        gone = await ask(sim, "POST", path, {"decision": again}, form=True)
        assert (gone.status, gone.headers["location"]) == (
            302,
            back + (token if word == "completed" else ""),
        )
    await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert (await confirm(sim, token))["status"] == word
    assert sim.ledger.charged("order-1") == (5000 if word == "completed" else 0)
    receipt = await ask(sim, "GET", f"/paydunya/sandbox-checkout/receipt/pdf/{token}.pdf")
    assert receipt.status == (200 if word == "completed" else 404)
    assert (await ask(sim, "GET", "/paydunya/checkout/invoice/nobody")).status == 404


@pytest.mark.parametrize("joint", ["&", "?"])
async def test_the_way_back_may_have_a_query(joint: str) -> None:
    """How the token joins a query is not documented; without return_url the page has the end."""
    sim = Simulator()
    sim.paydunya.joint = joint
    token = await create(sim, actions={"return_url": "https://shop.example/?seller=2"})
    path = f"/paydunya/sandbox-checkout/invoice/{token}"
    gone = await ask(sim, "POST", path, {"decision": "approve"}, form=True)
    assert gone.headers["location"] == f"https://shop.example/?seller=2{joint}token={token}"
    token = await create(sim, actions={})
    stays = await ask(
        sim, "POST", f"/paydunya/checkout/invoice/{token}", {"decision": "cancel"}, form=True
    )
    assert (stays.status, b"cancelled" in stays.body) == (200, True)


async def test_a_credit_moves_money_before_its_answer() -> None:
    """The page's answer word for word; the same credit again is another one; without IPN."""
    sim = Simulator()
    assert await credit(sim) == {
        "response_code": "00",
        "response_text": "Transaction completed successfully",
        "description": (
            "Success! Amount of 4500 FCFA has been transfered to Sandbox Account BOUBACAR BAH"
        ),
        "transaction_id": "TEST000001",
    }
    assert (await credit(sim, "ama@shop.example", "4500"))["transaction_id"] == "TEST000002"
    assert sim.ledger.paid_out(provider="paydunya") == 9000
    assert [entry.party for entry in sim.ledger] == ["771111111", "ama@shop.example"]
    assert sim.deliveries == []
    path = "/paydunya/api/v1/direct-pay/credit-account"
    live = told(
        await ask(sim, "POST", path, {"account_alias": "771111111", "amount": 1}, headers=LIVE)
    )
    assert (live["response_code"], live["transaction_id"]) == ("00", "LIVE000003")
    assert (await confirm(sim, "TEST000001"))["response_code"] == "1001"


@pytest.mark.parametrize(
    ("alias", "amount", "code"),
    [
        ("+221771111111", 4500, "1001"),
        ("221771111111", 4500, "1001"),
        ("77 111", 4500, "1001"),
        ("", 4500, "1001"),
        (None, 4500, "1001"),
        ("771111111", 0, "1001"),
        ("771111111", "4500.50", "1001"),
        ("771111111", None, "1001"),
        ("771111111", 5001, "4002"),
    ],
)
async def test_a_bad_credit_is_refused(alias: Any, amount: Any, code: str) -> None:
    """An alias is a local number or an e-mail; the amount is whole francs within the balance."""
    sim = Simulator()
    sim.paydunya.balance = 5000
    assert (await credit(sim, alias, amount))["response_code"] == code
    assert len(sim.ledger) == 0


@pytest.mark.proves("paydunya: PER must be switched")
async def test_credits_are_an_option_and_come_from_the_balance() -> None:
    """If switched off in the settings, credits are refused; collected money can be paid out."""
    sim = Simulator()
    sim.paydunya.redistribution = False
    assert (await credit(sim))["response_code"] == "401"
    sim.paydunya.redistribution, sim.paydunya.balance = True, 0
    assert (await credit(sim))["response_code"] == "4002"
    sim.settle(await create(sim), Status.SUCCEEDED)
    assert (await credit(sim))["response_code"] == "00"
    assert sim.paydunya.balance == 500


# SoftPay.


async def pushed(sim: Simulator, way: str, **body: Any) -> tuple[int, Any]:
    """Make an invoice, and let a network ask its payer."""
    names = {
        "orange_money_ci_customer_fullname": "Awa Sow",
        "orange_money_ci_email": "awa@example.com",
        "orange_money_ci_phone_number": "0707070707",
        "orange_money_ci_otp": "654321",
        "payment_token": await create(sim),
    }
    given = {name: value for name, value in {**names, **body}.items() if value is not None}
    reply = await ask(sim, "POST", f"/paydunya/api/v1/softpay/{way}", given, headers=TEST)
    return reply.status, told(reply)


async def test_a_push_asks_the_payer_of_an_invoice() -> None:
    """The answer says that it was started; the payer's end is the invoice's."""
    sim = Simulator()
    status, said = await pushed(sim, "orange-money-ci")
    assert (status, said["success"], "response_code" in said) == (200, True, False)
    (entry,) = sim.ledger
    assert (entry.party, entry.asks, entry.moved) == ("2250707070707", True, False)
    sim.settle(entry.provider_reference, Status.SUCCEEDED)
    assert sim.ledger.charged(provider="paydunya") == entry.amount


@pytest.mark.parametrize(
    ("way", "body", "status", "word"),
    [
        ("orange-money-ci", {"orange_money_ci_otp": "1"}, 422, "OTP"),
        ("orange-money-ci", {"orange_money_ci_phone_number": "+2250707070707"}, 200, "numéro"),
        ("orange-money-ci", {"orange_money_ci_email": None}, 200, "orange_money_ci_email"),
        ("orange-money-ci", {"payment_token": "test_x"}, 200, "Facture"),
        ("mtn-ci", {}, 200, "mtn_ci"),
        ("orange-money", {}, 200, "moyen"),
    ],
)
async def test_a_bad_push_asks_nobody(
    way: str, body: dict[str, Any], status: int, word: str
) -> None:
    """A refusal is `success: false` with words."""
    sim = Simulator()
    found, said = await pushed(sim, way, **body)
    assert (found, said["success"]) == (status, False)
    assert word in said["message"]
    assert not any(entry.asks for entry in sim.ledger)


# OPR.


async def onsite(sim: Simulator, step: str, **body: Any) -> Any:
    """Send one of the two requests, and return the answer."""
    return told(await ask(sim, "POST", f"/paydunya/sandbox-api/v1/opr/{step}", body, headers=TEST))


async def test_a_code_charges_an_account_once() -> None:
    """The code is sent first, and charges nothing; a wrong one and a second charge are refused."""
    sim = Simulator()
    alias = {"account_alias": "774563209"}
    made = await onsite(sim, "create", invoice_data=order(), opr_data=alias)
    assert sim.paydunya.opr.sent == ["774563209"]
    assert not sim.ledger.charged()
    token = made["token"]
    wrong = await onsite(sim, "charge", token=token, confirm_token="9999")
    assert (wrong["response_code"], "code" in wrong) == ("1001", False)
    charged = await onsite(sim, "charge", token=token, confirm_token="1234")
    assert charged["invoice_data"]["status"] == "completed"
    assert (await confirm(sim, made["invoice_token"]))["status"] == "completed"
    assert (await onsite(sim, "charge", token=token, confirm_token="1234"))["response_code"] != "00"
    assert sim.ledger.charged("order-1") == 5000


async def test_an_onsite_payment_needs_an_account_and_an_invoice() -> None:
    """Otherwise no code is sent."""
    sim = Simulator()
    for body in ({"invoice_data": order()}, {"opr_data": {"account_alias": "774563209"}}):
        assert (await onsite(sim, "create", **body))["response_code"] == "1001"
    assert sim.paydunya.opr.sent == []


# Disburse v2.


async def disburse(sim: Simulator, call: str, **body: Any) -> Any:
    """Send one of the three requests, and return the answer."""
    return told(await ask(sim, "POST", f"/paydunya/api/v2/disburse/{call}", body, headers=TEST))


async def invoiced(sim: Simulator, **changes: Any) -> Any:
    """Ask for a token of a disbursement of 500 francs."""
    body = {
        "account_alias": "771111111",
        "amount": 500,
        "withdraw_mode": "wave-senegal",
        "callback_url": "https://shop.example/payout",
        "disburse_id": "wage-7",
        **changes,
    }
    return await disburse(sim, "get-invoice", **body)


def office(answers: int = 200) -> tuple[Simulator, list[WebhookRequest]]:
    """Return a simulator whose shop answers its messages so, and what the shop hears."""
    sim, heard = Simulator(), list[WebhookRequest]()

    def hears(message: WebhookRequest) -> Response:
        heard.append(message)
        return Response(status=answers)

    sim.on_webhook(hears)
    return sim, heard


async def test_a_disbursement_probes_the_callback_then_pays_and_tells() -> None:
    """An empty message first; the money moves at the submit alone, and its end is a flat form."""
    sim, heard = office()
    token = (await invoiced(sim))["disburse_token"]
    assert token.endswith(" ")
    assert [(one.method, one.body) for one in heard] == [("POST", b"")]
    assert len(sim.ledger) == 0
    state = await disburse(sim, "check-status", disburse_invoice=token)
    assert (state["status"], state["amount"]) == ("created", "500.00")
    made = await disburse(sim, "submit-invoice", disburse_invoice=token)
    assert set(made) == {"response_code", "transaction_id", "provider_ref"}
    state = await disburse(sim, "check-status", disburse_invoice=token)
    assert (state["status"], state["disburse_id"]) == ("pending", "wage-7")
    sim.settle(token.strip(), Status.SUCCEEDED)
    await until(lambda: len(heard) == 2)
    message = dict(parse_qsl(heard[1].body.decode()))
    state = await disburse(sim, "check-status", disburse_invoice=token)
    assert message == {
        "hash": HASH,
        **{name: said for name, said in state.items() if not name.startswith("response_")},
    }
    assert (message["status"], message["token"]) == ("success", token)
    assert sim.ledger.paid_out(provider="paydunya") == 500
    assert sim.paydunya.balance == 999_500


async def test_one_token_is_one_payout() -> None:
    """A second submit pays nothing; a second token is a second payout."""
    sim, _ = office()
    token = (await invoiced(sim))["disburse_token"]
    for _ in range(2):
        await disburse(sim, "submit-invoice", disburse_invoice=token)
    assert len(sim.ledger) == 1
    again = (await invoiced(sim))["disburse_token"]
    await disburse(sim, "submit-invoice", disburse_invoice=again)
    assert len(sim.ledger) == 2


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"withdraw_mode": "wave"}, "1001", "mode"),
        ({"account_alias": "221771111111"}, "1001", "account_alias"),
        ({"amount": 0.5}, "1001", "amount"),
        ({"callback_url": ""}, "4002", "callback"),
        ({"callback_url": None}, "4002", "callback"),
    ],
)
async def test_a_bad_disbursement_is_refused(changes: dict[str, Any], code: str, word: str) -> None:
    """A refusal is HTTP 200 with a code and words, and makes no token."""
    sim, _ = office()
    refused = await invoiced(sim, **changes)
    assert (refused["response_code"], "disburse_token" in refused) == (code, False)
    assert word in refused["response_text"]


async def test_a_callback_that_does_not_answer_is_4002_like_missing_funds() -> None:
    """The code is the same: only the words tell them apart."""
    sim, _ = office(answers=404)
    assert (await invoiced(sim))["response_text"] == "the callback is not accessible"
    sim, _ = office()
    sim.paydunya.balance = 499
    token = (await invoiced(sim))["disburse_token"]
    refused = await disburse(sim, "submit-invoice", disburse_invoice=token)
    assert (refused["response_code"], "enough funds" in refused["response_text"]) == ("4002", True)
    assert len(sim.ledger) == 0


async def test_a_stuck_disbursement_stays_created() -> None:
    """What is not sent to the operator is `created`, also long after the submit."""
    sim, _ = office()
    sim.paydunya.disburse.stuck = True
    sim.paydunya.disburse.says = "success"
    token = (await invoiced(sim))["disburse_token"]
    made = await disburse(sim, "submit-invoice", disburse_invoice=token)
    assert made["status"] == "success"
    state = await disburse(sim, "check-status", disburse_invoice=token)
    assert state["status"] == "created"


async def test_disbursing_is_an_option() -> None:
    """PayDunya switches it on; an unknown token is refused by either of the later requests."""
    sim, _ = office()
    for call in ("submit-invoice", "check-status"):
        assert (await disburse(sim, call, disburse_invoice="x"))["response_code"] == "404"
    sim.paydunya.disburse.enabled = False
    assert (await invoiced(sim))["response_code"] == "401"


async def test_slashes_are_forgiven_on_the_socket() -> None:
    """Doubled and trailing slashes are accepted; an unknown path is an HTML page."""
    async with Simulator() as sim:
        made = await raw(
            sim, "POST", "/paydunya//sandbox-api/v1/checkout-invoice/create/", order(), TEST
        )
        token = json.loads(made.partition(b"\r\n\r\n")[2])["token"]
        found = await raw(
            sim, "GET", f"/paydunya/sandbox-api/v1/checkout-invoice/confirm/{token}/", None, TEST
        )
        lost = await raw(sim, "POST", "/paydunya/api/v2/checkout-invoice/create", order(), LIVE)
    assert b'"status": "pending"' in found
    assert lost.startswith(b"HTTP/1.1 404 ")
    assert b"<!doctype html>" in lost


async def test_a_stale_token_is_a_wrong_key() -> None:
    """PayDunya has no tokens: the fault refuses the keys, and nothing was processed."""
    sim = Simulator()
    sim.fault("paydunya", kind=Fault.STALE_TOKEN)
    path = "/paydunya/sandbox-api/v1/checkout-invoice/create"
    reply = await ask(sim, "POST", path, order(), headers=TEST)
    assert told(reply)["response_text"] == "Invalid Masterkey Specified"
    assert len(sim.ledger) == 0
