"""How long this process has seen the beat of another worker unmoved."""

import threading
import time
from collections.abc import Callable, Iterable


class ObservedBeats:
    """The present beat of each other worker, and when this process first saw it.

    Only this process's own monotonic clock is read: no clock of another machine is compared with
    it. It counts nothing while the machine sleeps, so that a worker is never thought dead too soon.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._mutex = threading.Lock()  # the journal's thread and the life thread both observe
        self._seen: dict[int, tuple[int, float]] = {}

    def forget(self) -> None:
        """Begin anew: what was seen on a connection that broke proves nothing."""
        with self._mutex:
            self._seen.clear()

    def see(self, beats: Iterable[tuple[int, int]]) -> None:
        """Note the beats of all workers that have not ended; the others are forgotten."""
        with self._mutex:
            self._seen = {worker: self._noted(worker, beat) for worker, beat in beats}

    def unmoved(self, worker: int, beat: int) -> float:
        """Return for how many seconds a worker's present beat has not moved."""
        with self._mutex:
            self._seen[worker] = noted = self._noted(worker, beat)
        return self._clock() - noted[1]

    def _noted(self, worker: int, beat: int) -> tuple[int, float]:
        seen = self._seen.get(worker)
        return seen if seen is not None and seen[0] == beat else (beat, self._clock())
