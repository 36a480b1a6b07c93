"""What a test asserts of the money that really moved."""

from decimal import Decimal

from ..errors import UsageError
from ..primitives.coerce import is_a
from ..simulator import Entry, Ledger, Simulator
from ..values import arguments

_SHOWN = 10  # references in an error


def charged_once(
    simulator: Simulator | Ledger, reference: str, amount: int | Decimal | str | None = None
) -> Entry:
    """Assert that the payer of an order was charged exactly once, and return the ledger's entry.

    `amount`: in major units, what was to be charged; None: any. Fails with AssertionError, which
    lists the order's entries, if the order was never accepted, is not paid, was paid twice, or if a
    second request of it is still open: its payer was asked twice.
    """
    __tracebackhide__ = True
    ledger = simulator.ledger if is_a(simulator, Simulator) else simulator
    if not is_a(ledger, Ledger):
        raise UsageError.field("simulator", simulator, "a Simulator, or its ledger")
    reference = arguments.named("reference", reference)
    wanted = None if amount is None else arguments.amount("amount", amount)
    if not ledger.entries(reference):
        raise AssertionError(
            f"{reference!r} was not charged once: no provider accepted it; the reference is "
            f"unknown, the ledger has {_references(ledger)}"
        )
    entries = [entry for entry in ledger.entries(reference) if entry.kind == "collect"]
    asked = [entry for entry in entries if entry.moved or not entry.status.terminal]
    if len(asked) != 1 or not asked[0].moved:
        raise AssertionError(f"{reference!r} was not charged once: {_listed(entries)}")
    if wanted not in (None, asked[0].amount):
        raise AssertionError(f"{reference!r} was not charged {wanted}: {_listed(entries)}")
    return asked[0]


def _listed(entries: list[Entry]) -> str:
    found = [
        f"{entry.provider} {entry.provider_reference}, {entry.amount} {entry.currency}, "
        f"{entry.status}"
        for entry in entries
    ]
    return "; ".join(found) or "it is no collect"


def _references(ledger: Ledger) -> str:
    known = list(dict.fromkeys(entry.reference or entry.provider_reference for entry in ledger))
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(map(repr, known[:_SHOWN])) + more or "no order"
