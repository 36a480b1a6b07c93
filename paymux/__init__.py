"""paymux: collect, pay out and verify money through African payment providers, from asyncio."""

from importlib import import_module
from typing import TYPE_CHECKING

from . import drivers
from .core import Recovered
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
from .http import WebhookRequest, get, post
from .journal import Journal
from .models import (
    Balance,
    Customer,
    Event,
    Item,
    Method,
    Payment,
    Reason,
    Receipt,
    Status,
    Tax,
    Trust,
)
from .pool import Pool

# Loaded at first use. So is each driver, by the name of its class.
_LATER = {
    "AccountLoad": "transport.observers",
    "AttemptEnded": "transport.observers",
    "Bulk": "bulk",
    "Notifier": "core.notify",
    "Observer": "transport.observers",
    "Progress": "bulk",
    "SqliteJournal": "journal.sqlite",
    "VerbBegan": "transport.observers",
    "VerbEnded": "transport.observers",
    "Verified": "bulk",
    "Watch": "watch",
}

__all__ = [
    "AccountLoad",
    "AttemptEnded",
    "AuthenticationFailed",
    "BadWebhook",
    "Balance",
    "Bulk",
    "Customer",
    "DuplicateReference",
    "Event",
    "Item",
    "Journal",
    "Method",
    "Mismatch",
    "NotFound",
    "NotSent",
    "Notifier",
    "Observer",
    "OutcomeUnknown",
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
    "VerbBegan",
    "VerbEnded",
    "Verified",
    "Watch",
    "WatchTimeout",
    "WebhookRequest",
    "get",
    "post",
]

if TYPE_CHECKING:
    from .bulk import Bulk, Progress, Verified
    from .core.notify import Notifier

    # A type checker runs no code: it sees the drivers that a release names here.
    from .drivers.campay import CamPay
    from .drivers.cinetpay import CinetPay
    from .drivers.intram import Intram
    from .drivers.mpesa import Mpesa
    from .drivers.mpesa_gateway import MpesaGateway
    from .drivers.paydunya import PayDunya
    from .journal.sqlite import SqliteJournal
    from .transport.observers import (
        AccountLoad,
        AttemptEnded,
        Observer,
        VerbBegan,
        VerbEnded,
    )
    from .watch import Watch

    __all__ += ["CamPay", "CinetPay", "Intram", "Mpesa", "MpesaGateway", "PayDunya"]
else:
    _NAMES = tuple(__all__)
    del __all__  # `__getattr__` gives it, with the drivers that are found

    def __getattr__(name: str) -> object:
        if name in _LATER:
            return getattr(import_module(f".{_LATER[name]}", __name__), name)
        if name == "__all__":
            found = [drivers.load(driver).__name__ for driver in drivers.own()]
            return sorted([*_NAMES, *found])
        if (driver := drivers.exported(name)) is not None:
            return driver
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
