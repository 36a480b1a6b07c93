"""What is to be told and to be watched: what the notifiers of one record share.

An order is untold while its row is terminal and says another status than the one that was told last. That is read
from the row itself, so the fact and "to be told" are one write, whoever made it.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from ..models import Kind, Payment, Status
from .base import Key, Row

FEW = 50  # look-ups in a window that a notifier has a use for, however few orders it watches


class Member(NamedTuple):
    """What a notifier says of itself."""

    accounts: Mapping[str, tuple[int, float] | None]  # those of its pool, with the look-ups that each states
    kinds: tuple[Kind, ...]


class Beat(NamedTuple):
    """What a notifier learns when it says that its loop goes on."""

    late: bool  # it was silent for so long that others may have taken what it watched
    places: Mapping[str, int]  # look-ups that its watches may make in a window, by account that states a limit
    too_many: int  # orders that it watches beyond its part of all


class Open(NamedTuple):
    """An order that this notifier watches from now on."""

    row: Row
    left: bool  # to a person, days ago: it is asked about once more


class Standing(NamedTuple):
    """How far a payment's telling is."""

    status: Status
    told: Status | None


class Outbox(Protocol):
    """What is to be told and to be watched. Each call is durable when it returns; what cannot be is an OSError."""

    async def enter(self, member: Member, now: float) -> Beat:
        """Begin to live, and to own what is claimed from here on."""
        ...

    async def beat(self, member: Member, now: float, held: Mapping[str, int], wanted: Mapping[str, int]) -> Beat:
        """Live on. `now` is the loop's time.

        By account that states a limit, `held` is the most look-ups that a window may have of this notifier, and
        `wanted` how many it has a use for: what it does not take, others have, also if it is killed.
        """
        ...

    async def leave(self, now: float) -> None:
        """End, and let go of all that was claimed."""
        ...

    async def untold(self, kinds: tuple[Kind, ...], count: int, resting: Mapping[Key, Status]) -> list[Payment]:
        """Claim so many payments to tell; not those that rest in the state they are in, after a failure."""
        ...

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim one payment to tell, for one that did not enter."""
        ...

    async def told(self, payment: Payment) -> None:
        """Say that this state of a claimed payment was told, and let go of it."""
        ...

    async def untell(self, payment: Payment) -> None:
        """Let go of a claimed payment that could not be told."""
        ...

    async def standing(self, payment: Payment) -> Standing | None:
        """Tell how far a payment's telling is; None where the record does not have it."""
        ...

    async def open(self, accounts: Collection[str], count: int) -> list[Open]:
        """Claim so many open orders that no living notifier watches."""
        ...

    async def take(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent; give those that it has now."""
        ...

    async def watched(self, accounts: Collection[str]) -> set[Key]:
        """Give what this notifier still has."""
        ...

    async def let_go(self, payments: list[Payment]) -> None:
        """Leave claimed orders to other notifiers."""
        ...

    async def leave_to_person(self, payment: Payment) -> bool:
        """Note that an order is left to a person; False where it has ended, or that was noted already."""
        ...
