"""What a driver has whose refunds are named by the object in their path."""

from typing import Protocol, runtime_checkable

from ..http import Send
from ..models import Payment


@runtime_checkable
class Repeating(Protocol):
    """A driver whose provider's page says that such a refund is one, however often it is sent.

    Nothing tells what became of it but its own answer, so `recover` and `Notifier` send it again
    until there is one. No other request of money is sent again after its verb has ended.
    """

    def repeats(self, refund: Payment) -> bool:
        """Return whether a pending refund has the id of its path, and was not answered."""
        ...

    async def repeat(self, send: Send, refund: Payment) -> Payment:
        """Send it again; FAILED only if it is certain that no earlier request was taken either."""
        ...
