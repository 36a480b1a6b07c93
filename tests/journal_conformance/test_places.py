"""The places of a stated limit: each is lent to one holder at a time, on every engine."""

from typing import Any

from paymux.limits import Need

from .conftest import Engine


def need(holder: str, number: int, held: int, wanted: int, spare: int = 0) -> Need:
    """Return what a holder asks for, of ten places."""
    return Need("toy", "look-up", holder, number, 10, held, wanted, spare, rest=0.0)


async def test_what_one_holder_has_no_other_is_lent(worker: Any) -> None:
    """The first gets what it wants; the second the rest, and hears later that it has a share."""
    one, two = await worker(), await worker()
    first = await one.places.ask(need("a", 1, 0, 8))
    second = await two.places.ask(need("b", 1, 0, 8))
    assert first is not None
    assert second is not None
    assert (first.held, second.held, second.goal) == (8, 2, 5)
    again = await one.places.ask(need("a", 2, 8, 8))
    assert again is not None
    assert (again.held, again.goal, again.others_lack) == (8, 5, True)
    await one.places.ask(need("a", 3, 5, 8))
    second = await two.places.ask(need("b", 2, 2, 8))
    assert second is not None
    assert second.held == 5


async def test_a_request_that_comes_late_changes_nothing(worker: Any, engine: Engine) -> None:
    """One that was sent before another of the same holder is void."""
    journal = await worker()
    await journal.places.ask(need("a", 2, 0, 8))
    assert await journal.places.ask(need("a", 1, 0, 1)) is None
    assert engine.query("SELECT held FROM places") == [(8,)]


async def test_what_ended_is_lent_once_it_has_rested(worker: Any, engine: Engine) -> None:
    """An orderly end frees what was clean at once, and the rest when its seconds are over."""
    journal = await worker()
    await journal.places.ask(need("a", 1, 0, 10))
    await journal.places.end(need("a", 2, 4, 0)._replace(rest=3600.0))
    lent = await journal.places.ask(need("b", 1, 0, 10))
    assert lent is not None
    assert lent.held == 6
    assert 3500 < lent.free_in <= 3600
    await journal.places.end(need("b", 2, 0, 0))
    assert engine.query("SELECT holder, held FROM places") == [("a", 4)]
