"""The record of payments: its interface, the journals in a file or a database, and a pool's memory.

What a journal promises is here. In `stored` a journal keeps it by the operations of `tables`, on an
engine: `sqlite` or `postgres`. `memory` is what a pool without a journal has. Each name loads
its module at its first use: a pool without a journal needs few of them.
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
    from .interface import Journal
    from .memory.orders import MAX_ORDERS
    from .memory.outbox import LocalOutbox
    from .memory.questions import LocalQuestions
    from .once import Turn
    from .outbox import Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder, Outbox
    from .place import journal_at
    from .questions import Asked, Heard
    from .resolutions import check_resolvable
    from .shared_tokens import SharedToken, SharedTokens
    from .store import Store
    from .stored.writer import Writer
    from .stored_events import OpenMessage, repeat_event
    from .tables.forget_payer import Forgotten
    from .tables.health import JournalHealth
    from .unconfirmed import MAX_EVENT_BYTES, CandidateOrders, Entry, KeptEvent, encoded_event
    from .wakeups import Subject, Subscription, Wakeups, subjects_of
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
            "interface": ("Journal",),
            "memory.orders": ("MAX_ORDERS",),
            "memory.outbox": ("LocalOutbox",),
            "memory.questions": ("LocalQuestions",),
            "once": ("Turn",),
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
            "stored.writer": ("Writer",),
            "stored_events": ("OpenMessage", "repeat_event"),
            "tables.forget_payer": ("Forgotten",),
            "tables.health": ("JournalHealth",),
            "unconfirmed": (
                "MAX_EVENT_BYTES",
                "CandidateOrders",
                "Entry",
                "KeptEvent",
                "encoded_event",
            ),
            "wakeups": ("Subject", "Subscription", "Wakeups", "subjects_of"),
        },
    )
