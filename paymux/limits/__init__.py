"""Rate limits of an account."""

from .limiter import Limiter, Limits
from .quota import Quota
from .turns import Priority

__all__ = ["Limiter", "Limits", "Priority", "Quota"]
