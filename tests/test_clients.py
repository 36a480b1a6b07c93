"""Other people's clients, unmodified, against the simulator.

`tests/clients/install` installs them.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from paymux.http import WebhookRequest
from paymux.models import Reason, Status
from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator

from .simulator.asking import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
Ask: TypeAlias = Callable[..., Awaitable[Any]]

SHOP = "https://shop.example"


def python_of(name: str) -> Path:
    """Return the Python of a client's environment; skip the test if it is not installed."""
    told = os.environ.get("PAYMUX_CLIENTS")
    # Not resolved: Python finds its environment by the path of this link.
    python = (Path(told) if told else ROOT / ".venv-clients").absolute() / name / "bin" / "python"
    if not python.exists():
        reason = f"{name} is not installed: no {python}; tests/clients/install does that"
        pytest.fail(reason) if told else pytest.skip(reason)
    return python


def surroundings() -> dict[str, str]:
    """Return the environment variables for a client, without proxies and Python's settings."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not (k.startswith("PYTHON") or k.lower().endswith("_proxy"))
    }
    return {**kept, "PYTHONUTF8": "1"}


@contextlib.asynccontextmanager
async def client(name: str, version: str, url: str) -> AsyncIterator[Ask]:
    """Run a client's program in its own environment, and check that it is the published one."""
    module = f"tests.clients.{name.replace('-', '_')}"
    async with running(name, version, python_of(name), "-m", module, url) as ask:
        yield ask


@contextlib.asynccontextmanager
async def running(name: str, version: str, *command: str | Path) -> AsyncIterator[Ask]:
    """Run a program that answers lines of JSON, beginning with its version."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=surroundings(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    requests, answers = process.stdin, process.stdout

    async def answer() -> Any:
        async with asyncio.timeout(30):
            line = await answers.readline()
        assert line, f"the program of {name} has ended: see stderr"
        return json.loads(line)

    async def ask(operation: str, *arguments: Any) -> Any:
        requests.write(f"{json.dumps([operation, *arguments])}\n".encode())
        return await answer()

    try:
        assert await answer() == {"version": version, "changed": []}
        yield ask
        requests.close()
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_campay() -> None:
    """CamPay's own SDK collects, verifies, withdraws, reads the balance and makes a link."""
    async with Simulator() as sim, client("campay", "1.1.0", f"{sim.url}/campay") as ask:
        order = {"amount": 500, "currency": "XAF", "description": "Bread"}

        # It polls every 3 seconds until the payer has decided; here it is the demo's number that
        # pays.
        paid = await ask(
            "collect", {**order, "from": "237677777777", "external_reference": "order-1"}
        )
        assert (paid["status"], paid["external_reference"]) == ("SUCCESSFUL", "order-1")
        assert Decimal(paid["amount"]) == sim.ledger.charged("order-1") == 500

        asked = await ask(
            "initCollect", {**order, "from": "237699123456", "external_reference": "order-2"}
        )
        assert (asked["operator"], asked["ussd_code"]) == ("orange", "#150*50#")
        waiting = await ask("get_transaction_status", {"reference": asked["reference"]})
        assert waiting["status"] == "PENDING"
        sim.settle("order-2", Status.FAILED, reason=Reason.DECLINED)
        declined = await ask("get_transaction_status", {"reference": asked["reference"]})
        assert declined["status"] == "FAILED"
        assert sim.ledger.charged("order-2") == 0

        odd = {**order, "amount": "100.5", "from": "237677777777", "external_reference": "order-3"}
        refused = await ask("initCollect", odd)
        assert refused["status"] == "FAILED"
        assert refused["message"].startswith("Invalid amount")
        assert sim.ledger.entries("order-3") == []

        wage = {**order, "amount": 1000, "to": "237699999999", "external_reference": "wage-1"}
        assert (await ask("disburse", wage))["status"] == "SUCCESSFUL"
        assert sim.ledger.paid_out("wage-1") == 1000

        balance = await ask("get_balance")
        # MTN got 500 minus the fee of one per cent, and 1000 was paid out by Orange.
        assert (balance["mtn_balance"], balance["orange_balance"]) == (1_000_495.0, 999_000.0)
        assert balance["total_balance"] == 1_999_495.0

        pages = {"redirect_url": f"{SHOP}/back", "failure_redirect_url": f"{SHOP}/failed"}
        payer = {
            "from": "237670000000",
            "first_name": "Ada",
            "last_name": "Ba",
            "email": "ada@shop.example",
        }
        link = await ask(
            "get_payment_link",
            {**order, **pages, **payer, "payment_options": "MOMO", "external_reference": "order-4"},
        )
        assert link["status"] == "SUCCESSFUL"
        assert link["link"] == f"{sim.url}/campay/pay/{link['reference']}/"
        assert sim.ledger.totals() == {
            ("campay", "collect", "XAF"): 500,
            ("campay", "payout", "XAF"): 1000,
        }


