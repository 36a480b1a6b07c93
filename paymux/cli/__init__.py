"""The command line."""

from .main import start

__all__ = ["start"]
