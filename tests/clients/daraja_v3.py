"""PyPI daraja-v3 0.2.1 with another host."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from mpesa import MpesaClient  # type: ignore[import-not-found]  # only its own environment has it
from mpesa.exceptions import MpesaError  # type: ignore[import-not-found]  # only its own environment has it

from .listening import listen

client = MpesaClient("simulator", "simulator", "174379", "simulator", base_url=sys.argv[1])


def stk_push(order: dict[str, Any]) -> Any:
    """Prompt a payer."""
    return attempted(lambda: asdict(client.stk_push(**order)))


def stk_query(checkout_request_id: str) -> Any:
    """Look up a push."""
    return attempted(lambda: asdict(client.stk_query(checkout_request_id)))


def c2b_register_urls(validation_url: str, confirmation_url: str) -> Any:
    """Register the URLs for payments that payers start themselves."""
    return attempted(lambda: client.c2b_register_urls(validation_url, confirmation_url))


def b2c(wage: dict[str, Any]) -> Any:
    """Pay a payee."""
    return attempted(lambda: asdict(client.b2c(**wage)))


def account_balance(question: dict[str, Any]) -> Any:
    """Request the balance of the merchant's accounts."""
    return attempted(lambda: client.account_balance(**question))


def attempted(call: Callable[[], Any]) -> Any:
    """Return the answer, or the exception that the client raises."""
    try:
        return call()
    except MpesaError as error:
        return {"raised": type(error).__name__, "code": error.code, "message": error.message}


listen(
    "daraja-v3",
    stk_push,
    stk_query,
    c2b_register_urls,
    b2c,
    account_balance,
    client.parse_stk_callback,
)
