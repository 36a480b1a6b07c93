"""Find the public callables of paymux by introspection, with good arguments for each."""

import asyncio
import contextlib
import enum
import inspect
import itertools
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import msgspec

import paymux
import paymux.drivers
import paymux.simulator
import paymux.webhooks
from paymux import (
    CamPay,
    Customer,
    Event,
    Item,
    Payment,
    Pool,
    Reason,
    Status,
    Tax,
    WebhookRequest,
    get,
    post,
)
from paymux.drivers._repeating import Repeating
from paymux.drivers.base import Driver, Option, Verb
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from ..toys import virtual_loop
from .oddities import VALUES as EVERY
from .oddities import Broken

NOTHING = object()
load, names = cache(paymux.drivers.load), cache(paymux.drivers.names)
BASE, KEY = "https://shop.example/pay", "0123456789abcdef-hooks"
MODULES = (paymux, paymux.webhooks, paymux.simulator)

# A coroutine inside another value is awaited or closed by the caller.
VALUES = {name: make for name, make in EVERY.items() if name != "a coroutine"}

# Callables that are public by name but called only by paymux or by a server, with the reasons.
_MADE = "made by the pool"
_SEAM = "what a pool calls, or a simulated provider; its own arguments are checked before"
CALLED_BY_US: Mapping[str, str] = {
    **dict.fromkeys(("Bulk", "Watch"), _MADE),
    **dict.fromkeys(("Explanation", "ReconcileProgress", "Reconciliation", "Summary"), _MADE),
    **dict.fromkeys(("Reconciliation.aclose", "Reconciliation.explain", "Total"), _MADE),
    "Summary.rows": "compares words",
    **dict.fromkeys(("AccountLoad", "AttemptEnded", "VerbBegan", "VerbEnded"), _MADE),
    **dict.fromkeys(
        (
            "Watch.deliver",
            "Watch.look_soon",
            "Watch.wake",
            "Watch.on_result",
            "Watch.take_over",
            "Watch.renew",
        ),
        _SEAM,
    ),
    **{
        f"{kind}.{method}": _SEAM
        for kind in ("UsageError", "Unsupported", "DuplicateReference", "AlreadyDecided")
        for method in ("field", "hidden", "missing", "renamed")
    },
    **dict.fromkeys(
        ("Ledger.open", "Ledger.settle", "Ledger.get", "Ledger.find", "Ledger.clear"), _SEAM
    ),
    **dict.fromkeys(("Simulator.respond", "Simulator.payment", "Message.json"), _SEAM),
    "Change": "made by the ledger",
    "World": "made by a simulator, which is one",
    **{
        f"World.{name}": "tried as a method of Simulator"
        for name in dir(paymux.simulator.World)
        if not name.startswith("_") and callable(getattr(paymux.simulator.World, name))
    },
}


