"""A shop in FastAPI: it collects, takes the provider's messages, and ships each paid order once.

    pip install paymux fastapi uvicorn
    python -m paymux.examples.fastapi_shop

The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
With `paymux simulator`, PAYMUX_KENYA__BASE_URL is http://127.0.0.1:8765/mpesa.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import uvicorn
from fastapi import Body, FastAPI, HTTPException, Response

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError
from paymux.webhooks import Webhooks


def create_app(pay: Pool) -> FastAPI:
    """Make the shop of a pool; a test passes one with the simulator's connection."""

    async def on_payment(payment: Payment) -> None:
        match payment.kind, payment.status:  # a payout may share a reference: it frees nothing
            case "collect", Status.SUCCEEDED:
                async with pay.once(payment, "fulfilled") as first:  # over workers and restarts
                    if first:
                        print("e-mail:", payment.reference)
            case "collect", Status.FAILED | Status.CANCELLED | Status.EXPIRED:
                print("release:", payment.reference)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pay, hooks:
            yield

    hooks = Webhooks(pay, on_payment)
    app = FastAPI(lifespan=lifespan)
    app.mount("/pay", hooks)

    @app.post("/orders")
    async def order(payer: Annotated[str, Body(embed=True)]) -> dict[str, str]:
        reference = f"order-{uuid4()}"
        try:
            with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
                await pay.collect(
                    "kenya", amount=250, currency="KES", payer=payer, reference=reference
                )
        except UsageError as wrong:  # nothing was sent: the form may say what is accepted
            raise HTTPException(422, {"field": wrong.name, "accepted": wrong.accepted}) from None
        return {"reference": reference}

    @app.get("/health")  # for the load balancer: not for the public
    async def health(response: Response) -> Any:
        found = await pay.health()
        response.status_code = 503 if found.state == "down" else 200
        return msgspec.to_builtins(found)

    return app


def shop() -> FastAPI:
    """Make the shop of the environment's accounts."""
    return create_app(
        Pool.from_env(
            journal=os.environ.get("PAYMUX_JOURNAL", "shop.db"),
            webhook_base=os.environ["PAYMUX_WEBHOOK_BASE"],
            webhook_key=os.environ["PAYMUX_WEBHOOK_KEY"],
        )
    )


if __name__ == "__main__":
    if "PAYMUX_WEBHOOK_BASE" not in os.environ:
        raise SystemExit(__doc__)
    uvicorn.run(shop(), port=int(os.environ.get("PORT", "8000")))
