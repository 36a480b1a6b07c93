"""What an account may send, and when."""

from .gate import Gate, Limits, Priority

__all__ = ["Gate", "Limits", "Priority"]
