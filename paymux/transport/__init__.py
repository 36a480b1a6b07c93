"""Carrying a verb's requests.

Sign, send, judge, repeat where that is safe, and say truthfully how it ended.
"""

from .call import Call
from .retries import backoff_pauses
from .transport import Transport

__all__ = ["Call", "Transport", "backoff_pauses"]
