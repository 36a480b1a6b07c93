"""A shop in Litestar: it collects, takes messages, and makes each paid order once.

    pip install paymux litestar uvicorn
    python -m paymux.examples.litestar_shop

PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, asgi, get, post, route
from litestar.response import Redirect

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
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


@get("/", media_type="text/html")
async def shop() -> str:
    """Show the product."""
    return product(pay)


@post("/orders", media_type="text/html")
async def buy(request: Request[Any, Any, Any]) -> Response[Any]:
    """Ask a payer for the money of an order."""
    asked = order(pay, await request.form())
    url = f"/orders/{asked['reference']}"
    try:
        url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return Response(product(pay, error), status_code=422)
    return Redirect(url, status_code=303)


@route("/orders/{reference:str}", http_method=["GET", "POST"], media_type="text/html")
async def state(request: Request[Any, Any, Any]) -> Response[str]:
    """Show how an order stands; a provider's page may come back with a POST."""
    page, status = await shown(pay, request.path_params["reference"])
    return Response(page, status_code=status)


hooks = Webhooks(pay, on_payment)
mounted = asgi("/pay", is_mount=True, copy_scope=True)(hooks)
app = Litestar([shop, buy, state, mounted], lifespan=[lifespan])

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
