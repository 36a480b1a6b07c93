"""Rate limits of an account.

An account's requests are sent as fast as its provider allows and no faster: money first, then
look-ups that a caller waits for, then watches, then bulk. At most a hundred payments and a hundred
look-ups of an account are in flight, so that many callers do not exhaust the process's sockets;
other requests wait for a slot. A "too many requests" reduces the account's rate at once, and the
rate recovers slowly. `pay.limits("campay")` returns the stated limits, the learned rate, and the
seconds of a Retry-After; `pay.lag("campay")` returns how many seconds the look-ups of watches are
late.
"""

from .limiter import Limiter
from .places import (
    Lent,
    Need,
    PlacesListener,
    RequestKind,
    SharedPlaces,
    abandoned,
    fair_shares,
)
from .sharing import SharedLimits
from .state import Limits
from .turns import Priority

__all__ = [
    "Lent",
    "Limiter",
    "Limits",
    "Need",
    "PlacesListener",
    "Priority",
    "RequestKind",
    "SharedLimits",
    "SharedPlaces",
    "abandoned",
    "fair_shares",
]
