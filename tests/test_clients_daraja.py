"""Other people's Daraja clients, unmodified, against the simulator: what moves money, and asks.

`tests/clients/install` installs them. What a client does wrong by the provider's page is named.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from paymux.http import WebhookRequest
from paymux.models import Status
from paymux.simulator import Simulator
from paymux.simulator.mpesa.wire import EAT

from .simulator.daraja import paid, parameters
from .test_clients import SHOP, client

pytestmark = pytest.mark.slow

SANDBOX = "254708374149"
URLS = {"QueueTimeOutURL": f"{SHOP}/late/7f", "ResultURL": f"{SHOP}/done/7f"}
USER = {"initiator": "testapi", "security_credential": "c2ltdWxhdG9y"}
SNAKE = {"queue_timeout_url": URLS["QueueTimeOutURL"], "result_url": URLS["ResultURL"]}
ASKING = {"Initiator": "testapi", "SecurityCredential": "c2ltdWxhdG9y", "Remarks": "ok", **URLS}


class Heard:
    """The messages of a simulator, one after another."""

    def __init__(self, sim: Simulator) -> None:
        self._queue: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        sim.on_webhook(self._queue.put_nowait)

    async def body(self) -> Any:
        """Wait for the next message."""
        return json.loads((await asyncio.wait_for(self._queue.get(), 10)).body)

    async def result(self, acknowledgement: Any) -> Any:
        """Wait for the result that belongs to an acknowledgement."""
        said = (await self.body())["Result"]
        assert said["ConversationID"] == acknowledgement
        return said


@contextlib.asynccontextmanager
async def street() -> AsyncIterator[tuple[Simulator, Heard]]:
    """Open a simulator whose root is Daraja's host, and hear its messages."""
    async with Simulator(root="mpesa", payer_delay=0.0) as sim:
        yield sim, Heard(sim)


async def sale(sim: Simulator, heard: Heard, reference: str = "order-1") -> str:
    """Let a customer pay 250 shillings by a push, and return the receipt."""
    entry = await paid(sim, reference)
    await heard.body()
    receipt: str = entry.words["receipt"]
    return receipt


def state(said: Any) -> Any:
    """Return what a status answer says of its payment."""
    return parameters(said)["TransactionStatus"]


async def test_mpesakit() -> None:
    """Mpesakit pays out, asks, reverses, reads the balance and registers; its models read results.

    Its own mistakes, by the provider's pages: `Occasion` of B2C is "Occassion" (Business To
    Customer); ResultParameters of B2C and of status is an object with a list, and no list; the
    numbers of a reversal's result are numbers, and no text (Reversal); `original_conversation_id`
    is refused by its own check, so that it is given by its name on the wire (Transaction Status).
    """
    async with street() as (sim, heard), client("mpesakit", "2.2.0", sim.url) as ask:
        payout = {
            "originator_conversation_id": "wage-1",
            "initiator_name": "testapi",
            "security_credential": "c2ltdWxhdG9y",
            "amount": 100,
            "party_a": "600996",
            "party_b": SANDBOX,
            "remarks": "May",
            **SNAKE,
        }
        made = await ask("b2c", payout)
        said = await heard.result(made["ConversationID"])
        assert sim.ledger.paid_out("wage-1") == 100
        assert await ask("read", "b2c", {"Result": said}) == {"raised": ["Result.ResultParameters"]}
        again = await ask("b2c", payout)
        assert again["said"]["errorMessage"] == "Duplicate OriginatorConversationID."

        question = {**USER, **SNAKE, "party_a": 174379, "identifier_type": 4}
        question |= {"transaction_id": None, "OriginalConversationID": "wage-1"}
        made = await ask("status", question)
        said = await heard.result(made["ConversationID"])
        assert state(said) == "Completed"
        receipt = await sale(sim, heard)
        del question["OriginalConversationID"]
        made = await ask("status", {**question, "transaction_id": receipt})
        said = await heard.result(made["ConversationID"])
        assert state(said) == "Completed"
        read = await ask("read", "transactions", {"Result": said})
        assert read == {"raised": ["Result.ResultParameters"]}

        reversal = {**USER, **SNAKE, "transaction_id": receipt, "amount": 250, "remarks": "Back"}
        made = await ask("reverse", {**reversal, "receiver_party": 174379})
        sim.settle(made["ConversationID"], Status.SUCCEEDED)
        said = await heard.result(made["ConversationID"])
        assert said["ResultCode"] == 0
        assert sim.ledger.refunded("order-1") == 250
        assert "Result.ResultCode" in (await ask("read", "reversal", {"Result": said}))["raised"]

        question = {**USER, **SNAKE, "party_a": 174379, "identifier_type": 4, "remarks": "ok"}
        made = await ask("balance", question)
        said = await heard.result(made["ConversationID"])
        assert "Utility Account|KES|999900.00" in parameters(said)["AccountBalance"]
        read = await ask("read", "account_balance", {"Result": said})
        assert read["Result"]["ConversationID"] == said["ConversationID"]

        urls = {"confirmation_url": f"{SHOP}/c/7f", "validation_url": f"{SHOP}/v/7f"}
        made = await ask("register", {"short_code": 174379, "response_type": "Completed", **urls})
        assert made["ResponseCode"] == "0"


