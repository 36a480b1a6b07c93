"""A shop in FastAPI: it collects, takes the provider's messages, and makes each paid order once.

    pip install paymux fastapi uvicorn python-multipart
    python -m paymux.examples.fastapi_shop

PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from paymux import DuplicateReference, OutcomeUnknown, Payment, PaymuxError, Pool, Status
from paymux.examples.shop_page import ACCOUNT, order, pool, product, shown
from paymux.webhooks import Webhooks


def create_app(pay: Pool) -> FastAPI:
    """Make the shop of a pool; a test passes one with the simulator's connection."""

    async def on_payment(payment: Payment) -> None:  # at least once for each end, however found
        match payment.status:
            case Status.SUCCEEDED:
                async with pay.once(payment, "made") as first:  # once, over workers and restarts
                    if first:
                        print("make:", payment.reference)
            case Status.FAILED | Status.CANCELLED | Status.EXPIRED:
                print("release:", payment.reference)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pay, hooks:
            yield

    hooks = Webhooks(pay, on_payment)
    app = FastAPI(lifespan=lifespan, default_response_class=HTMLResponse)
    app.mount("/pay", hooks)

    @app.get("/")
    async def shop() -> str:
        return product(pay)

    @app.post("/orders")
    async def buy(request: Request) -> Response:
        asked = order(pay, await request.form())
        url = f"/orders/{asked['reference']}"
        try:
            url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
        except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
            pass
        except PaymuxError as error:  # nothing was sent
            return HTMLResponse(product(pay, error), 422)
        return RedirectResponse(url, 303)

    @app.api_route("/orders/{reference}", methods=["GET", "POST"])  # a provider's page may POST
    async def state(reference: str) -> Response:
        return HTMLResponse(*await shown(pay, reference))

    return app


def shop() -> FastAPI:
    """Make the shop of the settings."""
    return create_app(pool())


if __name__ == "__main__":
    uvicorn.run(shop(), port=int(os.environ.get("PORT", "8000")))
