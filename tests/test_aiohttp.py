"""The connection over real sockets: requests, peers, deadlines, and limits of what is read."""

import asyncio
import contextlib
import datetime as dt
import functools
import gc
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec
import pytest
import trustme

import paymux.transport.freshness
import paymux.transport.loop_connections
import paymux.transport.session_attempt
from paymux import (
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    Status,
    Unavailable,
    UsageError,
    post,
)
from paymux.drivers import load, names
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Response, TransportError
from paymux.primitives.redaction import Secret
from paymux.simulator import Simulator
from paymux.transport.aiohttp import AiohttpConnection
from paymux.transport.freshness import first_look
from paymux.transport.idle import IdleConnections

from .cases import CASES, ordered
from .driving import sample
from .toys import Keyless, Said, Wire, answer, run

ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
HELD = Payment(account="keyless", provider_reference="p1", reference="order-1")
SAID = b'{"id": "p1", "status": "OK"}'
REDIRECTS = (301, 302, 303, 307, 308)
PEAK, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Seen(NamedTuple):
    """A request as it arrived: the number of its connection, its head and its body."""

    connection: int
    head: bytes
    body: bytes

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode()


Respond = Callable[[Seen], bytes | AsyncIterator[bytes] | None]


class Peer:
    """A server on loopback that records its requests.

    `respond` returns bytes, a slow answer, or None to close the connection.
    """

    def __init__(
        self, respond: Respond, *, tls: ssl.SSLContext | None = None, reads: bool = True
    ) -> None:
        self._respond = respond
        self._tls = tls
        self._reads = reads
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = self.open = 0
        self.seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        number, task = self.connections, asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(number, reader, writer):
                    pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if not self._reads:
            await asyncio.get_running_loop().create_future()
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.seen.append(Seen(number, head, body))
        answered = self._respond(self.seen[-1])
        if isinstance(answered, bytes):
            writer.write(answered)
        elif answered is not None:
            async for part in answered:
                writer.write(part)
                await writer.drain()
        return answered is not None


class Tries(AiohttpConnection):
    """Sockets that count the attempts to connect."""

    tries = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        self.tries += 1
        return await super().exchange(outgoing)


def http(
    body: bytes = SAID, status: str = "200 OK", /, length: int | None = None, **headers: str
) -> bytes:
    """Return an answer; header names have underscores instead of dashes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def keyless(base_url: str, **options: Any) -> Pool:
    """Return a pool of one toy account that never logs in."""
    return Pool(Keyless(base_url=base_url), **options)


def outgoing(url: str, *, money: bool = False, **headers: str) -> PreparedRequest:
    """Return a request of no driver."""
    return PreparedRequest(method="GET", url=url, headers=headers, body=None, money=money)


class Account(NamedTuple):
    """A driver with credentials to search for, and an order that it accepts."""

    driver: Callable[[str], Driver]
    order: dict[str, Any]


def _account(name: str, **fields: Any) -> Account:
    order = {"amount": 500, "currency": "XOF", "reference": "42", **CASES[name].order}
    if "webhook_url" in load(name).takes:
        order["webhook_url"] = "http://127.0.0.1:1/told"
    return Account(lambda url: load(name)(base_url=url, **fields), order)


def _canaries(name: str) -> dict[str, str]:
    """Return the simulator's credentials, each with a text to search for."""
    given = Simulator().providers[name].credentials
    return {field: text.replace("simulator", f"canary-{field}") for field, text in given.items()}


ACCOUNTS = {name: _account(name, **_canaries(name)) for name in CASES}
ACCOUNTS["campay-token"] = _account("campay", access_token="canary-a")


def test_every_driver_is_among_the_accounts() -> None:
    """Each driver is in the tests of this file."""
    assert {account.driver("http://127.0.0.1:1").name for account in ACCOUNTS.values()} == set(
        names()
    )


@pytest.mark.parametrize("across", [False, True], ids=["same-origin", "cross-origin"])
@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("name", ACCOUNTS)
async def test_no_redirect_of_a_money_request_is_followed(
    name: str, status: int, across: bool
) -> None:
    """A redirected order is unknown, and no byte of it goes to another path or host."""

    def respond(seen: Seen) -> bytes:
        if re.search("/token|oauth|/login", seen.target):
            said = {"token": "canary-1", "access_token": "canary-1", "expires_in": "3599"}
            return http(json.dumps({**said, "code": 0, "data": said}).encode())
        if re.search("transfer/contact", seen.target):  # a first step, which moves no money
            return http(json.dumps(sample("cinetpay_transfer", "contact_known.200")).encode())
        return http(
            b"", f"{status} Moved", Location=f"{(other if across else first).url}/elsewhere"
        )

    async with Peer(lambda _: http()) as other, Peer(respond) as first:
        driver = ACCOUNTS[name].driver(first.url)
        async with Pool(driver, attempts=1) as pool:
            with pytest.raises(OutcomeUnknown):
                await ordered(pool, driver.name, account=driver.account, **ACCOUNTS[name].order)
        assert b"canary" in b"".join(seen.head + seen.body for seen in first.seen)
        assert not any("elsewhere" in seen.target for seen in first.seen)
        assert other.connections == 0


