"""What a payment is, in our words, whoever the provider is."""

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.structs import astuple

from .errors import Mismatch
from .reasons import Reason
from .redact import mask, shown
from .words import Status, Trust

__all__ = [
    "Balance",
    "Customer",
    "Event",
    "Item",
    "Kind",
    "Method",
    "Order",
    "Payment",
    "Reason",
    "Receipt",
    "Status",
    "Tax",
    "Trust",
    "compare",
    "log",
    "succeed",
]

log = logging.getLogger("paymux")

Kind: TypeAlias = Literal["collect", "payout", "refund"]


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who pays, where a provider wants to know or tells; `repr` shows nothing of it."""

    name: str | None = None
    surname: str | None = None
    email: str | None = None
    phone: str | None = None
    address: str | None = None
    city: str | None = None
    country: str | None = None
    state: str | None = None
    zip_code: str | None = None

    def __repr__(self) -> str:
        return "Customer(…)"


# Plain data, of which no cycle can be made, so that the garbage collector need not look at 100,000 of them.
class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One payment as it was last seen; frozen, and the same after a trip through `msgspec.json`.

    Amounts are Decimal major units, times aware UTC, phones E.164 digits. Only `account` is required.
    """

    account: str
    provider: str = ""
    kind: Kind | None = None
    live: bool | None = None
    reference: str | None = None
    provider_reference: str | None = None
    ids: Mapping[str, str] = {}
    status: Status = Status.PENDING
    amount: Decimal | None = None
    currency: str | None = None
    payer: str | None = None
    payee: str | None = None
    operator: str | None = None
    receipt: str | None = None
    receipt_url: str | None = None
    fee: Decimal | None = None
    refunded_amount: Decimal | None = None
    checkout_url: str | None = None
    prompt: str | None = None
    provider_status: str | None = None
    reason: Reason | None = None
    message: str | None = None
    customer: Customer | None = None
    metadata: Mapping[str, Any] = {}
    paid_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    raw: str = ""

    def __repr__(self) -> str:
        hidden = {"raw", "customer", "metadata", "checkout_url"}
        fields = (
            f"{name}={_told(name, value)}"
            for name in self.__struct_fields__
            if name not in hidden and _says(value := getattr(self, name))
        )
        return f"Payment({' '.join(fields)})"


def _says(value: object) -> bool:
    return value is not None and not (type(value) in (str, dict) and not value)


def _told(name: str, value: Any) -> str:
    # One that was made by hand may hold anything, and must be shown in a log all the same.
    try:
        said = str(value)
    except Exception:  # noqa: BLE001 - whatever its own class raises
        return shown(value)
    return said[:40] if name == "amount" else mask(said[:4096])


_PENDING, _SUCCEEDED = Status.PENDING, Status.SUCCEEDED  # in every look-up, and slow to find in an Enum
_FIELDS = Payment.__struct_fields__
_COMPARED = ("amount", "currency", "reference", "provider_reference", "kind", "live")  # the gravest first
_IS_COMPARED = frozenset(_COMPARED)
_compared = attrgetter(*_COMPARED)

_Differing: TypeAlias = list[tuple[str, Any, Any]]


def compare(found: Payment, expected: Payment) -> None:
    """Raise Mismatch where what was found contradicts what was expected; an absent value contradicts nothing."""
    differing: _Differing = []
    for name, theirs, mine in zip(_COMPARED, _compared(found), _compared(expected), strict=True):
        if theirs is not None and mine is not None and theirs != mine:
            differing.append((name, theirs, mine))
    if differing:
        raise _mismatch(found, expected, differing)


def _mismatch(found: Payment, expected: Payment, differing: _Differing) -> Mismatch:
    differing = sorted(differing, key=lambda one: _COMPARED.index(one[0]))
    # Shown as data: a hostile id must not write lines of its own into a log.
    words = ", ".join(f"{name} {shown(str(theirs))} for {shown(str(mine))}" for name, theirs, mine in differing)
    fields = tuple(name for name, *_ in differing)
    return Mismatch(f"{expected.account}: found {words}", payment=found, expected=expected, fields=fields)