async def test_cinetpay() -> None:
    """The cinetpay package opens a page, checks it by token and by id, and gets errors."""
    # It uses only the host of its URL, so the simulator serves CinetPay without its mount.
    async with Simulator(root="cinetpay") as sim, client("cinetpay", "0.0.1", sim.url) as ask:
        sim.on_webhook(lambda incoming: None)
        order = {
            "amount": 500,
            "notify_url": f"{SHOP}/notify",
            "return_url": f"{SHOP}/return",
            "description": "A",
        }
        payer = {
            "customer_id": "7",
            "customer_name": "Kouassi",
            "customer_surname": "Aya",
            "customer_phone_number": "+2250707123456",
        }

        made = await ask("initialize", {**order, "id": "order-1"}, payer)
        assert (made["has_error"], made["json"]["code"], made["json"]["message"]) == (
            False,
            "201",
            "CREATED",
        )
        token = made["json"]["data"]["payment_token"]
        assert made["json"]["data"]["payment_url"] == f"{sim.url}/cinetpay/payment/{token}"

        waiting = (await ask("check", {"token": token}))["json"]
        assert (waiting["code"], waiting["data"]["status"]) == ("662", "WAITING_FOR_CUSTOMER")
        sim.settle("order-1", Status.SUCCEEDED)
        for by in ({"token": token}, {"_id": "order-1"}):
            paid = (await ask("check", by))["json"]
            assert (paid["code"], paid["data"]["status"]) == ("00", "ACCEPTED")
            assert (paid["data"]["amount"], paid["data"]["currency"]) == ("500", "XOF")
        assert sim.ledger.charged("order-1") == 500

        await ask("initialize", {**order, "id": "order-2"}, payer)
        sim.settle("order-2", Status.FAILED, reason=Reason.INSUFFICIENT_FUNDS)
        failed = (await ask("check", {"_id": "order-2"}))["json"]
        assert (failed["code"], failed["data"]["status"]) == ("602", "REFUSED")

        refused = await ask("initialize", {**order, "id": "order-3", "amount": 502}, payer)
        assert (refused["has_error"], refused["status_code"], refused["json"]["code"]) == (
            True,
            400,
            "608",
        )
        assert refused["description"] == "Minimum required field"  # its own text for this code
        assert sim.ledger.totals() == {("cinetpay", "collect", "XOF"): 500}


