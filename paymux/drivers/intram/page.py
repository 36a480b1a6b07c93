"""The checkout page: the body of the request that opens it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...errors import UsageError
from ...models import Item, Order
from ...primitives import coerce
from ...values.money import exact, whole

# Intram has no field for a merchant's reference, only custom data; some forms of its answers repeat
# them.
REFERENCE_KEY = "paymux_reference"
_STORE = ("name", "postal_adress", "logo_url", "web_site_url", "phone", "template", "color")


def body(
    order: Order, store: Mapping[str, str] | str, keys: Mapping[str, str] | None
) -> dict[str, Any]:
    """Return the body of a request; fields that are not set are left out, as in the page."""
    if REFERENCE_KEY in order.metadata:
        accepted = "any other key: this one carries the reference"
        raise UsageError.field("metadata", REFERENCE_KEY, accepted)
    for field in ("cancel_url", "return_url", "webhook_url"):
        if not getattr(order, field):
            why = "Intram needs it (webhook_base makes the webhook_url)"
            raise UsageError.missing(field, why)
    shown = {**checked_store(store), **checked_store(order.extra.get("store", {}))}
    if "name" not in shown:
        why = 'it needs a name: Intram(store="…") or extra={"store": {"name": …}}'
        raise UsageError.missing("store", why)
    invoice = {
        "keys": keys,
        "currency": order.currency,
        "items": [_item(item) for item in order.items],
        "taxes": [
            {"name": tax.name, "amount": _francs("taxes", tax.amount)} for tax in order.taxes
        ],
        "amount": whole(order.amount),
        "description": order.description,
        "custom_datas": {REFERENCE_KEY: order.reference, **order.metadata},
    }
    return {
        "invoice": {name: said for name, said in invoice.items() if said},
        "store": _in_order(shown),
        "actions": {
            "cancel_url": order.cancel_url,
            "return_url": order.return_url,
            "callback_url": order.webhook_url,
        },
    }


def checked_store(store: object) -> dict[str, str]:
    """Check the store's fields, which Intram prints on the page and does not validate.

    The phone is text, too.
    """
    fields = {"name": store} if coerce.is_a(store, str) else coerce.mapping(store)
    if fields is None:
        raise UsageError.field("store", store, f"a name, or a mapping of {', '.join(_STORE)}")
    said = dict[str, str]()
    for name, value in fields.items():
        if name not in _STORE:
            raise UsageError.field("store", name, ", ".join(_STORE))
        found = coerce.text(value)
        if found is None or not found.isprintable() or not 0 < len(found) <= 2000:
            accepted = "printable text of 1 to 2000 characters"
            raise UsageError.field(f"store.{name}", value, accepted)
        said[name] = found
    return _in_order(said)


def _in_order(store: Mapping[str, str]) -> dict[str, str]:
    return {name: store[name] for name in _STORE if name in store}


def _item(item: Item) -> dict[str, str]:
    # The field names of backend/php-server-sdk.md, all text; the values are shown, never charged.
    price = _francs("items", item.unit_price)
    total = price * item.quantity
    if item.total_price is not None:
        total = _francs("items", item.total_price)
    line = {
        "name": item.name,
        "qte": str(item.quantity),
        "price": str(price),
        "totalamount": str(total),
    }
    return {**line, "description": item.description} if item.description else line


def _francs(field: str, value: Decimal) -> int:
    try:
        return whole(exact(value, "XOF")) if value else 0
    except UsageError as error:
        said = f"{field}: {error}"
        raise UsageError(said, name=field, value=error.value, accepted=error.accepted) from None
