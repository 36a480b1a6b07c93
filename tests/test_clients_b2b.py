"""Other people's Daraja clients, unmodified, against the simulator: B2B, QR and B2B Express.

`tests/clients/install` installs them. What a client does wrong by the provider's page is named.
"""

import base64
from pathlib import Path
from typing import Any

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from .simulator.daraja import parameters
from .test_clients import SHOP, client
from .test_clients_daraja import SNAKE, URLS, USER, Heard, street

pytestmark = pytest.mark.slow

WHO = {"Initiator": "testapi", "SecurityCredential": "c2ltdWxhdG9y"}
BILL: dict[str, Any] = {
    **WHO,
    "CommandID": "BusinessPayBill",
    "SenderIdentifierType": "4",
    "RecieverIdentifierType": "4",
    "Amount": "100",
    "PartyA": "174379",
    "PartyB": "600000",
    "AccountReference": "353353",
    "Remarks": "ok",
    **URLS,
}
CODE: dict[str, Any] = {
    "MerchantName": "Duka",
    "RefNo": "order-8",
    "Amount": 250,
    "TrxCode": "PB",
    "CPI": "174379",
    "Size": "300",
}
PUSH: dict[str, Any] = {
    "primaryShortCode": "600000",
    "receiverShortCode": "174379",
    "amount": "71",
    "paymentRef": "bill-7",
    "callbackUrl": f"{SHOP}/till/7f",
    "partnerName": "Duka",
    "RequestRefID": "404e1aec-19e0-4ce3-973d-bd92e94c8021",
}


async def paid(heard: Heard, conversation: Any, amount: str = "100.00") -> None:
    """Wait for the result of a payment, and check it."""
    said = await heard.result(conversation)
    assert (said["ResultCode"], parameters(said)["Amount"]) == ("0", amount)


def shows(sim: Simulator, image: str, amount: int = 250) -> None:
    """Check an image, and what it stands for."""
    assert base64.b64decode(image).startswith(b"\x89PNG\r\n\x1a\n")
    made = sim.mpesa.qr.made[-1]
    assert (made.bill, int(made.amount), made.party) == ("order-8", amount, "174379")


async def test_mpesakit() -> None:
    """It pays bills, tills and taxes, prompts a till and makes a code.

    It has no method for the top-up of a B2C shortcode.
    """
    async with street() as (sim, heard), client("mpesakit", "2.2.0", sim.url) as ask:
        bill = {**USER, **SNAKE, "amount": 100, "party_a": 174379, "party_b": 600000}
        bill |= {"account_reference": "353353", "requester": "254700000000", "remarks": "ok"}
        for operation in ("paybill", "buygoods"):
            made = await ask("b2b", operation, bill)
            await paid(heard, made["ConversationID"])
        tax = {**USER, **SNAKE, "amount": 100, "party_a": 174379, "remarks": "ok"}
        made = await ask("tax", {**tax, "account_reference": "PRN1234XN"})
        sim.settle(made["ConversationID"], Status.SUCCEEDED)
        await paid(heard, made["ConversationID"])
        assert sim.ledger.paid_out() == 300
        push = {"primary_short_code": "600000", "receiver_short_code": "174379", "amount": 71}
        push |= {"payment_ref": "bill-7", "callback_url": PUSH["callbackUrl"]}
        push |= {"partner_name": "Duka", "request_ref_id": PUSH["RequestRefID"]}
        made = await ask("b2b", "express_checkout", push)
        assert made["code"] == "0"
        assert (await heard.body())["resultCode"] == "0"
        code = {"merchant_name": "Duka", "ref_no": "order-8", "amount": 250, "trx_code": "PB"}
        made = await ask("code", {**code, "cpi": "174379", "size": "300"})
        shows(sim, made["QRCode"])


async def test_noriapay() -> None:
    """Noriapay sends what it is given."""
    async with street() as (sim, heard), client("noriapay", "0.1.1", sim.url) as ask:
        made = await ask("call", "b2b_payment", BILL)
        await paid(heard, made["ConversationID"])
        made = await ask("call", "generate_qr_code", CODE)
        shows(sim, made["QRCode"])


async def test_daraja_sdk_py() -> None:
    """daraja-sdk-py has a method for each page."""
    async with street() as (sim, heard), client("daraja-sdk-py", "2.0.0", sim.url) as ask:
        numbers = {**BILL, "Amount": 100, "PartyA": 174379, "PartyB": 600000}
        for operation, command in (
            ("business_pay_bill", "BusinessPayBill"),
            ("business_buy_goods", "BusinessBuyGoods"),
        ):
            made = await ask("call", operation, {**numbers, "CommandID": command})
            await paid(heard, made["ConversationID"])
        made = await ask("call", "b2c_account_top_up", {**BILL, "CommandID": "BusinessPayToBulk"})
        await paid(heard, made["ConversationID"])
        assert sim.mpesa.accounts.utility == 1_000_100
        tax = {**BILL, "CommandID": "PayTaxToKRA", "PartyB": "572572"}
        made = await ask("call", "tax_remittance", tax)
        sim.settle(made["ConversationID"], Status.SUCCEEDED)
        await paid(heard, made["ConversationID"])
        made = await ask("call", "b2b_express", PUSH)
        assert made["code"] == "0"
        assert (await heard.body())["requestId"] == PUSH["RequestRefID"]
        made = await ask("call", "dynamic_qr", CODE)
        shows(sim, made["QRCode"])