async def test_noriapay() -> None:
    """Noriapay sends what it is given, and B2C by version 1, which has no id of the merchant."""
    async with street() as (sim, heard), client("noriapay", "0.1.1", sim.url) as ask:
        payout = {
            "InitiatorName": "testapi",
            "SecurityCredential": "c2ltdWxhdG9y",
            "CommandID": "BusinessPayment",
            "Amount": 100,
            "PartyA": "600996",
            "PartyB": SANDBOX,
            "Remarks": "May",
            **URLS,
        }
        # Sent twice is paid twice: version 3 of the page has an id against that.
        for _ in range(2):
            made = await ask("call", "b2c_payment", payout)
            await heard.result(made["ConversationID"])
        assert sim.ledger.paid_out() == 200

        receipt = await sale(sim, heard)
        question = {**ASKING, "CommandID": "TransactionStatusQuery", "PartyA": "174379"}
        question |= {"TransactionID": receipt, "IdentifierType": "4"}
        made = await ask("call", "transaction_status", question)
        assert state(await heard.result(made["ConversationID"])) == "Completed"

        reversal: dict[str, Any] = {
            **ASKING,
            "CommandID": "TransactionReversal",
            "TransactionID": receipt,
        }
        reversal |= {"Amount": 250, "ReceiverParty": "174379", "RecieverIdentifierType": "11"}
        made = await ask("call", "reversal", reversal)
        sim.settle(made["ConversationID"], Status.SUCCEEDED)
        assert (await heard.result(made["ConversationID"]))["ResultCode"] == 0
        assert sim.ledger.refunded("order-1") == 250

        question = {**ASKING, "CommandID": "AccountBalance", "PartyA": "174379"}
        made = await ask("call", "account_balance", {**question, "IdentifierType": "4"})
        said = await heard.result(made["ConversationID"])
        assert "Utility Account|KES|999800.00" in parameters(said)["AccountBalance"]

        urls = {"ConfirmationURL": f"{SHOP}/c/7f", "ValidationURL": f"{SHOP}/v/7f"}
        hooks = {"ShortCode": "174379", "ResponseType": "Completed", **urls}
        assert (await ask("call", "register_c2b_urls", hooks))["ResponseCode"] == "0"


