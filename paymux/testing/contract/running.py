"""Running the contract's tests: in virtual time, without a socket and without an async plugin."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..clock import virtual_time

P = ParamSpec("P")
S = TypeVar("S")


async def _clean(test: Coroutine[Any, Any, None]) -> None:
    """Run a test; a task or an uncaught error that it leaves behind fails it."""
    stray: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: stray.append(str(context)))
    async with virtual_time():
        await test
        for _ in range(5):
            await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"left behind: {left}"
    assert not stray, stray


def in_virtual_time(
    test: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], None]:
    """Run an async test in virtual time; a task or an error that it leaves behind fails it."""

    @functools.wraps(test)
    def wrapper(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        # A program may have set uvloop's loops, whose clock cannot be moved.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_clean(test(self, *args, **kwargs)))

    return wrapper