async def test_mpesa_daraja_mcp() -> None:
    """mpesa-daraja-mcp pays once for its own key, prompts a till, and saves a code as a file."""
    async with street() as (sim, heard), client("mpesa-daraja-mcp", "0.1.4", sim.url) as ask:
        urls = {"result_url": URLS["ResultURL"], "timeout_url": URLS["QueueTimeOutURL"]}
        bill = {"receiver_shortcode": "600000", "amount": 100, "account_reference": "353353"}
        for command in ("BusinessPayBill", "BusinessBuyGoods", "BusinessPayToBulk"):
            fields = {**bill, **urls, "command": command, "idempotency_key": command}
            made = await ask("call", "b2b_payment", fields)
            assert made["status"] == "ACCEPTED", made
            await paid(heard, made["ids"]["conversation_id"])
        tax = {**bill, **urls, "account_reference": "PRN1234XN", "command": "PayTaxToKRA"}
        made = await ask("call", "b2b_payment", tax)
        sim.settle(made["ids"]["conversation_id"], Status.SUCCEEDED)
        await paid(heard, made["ids"]["conversation_id"])
        assert sim.ledger.paid_out() == 400
        push = {"merchant_till": "600000", "vendor_paybill": "174379", "amount": 71}
        push |= {"payment_ref": "bill-7", "partner_name": "Duka", "idempotency_key": "push"}
        await ask("call", "b2b_express_checkout", {**push, "callback_url": PUSH["callbackUrl"]})
        assert (await heard.body())["resultCode"] == "0"
        code = {"merchant_name": "Duka", "ref_no": "order-8", "amount": 250, "cpi": "174379"}
        made = await ask("call", "generate_dynamic_qr", {**code, "include_base64": True})
        shows(sim, made["qr_base64"])
        assert Path(made["path"]).read_bytes() == base64.b64decode(made["qr_base64"])


async def test_mpesa_mcp() -> None:
    """mpesa-mcp pays bills, tills and taxes and makes a code; its express checkout is refused.

    It posts the fields of B2B Express to the path of B2B payments, where the page "B2B Express
    CheckOut" has /v1/ussdpush/get-msisdn.
    """
    async with street() as (sim, heard), client("mpesa-mcp", "0.4.6", sim.url) as ask:
        for operation, fields in (
            (
                "mpesa_business_paybill",
                {"receiver_paybill": "600000", "account_reference": "353353"},
            ),
            ("mpesa_business_buygoods", {"till_number": "600000"}),
        ):
            await ask("call", operation, {**fields, "amount": 100})
            said = (await heard.body())["Result"]
            assert (said["ResultCode"], parameters(said)["Amount"]) == ("0", "100.00")
        tax = {"amount": 100, "account_reference": "PRN1234XN"}
        await ask("call", "mpesa_tax_remittance", tax)
        [entry] = [one for one in sim.ledger if one.party == "572572"]
        sim.settle(entry.provider_reference, Status.SUCCEEDED)
        assert (await heard.body())["Result"]["ResultCode"] == "0"
        assert sim.ledger.paid_out() == 300
        push = {"receiver_till": "600000", "amount": 71, "account_reference": "bill-7"}
        refused = await ask("call", "mpesa_b2b_express_checkout", push)
        assert refused["said"]["errorMessage"] == "Bad Request - Invalid Initiator"
        code = {"merchant_name": "Duka", "ref_no": "order-8", "amount": 250}
        shows(sim, (await ask("call", "mpesa_dynamic_qr", code))["qr_base64"])


async def test_singularity_payments() -> None:
    """singularity-payments pays bills and tills, and makes a code."""
    async with street() as (sim, heard), client("singularity-payments", "1.0.1", sim.url) as ask:
        bill = {"amount": 100, "party_b": "600000", "sender_identifier_type": "4"}
        bill |= {"receiver_identifier_type": "4", "remarks": "ok", "account_reference": "353353"}
        bill |= {"result_url": URLS["ResultURL"], "timeout_url": URLS["QueueTimeOutURL"]}
        for command in ("BusinessPayBill", "BusinessBuyGoods"):
            made = await ask("call", "b2b", "B2BRequest", {**bill, "command_id": command})
            await paid(heard, made["conversation_id"])
        code = {"merchant_name": "Duka", "ref_no": "order-8", "amount": 250}
        code |= {"transaction_type": "PB", "credit_party_identifier": "174379", "size": "300"}
        made = await ask("call", "generate_dynamic_qr", "DynamicQRRequest", code)
        shows(sim, made["qr_code"])


async def test_mpesa_sdk() -> None:
    """mpesa-sdk sends what it is given, with the token of its caller."""
    async with street() as (sim, heard), client("mpesa-sdk", "2.0.0", sim.url) as ask:
        token = sim.mpesa.tokens.issue("token-1")
        for command in ("BusinessPayBill", "BusinessPayToBulk"):
            payment = {**BILL, "CommandID": command}
            made, _ = await ask("call", token, "b2b_payment_request", payment)
            await paid(heard, made["ConversationID"])
        refused = await ask("call", "token-2", "b2b_payment_request", BILL)
        assert refused["raised"]
        assert sim.ledger.paid_out() == 200


async def test_flask_mpesa() -> None:
    """flask-mpesa pays a bill, and a till with the older type of a receiver."""
    async with street() as (sim, heard), client("flask-mpesa", "1.2.8", sim.url) as ask:
        bill: dict[str, Any] = {**USER, "amount": "100"}
        bill |= {"sender_identifier_type": "4", "party_a": 174379, "party_b": 600000}
        bill |= {"remarks": "ok", "account_reference": "353353", **SNAKE}
        for command, sort in (("BusinessPayBill", "4"), ("BusinessBuyGoods", "2")):
            fields = {"command_id": command, "receiver_identifier_type": sort}
            made = await ask("transact", {**bill, **fields})
            await paid(heard, made["ConversationID"])
        assert sim.ledger.paid_out() == 200
