"""Gathering the operations of one moment in the journal's thread."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from ..work import Work

MAX_BATCH = 512  # operations that are taken at once, at most

# While so many other orders are in flight, a commit waits for their answers, as in PostgreSQL:
# https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-COMMIT-DELAY
COMMIT_SIBLINGS = 5
COMMIT_DELAY_SECONDS = 0.002


def gather(
    queue: "SimpleQueue[Work | None]",
    works: list[Work] | deque[Work],
    timeout: float | None,
    in_flight: Callable[[], int],
) -> bool:
    """Wait for an operation, and take it and what is queued behind it; return whether the end is.

    `in_flight` returns how many orders will write soon.
    """
    with contextlib.suppress(Empty):
        ends = _take(queue, works, queue.get(timeout=timeout))
        if not ends and in_flight() - len(works) >= COMMIT_SIBLINGS:
            time.sleep(COMMIT_DELAY_SECONDS)
            ends = _take(queue, works, queue.get_nowait())
        return ends
    return False


def _take(
    queue: "SimpleQueue[Work | None]", works: list[Work] | deque[Work], work: Work | None
) -> bool:
    with contextlib.suppress(Empty):
        for place in range(MAX_BATCH):
            if place:
                work = queue.get_nowait()
            if work is None:
                return True
            works.append(work)
    return False
