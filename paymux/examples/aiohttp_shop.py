"""A shop in aiohttp.web: it collects, takes messages, and makes each paid order once.

    pip install paymux
    python -m paymux.examples.aiohttp_shop

PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from collections.abc import AsyncIterator

from aiohttp import web

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


async def lifespan(_: web.Application) -> AsyncIterator[None]:
    """Open the pool and its webhooks with the server, and close them with it."""
    async with pay, hooks:
        yield


def page(text: str, status: int = 200) -> web.Response:
    """Answer with a page."""
    return web.Response(text=text, status=status, content_type="text/html")


async def shop(_: web.Request) -> web.Response:
    """Show the product."""
    return page(product(pay))


async def buy(request: web.Request) -> web.Response:
    """Ask a payer for the money of an order."""
    asked = order(pay, await request.post())
    url = f"/orders/{asked['reference']}"
    try:
        url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return page(product(pay, error), 422)
    raise web.HTTPSeeOther(url)


async def state(request: web.Request) -> web.Response:
    """Show how an order stands; a provider's page may come back with a POST."""
    return page(*await shown(pay, request.match_info["reference"]))


hooks = Webhooks(pay, on_payment)
app = web.Application()
app.cleanup_ctx.append(lifespan)
app.add_routes(
    [
        web.get("/", shop),
        web.post("/orders", buy),
        web.route("*", "/orders/{reference}", state),
        web.route("*", "/pay/{tail:.*}", hooks.aiohttp),
    ]
)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
