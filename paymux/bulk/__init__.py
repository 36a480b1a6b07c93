"""Verifying thousands of payments at once."""

from .bulk import Bulk
from .items import ItemT, Verified
from .progress import Progress

__all__ = ["Bulk", "ItemT", "Progress", "Verified"]
