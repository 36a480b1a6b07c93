"""A function that is frozen between its calls, as on AWS Lambda: no journal, but a table.

    pip install paymux
    handler: paymux.examples.lambda_function.handler, for an HTTP API (payload 2.0) and a schedule

ORDERS is a folder, which stands for a table with conditional writes such as DynamoDB's. The account
is PAYMUX_MPESA__DRIVER=mpesa with its fields; PAYMUX_WEBHOOK_BASE and _KEY are as in a shop.
"""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from paymux import Event, OutcomeUnknown, Payment, Pool, Status, UsageError, WebhookRequest
from paymux.webhooks import Webhooks

ORDERS = Path(os.environ["ORDERS"])
decode = msgspec.json.Decoder(Payment).decode
# One for each container, in one event loop after another: no connection outlives its call.
pay = Pool.from_config(journal=None)


def first(name: str, payment: Payment) -> bool:
    """Write an entry, unless there is one: a put with attribute_not_exists."""
    with suppress(FileExistsError), (ORDERS / name).open("xb") as file:
        return file.write(msgspec.json.encode(payment)) > 0
    return False


async def on_payment(payment: Payment) -> None:
    """Act on an end once; a success may come after a failure."""
    if first(f"{payment.reference}.{payment.status}", payment):
        print("e-mail:" if payment.status is Status.SUCCEEDED else "release:", payment.reference)


async def lookup(event: Event) -> Payment | None:
    """Give the order whose secret path a message has; it may be another container's."""
    return decode((ORDERS / event.path_reference).read_bytes()) if event.path_reference else None


hooks = Webhooks(pay, on_payment, lookup=lookup)


async def order(payer: str) -> tuple[int, dict[str, Any]]:
    """Store an order, ask its payer, and store what is known then."""
    reference = f"order-{uuid4()}"
    fields: dict[str, Any] = {"amount": 250, "currency": "KES", "payer": payer}
    asked = Payment(account="mpesa", kind="collect", reference=reference, **fields)
    first(reference, asked)
    try:
        asked = await pay.collect("mpesa", reference=reference, **fields)
    except OutcomeUnknown as error:  # the payer may be asked by now: its message tells the end
        asked = error.payment
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return 422, {"field": wrong.name, "accepted": wrong.accepted}
    (ORDERS / reference).write_bytes(msgspec.json.encode(asked))
    return 200, {"reference": reference}


async def settle(names: set[str]) -> None:
    """Look the open orders up, all at once."""
    ended = {name.partition(".")[0] for name in names if "." in name}
    known = [decode((ORDERS / name).read_bytes()) for name in names - ended if "." not in name]
    for item in await pay.verify_many([one for one in known if one.provider_reference]):
        if item.payment is not None and item.payment.status.terminal:
            await on_payment(item.payment)


def handler(event: dict[str, Any], _: object = None) -> dict[str, Any]:
    """Take an order, a provider's message below /pay, or the clock; each has a loop of its own."""
    if "rawPath" not in event:  # the clock: a message may be lost
        asyncio.run(settle({path.name for path in ORDERS.iterdir()}))
        return {}
    body, path = event.get("body") or "", event["rawPath"]
    if path == "/orders":
        status, said = asyncio.run(order(json.loads(body)["payer"]))
        return {"statusCode": status, "body": json.dumps(said)}
    method = event["requestContext"]["http"]["method"]
    incoming = WebhookRequest(
        method=method, path=path, headers=event["headers"], body=body.encode()
    )
    reply = asyncio.run(hooks.answer(incoming))
    return {"statusCode": reply.status, "body": reply.body.decode()}