@cache
def public() -> dict[str, Callable[..., Any]]:
    """Return the exported callables and their public methods, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.isclass(thing):
                found[name] = thing
            elif not getattr(thing, "_is_protocol", False):
                found[name] = thing
                found |= {f"{name}.{method}": called for method, called in _methods(thing).items()}
    return found


# What a driver's own verbs call.
_READING = {"payment", "message_of", "body", "update", "updates_request"}
JOURNALS = (paymux.SqliteJournal, paymux.PostgresJournal)


def _methods(kind: type) -> dict[str, Callable[..., Any]]:
    hidden = (
        set(dir(Driver)) | set(dir(Repeating)) | _READING if issubclass(kind, Driver) else set()
    )
    # Only a pool calls a journal's methods; a journal that cannot store raises OSError.
    hidden |= set(dir(paymux.Journal)) if issubclass(kind, JOURNALS) else set()
    return {
        name: getattr(kind, name)
        for name, called in inspect.getmembers_static(kind)
        if not name.startswith("_") and name not in hidden and _is_ours(called)
    }


def _is_ours(called: object) -> bool:
    called = getattr(called, "__func__", called)  # a class method or a static method
    return inspect.isfunction(called) and (getattr(called, "__module__", None) or "").startswith(
        "paymux"
    )


@cache
def signature(called: Callable[..., Any]) -> inspect.Signature:
    """Return a signature; an exception without its own constructor takes any arguments."""
    try:
        return inspect.signature(called)
    except ValueError:
        return inspect.Signature([inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)])


def accounts(name: str) -> list[str]:
    """List the accounts that a callable is tried with."""
    kind, _, method = name.partition(".")
    if kind != "Pool" or not method:
        return [getattr(getattr(paymux, kind, None), "name", "")] if "." in name else [""]
    if method in get_args(Verb) and method not in ("webhook", "returned"):
        return [driver for driver in names() if load(driver).can(method)]  # type: ignore[arg-type] # it is a Verb
    return names() if method in ("watch", "webhook", "returned", "confirm") else ["campay"]


# These do more with a journal.
JOURNALED = {
    *(
        "Pool.collect",
        "Pool.verify",
        "Pool.watch",
        "Pool.confirm",
        "Pool.once",
        "Pool.payment",
        "Pool.payments",
        "Pool.recover",
    ),
    "Pool.resolve",
    *("Pool.verify_many", "Pool.webhook_url"),
}


class Stage:
    """A pool with all accounts at a simulator in the same process, and its event loop."""

    def __init__(self, said: Callable[[str], None], journal: Path | None) -> None:
        self._world = contextlib.ExitStack()
        loop: asyncio.AbstractEventLoop
        if journal is None:
            loop = self._world.enter_context(virtual_loop())
        else:
            loop = asyncio.new_event_loop()
            self._world.callback(loop.close)
        self.loop = loop
        loop.set_exception_handler(lambda _, context: said(f"in the loop: {context}"))
        self.sim = Simulator(default=Status.SUCCEEDED, payer_delay=0.0)
        # The simulator's own cost of a message with 10,000 fields must not be measured.
        self.sim.paydunya.notification = self.sim.cinetpay.notification = "json"
        self.journal = journal
        drivers = [self.sim.driver(name) for name in names()]
        self.pay = Pool(
            *drivers,
            connection=self.sim.connection,
            deadline=4.0,
            webhook_base=BASE,
            webhook_key=KEY,
            journal=journal,
        )
        self.hooks = Webhooks(self.pay, _heard)
        self.notifier = paymux.Notifier(self.pay, _heard)
        self._numbers = itertools.count(1)
        self.held = {name: loop.run_until_complete(self._paid(name)) for name in names()}

    def fresh(self) -> str:
        """Return a new reference that every provider accepts."""
        return str(next(self._numbers))

    def order(self, account: str) -> dict[str, Any]:
        """Return a good order for an account."""
        order: dict[str, Any] = {"amount": 500, "reference": self.fresh(), **_ORDERS[account]}
        return order | {
            name: BASE for name in ("return_url", "cancel_url") if name in load(account).takes
        }

    async def _paid(self, account: str) -> Payment:
        order = self.order(account)
        verb = self.pay.collect if load(account).can("collect") else self.pay.payout
        payment = await verb(account, **order)
        # As if loaded from a file: without its time, it is looked up immediately.
        return msgspec.structs.replace(payment, created_at=None)

    def callable(self, name: str, account: str) -> Callable[..., Any]:
        """Return the callable with this name, bound to the objects of this stage."""
        kind, _, method = name.partition(".")
        if not method:
            return public()[name]
        called: Callable[..., Any]
        if kind in ("Watch", "Bulk"):
            held = self.held["campay"]
            called = getattr(
                self.pay.watch(held) if kind == "Watch" else self.pay.verify_many([held]), method
            )
            return called
        driver = getattr(paymux, kind, None)
        if inspect.isclass(driver) and issubclass(driver, Driver):
            called = getattr(driver, method)
            if inspect.iscoroutinefunction(called):
                return partial(self.pay.run, account, called)
            called = getattr(self.pay.drivers[account], method)
            return called
        if kind == "Pool" and not isinstance(inspect.getattr_static(Pool, method), classmethod):
            called = getattr(Pool() if method == "aclose" else self.pay, method)
            return called
        on = {
            "Webhooks": self.hooks,
            "Notifier": self.notifier,
            # a fault, a setting or a reset would change the calls after it
            "Simulator": self.sim if method in _HARMLESS else Simulator(),
            "Ledger": self.sim.ledger,
            "Reason": Reason.OTHER,
        }
        called = getattr(on.get(kind) or getattr(paymux, kind), method)
        # Half a minute, which is usual, would count as hanging.
        return partial(called, within=0.01) if method == "wait" else called

    def close(self) -> None:
        """Close the pool and the event loop."""
        self.loop.run_until_complete(self.pay.aclose())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self._world.close()


def stages(folder: str, said: Callable[[str], None]) -> dict[str, Stage]:
    """Open the pools: a bare one, in virtual time, where no wait takes long, and one that keeps a
    journal.
    """
    return {
        "bare": Stage(said, None),
        "journal": Stage(said, Path(folder) / "payments.db"),
    }


_OF_AN_ORDER = ("Simulator.settle", "Simulator.answer", "Simulator.wait")
_HARMLESS = ("settle", "answer", "wait", "driver", "on_webhook", "received", "provider", "settings")


async def _heard(_: Payment) -> None:
    pass


_ORDERS: Mapping[str, Mapping[str, Any]] = {
    "campay": {"currency": "XAF", "payer": "237677777777", "description": "x"},
    "cinetpay": {"currency": "XOF", "description": "x"},
    "cinetpay_transfer": {"currency": "XOF", "payee": "2250707070707"},
    "cinetpay_v1": {
        "currency": "XOF",
        "customer": Customer(name="Awa", surname="Kone", email="awa@shop.example"),
    },
    "intram": {"currency": "XOF", "description": "x"},
    "intram_merchant": {"currency": "XOF", "payer": "2290196000001", "operator": "mtn"},
    "mpesa": {"currency": "KES", "payer": "254708374149"},
    "mpesa_gateway": {"currency": "KES", "payer": "254708374149"},
    "mtn_momo": {"currency": "UGX", "payer": "256772123456"},
    "pawapay": {"currency": "RWF", "payer": "250783456789", "operator": "mtn"},
    "paydunya": {"currency": "XOF", "description": "x"},
    "wave": {"currency": "XOF"},
}
_PAYEES = {
    "campay": "237677777777",
    "cinetpay_transfer": "2250707070707",
    "cinetpay_v1": "2250707070707",
    "intram_merchant": "2290196000001",
    "mtn_momo": "256772123456",
    "pawapay": "250783456789",
    "paydunya": "seller@example.com",
    "wave": "221771234567",
}
_PLAIN: Mapping[str, Any] = {
    "accepted": True,
    "amount": 500,
    "available": Decimal(5),
    "bill_reference": "order-1",
    "body": {"a": 1},
    "callback_host": "shop.example",
    "callback_url": "https://shop.example/pulled",
    "code": "C2B00011",
    "config": {"accounts": {"campay": {"username": "x", "password": "x"}}},
    "confirmation_url": "https://shop.example/paid",
    "currency": "XAF",
    "description": "x",
    "display_name": "x",
    "done": 1,
    "driver": "campay",
    "drivers": (),
    "enabled": True,
    "end": "2099-12-31",
    "failed": 0,
    "field": "x",
    "fields": {},
    "frequency": "monthly",
    "start": "2099-01-01",
    "page": "2026",
    "because": "it is so",
    "index": 0,
    "kind": "collect",
    "left": None,
    "match": "",
    "name": "fulfilled",
    "on_payment": _heard,
    "options": {},
    "path": "/balance/",
    "peer": "127.0.0.1",
    "phone": "254708374149",
    "provider": "campay",
    "provider_reference": "x",
    "quantity": 1,
    "rate": 1.0,
    "return_url": BASE,
    "statement_id": "f4401bd2-1568-4140-bf2d-eb77d2b2b639",
    "wallet": "ZMB/ZMW",
    "receiver": lambda _: None,
    "resolved": True,
    "settings": {"MPESA_ENVIRONMENT": "sandbox"},
    "since": datetime(2026, 11, 1, tzinfo=UTC),
    "before": datetime(2026, 11, 1, tzinfo=UTC),
    "status": Status.SUCCEEDED,
    "timeout": 0.5,
    "total": 1,
    "type": dict,
    "unit_price": Decimal(5),
    "until": datetime(2026, 12, 1, tzinfo=UTC),
    "value": "pending",
    "was": "unknown",
    "advice": "",
    "number": "x",
    "headers": {},
    "query": "",
    "method": "POST",
    "args": (),
    "kwargs": {},
    "url": "https://shop.example/x",
    "n": 1,
    "within": 0.01,
    "after": 0.5,
    "pin": "0000",
    "times": 1,
    "forged": False,
    "seed": 1,
    "party": "254708374149",
    "asked": Payment(account="campay"),
    "claims": Payment(account="campay"),
    "opened_at": datetime(2026, 11, 1, tzinfo=UTC),
    "message": "x",
    "error": None,
    "answer": dict,
    "id_of": lambda _: "x",
    "nominated_number": "254722000000",
    "response_type": "Completed",
    "validation_url": "https://shop.example/asks",
}
_LEFT_OUT = {  # their optional parameters are left out, except for the odd value
    *("Pool", "Webhooks", "Simulator", "Simulator.received", "Simulator.fault"),
    *("ask", "get", "post"),
    *(
        "Ledger.charged",
        "Ledger.paid_out",
        "Ledger.refunded",
        "Ledger.entries",
        "Payment",
        "PostgresJournal",
        "SqliteJournal",
    ),
}
_DRIVERS: Mapping[str, Mapping[str, Any]] = {
    name: {
        field.name: "simulator"
        for field in msgspec.structs.fields(load(name))
        if field.name in load(name).required
        or (name, field.name) in (("campay", "username"), ("campay", "password"))
    }
    for name in names()
}


def good(stage: Stage | None, name: str, account: str, parameter: str) -> Any:
    """Return a good value for a parameter, or NOTHING to leave it out."""
    kind, _, method = name.partition(".")
    driver = getattr(paymux, kind, None)
    if not method and inspect.isclass(driver) and issubclass(driver, Driver):
        return _of_driver(driver, parameter)
    if name in _LEFT_OUT and not _needed(name, parameter):
        return NOTHING
    if not method and parameter in (
        "message",
        "payment",
        "expected",
        "fields",
        "details",
        "code",
        "reason",
    ):
        return (
            NOTHING
            if not _needed(name, parameter)
            else _PLAIN.get(parameter, Payment(account="campay"))
        )
    if stage is not None:
        found = _of_stage(stage, name, method, account, parameter)
        if found is not NOTHING:
            return found
    elif parameter in _STAGED:
        return None
    return _PLAIN.get(parameter, NOTHING) if _needed(name, parameter) else NOTHING


_STAGED = {
    "account",
    "payment",
    "reference",
    "amount",
    "event",
    "items",
    "incoming",
    "pool",
    "request",
    "payee",
    "payer",
}


def _needed(name: str, parameter: str) -> bool:
    found = signature(public()[name]).parameters.get(parameter)
    return found is not None and (
        found.default is found.empty or parameter in ("timeout", "options", "kwargs")
    )


def _of_driver(driver: type[Driver], parameter: str) -> Any:
    if parameter == "base_url" and driver.name == "mpesa_gateway":
        return "http://127.0.0.1:1"
    if parameter == "access_token" and driver.name == "mpesa_gateway":
        return "simulator"
    if parameter == "live":
        return driver.sandbox_url is None
    if parameter == "shortcode":
        return "174379"
    return _DRIVERS[driver.name].get(parameter, NOTHING)


def _of_stage(stage: Stage, name: str, method: str, account: str, parameter: str) -> Any:
    kind = name.partition(".")[0]
    held = stage.held.get(account) or stage.held["campay"]
    if method == "collect":
        order = stage.order(account)
        return account if parameter == "account" else order.get(parameter, NOTHING)
    if name in _OF_AN_ORDER and parameter == "reference":
        fresh = stage.fresh()
        stage.loop.run_until_complete(
            stage.pay.collect("campay", **{**stage.order("campay"), "reference": fresh})
        )
        return fresh
    if method == "verify" and parameter == "provider_reference":
        return NOTHING
    if name == "Pool.find":
        return {"account": account, "reference": held.reference, "kind": "collect"}.get(
            parameter, NOTHING
        )
    if name == "Pool.run" and parameter in ("method", "args", "kwargs"):
        return {
            "method": CamPay.payment_link,
            "args": (),
            "kwargs": {"amount": 5, "reference": stage.fresh()},
        }[parameter]
    if method == "returned" and parameter == "url":
        return f"{BASE}?external_reference=1&transaction_id=1&token=test_abc&STATUS=x"
    values: dict[str, Callable[[], Any]] = {
        "account": lambda: account or "campay",
        "payment": lambda: held,
        "payee": lambda: _PAYEES.get(account, NOTHING),
        "payer": lambda: {
            "PayDunya": "221771234567",
            "Mpesa": "254708374149",
            "MpesaGateway": "254708374149",
        }.get(kind, NOTHING),
        "currency": lambda: _ORDERS[account]["currency"] if account else "XAF",
        "reference": stage.fresh,
        "event": lambda: Event(account=account, claims=held),
        "items": lambda: [held],
        "incoming": lambda: WebhookRequest(
            body=b"{}", path=f"/pay/{stage.pay.webhook_url('campay').rpartition('/')[2]}"
        ),
        "pool": lambda: stage.pay,
        "request": lambda: get("/balance/", dict),
    }
    if parameter not in values or not _needed(name, parameter):
        return NOTHING
    return values[parameter]()


_OF_CALLER = {("progress", "_report"), ("items", "_pull"), ("items", "__init__")}


def theirs(name: str, parameter: str, error: BaseException) -> bool:
    """Return whether an exception is the caller's own, by the callable's docstring, or Python's."""
    if isinstance(public()[name], enum.EnumType) and isinstance(error, Broken | RecursionError):
        return True  # Python's enum compares and prints the value itself
    ours = [
        frame
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if is_ours(frame.f_code.co_filename)
    ]
    said = ours[-1].f_code.co_name if ours else ""
    if name == "Pool.verify_many" and (parameter, said) in _OF_CALLER:
        return (
            True  # "An error of the items' own iterator, or of `progress`, ends it, and is raised."
        )
    # Python's TypeError for a wrong signature: of our callable, or of the driver's method that
    # `run` calls with the arguments.
    passed = name == "Pool.run" and parameter in ("args", "kwargs")
    return isinstance(error, TypeError) and "argument" in str(error) and (len(ours) <= 2 or passed)


