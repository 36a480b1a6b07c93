"""PyPI momo-openapi 0.1.2, a client of both platforms, with other hosts.

The first argument is the simulator's URL; its address of a platform is an option of the client.
"""

import sys
from typing import Any

import momo_openapi  # type: ignore[import-not-found]  # only its own environment has it
from momo_openapi import Collection, Disbursement, MomoAPIError, MomoConfig

from .listening import listen

BASES = {"proxy": sys.argv[1], "africa": f"{sys.argv[1]}/momo.africa"}


def _client(kind: Any, platform: str) -> Any:
    config = MomoConfig(
        subscription_key="simulator",
        user_id="simulator",
        credential_token="simulator",
        target_environment="mtnuganda",
        base_url=BASES[platform],
        currency="UGX",
    )
    return kind(config)


def _said(error: Any) -> dict[str, Any]:
    return {"status": error.status_code, "said": str(error)}


CLIENTS = {
    (kind.product, platform): _client(kind, platform)
    for kind in (Collection, Disbursement)
    for platform in BASES
}


def request_to_pay(platform: str, amount: str, phone: str, id: str, named: str) -> Any:
    """Ask a payer for money."""
    try:
        client = CLIENTS["collection", platform]
        return client.request_to_pay(amount, phone, id, reference_id=named)
    except MomoAPIError as error:
        return _said(error)


def transfer(platform: str, amount: str, phone: str, id: str) -> Any:
    """Send money."""
    return CLIENTS["disbursement", platform].transfer(amount, phone, id)


def status(product: str, platform: str, named: str) -> Any:
    """Ask for a payment."""
    try:
        return CLIENTS[product, platform].get_transaction_status(named)
    except MomoAPIError as error:
        return _said(error)


def balance(product: str, platform: str) -> Any:
    """Ask for a balance."""
    return CLIENTS[product, platform].get_balance()


listen(momo_openapi.__name__.replace("_", "-"), request_to_pay, transfer, status, balance)
