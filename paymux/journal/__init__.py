"""The durable record of payments, and what a pool without one remembers."""

from .base import REMEMBERED, Journal, Key, Owner, Row, State, Word, named
from .local import LocalOutbox
from .outbox import Beat, Member, Open, Outbox, Standing
from .person import refuse
from .records import Records
from .turns import Turn

__all__ = [
    "REMEMBERED",
    "Beat",
    "Journal",
    "Key",
    "LocalOutbox",
    "Member",
    "Open",
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
]
