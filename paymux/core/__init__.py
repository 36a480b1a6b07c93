"""The core that every verb of a pool uses: orders, engine, confirmation, recovery.

Each name loads its module at its first use.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = [
    "ANSWERS",
    "AccountVerbs",
    "CallbackUrls",
    "Engine",
    "Health",
    "Internals",
    "JournalVerbs",
    "OrderOptions",
    "Recovered",
    "Route",
    "apply_late",
    "asked_for",
    "by_account",
    "checked_order",
    "checked_refund",
    "checked_use",
    "confirm",
    "confirm_received",
    "from_environment",
    "from_mapping",
    "is_driver_method",
    "move_money",
    "observe",
    "pages",
    "payment_named",
    "read_event",
    "repeat_event_for",
    "watch",
]

if TYPE_CHECKING:
    from .account_verbs import AccountVerbs
    from .accounts import by_account, is_driver_method
    from .callback_urls import ANSWERS, CallbackUrls, Route, checked_use, read_event
    from .config import from_environment, from_mapping
    from .confirmation import confirm, confirm_received, repeat_event_for
    from .engine import Engine
    from .finding import asked_for, payment_named
    from .health import Health
    from .history import pages
    from .internals import Internals
    from .journal_verbs import JournalVerbs
    from .late_answers import apply_late
    from .money import move_money
    from .observing import observe
    from .orders import OrderOptions, checked_order, checked_refund
    from .recovery import Recovered
    from .watching import watch
else:
    __getattr__ = loader(
        __name__,
        {
            "account_verbs": ("AccountVerbs",),
            "accounts": ("by_account", "is_driver_method"),
            "callback_urls": ("ANSWERS", "CallbackUrls", "Route", "checked_use", "read_event"),
            "config": ("from_environment", "from_mapping"),
            "confirmation": ("confirm", "confirm_received", "repeat_event_for"),
            "engine": ("Engine",),
            "finding": ("asked_for", "payment_named"),
            "health": ("Health",),
            "history": ("pages",),
            "internals": ("Internals",),
            "journal_verbs": ("JournalVerbs",),
            "late_answers": ("apply_late",),
            "money": ("move_money",),
            "observing": ("observe",),
            "orders": ("OrderOptions", "checked_order", "checked_refund"),
            "recovery": ("Recovered",),
            "watching": ("watch",),
        },
    )
