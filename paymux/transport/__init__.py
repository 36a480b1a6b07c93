"""The requests of a verb: sign, send, judge, retry if that is safe, and report the outcome."""

from .call import Call
from .retries import backoff_pauses
from .transport import Transport

__all__ = ["Call", "Transport", "backoff_pauses"]
