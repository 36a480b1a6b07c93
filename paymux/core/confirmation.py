"""Confirming a message: what ties it to an order, so that it never confirms another order."""

from collections.abc import Iterable
from functools import partial

import msgspec

from ..errors import BadWebhook, Mismatch, NoAnswer, NotFound, Unavailable, Unsupported, UsageError
from ..journal import Arrival, OpenMessage, OrderOwner, repeat_event
from ..limits import Priority
from ..models import Event, Payment, Reason, Status, Trust, compare, merge
from ..values.payment_arguments import checked_event, checked_payment
from .engine import Engine
from .finding import payment_named

_VAGUE = (None, Reason.DECLINED, Reason.OTHER)  # reasons that name no cause


async def confirm(
    engine: Engine,
    event: Event,
    expected: Payment | None,
    seconds: float | None,
    urgency: Priority | None = None,
) -> Payment:
    """Ask the provider about a message and deliver the result to every watch on that payment.

    `urgency`: the priority of an old message.
    """
    event = checked_event(event)
    if expected is not None:
        expected = checked_payment(expected, "expected")
    if not engine.driver(event.account).confirms(event):
        raise Unsupported(f"{event.account}: no look-up of this release confirms this message")
    return await confirm_received(engine, event, expected, seconds, urgency)


async def confirm_received(
    engine: Engine,
    event: Event,
    expected: Payment | None,
    seconds: float | None = None,
    urgency: Priority | None = None,
    message: OpenMessage | None = None,
) -> Payment:
    """Do what `confirm` does, for a message that a driver has read and that can be confirmed.

    `message`: the entry of a message that this worker handles until it is finished.
    """
    registry, store = engine.watch_registry, engine.store
    about = registry.payment_of(event) if expected is None else expected
    arrival = await store.messages.arrive(event, about, partial(_check, engine, event), message)
    known, claims = about or arrival.known, event.claims
    owner = None
    if known is None:
        owner = await store.owner(event.account, event.kind, claims.provider_reference)
        order, kind = owner and owner[1], event.kind
    else:
        order, kind = known.reference or known.provider_reference, known.kind or "collect"
    priority = urgency or await _admitted(engine, event, order and f"{kind} {order}")
    kept = await store.messages.keep(event, message) if arrival.kept is None else arrival.kept
    if known is None:
        payment = await _found(engine, event, owner, seconds, priority)
    else:
        if not kept and not event.authenticated and engine.lookup_verb(known) is not None:
            # A message that is not kept only causes another look-up of its order.
            event = repeat_event(event, known)
        try:
            payment = await _asked(engine, event, known, arrival, seconds, priority)
        except Unavailable as error:
            # The question may have left: its answer may come, and a message causes one at most.
            # What the message claims is not applied.
            again = message is None or not engine.driver(event.account).pace(known).by_callback
            if again and not isinstance(error, NoAnswer):
                raise
            return known
        await store.keep(payment, "webhook", message=message)
        await engine.transport.heard(payment)
    registry.deliver(payment)
    return payment