@pytest.mark.parametrize("across", [False, True], ids=["same-origin", "cross-origin"])
@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("name", ["campay", "mpesa"])
async def test_no_redirect_of_a_login_is_followed(name: str, status: int, across: bool) -> None:
    """A redirected login sends its password nowhere else, and the order is NotSent."""

    def respond(_: Seen) -> bytes:
        return http(
            b"", f"{status} Moved", Location=f"{(other if across else first).url}/elsewhere"
        )

    async with Peer(lambda _: http()) as other, Peer(respond) as first:
        async with Pool(ACCOUNTS[name].driver(first.url), attempts=1) as pool:
            with pytest.raises(NotSent, match="the login failed"):
                await pool.collect(name, **ACCOUNTS[name].order)
        assert len(first.seen) == 1
        assert other.connections == 0


@pytest.mark.parametrize("across", [False, True], ids=["same-origin", "cross-origin"])
@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_redirect_of_a_look_up_is_followed(status: int, across: bool) -> None:
    """A redirected look-up is Unavailable, also a GET."""

    def respond(_: Seen) -> bytes:
        return http(
            b"", f"{status} Moved", Location=f"{(other if across else first).url}/elsewhere"
        )

    async with Peer(lambda _: http()) as other, Peer(respond) as first:
        async with keyless(first.url, attempts=1) as pool:
            with pytest.raises(Unavailable, match=str(status)):
                await pool.verify(HELD)
        assert len(first.seen) == 1
        assert other.connections == 0


@pytest.mark.parametrize("across", [False, True], ids=["same-origin", "cross-origin"])
@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_redirect_of_a_socket_is_followed(status: int, across: bool) -> None:
    """A redirected WebSocket is an error: its token, in header or query, goes nowhere else."""

    def respond(_: Seen) -> bytes:
        return http(
            b"",
            f"{status} Moved",
            Location=f"{(other if across else first).url}/elsewhere?token=canary",
        )

    sockets = AiohttpConnection(1.0)
    async with Peer(lambda _: http()) as other, Peer(respond) as first:
        with pytest.raises(TransportError):
            await anext(
                sockets.frames(
                    outgoing(f"{first.url}/ws/?token=canary", Authorization="Bearer canary")
                )
            )
        await sockets.aclose()
        assert len(first.seen) == 1
        assert other.connections == 0


@pytest.mark.proves(
    "intram: use HTTPS for every request", "mpesa_gateway: security measures; credentials"
)
@pytest.mark.parametrize("name", names())
def test_a_live_host_is_asked_by_https_only(name: str) -> None:
    """Every URL of a driver is https; plain http is accepted on loopback only."""
    driver = load(name)
    for url in (driver.live_url, driver.sandbox_url):
        assert not url or url.startswith("https://")
    for url in (
        "http://api.example.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
    ):
        with pytest.raises(UsageError, match="base_url"):
            next(
                account
                for account in ACCOUNTS.values()
                if account.driver("http://[::1]:1").name == name
            ).driver(url)


AUTHORITY = trustme.CA()
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def serving(*hosts: str, trusted: bool = True, expired: bool = False) -> ssl.SSLContext:
    """Return the context of a server with a certificate for these hosts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = AUTHORITY if trusted else trustme.CA()
    until = PAST + dt.timedelta(days=90) if expired else None
    authority.issue_cert(*hosts, not_before=PAST, not_after=until).configure_cert(context)
    return context


def _self_signed() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    lonely = trustme.CA()
    with lonely.cert_pem.tempfile() as chain, lonely.private_key_pem.tempfile() as key:
        context.load_cert_chain(chain, key)
    return context


def _tls_1_1() -> ssl.SSLContext:
    context = serving("127.0.0.1")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


DISTRUSTED: dict[str, Callable[[], ssl.SSLContext]] = {
    "expired": lambda: serving("127.0.0.1", expired=True),
    "self-signed": _self_signed,
    "unknown-authority": lambda: serving("127.0.0.1", trusted=False),
    "wrong-host": lambda: serving("api.example.com"),
}


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the tests' own certificate authority to the ones that aiohttp trusts by default."""
    context = aiohttp.connector._make_ssl_context(True)
    AUTHORITY.configure_trust(context)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", context)


