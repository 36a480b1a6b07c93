"""Telling the shop of each order's end, whoever found it out."""

from .guard import Failed, guarded, log_failure
from .notifier import Notifier
from .telling import LONGEST, Telling
from .unconfirmed import Full, OnUnconfirmed

__all__ = ["LONGEST", "Failed", "Full", "Notifier", "OnUnconfirmed", "Telling", "guarded", "log_failure"]