def _check(engine: Engine, event: Event, known: Payment | None, owner: OrderOwner | None) -> None:
    """Refuse a message that names no payment, or another one, before it is kept.

    `owner` is the order that, by the journal, has the claimed provider reference.
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
    """Look up the payment that a message names, if nothing but perhaps its owner is known."""
    claims = event.claims
    kind = claims.kind if event.path_reference is None else event.kind
    asked = payment_named(
        engine, event.account, claims.provider_reference, kind=kind, ids=claims.ids
    )
    try:
        payment = await engine.look_up(asked, seconds, priority, event.identity, named=True)
    except NotFound:
        engine.unverified.remember_not_found(event)
        raise
    found_as = owner if payment.reference is None else (payment.kind, payment.reference)
    if event.path_reference is not None and found_as not in (
        None,
        (event.kind, event.path_reference),
    ):
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
    """Look up the payment of a message, and return it with what the message proves."""
    told = engine.drivers[known.account].proof(event, known)
    if told is not None:
        after = merge(known, told)
        askable = engine.lookup_verb(known) is None and engine.lookup_verb(after) is not None
        if after.status is not Status.PENDING or not askable:
            return after
        known = after  # the message named what the order can be asked for by, such as its receipt
    claims = event.claims
    lost = known.provider_reference is None
    named = known.provider_reference or claims.provider_reference
    held = msgspec.structs.replace(known, provider_reference=named)
    # What a message names is good for a question; only what the answer has is kept.
    asked = msgspec.structs.replace(held, ids={**claims.ids, **known.ids}) if lost else held
    # Messages about one order that claim the same status share one look-up.
    proved = not lost or claims.provider_reference is None
    found = await engine.ask_provider(asked, seconds, priority, claims.status, proved=proved)
    # If the provider's reference of the order is known, only that counts.
    sent = lost and engine.store.answer_lost(known, claims.provider_reference, arrival)
    return merge(held, tie_to_order(event, known, found, sent=sent))


def telling(engine: Engine, payment: Payment, events: Iterable[Event]) -> Iterable[Event]:
    """Return the stored messages about a payment that are to be confirmed before it is looked up.

    None, if each would be another question whose answer comes later: the look-up asks the same.
    """
    pace = engine.driver(payment.account).pace(payment)
    return () if pace.by_callback and engine.lookup_verb(payment) is not None else events


async def repeat_event_for(engine: Engine, event: Event, expected: Payment | None) -> Event:
    """Return the event that stands for all messages about an order.

    If the order is unknown, or cannot be looked up without a message, return the message itself.
    """
    known = (
        expected
        or engine.watch_registry.payment_of(event)
        or await engine.store.messages.payment_of(event)
    )
    return (
        event if known is None or engine.lookup_verb(known) is None else repeat_event(event, known)
    )


async def _admitted(engine: Engine, event: Event, order: str | None) -> Priority:
    """Return a message's priority; unauthenticated ones may be forgeries, so they are limited."""
    if event.authenticated:
        return Priority.NOW
    if order is not None:
        await engine.unverified.throttle(event.account, order)
        return Priority.NOW
    await engine.unverified.admit(engine.driver(event.account), event)
    return Priority.HINT


def check_matches(event: Event, known: Payment, owner: OrderOwner | None) -> None:
    """Refuse a message about another payment than the known one, before the provider is asked.

    `owner` is the order that has the claimed provider reference, if this pool knows it. An order
    whose answer was lost is not confirmed by a message of another kind: a collect and a payout may
    have the same reference.
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
    """Return what the provider found, with the message's receipt; Mismatch: nothing ties the two.

    They are tied by the provider's id that we have, by our reference in the provider's answer, or
    by the order's own secret callback path if we know that its answer was lost (`sent`): otherwise
    a message about a real but cheaper payment would confirm the order. A receipt stays a claim in
    `ids` unless the path or the body proves it and the payment succeeded. So does the cause of a
    failure that the look-up proves.
    """
    order = (known.reference, known.kind or "collect")
    path = event.path_reference is not None and (event.path_reference, event.kind) == order
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
    if proved and found.status is claims.status is Status.FAILED and found.reason in _VAGUE:
        # A look-up may know no more than "declined". The cause in the message moves no money.
        cause = {"reason": claims.reason or found.reason, "message": claims.message}
        found = msgspec.structs.replace(found, **cause)
    if known.provider_reference is None and found.reference is None:
        # Only the path ties them: the content of the message must not contradict the order.
        compare(msgspec.structs.replace(claims, reference=None), known)
    if claims.receipt is None or found.receipt is not None:
        return found
    if proved and found.status is Status.SUCCEEDED:
        return msgspec.structs.replace(
            found, receipt=claims.receipt, paid_at=found.paid_at or claims.paid_at
        )
    return msgspec.structs.replace(found, ids={**found.ids, "claimed_receipt": claims.receipt})
