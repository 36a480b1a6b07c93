"""paymux: collect, pay out and verify money through African payment providers, from asyncio."""

from importlib import import_module
from typing import TYPE_CHECKING

from .primitives.lazy import loader

__all__ = [
    "AccountLoad",
    "AttemptEnded",
    "AuthenticationFailed",
    "BadWebhook",
    "Balance",
    "Bulk",
    "CredentialRefused",
    "Customer",
    "DuplicateReference",
    "Event",
    "Health",
    "Item",
    "Journal",
    "Method",
    "Mismatch",
    "NoAnswer",
    "NotFound",
    "NotSent",
    "Notifier",
    "Observer",
    "OutcomeUnknown",
    "Payment",
    "PaymuxError",
    "Pool",
    "PostgresJournal",
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
    "ask",
    "get",
    "post",
]

if TYPE_CHECKING:
    from .bulk import Bulk, Progress, Verified
    from .core import Health, Recovered
    from .core.notify import Notifier

    # A type checker runs no code: it sees the drivers that a release names here.
    from .drivers.campay import CamPay
    from .drivers.cinetpay import CinetPay
    from .drivers.intram import Intram
    from .drivers.mpesa import Mpesa
    from .drivers.mpesa_gateway import MpesaGateway
    from .drivers.paydunya import PayDunya
    from .errors import (
        AuthenticationFailed,
        BadWebhook,
        CredentialRefused,
        DuplicateReference,
        Mismatch,
        NoAnswer,
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
    from .http import WebhookRequest, ask, get, post
    from .journal import Journal
    from .journal.postgres import PostgresJournal
    from .journal.sqlite import SqliteJournal
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

    _named = loader(
        __name__,
        {
            "bulk": ("Bulk", "Progress", "Verified"),
            "core": ("Health", "Recovered"),
            "core.notify": ("Notifier",),
            "errors": (
                "AuthenticationFailed",
                "BadWebhook",
                "CredentialRefused",
                "DuplicateReference",
                "Mismatch",
                "NoAnswer",
                "NotFound",
                "NotSent",
                "OutcomeUnknown",
                "PaymuxError",
                "ProviderError",
                "RateLimited",
                "Rejected",
                "Unavailable",
                "Unsupported",
                "UsageError",
                "WatchTimeout",
            ),
            "http": ("WebhookRequest", "ask", "get", "post"),
            "journal": ("Journal",),
            "journal.postgres": ("PostgresJournal",),
            "journal.sqlite": ("SqliteJournal",),
            "models": (
                "Balance",
                "Customer",
                "Event",
                "Item",
                "Method",
                "Payment",
                "Reason",
                "Receipt",
                "Status",
                "Tax",
                "Trust",
            ),
            "pool": ("Pool",),
            "transport.observers": (
                "AccountLoad",
                "AttemptEnded",
                "Observer",
                "VerbBegan",
                "VerbEnded",
            ),
            "watch": ("Watch",),
        },
    )

    def __getattr__(name: str) -> object:
        if name in _NAMES:
            return _named(name)
        if name in ("drivers", "errors", "http", "models"):
            return import_module(f".{name}", __name__)
        if name == "__all__" or name[:1].isupper():
            from .drivers import exported, load, own  # noqa: PLC0415 - no other name needs it

            if name == "__all__":
                return sorted([*_NAMES, *(load(driver).__name__ for driver in own())])
            if (driver := exported(name)) is not None:
                globals()[name] = driver
                return driver
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
