"""The notifier: reports the end of each order to the application's callbacks."""

from .guard import Failed, guarded, log_failure
from .notifier import Notifier
from .telling import LONGEST, Telling
from .unconfirmed import Full, OnUnconfirmed

__all__ = ["LONGEST", "Failed", "Full", "Notifier", "OnUnconfirmed", "Telling", "guarded", "log_failure"]
