"""How notifiers tell by their rows that they go on, on one machine or on several."""

import time
from typing import Protocol


class Beats(Protocol):
    """What a notifier's row says of its heartbeats, and how old the last one is."""

    def next(self, worker: str, last: float | None, now: float) -> float:
        """Return what the row of this worker says from now on; `last`: what it said."""
        ...

    def age(self, worker: str, beat: float, now: float) -> float:
        """Return how many seconds ago a worker's last heartbeat was; below 0: it is not known."""
        ...

    def moment(self, now: float) -> float:
        """Return a time that is to be compared later, maybe in another process."""
        ...


class MachineBeats:
    """On one machine: its monotonic seconds, which no setting of a clock changes."""

    def next(self, worker: str, last: float | None, now: float) -> float:
        """Return the time."""
        return now

    def age(self, worker: str, beat: float, now: float) -> float:
        """Return the seconds between two times."""
        return now - beat

    def moment(self, now: float) -> float:
        """Return the time."""
        return now


class CountedBeats:
    """On several machines, none of whose clocks is compared with another's.

    The row counts its heartbeats. What has moved is as old as the moment at which this process saw
    it move; what it sees for the first time may be as fresh as that.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}

    def next(self, worker: str, last: float | None, now: float) -> float:
        """Count one more."""
        beat = (last or 0.0) + 1
        self._seen[worker] = (beat, now)
        return beat

    def age(self, worker: str, beat: float, now: float) -> float:
        """Return how long ago this process saw it move."""
        seen = self._seen.get(worker)
        if seen is None or seen[0] != beat:
            self._seen[worker] = seen = (beat, now)
        # A loop's time may lie a little behind the monotonic clock.
        return max(now - seen[1], 0.0)

    def moment(self, now: float) -> float:
        """Return the wall clock's time: for what is said within minutes or days."""
        return time.time()
