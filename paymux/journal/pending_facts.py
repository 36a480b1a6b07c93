"""Facts not yet written: known to this process, while the file is locked or the disk full."""

from collections.abc import Iterator

import msgspec

from ..errors import Mismatch
from ..models import Event, Kind, Payment, log, merge
from .base import OrderKey, Row, State, order_key
from .ids import new_id


class Fact(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A fact about a payment: its new form, the source, and the state of the order."""

    payment: Payment
    source: str
    state: State | None
    id: str = msgspec.field(default_factory=new_id)  # the same when it is written again


class PendingFacts:
    """The facts that are not in the file yet, by order, oldest first."""

    def __init__(self) -> None:
        self._facts: dict[OrderKey, list[Fact]] = {}

    def __bool__(self) -> bool:
        return bool(self._facts)

    def __contains__(self, key: OrderKey) -> bool:
        return key in self._facts

    def add(self, fact: Fact) -> None:
        """Hold a fact until it is written."""
        self._facts.setdefault(order_key(fact.payment), []).append(fact)

    def holds(self, fact: Fact) -> bool:
        """Return whether a fact is still to be written."""
        return id(fact) in map(id, self._facts.get(order_key(fact.payment), ()))

    def drop(self, fact: Fact) -> None:
        """Drop a fact that is written, or is no longer of use."""
        key = order_key(fact.payment)
        held = self._facts.get(key, [])
        for place, one in enumerate(held):
            if one is fact:
                del held[place]
                break
        if not held:
            self._facts.pop(key, None)

    def forget(self, key: OrderKey | None = None) -> None:
        """Drop all facts of an order, or of all orders."""
        if key is None:
            self._facts.clear()
        else:
            self._facts.pop(key, None)

    def applied_to(self, row: Row) -> Row:
        """Return a row as it will be when all facts are written."""
        state, known = row.state, row.payment
        for fact in tuple(self._facts.get(order_key(known), ())):
            state, known = applied(state, known, fact)
        return msgspec.structs.replace(row, state=state, payment=known)

    def key_of(self, account: str, kind: Kind, provider_reference: str) -> OrderKey | None:
        """Return the order that got this provider reference in an answer, this kind first."""
        found = [fact.payment for fact in self.facts() if fact.payment.account == account]
        keys = [order_key(one) for one in found if one.provider_reference == provider_reference]
        return next((key for key in keys if key[1] == kind), keys[0] if keys else None)

    def find_by_ids(self, event: Event) -> OrderKey | None:
        """Return the order that got, in an answer, one of the ids in a message."""
        ids = event.claims.ids.items()
        found = [fact.payment for fact in self.facts() if fact.payment.account == event.account]
        return next((order_key(one) for one in found if not ids.isdisjoint(one.ids.items())), None)

    def log_lost(self) -> None:
        """Log what could not be stored."""
        for fact in self.facts():
            one = fact.payment
            outcome = one.status if fact.state in (None, State.ACCEPTED) else fact.state
            said = (
                one.account,
                one.kind or "collect",
                one.reference,
                outcome,
                one.provider_reference,
            )
            log.error(
                "%s: the journal could not keep that %s %r is %s (provider's reference: %s)", *said
            )

    def facts(self) -> Iterator[Fact]:
        """List all facts."""
        return (fact for held in tuple(self._facts.values()) for fact in held)


def applied(was: State, known: Payment, fact: Fact) -> tuple[State, Payment]:
    """Return the state and the payment of a row after a fact, which may not turn it back."""
    try:
        return was.after(fact.state, fact.payment), merge(known, fact.payment)
    except Mismatch:
        return was, known
