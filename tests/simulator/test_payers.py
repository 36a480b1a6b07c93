"""What payers do by themselves, and the settings that say it."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from paymux.errors import UsageError
from paymux.models import Kind, Status
from paymux.simulator import Simulator, WaitTimeout
from paymux.simulator.payers import ANSWERS, checked_answer

from .asking import CAMPAY, ask, collect, until

BODY = {"amount": "500", "currency": "XAF", "description": "Wages"}


async def order(sim: Simulator, number: str = "237670000000", kind: Kind = "collect") -> Any:
    """Send one order to CamPay; return its entry."""
    if kind == "collect":
        await ask(sim, "POST", "/campay/api/collect/", collect(number), headers=CAMPAY)
    else:
        body = {**BODY, "to": number, "external_reference": "wages-1"}
        await ask(sim, "POST", "/campay/api/withdraw/", body, headers=CAMPAY)
    return sim.ledger.newest


async def test_a_payer_who_is_asked_has_time() -> None:
    """With "ask" a collection waits for an answer; a payout ends: no payer is asked about it."""
    sim = Simulator(payers="ask", payer_delay=0.0)
    asked, wages = await order(sim), await order(sim, kind="payout")
    await until(lambda: wages.moved)
    assert (asked.status, asked.asks, wages.asks) == (Status.PENDING, True, False)
    assert [step.by for step in wages.history] == ["order", "default"]


async def test_a_payer_may_be_given_seconds() -> None:
    """With `after` one who does not answer pays then; one who answers first has answered."""
    sim = Simulator(payers="ask", after=0.2)
    slow = await order(sim)
    quick = await order(sim)
    sim.answer(quick.id, "decline")
    await until(lambda: slow.moved)
    assert (quick.status, quick.asks, slow.asks) == (Status.FAILED, False, False)


async def test_a_payer_who_ignores_the_prompt_never_pays() -> None:
    """The prompt goes away, and no timer decides; a test still may."""
    sim = Simulator(payers="approve", after=0.1)
    first = await order(sim)
    sim.answer(first.id, "ignore")
    second = await order(sim)
    await until(lambda: second.moved)
    assert (first.status, first.asks) == (Status.PENDING, False)
    sim.settle(first.id, Status.SUCCEEDED)
    assert first.moved


async def test_random_payers_do_everything_and_repeat_themselves() -> None:
    """Most pay; the others fail in each way; the same seed gives the same ones."""

    async def ends(seed: int) -> list[str]:
        sim = Simulator(payers="random", after=0.0, seed=seed)
        for _ in range(100):
            await order(sim)
        await until(lambda: sum(one.status.terminal for one in sim.ledger) > 85)
        return [f"{one.status}/{one.reason}" for one in sim.ledger]

    first = await ends(1)
    assert first == await ends(1) != await ends(2)
    counted = Counter(first)
    assert counted["succeeded/None"] > 40
    assert {"failed/declined", "failed/insufficient_funds", "pending/None"} <= set(counted)


async def test_a_magic_number_keeps_its_meaning() -> None:
    """Whatever payers do by default, it does its own, and is asked meanwhile."""
    sim = Simulator(payers="approve", payer_delay=0.1)
    entry = await order(sim, "237677777771")
    assert entry.asks
    await until(lambda: entry.status.terminal)
    assert entry.reason == "insufficient_funds"
    assert [step.by for step in entry.history] == ["order", "number"]
    silent = await order(sim, "237677777774")
    assert not silent.asks


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"payers": "never"}, "payers"),
        ({"payers": 7}, "payers"),
        ({"after": -1}, "after"),
        ({"after": "soon"}, "after"),
        ({"keep": 0}, "keep"),
    ],
)
def test_what_payers_cannot_do_is_refused(fields: dict[str, Any], name: str) -> None:
    """UsageError, before anything is served."""
    with pytest.raises(UsageError, match=f"^{name}: "):
        Simulator(**fields)


def test_each_setting_can_be_written_as_it_is_read() -> None:
    """What GET shows, PATCH takes: for every provider, its parts included."""
    sim, other = Simulator(payers="ask"), Simulator()
    sim.campay.webhook_url = "http://127.0.0.1:1/"
    sim.mpesa.c2b.twins = "no"
    sim.paydunya.fees += 5
    other.change(**sim.settings())
    assert other.settings() == sim.settings()
    assert other.paydunya.fees == sim.paydunya.fees
    assert other.cinetpay.currencies == sim.cinetpay.currencies
    assert isinstance(other.cinetpay.currencies, set)


def test_all_settings_change_or_none() -> None:
    """One that is refused leaves the others as they were."""
    sim = Simulator()
    before = sim.settings()
    with pytest.raises(
        UsageError, match=r"^campay\.repeated: 'x' is refused; accepted: charge, join"
    ):
        sim.change(latency=0.5, campay={"webhook_url": "http://127.0.0.1:1/", "repeated": "x"})
    assert sim.settings() == before


def test_a_setting_is_changed_in_place() -> None:
    """An attribute, and one of a part, has the type that its provider declares."""
    sim = Simulator()
    sim.change(campay={"cap": 25, "floats": {"MTN": "7", "ORANGE": "8"}}, intram={"fee": "0.02"})
    sim.change(mpesa={"results": {"lost": 1, "texts": None}, "tokens": {"life": None}})
    assert (sim.campay.cap, sim.campay.floats["MTN"] + 1, sim.intram.fee * 100) == (25, 8, 2)
    assert (sim.mpesa.results.lost, sim.mpesa.tokens.life) == (1.0, None)


async def test_every_answer_has_its_own_end() -> None:
    """No two answers are told as the same: a test can ask for each."""
    sim = Simulator()
    ends = set()
    for word in ANSWERS:
        entry = await order(sim)
        sim.answer(entry.id, checked_answer(word))
        ends.add((entry.status, entry.reason))
    assert len(ends) == len(ANSWERS)


async def test_a_test_waits_for_an_order_or_its_end() -> None:
    """It is told as soon as it is so, or that it was not so in time."""
    sim = Simulator(payers="approve", after=0.01)
    with pytest.raises(WaitTimeout, match=r"^no order 'order-1' is there after 0\.01 s$"):
        await sim.wait("order-1", within=0.01)
    waiting = asyncio.ensure_future(sim.wait("order-1", within=5))
    await asyncio.sleep(0)
    entry = await order(sim)
    assert await waiting is entry
    assert (await sim.wait(entry.id, Status.SUCCEEDED, within=5)).moved
    assert not sim.core.observers
    with pytest.raises(WaitTimeout, match="is failed after"):
        await sim.wait("order-1", Status.FAILED, within=0.01)