async def test_daraja_sdk_py() -> None:
    """daraja-sdk-py pays out in two ways, asks, reverses, and pulls what customers paid."""
    async with street() as (sim, heard), client("daraja-sdk-py", "2.0.0", sim.url) as ask:
        payout = {
            "OriginatorConversationID": "wage-1",
            "CommandID": "BusinessPayment",
            "Amount": 100,
            "PartyA": 600996,
            "PartyB": int(SANDBOX),
            "Remarks": "May",
            **URLS,
        }
        made = await ask("call", "b2c", payout)
        await heard.result(made["ConversationID"])
        pochi = {**payout, "OriginatorConversationID": "wage-2", "CommandID": "BusinessPayToPochi"}
        made = await ask("call", "b2pochi", pochi)
        await heard.result(made["ConversationID"])
        assert sim.ledger.paid_out("wage-1") == sim.ledger.paid_out("wage-2") == 100

        question = {
            "CommandID": "TransactionStatusQuery",
            "PartyA": 174379,
            "Remarks": "ok",
            **URLS,
        }
        question["OriginalConversationID"] = "wage-1"
        made = await ask("call", "transaction_status", question)
        assert state(await heard.result(made["ConversationID"])) == "Completed"
        receipt = await sale(sim, heard)
        reversal: dict[str, Any] = {
            "CommandID": "TransactionReversal",
            "TransactionID": receipt,
            **URLS,
        }
        reversal |= {"Amount": 250, "ReceiverParty": 174379, "Remarks": "Back"}
        made = await ask("call", "reversal", reversal)
        sim.settle(made["ConversationID"], Status.SUCCEEDED)
        assert (await heard.result(made["ConversationID"]))["ResultCode"] == 0
        question = {"CommandID": "AccountBalance", "PartyA": 174379, "Remarks": "ok", **URLS}
        made = await ask("call", "account_balance", question)
        said = await heard.result(made["ConversationID"])
        assert "Utility Account|KES|999800.00" in parameters(said)["AccountBalance"]

        urls = {"ConfirmationURL": f"{SHOP}/c/7f", "ValidationURL": f"{SHOP}/v/7f"}
        hooks = {"ShortCode": "174379", "ResponseType": "Completed", **urls}
        assert (await ask("call", "c2b_register_url", hooks))["ResponseCode"] == "0"
        simulated: dict[str, Any] = {
            "ShortCode": 174379,
            "CommandID": "CustomerPayBillOnline",
            "Amount": 5,
        }
        simulated |= {"Msisdn": int(SANDBOX), "BillRefNumber": "bill-1"}
        assert (await ask("call", "c2b_simulate", simulated))["ResponseCode"] == "0"
        assert [(await heard.body())["BillRefNumber"] for _ in range(2)] == ["bill-1", "bill-1"]

        pulling = {"ShortCode": "174379", "NominatedNumber": "254722000000", "CallBackURL": SHOP}
        made = await ask("call", "pull_transactions_register", pulling)
        assert made["ResponseStatus"] == "1000"
        now = datetime.now(EAT)
        dates = {
            "StartDate": f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
            "EndDate": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
        }
        made = await ask("call", "pull_transactions_query", {"ShortCode": "174379", **dates})
        [rows] = made["Response"]
        assert [row["billreference"] for row in rows] == ["order-1", "bill-1"]


async def test_mpesa_daraja_mcp() -> None:
    """mpesa-daraja-mcp pays out, asks, reverses, pulls, and reads results with its own reader."""
    async with street() as (sim, heard), client("mpesa-daraja-mcp", "0.1.4", sim.url) as ask:
        urls = {"result_url": URLS["ResultURL"], "timeout_url": URLS["QueueTimeOutURL"]}
        payout = {"phone": SANDBOX, "amount": 100, "remarks": "May", **urls}
        for command in ("BusinessPayment", "BusinessPayToPochi"):
            fields = {**payout, "command": command, "idempotency_key": command}
            made = await ask("call", "b2c_payment", fields)
            assert made["status"] == "ACCEPTED", made
            said = await heard.result(made["ids"]["conversation_id"])
            read = await ask("read", {"Result": said})
            assert read["transaction_id"] == said["TransactionID"]
        assert sim.ledger.paid_out() == 200

        own = made["ids"]["originator_conversation_id"]
        receipt = await sale(sim, heard)
        for named in ({"original_conversation_id": own}, {"transaction_id": receipt}):
            made = await ask("call", "transaction_status", {**named, **urls})
            assert state(await heard.result(made["ids"]["conversation_id"])) == "Completed"
        reversal = {"transaction_id": receipt, "amount": 250, "remarks": "Back", **urls}
        made = await ask("call", "reverse_transaction", reversal)
        sim.settle(made["ids"]["conversation_id"], Status.SUCCEEDED)
        assert (await heard.result(made["ids"]["conversation_id"]))["ResultCode"] == 0
        made = await ask("call", "account_balance", urls)
        said = await heard.result(made["ids"]["conversation_id"])
        assert "Utility Account|KES|999800.00" in parameters(said)["AccountBalance"]

        hooks = {"confirmation_url": f"{SHOP}/c/7f", "validation_url": f"{SHOP}/v/7f"}
        assert (await ask("call", "c2b_register_urls", hooks))["ResponseCode"] == "0"
        assert (await ask("call", "c2b_simulate", {"amount": 5}))["ResponseCode"] == "0"
        assert [(await heard.body())["BillRefNumber"] for _ in range(2)] == ["TEST", "TEST"]
        sim.mpesa.pull.registered.add("174379")
        dates = {"start": "2020-08-04 8:36:00", "end": "2090-08-16 10:10:00"}
        [rows] = (await ask("call", "pull_transactions", dates))["Response"]
        assert [row["billreference"] for row in rows] == ["order-1", "TEST"]
