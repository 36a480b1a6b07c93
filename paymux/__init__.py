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
from .journal import Journal
from .models import Balance, Customer, Event, Item, Method, Payment, Reason, Receipt, Status, Tax, Trust
from .pool import Pool
from .recover import Recovered
from .wire import Incoming, get, post

if TYPE_CHECKING:
    from .bulk import Bulk, Progress, Verified
    from .drivers.campay import CamPay
    from .drivers.cinetpay import CinetPay
    from .drivers.intram import Intram
    from .drivers.mpesa import Mpesa
    from .drivers.mpesa_gateway import MpesaGateway
    from .drivers.paydunya import PayDunya
    from .journal.sqlite import SqliteJournal
    from .notify import Notifier
    from .watch import Watch

# Loaded at first use; one line for each driver.
_LATER = {
    "Bulk": "bulk",
    "CamPay": "drivers.campay",
    "CinetPay": "drivers.cinetpay",
    "Intram": "drivers.intram",
    "Mpesa": "drivers.mpesa",
    "MpesaGateway": "drivers.mpesa_gateway",
    "Notifier": "notify",
    "PayDunya": "drivers.paydunya",
    "Progress": "bulk",
    "SqliteJournal": "journal.sqlite",
    "Verified": "bulk",
    "Watch": "watch",
}

__all__ = [
    "AuthenticationFailed",
    "BadWebhook",
    "Balance",
    "Bulk",
    "CamPay",
    "CinetPay",
    "Customer",
    "DuplicateReference",
    "Event",
    "Incoming",
    "Intram",
    "Item",
    "Journal",
    "Method",
    "Mismatch",
    "Mpesa",
    "MpesaGateway",
    "NotFound",
    "NotSent",
    "Notifier",
    "OutcomeUnknown",
    "PayDunya",
    "Payment",
    "PaymuxError",
    "Pool",
    "Progress",
    "ProviderError",
    "RateLimited",
    "Reason",
    "Receipt",
    "Recovered",
    "Rejected",
    "SqliteJournal",
    "Status",
    "Tax",
    "Trust",
    "Unavailable",
    "Unsupported",
    "UsageError",
    "Verified",
    "Watch",
    "WatchTimeout",
    "get",
    "post",
]


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
