"""PyPI mtn-momo-client 2.0.1, with another host."""

import sys
from typing import Any

from momo_api import (  # type: ignore[import-not-found]  # only its own environment has it
    Config,
    MomoApi,
    MomoException,
    PaymentRequest,
    RefundRequest,
    TransferRequest,
)

from .listening import listen

# There is no option for the host: this is the attribute that the sandbox's URL is in.
MomoApi.SANDBOX_URL = sys.argv[1]
KEY = "simulator"
apis: dict[str, Any] = {}  # those of the user that was made last


def provision(user: str) -> Any:
    """Make an API user and its key."""
    sandbox = MomoApi.create("sandbox").sandbox(KEY)
    sandbox.create_api_user(user, "shop.example")
    made = sandbox.get_api_user(user)
    key = sandbox.create_api_key(user)
    api = MomoApi.create("sandbox")
    apis["collection"] = api.get_collection(Config.collection(KEY, user, key))
    apis["disbursement"] = api.get_disbursement(Config.disbursement(KEY, user, key))
    return made


def pay(amount: str, phone: str, id: str, named: str | None) -> Any:
    """Ask a payer for money."""
    try:
        return apis["collection"].request_to_pay(
            PaymentRequest.make(amount, phone, id, "EUR"), named
        )
    except MomoException as error:
        return {"error": type(error).__name__}


def transfer(amount: str, phone: str, id: str) -> Any:
    """Send money."""
    return apis["disbursement"].transfer(TransferRequest.make(amount, phone, id, "EUR"))


def refund(amount: str, paid: str, id: str) -> Any:
    """Give money back."""
    return apis["disbursement"].refund(RefundRequest.make(amount, paid, id, "EUR"))


def payment(named: str) -> Any:
    """Ask for a payment."""
    return _told(apis["collection"].get_payment_status(named))


def transferred(named: str) -> Any:
    """Ask for a transfer."""
    return _told(apis["disbursement"].get_transfer_status(named))


def refunded(named: str) -> Any:
    """Ask for a refund."""
    return _told(apis["disbursement"].get_refund_status(named))


def holder(phone: str) -> Any:
    """Ask whether a number has an active account."""
    return apis["collection"].check_account_holder(phone)


def _told(found: Any) -> Any:
    reason = found.reason
    return {
        "status": found.status,
        "amount": found.amount,
        "id": found.external_id,
        "party": found.payer or found.payee,
        "reason": None if reason is None else reason.code,
    }


listen("mtn-momo-client", provision, pay, transfer, refund, payment, transferred, refunded, holder)
