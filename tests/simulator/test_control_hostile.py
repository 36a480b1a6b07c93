"""Odd values in every place of a request to the control API are refused, and break nothing."""

import asyncio
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


async def test_bytes_that_are_no_text_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A header that is not UTF-8 is answered and kept, and its row can be read."""
    async with Simulator() as sim:
        port = sim.access.port
        head = f"GET /campay/x/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + b"X-Odd: \xff\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
        await writer.wait_closed()
        [row] = (await api(sim, "GET", "requests")).json["items"]
        told = await api(sim, "GET", f"requests/{row['n']}")
    assert (told.status, told.json["request_headers"]["x-odd"]) == (200, "\ufffd")
    assert not caplog.records


@pytest.mark.parametrize("header", ["Authorization: Bearer ", "Cookie: paymux_PORT="])
async def test_a_token_that_is_no_text_is_wrong(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused as any wrong token is."""
    async with Simulator(host="0.0.0.0") as sim:  # noqa: S104 - a token is wanted there alone
        port = sim.access.port
        head = f"GET /_paymux/payments HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        given = header.replace("PORT", str(port)).encode()
        writer.write(head.encode() + given + b"\xff\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 401")
        writer.close()
        await writer.wait_closed()
    assert not caplog.records
