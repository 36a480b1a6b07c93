"""What is kept of a message, and what stands for many about one order."""

from operator import attrgetter

import msgspec

from ..models import Event, Payment, Status

MAX_CHARS = 256  # characters of what is kept of a message, in each of its fields
MAX_IDS = 8  # of the provider's other ids

# What a message is confirmed by, and what only it knows.
_SAID = (
    "account", "provider", "kind", "live", "reference", "provider_reference", "status",
    "amount", "currency", "payer", "payee", "receipt", "paid_at", "provider_status",
)  # fmt: skip
_said = attrgetter(*_SAID)


class OpenMessage(msgspec.Struct, eq=False):
    """A message that this worker answers for until it ends it, or dies."""

    event: Event
    open: bool = False  # whether the journal has it, and as this worker's
    told: Status | None = None  # the end of its payment, where that had been told before


def trimmed(event: Event) -> Event:
    """Give a message without what confirms nothing, and without what is too long to be an id."""
    claims = event.claims
    named = zip(_SAID, _said(claims), strict=True)
    said = {name: value for name, value in named if len(str(value)) <= MAX_CHARS}
    ids = [(name, id) for name, id in claims.ids.items() if len(name) + len(id) <= MAX_CHARS][
        :MAX_IDS
    ]
    return msgspec.structs.replace(
        event, claims=Payment(**{"account": event.account, **said}, ids=dict(ids))
    )


def repeat_event(event: Event, known: Payment) -> Event:
    """Give what stands for any number of messages about one order.

    That it is to be asked for again.
    """
    theirs = known.provider_reference if known.reference is None else None
    claims = Payment(
        account=event.account,
        kind=known.kind,
        reference=known.reference,
        provider_reference=theirs,
        status=Status.SUCCEEDED,  # as if it had ended: one that has not is asked for a while
    )
    return Event(account=event.account, provider=event.provider, claims=claims)


def is_repeat_event(event: Event) -> bool:
    """Tell whether a message is such a one."""
    return event == repeat_event(event, event.claims)
