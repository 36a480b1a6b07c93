"""What a watched payment is known by, and whether two payments may be one."""

import sys
import time
from typing import TypeAlias

import msgspec

from ..drivers.base import Driver
from ..models import Payment
from .schedule import LookupKey

RegistryKey: TypeAlias = tuple[tuple[str, ...], str]

_FIELDS = Payment.__struct_fields__


def agree(one: Payment, other: Payment) -> bool:
    """Return whether two watches expect the same of one payment."""
    return are_compatible(
        one, other, ("reference", "provider_reference", "amount", "currency", "live")
    )


def are_compatible(
    one: Payment, other: Payment, names: tuple[str, ...] = ("reference", "provider_reference")
) -> bool:
    """Return whether two may be the same payment: the same kind, and no different ids."""
    pairs = ((getattr(one, name), getattr(other, name)) for name in names)
    alike = all(None in pair or pair[0] == pair[1] for pair in pairs)
    return alike and (one.kind or "collect") == (other.kind or "collect")


def registry_keys(payment: Payment) -> list[RegistryKey]:
    """List the index keys of a payment: the group of the index, and the id in it."""
    account = payment.account
    found: list[RegistryKey] = []
    for name, id in payment.ids.items():
        found.append(((account, name), id))
    if payment.reference is not None:
        found.append(((account, payment.kind or "collect"), payment.reference))
    if payment.provider_reference is not None:
        found.append(((account,), payment.provider_reference))
    return found


def lookup_key(payment: Payment, driver: Driver) -> LookupKey:
    """Return the id by which a look-up finds a payment."""
    if payment.provider_reference is not None:
        return payment.provider_reference
    own = next(((name, id) for name, id in payment.ids.items() if name in driver.verifies_by), None)
    return own or (payment.kind or "collect", payment.reference or "")


def not_found_is_final(payment: Payment, driver: Driver) -> bool:
    """Return whether a payment of this age does not exist if its provider knows none."""
    final, created = driver.facts_of(payment).not_found_final_after, payment.created_at
    if final is None or created is None:
        return False
    return time.time() - created.timestamp() > final


def reuse_equal_values(found: Payment, known: Payment) -> Payment:
    """Return the payment found, reusing equal values of the known one, to save memory."""
    pairs = zip(
        _FIELDS, msgspec.structs.astuple(known), msgspec.structs.astuple(found), strict=True
    )
    held = {name: old for name, old, new in pairs if old is not new and old == new}
    if found.provider_status is not None:
        held["provider_status"] = sys.intern(found.provider_status)
    return msgspec.structs.replace(found, **held)
