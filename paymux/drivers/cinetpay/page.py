"""The payment page: https://docs.cinetpay.com/api/1.0-fr/checkout/initialisation."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import UsageError
from ...models import Customer, Order
from ...values.money import whole

# The guide's code for Guinea's franc, for twelve days of August 2021.
GNF: Mapping[str | None, str] = {"GBF": "GNF"}
_CHANNELS = ("ALL", "MOBILE_MONEY", "CREDIT_CARD", "WALLET")


def body(order: Order, customer: Customer, phone: str | None) -> dict[str, Any]:
    """Return the body of the request for a page; fields that are not set are left out."""
    fields = {
        "transaction_id": order.reference,
        "amount": whole(order.amount),
        "currency": GNF.get(order.currency, order.currency),
        "description": order.description,
        "notify_url": order.webhook_url,
        "return_url": order.return_url,
        "channels": order.extra.get("channels", "ALL"),
        "lang": order.extra.get("lang"),
        "metadata": msgspec.json.encode(order.metadata).decode() if order.metadata else None,
        "invoice_data": order.extra.get("invoice_data"),
        "lock_phone_number": order.extra.get("lock_phone_number"),
        "customer_id": order.extra.get("customer_id"),
        # "Le nom du client" is the family name and "le prénom" the given name: the guide's example
        # is its author, Jean-Marc Dje Bi. A `name` without `surname` is a full name, and is sent in
        # the field that is required.
        "customer_name": customer.surname or customer.name,
        "customer_surname": customer.name if customer.surname else None,
        "customer_phone_number": f"+{phone}" if phone else None,
        "customer_email": customer.email,
        "customer_address": customer.address,
        "customer_city": customer.city,
        "customer_country": customer.country,
        "customer_state": customer.state,
        "customer_zip_code": customer.zip_code,
    }
    return {name: value for name, value in fields.items() if value is not None}


def check(order: Order, customer: Customer, phone: str | None, *, rehearsing: bool) -> None:
    """Refuse what CinetPay would refuse."""
    if unwanted := re.search(r"[#/,$_&]", order.description):
        accepted = "text without any of # / , $ _ &"
        raise UsageError.field("description", unwanted[0], accepted)
    if not order.description.strip():
        accepted = "a text, which CinetPay requires"
        raise UsageError.field("description", order.description, accepted)
    # CinetPay answers localhost with 403; a simulator on this machine does not.
    url = "https?://" if rehearsing else r"https?://(?!localhost|127\.|\[::1\])"
    for field, address in (("webhook_url", order.webhook_url), ("return_url", order.return_url)):
        if not re.match(url, address or ""):
            accepted = "a URL that CinetPay can reach, which it requires"
            raise UsageError.field(field, address or "", accepted)
    if order.currency != "USD" and order.amount % 5:
        accepted = f"a multiple of 5 in {order.currency}"
        raise UsageError.field("amount", str(order.amount), accepted)
    _check_extra(order.extra, phone)
    given = {**msgspec.structs.asdict(customer), "phone": phone}
    missing = ", ".join(f"customer.{name}" for name, value in given.items() if not value)
    if order.extra.get("channels") == "CREDIT_CARD" and missing:
        raise UsageError.missing(missing, "CinetPay requires it of who pays by card")


def _check_extra(extra: Mapping[str, Any], phone: str | None) -> None:
    channels = extra.get("channels", "ALL")
    if channels not in _CHANNELS:
        raise UsageError.field("channels", channels, ", ".join(_CHANNELS))
    lang = extra.get("lang", "fr")
    if lang not in ("fr", "en"):
        raise UsageError.field("lang", lang, "fr or en")
    invoice = extra.get("invoice_data", {})
    texts = isinstance(invoice, Mapping) and all(
        type(name) is str and type(value) is str for name, value in invoice.items()
    )
    if not texts or len(invoice) > 3:
        accepted = "at most three names, each with a text"
        raise UsageError.field("invoice_data", invoice, accepted)
    lock = extra.get("lock_phone_number", False)
    if lock is not False and not (lock is True and phone):
        raise UsageError.field("lock_phone_number", lock, "a bool; True with a number")