async def test_cinetpay_python() -> None:
    """CinetPay's own client of 2026 collects, pays out, reads the balance and hears of the ends."""
    url = "/cinetpay_v1"
    async with Simulator() as sim, client("cinetpay-python", "0.1.0", f"{sim.url}{url}") as ask:
        told: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        sim.on_webhook(told.put_nowait)
        urls = {"notify_url": f"{SHOP}/notify"}
        order = {
            "currency": "XOF",
            "merchant_transaction_id": "ORDER-1",
            "amount": 1000,
            "lang": "fr",
            "designation": "Bread",
            "client_email": "awa@example.com",
            "client_first_name": "Awa",
            "client_last_name": "Kone",
            "success_url": f"{SHOP}/return",
            "failed_url": f"{SHOP}/failed",
            "channel": "PUSH",
            **urls,
        }

        opened = await ask("pay", order)
        assert (opened["code"], opened["details"]["status"]) == (200, "INITIATED")
        assert opened["details"]["must_be_redirected"] is True
        assert opened["payment_url"] == f"{sim.url}{url}/payment/{opened['payment_token']}"
        for name in ("payment_token", "transaction_id", "merchant_transaction_id"):
            assert (await ask("payment", opened[name]))["status"] == "PENDING"
        sim.settle("ORDER-1", Status.SUCCEEDED)
        message = (await asyncio.wait_for(told.get(), 5)).body.decode()
        for token, ours in ((opened["notify_token"], True), ("another", False)):
            said = await ask("notification", message, token)
            assert (said["ours"], said["transaction_id"]) == (ours, opened["transaction_id"])
        paid = await ask("payment", opened["payment_token"])
        assert (paid["code"], paid["status"]) == (100, "SUCCESS")

        again = await ask("pay", order)
        assert (again["code"], again["word"]) == (1200, "TRANSACTION_EXIST")
        assert (await ask("pay", {**order, "amount": 99})) == {"field": "amount"}
        small = await ask("pay", {**order, "merchant_transaction_id": "order_2"})
        assert (small["code"], small["word"]) == (1004, "INVALID_PARAMS")

        direct = {"direct_pay": True, "payment_method": "OM_CI", "otp_code": "1234"}
        failing = {**order, **direct, "merchant_transaction_id": "ORDER-3"}
        failed = await ask("pay", {**failing, "client_phone_number": "+2250707070703"})
        assert (failed["code"], failed["details"]["status"]) == (200, "FAILED")
        assert (await ask("payment", "ORDER-3"))["status"] == "FAILED"

        wage = {
            "currency": "XOF",
            "merchant_transaction_id": "WAGE-1",
            "phone_number": "+2250707000001",
            "amount": 500,
            "payment_method": "OM_CI",
            "reason": "Wage",
            **urls,
        }
        sent = await ask("send", wage)
        assert (sent["status"], sent["amount"], sent["fee_amount"]) == ("SUCCESS", "500", "10")
        assert sent["notify_token"]
        sim.cinetpay_v1.tokens.revoke()  # 1003: the client logs in again
        for name in ("transaction_id", "merchant_transaction_id"):
            assert (await ask("transfer", sent[name]))["status"] == "SUCCESS"
        waiting = {**wage, "merchant_transaction_id": "WAGE-2", "phone_number": "+2250512345678"}
        assert (await ask("send", {**waiting, "payment_method": "MTN_CI"}))["status"] == "PENDING"
        assert (await ask("transfer", "NONE"))["word"] == "NOT_FOUND"
        assert (await ask("balance"))["available_balance"] == "999980.00"
        sim.cinetpay_v1.balance = Decimal(0)
        short = await ask("send", {**wage, "merchant_transaction_id": "WAGE-3"})
        assert (short["code"], short["word"]) == (2005, "INSUFFICIENT_BALANCE")
        assert sim.ledger.totals() == {
            ("cinetpay_v1", "collect", "XOF"): 1000,
            ("cinetpay_v1", "payout", "XOF"): 500,
        }


