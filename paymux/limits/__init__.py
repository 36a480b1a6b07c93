"""Rate limits of an account."""

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