@pytest.mark.usefixtures("trusting")
async def test_a_good_certificate_is_accepted() -> None:
    """With a good certificate the order of the next test succeeds."""
    async with Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer, keyless(peer.url) as pool:
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("case", DISTRUSTED)
async def test_a_peer_that_cannot_be_trusted_gets_nothing(case: str) -> None:
    """NotSent immediately, without a retry, and the provider gets nothing."""
    sockets = Tries(1.0)
    async with Peer(lambda _: http(), tls=DISTRUSTED[case]()) as peer:
        async with keyless(peer.url, connection=sockets) as pool:
            with pytest.raises(NotSent, match="nothing was sent"):
                await pool.collect("keyless", **ORDER)
            tried, sockets.tries = sockets.tries, 0
            with pytest.raises(PaymuxError):
                await pool.verify(HELD)
        assert peer.seen == []
    assert (tried, sockets.tries) == (1, 1)


@pytest.mark.usefixtures("trusting")
async def test_a_peer_that_speaks_tls_1_1_gets_nothing() -> None:
    """TLS below 1.2 is refused, with any certificate."""
    async with (
        Peer(lambda _: http(), tls=_tls_1_1()) as peer,
        keyless(peer.url, attempts=1) as pool,
    ):
        with pytest.raises(NotSent, match="nothing was sent"):
            await pool.collect("keyless", **ORDER)
        assert peer.seen == []


