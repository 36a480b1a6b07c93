"""A shop in Django under ASGI: it collects, takes messages, and makes each paid order once.

    pip install paymux django uvicorn
    python -m paymux.examples.django_shop

Its pages are async views; `async_to_sync` in a sync view awaits in the server's event loop, too.
PAYMUX_CAMPAY__DRIVER=campay and the driver's fields (PAYMUX_CAMPAY__USERNAME …) are the account,
PAYMUX_WEBHOOK_BASE the public address of /pay, PAYMUX_WEBHOOK_KEY a secret of 16 characters, and
PAYMUX_JOURNAL a file such as shop.db. `paymux simulator -- ` before the command sets all of them.
"""

import os
from secrets import token_hex
from typing import Any

import uvicorn
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.http.request import HttpHeaders
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from paymux import DuplicateReference, OutcomeUnknown, Payment, PaymuxError, Status, WebhookRequest
from paymux.examples.shop_page import ACCOUNT, order, pool, product, shown
from paymux.webhooks import Webhooks

settings.configure(SECRET_KEY=token_hex(), ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
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


async def shop(_: HttpRequest) -> HttpResponse:
    """Show the product."""
    return HttpResponse(product(pay).encode())


async def buy(request: HttpRequest) -> HttpResponse:
    """Ask a payer for the money of an order."""
    asked = order(pay, request.POST)
    url = f"/orders/{asked['reference']}"
    try:
        url = (await pay.collect(ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return HttpResponse(product(pay, error).encode(), status=422)
    return HttpResponse(status=303, headers={"Location": url})


async def state(_: HttpRequest, reference: str) -> HttpResponse:
    """Show how an order stands; a provider's page may come back with a POST."""
    page, status = await shown(pay, reference)
    return HttpResponse(page.encode(), status=status)


def webhook(request: HttpRequest, _: str) -> HttpResponse:
    """Take a message; the view is sync, and asgiref awaits in the server's own loop."""
    head, query = HttpHeaders(request.META), request.META["QUERY_STRING"]
    incoming = WebhookRequest(
        method=str(request.method), path=request.path, query=query, headers=head, body=request.body
    )
    reply = async_to_sync(hooks.answer)(incoming)
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve Django, which serves no lifespan: the pool's webhooks open and close it."""
    await (hooks if scope["type"] == "lifespan" else pages)(scope, receive, send)


hooks = Webhooks(pay, on_payment)
views = {"": shop, "orders": buy, "orders/<reference>": state, "pay/<path:_>": webhook}
urlpatterns = [path(route, csrf_exempt(view)) for route, view in views.items()]
pages = get_asgi_application()

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
