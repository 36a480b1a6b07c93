"""PyPI mpesakit 2.2.0 with another host."""

import sys
from collections.abc import Callable
from typing import Any

from mpesakit import MpesaClient  # type: ignore[import-not-found]  # only its own environment has it
from mpesakit.b2c import B2CCommandIDType  # type: ignore[import-not-found]
from mpesakit.errors import MpesaApiException  # type: ignore[import-not-found]
from pydantic import ValidationError  # type: ignore[import-not-found,unused-ignore]

from .listening import listen

client = MpesaClient("simulator", "simulator")
client.http_client.base_url = sys.argv[1]


def b2c(payout: dict[str, Any]) -> Any:
    """Pay a payee."""
    return attempted(
        lambda: client.b2c.send_payment(command_id=B2CCommandIDType.BusinessPayment, **payout)
    )


def status(question: dict[str, Any]) -> Any:
    """Ask what became of a payment."""
    return attempted(lambda: client.transactions.query_status(**question))


def balance(question: dict[str, Any]) -> Any:
    """Ask for the balance."""
    return attempted(lambda: client.balance.query(command_id="AccountBalance", **question))


def reverse(reversal: dict[str, Any]) -> Any:
    """Give a payment back."""
    return attempted(lambda: client.reversal.reverse(**reversal))


def register(urls: dict[str, Any]) -> Any:
    """Register the URLs of C2B."""
    return attempted(lambda: client.c2b.register_url(**urls))


def b2b(operation: str, payment: dict[str, Any]) -> Any:
    """Pay another business, or prompt one."""
    return attempted(lambda: getattr(client.b2b, operation)(**payment))


def tax(payment: dict[str, Any]) -> Any:
    """Pay a tax."""
    return attempted(lambda: client.tax.remittance(**payment))


def code(fields: dict[str, Any]) -> Any:
    """Make a QR code."""
    return attempted(lambda: client.dynamic_qr.generate(**fields))


def standing_order(order: dict[str, Any]) -> Any:
    """Ask a customer for a standing order."""
    return attempted(lambda: client.ratiba.create_standing_order(**order))


def read(name: str, payload: dict[str, Any]) -> Any:
    """Read a message with the client's own model."""
    try:
        return getattr(client, f"process_{name}_callback")(payload).model_dump(mode="json")
    except ValidationError as error:
        return {"raised": [".".join(map(str, one["loc"])) for one in error.errors()]}


def attempted(call: Callable[[], Any]) -> Any:
    """Return the answer, or the error that the client raises."""
    try:
        return call().model_dump(mode="json")
    except MpesaApiException as error:
        return {"raised": error.error.error_code, "said": error.error.raw_response}


listen("mpesakit", b2c, status, balance, reverse, register, b2b, tax, code, standing_order, read)
