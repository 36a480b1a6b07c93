"""paymux: collect, pay out and verify money through African payment providers, from asyncio.

All verbs of a pool, with `verb(argument, …)` as a program writes them:

```py
async with Pool(CamPay(username="…", password="…"), webhook_base="https://shop.example/pay",
                webhook_key="sixteen characters or more", journal="payments.db") as pay:
    order = {"amount": 5000, "currency": "XAF", "payer": "+237 670 00 00 00"}
    payment = await pay.collect("campay", reference="order-7", **order)
    wage = await pay.payout("kenya", amount=250, currency="KES", payee="0712…", reference="wage-7")
    back = await pay.refund(payment, amount=2000, reference="refund-9", reason="damaged")

    payment = await pay.verify(payment)                             # ask the provider once
    payment = await pay.find("kenya", receipt="SKE52PAWR9")         # by what a payer reads to you
    async for payment in pay.watch(payment, timeout=120):           # each change until its end
        print(payment.status)
    async with pay.verify_many(pending, at_once=50) as items: ...   # thousands, as they finish
    async for old in pay.history("campay", since=monday, until=now): ...
    (await pay.balance("campay")).available, await pay.receipt(payment), await pay.methods("gate")

    async for one in pay.reconcile("november.csv", account="campay", out="differences.csv"): ...
    known = await pay.payment("campay", "order-7")                  # the journal's, without asking
    async for known in pay.payments(status=Status.PENDING): ...
    async for left in pay.recover(): ...                            # what a crash left open
    async with pay.once(payment, "shipped") as turn: ...            # one caller of all workers
    payment = await pay.resolve(payment, Status.FAILED, because="not on the statement")
    async for event in pay.unconfirmed(): await pay.dealt_with(event, because="a gift")

    event = pay.webhook(WebhookRequest(method="POST", path="/pay/…", headers={}, body=b"{}"))
    payment = await pay.confirm(event, expected=payment)            # only this has a status
    event = pay.returned("paydunya", "https://shop.example/thanks?token=…")
    pay.webhook_url("campay")                                       # for the provider's dashboard

    await pay.add(driver), await pay.replace(driver)                # while orders are open
    await pay.run("campay", CamPay.payment_link, amount=500, reference="order-8")
    await pay.send("campay", get("/balance/", Wallet)), post("/x/", Answer, {}), ask("/y/", Ack, {})
    await pay.health(), pay.lag("campay"), pay.limits("campay"), pay.drivers
await pay.aclose()                                                  # `async with` does it
pay = Pool.from_config("paymux.toml")                               # or Pool.from_env()

# Drivers are their credentials; a journal may have options; an order may have more.
CinetPay(apikey="…", site_id="…", secret_key="…"), PayDunya(master_key="…", private_key="…",
    access_token="…", store_name="Shop"), Intram(public_key="…", private_key="…", secret="…")
Mpesa(account="kenya", consumer_key="…", consumer_secret="…", shortcode="174379", passkey="…")
MpesaGateway(base_url="https://gate.example", access_token="…")
SqliteJournal("payments.db", keep_days=90), PostgresJournal("postgresql://…/shop", keep_days=90)
Customer(name="Ama"), Item(name="Tea", unit_price=500), Tax(name="TVA", amount=90)
Payment(account="campay", provider_reference="…", amount="900", currency="XAF")  # of a CSV line
```
"""

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
    "Difference",
    "DifferenceKind",
    "DuplicateReference",
    "Event",
    "Explanation",
    "FileFormat",
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
    "ReconcileProgress",
    "Reconciliation",
    "Recovered",
    "Rejected",
    "SqliteJournal",
    "Status",
    "Summary",
    "Tax",
    "Total",
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

__version__ = "0.1.0"  # the build reads it here; the metadata would take 20 ms to read

if TYPE_CHECKING:
    from .bulk import Bulk, Progress, Verified
    from .core import Health, Recovered
    from .core.notify import Notifier

    # A type checker runs no code: it sees the drivers that a release names here.
    from .drivers.campay import CamPay
    from .drivers.cinetpay import CinetPay
    from .drivers.cinetpay_transfer import CinetPayTransfer
    from .drivers.cinetpay_v1 import CinetPayV1
    from .drivers.intram import Intram
    from .drivers.intram_merchant import IntramMerchant
    from .drivers.mpesa import Mpesa
    from .drivers.mpesa_gateway import MpesaGateway
    from .drivers.mtn_momo import MtnMomo
    from .drivers.pawapay import PawaPay
    from .drivers.paydunya import PayDunya
    from .drivers.wave import Wave
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
    from .reconcile import (
        Difference,
        DifferenceKind,
        Explanation,
        FileFormat,
        ReconcileProgress,
        Reconciliation,
        Summary,
        Total,
    )
    from .transport.observers import (
        AccountLoad,
        AttemptEnded,
        Observer,
        VerbBegan,
        VerbEnded,
    )
    from .watch import Watch

    __all__ += [
        "CamPay",
        "CinetPay",
        "CinetPayTransfer",
        "CinetPayV1",
        "Intram",
        "IntramMerchant",
        "Mpesa",
        "MpesaGateway",
        "MtnMomo",
        "PawaPay",
        "PayDunya",
        "Wave",
    ]
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
            "reconcile": (
                "Difference",
                "DifferenceKind",
                "Explanation",
                "FileFormat",
                "ReconcileProgress",
                "Reconciliation",
                "Summary",
                "Total",
            ),
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
