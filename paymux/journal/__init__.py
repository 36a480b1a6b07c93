"""The durable record of payments, and what a pool without one remembers."""

from .base import KINDS, REMEMBERED, Journal, Key, Owner, Row, State, Word, named
from .local import LocalOutbox
from .outbox import Beat, Member, Open, Outbox, Standing
from .person import refuse
from .records import Records
from .turns import Turn
from .unconfirmed import LARGEST, Entry, Orders, written

__all__ = [
    "KINDS",
    "LARGEST",
    "REMEMBERED",
    "Beat",
    "Entry",
    "Journal",
    "Key",
    "LocalOutbox",
    "Member",
    "Open",
    "Orders",
    "Outbox",
    "Owner",
    "Records",
    "Row",
    "Standing",
    "State",
    "Turn",
    "Word",
    "named",
    "refuse",
    "written",
]