async def test_daraja_v3() -> None:
    """daraja-v3 pushes, queries, reads the callback and registers URLs, all with one login."""
    async with Simulator() as sim, client("daraja-v3", "0.2.1", f"{sim.url}/mpesa") as ask:
        callbacks: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        sim.on_webhook(callbacks.put_nowait)
        order = {"amount": 250, "callback_url": f"{SHOP}/pay/7f3c"}

        pushed = await ask("stk_push", {**order, "phone": "0712345678", "reference": "order-1"})
        checkout = pushed["checkout_request_id"]
        assert pushed["merchant_request_id"]
        # Daraja sends "still processing" as HTTP 500, for which this client raises.
        waiting = await ask("stk_query", checkout)
        assert (waiting["raised"], waiting["code"]) == ("MpesaError", "500.001.1001")
        assert waiting["message"].endswith("The transaction is being processed")

        [entry] = sim.settle("order-1", Status.SUCCEEDED)
        told = await asyncio.wait_for(callbacks.get(), 5)
        callback = await ask("parse_stk_callback", json.loads(told.body))
        assert (callback["paid"], callback["amount"], callback["phone"]) == (
            True,
            250.0,
            "254712345678",
        )
        assert callback["mpesa_receipt"] == entry.words["receipt"]
        assert callback["checkout_request_id"] == checkout
        paid = await ask("stk_query", checkout)
        assert (paid["is_paid"], paid["result_code"], paid["checkout_request_id"]) == (
            True,
            "0",
            checkout,
        )
        assert sim.ledger.charged("order-1") == 250

        pushed = await ask("stk_push", {**order, "phone": "0110345678", "reference": "order-2"})
        sim.settle("order-2", Status.CANCELLED)
        cancelled = await ask("stk_query", pushed["checkout_request_id"])
        assert (cancelled["is_paid"], cancelled["result_code"]) == (False, "1032")
        callback = await ask(
            "parse_stk_callback", json.loads((await asyncio.wait_for(callbacks.get(), 5)).body)
        )
        assert (callback["paid"], callback["result_code"], callback["mpesa_receipt"]) == (
            False,
            "1032",
            None,
        )

        sim.mpesa.refuses_words = True
        avoided = {
            **order,
            "callback_url": f"{SHOP}/mpesa",
            "phone": "0712345678",
            "reference": "order-3",
        }
        refused = await ask("stk_push", avoided)
        assert refused["code"] == "400.002.02"
        assert refused["message"].endswith("Bad Request - Invalid CallBackURL")

        registered = await ask("c2b_register_urls", f"{SHOP}/validate", f"{SHOP}/confirm")
        assert registered["ResponseCode"] == "0"
        assert len(sim.received("mpesa", "GET /oauth/v1/generate/")) == 1
        assert sim.ledger.totals() == {("mpesa", "collect", "KES"): 250}


async def test_daraja_v3_pays_out() -> None:
    """daraja-v3 pays out, gets an error for a repeated id, and requests the balance."""
    async with Simulator() as sim, client("daraja-v3", "0.2.1", f"{sim.url}/mpesa") as ask:
        results: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        sim.on_webhook(results.put_nowait)
        initiator = {"initiator_name": "testapi", "security_credential": "c2ltdWxhdG9y"}
        common = {
            **initiator,
            "callback_url": f"{SHOP}/done/7f",
            "queue_timeout_url": f"{SHOP}/late/7f",
        }
        wage = {**common, "phone": "0712345678", "amount": 1000}

        # Its ids are whole seconds: for Daraja, a second payout in the same second repeats the
        # first.
        await asyncio.sleep(1.05 - time.time() % 1)
        paid, refused = await ask("b2c", wage), await ask("b2c", wage)
        assert (refused["raised"], refused["code"]) == ("MpesaError", "500.002.1001")
        assert refused["message"].endswith("Duplicate OriginatorConversationID.")

        [entry] = sim.settle(paid["conversation_id"], Status.SUCCEEDED)
        told = json.loads((await asyncio.wait_for(results.get(), 5)).body)["Result"]
        assert (told["ResultCode"], told["TransactionID"]) == (0, entry.words["receipt"])
        assert (
            told["OriginatorConversationID"]
            == paid["originator_conversation_id"]
            == entry.reference
        )

        asked = await ask("account_balance", common)
        told = json.loads((await asyncio.wait_for(results.get(), 5)).body)["Result"]
        assert (asked["ResponseCode"], asked["ConversationID"]) == ("0", told["ConversationID"])
        balance = told["ResultParameters"]["ResultParameter"][0]["Value"]
        assert "&Utility Account|KES|999000.00|999000.00|0.00|0.00&" in balance
        assert sim.ledger.totals() == {("mpesa", "payout", "KES"): 1000}


