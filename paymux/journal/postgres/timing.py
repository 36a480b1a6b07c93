"""The times of a worker's life, and the clock that it stops itself by."""

import time

import msgspec

BEAT_SECONDS = 5.0  # seconds between two beats of a worker
SUSPEND_SECONDS = 20.0  # seconds without a confirmed beat after which a worker stops acting
GRACE_SECONDS = 30.0  # seconds that the beat of a worker is unmoved before another takes its turns
ANSWER_SECONDS = 5.0  # seconds that the server may take for an answer, or a connection

_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a worker, in seconds; all workers of a journal have the same."""

    beat: float = BEAT_SECONDS
    suspend: float = SUSPEND_SECONDS
    grace: float = GRACE_SECONDS
    answer: float = ANSWER_SECONDS


def boot_clock() -> float:
    """Return seconds that go on while the machine sleeps, where the system has such a clock."""
    # For a worker's own lapse: https://man7.org/linux/man-pages/man2/clock_gettime.2.html
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
