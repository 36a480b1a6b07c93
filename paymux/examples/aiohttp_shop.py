"""A shop in aiohttp.web: it collects, takes messages, and ships each paid order once.

    pip install paymux
    python -m paymux.examples.aiohttp_shop

The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
"""

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

from aiohttp import web

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


async def lifespan(_: web.Application) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


async def order(request: web.Request) -> web.Response:
    """Ask a payer for the money of an order."""
    payer, reference = (await request.json())["payer"], f"order-{uuid4()}"
    try:
        with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
            await pay.collect("kenya", amount=250, currency="KES", payer=payer, reference=reference)
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return web.json_response({"field": wrong.name, "accepted": wrong.accepted}, status=422)
    return web.json_response({"reference": reference})


hooks = Webhooks(pay, on_payment)
app = web.Application()
app.cleanup_ctx.append(lifespan)
app.add_routes([web.post("/orders", order), web.route("*", "/pay/{tail:.*}", hooks.aiohttp)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
