"""paymux: collect, pay out and verify money through African payment providers, from asyncio."""

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import (
    AuthenticationFailed,
    BadWebhook,
    DuplicateReference,
    Mismatch,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PaymuxError,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    UsageError,
    WatchTimeout,
)
from .models import Balance, Customer, Event, Item, Method, Payment, Reason, Receipt, Status, Tax, Trust
from .pool import Pool
from .watch import Watch
from .wire import Incoming, get, post

if TYPE_CHECKING:
    from .drivers.campay import CamPay
    from .drivers.mpesa import Mpesa

# Drivers load on use: one line each.
_DRIVERS = {
    "CamPay": "campay",
    "Mpesa": "mpesa",
}

__all__ = [
    "AuthenticationFailed",
    "BadWebhook",
    "Balance",
    "CamPay",
    "Customer",
    "DuplicateReference",
    "Event",
    "Incoming",
    "Item",
    "Method",
    "Mismatch",
    "Mpesa",
    "NotFound",
    "NotSent",
    "OutcomeUnknown",
    "Payment",
    "PaymuxError",
    "Pool",
    "ProviderError",
    "RateLimited",
    "Reason",
    "Receipt",
    "Rejected",
    "Status",
    "Tax",
    "Trust",
    "Unavailable",
    "Unsupported",
    "UsageError",
    "Watch",
    "WatchTimeout",
    "get",
    "post",
]


def __getattr__(name: str) -> object:
    if name in _DRIVERS:
        return getattr(import_module(f".drivers.{_DRIVERS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
