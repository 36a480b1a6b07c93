"""The command line."""

from .main import commands

__all__ = ["commands"]