@pytest.mark.parametrize(
    "alert", [40, 70, 71], ids=["handshake-failure", "protocol-version", "security"]
)
async def test_a_refused_handshake_is_not_tried_again(alert: int) -> None:
    """A TLS alert of the peer is NotSent without a retry."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes([0x15, 3, 2, 0, 2, 2, alert]))  # RFC 4346, 7.2: an alert, fatal
        await writer.drain()
        writer.close()

    sockets = Tries(1.0)
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        base = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with keyless(base, connection=sockets) as pool:
            with pytest.raises(NotSent, match="nothing was sent"):
                await pool.collect("keyless", **ORDER)
    assert sockets.tries == 1


async def test_a_peer_without_tls_gets_nothing() -> None:
    """A plain server at an https URL never gets a request."""
    async with (
        Peer(lambda _: http()) as peer,
        keyless(peer.url.replace("http:", "https:"), attempts=1, connect_timeout=0.5) as pool,
    ):
        with pytest.raises(NotSent, match="nothing was sent"):
            await pool.collect("keyless", **ORDER)
        assert peer.seen == []


@functools.cache
def _bomb() -> bytes:
    squeezed = zlib.compressobj(wbits=31)
    zeros = bytes(1 << 20)
    return b"".join([*(squeezed.compress(zeros) for _ in range(200)), squeezed.flush()])


async def _chunks(count: int) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(count):
        yield b"10000\r\n" + b" " * 65536 + b"\r\n"
    yield b"0\r\n\r\n"


async def _unannounced() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    for _ in range(3200):
        yield b" " * 65536


FLOODS: dict[str, Respond] = {
    "gzip": lambda _: http(_bomb(), Content_Encoding="gzip"),
    "gzip-in-capitals": lambda _: http(_bomb(), Content_Encoding="GZIP"),
    "2-mib": lambda _: http(b" " * (2 << 20)),
    "chunked": lambda _: _chunks(32),
    "chunked-200-mib": lambda _: _chunks(3200),
    "until-it-closes": lambda _: _unannounced(),
}


def _peak() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", PEAK.read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(
    not os.access(RESET, os.W_OK), reason="the peak of memory can be reset on Linux only"
)
@pytest.mark.parametrize("case", FLOODS)
async def test_a_flood_is_unknown_and_takes_no_memory(case: str) -> None:
    """200 MiB, compressed or not, are unknown or unavailable, and take less than 8 MB."""
    async with Peer(FLOODS[case]) as peer, keyless(peer.url, attempts=1, deadline=5.0) as pool:
        # By now all modules are loaded, and the heap has its spare memory. This is far less than
        # two hundred MiB.
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **{**ORDER, "reference": "order-0"})
        with pytest.raises(Unavailable):
            await pool.verify(HELD)
        RESET.write_text("5")
        before = _peak()
        with pytest.raises(OutcomeUnknown) as unknown:
            await pool.collect("keyless", **ORDER)
        with pytest.raises(Unavailable):
            await pool.verify(HELD)
        assert _peak() - before < 8_000_000
        assert unknown.value.payment.reference == "order-1"


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) - 1])
@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
async def test_a_body_up_to_the_cap_is_read(size: int, encoding: str) -> None:
    """A mebibyte is read, even if it is compressed without our request."""
    body = SAID.ljust(size)
    wire = body
    if encoding != "identity":
        squeezed = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        wire = squeezed.compress(body) + squeezed.flush()
    async with (
        Peer(lambda _: http(wire, Content_Encoding=encoding)) as peer,
        keyless(peer.url) as pool,
    ):
        assert (await pool.verify(HELD)).status is Status.SUCCEEDED
    assert b"\r\naccept-encoding: identity\r\n" in peer.seen[0].head.lower()


@pytest.mark.parametrize("damage", [b"not compressed", zlib.compress(SAID)[:-4], b""])
async def test_a_damaged_compressed_body_is_unknown(damage: bytes) -> None:
    """A body that cannot be decompressed to its end is no answer."""
    async with (
        Peer(lambda _: http(damage, Content_Encoding="deflate")) as peer,
        keyless(peer.url, attempts=1) as pool,
    ):
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **ORDER)


async def _drip(text: bytes) -> AsyncIterator[bytes]:
    for byte in text:
        yield bytes([byte])
        await asyncio.sleep(1.0)


SLOW: dict[str, Respond] = {
    "head": lambda _: _drip(http()),
    "body": lambda _: _dripping_body(),
    "silence": lambda _: _silence(),
}


async def _dripping_body() -> AsyncIterator[bytes]:
    yield http(b"", length=len(SAID))
    async for byte in _drip(SAID):
        yield byte


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.get_running_loop().create_future()
    yield b""


async def test_a_drip_is_ended_by_the_deadline() -> None:
    """One byte a second does not extend a call: it ends at its deadline."""

    async def timed(work: Awaitable[object], error: type[Exception]) -> float:
        began = time.monotonic()
        with pytest.raises(error):
            await work
        return time.monotonic() - began

    async def both(respond: Respond) -> tuple[float, float]:
        async with Peer(respond) as peer, keyless(peer.url, deadline=2.0) as pool:
            return await asyncio.gather(
                timed(pool.collect("keyless", **ORDER), OutcomeUnknown),
                timed(pool.verify(HELD), Unavailable),
            )

    took = await asyncio.gather(*map(both, SLOW.values()))
    assert all(1.8 < seconds < 3.0 for pair in took for seconds in pair), dict(
        zip(SLOW, took, strict=True)
    )


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_peer_that_stops_reading_is_ended_by_the_deadline() -> None:
    """A request that stops in the middle of its body is unknown at the deadline."""
    async with Peer(lambda _: None, reads=False) as peer, keyless(peer.url) as pool:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            await pool.send(
                "keyless", post("/collect", Said, {"note": "x" * (16 << 20)}), deadline=1.0
            )
        assert 0.9 < time.monotonic() - began < 1.3


def _given(name: str) -> dict[str, Any]:
    account = next(
        one for one in ACCOUNTS.values() if one.driver("http://127.0.0.1:1").name == name
    )
    fields = msgspec.structs.asdict(account.driver("http://127.0.0.1:1"))
    return {
        key: value.reveal() if isinstance(value, Secret) else value for key, value in fields.items()
    }


def _written(name: str) -> list[str]:
    return [field.name for field in msgspec.structs.fields(load(name)) if str in _kinds(field.type)]


def _kinds(type: Any) -> tuple[Any, ...]:
    return (type, *getattr(type, "__args__", ()))


# CR, LF, NUL and other control characters; then characters that are not ASCII.
HOSTILE = ["a\rb", "a\nb", "a\r\nX-Injected: 1", "a\x00b", "a\tb", "a\x7fb"]
HOSTILE += ["clé", "١٢٣", "🔑", "a\ud800", "a\u2028b"]


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name in names() for field in _written(name)]
)
def test_no_field_of_a_driver_takes_what_could_break_a_header(name: str, field: str) -> None:
    """Control characters in a driver's field are UsageError by name, without a secret."""
    driver, given = load(name), _given(name)
    shown = field in driver.prose or (name, field) == ("intram", "store")
    secret = Secret in _kinds(
        next(one.type for one in msgspec.structs.fields(driver) if one.name == field)
    )
    for bad in HOSTILE:
        if shown and bad.isprintable():
            # shown on a page, and never in a header
            assert getattr(driver(**{**given, field: bad}), field)
            continue
        with pytest.raises(UsageError) as refused:
            driver(**{**given, field: bad})
        assert field in str(refused.value)
        assert not (secret or not bad.isprintable()) or bad not in str(refused.value)


@pytest.mark.parametrize("reference", [*HOSTILE, "", "a b", "a/b", "a?b", "a%0d", "x" * 65])
async def test_no_reference_could_break_anything(reference: str) -> None:
    """A reference has 1 to 64 characters of a small set, in every verb that takes one."""
    wire = Wire(lambda _: answer(id="p1", status="OK"))
    async with Pool(Keyless(), connection=wire) as pool:
        for verb in (
            pool.collect("keyless", **{**ORDER, "reference": reference}),
            pool.payout("keyless", **{**ORDER, "reference": reference}, payee="237670000000"),
            pool.refund(HELD, amount=1, reference=reference),
        ):
            with pytest.raises(UsageError, match="reference"):
                await verb
    assert wire.seen == []


