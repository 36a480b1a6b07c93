"""A shop in Starlette: it collects, takes the provider's messages, and ships each paid order once.

    pip install paymux starlette uvicorn
    python -m paymux.examples.starlette_shop

The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError
from paymux.webhooks import Webhooks

pay = Pool.from_env(
    journal=os.environ.get("PAYMUX_JOURNAL", "shop.db"),
    webhook_base=os.environ["PAYMUX_WEBHOOK_BASE"],
    webhook_key=os.environ["PAYMUX_WEBHOOK_KEY"],
)


async def on_payment(payment: Payment) -> None:
    """Ship what is paid, and release what is not."""
    match payment.kind, payment.status:  # a payout may share a reference: it frees nothing
        case "collect", Status.SUCCEEDED:
            async with pay.once(payment, "fulfilled") as first:  # once, over workers and restarts
                if first:
                    print("e-mail:", payment.reference)
        case "collect", Status.FAILED | Status.CANCELLED | Status.EXPIRED:
            print("release:", payment.reference)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


async def order(request: Request) -> JSONResponse:
    """Ask a payer for the money of an order."""
    payer, reference = (await request.json())["payer"], f"order-{uuid4()}"
    try:
        with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
            await pay.collect("kenya", amount=250, currency="KES", payer=payer, reference=reference)
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return JSONResponse({"field": wrong.name, "accepted": wrong.accepted}, 422)
    return JSONResponse({"reference": reference})


hooks = Webhooks(pay, on_payment)
routes = [Route("/orders", order, methods=["POST"]), Mount("/pay", hooks)]
app = Starlette(routes=routes, lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
