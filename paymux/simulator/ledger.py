"""What was really charged, paid out and refunded, whatever any answer said."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import UsageError
from ..models import Kind, Reason, Status
from ..primitives import coerce
from ..primitives.clock import wall_time

# Allowed changes of status; an order that failed, was cancelled or expired may still succeed late.
_AFTER = {
    Status.PENDING: set(Status) - {Status.REFUNDED},
    Status.SUCCEEDED: {Status.REFUNDED},
    Status.REFUNDED: set[Status](),
}
_WHY = {Status.CANCELLED: Reason.CANCELLED, Status.EXPIRED: Reason.EXPIRED}


class Outcome(msgspec.Struct, frozen=True):
    """How an order ends: the true `status`, the reason, and the provider's code if unusual."""

    status: Status
    reason: Reason | None = None
    code: str | None = None
    by: str = "settle"  # who decided: "payer", "number", "default", "checkout", or a test


class Change(msgspec.Struct, frozen=True):
    """One step of an order: when, to which status, why, and who caused it."""

    at: datetime
    status: Status
    reason: Reason | None
    by: str


class AlreadyDecided(UsageError):
    """An order has ended, and cannot end in this way any more; the sentence says how it ended."""


class Entry(msgspec.Struct, kw_only=True, eq=False):
    """One order at one simulated provider. Two requests make two orders, so a double charge shows.

    `amount` is Decimal, in major units; `words` holds other fields of this provider's API.
    `asks`: the payer is being asked on the phone; `tries_left`: for the PIN.
    """

    provider: str
    kind: Kind
    reference: str | None
    provider_reference: str
    amount: Decimal
    currency: str
    party: str | None = None
    status: Status = Status.PENDING
    reason: Reason | None = None
    code: str | None = None
    words: dict[str, Any] = {}
    opened_at: datetime = msgspec.field(default_factory=wall_time)
    settled_at: datetime | None = None
    history: list[Change] = []
    asks: bool = False
    tries_left: int = 3

    @property
    def ended(self) -> str:
        """How and when an order ended, in words."""
        why = f" ({self.reason})" if self.reason is not None else ""
        return f"{self.status}{why} at {self.settled_at:%H:%M:%S} UTC" if self.settled_at else "not"

    @property
    def id(self) -> str:
        """The order's id in this world: the provider's name and its reference."""
        return f"{self.provider}:{self.provider_reference}"

    @property
    def moved(self) -> bool:
        """Return whether its money moved; a charge that was refunded later was a charge."""
        return self.status in (Status.SUCCEEDED, Status.REFUNDED)


class Ledger:
    """Every order that a simulated provider accepted, and the money that moved."""

    def __init__(self, changed: Callable[[Entry], None] | None = None) -> None:
        self._changed = changed
        self._entries: list[Entry] = []
        self._by_provider_reference: dict[tuple[str, str], Entry] = {}
        self._by_any_reference: dict[str, list[Entry]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def newest(self) -> Entry:
        """The order that was opened last; there must be one."""
        return self._entries[-1]

    def open(self, entry: Entry, *names: str) -> Entry:
        """Add a new order, found by its references and by these names; no money has moved yet."""
        key = (entry.provider, entry.provider_reference)
        if key in self._by_provider_reference:
            raise UsageError.field(
                "provider_reference", entry.provider_reference, "one not used before"
            )
        self._by_provider_reference[key] = entry
        self._entries.append(entry)
        for name in {entry.reference, entry.provider_reference, *names} - {None}:
            self._by_any_reference.setdefault(str(name), []).append(entry)
        self._note(entry, "order")
        return entry

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order. A success may come late; moved money returns only by a refund."""
        allowed = _AFTER.get(entry.status, {Status.SUCCEEDED})
        if outcome.status not in allowed:
            accepted = ", ".join(sorted(allowed)) or "nothing: a refunded order stays as it is"
            raise AlreadyDecided(
                f"status: an order that is {entry.status} cannot become {outcome.status}; "
                f"accepted: {accepted}",
                name="status",
                value=outcome.status.value,
                accepted=accepted,
            )
        entry.status, entry.code = outcome.status, outcome.code
        entry.reason = outcome.reason or _WHY.get(outcome.status)
        if entry.status.terminal:
            entry.settled_at, entry.asks = wall_time(), False
        self._note(entry, outcome.by)

    def _note(self, entry: Entry, by: str) -> None:
        entry.history.append(Change(wall_time(), entry.status, entry.reason, by))
        if self._changed is not None:
            self._changed(entry)

    def get(self, provider: str, provider_reference: str) -> Entry | None:
        """Return the order of this provider with this provider reference."""
        return self._by_provider_reference.get((provider, provider_reference))

    def find(self, id: str) -> Entry | None:
        """Return the order with this id: the provider's name, a colon, and its reference."""
        provider, _, reference = id.partition(":")
        return self._by_provider_reference.get((provider, reference))

    def clear(self) -> None:
        """Forget every order, and the money that moved."""
        self._entries.clear()
        self._by_provider_reference.clear()
        self._by_any_reference.clear()

    def entries(self, reference: str | None = None, *, provider: str | None = None) -> list[Entry]:
        """List orders, oldest first; `reference`: yours, the provider's, or a receipt."""
        known = self._by_any_reference
        found = self._entries if reference is None else known.get(coerce.text(reference) or "", [])
        name = coerce.text(provider)
        return [entry for entry in found if provider is None or entry.provider == name]

    def charged(self, reference: str | None = None, *, provider: str | None = None) -> Decimal:
        """Add up what payers really paid, in major units of one currency.

        Refunds are not subtracted.
        """
        return self._moved("collect", reference, provider)

    def paid_out(self, reference: str | None = None, *, provider: str | None = None) -> Decimal:
        """Add up what payees really received, in major units of one currency."""
        return self._moved("payout", reference, provider)

    def refunded(self, reference: str | None = None, *, provider: str | None = None) -> Decimal:
        """Add up what was really refunded, in major units of one currency."""
        return self._moved("refund", reference, provider)

    def totals(self) -> dict[tuple[str, Kind, str], Decimal]:
        """Add up what moved, by provider, kind and currency."""
        totals: dict[tuple[str, Kind, str], Decimal] = {}
        for entry in self._entries:
            if entry.moved:
                key = (entry.provider, entry.kind, entry.currency)
                totals[key] = totals.get(key, Decimal(0)) + entry.amount
        return totals

    def _moved(self, kind: Kind, reference: str | None, provider: str | None) -> Decimal:
        moved = [
            e for e in self.entries(reference, provider=provider) if e.kind == kind and e.moved
        ]
        if len({entry.currency for entry in moved}) > 1:
            raise UsageError.field(
                "currency", "several", "one: name a reference or a provider, or use totals()"
            )
        return sum((entry.amount for entry in moved), Decimal(0))
