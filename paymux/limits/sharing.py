"""The stated limits of a pool's accounts, shared with the other workers of its journal."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ..models import log
from .limiter import Limiter
from .places import SharedPlaces

if TYPE_CHECKING:
    from .borrower import Borrower


class SharedLimits:
    """All that a pool borrows of stated limits; accounts without one cost nothing.

    Without `places`, each pool has the stated limits for itself. `rest`: seconds after which no
    request of a dead worker can still reach the provider.
    """

    def __init__(self, places: SharedPlaces | None, rest: float) -> None:
        self._places = places
        self._rest = rest
        self._borrowers: list[Borrower] = []

    def add(self, limiter: Limiter) -> Limiter:
        """Share the stated limits of an account, from before its first request."""
        if self._places is not None:
            borrowers = limiter.share(self._places, self._rest)
            if borrowers and not self._borrowers:
                self._places.listen(self)
            self._borrowers += borrowers
        return limiter

    async def ready(self) -> None:
        """Have the first places before the first request, if the journal can be used."""
        await asyncio.gather(*(one.ready() for one in self._borrowers))

    async def end(self) -> None:
        """Give all places back, once no request is in flight any more."""
        now = asyncio.get_running_loop().time()
        for one in self._borrowers:
            try:
                await one.end(now)
            except Exception as error:  # noqa: BLE001 - others find that this worker has ended
                log.info("the places of a limit are not given back: %s", error)

    def forget(self) -> None:
        """Hold nothing, in a forked child: the places are the parent's."""
        for one in self._borrowers:
            one.forget()

    # Called in any thread.

    def suspend(self) -> None:
        """Use no places from now on, because others may take this worker for dead."""
        for one in self._borrowers:
            one.suspend()

    def resume(self) -> None:
        """Use those places again that are still this worker's."""
        for one in self._borrowers:
            if (loop := one.loop) is not None:
                with contextlib.suppress(RuntimeError):  # it is closed
                    loop.call_soon_threadsafe(one.resume)
