"""Checking an order before anything is sent: every refusal names its field, its value and what is accepted."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, TypedDict

import msgspec

from .checks import checked_reference, checked_url
from .drivers.base import Driver
from .errors import Unsupported, UsageError
from .models import Customer, Item, Kind, Order, Payment, Tax
from .money import exact

JSON_BYTES = 64 * 1024
_VERBS = {"collect": "collect", "payout": "pay out", "refund": "refund"}


class Options(TypedDict, total=False):
    """What an order may carry beyond its amount and party, where the provider has a field for it."""

    description: str
    customer: Customer
    items: Sequence[Item]
    taxes: Sequence[Tax]
    metadata: Mapping[str, Any]
    extra: Mapping[str, Any]  # settings of one driver, under its own names
    return_url: str
    cancel_url: str
    webhook_url: str | None


def checked_order(
    driver: Driver,
    kind: Kind,
    *,
    reference: str,
    amount: int | Decimal | str,
    currency: str,
    party: str | None = None,
    webhook_url: str | None = None,
    refunds: str | None = None,
    options: Options,
) -> Order:
    """Give the order in its one checked form, or raise UsageError; Unsupported where there is no such verb."""
    if not driver.can(kind):
        raise Unsupported(f"{driver.name} cannot {_VERBS[kind]}")
    given: dict[str, Any] = {**options, **({"webhook_url": webhook_url} if webhook_url is not None else {})}
    checked_reference(reference)
    if not isinstance(currency, str) or currency not in driver.currencies:
        raise UsageError.field("currency", currency, ", ".join(sorted(driver.currencies)))
    description = given.setdefault("description", "")
    if not isinstance(description, str) or not _text().fullmatch(description):
        raise UsageError.field("description", description, "text of at most 500 characters, none of them control")
    takes = driver.takes if kind != "payout" or driver.payout_takes is None else driver.payout_takes
    for option, value in given.items():
        if option not in Options.__annotations__:
            raise UsageError.field("option", option, ", ".join(sorted(Options.__annotations__)))
        if value and option not in takes and option != "extra" and kind != "refund":
            raise UsageError(f"{option}: {driver.name} has no such field in a {kind}; it takes {_listed(takes)}")
        if value:
            _check_option(driver, option, value)
    return Order(
        account=driver.account,
        kind=kind,
        reference=reference,
        amount=exact(amount, currency, driver.decimals),
        currency=currency,
        party=_party(driver, kind, party, currency),
        description=description,
        customer=given.get("customer"),
        items=tuple(given.get("items") or ()),
        taxes=tuple(given.get("taxes") or ()),
        metadata=dict(given.get("metadata") or {}),
        extra=dict(given.get("extra") or {}),
        return_url=given.get("return_url"),
        cancel_url=given.get("cancel_url"),
        webhook_url=webhook_url,
        refunds=refunds,
    )


def checked_refund(
    driver: Driver, payment: Payment, amount: int | Decimal | str, reference: str, reason: str
) -> Order:
    """Give the order of a refund, which is at most what was paid."""
    currency = payment.currency or (next(iter(driver.currencies)) if len(driver.currencies) == 1 else "")
    order = checked_order(
        driver,
        "refund",
        reference=reference,
        amount=amount,
        currency=currency,
        refunds=payment.provider_reference or payment.reference,
        options={"description": reason},
    )
    if payment.amount is not None and order.amount > payment.amount:
        raise UsageError.field("amount", amount, f"at most {payment.amount}, which was paid")
    return order


def _check_option(driver: Driver, option: str, value: object) -> None:
    if option.endswith("_url"):
        ours = option == "webhook_url"
        checked_url(option, value, query=not ours, plain=ours and driver.rehearsing)
    elif option == "customer":
        if not isinstance(value, Customer):
            raise UsageError.field(option, value, "a Customer")
        _check_types(option, value)
    elif option in ("items", "taxes"):
        line = Item if option == "items" else Tax
        if not isinstance(value, list | tuple) or not all(isinstance(one, line) for one in value):
            raise UsageError.field(option, value, f"a list of {line.__name__}")
        for one in value:
            _check_types(option, one)
    elif option == "metadata":
        _check_json(option, value)
    elif option == "extra":
        _check_extra(driver, value)


def _check_types(option: str, value: msgspec.Struct) -> None:
    # A Struct takes whatever it is given; what is not of its type would only fail far away, in a driver.
    for field in msgspec.structs.fields(type(value)):
        given = getattr(value, field.name)
        if isinstance(given, float | bool) or not isinstance(given, field.type):
            raise UsageError.field(f"{option}.{field.name}", given, f"{field.type}")
        if isinstance(given, str) and not _text().fullmatch(given):
            raise UsageError.field(f"{option}.{field.name}", given, "text of at most 500 characters")
        if isinstance(given, Decimal | int) and not 0 <= given < 10**12:
            raise UsageError.field(f"{option}.{field.name}", "…", "0 or more, and below 10**12")


def _check_extra(driver: Driver, extra: object) -> None:
    _check_json("extra", extra)
    for name in extra if isinstance(extra, Mapping) else ():
        if name not in driver.settings:
            raise UsageError.field("extra", name, _listed(driver.settings))


def _check_json(field: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise UsageError.field(field, value, "a mapping")
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"{field}: refused; accepted: what JSON can hold ({str(error)[:80]})") from None
    if size > JSON_BYTES:
        raise UsageError(f"{field}: refused; accepted: at most {JSON_BYTES} bytes as JSON, not {size}")


def _party(driver: Driver, kind: Kind, party: str | None, currency: str) -> str | None:
    if kind == "refund":
        return None
    field = "payee" if kind == "payout" else "payer"
    needed = "required" if kind == "payout" else driver.payer
    if party is None:
        if needed == "required":
            raise UsageError.field(field, party, f"the {field}'s phone number: {driver.name} needs it")
        return None
    if needed == "none":
        raise UsageError(f"{field}: {driver.name} asks the payer on its own page; leave it out")
    return driver.party(kind, party, currency)


@cache
def _text() -> re.Pattern[str]:
    # Compiled with the first order: it is half a millisecond of an import.
    return re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}")


def _listed(names: frozenset[Any]) -> str:
    return ", ".join(sorted(names)) or "none"
