"""A payment, in one form for all providers, and what a look-up may change of it."""

import logging
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import astuple

from ..errors import Mismatch
from ..primitives import coerce
from ..primitives.redaction import mask, shown
from .kinds import Kind
from .model import Model
from .reasons import Reason
from .statuses import Status

log = logging.getLogger("paymux")


class Customer(Model, frozen=True, kw_only=True, omit_defaults=True):
    """Personal data of the payer; `repr` shows none of it."""

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


def _pending() -> Status:
    return Status.PENDING


# Plain data without cycles: with gc=False the garbage collector skips 100,000 of them.
class Payment(Model, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One payment as it was last seen; frozen; `msgspec.json` encodes and decodes it unchanged.

    Amounts are Decimal in major units, times are aware UTC, phones are E.164 digits. Only `account`
    is required. An endpoint that returns it shows the payer's number and the provider's last body:
    return `public()` to a browser. Its hash is that of its account, kind and references.
    """

    account: str
    provider: str = ""
    kind: Kind | None = None
    live: bool | None = None
    reference: str | None = None
    provider_reference: str | None = None
    ids: Mapping[str, str] = {}
    # By a function, so that its JSON has the status of a pending payment, too.
    status: Status = msgspec.field(default_factory=_pending)
    amount: Decimal | None = None
    currency: str | None = None
    payer: str | None = None
    payee: str | None = None
    bill_reference: str | None = None  # the account at a pay bill number
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
            f"{name}={_shown_field(name, value)}"
            for name in self.__struct_fields__
            if name not in hidden and _says(value := getattr(self, name))
        )
        return f"Payment({' '.join(fields)})"

    def __hash__(self) -> int:
        return hash((self.account, self.kind, self.reference, self.provider_reference))

    def public(self) -> "Payment":
        """Return what may be shown to a browser.

        Without `raw`, `payer`, `payee`, `bill_reference`, `customer` and `metadata`, and without
        ids that only a message claimed; a long number in the provider's `message` is shortened.
        """
        # Text of any class, and no ids: a payment may be written by hand.
        ids, message = coerce.mapping(self.ids) or {}, coerce.text(self.message)
        return msgspec.structs.replace(
            self,
            raw="",
            payer=None,
            payee=None,
            bill_reference=None,
            customer=None,
            metadata={},
            ids={name: id for name, id in ids.items() if name not in _CLAIMED},
            message=None if message is None else mask(message),
        )


# Ids that a message claims and no look-up vouches for; MSISDN is the payer's number.
_CLAIMED = frozenset({"claimed_receipt", "MSISDN"})


def _says(value: object) -> bool:
    return value is not None and not (type(value) in (str, dict) and not value)


def _shown_field(name: str, value: Any) -> str:
    # A caller may have put any object in a field; `repr` must work in a log all the same.
    try:
        said = str(value)
    except Exception:  # noqa: BLE001 - the object's class may raise anything
        return shown(value)
    return said[:40] if name == "amount" else mask(said[:4096])


# used in every look-up; access through an Enum is slow
_PENDING, _SUCCEEDED = Status.PENDING, Status.SUCCEEDED
_FIELDS = Payment.__struct_fields__
# the most important first
_COMPARED = ("amount", "currency", "reference", "provider_reference", "kind", "live")
_IS_COMPARED = frozenset(_COMPARED)
_compared = attrgetter(*_COMPARED)

_Differing: TypeAlias = list[tuple[str, Any, Any]]


def compare(found: Payment, expected: Payment) -> None:
    """Raise Mismatch if a found payment contradicts the expected one.

    Absent values contradict nothing.
    """
    differing: _Differing = []
    for name, theirs, mine in zip(_COMPARED, _compared(found), _compared(expected), strict=True):
        if theirs is not None and mine is not None and theirs != mine:
            differing.append((name, theirs, mine))
    if found.payee is not None and _is_another_payee(found.payee, expected.payee):
        differing.append(("payee", found.payee, expected.payee))
    if differing:
        raise _mismatch(found, expected, differing)


def _is_another_payee(theirs: str, mine: str | None) -> bool:
    """Return whether a payee is certainly another one than that of our order.

    A number may be without its country's code, or in Benin's old form: eight digits are compared.
    A name, or a number that the provider masks, contradicts nothing.
    """
    if mine is None:
        return False
    a, b = theirs.rpartition(":")[2], mine.rpartition(":")[2]
    return a.isdigit() and b.isdigit() and a[-8:] != b[-8:]


def _mismatch(found: Payment, expected: Payment, differing: _Differing) -> Mismatch:
    differing = sorted(differing, key=lambda one: (*_COMPARED, "payee").index(one[0]))
    # Shown with repr: a hostile id must not add lines to a log.
    words = ", ".join(
        f"{name} {shown(str(theirs))} for {shown(str(mine))}" for name, theirs, mine in differing
    )
    fields = tuple(name for name, *_ in differing)
    return Mismatch(
        f"{expected.account}: found {words}", payment=found, expected=expected, fields=fields
    )


# After a success only a refund is believed; a late success after a failure is real.
_KEPT = {Status.SUCCEEDED: {Status.SUCCEEDED, Status.REFUNDED}, Status.REFUNDED: {Status.REFUNDED}}


def merge(known: Payment, found: Payment) -> Payment:
    """Apply what a look-up found to the known payment.

    Ids are never lost. A success never changes silently: a contradiction raises Mismatch.
    """
    kept: dict[str, Any] = {}
    differing: _Differing = []
    for name, new, held in zip(_FIELDS, astuple(found), astuple(known), strict=True):
        if held is None:
            continue
        if new is None:
            kept[name] = held  # an absent value keeps the known one
        elif name in _IS_COMPARED and new != held:  # as in `compare`, in the same pass
            differing.append((name, new, held))
    if known.payee is not None and found.payee is not None:
        kept["payee"] = known.payee  # as it was ordered, with its prefix
        if _is_another_payee(found.payee, known.payee):
            differing.append(("payee", found.payee, known.payee))
    if differing:
        raise _mismatch(found, known, differing)
    status = found.status if known.status is _PENDING else _turned(known, found)
    if status is not found.status:
        # The texts belong to the status that they came with.
        kept |= {name: getattr(known, name) for name in ("provider_status", "reason", "message")}
    elif status is _SUCCEEDED:
        # The reason of an earlier status does not apply to a success.
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
    """Return the status after a look-up of a payment that was terminal already."""
    status = found.status
    if status in _KEPT.get(known.status, Status):
        if status is _SUCCEEDED and known.status is not _SUCCEEDED:
            log.warning("%s: a payment that had %s succeeded late", known.account, known.status)
        return known.status if status is _PENDING else status
    if status is _SUCCEEDED:  # an answer from before the refund
        return known.status
    said = f"{known.account}: {known.status} became {status}"
    raise Mismatch(said, payment=found, expected=known, fields=("status",))
