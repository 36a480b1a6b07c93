"""The durable journal of payments, and what a pool without a journal remembers."""

from .base import KINDS, Arrival, Ended, Journal, Key, Owner, Row, State, Word, named
from .local import LocalOutbox
from .memory import REMEMBERED
from .messages import OpenMessage, again
from .outbox import FEW, Beat, Member, Open, Outbox, Standing
from .person import refuse
from .records import Records
from .turns import Turn
from .unconfirmed import LARGEST, Entry, Orders, written

__all__ = [
    "FEW",
    "KINDS",
    "LARGEST",
    "REMEMBERED",
    "Arrival",
    "Beat",
    "Ended",
    "Entry",
    "Journal",
    "Key",
    "LocalOutbox",
    "Member",
    "Open",
    "OpenMessage",
    "Orders",
    "Outbox",
    "Owner",
    "Records",
    "Row",
    "Standing",
    "State",
    "Turn",
    "Word",
    "again",
    "named",
    "refuse",
    "written",
]
