"""The record of payments: its interface, the journal in a file, and the memory of a pool.

Each name loads its module at its first use: a pool without a journal needs few of them.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = [
    "KINDS",
    "MAX_EVENT_BYTES",
    "MAX_ORDERS",
    "Arrival",
    "Asked",
    "CandidateOrders",
    "Credentials",
    "Ended",
    "Entry",
    "Forgotten",
    "Heard",
    "Heartbeat",
    "Journal",
    "JournalHealth",
    "KeptEvent",
    "LocalOutbox",
    "LocalQuestions",
    "NotifiedStatus",
    "NotifierInfo",
    "OpenMessage",
    "OpenOrder",
    "OrderKey",
    "OrderOwner",
    "Outbox",
    "Resolution",
    "Row",
    "SharedToken",
    "SharedTokens",
    "Standing",
    "State",
    "Store",
    "Subject",
    "Subscription",
    "Sweep",
    "Turn",
    "Wakeups",
    "Writer",
    "adopted_reference",
    "check_resolvable",
    "copy_journal",
    "credentials_of",
    "duplicate_reference",
    "encoded_event",
    "journal_at",
    "order_key",
    "repeat_event",
    "subjects_of",
]

if TYPE_CHECKING:
    from .adoptions import Sweep, adopted_reference
    from .base import (
        KINDS,
        Arrival,
        Ended,
        OrderKey,
        OrderOwner,
        Resolution,
        Row,
        State,
        duplicate_reference,
        order_key,
    )
    from .copying import copy_journal
    from .credentials import Credentials, Standing, credentials_of
    from .forget_payer import Forgotten
    from .health import JournalHealth
    from .interface import Journal
    from .local_outbox import LocalOutbox
    from .local_questions import LocalQuestions
    from .once import Turn
    from .order_memory import MAX_ORDERS
    from .outbox import Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder, Outbox
    from .place import journal_at
    from .questions import Asked, Heard
    from .resolutions import check_resolvable
    from .shared_tokens import SharedToken, SharedTokens
    from .store import Store
    from .stored_events import OpenMessage, repeat_event
    from .unconfirmed import MAX_EVENT_BYTES, CandidateOrders, Entry, KeptEvent, encoded_event
    from .wakeups import Subject, Subscription, Wakeups, subjects_of
    from .writer import Writer
else:
    __getattr__ = loader(
        __name__,
        {
            "adoptions": ("Sweep", "adopted_reference"),
            "base": (
                "KINDS",
                "Arrival",
                "Ended",
                "OrderKey",
                "OrderOwner",
                "Resolution",
                "Row",
                "State",
                "duplicate_reference",
                "order_key",
            ),
            "copying": ("copy_journal",),
            "credentials": ("Credentials", "Standing", "credentials_of"),
            "forget_payer": ("Forgotten",),
            "health": ("JournalHealth",),
            "interface": ("Journal",),
            "local_outbox": ("LocalOutbox",),
            "local_questions": ("LocalQuestions",),
            "once": ("Turn",),
            "order_memory": ("MAX_ORDERS",),
            "outbox": (
                "Heartbeat",
                "NotifiedStatus",
                "NotifierInfo",
                "OpenOrder",
                "Outbox",
            ),
            "place": ("journal_at",),
            "questions": ("Asked", "Heard"),
            "resolutions": ("check_resolvable",),
            "shared_tokens": ("SharedToken", "SharedTokens"),
            "store": ("Store",),
            "stored_events": ("OpenMessage", "repeat_event"),
            "unconfirmed": (
                "MAX_EVENT_BYTES",
                "CandidateOrders",
                "Entry",
                "KeptEvent",
                "encoded_event",
            ),
            "wakeups": ("Subject", "Subscription", "Wakeups", "subjects_of"),
            "writer": ("Writer",),
        },
    )
