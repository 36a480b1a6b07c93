"""A shop in Flask: it collects, takes the provider's messages, and ships each paid order once.

    pip install paymux flask anyio
    python -m paymux.examples.flask_shop

A WSGI server has threads and no event loop. Each worker process starts one loop, in a thread of
anyio's, when it imports this file: under gunicorn use `--threads`, and no `--preload`.
The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
"""

import atexit
import os
from contextlib import ExitStack, suppress
from typing import Any
from uuid import uuid4

from anyio.from_thread import start_blocking_portal
from flask import Flask, Response, request

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError, WebhookRequest
from paymux.webhooks import Webhooks

pay = Pool.from_env(
    journal=os.environ.get("PAYMUX_JOURNAL", "shop.db"),
    webhook_base=os.environ["PAYMUX_WEBHOOK_BASE"],
    webhook_key=os.environ["PAYMUX_WEBHOOK_KEY"],
)
app = Flask(__name__)


async def on_payment(payment: Payment) -> None:
    """Ship what is paid, and release what is not."""
    match payment.kind, payment.status:  # a payout may share a reference: it frees nothing
        case "collect", Status.SUCCEEDED:
            async with pay.once(payment, "fulfilled") as first:  # once, over workers and restarts
                if first:
                    print("e-mail:", payment.reference)
        case "collect", Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            print("release:", payment.reference)


async def charge(payer: str, reference: str) -> None:
    """Ask a payer for the money of an order, in the loop of the pool."""
    with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
        await pay.collect("kenya", amount=250, currency="KES", payer=payer, reference=reference)


@app.post("/orders")
def order() -> tuple[dict[str, Any], int]:
    """Take an order."""
    reference = f"order-{uuid4()}"
    try:
        portal.call(charge, request.get_json()["payer"], reference)
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return {"field": wrong.name, "accepted": wrong.accepted}, 422
    return {"reference": reference}, 200


@app.route("/pay/<path:_>", methods=["GET", "POST"])
def webhook(_: str) -> Response:
    """Take a message."""
    incoming = WebhookRequest(
        method=request.method,
        path=request.path,
        query=request.query_string.decode("latin-1"),
        headers=dict(request.headers),
        body=request.get_data(),
    )
    reply = portal.call(hooks.answer, incoming)
    return Response(reply.body, reply.status, dict(reply.headers))


# One loop in a thread serves all requests: a loop for each would be a second one for the pool.
ends = ExitStack()
atexit.register(ends.close)
hooks = Webhooks(pay, on_payment)
portal = ends.enter_context(start_blocking_portal())
ends.enter_context(portal.wrap_async_context_manager(pay))
ends.enter_context(portal.wrap_async_context_manager(hooks))

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
