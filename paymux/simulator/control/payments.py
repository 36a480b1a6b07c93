"""The routes of payments: list, answer, settle, wait, inbound and the ledger."""

from collections import Counter
from decimal import Decimal
from typing import Any

from ...errors import UsageError
from ...values.arguments import status as checked_status
from ..ledger import Entry
from ..world import WaitTimeout
from . import rows
from .bodies import LedgerTold, Money
from .problems import Problem
from .routes import Call

MOST_SECONDS = 600  # of a wait


def payments(call: Call) -> Any:
    """List payments, newest first."""
    wanted = {name: call.query.get(name) or None for name in ("provider", "reference", "status")}
    status = None if wanted["status"] is None else checked_status("status", wanted["status"])
    if wanted["provider"] is not None:
        call.world.provider(wanted["provider"])
    asks = call.flag("asks")
    everything = call.world.ledger.entries(wanted["reference"])
    last = call.number("after", 0, 10**12, len(everything))
    limit, found = call.limit(), list[tuple[int, Entry]]()
    for at in reversed(range(min(last, len(everything)))):
        entry = everything[at]
        fits = wanted["provider"] in (None, entry.provider) and status in (None, entry.status)
        if fits and asks in (None, entry.asks):
            found.append((at, entry))
            if len(found) > limit:
                break
    shown, more = found[:limit], len(found) > limit
    return {
        "items": [rows.payment(entry) for _, entry in shown],
        "next": str(shown[-1][0]) if more else None,
    }


def payment(call: Call) -> Any:
    """Show one payment with its history."""
    return rows.payment_detail(_named(call))


def answer(call: Call) -> Any:
    """Answer for a payer."""
    return rows.payment(call.world.answer(_named(call).id, **call.body))


def settle(call: Call) -> Any:
    """Decide a payment."""
    [entry] = call.world.settle(_named(call).id, **call.body)
    return rows.payment(entry)


async def wait(call: Call) -> Any:
    """Wait for a payment, or for its status."""
    reference = call.query.get("reference")
    if not reference:
        raise UsageError.missing("reference", "accepted: yours, the provider's, or a payment's id")
    status, seconds = call.query.get("status") or None, call.seconds("timeout", MOST_SECONDS, 30)
    wanted = None if status is None else checked_status("status", status)
    try:
        return rows.payment(await call.world.wait(reference, wanted, within=seconds))
    except WaitTimeout as error:
        raise Problem(408, f"timeout: {error}", field="timeout") from None


def inbound(call: Call) -> Any:
    """Let a customer pay unasked."""
    return rows.payment(call.world.inbound(**call.body))


def ledger(call: Call) -> Any:
    """Tell what moved."""
    totals: dict[tuple[str, str, str], list[Decimal]] = {}
    for entry in call.world.ledger:
        if entry.moved:
            key = (entry.provider, entry.kind, entry.currency)
            totals.setdefault(key, []).append(entry.amount)
    named = Counter(entry.reference for entry in call.world.ledger if entry.reference is not None)
    return LedgerTold(
        totals=[
            Money(
                provider=provider,
                kind=kind,
                currency=currency,
                amount=f"{sum(amounts):f}",
                orders=len(amounts),
            )
            for (provider, kind, currency), amounts in sorted(totals.items())
        ],
        references=dict(named),
    )


def _named(call: Call) -> Entry:
    """Return the payment of the path; Problem 404: there is none."""
    found = call.world.ledger.find(call.at["id"])
    if found is None:
        accepted = "the id of a payment, as GET payments lists it"
        said = f"id: {call.at['id'][:200]!r} is unknown; accepted: {accepted}"
        raise Problem(404, said, field="id", accepted=accepted)
    return found
