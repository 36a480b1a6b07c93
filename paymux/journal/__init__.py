"""The durable record of payments, and what a pool without one remembers."""

from .base import REMEMBERED, Journal, Row, State
from .records import Records
from .turns import Turn

__all__ = ["REMEMBERED", "Journal", "Records", "Row", "State", "Turn"]
