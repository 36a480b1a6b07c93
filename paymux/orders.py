"""Checking an order before anything is sent: every refusal names its field, its value and what is accepted."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from .checks import checked_reference, checked_url
from .drivers.base import Driver, Option
from .errors import UsageError
from .models import Customer, Item, Kind, Order, Tax
from .money import exact

_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}")


def checked_order(
    driver: Driver,
    kind: Kind,
    *,
    reference: str,
    amount: int | Decimal | str,
    currency: str,
    party: str | None = None,
    description: str = "",
    customer: Customer | None = None,
    items: tuple[Item, ...] | list[Item] = (),
    taxes: tuple[Tax, ...] | list[Tax] = (),
    metadata: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    return_url: str | None = None,
    cancel_url: str | None = None,
    webhook_url: str | None = None,
    refunds: str | None = None,
) -> Order:
    """Give the order in its one checked form, or raise UsageError."""
    checked_reference(reference)
    if not isinstance(currency, str) or currency not in driver.currencies:
        raise UsageError.field("currency", currency, ", ".join(sorted(driver.currencies)))
    if not isinstance(description, str) or not _TEXT.fullmatch(description):
        raise UsageError.field("description", description, "text of at most 500 characters, none of them control")
    options: dict[Option, Any] = {
        "description": description,
        "customer": customer,
        "items": items,
        "taxes": taxes,
        "metadata": metadata,
        "return_url": return_url,
        "cancel_url": cancel_url,
        "webhook_url": webhook_url,
    }
    takes = driver.takes if kind != "payout" or driver.payout_takes is None else driver.payout_takes
    for option, value in options.items():
        if value and option not in takes and kind != "refund":
            raise UsageError(f"{option}: {driver.name} has no such field in a {kind}; it takes {_listed(takes)}")
        if value:
            _check_option(driver, option, value)
    if extra is not None:
        _check_extra(driver, extra)
    return Order(
        account=driver.account,
        kind=kind,
        reference=reference,
        amount=exact(amount, currency, driver.decimals),
        currency=currency,
        party=_party(driver, kind, party),
        description=description,
        customer=customer,
        items=tuple(items),
        taxes=tuple(taxes),
        metadata=dict(metadata or {}),
        extra=dict(extra or {}),
        return_url=return_url,
        cancel_url=cancel_url,
        webhook_url=webhook_url,
        refunds=refunds,
    )


def _check_option(driver: Driver, option: Option, value: object) -> None:
    if option.endswith("_url"):
        ours = option == "webhook_url"
        checked_url(option, value, driver.forbidden_url_words if ours else (), query=not ours)
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


def _check_types(option: str, value: msgspec.Struct) -> None:
    # A Struct takes whatever it is given; what is not of its type would only fail far away, in a driver.
    for field in msgspec.structs.fields(type(value)):
        given = getattr(value, field.name)
        if isinstance(given, float | bool) or not isinstance(given, field.type):
            raise UsageError.field(f"{option}.{field.name}", given, f"{field.type}")
        if isinstance(given, str) and not _TEXT.fullmatch(given):
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
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"{field}: refused; accepted: what JSON can hold ({str(error)[:80]})") from None


def _party(driver: Driver, kind: Kind, party: str | None) -> str | None:
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
    return driver.party(kind, party)


def _listed(names: frozenset[Any]) -> str:
    return ", ".join(sorted(names)) or "none"
