"""Rate limits of an account."""

from .gate import Gate, Limits, Priority
from .share import Share

__all__ = ["Gate", "Limits", "Priority", "Share"]
