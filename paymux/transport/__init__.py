"""Carrying a verb's requests: sign, send, judge, repeat where that is safe, and say truthfully how it ended."""

from .call import Call
from .retries import pauses
from .verbs import Transport

__all__ = ["Call", "Transport", "pauses"]
