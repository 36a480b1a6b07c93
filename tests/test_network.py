"""The route of the pool's own connections: a proxy, TLS of the caller, a local address."""

import asyncio
import base64
import logging
import ssl
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import paymux
from paymux import NotSent, Pool, Status, Unavailable, UsageError
from paymux.http import TransportError
from paymux.primitives.redaction import Secret
from paymux.transport.aiohttp import AiohttpConnection
from paymux.values.network import network_of

from .campaigns.proxy import REFUSALS, Proxy
from .test_aiohttp import AUTHORITY, HELD, ORDER, Peer, http, keyless, outgoing, serving

PACKAGE = str(Path(paymux.__file__).parent)
USER, PASSWORD = "shop%40home", "canary:%2F1"
PLAIN = "shop@home:canary:/1"
CANARIES = ("canary", base64.b64encode(PLAIN.encode()).decode()[8:24])
CONFIG: Mapping[str, Any] = {"accounts": {"shop": {"driver": "campay", "access_token": "t"}}}
VARIABLES = {"PAYMUX_SHOP__DRIVER": "campay", "PAYMUX_SHOP__ACCESS_TOKEN": "t"}


def trusting() -> ssl.SSLContext:
    """Return a caller's context, which trusts the tests' authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    return context


def through(proxy: Proxy) -> str:
    """Return the URL of a proxy, with user and password."""
    return f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"


def told(error: BaseException) -> str:
    """Return everything that can be seen of an error, with the variables of its frames."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([str(error), repr(error), repr(error.args), *shown.format()])


def variables(error: BaseException) -> str:
    """Return the variables of the frames of paymux that an error passed through."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    found = [frame.locals for frame in shown.stack if frame.filename.startswith(PACKAGE)]
    assert found
    return str(found)


# Through a proxy.


async def test_an_order_goes_through_the_proxy() -> None:
    """A CONNECT with the proxy's user and password, then TLS with the provider itself.

    Neither sees what is the other's.
    """
    async with (
        Proxy() as proxy,
        Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer,
        keyless(peer.url, proxy=through(proxy), tls=trusting()) as pool,
    ):
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED
        assert (await pool.verify(HELD)).status is Status.SUCCEEDED
    lines = proxy.heads[0].decode().split("\r\n")
    assert lines[0] == f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1"
    signed = next(line for line in lines if line.startswith("Proxy-Authorization: Basic "))
    assert base64.b64decode(signed.rpartition(" ")[2]).decode() == PLAIN
    assert "User-Agent: paymux" in lines
    assert len(peer.seen) == 2
    assert not any(b"proxy" in seen.head.lower() for seen in peer.seen)


async def test_a_proxy_without_a_password_is_sent_none() -> None:
    """A URL without a user signs nothing."""
    async with Proxy() as proxy, Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer:
        url = f"http://127.0.0.1:{proxy.port}/"
        async with keyless(peer.url, proxy=url, tls=trusting()) as pool:
            await pool.verify(HELD)
    assert b"authorization" not in proxy.heads[0].lower()


async def test_plain_http_goes_past_the_proxy() -> None:
    """Plain http is spoken on loopback alone, where no proxy is."""
    async with (
        Proxy() as proxy,
        Peer(lambda _: http()) as peer,
        keyless(peer.url, proxy=through(proxy)) as pool,
    ):
        await pool.collect("keyless", **ORDER)
    assert (len(peer.seen), proxy.heads) == (1, [])


async def test_a_socket_goes_through_the_proxy() -> None:
    """The WebSocket of a provider that pushes takes the same way as its requests."""
    async with Proxy() as proxy, Peer(lambda _: None, tls=serving("127.0.0.1")) as peer:
        network = network_of(Secret(through(proxy)), trusting(), None)
        sockets = AiohttpConnection(2.0, network)
        url = peer.url.replace("https:", "wss:") + "/ws/"
        for refusal in ("", "407"):
            proxy.refusal = refusal
            with pytest.raises(TransportError):
                await anext(sockets.frames(outgoing(url)))
        await sockets.aclose()
    assert {seen.target for seen in peer.seen} == {"/ws/"}
    assert len(proxy.heads) >= 2
    assert all(b"Proxy-Authorization" in head for head in proxy.heads)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_proxy_that_refuses_sends_nothing_and_shows_no_password(
    refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Money is NotSent, a look-up Unavailable; 407 and 403 are certain, so they are asked once."""
    caplog.set_level(logging.DEBUG)
    tries = 1 if refusal in ("407", "403") else 2
    async with Proxy(refusal) as proxy, Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer:
        pool = keyless(
            peer.url, proxy=through(proxy), tls=trusting(), attempts=2, connect_timeout=0.3
        )
        async with pool:
            with pytest.raises(NotSent, match="nothing was sent") as unsent:
                await pool.collect("keyless", **ORDER)
            assert len(proxy.heads) == tries
            with pytest.raises((NotSent, Unavailable)) as unavailable:
                await pool.verify(HELD)
        assert len(proxy.heads) == 2 * tries
        assert peer.connections == 0
        seen = [told(unsent.value), told(unavailable.value), repr(pool), caplog.text]
    if refusal.isdigit():
        assert f"HTTP {refusal}" in str(unsent.value)
    assert [canary for canary in CANARIES if canary in "".join(seen)] == []


