"""PyPI wave-business-api 1.0.0, with another host, by the parameter that it has for one."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from wave_business_api import (  # type: ignore[import-not-found]  # only its own environment has it
    WaveAPIError,
    WaveClient,
    WebhookVerifier,
)

from .listening import listen

client = WaveClient("simulator", base_url=sys.argv[1])


def told(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return what an operation returns, or the class, status and code of its error."""

    @wraps(operation)
    def called(fields: dict[str, Any]) -> Any:
        try:
            return operation(**fields)
        except WaveAPIError as error:
            return [type(error).__name__, error.status_code, error.error_code]

    return called


def transactions(date: str) -> Any:
    """List all transactions of a day; its own method is a generator."""
    return list(client.balance.get_all_transactions(date=date))


def balance() -> Any:
    """Ask for the balance."""
    return client.balance.get()


def verified(secret: str, body: str, signature: str) -> Any:
    """Return the type of an event that it verifies."""
    event = WebhookVerifier(signing_secret=secret).verify_and_parse(body, wave_signature=signature)
    return event["type"]


listen(
    "wave-business-api",
    told(client.checkout.create_session),
    told(client.checkout.get_session),
    told(client.checkout.get_session_by_transaction),
    told(client.checkout.search_sessions),
    told(client.checkout.expire_session),
    told(client.checkout.refund_session),
    told(client.payout.create),
    told(client.payout.get),
    told(client.payout.search),
    told(client.payout.reverse),
    told(client.payout.verify_recipient),
    balance,
    transactions,
    verified,
)
