"""The ticket of one waiting watch: when its poll is due, and how far it has come."""

import asyncio
from enum import IntEnum

from .schedule import LookupKey

FINAL_LOOKUP_SECONDS = 5.0  # seconds that the last look-up may wait or take beyond the time-out
NEVER = float("inf")


class Stage(IntEnum):
    """The state of a ticket."""

    WAITING = 0
    READY = 1  # due
    DUPLICATE = 2  # due, while another watch polls the same payment
    GRANTED = 3  # its waiter may poll, until it leaves
    GONE = 4


class Ticket(asyncio.Future[bool | None]):
    """A waiter's ticket. True: poll. False: there is news. None: the time is up.

    A waiter that polls keeps its ticket until it leaves. The ticket is the awaited future itself,
    because thousands exist at once.
    """

    __slots__ = ("deadline", "due_at", "entry_at", "interval", "key", "rank", "stage")

    def __init__(
        self, key: LookupKey, due_at: float, interval: float, deadline: float, rank: float
    ) -> None:
        super().__init__()
        self.key = key
        self.due_at = due_at  # time of the poll; NEVER: this payment cannot be polled
        # seconds between its polls at this age; a short gap has a high weight
        self.interval = interval
        self.deadline = deadline  # when its waiter's time is up, except for a last poll
        self.rank = rank  # its rank among the ready; before, the rank of its last poll
        self.entry_at = NEVER  # the time of its valid entry in the calendar
        self.stage = Stage.WAITING

    @property
    def gives_up_at(self) -> float:
        """Return when its waiter stops waiting."""
        return self.deadline if self.due_at == NEVER else self.deadline + FINAL_LOOKUP_SECONDS

    @property
    def is_waiting(self) -> bool:
        """Return whether its waiter has not been woken yet."""
        return self.stage < Stage.GRANTED

    @property
    def weight(self) -> float:
        """Return its weight in the fair queue."""
        return 1 / self.interval

    def __lt__(self, other: "Ticket") -> bool:
        return False  # order does not matter between equal times
