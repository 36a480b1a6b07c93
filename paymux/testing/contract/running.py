"""Running the contract's tests: in virtual time, without a socket and without an async plugin."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import phonenumbers.carrier  # noqa: F401 - otherwise loaded in a thread, which this clock does not see

P = ParamSpec("P")
S = TypeVar("S")


class _Leaping(selectors.SelectSelector):
    """Instead of waiting, moves the clock; a wait without end is a deadlock, and fails."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("nothing is left to happen: a deadlock")
        if not ready and timeout:
            # A nanosecond late, as real clocks are: never a rounding error early.
            self.now += timeout + 1e-9
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; uncaught errors are kept in `stray`."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        self.stray: list[str] = []
        super().__init__(self._leaping)
        self.set_exception_handler(lambda _, context: self.stray.append(str(context)))

    def time(self) -> float:
        return self._leaping.now


async def _clean(test: Coroutine[Any, Any, None]) -> None:
    """Run a test; a task that it leaves behind fails it."""
    await test
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"left behind: {left}"


def in_virtual_time(
    test: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Run an async test in virtual time; a task or an error that it leaves behind fails it."""

    @functools.wraps(test)
    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        loop = _VirtualLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_clean(test(self, *args, **kwargs)))
        assert not loop.stray, loop.stray

    return wrapper