def is_ours(file: str) -> bool:
    """Return whether this is a file of paymux."""
    return Path(file).is_relative_to(Path(paymux.__file__).parent)


def _made(shape: Callable[[Any], Any], make: Callable[[], Any]) -> Any:
    return shape(make())


def _each(label: str, shape: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """Return each odd value inside the shape."""
    return {f"{label}: {name}": partial(_made, shape, make) for name, make in VALUES.items()}


def _in(kind: Any, minimal: Mapping[str, Any], field: str, value: object) -> Any:
    return kind(**{**minimal, field: value})


def _with(kind: Any, **minimal: Any) -> dict[str, Callable[[], Any]]:
    """Return structs of this class with each odd value in each field."""
    found: dict[str, Callable[[], Any]] = {}
    for field in kind.__struct_fields__:
        found |= _each(f"{kind.__name__} with {field}", partial(_in, kind, minimal, field))
    return found


def _listed(values: Mapping[str, Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
    return {
        f"a list of {name}": partial(_made, lambda one: [one], make)
        for name, make in values.items()
    }


def _every() -> list[Payment]:
    return [make() for make in _PAYMENTS.values()]


def _keyed(name: str, value: object) -> dict[str, Any]:
    return {name: value}


def _account(name: str, value: object) -> dict[str, Any]:
    return {"accounts": {"a": {name: value}}}


def _variable(field: str, value: object) -> dict[str, Any]:
    return {"PAYMUX_A__DRIVER": "campay", f"PAYMUX_A__{field}": value}


_PAYMENTS = _with(Payment, account="campay", provider_reference="x", reference="1")
_ITEMS = _listed(_with(Item, name="x", unit_price=Decimal(5)))
_PAIRS = _each("a pair", lambda one: [(one, one), ("campay", one)])
_EXTRA: dict[str, Callable[[], Any]] = {}
for _name in sorted({name for driver in names() for name in load(driver).settings}):
    _EXTRA |= _each(_name, partial(_keyed, _name))

# Values only for parameters with these names.
SHAPES: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "payment": _PAYMENTS,
    "expected": _PAYMENTS,
    "event": _with(
        Event, account="campay", claims=Payment(account="campay", provider_reference="x")
    ),
    "incoming": _with(WebhookRequest, body=b"{}"),
    "items": {**_ITEMS, **_PAIRS, "payments with odd fields": _every},
    "taxes": _listed(_with(Tax, name="x", amount=Decimal(5))),
    "customer": _with(Customer),
    "metadata": _each("a mapping", partial(_keyed, "x")),
    "extra": _EXTRA,
    "at": _each("a mapping", partial(_keyed, "x")),
    "query": _each("a mapping", partial(_keyed, "x")),
    "headers": _each("a mapping", partial(_keyed, "x")),
    "environment": {
        **_each("a driver", partial(_variable, "DRIVER")),
        **_each("live", partial(_variable, "LIVE")),
        **_each("a password", partial(_variable, "PASSWORD")),
    },
    "config": {
        **_each("accounts", partial(_keyed, "accounts")),
        **_each("an account", lambda one: {"accounts": {"a": one}}),
        **_each("a driver", partial(_account, "driver")),
        **_each("a deadline", lambda one: {**_PLAIN["config"], "deadline": one}),
    },
    "senders": _each("an account", partial(_keyed, "campay")),
    "proxies": _listed(VALUES),
    "accept": _each("a status", lambda one: (one,)),
    "store": _each("a name", partial(_keyed, "name")),
    "request": {
        **_each("a body", lambda body: post("/balance/", dict, body, money=False)),
        **_each("a form", lambda body: post("/balance/", dict, body, money=False, form=True)),
    },
}


def shaped(stage: str, name: str, account: str, parameter: str) -> Mapping[str, Callable[[], Any]]:
    """Return the values only for a parameter with this name, if the account takes it."""
    kind, _, method = name.partition(".")
    if (
        not method
        and kind[:1].isupper()
        and kind not in ("Webhooks", "Intram", "Pool", "Simulator")
    ):
        return {}  # a Struct or an error accepts any value
    if parameter in get_args(Option) and account and parameter not in load(account).takes:
        return {}
    if parameter in ("payment", "expected", "event") and (
        account != accounts(name)[0] or stage != "bare"
    ):
        return {} if name != "Pool.once" else SHAPES["payment"]
    if parameter == "extra":
        return {
            key: make
            for key, make in SHAPES["extra"].items()
            if key.partition(":")[0] in load(account).settings
        }
    return SHAPES.get(parameter, {})