async def test_a_hanging_proxy_is_ended_by_the_deadline_too() -> None:
    """A CONNECT without an answer is NotSent at the deadline of the verb."""
    async with (
        Proxy("hang") as proxy,
        keyless("https://127.0.0.1:1", proxy=through(proxy), deadline=0.3) as pool,
    ):
        with pytest.raises(NotSent, match="deadline"):
            await pool.collect("keyless", **ORDER)
    assert len(proxy.heads) == 1


async def test_a_proxy_that_is_away_sends_nothing() -> None:
    """Where no proxy listens, the provider is not asked past it."""
    async with Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer:
        # the port of tcpmux, where no server listens
        pool = keyless(peer.url, proxy=f"http://{USER}:{PASSWORD}@127.0.0.1:1", attempts=1)
        async with pool:
            with pytest.raises(NotSent, match="ClientProxyConnectionError") as unsent:
                await pool.collect("keyless", **ORDER)
        assert peer.connections == 0
    seen = told(unsent.value)
    assert [canary for canary in CANARIES if canary in seen] == []


@pytest.mark.parametrize(
    "proxy",
    [
        "canary",
        "https://u:canary@127.0.0.1:1",
        "socks5://u:canary@127.0.0.1:1",
        "http://u:canary@",
        "http://u:canary@127.0.0.1:0",
        "http://u:canary@127.0.0.1:99999",
        "http://u:canary@127.0.0.1:1/path",
        "http://u:canary@127.0.0.1:1?query",
        "http://u%3A:canary@127.0.0.1:1",
        "http://u:can ary@127.0.0.1:1",
        "http://u:canary\r\n@127.0.0.1:1",
        "http://ü:canary@127.0.0.1:1",
        "http://u:canary@[::1",
        "",
        Secret("canary"),
        5,
        b"http://127.0.0.1:1",
    ],
)
def test_what_is_no_proxy_is_refused_unseen(proxy: Any) -> None:
    """UsageError names the option and says what is accepted; it shows nothing of the value."""
    with pytest.raises(UsageError, match=r"proxy: .*an http URL of a proxy") as refused:
        keyless("http://127.0.0.1:1", proxy=proxy)
    assert (refused.value.name, refused.value.value) == ("proxy", "***")
    assert "canary" not in str(refused.value)
    assert "canary" not in variables(refused.value)


# TLS and the local address.


async def test_a_context_of_the_caller_is_what_is_trusted() -> None:
    """With `tls`, the provider is trusted as the context says; without it, it is not."""
    async with Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer:
        async with keyless(peer.url, tls=trusting()) as pool:
            assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED
        async with keyless(peer.url) as pool:
            with pytest.raises(NotSent, match="Certificate"):
                await pool.collect("keyless", **ORDER)


async def test_a_file_of_certificates_is_trusted_beside_the_systems(tmp_path: Path) -> None:
    """`tls` may be the path of a PEM file, as a company's proxy needs it that opens TLS itself."""
    file = tmp_path / "own.pem"
    file.write_bytes(AUTHORITY.cert_pem.bytes())
    async with Peer(lambda _: http(), tls=serving("127.0.0.1")) as peer:
        for path in (file, str(file)):
            async with keyless(peer.url, tls=path) as pool:
                assert (await pool.verify(HELD)).status is Status.SUCCEEDED


