"""Verifying thousands of payments at once."""

from .bulk import Bulk
from .intake import A, Verified
from .meter import Progress

__all__ = ["A", "Bulk", "Progress", "Verified"]