async def test_django_intram() -> None:
    """The Django plugin requests a payment and its status, by its class and by its views."""
    async with Simulator() as sim, client("django-intram", "0.1.1", f"{sim.url}/intram") as ask:
        callbacks: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        sim.on_webhook(callbacks.put_nowait)
        keys = dict.fromkeys(("public_key", "private_key", "secret", "marchand_id"), "simulator")
        order = {
            "currency": "XOF",
            "amount": 5000,
            "description": "Achat de produit",
            "name_store": "Ma Boutique",
            "custom_data": {"paymux_reference": "order-1"},
            "return_url": f"{SHOP}/success",
            "cancel_url": f"{SHOP}/cancel",
            "redirection_url": f"{SHOP}/callback",
        }

        made = await ask("request_payment", keys, order)
        made_id = made["transaction_id"]
        assert (made["status"], made["total_amount"]) == ("PENDING", 5000)
        assert made["receipt_url"] == f"{sim.url}/intram/payment/gate/{made_id}"
        # The client writes two slashes, `/api/v1//transactions/confirm/`, as the published PHP SDK
        # does.
        assert (await ask("get_transaction_status", keys, made_id))["status"] == "PENDING"
        sim.settle("order-1", Status.SUCCEEDED)
        paid = await ask("get_transaction_status", keys, made_id)
        assert (paid["status"], paid["amount"], paid["currency"]) == ("SUCCESS", 5000, "XOF")
        assert sim.ledger.charged("order-1") == sim.ledger.charged(made_id) == 5000
        told = await asyncio.wait_for(callbacks.get(), 5)
        assert await ask("post", "/payment/callback/", json.loads(told.body)) == {
            "status": "success"
        }

        seen = await ask("post", "/payment/init/", {"amount": 700, "store_name": "Ma Boutique"})
        assert seen["status"] == "PENDING"
        sim.settle(seen["transaction_id"], Status.CANCELLED)
        cancelled = await ask("get", f"/payment/status/{seen['transaction_id']}/")
        assert cancelled["status"] == "CANCELED"

        forged = await ask("request_payment", {**keys, "secret": "another"}, order)
        assert forged == {"error": True, "status": "ERROR", "message": "Invalid API keys"}
        assert sim.ledger.totals() == {("intram", "collect", "XOF"): 5000}


async def test_paydunya() -> None:
    """PayDunya's own SDK creates an invoice, confirms it by POST and GET, and pays out."""
    async with Simulator() as sim, client("paydunya", "1.0.7", f"{sim.url}/paydunya") as ask:
        item = {
            "name": "Clavier DELL",
            "quantity": 2,
            "unit_price": "3000",
            "total_price": "6000",
            "description": "AZERTY",
        }
        invoice = ([item], [["TVA (18%)", 700]], {"paymux_reference": "order-1", "coupon": "NOEL"})

        made, told = await ask("create", "Magasin Chez Sandra", *invoice)
        token = told["token"]
        assert made is True
        assert told["response_text"] == f"{sim.url}/paydunya/sandbox-checkout/invoice/{token}"
        for operation, method in (("confirm", "POST"), ("confirm_by_token", "GET")):
            known, waiting = await ask(operation, token)
            assert (known, waiting["status"]) == (True, "pending")
            path = f"/sandbox-api/v1/checkout-invoice/confirm/{token}/"
            assert len(sim.received("paydunya", f"{method} {path}")) == 1

        sim.settle("order-1", Status.SUCCEEDED)
        known, paid = await ask("confirm_by_token", token)
        assert (known, paid["status"], paid["mode"]) == (True, "completed", "test")
        # It adds the items to a float, and its tax is only shown.
        assert (paid["invoice"]["total_amount"], paid["custom_data"]["coupon"]) == (6000, "NOEL")
        assert sim.ledger.charged("order-1") == 6000

        _, told = await ask("create", "Magasin Chez Sandra", [item], [], {})
        sim.settle(told["token"], Status.CANCELLED)
        _, cancelled = await ask("confirm", told["token"])
        assert cancelled["status"] == "cancelled"

        assert await ask("create", None, *invoice) == [False, "store name is required"]
        assert await ask("confirm_by_token", "test_nobody") == [False, "Transaction Not Found"]

        credited, told = await ask("pay_directly", "774563209", 4500)
        assert (credited, told["response_code"]) == (True, "00")
        assert sim.ledger.paid_out(told["transaction_id"]) == 4500

        await ask("go_live")
        assert await ask("pay_directly", "774563209", 4500) == [
            False,
            "Invalid Masterkey Specified",
        ]
        assert sim.ledger.totals() == {
            ("paydunya", "collect", "XOF"): 6000,
            ("paydunya", "payout", "XOF"): 4500,
        }


