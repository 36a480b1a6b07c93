"""PyPI cinetpay-python 0.1.0, CinetPay's own, which takes the host."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cinetpay import (  # type: ignore[import-not-found]  # only its own environment has it
    ApiError,
    CinetPayClient,
    ClientConfig,
    CountryCredentials,
    PaymentRequest,
    TransferRequest,
    ValidationError,
    parse_notification,
    verify_notification,
)

from .listening import listen

COUNTRY = "CI"
client = CinetPayClient(
    ClientConfig(
        credentials={COUNTRY: CountryCredentials(api_key="simulator", api_password="simulator")},
        base_url=sys.argv[1],
    )
)


def pay(order: dict[str, Any]) -> Any:
    """Ask for a payment."""
    return attempted(lambda: client.payment.initialize(PaymentRequest(**order), COUNTRY))


def payment(id: str) -> Any:
    """Look a payment up."""
    return attempted(lambda: client.payment.get_status(id, COUNTRY))


def send(order: dict[str, Any]) -> Any:
    """Ask for a transfer."""
    return attempted(lambda: client.transfer.create(TransferRequest(**order), COUNTRY))


def transfer(id: str) -> Any:
    """Look a transfer up."""
    return attempted(lambda: client.transfer.get_status(id, COUNTRY))


def balance() -> Any:
    """Ask for the balance."""
    return attempted(lambda: client.balance.get(COUNTRY))


def notification(body: str, token: str) -> Any:
    """Read a notification, and compare its token with that of the first answer."""
    said = parse_notification(body)
    return {**asdict(said), "ours": verify_notification(token, said.notify_token)}


def attempted(called: Callable[[], Any]) -> Any:
    """Return the answer, or the error that the client raises."""
    try:
        return asdict(called())
    except ApiError as error:
        return {"code": error.api_code, "word": error.api_status, "said": error.description}
    except ValidationError as error:
        return {"field": error.field}


listen("cinetpay-python", pay, payment, send, transfer, balance, notification)
