"""Odd values in every place of a request to the control API are refused, and break nothing."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from paymux.simulator import Simulator
from paymux.simulator.control.routes import Route
from paymux.simulator.control.table import ROUTES

from .asking import CAMPAY, collect, raw
from .controlling import api

ODD: list[Any] = [
    *(None, True, 0, -1, 2, 1e308, 10**30, "", " ", "x", "0", "²", "\x00", "\ud83d\ude00"),
    *("a/../b", "{}", "%00", "x" * 5000, [], [[]], {}, {"": {}}, {"x": [None]}, [1, "x"]),
]
GOOD: dict[str, Any] = {
    "answer": "ignore",
    "status": "pending",
    "provider": "campay",
    "kind": "html",
    "amount": "500",
}


def requests(route: Route, id: str) -> Iterator[tuple[str, Any]]:
    """Go through the paths and bodies that have one odd value each."""
    good = {
        field.name: GOOD.get(field.name)
        for field in (msgspec.structs.fields(route.body) if route.body else ())
        if field.required
    }
    at = {"id": id, "n": "1", "number": "237670000000"}
    path = route.path.format(**{name: quote(value, safe="") for name, value in at.items()})
    yield path, good
    for value in ODD:
        word = quote(str(value), safe="", errors="replace")
        for name in at:
            if f"{{{name}}}" in route.path:
                yield route.path.format(**{**at, name: word or "%20"}), good
        for name in (*route.query, "other"):
            yield f"{path}?{name}={word}", good
        if route.body is not None:
            yield path, value
            for field in (*msgspec.structs.fields(route.body),):
                yield path, {**good, field.name: value}
            for name in ("campay", "mpesa", "latency"):
                yield path, {**good, name: value}
                yield path, {**good, "mpesa": {"c2b": {"twins": value}, "limit": value}}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_no_value_is_an_error_of_ours(route: Route, caplog: pytest.LogCaptureFixture) -> None:
    """Each answer is 2xx, or a refusal of the caller's; the simulator is well afterwards."""
    async with Simulator(payer_delay=0.0) as sim:
        sim.campay.webhook_url = "http://127.0.0.1:1/told"
        await raw(sim, "POST", "/campay/api/collect/", collect(), CAMPAY)
        id = next(iter(sim.ledger)).id
        for path, body in requests(route, id):
            quick = f"{path}&timeout=0.01" if path.startswith("wait?") else path
            answer = await api(sim, route.method, quick, body if route.body else None)
            assert answer.status < 500, (path, body, answer)
            assert answer.status < 300 or answer.json["status"] == answer.status
            sim.core.latency = 0.0
        assert (await api(sim, "GET", "health")).status == 200
    assert [record.getMessage() for record in caplog.records] == []
