"""A shop whose customers type its paybill number themselves: it hears of each payment once.

    pip install paymux
    python -m paymux.examples.paybill_shop

The account is PAYMUX_MPESA__DRIVER=mpesa with the driver's fields and PAYMUX_MPESA__ADOPT_C2B=true.
PAYMUX_WEBHOOK_BASE is the public address of /pay on PORT, PAYMUX_WEBHOOK_KEY a secret of 16
characters, and PAYMUX_JOURNAL a file such as shop.db. ORDERS is a file with an order in each line:
its name and its price. `--register 0722000000`, once, tells M-Pesa both URLs and the number for
pull. /code/order-8 is a QR code for the customer's M-Pesa app, with PAYMUX_MPESA__BUSINESS_NAME.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from aiohttp import web

from paymux import Event, Mpesa, Payment, Pool, Status
from paymux.webhooks import Webhooks

NEEDS = {"PAYMUX_JOURNAL", "PAYMUX_WEBHOOK_BASE", "PAYMUX_WEBHOOK_KEY", "ORDERS"}
if sys.argv[1:] == ["--register"] or not {*os.environ} >= NEEDS:
    sys.exit(__doc__)
pay = Pool.from_config()


def orders() -> dict[str, Decimal]:
    """Read the price of each order; a real shop has a table."""
    lines = Path(os.environ["ORDERS"]).read_text(encoding="utf-8").splitlines()
    return {name.lower(): Decimal(price) for name, price in map(str.split, lines)}


async def on_validate(event: Event) -> bool | str:
    """Say before a payment whether its account exists; only where Safaricom has enabled this."""
    return (event.claims.bill_reference or "").lower() in orders() or "C2B00012"


async def on_payment(payment: Payment) -> None:
    """Ship what is paid: what the customer typed proves nothing, so the amount must be right."""
    if payment.status is not Status.SUCCEEDED or not (payment.reference or "").startswith("c2b."):
        return
    typed = (payment.bill_reference or "").strip().lower()
    async with pay.once(payment, "fulfilled") as first:  # once, over workers and restarts
        if first and orders().get(typed) == payment.amount:
            print("ship:", typed, payment.receipt)
        elif first:
            print("for a person:", payment.receipt, payment.amount, typed)


async def code(request: web.Request) -> web.Response:
    """Show a code, so that the customer need not type number, account and price."""
    if (price := orders().get(name := request.match_info["order"].lower())) is None:
        raise web.HTTPNotFound
    image = await pay.run("mpesa", Mpesa.qr_code, amount=price, bill_reference=name)
    return web.Response(body=image, content_type="image/png")


async def register(number: str) -> None:
    """Tell M-Pesa where to ask and to tell; production takes it once."""
    urls = {
        f"{use}_url": pay.webhook_url("mpesa", use=use) for use in ("confirmation", "validation")
    }
    async with pay:
        print(await pay.run("mpesa", Mpesa.register_c2b, **urls, response_type="Completed"))
        asked = {"nominated_number": number, "callback_url": pay.webhook_url("mpesa")}
        print(await pay.run("mpesa", Mpesa.register_pull, **asked))


async def lifespan(_: web.Application) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server; they also find what no message told of."""
    async with pay, hooks:
        yield


hooks = Webhooks(pay, on_payment, on_validate=on_validate)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--register"]:
        asyncio.run(register(sys.argv[2]))
    else:
        app = web.Application()
        app.cleanup_ctx.append(lifespan)
        app.add_routes([web.get("/code/{order}", code)])
        app.add_routes([web.route("*", "/pay/{tail:.*}", hooks.aiohttp)])
        web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
