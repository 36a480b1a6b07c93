"""An order for a driver, and the lines that a checkout page shows of it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from .kinds import Kind, Operator
from .model import Model
from .payments import Customer


class Item(Model, frozen=True, kw_only=True):
    """One line of an order; amounts are Decimal, in major units of the order's currency."""

    name: str
    quantity: int = 1
    unit_price: Decimal
    total_price: Decimal | None = None
    description: str = ""


class Tax(Model, frozen=True, kw_only=True):
    """A tax to show on a checkout page, in major units; it never changes the order's amount."""

    name: str
    amount: Decimal


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order for a driver; the pool has checked it."""

    account: str
    kind: Kind
    reference: str
    amount: Decimal
    currency: str
    party: str | None = None  # the payer of a collect, the payee of a payout
    description: str = ""
    customer: Customer | None = None
    items: tuple[Item, ...] = ()
    taxes: tuple[Tax, ...] = ()
    metadata: Mapping[str, Any] = {}
    extra: Mapping[str, Any] = {}
    return_url: str | None = None
    cancel_url: str | None = None
    webhook_url: str | None = None
    timeout_url: str | None = None  # where it is told that a payout or refund waited too long
    operator: Operator | None = None
    bill_reference: str | None = None
    refunds: str | None = None  # a refund's payment: the provider's reference, ours, or its receipt

    def __repr__(self) -> str:
        return f"Order({self.account} {self.kind} {self.reference} {self.amount} {self.currency})"
