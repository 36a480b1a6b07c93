"""The core that every verb of a pool uses: orders, engine, confirmation, recovery.

Each name loads its module at its first use.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = [
    "ANSWERS",
    "AccountVerbs",
    "CallbackUrls",
    "Config",
    "Engine",
    "Health",
    "Internals",
    "JournalVerbs",
    "LookupVerbs",
    "OrderOptions",
    "Recovered",
    "Route",
    "WebhookVerbs",
    "apply_late",
    "by_account",
    "checked_account",
    "checked_order",
    "checked_refund",
    "config_file",
    "confirm_received",
    "from_environment",
    "from_mapping",
    "from_place",
    "is_driver_method",
    "move_money",
    "named_accounts",
    "named_journal",
    "observe",
    "options_of",
    "payment_named",
    "read_file",
    "repeat_event_for",
    "shown_settings",
    "usual_places",
]

if TYPE_CHECKING:
    from .account_verbs import AccountVerbs
    from .accounts import by_account, is_driver_method
    from .callback_urls import ANSWERS, CallbackUrls, Route
    from .config import (
        Config,
        checked_account,
        config_file,
        from_environment,
        from_mapping,
        from_place,
        named_accounts,
        named_journal,
        read_file,
        shown_settings,
        usual_places,
    )
    from .confirmation import confirm_received, repeat_event_for
    from .engine import Engine
    from .finding import payment_named
    from .health import Health
    from .internals import Internals
    from .journal_verbs import JournalVerbs
    from .late_answers import apply_late
    from .lookup_verbs import LookupVerbs
    from .money import move_money
    from .observing import observe
    from .orders import OrderOptions, checked_order, checked_refund, options_of
    from .recovery import Recovered
    from .webhook_verbs import WebhookVerbs
else:
    __getattr__ = loader(
        __name__,
        {
            "account_verbs": ("AccountVerbs",),
            "accounts": ("by_account", "is_driver_method"),
            "callback_urls": ("ANSWERS", "CallbackUrls", "Route"),
            "config": (
                "Config",
                "checked_account",
                "config_file",
                "from_environment",
                "from_mapping",
                "from_place",
                "named_accounts",
                "named_journal",
                "read_file",
                "shown_settings",
                "usual_places",
            ),
            "confirmation": ("confirm_received", "repeat_event_for"),
            "engine": ("Engine",),
            "finding": ("payment_named",),
            "health": ("Health",),
            "internals": ("Internals",),
            "journal_verbs": ("JournalVerbs",),
            "late_answers": ("apply_late",),
            "lookup_verbs": ("LookupVerbs",),
            "money": ("move_money",),
            "observing": ("observe",),
            "orders": ("OrderOptions", "checked_order", "checked_refund", "options_of"),
            "recovery": ("Recovered",),
            "webhook_verbs": ("WebhookVerbs",),
        },
    )
