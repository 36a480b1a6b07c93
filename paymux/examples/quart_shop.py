"""A shop in Quart: it collects, takes messages, and makes each paid order once.

    pip install paymux quart uvicorn
    python -m paymux.examples.quart_shop

PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from quart import Quart, redirect, request
from quart.typing import ResponseReturnValue

from paymux import DuplicateReference, OutcomeUnknown, Payment, PaymuxError, Status
from paymux.examples.shop_page import ACCOUNT, order, pool, product, shown
from paymux.webhooks import Webhooks

pay = pool()
shop = Quart(__name__)


async def on_payment(payment: Payment) -> None:
    """Make what is paid, and release what is not: called at least once for each end."""
    match payment.status:
        case Status.SUCCEEDED:
            async with pay.once(payment, "made") as first:  # once, over workers and restarts
                if first:
                    print("make:", payment.reference)
        case Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            print("release:", payment.reference)


@shop.while_serving
async def lifespan() -> AsyncGenerator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


@shop.get("/")
async def index() -> str:
    """Show the product."""
    return product(pay)


@shop.post("/orders")
async def buy() -> ResponseReturnValue:
    """Ask a payer for the money of an order."""
    asked = order(pay, await request.form)
    url = f"/orders/{asked['reference']}"
    try:
        url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return product(pay, error), 422
    return redirect(url, 303)


@shop.route("/orders/<reference>", methods=["GET", "POST"])  # a provider's page may POST
async def state(reference: str) -> tuple[str, int]:
    """Show how an order stands."""
    return await shown(pay, reference)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve the messages below /pay, and the shop everywhere else."""
    await (hooks if scope.get("path", "").startswith("/pay/") else shop)(scope, receive, send)


hooks = Webhooks(pay, on_payment)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