# Once money has arrived, only its return is believed; a late success is real (the design, section 1).
_KEPT = {Status.SUCCEEDED: {Status.SUCCEEDED, Status.REFUNDED}, Status.REFUNDED: {Status.REFUNDED}}


def succeed(known: Payment, found: Payment) -> Payment:
    """Apply what a look-up found to what is held: ids are never lost, and a success never turns silently."""
    kept: dict[str, Any] = {}
    differing: _Differing = []
    for name, new, held in zip(_FIELDS, astuple(found), astuple(known), strict=True):
        if held is None:
            continue
        if new is None:
            kept[name] = held  # what was not said stays as it is held
        elif name in _IS_COMPARED and new != held:  # as in `compare`, in the same pass
            differing.append((name, new, held))
    if differing:
        raise _mismatch(found, known, differing)
    status = found.status if known.status is _PENDING else _turned(known, found)
    if status is not found.status:
        # The words belong to the status that they were said of.
        kept |= {name: getattr(known, name) for name in ("provider_status", "reason", "message")}
    elif status is _SUCCEEDED:
        # Why an earlier state came about is no longer true of a success.
        kept["reason"], kept["message"] = None, found.message
    if not found.provider:
        kept["provider"] = known.provider
    if not found.raw:
        kept["raw"] = known.raw
    if known.ids:
        kept["ids"] = {**known.ids, **found.ids}
    if known.metadata:
        kept["metadata"] = {**known.metadata, **found.metadata}
    if known.created_at is not None:
        kept["created_at"] = known.created_at
    return msgspec.structs.replace(found, account=known.account, status=status, **kept)


def _turned(known: Payment, found: Payment) -> Status:
    """Give the status after a look-up of what was terminal already."""
    status = found.status
    if status in _KEPT.get(known.status, Status):
        if status is _SUCCEEDED and known.status is not _SUCCEEDED:
            log.warning("%s: a payment that had %s succeeded late", known.account, known.status)
        return known.status if status is _PENDING else status
    if status is _SUCCEEDED:  # before it was given back
        return known.status
    said = f"{known.account}: {known.status} became {status}"
    raise Mismatch(said, payment=found, expected=known, fields=("status",))


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order; amounts are Decimal major units of the order's currency."""

    name: str
    quantity: int = 1
    unit_price: Decimal
    total_price: Decimal | None = None
    description: str = ""


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """A tax to show on a checkout page; it never changes the order's amount."""

    name: str
    amount: Decimal


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver is asked to do, checked by the pool before the driver sees it."""

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
    refunds: str | None = None  # of a refund: the provider's reference, or else ours, of what is given back

    def __repr__(self) -> str:
        return f"Order({self.account} {self.kind} {self.reference} {self.amount} {self.currency})"


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Money that can be paid out, in Decimal major units; `by_operator` where a provider keeps floats apart."""

    currency: str
    available: Decimal
    by_operator: Mapping[str, Decimal] = {}


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as the provider words it, with its amount read back into money."""

    number: str
    status: Status
    amount: Decimal | None = None
    currency: str | None = None
    method: str | None = None
    customer: str | None = None
    order: str | None = None
    issued_at: datetime | None = None


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that an account offers."""

    type: str
    display_name: str
    enabled: bool
    currency: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a message claims. It has no status to act on: `await pool.confirm(event)` asks the provider."""

    account: str = ""
    provider: str = ""
    trust: Trust = Trust.NOTHING
    claims: Payment
    ping: bool = False  # the provider only asks whether the address answers; there is nothing to confirm
    attempt: str | None = None  # our reference, where the message came in on its own secret path

    @property
    def kind(self) -> Kind:
        """Tell what kind of payment it is about: each callback path is a collect's, as is what does not say."""
        return "collect" if self.attempt is not None else self.claims.kind or "collect"

    @property
    def identity(self) -> tuple[str, str, str]:
        """Tell one message from another: account, payment and claimed state, so that no success is a duplicate."""
        claims = self.claims
        named = self.attempt or claims.provider_reference or claims.reference
        return (self.account, named or " ".join(sorted(claims.ids.values())), claims.status)

    @property
    def proved(self) -> bool:
        """Tell whether its signature, or an order's own secret path, proves who sent it."""
        return self.trust is Trust.BODY or self.attempt is not None
