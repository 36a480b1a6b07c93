"""Asking a provider by one name alone: its own reference, our reference, or a receipt."""

from typing import TYPE_CHECKING, Any, get_args

from ..drivers.base import Driver
from ..errors import Mismatch, Unsupported, UsageError
from ..models import Kind, Payment
from ..primitives import coerce
from ..primitives.redaction import shown
from ..values import arguments
from ..values.validation import checked_reference, checked_text

if TYPE_CHECKING:
    from .engine import Engine


def payment_named(
    engine: "Engine", account: str, provider_reference: str | None, **names: Any
) -> Payment:
    """Make a payment from its names alone, with the live mode of its account."""
    return Payment(
        account=coerce.text(account) or "",
        provider_reference=provider_reference,
        live=engine.driver(account).live,
        **names,
    )


def asked_for(driver: Driver, reference: str | None, receipt: str | None, kind: Kind) -> Payment:
    """Return what is asked for by exactly one name; Unsupported: the provider has no such way.

    By a receipt, the kind of the payment comes from the answer.
    """
    if (reference is None) == (receipt is None):
        raise UsageError(
            "find: exactly one of reference and receipt names the payment", name="reference"
        )
    kind = arguments.kind("kind", kind)
    named: dict[str, str] = {}
    if reference is not None:
        named["reference"] = checked_reference(reference)
    elif receipt is not None:
        named["receipt"] = checked_text("receipt", receipt, 64).strip()
    asked = Payment(
        account=driver.account,
        live=driver.live,
        kind=kind if receipt is None else None,
        reference=named.get("reference"),
        receipt=named.get("receipt"),
    )
    if driver.asks(asked) != "find":
        what = f"a {kind} by reference" if receipt is None else "a payment by receipt"
        raise Unsupported(f"{driver.name} cannot be asked for {what}; {_ways(driver)}")
    return asked


def _ways(driver: Driver) -> str:
    ways = [
        f"a {kind} by {' or '.join(sorted(driver.finds_by[kind]))}"
        for kind in get_args(Kind)
        if driver.finds_by.get(kind)
    ]
    if ways:
        return f"it can be asked for {', for '.join(ways)}"
    return (
        "verify asks by the provider's reference" if driver.can("verify") else "it has no look-up"
    )


def check_receipt(found: Payment, asked: Payment) -> None:
    """Raise Mismatch if the payment found has another receipt; letter case does not count."""
    theirs, mine = found.receipt, asked.receipt
    if theirs is None or mine is None or theirs.casefold() == mine.casefold():
        return
    raise Mismatch(
        f"{asked.account}: found receipt {shown(theirs)} for {shown(mine)}",
        payment=found,
        expected=asked,
        fields=("receipt",),
    )
