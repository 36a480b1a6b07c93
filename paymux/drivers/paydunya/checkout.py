"""Checkout invoices: the body of the request that makes one."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...http import Request, Send, post
from ...models import Customer, Item, Order, Payment, Status
from ...values.money import whole
from ...values.parsing import amount
from .answers import NO_INVOICE, NO_PAYER, TOKEN, Answer, Invoice, Payer, number

if TYPE_CHECKING:
    from . import PayDunya

CREATE = "/checkout-invoice/create"
STORE = ("name", "tagline", "postal_address", "phone", "logo_url", "website_url")
REFERENCE = "paymux_reference"  # the key of `custom_data` that carries our reference
_NOBODY = Customer()


def create(driver: "PayDunya", order: Order, *, money: bool = True) -> Request[Answer]:
    """Return the request for an invoice; `money`: its page is what the payer gets.

    Each request makes an invoice with a new token and charges no payer (the page; pypi,
    invoice.py), so it may be repeated.
    """
    path, matches = driver.root + CREATE, Answer.answers_create
    given = body(order, store(driver))
    return post(path, Answer, given, money=money, repeatable=money, matches=matches)


def onsite(driver: "PayDunya", total: int, description: str, reference: str) -> dict[str, Any]:
    """Return the invoice of an onsite payment, which carries our reference as any other."""
    invoice = {"total_amount": total, "description": description}
    own = {REFERENCE: reference}
    return {"invoice": invoice, "store": _given(store(driver)), "custom_data": own}


async def check_open(driver: "PayDunya", send: Send, order: Order, token: str) -> None:
    """Look up the invoice that a code will charge: it must be open, and the order's.

    The charge names no amount.
    """
    found = await driver.verify(send, Payment(account=driver.account, provider_reference=token))
    if found.status is not Status.PENDING:
        raise UsageError.hidden("invoice_token", f"an open invoice: this one is {found.status}")
    if found.amount != order.amount:
        raise UsageError.field("amount", order.amount, f"{found.amount}, as the invoice says")
    if found.reference not in (None, order.reference):
        raise UsageError.field("reference", order.reference, f"{found.reference!r}, the invoice's")


def store(driver: "PayDunya") -> dict[str, str]:
    """Return the account's store, as it is shown on a page."""
    return {name: getattr(driver, f"store_{name}") for name in STORE}


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


def payment(driver: "PayDunya", said: Answer, asked: str | None) -> Payment:
    """Read an invoice in an answer, an IPN or a return URL."""
    invoice = said.invoice if isinstance(said.invoice, Invoice) else NO_INVOICE
    payer = said.customer if isinstance(said.customer, Payer) else NO_PAYER
    status, reason = driver.outcome(
        {
            "status": said.status,
            "invoice.status": invoice.status if said.status else None,
            "fail_reason": said.fail_reason,
        }
    )
    metadata = dict(said.custom_data) if isinstance(said.custom_data, dict) else {}
    reference = metadata.pop(REFERENCE, None)
    tests = (asked or "").startswith("test_")
    live = said.mode.lower() == "live" if said.mode else driver.live and not tests
    customer = Customer(name=payer.name, phone=payer.phone, email=payer.email)
    ids = {"receipt_identifier": said.receipt_identifier} if said.receipt_identifier else {}
    if said.provider_reference:
        ids["provider_reference"] = said.provider_reference
    total = amount(invoice.total_amount)
    net = amount(invoice.total_amount_without_fees) or total
    total = net if total is None else total
    found = Payment(
        account=driver.account,
        provider=driver.name,
        live=live,
        reference=reference if isinstance(reference, str) else None,
        provider_reference=invoice.token or asked,
        ids=ids,
        status=status,
        amount=None if total is None or net is None else min(total, net),
        currency="XOF",
        payer=number(payer.phone),
        # Both "wave-senegal" and "wave_senegal" occur.
        operator=(payer.payment_method or "").replace("_", "-") or None,
        receipt_url=said.receipt_url,
        fee=None if total is None or net is None else abs(total - net) or None,
        provider_status=said.status,
        reason=reason,
        message=None if status is Status.SUCCEEDED else said.trouble(),
        customer=None if customer == _NOBODY else customer,
        metadata=metadata,
    )
    return driver.proved(found, "invoice")


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
