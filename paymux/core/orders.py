"""Checking an order before anything is sent.

Every error names the field, its value and what is accepted.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, TypedDict, get_args

import msgspec

from ..drivers.base import Driver, Option
from ..errors import Unsupported, UsageError
from ..models import ADOPTED, Customer, Item, Kind, Operator, Order, Payment, Tax
from ..primitives import coerce
from ..values import arguments
from ..values.money import exact
from ..values.validation import checked_reference, checked_text, checked_url

MAX_JSON_BYTES = 64 * 1024
_REASON: frozenset[Option] = frozenset({"description"})
_VERBS = {"collect": "collect", "payout": "pay out", "refund": "refund"}


class OrderOptions(TypedDict, total=False):
    """Options of an order beyond amount and party; each only if the provider has a field for it."""

    description: str
    customer: Customer
    items: Sequence[Item]
    taxes: Sequence[Tax]
    metadata: Mapping[str, Any]
    extra: Mapping[str, Any]  # settings of one driver, under its own names
    return_url: str
    cancel_url: str
    webhook_url: str | None
    operator: Operator  # the network or wallet, where the provider cannot tell it by the number
    bill_reference: str  # the account at a pay bill number, of at most 20 characters


def options_of(driver: Driver, kind: Kind) -> frozenset[Option]:
    """Return the options that a provider has in orders of a kind."""
    if kind == "refund":
        return driver.refund_takes
    payout = driver.payout_takes
    return driver.takes if kind == "collect" or payout is None else payout


def checked_order(
    driver: Driver,
    kind: Kind,
    *,
    reference: str,
    amount: int | Decimal | str,
    currency: str,
    party: str | None = None,
    webhook_url: str | None = None,
    timeout_url: str | None = None,
    refunds: str | None = None,
    options: OrderOptions,
) -> Order:
    """Return the checked order, or raise UsageError; Unsupported: the provider has no such verb."""
    if not driver.can(kind):
        raise Unsupported(f"{driver.name} cannot {_VERBS[kind]}")
    said = {**options, **({"webhook_url": webhook_url} if webhook_url is not None else {})}
    reference = checked_reference(reference)
    if reference.startswith(ADOPTED):
        accepted = f"one that does not begin with {ADOPTED!r}: payments that came by themselves do"
        raise UsageError.field("reference", reference, accepted)
    money = currency if type(currency) is str else coerce.text(currency)
    if money is None or money not in driver.own_currencies:
        raise UsageError.field("currency", currency, ", ".join(sorted(driver.own_currencies)))
    options_given = _options(driver, kind, said)
    return Order(
        account=driver.account,
        kind=kind,
        reference=reference,
        amount=exact(amount, money, driver.decimals),
        currency=money,
        party=_party(driver, kind, party, money),
        refunds=refunds,
        timeout_url=timeout_url,
        **options_given,
    )


def _options(driver: Driver, kind: Kind, said: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options of an order; UsageError: the provider has no field for one."""
    # A reason is no option: `refund` has a parameter for it.
    takes = options_of(driver, kind) | (_REASON if kind == "refund" else frozenset())
    kept: dict[str, Any] = {}
    for option, value in said.items():
        if option not in OrderOptions.__annotations__:
            raise UsageError.field(
                "option", option, ", ".join(sorted(OrderOptions.__annotations__))
            )
        if value is None and option != "description":
            continue
        found: Any
        if option.endswith("_url"):
            found = _url(driver, option, value)
        elif option == "extra":
            found = _extra(driver, value)
        else:
            found = _READERS[option](option, value)
        if type(found) in (str, tuple, dict) and not found:
            continue
        if option not in takes and option != "extra":
            accepted = (
                f"nothing: {driver.name} has no such field in a {kind}; it takes {_listed(takes)}"
            )
            raise UsageError.field(option, value, accepted)
        kept[option] = found
    return kept


def checked_refund(
    driver: Driver,
    payment: Payment,
    *,
    amount: int | Decimal | str,
    reference: str,
    reason: str,
    webhook_url: str | None = None,
    timeout_url: str | None = None,
) -> Order:
    """Return the order of a refund, of at most the amount that was paid."""
    if payment.live not in (None, driver.live):
        accepted = f"{driver.live}, as of the account"
        raise UsageError.field("payment.live", payment.live, accepted)
    currency = payment.currency or (
        next(iter(driver.own_currencies)) if len(driver.own_currencies) == 1 else ""
    )
    order = checked_order(
        driver,
        "refund",
        reference=reference,
        amount=amount,
        currency=currency,
        webhook_url=webhook_url,
        timeout_url=timeout_url,
        refunds=payment.provider_reference or payment.reference or payment.receipt,
        options={"description": reason},
    )
    if payment.amount is not None and order.amount > payment.amount:
        raise UsageError.field("amount", amount, f"at most {payment.amount}, which was paid")
    return order


