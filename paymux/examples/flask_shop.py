"""A shop in Flask: it collects, takes messages, and makes each paid order once.

    pip install paymux flask anyio
    python -m paymux.examples.flask_shop

A WSGI server has threads and no event loop. Each worker process starts one loop, in a thread of
anyio's, when it imports this file: under gunicorn use `--threads`, and no `--preload`.
PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import atexit
import os
from contextlib import ExitStack
from functools import partial

from anyio.from_thread import start_blocking_portal
from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from paymux import DuplicateReference, OutcomeUnknown, Payment, PaymuxError, Status, WebhookRequest
from paymux.examples.shop_page import ACCOUNT, order, pool, product, shown
from paymux.webhooks import Webhooks

pay = pool()
app = Flask(__name__)


async def on_payment(payment: Payment) -> None:
    """Make what is paid, and release what is not: called at least once for each end."""
    match payment.status:
        case Status.SUCCEEDED:
            async with pay.once(payment, "made") as first:  # once, over workers and restarts
                if first:
                    print("make:", payment.reference)
        case Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            print("release:", payment.reference)


@app.get("/")
def shop() -> str:
    """Show the product."""
    return product(pay)


@app.post("/orders")
def buy() -> ResponseReturnValue:
    """Ask a payer for the money of an order, in the loop of the pool."""
    asked = order(pay, request.form)
    url = f"/orders/{asked['reference']}"
    try:
        url = portal.call(partial(pay.collect, ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return product(pay, error), 422
    return redirect(url, 303)


@app.route("/orders/<reference>", methods=["GET", "POST"])  # a provider's page may POST
def state(reference: str) -> tuple[str, int]:
    """Show how an order stands."""
    return portal.call(shown, pay, reference)


@app.route("/pay/<path:_>", methods=["GET", "POST"])
def webhook(_: str) -> Response:
    """Take a message."""
    head, query = dict(request.headers), request.query_string.decode("latin-1")
    incoming = WebhookRequest(
        method=request.method, path=request.path, query=query, headers=head, body=request.get_data()
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
