"""Verifying thousands of payments: iterate over the results, or await a list of them."""

import asyncio
import warnings
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Mapping
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Self

import msgspec

from ..errors import UsageError
from ..values.arguments import whole
from ..values.validation import checked_function
from .items import ItemT, Verified
from .progress import Progress
from .run import BulkRun

if TYPE_CHECKING:
    from ..pool import Pool


class Bulk(Generic[ItemT]):
    """Verifies many payments: iterate for each result as it comes, or await a list in input order.

    Items are Payments or pairs of an account and a provider reference, of any accounts. An error of
    one item is stored in its result. At most `at_once` look-ups are in flight or have a result that
    was not taken. Use `async with` if you may leave before the end; otherwise a cancellation while
    it is awaited ends it. An error of your iterator or of `progress` ends it, and is raised after
    the results that are there have been taken. An async generator of items is closed at the end.
    """

    _run: BulkRun[ItemT] | None = None
    _over = True  # until it can begin: a refused call must not warn

    def __init__(
        self,
        pool: "Pool",
        items: Iterable[ItemT] | AsyncIterable[ItemT],
        at_once: int = 50,
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        at_once = whole("at_once", at_once, 1, 1000)
        kind = type(items)
        if issubclass(kind, str | bytes | Mapping | msgspec.Struct) or not issubclass(
            kind, Iterable | AsyncIterable
        ):
            raise UsageError.field(
                "items", items, "an iterable of Payments or (account, provider_reference) pairs"
            )
        if progress is not None:
            checked_function("progress", progress, "one Progress", wait=False)
        self._begin = partial(BulkRun, pool.internals.engine, items, at_once, progress)
        self._over = self._entered = self._busy = False

    def __del__(self) -> None:
        if self._run is None:
            if not self._over:
                warnings.warn(
                    "a verify_many was never awaited or iterated", RuntimeWarning, stacklevel=2
                )
        elif not self._run.over and not self._run.finished:
            warnings.warn(
                "a verify_many was dropped half-way: use `async with`",
                ResourceWarning,
                stacklevel=2,
            )
            self._run.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Verified[ItemT]:
        if self._busy:
            raise UsageError("verify_many: two tasks iterate one; give each its own")
        self._busy = True
        try:
            return await (self._run or self._started()).step()
        except asyncio.CancelledError:
            if not self._entered:
                await self.aclose()
            raise
        finally:
            self._busy = False

    def __await__(self) -> Generator[None, None, list[Verified[ItemT]]]:
        return self._all().__await__()

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel every look-up in flight; further iteration ends at once.

        It raises nothing, and a second call is harmless.
        """
        self._over = True
        if self._run is not None and not self._run.closed:
            await self._run.aclose()

    def _started(self) -> BulkRun[ItemT]:
        if self._over:
            raise StopAsyncIteration
        self._over = True  # also if it cannot begin
        self._run = self._begin()
        self._run.begin()
        return self._run

    async def _all(self) -> list[Verified[ItemT]]:
        if self._over:
            raise UsageError("verify_many: it was begun or ended already; make a new one")
        try:
            found = [item async for item in self]
        finally:
            await self.aclose()
        found.sort(key=attrgetter("index"))
        return found