async def test_wave_business_api() -> None:
    """An SDK for Wave opens, refunds and expires sessions, pays out, reverses, lists, verifies."""
    name, heard = "wave-business-api", list[WebhookRequest]()
    # It joins a path to the host alone, so that Wave is the simulator's root.
    async with Simulator(root="wave") as sim, client(name, "1.0.0", sim.url) as ask:
        sim.wave.webhook_url = f"{SHOP}/wave"
        sim.on_webhook(heard.append)
        order = {
            "amount": "2500",
            "currency": "XOF",
            "success_url": f"{SHOP}/success",
            "error_url": f"{SHOP}/error",
            "client_reference": "order-99",
        }
        made = await ask("create_session", order)
        assert (made["checkout_status"], made["amount"]) == ("open", "2500")
        by_id = {"session_id": made["id"]}
        assert await ask("refund_session", by_id) == [
            "WaveValidationError",
            400,
            "checkout-refund-failed",
        ]
        sim.settle(made["id"], Status.SUCCEEDED)
        paid = await ask("get_session", by_id)
        assert (paid["checkout_status"], paid["payment_status"]) == ("complete", "succeeded")
        by_receipt = {"transaction_id": paid["transaction_id"]}
        assert await ask("get_session_by_transaction", by_receipt) == paid
        assert await ask("search_sessions", {"client_reference": "order-99"}) == [paid]
        assert await ask("expire_session", by_id) == [
            "WaveIdempotencyError",
            409,
            "checkout-session-not-open",
        ]
        for _ in range(2):
            assert await ask("refund_session", by_id) is None
        assert sim.ledger.refunded() == 2500
        other = await ask("create_session", order)
        assert await ask("expire_session", {"session_id": other["id"]}) is None
        assert await ask("get_session", {"session_id": "cos-0"}) == [
            "WaveNotFoundError",
            404,
            "checkout-session-not-found",
        ]

        wage = {"currency": "XOF", "receive_amount": "5000", "mobile": "+221555110219"}
        wage |= {"name": "Fatou Ndiaye", "client_reference": "wage-1", "idempotency_key": "key-1"}
        sent = await ask("create", wage)
        assert (sent["status"], sent["fee"]) == ("succeeded", "50")
        assert await ask("create", wage) == sent
        mismatch = await ask("create", {**wage, "receive_amount": "6000"})
        assert mismatch == ["WaveIdempotencyError", 409, "idempotency-mismatch"]
        assert sim.ledger.paid_out() == 5000
        assert await ask("get", {"payout_id": sent["id"]}) == sent
        assert await ask("search", {"client_reference": "wage-1"}) == [sent]
        assert await ask("balance") == {"amount": "994950", "currency": "XOF"}
        for _ in range(2):
            assert await ask("reverse", {"payout_id": sent["id"]}) is None
        assert (await ask("get", {"payout_id": sent["id"]}))["status"] == "reversed"
        abroad = await ask("create", {**wage, "mobile": "+2250707070707", "idempotency_key": "k"})
        assert abroad == ["WaveValidationError", 400, "country-mismatch"]
        known = await ask("verify_recipient", {"mobile": "+221555110219", "name": "Fatou Ndiaye"})
        assert known["name_match"] == "MATCH"

        sim.wave.page_rows = 3
        rows = await ask("transactions", f"{wall_time():%Y-%m-%d}")
        assert [row["transaction_type"] for row in rows] == [
            "api_payout_reversal",
            "api_payout",
            "api_checkout_refund",
            "api_checkout",
        ]

        await until(lambda: heard)
        body, signature = heard[0].body.decode(), heard[0].headers["wave-signature"]
        assert await ask("verified", "simulator", body, signature) == "checkout.session.completed"
        assert sim.ledger.totals() == {
            ("wave", "collect", "XOF"): 2500,
            ("wave", "payout", "XOF"): 5000,
            ("wave", "refund", "XOF"): 7500,
        }
