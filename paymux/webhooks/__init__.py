"""The messages of providers, in any web framework."""

from .app import Webhooks

__all__ = ["Webhooks"]