async def test_an_id_cannot_leave_its_place_in_a_path() -> None:
    """A provider's id with slashes, queries and line ends is one quoted path segment."""
    hostile = "../x?y=1#z\r\nX-Injected: 1"
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        with pytest.raises(Mismatch):  # the answer is about p1
            await pool.verify("keyless", hostile)
    (seen,) = peer.seen
    assert seen.target == "/payments/..%2Fx%3Fy%3D1%23z%0D%0AX-Injected%3A%201"
    assert b"\r\nX-Injected" not in seen.head


@pytest.mark.parametrize("place", ["path", "header", "header-name"])
async def test_a_request_of_the_callers_own_cannot_break_a_header(place: str) -> None:
    """`get` and `post` refuse control characters before a request."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url, attempts=1) as pool:
        for bad in [*HOSTILE, *(["#b"] if place == "path" else [])]:
            path = f"/{bad}" if place == "path" else "/x"
            headers = {"header": {"X-Own": bad}, "header-name": {bad: "1"}}.get(place, {})
            with pytest.raises(UsageError):
                await pool.send("keyless", post(path, Said, {}, headers=headers))
        assert peer.seen == []


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "connection", "Expect", "upgrade"]
)
def test_a_header_of_the_callers_own_cannot_end_a_request_early(name: str) -> None:
    """Host, Content-Length and the like are written by paymux only."""
    with pytest.raises(UsageError, match=f"(?i){name}"):
        post("/x", Said, {}, headers={name: "5"})


async def test_what_gets_by_every_check_still_writes_no_line_of_its_own() -> None:
    """The last check is at the bytes: nothing is sent, and a retry is useless."""
    sockets = AiohttpConnection(1.0)
    async with Peer(lambda _: http()) as peer:
        for bad in HOSTILE:
            attempt = outgoing(peer.url + "/x", money=True, X_Own=bad)
            with pytest.raises(TransportError) as broken:
                await sockets.exchange(attempt)
            assert (broken.value.permanent, attempt.may_have_left) == (True, False)
        assert peer.connections == 0
    await sockets.aclose()


async def test_proxies_and_netrc_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and passwords in the environment change nothing."""
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with Peer(lambda _: http()) as proxy, Peer(lambda _: http()) as peer:
        for scheme in ("HTTP", "HTTPS", "ALL", "WS"):
            monkeypatch.setenv(f"{scheme}_PROXY", proxy.url)
            monkeypatch.setenv(f"{scheme}_proxy".lower(), proxy.url)
        async with keyless(peer.url) as pool:
            await pool.verify(HELD)
            await pool.collect("keyless", **ORDER)
        assert proxy.connections == 0
    assert len(peer.seen) == 2
    assert not any(
        b"authorization" in seen.head.lower() or b"canary" in seen.head for seen in peer.seen
    )


async def test_cookies_are_not_kept() -> None:
    """A provider's cookie is never sent back, so that accounts share no session."""
    async with (
        Peer(lambda _: http(Set_Cookie="session=1; Path=/")) as peer,
        keyless(peer.url) as pool,
    ):
        await pool.verify(HELD)
        await pool.verify(HELD)
    assert len(peer.seen) == 2
    assert not any(b"cookie" in seen.head.lower() for seen in peer.seen)


async def test_what_is_sent_is_ours_alone() -> None:
    """A request names paymux, not the HTTP client, and accepts no compression."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        await pool.verify(HELD)
    head = peer.seen[0].head.lower()
    assert b"user-agent: paymux\r\n" in head
    assert b"aiohttp" not in head
    assert b"python" not in head


async def test_a_request_is_never_resent_behind_our_back() -> None:
    """A GET on a closed keep-alive connection is not sent again, as aiohttp's sessions would."""
    answers = iter([http(), None, http()])
    async with Peer(lambda _: next(answers)) as peer, keyless(peer.url, attempts=1) as pool:
        await pool.verify(HELD)
        with pytest.raises(Unavailable):
            await pool.verify(HELD)
        assert [seen.connection for seen in peer.seen] == [1, 1]


@pytest.mark.parametrize("pause", [0.0, 0.005], ids=["at once", "later"])
@pytest.mark.parametrize("money", [True, False], ids=["money", "a look-up"])
async def test_an_answer_to_no_question_is_not_taken_for_the_next_one(
    *, money: bool, pause: float
) -> None:
    """A second answer to one request is never read as the next payment's answer."""
    paid, refused = http(b'{"id": "p1", "status": "OK"}'), http(b'{"id": "p1", "status": "NO"}')

    async def twice() -> AsyncIterator[bytes]:
        yield refused
        await asyncio.sleep(pause)
        yield paid

    async with (
        Peer(lambda seen: twice() if len(peer.seen) == 1 else refused) as peer,
        keyless(peer.url) as pool,
    ):
        for number in range(3):
            ask = (
                pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
                if money
                else pool.verify(HELD)
            )
            assert (await ask).status is Status.FAILED
            await asyncio.sleep(0.02)
        assert [seen.connection for seen in peer.seen] == [1, 2, 2]


