"""The floor of `benchmarks/bench_call.py`, and the profile of where CPU time is used."""

from collections import Counter
from typing import Any

import pytest

from benchmarks.bench_call import targets
from benchmarks.clients import FloorCamPay, Sampler
from benchmarks.loopback import Loopback
from benchmarks.own_time import OwnTime, shared, table


async def test_the_floor_makes_the_calls_that_ours_makes() -> None:
    """The floor logs in once, requests each payment and each order, and reads the answers."""
    async with Loopback() as server:
        floor = FloorCamPay(server.url)
        await floor.open()
        collected, looked = await floor.collect(7), await floor.verify(7)
        await floor.aclose()
        counts = await server.counts()
    assert (collected["reference"], looked["reference"]) == ("tx-order-7", "tx-order-7")
    assert (looked["status"], looked["amount"]) == ("SUCCESSFUL", 500)
    assert counts["paths"] == {
        "POST /campay/api/token/": 1,
        "POST /campay/api/collect/": 1,
        "GET /campay/api/transaction/": 1,
    }


async def test_the_floor_is_told_of_a_refusal() -> None:
    """An answer other than 200 raises, so that no refusal is measured."""
    async with Loopback() as server:
        floor = FloorCamPay(server.url)
        await floor.open()
        with pytest.raises(ValueError, match="404"):
            await floor.ask(b"GET /campay/api/nothing/ HTTP/1.1\r\nAuthorization: Token x\r\n\r\n")
        await floor.aclose()


@pytest.mark.parametrize(("verb", "limit"), [("verify", 2.8), ("collect", 3.8)])
def test_ours_is_held_to_the_floor(verb: str, limit: float) -> None:
    """A call that costs too many times the floor misses its target."""
    row: dict[str, Any] = {"client": "floor/campay", "verb": verb, "at_once": 50, "tls": False}
    for ratio, met in ((limit, True), (limit + 0.01, False)):
        row |= {"cpu_ratio": {"median": ratio}, "times_faster": {"median": 1.0}}
        assert [(held[1], held[2]) for held in targets(row)] == [(limit, met)]


def test_each_sample_is_in_a_row() -> None:
    """The rows add up to the cost of a call, and packages are one row or one row per module."""
    samples = {"paymux.pool": 5, "asyncio.events": 2, "json.decoder": 1, "json": 1, "__main__": 1}
    found = shared(Counter(samples), 100.0)
    assert found.modules == {
        "paymux.pool": 50.0,
        "asyncio.events": 20.0,
        "json": 20.0,
        "the caller": 10.0,
    }
    shown = table(found, OwnTime({"json": 0.2}, 0.2, 1)).splitlines()
    assert shown[0].split() == ["paymux.pool", "50.0", "0.0"]
    assert shown[-1].split() == ["all", "100.0", "0.2"]


def test_a_sample_is_of_the_module_at_work() -> None:
    """A sample names the module that uses the CPU."""
    sampler = Sampler()
    with sampler:
        while sampler.modules.get(__name__, 0) < 5:
            sum(range(1000))
    assert sampler.modules.most_common(1)[0][0] == __name__
