"""A shop in Django under ASGI: an async view collects, a sync view takes the provider's messages.

    pip install paymux django uvicorn
    python -m paymux.examples.django_shop

`async_to_sync` in a sync view awaits in the server's event loop, so all requests share one pool.

The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
SECRET_KEY is Django's.
"""

import json
import os
from contextlib import suppress
from typing import Any
from uuid import uuid4

import uvicorn
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import HttpHeaders
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError, WebhookRequest
from paymux.webhooks import Webhooks

settings.configure(SECRET_KEY=os.environ["SECRET_KEY"], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
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


async def order(request: HttpRequest) -> JsonResponse:
    """Ask a payer for the money of an order."""
    payer, reference = json.loads(request.body)["payer"], f"order-{uuid4()}"
    try:
        with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
            await pay.collect("kenya", amount=250, currency="KES", payer=payer, reference=reference)
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return JsonResponse({"field": wrong.name, "accepted": wrong.accepted}, status=422)
    return JsonResponse({"reference": reference})


def webhook(request: HttpRequest, _: str) -> HttpResponse:
    """Take a message; the view is sync, and asgiref awaits in the server's own loop."""
    incoming = WebhookRequest(
        method=request.method or "",
        path=request.path,
        query=request.META["QUERY_STRING"],
        headers=HttpHeaders(request.META),
        body=request.body,
    )
    reply = async_to_sync(hooks.answer)(incoming)
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve Django, which serves no lifespan: the pool's webhooks open and close it."""
    await (hooks if scope["type"] == "lifespan" else pages)(scope, receive, send)


hooks = Webhooks(pay, on_payment)
urlpatterns = [path("orders", csrf_exempt(order)), path("pay/<path:_>", csrf_exempt(webhook))]
pages = get_asgi_application()

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
