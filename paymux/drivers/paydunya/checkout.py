"""Checkout invoices: the body of the request that makes one."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...errors import UsageError
from ...models import Customer, Item, Order
from ...values.money import whole
from .answers import TOKEN

REFERENCE = "paymux_reference"  # the key of `custom_data` that carries our reference


def body(order: Order, store: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the request for an invoice; fields that are not set are left out.

    `channels` and `customer` are not in the page, but in PayDunya's own code.
    """
    if REFERENCE in order.metadata:
        accepted = "any other key: this one carries the reference"
        raise UsageError.field("metadata", REFERENCE, accepted)
    channels = _channels(order.extra.get("channels", []))
    invoice = {
        "items": {f"item_{n}": _item(item) for n, item in enumerate(order.items)},
        "taxes": {
            f"tax_{n}": {"name": tax.name, "amount": _xof(tax.amount)}
            for n, tax in enumerate(order.taxes)
        },
        "total_amount": whole(order.amount),
        "description": order.description,
        "channels": channels,
        "customer": _customer(order),
    }
    actions = {
        "cancel_url": order.cancel_url,
        "return_url": order.return_url,
        "callback_url": order.webhook_url,
    }
    return {
        "invoice": _given(invoice),
        "store": _given(store),
        "custom_data": {REFERENCE: order.reference, **order.metadata},
        "actions": _given(actions),
    }


def _channels(names: Any) -> list[str]:
    fits = isinstance(names, list | tuple) and len(names) <= 100
    if not fits or not all(TOKEN.fullmatch(str(name)) for name in names):
        accepted = "PayDunya's names, such as ['card', 'wave-senegal']"
        raise UsageError.field("channels", names, accepted)
    return [str(name) for name in names]


def _customer(order: Order) -> dict[str, Any]:
    who = order.customer or Customer()
    told = {
        "name": " ".join(filter(None, (who.name, who.surname))),
        "email": who.email,
        # Without the country code, as PayDunya writes it.
        "phone": who.phone or (order.party or "")[3:],
    }
    return _given(told)


def _item(item: Item) -> dict[str, Any]:
    price = _xof(item.unit_price)
    total = price * item.quantity if item.total_price is None else _xof(item.total_price)
    return {
        "name": item.name,
        "quantity": item.quantity,
        "unit_price": str(price),
        "total_price": str(total),
        "description": item.description,
    }


def _xof(value: object) -> int:
    # Compared before it is converted: int(Decimal("1E+1000000")) takes half a minute.
    if isinstance(value, Decimal) and value.is_finite() and 0 <= value < 10**12 and not value % 1:
        return int(value)
    shown = f"{value:.6g}" if isinstance(value, Decimal) else value
    raise UsageError.field("items, taxes", shown, "amounts of whole XOF")


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
