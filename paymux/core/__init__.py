"""The core that every verb of a pool uses: orders, engine, confirmation, recovery."""

from .accounts import by_account, is_driver_method
from .callback_urls import CallbackUrls, read_event
from .confirmation import confirm, confirm_received, repeat_event_for
from .engine import Engine
from .history import pages
from .internals import Internals
from .journal_verbs import JournalVerbs
from .observing import observe
from .orders import OrderOptions, checked_order, checked_refund
from .recovery import Recovered

__all__ = [
    "CallbackUrls",
    "Engine",
    "Internals",
    "JournalVerbs",
    "OrderOptions",
    "Recovered",
    "by_account",
    "checked_order",
    "checked_refund",
    "confirm",
    "confirm_received",
    "is_driver_method",
    "observe",
    "pages",
    "read_event",
    "repeat_event_for",
]
