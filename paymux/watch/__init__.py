"""Watching payments until they are terminal."""

from .keys import lookup_key, registry_keys, reuse_equal_values
from .poll_queue import MIN_REPEAT_SECONDS, PollQueue
from .registered import LookupResult, PollState, WatchRef
from .registry import WatchRegistry
from .schedule import Schedule
from .ticket import NEVER, Ticket
from .watch import Watch

__all__ = [
    "MIN_REPEAT_SECONDS",
    "NEVER",
    "LookupResult",
    "PollQueue",
    "PollState",
    "Schedule",
    "Ticket",
    "Watch",
    "WatchRef",
    "WatchRegistry",
    "lookup_key",
    "registry_keys",
    "reuse_equal_values",
]
