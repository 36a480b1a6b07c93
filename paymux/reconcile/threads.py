"""Work that takes long or waits for a disk, outside of the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import UsageError
from .staging import Staging

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(
    staging: Staging | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run work in a thread. A cancelled caller waits until it has ended: it uses the same files.

    UsageError: the disk is full, or the file cannot be written.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if staging is not None:
            staging.interrupt()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # the interruption itself
        raise
    except (sqlite3.Error, OSError) as error:
        accepted = "a folder that exists, with space for both sides"
        place = "" if staging is None or staging.path is None else f"{staging.path}: "
        said = f"out: {place}{error}; accepted: {accepted}"
        raise UsageError(said, name="out", value=place, accepted=accepted) from None