class Ender:
    """A server in its own threads, which closes its connections when a test wants it."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, ends_first: int = 0) -> None:
        self._tls, self.ends_first = tls, ends_first
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked: list[int] = []  # the number of the connection of each request
        self.connections = self.ended_first = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.end()

    def end(self, last: bytes = b"") -> None:
        """Close every connection now, after some last bytes if they are given."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.sendall(last)
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(
                    target=self._serve, args=(accepted, self.connections), daemon=True
                ).start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        if number <= self.ends_first:
            accepted.close()
            self.ended_first += 1
            return
        with contextlib.suppress(OSError), self._secured(accepted) as talk:
            self._open.append(talk)
            said = b""
            while part := talk.recv(65536):
                said += part
                if said.endswith((b"\r\n\r\n", b"}")):  # of a look-up, of an order
                    self.asked.append(number)
                    said = b""
                    talk.sendall(http())

    def _secured(self, accepted: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted


async def _ask(pool: Pool, count: int, *, money: bool) -> list[Payment]:
    """Send this number of requests at once, and wait for every answer."""
    names = [f"o{time.perf_counter_ns()}-{number}" for number in range(count)]
    paying = [pool.collect("keyless", **{**ORDER, "reference": name}) for name in names if money]
    looking = [pool.verify(HELD) for _ in range(0 if money else count)]
    return list(await asyncio.gather(*paying, *looking))


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    "last", [b"", http(b"", "408 Request Timeout", Connection="close")], ids=["bare", "408"]
)
@pytest.mark.parametrize("money", [True, False], ids=["money", "a look-up"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("rdhup", [True, False], ids=["linux", "macos"])
async def test_a_connection_that_ended_while_the_loop_was_busy_is_not_used(
    *, rdhup: bool, tls: bool, money: bool, last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle connection that the server closed unseen loses no order, and no attempt."""
    if not rdhup:
        monkeypatch.setattr(paymux.transport.freshness, "_ENDED", 0)
    with Ender(tls=serving("127.0.0.1") if tls else None) as server:
        async with keyless(server.url, attempts=1) as pool:
            await _ask(pool, 3, money=money)
            # the loop is blocked: it reads nothing of this before the next request
            server.end(last)
            assert [paid.status for paid in await _ask(pool, 3, money=money)] == [
                Status.SUCCEEDED
            ] * 3
    assert sorted(server.asked) == [1, 2, 3, 4, 5, 6]


def _busily(monkeypatch: pytest.MonkeyPatch, server: Ender) -> None:
    """Keep the loop busy between a connection and the first request on it.

    Until a server that ends its first connections has ended this one.
    """
    connect, made = aiohttp.TCPConnector.connect, 0

    async def slow(
        self: aiohttp.TCPConnector, *given: Any, **named: Any
    ) -> aiohttp.connector.Connection:
        nonlocal made
        connected = await connect(self, *given, **named)
        made += 1
        time.sleep(0.05)  # the loop is busy
        while server.ended_first < min(made, server.ends_first):
            time.sleep(0.001)
        return connected

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", slow)


async def test_a_new_connection_that_ended_at_once_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a new connection is closed before the request, another is used."""
    with Ender(ends_first=2) as server:
        _busily(monkeypatch, server)
        async with keyless(server.url, attempts=1) as pool:
            assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED
    assert server.asked == [3]


async def test_three_new_connections_that_end_at_once_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After three of them the order is NotSent."""
    with Ender(ends_first=99) as server:
        _busily(monkeypatch, server)
        async with keyless(server.url, attempts=1) as pool:
            with pytest.raises(NotSent, match="new connections that end"):
                await pool.collect("keyless", **ORDER)
    assert (server.connections, server.asked) == (3, [])


@pytest.mark.usefixtures("trusting")
async def test_session_tickets_do_not_spend_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS's own messages neither use up a new connection nor spoil an idle one."""
    with Ender(tls=serving("127.0.0.1")) as server:
        _busily(monkeypatch, server)
        async with keyless(server.url, attempts=1) as pool:
            for _ in range(3):
                await _ask(pool, 1, money=True)
    assert (server.asked[0], len(server.asked), server.connections <= 3) == (1, 3, True)


@pytest.mark.parametrize("lack", ["poll", "descriptor"])
async def test_where_nobody_can_look_only_a_new_connection_is_trusted(
    lack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `select.poll` or a file descriptor, no connection is used twice."""
    if lack == "poll":
        monkeypatch.setattr(paymux.transport.freshness, "select", object())
    else:
        bare = type("Bare", (), {"get_extra_info": lambda *_: None})()
        for module in (paymux.transport.loop_connections, paymux.transport.session_attempt):
            monkeypatch.setattr(module, "first_look", lambda _, real=first_look: real(bare))
    with Ender() as server:
        async with keyless(server.url, attempts=1) as pool:
            for _ in range(3):
                assert (await _ask(pool, 1, money=True))[0].status is Status.SUCCEEDED
    assert server.asked == [1, 2, 3]


@pytest.mark.parametrize("way", ["ended", "cut", "not ended"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_nothing_is_kept_of_a_loop_that_is_gone(way: str) -> None:
    """A pool used in one `asyncio.run` after another keeps objects of the last loop only."""
    seen: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    sockets = AiohttpConnection(1.0)

    async def use(pool: Pool) -> None:
        seen.append(weakref.ref(asyncio.get_running_loop()))
        if way == "cut":
            left = asyncio.create_task(pool.verify(HELD))
            await asyncio.sleep(0.001)
            del left
        else:
            await pool.verify(HELD)

    with Ender() as server:
        pool = keyless(server.url, connection=sockets)
        for _ in range(20):
            if way == "not ended":
                loop = asyncio.new_event_loop()
                loop.set_exception_handler(lambda *_: None)
                loop.run_until_complete(use(pool))
                loop.close()
                del loop
            else:
                asyncio.run(use(pool))
        gc.collect()
        assert len(sockets._kept) == (way == "not ended")
        assert sum(one() is not None for one in seen) <= 2
        asyncio.run(pool.aclose())
        assert len(sockets._kept) == 0
        # Python warns of open sockets if a loop is closed without its shutdown, as here
        gc.collect()


@pytest.mark.parametrize("money", [True, False], ids=["money", "a look-up"])
async def test_the_connection_tells_what_left(*, money: bool) -> None:
    """`began` and `sent` are set before an answer; if no server listens, only `began` is."""
    sockets = AiohttpConnection(1.0)
    async with Peer(lambda _: http()) as peer:
        good = outgoing(f"{peer.url}/x", money=money)
        await sockets.exchange(good)
    assert (good.started, good.sent, good.may_have_left) == (True, True, True)
    # the port of tcpmux, on which no server listens
    refused = outgoing("http://127.0.0.1:1/x", money=money)
    with pytest.raises(TransportError) as broken:
        await sockets.exchange(refused)
    assert (refused.started, refused.sent, refused.may_have_left) == (True, False, False)
    assert broken.value.__cause__ is broken.value.__context__ is None
    await sockets.aclose()


class Silent(AiohttpConnection):
    """A connection that does not report what it sent, as a caller's own may do."""

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        raise TransportError("refused")


async def test_a_connection_that_reports_nothing_counts_as_sent() -> None:
    """If it is unknown what was sent, an error of money is unknown: never sent fails closed."""
    async with Pool(Keyless(), connection=Silent(1.0), attempts=1) as pool:
        with pytest.raises(OutcomeUnknown) as unknown:
            await pool.collect("keyless", **ORDER)
        with pytest.raises(Unavailable):
            await pool.verify(HELD)
    assert unknown.value.payment.reference == "order-1"


async def test_money_takes_a_fresh_connection_and_questions_keep_theirs() -> None:
    """A money request reuses a connection only within a second, and never a look-up's."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        for number, pause in enumerate((0.0, 0.0, 1.3)):
            await asyncio.sleep(pause)
            await pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
            await pool.verify(HELD)
    money = [seen.connection for seen in peer.seen if seen.target == "/collect"]
    looks = [seen.connection for seen in peer.seen if seen.target != "/collect"]
    assert money[0] == money[1] != money[2]
    assert len(set(looks)) == 1
    assert not set(money) & set(looks)


async def test_a_connection_that_the_provider_closed_costs_no_unknown() -> None:
    """A provider that closes after each answer, without saying so, makes no outcome unknown."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        for number in range(10):
            order = {**ORDER, "reference": f"o{number}"}
            assert (await pool.collect("keyless", **order)).status is Status.SUCCEEDED
            peer.hang_up()
            await asyncio.sleep(0.02)
    assert [seen.connection for seen in peer.seen] == list(range(1, 11))


async def test_a_loop_has_one_set_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty concurrent first calls make one set of connectors."""
    made: list[aiohttp.TCPConnector] = []

    class Counted(aiohttp.TCPConnector):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr("aiohttp.TCPConnector", Counted)
    async with Peer(lambda _: http()) as peer:
        async with keyless(peer.url) as pool:
            await asyncio.gather(*(pool.verify(HELD) for _ in range(50)))
        assert len(made) == 1
        assert all(connector.closed for connector in made)


TURNS = """
import asyncio, sys
from paymux import Pool
from paymux.simulator import Simulator
from paymux.drivers.campay import CamPay

pool = Pool(CamPay(username="simulator", password="simulator", base_url=sys.argv[1]))

async def turn(number):
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no fault of ours
    await pool.balance("campay")
    payment = await pool.collect(
        "campay", amount=100, currency="XAF", payer="237677777777", reference=f"turn-{number}"
    )
    print(payment.reference, payment.status)

for number in range(3):
    asyncio.run(turn(number), debug=True)
"""


def test_loops_in_turn_leave_nothing_open() -> None:
    """Three calls of `asyncio.run` with one unclosed pool work, without a warning."""
    ready, done = threading.Event(), threading.Event()
    bases: list[str] = []

    async def serve() -> None:
        async with Simulator() as sim:
            bases.append(f"{sim.url}/campay/api")
            ready.set()
            await asyncio.to_thread(done.wait)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    try:
        assert ready.wait(10)
        ended = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", TURNS, bases[0]],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        done.set()
        server.join(10)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [f"turn-{number} pending" for number in range(3)]


async def test_a_pool_closes_its_sessions_once_and_for_all() -> None:
    """A pool can be closed unused or twice, and a closed pool opens nothing."""
    await Pool(Keyless()).aclose()
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        await pool.verify(HELD)
        await pool.aclose()
        await pool.aclose()
        with pytest.raises(UsageError, match="closed"):
            await pool.verify(HELD)
        await asyncio.sleep(0.01)
        assert (peer.connections, peer.open) == (1, 0)


CROWDED = """
import asyncio
import resource

from paymux import CamPay, NotSent, Pool

async def main():
    async with Pool(CamPay(access_token="t", base_url="http://127.0.0.1:9/api")) as pool:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        try:
            await pool.verify("campay", "p1", deadline=5)
        except NotSent as error:
            print(error)

asyncio.run(main())
"""


async def test_closing_ends_a_verb_whose_body_is_on_its_way() -> None:
    """The head of its answer has arrived: the verb ends with the pool, not at its deadline."""
    said = http(SAID)
    head_sent = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield said[: -len(SAID)]
        head_sent.set()
        await asyncio.get_running_loop().create_future()
        yield b""

    async with asyncio.timeout(20), Peer(lambda _: slowly()) as peer:
        pay = Pool(Keyless(base_url=peer.url), attempts=1, deadline=300.0)
        money = asyncio.create_task(pay.collect("keyless", **ORDER))
        await head_sent.wait()
        for _ in range(10):  # the head is on its way through the loopback
            await asyncio.sleep(0.005)
        await pay.aclose()
        with pytest.raises(OutcomeUnknown):
            await money


def test_a_process_without_a_file_left_gets_our_own_error() -> None:
    """If no socket can be opened, a request is NotSent, without a foreign exception."""
    pytest.importorskip("resource")
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", CROWDED],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.endswith("; nothing was sent\n")


def test_idle_connections_are_closed_in_time_after_a_close() -> None:
    """What is kept after all were closed is closed when it is old, too."""

    class Silent:
        closed = False

        def is_silent(self) -> bool:
            return not self.closed

        def close(self) -> None:
            self.closed = True

    async def main() -> None:
        kept = IdleConnections[Silent](15.0)
        early, late = Silent(), Silent()
        kept.put(early)
        kept.close()
        kept.put(late)
        await asyncio.sleep(14)
        assert (early.closed, late.closed) == (True, False)
        await asyncio.sleep(2)
        assert late.closed

    run(main())


async def test_a_crowd_shares_a_hundred_connections() -> None:
    """Three hundred concurrent look-ups open a hundred connections, and reuse them."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        found = await asyncio.gather(*(pool.verify("keyless", "p1") for _ in range(300)))
        assert {payment.status for payment in found} == {Status.SUCCEEDED}
        assert 1 < peer.connections <= 100


async def test_no_error_of_the_client_hangs_on_to_ours() -> None:
    """An error has no foreign cause or context, whose frames would hold headers and bodies."""
    async with Peer(lambda _: None) as peer, keyless(peer.url, attempts=1) as pool:
        for verb, kind in (
            (pool.collect("keyless", **ORDER), OutcomeUnknown),
            (pool.verify(HELD), Unavailable),
        ):
            with pytest.raises(kind) as raised:
                await verb
            assert _foreign(raised.value) == []


def _foreign(error: BaseException | None) -> list[str]:
    found = []
    while error is not None:
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            found.append(trace.tb_frame.f_globals["__name__"])
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return [name for name in found if name.partition(".")[0] in ("aiohttp", "aiosignal")]


@pytest.mark.proves(
    "campay: header Content-Type: application/json",
    "cinetpay: header Content-Type: application/json",
    "intram: header Content-Type: application/json",
    "mpesa_gateway: header Content-Type: application/json",
    "paydunya: header Content-Type: application/json",
)
async def test_json_of_a_money_request_is_what_arrives() -> None:
    """The body is the driver's literal, in its key order, with a length."""
    async with Peer(lambda _: http()) as peer, keyless(peer.url) as pool:
        await pool.collect("keyless", **ORDER)
    (seen,) = peer.seen
    assert list(json.loads(seen.body)) == ["reference", "amount", "currency", "payer"]
    assert b"content-type: application/json\r\n" in seen.head.lower()
