"""What a provider tells beside payments: balances, receipts, ways to pay."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from .model import Model
from .statuses import Status


class Balance(Model, frozen=True, kw_only=True):
    """Money available for payouts, Decimal in major units.

    `by_operator`: the amount for each operator, if the provider keeps them apart. `by_account`: the
    amount in each of the provider's own accounts, by its name for them, if it has several.
    """

    currency: str
    available: Decimal
    by_operator: Mapping[str, Decimal] = {}
    by_account: Mapping[str, Decimal] = {}


class Receipt(Model, frozen=True, kw_only=True):
    """A receipt as the provider formats it, with its amount as Decimal, in major units."""

    number: str
    status: Status
    amount: Decimal | None = None
    currency: str | None = None
    method: str | None = None
    customer: str | None = None
    order: str | None = None
    issued_at: datetime | None = None


class Method(Model, frozen=True, kw_only=True):
    """A payment method that an account offers."""

    type: str
    display_name: str
    enabled: bool
    currency: str | None = None
