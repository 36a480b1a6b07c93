"""A shop in Starlette: it collects, takes messages, and makes each paid order once.

    pip install paymux starlette uvicorn python-multipart
    python -m paymux.examples.starlette_shop

PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from paymux import DuplicateReference, OutcomeUnknown, Payment, PaymuxError, Status
from paymux.examples.shop_page import ACCOUNT, order, pool, product, shown
from paymux.webhooks import Webhooks

pay = pool()


async def on_payment(payment: Payment) -> None:
    """Make what is paid, and release what is not: called at least once for each end."""
    match payment.status:
        case Status.SUCCEEDED:
            async with pay.once(payment, "made") as first:  # once, over workers and restarts
                if first:
                    print("make:", payment.reference)
        case Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            print("release:", payment.reference)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


async def shop(_: Request) -> Response:
    """Show the product."""
    return HTMLResponse(product(pay))


async def buy(request: Request) -> Response:
    """Ask a payer for the money of an order."""
    asked = order(pay, await request.form())
    url = f"/orders/{asked['reference']}"
    try:
        url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return HTMLResponse(product(pay, error), 422)
    return RedirectResponse(url, 303)


async def state(request: Request) -> Response:
    """Show how an order stands."""
    return HTMLResponse(*await shown(pay, request.path_params["reference"]))


hooks = Webhooks(pay, on_payment)
routes = [
    Route("/", shop),
    Route("/orders", buy, methods=["POST"]),
    Route("/orders/{reference}", state, methods=["GET", "POST"]),  # a provider's page may POST
    Mount("/pay", hooks),
]
app = Starlette(routes=routes, lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