def _url(driver: Driver, name: str, value: object) -> str:
    if type(value) is str and not value:
        return value
    ours = name == "webhook_url"
    return checked_url(name, value, query=not ours, http=ours and driver.rehearsing)


def _customer(name: str, value: object) -> Customer:
    if not coerce.is_a(value, Customer):
        raise UsageError.field(name, value, "a Customer")
    return arguments.checked(value, name, dict.fromkeys(Customer.__struct_fields__, _short))


def _lines(name: str, value: object) -> tuple[Item | Tax, ...]:
    line, readers = (Item, _ITEM) if name == "items" else (Tax, _TAX)
    lines = coerce.sequence(value)
    if lines is None or not all(coerce.is_a(one, line) for one in lines):
        raise UsageError.field(name, value, f"a list of {line.__name__}")
    return tuple([arguments.checked(one, name, readers) for one in lines])


def _metadata(name: str, value: object) -> dict[str, Any]:
    return dict(arguments.json_mapping(name, value, MAX_JSON_BYTES))


def _extra(driver: Driver, value: object) -> Any:
    found = arguments.json_mapping("extra", value, MAX_JSON_BYTES)
    for name in found:
        if name not in driver.settings:
            raise UsageError.field("extra", name, _listed(driver.settings))
    # Only JSON types, so that a driver may safely read its values.
    return msgspec.json.decode(msgspec.json.encode(found))


def _short(name: str, value: object) -> str:
    found = value if type(value) is str else coerce.text(value)
    if found is None or not _text().fullmatch(found):
        raise UsageError.field(
            name, value, "a string of at most 500 characters, none of them control"
        )
    return found


def _operator(name: str, value: object) -> str:
    found = (coerce.text(value) or "")[:40].lower()
    if found not in get_args(Operator):
        raise UsageError.field(name, value, ", ".join(get_args(Operator)))
    return found


def _bill_reference(name: str, value: object) -> str:
    return checked_text(name, value, 20)  # a provider may have room for less


def _price(name: str, value: object) -> Decimal:
    found = arguments.amount(name, value)
    if not 0 <= found < _LIMIT:
        raise UsageError.field(name, value, "0 or more, and below 10**12")
    return found


def _count(name: str, value: object) -> int:
    said = coerce.text(value)
    number = (
        int(said)
        if said is not None and len(said) <= 12 and said.isascii() and said.isdigit()
        else value
    )
    return arguments.whole(name, number, 0, 10**12)


_LIMIT = 10**12
_ITEM = {
    "name": _short,
    "quantity": _count,
    "unit_price": _price,
    "total_price": _price,
    "description": _short,
}
_TAX = {"name": _short, "amount": _price}
# The options that are read alike for every driver.
_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "description": _short,
    "customer": _customer,
    "items": _lines,
    "taxes": _lines,
    "metadata": _metadata,
    "operator": _operator,
    "bill_reference": _bill_reference,
}


def _party(driver: Driver, kind: Kind, party: str | None, currency: str) -> str | None:
    if kind == "refund":
        return None
    field = "payee" if kind == "payout" else "payer"
    needed = "required" if kind == "payout" else driver.payer
    if party is None:
        if needed == "required":
            raise UsageError.field(
                field, party, f"the {field}'s phone number: {driver.name} needs it"
            )
        return None
    if needed == "none":
        raise UsageError.field(
            field, party, f"nothing: {driver.name} asks the payer on its own page"
        )
    number = party if type(party) is str and party.isascii() else coerce.text(party)
    if number is None or len(number) > 320:
        raise UsageError.field(field, party, "a string: a phone number")
    return driver.party(kind, number, currency)


@cache
def _text() -> re.Pattern[str]:
    # Compiled with the first order: at import it would take half a millisecond.
    return re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}")


def _listed(names: frozenset[Any]) -> str:
    return ", ".join(sorted(names)) or "none"
