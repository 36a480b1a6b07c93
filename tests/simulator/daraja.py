"""What the tests of the simulated Daraja share: requests of an initiator, and reading results."""

import json
from typing import Any

from paymux.http import WebhookRequest
from paymux.models import Status
from paymux.simulator import Entry, Simulator

from .asking import ask, login, push, told, until

ROOT = "/mpesa/mpesa"
B2C = f"{ROOT}/b2c/v3/paymentrequest"
POCHI = f"{ROOT}/b2pochi/v1/paymentrequest"
STATUS = f"{ROOT}/transactionstatus/v1/query"
BALANCE = f"{ROOT}/accountbalance/v1/query"
REVERSAL = f"{ROOT}/reversal/v1/request"
PUSH = f"{ROOT}/stkpush/v1/processrequest"
REGISTER = f"{ROOT}/c2b/v2/registerurl"
SIMULATE = f"{ROOT}/c2b/v2/simulate"
PULL = "/mpesa/pulltransactions/v1"
URLS = {
    "QueueTimeOutURL": "https://shop.example/late/7f",
    "ResultURL": "https://shop.example/done/7f",
}
USER = {"Initiator": "testapi", "SecurityCredential": "c2ltdWxhdG9y", "Remarks": "ok", **URLS}
HOOKS = {
    "ShortCode": "174379",
    "ResponseType": "Completed",
    "ConfirmationURL": "https://shop.example/c/7f",
    "ValidationURL": "https://shop.example/v/7f",
}


async def call(sim: Simulator, path: str, body: Any) -> tuple[int, Any]:
    """Call Daraja with a fresh token, and return the status and the body."""
    reply = await ask(sim, "POST", path, body, headers=await login(sim))
    return reply.status, told(reply)


def listening(sim: Simulator) -> list[WebhookRequest]:
    """Collect every message of the simulator."""
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    return got


def wage(reference: str = "wage-1", **fields: Any) -> dict[str, Any]:
    """Return the body of a payout."""
    return {
        "OriginatorConversationID": reference,
        "InitiatorName": "testapi",
        "SecurityCredential": "c2ltdWxhdG9y",
        "CommandID": "BusinessPayment",
        "Amount": "100",
        "PartyA": "600996",
        "PartyB": "254712345678",
        "Remarks": "May",
        **URLS,
        **fields,
    }


def asking(**fields: Any) -> dict[str, Any]:
    """Return the body of a question for one payment."""
    return {
        **USER,
        "CommandID": "TransactionStatusQuery",
        "PartyA": "174379",
        "IdentifierType": "4",
        **fields,
    }


def back(receipt: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a reversal."""
    return {
        **USER,
        "CommandID": "TransactionReversal",
        "TransactionID": receipt,
        "Amount": "250",
        "ReceiverParty": "174379",
        "RecieverIdentifierType": "11",
        **fields,
    }


async def paid(sim: Simulator, reference: str = "order-1", **fields: Any) -> Entry:
    """Let a push be paid."""
    assert (await call(sim, PUSH, push(reference=reference, **fields)))[0] == 200
    [entry] = sim.settle(reference, Status.SUCCEEDED)
    return entry


def result(incoming: WebhookRequest) -> Any:
    """Read a result."""
    return json.loads(incoming.body)["Result"]


def parameters(said: Any) -> dict[str, Any]:
    """Read the parameters of a result; of a key that comes twice, the last."""
    return {one["Key"]: one.get("Value") for one in said["ResultParameters"]["ResultParameter"]}


async def answered(sim: Simulator, got: list[WebhookRequest], path: str, body: Any) -> Any:
    """Ask a question, and return the result that has its id."""
    before = len(got)
    status, taken = await call(sim, path, body)
    assert (status, taken["ResponseCode"]) == (200, "0")
    await until(lambda: len(got) > before)
    said = result(got[-1])
    assert said["ConversationID"] == taken["ConversationID"]
    return said


def form(value: Any) -> Any:
    """Return the keys and types of a body: what two bodies of one shape share."""
    if isinstance(value, dict):
        if set(value) <= {"Key", "Value"} and "Key" in value:
            return value["Key"], type(value.get("Value")).__name__
        return {key: form(one) for key, one in value.items()}
    return [form(one) for one in value] if isinstance(value, list) else type(value).__name__
