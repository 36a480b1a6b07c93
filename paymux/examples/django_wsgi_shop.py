"""A shop in Django under WSGI: it collects, takes messages, and ships each paid order once.

    pip install paymux django anyio
    python -m paymux.examples.django_wsgi_shop

A WSGI server has threads and no event loop. Each worker process starts one loop, in a thread of
anyio's, when it imports this file: under gunicorn use `--threads`, and no `--preload`.
The account is PAYMUX_KENYA__DRIVER=mpesa with the driver's fields (PAYMUX_KENYA__CONSUMER_KEY …).
PAYMUX_WEBHOOK_BASE is the public address of /pay, and PAYMUX_WEBHOOK_KEY a secret of 16 characters.
SECRET_KEY is Django's.
"""

import atexit
import json
import os
from contextlib import ExitStack, suppress
from uuid import uuid4

from anyio.from_thread import start_blocking_portal
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
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


async def charge(payer: str, reference: str) -> None:
    """Ask a payer for the money of an order, in the loop of the pool."""
    with suppress(OutcomeUnknown):  # the payer may be asked by now: never ask again
        await pay.collect("kenya", amount=250, currency="KES", payer=payer, reference=reference)


def order(request: HttpRequest) -> JsonResponse:
    """Take an order."""
    reference = f"order-{uuid4()}"
    try:
        portal.call(charge, json.loads(request.body)["payer"], reference)
    except UsageError as wrong:  # nothing was sent: the form may say what is accepted
        return JsonResponse({"field": wrong.name, "accepted": wrong.accepted}, status=422)
    return JsonResponse({"reference": reference})


def webhook(request: HttpRequest, _: str) -> HttpResponse:
    """Take a message."""
    incoming = WebhookRequest(
        method=request.method or "",
        path=request.path,
        query=request.META["QUERY_STRING"],
        headers=HttpHeaders(request.META),
        body=request.body,
    )
    reply = portal.call(hooks.answer, incoming)
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


# One loop in a thread serves all requests: a loop for each would be a second one for the pool.
ends = ExitStack()
atexit.register(ends.close)
hooks = Webhooks(pay, on_payment)
portal = ends.enter_context(start_blocking_portal())
ends.enter_context(portal.wrap_async_context_manager(pay))
ends.enter_context(portal.wrap_async_context_manager(hooks))
urlpatterns = [path("orders", csrf_exempt(order)), path("pay/<path:_>", csrf_exempt(webhook))]
app = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(["", "runserver", "--noreload", os.environ.get("PORT", "8000")])
