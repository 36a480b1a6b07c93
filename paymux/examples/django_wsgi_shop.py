"""A shop in Django under WSGI: it collects, takes messages, and makes each paid order once.

    pip install paymux django anyio
    python -m paymux.examples.django_wsgi_shop

A WSGI server has threads and no event loop. Each worker process starts one loop, in a thread of
anyio's, when it imports this file: under gunicorn use `--threads`, and no `--preload`.
Its settings are those of paymux/examples/django_shop.py.
"""

import atexit
import os
from contextlib import ExitStack
from functools import partial
from secrets import token_hex

from anyio.from_thread import start_blocking_portal
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
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


def shop(_: HttpRequest) -> HttpResponse:
    """Show the product."""
    return HttpResponse(product(pay).encode())


def buy(request: HttpRequest) -> HttpResponse:
    """Ask a payer for the money of an order, in the loop of the pool."""
    asked = order(pay, request.POST)
    url = f"/orders/{asked['reference']}"
    try:
        url = portal.call(partial(pay.collect, ACCOUNT, **asked)).checkout_url or url
    except (OutcomeUnknown, DuplicateReference):  # it was sent: never again
        pass
    except PaymuxError as error:  # nothing was sent
        return HttpResponse(product(pay, error).encode(), status=422)
    return HttpResponse(status=303, headers={"Location": url})


def state(_: HttpRequest, reference: str) -> HttpResponse:
    """Show how an order stands; a provider's page may come back with a POST."""
    page, status = portal.call(shown, pay, reference)
    return HttpResponse(page.encode(), status=status)


def webhook(request: HttpRequest, _: str) -> HttpResponse:
    """Take a message."""
    head, query = HttpHeaders(request.META), request.META["QUERY_STRING"]
    incoming = WebhookRequest(
        method=str(request.method), path=request.path, query=query, headers=head, body=request.body
    )
    reply = portal.call(hooks.answer, incoming)
    return HttpResponse(reply.body, status=reply.status, headers=dict(reply.headers))


ends = ExitStack()
atexit.register(ends.close)
hooks = Webhooks(pay, on_payment)
portal = ends.enter_context(start_blocking_portal())
ends.enter_context(portal.wrap_async_context_manager(pay))
ends.enter_context(portal.wrap_async_context_manager(hooks))
views = {"": shop, "orders": buy, "orders/<reference>": state, "pay/<path:_>": webhook}
urlpatterns = [path(route, csrf_exempt(view)) for route, view in views.items()]
app = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(["", "runserver", "--noreload", os.environ.get("PORT", "8000")])
