"""The durable journal of payments, and what a pool without a journal remembers."""

from .base import (
    KINDS,
    Arrival,
    Ended,
    Journal,
    OrderKey,
    OrderOwner,
    Resolution,
    Row,
    State,
    order_key,
)
from .local_outbox import LocalOutbox
from .once import Turn
from .order_memory import MAX_ORDERS
from .outbox import MIN_LOOKUPS, Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder, Outbox
from .resolutions import check_resolvable
from .store import Store
from .stored_events import OpenMessage, repeat_event
from .unconfirmed import MAX_EVENT_BYTES, CandidateOrders, Entry, encoded_event

__all__ = [
    "KINDS",
    "MAX_EVENT_BYTES",
    "MAX_ORDERS",
    "MIN_LOOKUPS",
    "Arrival",
    "CandidateOrders",
    "Ended",
    "Entry",
    "Heartbeat",
    "Journal",
    "LocalOutbox",
    "NotifiedStatus",
    "NotifierInfo",
    "OpenMessage",
    "OpenOrder",
    "OrderKey",
    "OrderOwner",
    "Outbox",
    "Resolution",
    "Row",
    "State",
    "Store",
    "Turn",
    "check_resolvable",
    "encoded_event",
    "order_key",
    "repeat_event",
]
