"""Confirming a message: what ties it to an order, so that one payment's news never confirms another's order."""

from functools import partial

import msgspec

from ..errors import BadWebhook, Mismatch, NotFound, Unsupported, UsageError
from ..journal import Arrival, OpenMessage, OrderOwner, repeat_event
from ..limits import Priority
from ..models import Event, Payment, Status, Trust, compare, merge
from ..values import arguments
from .engine import Engine


async def confirm(
    engine: Engine,
    event: Event,
    expected: Payment | None,
    seconds: float | None,
    urgency: Priority | None = None,
    message: OpenMessage | None = None,
) -> Payment:
    """Ask the provider about a message and tell every watch on that payment.

    `urgency` is of one that is old, and `message` of one that this worker answers for until it
    is done with.
    """
    event = arguments.event(event)
    about = (
        engine.watch_registry.payment_of(event)
        if expected is None
        else arguments.payment(expected, "expected")
    )
    if not engine.driver(event.account).confirms(event):
        raise Unsupported(f"{event.account}: no look-up of this release confirms this message")
    arrival = await engine.store.arrive(event, about, partial(_check, engine, event), message)
    known, claims = about or arrival.known, event.claims
    owner = None
    if known is None:
        owner = await engine.store.owner(event.account, event.kind, claims.provider_reference)
        order, kind = owner and owner[1], event.kind
    else:
        order, kind = known.reference or known.provider_reference, known.kind or "collect"
    priority = urgency or await _admitted(engine, event, order and f"{kind} {order}")
    kept = await engine.store.keep_event(event, message) if arrival.kept is None else arrival.kept
    if known is None:
        payment = await _found(engine, event, owner, seconds, priority)
    else:
        if not kept and not event.authenticated and engine.lookup_verb(known) is not None:
            # Beyond those that are kept, a message only makes its order be asked for again.
            event = repeat_event(event, known)
        payment = await _asked(engine, event, known, arrival, seconds, priority)
        await engine.store.keep(payment, "webhook", message=message)
    engine.watch_registry.deliver(payment)
    return payment


def _check(engine: Engine, event: Event, known: Payment | None, owner: OrderOwner | None) -> None:
    """Refuse, before it is kept, a message that names nothing, or another payment than is known.

    `owner` is the order that the journal knows the claimed provider reference of.
    """
    theirs = event.claims.provider_reference
    if event.ping or (theirs is None and (known is None or engine.lookup_verb(known) is None)):
        raise BadWebhook(f"{event.account}: the message names nothing that can be asked for")
    if known is None:
        return
    if known.account != event.account:
        raise UsageError.field("expected", known.account, f"a payment of account {event.account!r}")
    kind = known.kind or "collect"
    check_matches(event, known, engine.store.memory.owner(event.account, kind, theirs) or owner)


async def _found(
    engine: Engine,
    event: Event,
    owner: OrderOwner | None,
    seconds: float | None,
    priority: Priority,
) -> Payment:
    """Look for the payment that a message names; nothing is known of it but perhaps its owner."""
    claims = event.claims
    asked = engine.payment_named(
        event.account, claims.provider_reference, kind=claims.kind, ids=claims.ids
    )
    try:
        payment = await engine.look_up(asked, seconds, priority, event.identity)
    except NotFound:
        engine.unverified.remember_not_found(event)
        raise
    found_as = payment.reference or (owner and owner[1])
    if None not in (event.path_reference, found_as) and found_as != event.path_reference:
        raise Mismatch(
            f"{event.account}: the message came in on another order's path",
            payment=payment,
            fields=("reference",),
        )
    return payment


async def _asked(
    engine: Engine,
    event: Event,
    known: Payment,
    arrival: Arrival,
    seconds: float | None,
    priority: Priority,
) -> Payment:
    """Ask about the payment that a message is about, and give it with what the message proves."""
    claims = event.claims
    reference = known.provider_reference or claims.provider_reference
    asked = msgspec.structs.replace(known, provider_reference=reference)
    # Of one order, what claims the same state asks the same, whatever else it says.
    found = await engine.ask_provider(asked, seconds, priority, claims.status)
    # Of an order whose provider's reference is known, that alone counts.
    lost = known.provider_reference is None
    sent = lost and engine.store.answer_lost(known, claims.provider_reference, arrival)
    return merge(asked, tie_to_order(event, known, found, sent=sent))


async def repeat_event_for(engine: Engine, event: Event, expected: Payment | None) -> Event:
    """Give what stands for all messages about the order of this one, where it can be asked for without them."""
    known = (
        expected or engine.watch_registry.payment_of(event) or await engine.store.payment_of(event)
    )
    return (
        event if known is None or engine.lookup_verb(known) is None else repeat_event(event, known)
    )


async def _admitted(engine: Engine, event: Event, order: str | None) -> Priority:
    """Tell how urgent a message is; what proves nothing may be a flood of forgeries."""
    if event.authenticated:
        return Priority.NOW
    if order is not None:
        await engine.unverified.throttle(event.account, order)
        return Priority.NOW
    await engine.unverified.admit(engine.driver(event.account), event)
    return Priority.HINT


def check_matches(event: Event, known: Payment, owner: OrderOwner | None) -> None:
    """Refuse a message about another payment than the known one, before the provider is asked.

    `owner` is the order that this pool knows the claimed provider reference of. A lost order of one
    kind is not confirmed by a message that says it is of another: both may have one reference.
    """
    claimed, kind = event.claims.provider_reference, known.kind or "collect"
    if event.path_reference is not None and (event.path_reference, event.kind) != (
        known.reference,
        kind,
    ):
        raise Mismatch(
            f"{event.account}: the message came in on another order's path",
            payment=event.claims,
            expected=known,
            fields=("reference",),
        )
    shared = known.ids.keys() & event.claims.ids.keys()
    other = (
        (claimed and known.provider_reference not in (None, claimed))
        or (known.reference is not None and owner not in (None, (kind, known.reference)))
        or (known.provider_reference is None and event.claims.kind not in (None, kind))
    )
    if other or len(known.ids.items() & event.claims.ids.items()) != len(shared):
        raise Mismatch(
            f"{event.account}: the message is about another payment",
            payment=event.claims,
            expected=known,
            fields=("provider_reference",),
        )


def tie_to_order(event: Event, known: Payment, found: Payment, *, sent: bool) -> Payment:
    """Give what the provider found, with what only the message knows, or Mismatch where nothing ties the two.

    The provider's id that we hold ties them, or our reference in the provider's answer, or the
    order's own secret callback path, if we know that its answer was lost (`sent`): otherwise a real
    but cheaper payment would do. A receipt stays a claim in `ids` unless the path or the body
    proves it, and the payment is one that succeeded.
    """
    path = event.path_reference is not None and event.path_reference == known.reference
    proved = event.trust is Trust.BODY or (path and (sent or known.provider_reference is not None))
    if (
        known.provider_reference is None
        and None in (known.reference, found.reference)
        and not proved
    ):
        raise Mismatch(
            f"{event.account}: nothing ties this payment to the order",
            payment=found,
            expected=known,
            fields=("reference",),
        )
    claims = event.claims
    if known.provider_reference is None and found.reference is None:
        # The path alone ties them: what the message itself says must not contradict the order.
        compare(msgspec.structs.replace(claims, reference=None), known)
    if claims.receipt is None or found.receipt is not None:
        return found
    if proved and found.status is Status.SUCCEEDED:
        return msgspec.structs.replace(
            found, receipt=claims.receipt, paid_at=found.paid_at or claims.paid_at
        )
    return msgspec.structs.replace(found, ids={**found.ids, "claimed_receipt": claims.receipt})
