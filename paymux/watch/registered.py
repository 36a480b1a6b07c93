"""A watch as the registry of its pool sees it, and what it says of its look-ups."""

from typing import NamedTuple, Protocol, TypeAlias
from weakref import ref

from ..errors import PaymuxError
from ..models import Payment

LookupResult: TypeAlias = Payment | PaymuxError


class PollState(NamedTuple):
    """The look-ups of a payment so far, the next one, and its rank in the poll queue."""

    asked: float
    looked: int
    due: float
    not_before: float
    rank: float


class RegisteredWatch(Protocol):
    """A watch, as its pool sees it."""

    payment: Payment
    ref: "WatchRef"

    def deliver(self, found: Payment) -> None:
        """Deliver what a confirmed event found."""

    def look_soon(self) -> None:
        """Look up again soon."""

    def wake(self) -> None:
        """Check for news, or for a closed pool."""

    def on_result(self, said: LookupResult | None, poll_state: PollState) -> None:
        """Take the result of another watch's look-up of the same payment."""

    def take_over(self, now: float) -> None:
        """Look up at once."""

    def renew(self) -> None:
        """Look up if its account can be asked since its driver was replaced."""


WatchRef: TypeAlias = ref[RegisteredWatch]
