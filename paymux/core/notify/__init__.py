"""The notifier: reports the end of each order to the application's callbacks."""

from .callbacks import CallbackFailed, log_failure, run_callback
from .dispatcher import CALLBACK_SECONDS, Dispatcher
from .notifier import Notifier
from .unconfirmed import OnUnconfirmed, TooManyUnconfirmed

__all__ = [
    "CALLBACK_SECONDS",
    "CallbackFailed",
    "Dispatcher",
    "Notifier",
    "OnUnconfirmed",
    "TooManyUnconfirmed",
    "log_failure",
    "run_callback",
]