def _unsafe(**settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def test_a_context_that_checks_too_little_is_refused() -> None:
    """No certificate unchecked, no host unchecked, nothing older than TLS 1.2."""
    careless = _unsafe(check_hostname=False)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLS"):
        old = _unsafe(minimum_version=ssl.TLSVersion.TLSv1_1)
    for tls in (careless, _unsafe(check_hostname=False), old, True, False, 5, object()):
        with pytest.raises(UsageError, match=r"tls: .*checks certificates") as refused:
            keyless("http://127.0.0.1:1", tls=tls)
        assert refused.value.name == "tls"


def test_a_file_that_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and another text are UsageError that names the option."""
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    for path in (tmp_path / "none.pem", tmp_path, other, "a\0b", ""):
        with pytest.raises(UsageError, match="tls: ") as refused:
            keyless("http://127.0.0.1:1", tls=path)
        assert refused.value.name == "tls"


async def test_connections_come_from_the_local_address() -> None:
    """A provider that lists addresses sees the one that was chosen; a foreign one sends nothing."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername")[0])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with keyless(url, local_address="127.0.0.1") as pool:
            await pool.verify(HELD)
        async with keyless(url, local_address="192.0.2.7", attempts=1) as pool:
            with pytest.raises(NotSent, match="nothing was sent"):
                await pool.collect("keyless", **ORDER)
    assert seen == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:80", 5, b"::1", "1.2.3"])
def test_what_is_no_address_is_refused(address: Any) -> None:
    """A host's name, a port or anything else is UsageError."""
    with pytest.raises(UsageError, match=r"local_address: .*an IP address") as refused:
        keyless("http://127.0.0.1:1", local_address=address)
    assert refused.value.name == "local_address"


async def test_a_connection_of_the_caller_has_its_own_route() -> None:
    """What would be ignored beside `connection=` is UsageError."""
    given: dict[str, Any]
    for given in ({"proxy": "http://127.0.0.1:1"}, {"tls": trusting()}, {"local_address": "::1"}):
        with pytest.raises(UsageError, match="`connection` is given"):
            keyless("http://127.0.0.1:1", connection=AiohttpConnection(1.0), **given)


# From files and the environment.


def _network(pool: Pool) -> Any:
    connection: Any = pool._engine.transport.connection
    return connection._network


def test_the_route_comes_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    """The same three settings at the top of a config, and as variables of the pool."""
    own = tmp_path / "own.pem"
    own.write_bytes(AUTHORITY.cert_pem.bytes())
    route = {"proxy": "http://u:canary@127.0.0.1:1", "tls": str(own), "local_address": "::1"}
    file = tmp_path / "pool.toml"
    top = "".join(f'{name} = "{value}"\n' for name, value in route.items())
    file.write_text(f'{top}[accounts.shop]\ndriver = "campay"\naccess_token = "t"\n')
    named = {f"PAYMUX_{name.upper()}": value for name, value in route.items()}
    for pool in (
        Pool.from_config({**CONFIG, **route}),
        Pool.from_config(file),
        Pool.from_env({**VARIABLES, **named}),
    ):
        network = _network(pool)
        assert (network.proxy, network.local_address) == ("http://127.0.0.1:1", "::1")
        assert network.authorization.reveal().startswith("Basic ")
        assert isinstance(network.tls, ssl.SSLContext)
        assert "canary" not in repr(network)
    empty = Pool.from_env({**VARIABLES, "PAYMUX_PROXY": "", "PAYMUX_TLS": ""})
    assert _network(empty).proxy is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("proxy", "ftp://u:canary@h"), ("tls", "/nowhere/at/all.pem"), ("local_address", "here")],
)
def test_a_wrong_route_names_its_place(name: str, value: str) -> None:
    """The field of the file, or the variable; a password is in no text and in no frame."""
    variable = f"PAYMUX_{name.upper()}"
    makes: Mapping[str, Callable[[], Pool]] = {
        name: lambda: Pool.from_config({**CONFIG, name: value}),
        variable: lambda: Pool.from_env({**VARIABLES, variable: value}),
    }
    for place, make in makes.items():
        with pytest.raises(UsageError, match=f"{place}: ") as refused:
            make()
        assert refused.value.name == place
        assert "canary" not in variables(refused.value)
