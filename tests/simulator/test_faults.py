import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from paymux.errors import UsageError
from paymux.http import PreparedRequest, TransportError
from paymux.models import Status
from paymux.simulator import Fault, Simulator

from .asking import CAMPAY, ask, collect, raw, told

COLLECT = "/campay/api/collect/"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Serve payers who pay at once."""
    async with Simulator(default=Status.SUCCEEDED, payer_delay=0.0) as simulator:
        yield simulator


async def charged(sim: Simulator) -> int:
    """Return what was charged, after every payer had time to decide."""
    await asyncio.sleep(0.01)
    return int(sim.ledger.charged("order-1"))


async def in_process(sim: Simulator) -> bytes:
    """Collect without a socket, and return the body."""
    return (await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)).body


async def on_socket(sim: Simulator) -> bytes:
    """Collect on the socket, and return every byte."""
    return await raw(sim, "POST", COLLECT, collect(), CAMPAY)


@pytest.mark.parametrize(
    "kind", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.GARBAGE]
)
async def test_a_broken_answer_says_nothing_of_the_money(sim: Simulator, kind: Fault) -> None:
    """Closed, reset, cut or garbage: the money moved, unless the request was never read."""
    moved = 0 if kind is Fault.DROP_BEFORE else 500
    sim.fault("campay", "POST /collect/", kind=kind, times=2)
    try:
        answer = await on_socket(sim)
    except ConnectionResetError:
        assert kind is Fault.RESET
    else:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert kind is not Fault.RESET
        assert (kind is Fault.GARBAGE) == (b"not HTTP" in answer)
        assert (kind is Fault.TRUNCATE) == (b" 200 OK" in head)
        assert b"}" not in body
    assert await charged(sim) == moved
    with pytest.raises(TransportError) as broken:
        await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    assert not broken.value.permanent
    assert await charged(sim) == 2 * moved
    assert len(sim.received("campay", "POST /collect/")) == (0 if kind is Fault.DROP_BEFORE else 2)
    assert (await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)).status == 200


@pytest.mark.parametrize("processed", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "seen"),
    [
        (Fault.ERROR, None, (500, b"error")),
        (Fault.ERROR, 502, (502, b"error")),
        (Fault.ERROR, 503, (503, b"error")),
        (Fault.HTML, None, (200, b"<!doctype html>")),
        (Fault.HTML, 504, (504, b"<!doctype html>")),
        (Fault.REDIRECT, None, (302, b"")),
        (Fault.REDIRECT, 307, (307, b"")),
    ],
)
async def test_an_odd_answer_comes_before_or_after_processing(
    sim: Simulator, kind: Fault, status: int | None, seen: tuple[int, bytes], processed: bool
) -> None:
    """An error, a page or a redirect looks the same whether the order was processed or not."""
    sim.fault("campay", "POST /collect/", kind=kind, status=status, processed=processed, times=2)
    reply = await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    answer = await on_socket(sim)
    assert reply.status == seen[0]
    assert seen[1] in reply.body
    assert answer.startswith(f"HTTP/1.1 {seen[0]} ".encode())
    assert seen[1] in answer
    assert reply.headers.get("location", f"{sim.url}/elsewhere") == f"{sim.url}/elsewhere"
    assert await charged(sim) == (1000 if processed else 0)


@pytest.mark.parametrize(
    ("given", "header"),
    [
        (7, "7"),
        ("nonsense", "nonsense"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "Fri, 02 Jan 2026 03:04:05 GMT"),
    ],
)
async def test_throttling_names_a_time_and_processes_nothing(
    sim: Simulator, given: int | str | datetime, header: str
) -> None:
    """Retry-After is seconds, a date, or nonsense; the order was not processed."""
    sim.fault("campay", "POST /collect/", kind=Fault.THROTTLE, retry_after=given, times=2)
    reply = await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    assert (reply.status, reply.headers["retry-after"]) == (429, header)
    assert f"retry-after: {header}".encode() in await on_socket(sim)
    assert await charged(sim) == 0


async def test_a_stale_token_is_refused_in_the_providers_words(sim: Simulator) -> None:
    """The next call is refused once, because its token has expired."""
    sim.fault("campay", kind=Fault.STALE_TOKEN)
    refused = await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    assert (refused.status, told(refused)) == (401, {"detail": "Invalid token."})
    assert await charged(sim) == 0
    assert (await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)).status == 200


async def test_a_stall_lasts_as_long_as_the_client_waits(sim: Simulator) -> None:
    """No answer ever comes, and the order was processed."""
    sim.fault("campay", "POST /collect/", kind=Fault.STALL, times=2)
    for asking in (
        ask(sim, "POST", COLLECT, collect(), headers=CAMPAY),
        on_socket(sim),
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking, 0.05)
    assert await charged(sim) == 1000


async def test_a_drip_is_slow_and_whole(sim: Simulator) -> None:
    """The complete answer comes byte by byte, at the planned pace."""
    sim.fault("campay", "POST /collect/", kind=Fault.DRIP, seconds=0.001, times=2)
    clock = asyncio.get_running_loop().time
    for asking in (
        ask(sim, "POST", COLLECT, collect(), headers=CAMPAY),
        on_socket(sim),
    ):
        began = clock()
        answer = await asking
        assert b'"operator": "mtn"}' in (answer if isinstance(answer, bytes) else answer.body)
        assert clock() - began > 0.05


async def test_an_attempt_is_reported_truthfully_in_process() -> None:
    """The connection reports that it sent a request, except to an unknown provider."""
    sim = Simulator()
    sim.fault("campay", kind=Fault.DROP_BEFORE)
    asked = PreparedRequest(
        method="GET", url=f"{sim.url}/campay/api/balance/", headers={}, body=None, money=False
    )
    with pytest.raises(TransportError):
        await sim.connection.exchange(asked)
    assert (asked.started, asked.sent) == (True, True)
    lost = PreparedRequest(
        method="GET", url="https://nobody.example/api/", headers={}, body=None, money=False
    )
    with pytest.raises(TransportError) as broken:
        await sim.connection.exchange(lost)
    assert (lost.started, lost.sent, broken.value.permanent) == (True, False, True)


async def test_a_request_cut_in_the_middle_was_never_received(sim: Simulator) -> None:
    """Only complete requests count: half a body is neither logged nor processed."""
    port = int(sim.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /campay/api/collect/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        b'{"amount": "5"'
    )
    await writer.drain()
    writer.close()
    assert await reader.read() == b""
    await asyncio.sleep(0.02)
    assert sim.requests == []


@pytest.mark.parametrize(
    ("match", "meets"),
    [
        ("", True),
        ("POST /collect/", True),
        ("POST", True),
        ("GET", False),
        ("/collect/", True),
        ("POST /api/", True),
        ("GET /collect/", False),
        ("POST /withdraw/", False),
    ],
)
async def test_a_fault_meets_what_it_names(match: str, meets: bool) -> None:
    """Method and path choose the requests of a fault, which happens `times` times."""
    sim = Simulator()
    sim.fault("campay", match, kind=Fault.ERROR, times=2)
    statuses = [
        (await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)).status for _ in range(3)
    ]
    assert statuses == ([500, 500, 200] if meets else [200, 200, 200])


@pytest.mark.parametrize(
    ("provider", "match", "times"),
    [
        ("nobody", "", 1),
        ("campay", "", 0),
        ("campay", "collect", 1),
        ("campay", "POST collect/", 1),
    ],
)
def test_a_fault_that_cannot_happen_is_refused(provider: str, match: str, times: int) -> None:
    """An unknown provider, an impossible match or zero times would test nothing: UsageError."""
    with pytest.raises(UsageError):
        Simulator().fault(provider, match, kind=Fault.ERROR, times=times)


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, "DROP_AFTER", "drop_after", "Drop_After"])
def test_a_kind_of_fault_has_a_name(kind: Fault | str) -> None:
    """The member, or its name in any case."""
    simulator = Simulator()
    simulator.fault("campay", kind=kind)
    assert [one.kind for one in simulator.core.faults.planned] == [Fault.DROP_AFTER]


@pytest.mark.parametrize("kind", ["drop", "", None, 5])
def test_an_unknown_kind_of_fault_is_refused(kind: Any) -> None:
    """The error lists the names."""
    with pytest.raises(UsageError, match=r"^kind: .* accepted: DROP_BEFORE, DROP_AFTER, "):
        Simulator().fault("campay", kind=kind)
