"""The tasks of one bulk verification, and their end."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Tasks of one event loop that end together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Cancel all tasks but the one that calls this."""
        for task in self._tasks - {asyncio.current_task(self._loop)}:
            task.cancel()

    async def ended(self) -> None:
        """Wait until all have ended, but the one that calls this; also while it is cancelled."""
        mine = self._tasks - {asyncio.current_task()}
        cancelled: asyncio.CancelledError | None = None
        while mine:
            try:
                _, mine = await asyncio.wait(mine)
            except asyncio.CancelledError as error:
                # anyio cancels again in each step of the event loop, until its scope is left.
                cancelled, mine = error, {task for task in mine if not task.done()}
        if cancelled is not None:
            raise cancelled
