"""The requests of a verb: sign, send, judge, retry if that is safe, and report the outcome."""

from .call import PROOF, Call
from .outcome import Means, decide
from .retries import backoff_pauses
from .transport import Transport, lost_page

__all__ = ["PROOF", "Call", "Means", "Transport", "backoff_pauses", "decide", "lost_page"]
