"""An account at Daraja that has an API user, and bodies for it."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from paymux.drivers.mpesa import Mpesa
from paymux.http import Response, WebhookRequest
from paymux.models import Order, Payment
from tests.driving import Script, sample

CREDENTIAL = "Y2FuYXJ5LW9mLXRoZS1jcmVkZW50aWFs"
DRIVER = Mpesa(
    account="kenya",
    consumer_key="the-key",
    consumer_secret="the-secret",
    shortcode="600992",
    passkey="the-passkey",
    initiator_name="testapi",
    security_credential=CREDENTIAL,
)
RESULT, TIMEOUT = "https://shop.example/pay/0a1b/01aa", "https://shop.example/pay/0a1b/11aa"
NAMES = ("NICHOLAS", "SONGOK", "John Doe", "Safaricom333")  # of payees, in the pages' samples


def another(driver: Mpesa, **fields: Any) -> Mpesa:
    """Return the account with other fields, checked: msgspec 0.19 checks none when it replaces."""
    held = {name: getattr(driver, name) for name in driver.__struct_fields__}
    return Mpesa(**{**held, **fields})


def told(answer: dict[str, Any]) -> tuple[Response, Response]:
    """Return the acknowledgement of a question, and the message that answers it."""
    ours = {"ConversationID": answer["Result"].get("ConversationID", "AG_1")}
    return reply(200, {**sample("mpesa", "status_ack.200"), **ours}), reply(200, answer)


def reply(status: int, body: object) -> Response:
    """Return a reply with this body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, body=content)


def fault(status: int, code: str, words: str) -> Response:
    """Return an error in the gateway's format."""
    return reply(status, {"requestId": "1-2-3", "errorCode": code, "errorMessage": words})


def ack(ours: str = "f1e2-4b95-a71d-b30d3cdbb7a7735297", **changes: object) -> Response:
    """Return an acknowledgement."""
    said = {**sample("mpesa", "b2c_ack.200"), "OriginatorConversationID": ours, **changes}
    return reply(200, said)


def incoming(body: object) -> WebhookRequest:
    """Return a message with this body."""
    return WebhookRequest(body=json.dumps(body).encode())


def order(kind: str = "payout", **changes: Any) -> Order:
    """Return an order that the driver accepts, with these changes."""
    fields: Mapping[str, Any] = {
        "account": "kenya",
        "kind": kind,
        "reference": "wage-7",
        "amount": Decimal(10),
        "currency": "KES",
        "party": "254705912645" if kind == "payout" else None,
        "webhook_url": RESULT,
        "timeout_url": TIMEOUT,
    }
    return Order(**{**fields, **changes})


def held(kind: Any = "payout", **changes: Any) -> Payment:
    """Return a payment of the account, as it is held after its acknowledgement."""
    fields: dict[str, Any] = {
        "account": "kenya",
        "provider": "mpesa",
        "kind": kind,
        "live": False,
        "reference": "wage-7",
        "provider_reference": "3211-416020-3",
        "ids": {"ConversationID": "AG_20180223_000041b09c22e613d6c9"},
        "amount": Decimal(300),
        "currency": "KES",
        "payee": "254708374149" if kind == "payout" else None,
    }
    return Payment(**{**fields, **changes})


def body_of(script: Script) -> dict[str, str]:
    """Return the body of the last request."""
    body: dict[str, str] = json.loads(script.requests[-1].content())
    return body


def result(code: object = 0, **changes: Any) -> dict[str, Any]:
    """Return a result of a payout with this code, without parameters."""
    said = {
        "ResultType": 0,
        "ResultCode": code,
        "ResultDesc": "words",
        "OriginatorConversationID": "600992_wage-7",
        "ConversationID": "AG_1",
        "TransactionID": "SG722NMVXQ",
    }
    return {"Result": {**said, **changes}}


def parameters(**told: object) -> dict[str, Any]:
    """Return these parameters in the form of a result."""
    return {"ResultParameter": [{"Key": key, "Value": value} for key, value in told.items()]}
