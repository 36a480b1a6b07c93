"""Watching payments until they are terminal."""

from .polls import AGAIN, NEVER, Line, Place
from .watch import Watch
from .watches import Looks, News, Ref, Watches, keys, lean, subject

__all__ = [
    "AGAIN",
    "NEVER",
    "Line",
    "Looks",
    "News",
    "Place",
    "Ref",
    "Watch",
    "Watches",
    "keys",
    "lean",
    "subject",
]
