"""Watching payments until they are over."""

from .watch import Watch
from .watches import Watches

__all__ = ["Watch", "Watches"]
