"""Rate limits of an account."""

from .limiter import Limiter, Limits, Priority
from .quota import Quota

__all__ = ["Limiter", "Limits", "Priority", "Quota"]
