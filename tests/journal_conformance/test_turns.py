"""What every journal promises about turns: one caller, a higher fence for each later one."""

import asyncio
from typing import Any

from .orders import order


async def test_one_caller_has_a_turn(worker: Any) -> None:
    """Of eighty callers of two workers one has it; another name or order is another turn."""
    one, two = await worker(), await worker()
    calls = [
        journal.take_turn(order(), "receipt", f"caller-{number}-{name}")
        for number in range(40)
        for name, journal in (("one", one), ("two", two))
    ]
    fences = await asyncio.gather(*calls)
    assert sorted(fences)[-2:] == [0, 1]
    assert await one.take_turn(order(), "another", "a") == 1
    assert await two.take_turn(order(kind="payout"), "receipt", "a") == 1
    assert not await one.turn_done(order(), "receipt")


async def test_a_turn_that_is_given_back_is_anothers(worker: Any) -> None:
    """With a higher fence; the earlier caller can no longer end it."""
    one, two = await worker(), await worker()
    assert await one.take_turn(order(), "receipt", "a") == 1
    assert await one.take_turn(order(), "receipt", "a") == 2  # its end was not stored
    await one.end_turn(order(), "receipt", "a", done=False)
    assert await two.take_turn(order(), "receipt", "b") == 3
    await one.end_turn(order(), "receipt", "a", done=True)
    assert not await one.turn_done(order(), "receipt")
    assert await one.take_turn(order(), "receipt", "a") == 0


async def test_a_turn_that_is_done_is_done_for_ever(worker: Any) -> None:
    """Whatever caller asks, also after its worker has ended."""
    one, two = await worker(), await worker()
    await one.take_turn(order(), "receipt", "a")
    await one.end_turn(order(), "receipt", "a", done=True)
    await one.aclose()
    assert await two.turn_done(order(), "receipt")
    assert await two.take_turn(order(), "receipt", "b") == 0
    await two.end_turn(order(), "receipt", "b", done=False)
    assert await two.turn_done(order(), "receipt")


async def test_the_turn_of_a_worker_that_ended_is_free(worker: Any) -> None:
    """While it lives, no other has it."""
    one, two = await worker(), await worker()
    assert await one.take_turn(order(), "receipt", "a") == 1
    assert await two.take_turn(order(), "receipt", "b") == 0
    await one.aclose()
    assert await two.take_turn(order(), "receipt", "b") == 2
