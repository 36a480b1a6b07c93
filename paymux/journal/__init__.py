"""The durable record of payments, and what a pool without one remembers."""

from .base import REMEMBERED, Journal, Owner, Row, State, Word
from .person import refuse
from .records import Records
from .turns import Turn

__all__ = ["REMEMBERED", "Journal", "Owner", "Records", "Row", "State", "Turn", "Word", "refuse"]
