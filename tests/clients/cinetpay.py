"""PyPI cinetpay 0.0.1 with another host."""

import sys
from typing import Any

from cinetpay import (  # type: ignore[import-not-found]  # only its own environment has it
    Channels,
    Client,
    Credential,
    Currencies,
    Customer,
    Languages,
    Order,
)

from .listening import listen


def client() -> Any:
    """Return a new client for each call, because a look-up leaves its id in the credentials."""
    return Client(
        {
            "host": sys.argv[1],  # its documented setting, of which it keeps scheme, host and port
            "credentials": Credential(apikey="simulator", site_id="123456"),
            "channels": Channels.ALL,
            "language": Languages.FR,
            "currency": Currencies.XOF,
            "lock_phone_number": False,
            "raise_on_error": False,
        }
    )


def initialize(order: dict[str, Any], customer: dict[str, str]) -> dict[str, Any]:
    """Open a checkout page."""
    return told(client().initialize_transaction(Order(**order, customer=Customer(**customer))))


def check(by: dict[str, str]) -> dict[str, Any]:
    """Look up a payment by `token` or by `_id`."""
    return told(client().get_transaction(**by))


def told(response: Any) -> dict[str, Any]:
    """Return the client's reading of an answer."""
    return {
        "has_error": response.has_error,
        "status_code": response.status_code,
        "json": response.json,
        "description": response.description if response.has_error else None,
    }


listen("cinetpay", initialize, check)
