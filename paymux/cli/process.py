"""Processes that a command started: found by their parents, and ended."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
_PATIENCE = 2.0  # seconds between SIGTERM and SIGKILL


def own_orphans() -> None:
    """Become the parent of each process below us whose own parent has ended.

    So `descendants` finds it: `npm test` starts a shell that starts node. Linux only.
    """
    import ctypes  # noqa: PLC0415 - for this alone

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """Return the processes below one, as /proc tells; without /proc none."""
    found: list[int] = []
    with suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


async def end(pids: list[int]) -> None:
    """End processes, those that do not listen by SIGKILL, and reap what is ours."""
    for number, seconds in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _PATIENCE)):
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while pids and loop.time() < until:
            pids = [pid for pid in pids if _lives(pid)]
            await asyncio.sleep(0.02 if pids else 0)
        if not pids:
            return


def _lives(pid: int) -> bool:
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    return Path(f"/proc/{pid}").exists()
