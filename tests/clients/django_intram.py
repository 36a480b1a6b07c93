"""PyPI django-intram 0.1.1, class and views, with another host."""

import sys
from typing import Any

import django
from django.conf import settings
from django.test import Client
from django_intram import Intram  # type: ignore[import-not-found]  # only the client's own environment has it

from .listening import listen

# The host is a constant of the class, and the same for both modes.
Intram.BASE_URL = Intram.BASE_URL_SANDBOX = f"{sys.argv[1]}/api/v1/"
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["django_intram"],
    INTRAM_MARCHAND_ID="simulator",
    INTRAM_PRIVATE_KEY="simulator",
    INTRAM_PUBLIC_KEY="simulator",
    INTRAM_SANDBOX=True,
    INTRAM_SECRET="simulator",
    ROOT_URLCONF="django_intram.urls",
    SECRET_KEY="simulator",
)
django.setup()
browser = Client()


def request_payment(keys: dict[str, str], fields: dict[str, Any]) -> Any:
    """Request a payment with the class; each field has a setter."""
    intram = Intram(**keys, sandbox=True)
    for name, value in fields.items():
        getattr(intram, f"set_{name}")(value)
    return intram.set_request_payment()


def get_transaction_status(keys: dict[str, str], transaction_id: str) -> Any:
    """Look up a payment with the class."""
    return Intram(**keys, sandbox=True).get_transaction_status(transaction_id)


def post(path: str, body: Any) -> Any:
    """Send a POST to one of its views."""
    return browser.post(path, body, content_type="application/json").json()


def get(path: str) -> Any:
    """Send a GET to one of its views."""
    return browser.get(path).json()


listen("django-intram", request_payment, get_transaction_status, post, get)
