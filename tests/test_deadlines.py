"""Deadlines: whatever `asyncio.timeout_at` does, and one timer for all."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import pytest

from paymux.primitives.deadlines import Deadlines

from .virtual import START, run, timeless

Bound = Callable[[float], AbstractAsyncContextManager[object]]


class Ours:
    """A deadline of ours behind the same door."""

    def __init__(self, all_: Deadlines, when: float) -> None:
        self._deadline = all_.until(when)

    async def __aenter__(self) -> None:
        self._deadline.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self._deadline.__exit__(kind, error, frames)


def story(seed: int, bound: Bound) -> list[list[str]]:
    """Let tasks wait within nested deadlines, fail, swallow a cancellation.

    Tell what each met, and when.
    """
    told: list[list[str]] = [[] for _ in range(5)]

    async def one(name: int) -> None:
        chance = random.Random(f"{seed} {name}")
        loop = asyncio.get_running_loop()

        def tell(what: str) -> None:
            told[name].append(f"{loop.time() - START:.3f} {what}")

        async def within(depth: int) -> None:
            for _ in range(chance.randint(1, 3)):
                try:
                    async with bound(
                        loop.time() + chance.choice([chance.uniform(0, 5), float("inf")])
                    ):
                        await asyncio.sleep(chance.choice([0, chance.uniform(0, 5)]))
                        if depth:
                            await within(depth - 1)
                        if chance.random() < 0.1:
                            raise LookupError
                    tell("done")
                except TimeoutError:
                    tell("late")
                except LookupError:
                    tell("error")
                except asyncio.CancelledError:
                    tell("cancelled")
                    if chance.random() < 0.7:
                        raise

        await within(2)

    async def main() -> None:
        chance = random.Random(seed)
        tasks = [asyncio.create_task(one(name)) for name in range(len(told))]
        for task in tasks:
            await asyncio.sleep(chance.uniform(0, 4))
            if chance.random() < 0.5:
                task.cancel()
        for name, end in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            told[name].append(f"{tasks[name].cancelling()} {type(end).__name__}")

    run(main())
    return told


def test_it_does_what_asyncio_does() -> None:
    """In 400 stories of nested deadlines, cancellations and errors, all is as with
    `asyncio.timeout_at`.
    """
    said: set[str] = set()
    for seed in range(400):
        ours = Deadlines()
        told = story(seed, lambda when: Ours(ours, when))  # noqa: B023 - used up before the next round
        assert told == story(seed, asyncio.timeout_at), seed
        said.update(line.split(" ")[-1] for lines in told for line in lines)
    assert {"done", "late", "error", "cancelled", "CancelledError", "NoneType"} <= said


@timeless
async def test_a_thousand_have_one_timer_and_leave_none() -> None:
    """One timer stands for all, and nothing is left when the last one ends, early or late."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()

    async def one(number: int) -> bool:
        try:
            with deadlines.until(START + 10 + number % 7):
                await asyncio.sleep(number % 13 + 1.5)
        except TimeoutError:
            return True
        return False

    before = len(loop._scheduled)  # type: ignore[attr-defined]
    tasks = [asyncio.create_task(one(number)) for number in range(1000)]
    await asyncio.sleep(0.5)
    live = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert len(live) - before == 1001  # a sleep each, and one more
    late = await asyncio.gather(*tasks)
    assert late == [10 + number % 7 < number % 13 + 1.5 for number in range(1000)]
    assert not [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]


@timeless
async def test_a_deadline_that_has_passed_ends_the_first_wait() -> None:
    """What needs no waiting is done.

    The first wait is TimeoutError, although it would end at once.
    """
    deadlines = Deadlines()
    for when in (START - 5, START, asyncio.get_running_loop().time()):
        with pytest.raises(TimeoutError), deadlines.until(when):
            await asyncio.sleep(0)
    with deadlines.until(START - 5):
        pass


@timeless
async def test_what_ended_is_not_kept() -> None:
    """A hundred thousand verbs that end at once, beside one that does not, leave no trace of
    theirs.
    """
    deadlines = Deadlines()
    with deadlines.until(START + 30):
        for _ in range(100_000):
            with deadlines.until(START + 60):
                pass
        assert len(deadlines._heap) < 100


def test_loops_in_turn_share_it() -> None:
    """What a loop left half-done when it was closed neither ends nor holds up what runs in the
    next.
    """
    deadlines = Deadlines()

    async def hang() -> None:
        with deadlines.until(asyncio.get_running_loop().time() + 1000):
            await asyncio.get_running_loop().create_future()

    left = hang()
    loop = asyncio.new_event_loop()
    task = loop.create_task(left)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def late() -> None:
        left_too_late = deadlines.until(asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(TimeoutError), left_too_late:
            # its block ends here, in the wrong loop
            await asyncio.sleep(5 if left.close() is None else 0)
        assert deadlines._timer is None

    asyncio.run(late())
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_without_a_task_there_is_nothing_to_cancel() -> None:
    """Outside of a task it says so, instead of bounding nothing."""

    def enter() -> None:
        with Deadlines().until(1.0):
            pass

    loop = asyncio.new_event_loop()
    errors: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    loop.call_soon(enter)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert [type(error) for error in errors] == [RuntimeError]
