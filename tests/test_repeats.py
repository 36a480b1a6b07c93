"""Money that is sent again within its verb: only as long, and only where, the provider joins it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from paymux import OutcomeUnknown, Payment, Pool, Status, Unavailable, UsageError
from paymux.drivers.base import NotJoining
from paymux.errors import ProviderError
from paymux.http import Request, Response, Send, TransportError, pause, post
from paymux.models import Order

from .toys import Desk, Keyless, Said, Toy, Wire, answer, now, timeless

DAY = 86_400.0
GOOD = answer(id="p1", status="OK")
LOST = answer(503)


class Forgetful(Toy, frozen=True, kw_only=True):
    """A provider that joins repeats for a day, and says if its store is away."""

    async def collect(self, send: Send, order: Order) -> Payment:
        async def limited(request: Any) -> Any:
            return await send(request.joined_for(3600.0))

        return await super().collect(limited, order)

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        if reply.status == 500 and (reply.read(Said) or Said()).error == "away":
            raise NotJoining("the store of keys is away")
        return super().judge(request, reply)


class Waiting(Toy, frozen=True, kw_only=True):
    """A provider of which the driver waits for a page."""

    async def collect(self, send: Send, order: Order) -> Payment:
        found = await super().collect(send, order)
        waits = 0
        while await send(pause(2)):
            waits += 1
        return msgspec.structs.replace(found, message=f"{waits} waits")


async def _collect(driver: Toy, *replies: Response, deadline: float = 30.0) -> Payment:
    async with Pool(driver, connection=Wire(Desk(collect=list(replies)))) as pool:
        return await pool.collect(
            "toy", amount=500, currency="XAF", reference="order-1", deadline=deadline
        )


async def _refused(wire: Wire, deadline: float) -> str:
    async with Pool(Forgetful(), connection=wire, deadline=deadline) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("toy", amount=500, currency="XAF", reference="order-1")
    assert caught.value.payment.reference == "order-1"
    return str(caught.value)


@timeless
async def test_an_unknown_order_is_repeated_while_the_provider_joins_it() -> None:
    """Within the time in which the provider knows its key, an order is sent again."""
    wire = Wire(Desk(collect=[LOST, LOST, GOOD]))
    async with Pool(Forgetful(), connection=wire) as pool:
        paid = await pool.collect("toy", amount=500, currency="XAF", reference="order-1")
    assert paid.status is Status.SUCCEEDED
    assert len(wire.paths("/collect")) == 3


@timeless
async def test_a_pause_does_not_outlast_the_providers_memory() -> None:
    """After the time in which the provider joins repeats, none is sent, however long a verb has."""
    wire = Wire(Desk(collect=[answer(503, {"retry-after": "3700"}), GOOD]))
    said = await _refused(wire, DAY)
    assert "too long ago" in said
    assert len(wire.paths("/collect")) == 1


@pytest.mark.parametrize("moved", [2 * DAY, -2 * DAY], ids=["suspended", "set back"])
@timeless
async def test_a_machine_that_slept_sends_nothing_again(
    monkeypatch: pytest.MonkeyPatch, moved: float
) -> None:
    """A suspended machine's loop knows of no time that passed; the wall clock does."""
    wire, real = Wire(Desk(collect=[LOST, GOOD])), time.time
    asleep = [0.0]

    async def sleeps() -> None:
        while not wire.paths("/collect"):
            await asyncio.sleep(0)
        asleep[0] = moved

    with monkeypatch.context() as clock:
        clock.setattr(time, "time", lambda: real() + asleep[0])
        sleeping = asyncio.create_task(sleeps())
        assert "too long ago" in await _refused(wire, 30.0)
        await sleeping
    assert len(wire.paths("/collect")) == 1


@timeless
async def test_what_was_surely_refused_may_be_sent_at_any_time() -> None:
    """The provider did not take the first attempt, so there is nothing that it could pay twice."""
    wire = Wire(Desk(collect=[answer(429, {"retry-after": "3700"}, error="slow"), GOOD]))
    async with Pool(Forgetful(), connection=wire, deadline=DAY) as pool:
        paid = await pool.collect("toy", amount=500, currency="XAF", reference="order-1")
    assert paid.status is Status.SUCCEEDED
    assert now() >= 3700


@pytest.mark.parametrize("before", [(), (LOST,)], ids=["first", "after an unknown"])
@timeless
async def test_a_provider_that_joins_nothing_now_is_asked_once(before: tuple[Response]) -> None:
    """Its own word that it recognises no repeat ends the repeats; the outcome is unknown."""
    wire = Wire(Desk(collect=[*before, answer(500, error="away"), GOOD]))
    assert "the store of keys is away" in await _refused(wire, 30.0)
    assert len(wire.paths("/collect")) == len(before) + 1


@pytest.mark.parametrize(
    "make", [post("/x", dict, {}).joined_for, pause], ids=["joined_for", "pause"]
)
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "3", True])
def test_a_time_is_seconds_above_0(make: Callable[[Any], Any], seconds: object) -> None:
    """Anything else is UsageError, before anything is sent."""
    with pytest.raises(UsageError, match="seconds"):
        make(seconds)


@timeless
async def test_a_driver_waits_as_long_as_its_verb_has() -> None:
    """A wait of the driver never reaches the deadline: what is known by then is returned."""
    paid = await _collect(Waiting(), GOOD, deadline=9.0)
    assert (paid.status, paid.message) == (Status.SUCCEEDED, "3 waits")
    assert now() < 9


class Prompts(Keyless, frozen=True, kw_only=True):
    """A toy that prompts a person by a request that moves no money."""

    name = "prompts"

    async def prompt(self, send: Send, *, once: bool) -> Said:
        """Ask for a consent."""
        request = post("/prompt", Said, {}, money=False, matches=lambda said: said.id is not None)
        return await send(request.sent_once() if once else request)


@pytest.mark.parametrize("lost", [LOST, answer(200), answer(429), TransportError("reset")])
@pytest.mark.parametrize(("once", "times"), [(True, 1), (False, 2)])
@timeless
async def test_what_reaches_a_person_is_sent_once(lost: Any, once: bool, times: int) -> None:
    """A look-up is repeated after a lost answer; what was `sent_once` is Unavailable instead."""
    wire = Wire(Desk(prompt=[lost, GOOD]))
    async with Pool(Prompts(), connection=wire) as pool:
        if once:
            with pytest.raises(Unavailable):
                await pool.run("prompts", Prompts.prompt, once=once)
        else:
            assert (await pool.run("prompts", Prompts.prompt, once=once)).id == "p1"
    assert len(wire.paths("/prompt")) == times


@timeless
async def test_what_was_not_sent_may_be_sent_once_more() -> None:
    """A refusal for haste proves that it did not arrive."""
    wire = Wire(Desk(prompt=[answer(429, error="slow"), GOOD]))
    async with Pool(Prompts(), connection=wire) as pool:
        assert (await pool.run("prompts", Prompts.prompt, once=True)).id == "p1"
    assert len(wire.paths("/prompt")) == 2
