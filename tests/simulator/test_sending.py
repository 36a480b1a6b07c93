"""Where webhooks may go: to this machine and to named hosts, and nowhere else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from paymux.errors import UsageError
from paymux.models import Status
from paymux.simulator import Message, Simulator
from paymux.simulator.sending import ANSWER_BYTES, send

from .asking import CAMPAY, ask, collect, until
from .controlling import api


class Shop:
    """A receiver on loopback that answers the same bytes to everyone."""

    def __init__(self) -> None:
        self.port = 0
        self.answer = b"HTTP/1.0 200 OK\r\nX-Shop: yes\r\n\r\nthanks"
        self.got: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.got.append(await reader.read(1 << 16))
        writer.write(self.answer)
        writer.close()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """Open a receiver."""
    one = Shop()
    async with await asyncio.start_server(one.serve, "127.0.0.1", 0) as server:
        one.port = server.sockets[0].getsockname()[1]
        yield one


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Decide what names lead to: each look-up takes the next address of a name."""
    known: dict[str, list[str]] = {}

    async def getaddrinfo(self: Any, host: str, port: int, **_: Any) -> Any:
        found = known[host].pop(0) if host in known else host
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


REFUSED = [
    "http://169.254.169.254/latest/meta-data/",
    "http://0.0.0.0:{port}/",
    "http://2130706433:{port}/",
    "http://127.1:{port}/",
    "http://10.0.0.1/",
    "http://metadata.google.internal/",
    "https://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "http://127.0.0.1@169.254.169.254/",
    "http://169.254.169.254#@127.0.0.1:{port}/",
    "http://localhost.evil.example:{port}/",
    "http:///x",
]


@pytest.mark.parametrize("url", REFUSED)
async def test_a_webhook_goes_nowhere_else(shop: Shop, url: str) -> None:
    """An address of another machine, however it is written, is refused before any connection."""
    with pytest.raises(UsageError, match="loopback"):
        await send(Message(url=url.format(port=shop.port)))
    assert shop.got == []


async def test_a_named_host_is_reached_by_one_look_up(
    shop: Shop, names: dict[str, list[str]]
) -> None:
    """A name that leads elsewhere at the second look-up does not get the message there."""
    names["app"] = ["127.0.0.1", "169.254.169.254"]
    reply = await send(Message(url=f"http://app:{shop.port}/told", body=b"{}"), {"app"})
    assert (reply.status, reply.headers["x-shop"], reply.body) == (200, "yes", b"thanks")
    assert names["app"] == ["169.254.169.254"]
    assert b"host: app:" in shop.got[0]


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254"],  # noqa: S104
)
async def test_no_name_leads_to_a_clouds_metadata(
    names: dict[str, list[str]], address: str
) -> None:
    """A named host, or `localhost`, that leads to such an address is refused."""
    for host in ("app", "localhost"):
        names[host] = [address]
        with pytest.raises(UsageError, match="loopback"):
            await send(Message(url=f"http://{host}/told"), {"app"})


async def test_a_redirect_is_not_followed(shop: Shop) -> None:
    """What a receiver answers is kept, wherever it points to."""
    shop.answer = b"HTTP/1.0 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"
    reply = await send(Message(url=f"http://127.0.0.1:{shop.port}/told"))
    assert reply.status == 302
    assert len(shop.got) == 1


async def test_an_endless_answer_is_cut(shop: Shop) -> None:
    """A receiver cannot fill the memory."""
    shop.answer = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (1 << 20)
    reply = await send(Message(url=f"http://127.0.0.1:{shop.port}/told"))
    assert len(reply.body) < ANSWER_BYTES


@pytest.mark.parametrize("answer", [b"", b"x", b"HTTP/1.0 many\r\n\r\n", b"\0" * 100])
async def test_an_answer_that_is_not_http_is_an_error_of_the_delivery(
    shop: Shop, answer: bytes
) -> None:
    """It is kept with the delivery, and nothing breaks."""
    shop.answer = answer
    sim = Simulator()
    sim.campay.webhook_url = f"http://127.0.0.1:{shop.port}/told"
    await ask(sim, "POST", "/campay/api/collect/", collect(), headers=CAMPAY)
    sim.settle("order-1", Status.SUCCEEDED)
    await until(lambda: sim.deliveries and sim.deliveries[0].ms is not None)
    assert sim.deliveries[0].status is None
    assert sim.deliveries[0].error


async def test_a_webhook_cannot_be_sent_again_to_elsewhere() -> None:
    """The address that a caller names is held to the same rule; the delivery says why."""
    async with Simulator() as sim:
        sim.campay.webhook_url = "http://127.0.0.1:1/told"
        await ask(sim, "POST", "/campay/api/collect/", collect(), headers=CAMPAY)
        sim.settle("order-1", Status.SUCCEEDED)
        await until(lambda: sim.deliveries and sim.deliveries[0].ms is not None)
        url = "http://169.254.169.254/latest/meta-data/"
        told = (await api(sim, "POST", "deliveries/1/again", {"url": url})).json["items"]
        assert [(one["status"], one["again_of"], one["url"]) for one in told] == [(None, 1, url)]
        assert "loopback" in told[0]["error"]


async def test_a_body_that_was_cut_is_not_sent_again() -> None:
    """What is kept of it is not what the provider signed."""
    sim = Simulator(keep=10)
    got: list[int] = []
    sim.on_webhook(lambda incoming: got.append(len(incoming.body)))
    sim.core.send("campay", Message(url="http://127.0.0.1:1/", body=b"x" * 100_000))
    await until(lambda: sim.deliveries and sim.deliveries[0].ms is not None)
    assert (got, len(sim.deliveries[0].message.body)) == ([100_000], 64 << 10)
    with pytest.raises(UsageError, match=r"^n: "):
        await sim.again(1)
