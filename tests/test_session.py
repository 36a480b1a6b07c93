"""The connection over a session of the caller: what the pool's own keeps, it keeps as well."""

import asyncio
import inspect
import logging
import os
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp.payload import PAYLOAD_REGISTRY, Order

from paymux import NotFound, NotSent, OutcomeUnknown, Pool, Status, Unavailable, UsageError
from paymux.http import NoWebSocket, TransportError
from paymux.transport.session import SessionConnection

from . import test_aiohttp
from .test_aiohttp import HELD, ORDER, Peer, Seen, http, outgoing
from .test_push import Pushing
from .toys import Keyless

# Tests of the pool's own connection that say nothing about a session, and why.
OTHERS: Mapping[str, str] = {
    "test_a_loop_has_one_set_of_connections": "the session has one",
    "test_a_pool_closes_its_sessions_once_and_for_all": "the caller closes the session",
}
trusting = test_aiohttp.trusting
REFUSED = {
    "auth": "`auth`",
    "Authorization": "authorization",
    "Cookie": "cookie",
    "Content-Encoding": "content-encoding",
    "Expect": "expect",
    "Host": "host",
    "Proxy-Authorization": "proxy-authorization",
    "Transfer-Encoding": "transfer-encoding",
}

for _name, _test in vars(test_aiohttp).items():
    if _name.startswith("test_") and inspect.iscoroutinefunction(_test) and _name not in OTHERS:
        globals()[_name] = _test


@pytest.fixture(autouse=True)
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """Let the pools of the tests of the other file go over sessions, and close all of these."""
    sessions: list[aiohttp.ClientSession] = []

    def pool(*drivers: Any, **options: Any) -> Pool:
        if "connection" not in options:
            options["session"] = aiohttp.ClientSession()
            sessions.append(options["session"])
        return Pool(*drivers, **options)

    monkeypatch.setattr(test_aiohttp, "Pool", pool)
    yield sessions
    for session in sessions:
        await session.close()


@pytest.fixture
def session(opened: list[aiohttp.ClientSession]) -> Callable[..., aiohttp.ClientSession]:
    """Return a function that makes a session, which is closed after the test.

    The warnings of aiohttp that an option will go are ignored.
    """

    def make(kind: type[aiohttp.ClientSession] = aiohttp.ClientSession, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            opened.append(kind(**options))
        return opened[-1]

    return make


MakeSession = Callable[..., aiohttp.ClientSession]


def over(session: aiohttp.ClientSession, url: str = "http://127.0.0.1:1", **options: Any) -> Pool:
    """Return a pool of one toy account, over a session."""
    return Pool(Keyless(base_url=url), session=session, **options)


def heads(peer: Peer) -> bytes:
    """Return the heads of all requests that came, in lower case."""
    return b"".join(seen.head.lower() for seen in peer.seen)


def test_each_exception_is_a_test_of_the_other_file() -> None:
    """A test that was renamed there is not left out here by mistake."""
    assert OTHERS.keys() <= vars(test_aiohttp).keys()


# What is refused.


@pytest.mark.parametrize("name", REFUSED)
async def test_a_session_that_would_sign_or_frame_a_request_is_refused(
    name: str, session: MakeSession
) -> None:
    """A session with `auth`, or such a default header, is UsageError when the pool is made."""
    options: dict[str, Any] = {"headers": {name: "canary"}}
    if name == "auth":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            options = {"auth": aiohttp.BasicAuth("shop", "canary")}
    with pytest.raises(UsageError, match=REFUSED[name]) as refused:
        over(session(**options))
    assert refused.value.name == "session"
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "auth"])
async def test_a_header_that_is_added_later_is_refused_by_the_next_call(
    name: str, session: MakeSession
) -> None:
    """Nothing is sent with it, the reference stays free, and without it the order goes through."""
    shared = session()
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        shared.headers[name] = "canary"
        for verb in (pool.collect("keyless", **ORDER), pool.verify(HELD)):
            with pytest.raises(UsageError, match=f"session.*{REFUSED[name]}"):
                await verb
        assert peer.connections == 0
        del shared.headers[name]
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED
    assert b"canary" not in heads(peer)


async def test_a_closed_session_is_refused(session: MakeSession) -> None:
    """A session that was closed is UsageError, when the pool is made and at each call."""
    shared = session()
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        await shared.close()
        for verb in (pool.collect("keyless", **ORDER), pool.verify(HELD)):
            with pytest.raises(UsageError, match=r"session.*open"):
                await verb
        assert peer.connections == 0
    with pytest.raises(UsageError, match=r"session.*open"):
        over(shared)


def test_a_session_of_another_loop_is_refused() -> None:
    """A session belongs to the loop in which it was made; a pool in another one says so."""

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    async def use(shared: aiohttp.ClientSession, pool: Pool) -> None:
        with pytest.raises(UsageError, match=r"session.*running event loop"):
            over(shared)
        for verb in (pool.collect("keyless", **ORDER), pool.verify(HELD)):
            with pytest.raises(UsageError, match=r"session.*running event loop"):
                await verb

    loop = asyncio.new_event_loop()
    shared = loop.run_until_complete(make())
    asyncio.run(use(shared, over(shared)))
    loop.run_until_complete(shared.close())
    loop.close()


@pytest.mark.parametrize("given", ["a session", 5, aiohttp.ClientSession, object()])
def test_anything_but_a_session_is_refused(given: Any) -> None:
    """A wrong type is UsageError that names the option."""
    with pytest.raises(UsageError, match=r"session: .*an aiohttp.ClientSession") as refused:
        over(given)
    assert refused.value.name == "session"


@pytest.mark.parametrize(
    ("name", "value"),
    [("connection", None), ("proxy", "http://u:canary@127.0.0.1:1"), ("local_address", "::1")],
)
async def test_a_session_has_its_own_network(name: str, value: Any, session: MakeSession) -> None:
    """What says how connections are made is the session's own; two of both are UsageError."""
    shared = session()
    options: dict[str, Any] = {name: value or SessionConnection(shared, 1.0)}
    with pytest.raises(UsageError, match=r"(session|proxy|local_address): .*is given") as refused:
        over(shared, **options)
    assert "canary" not in str(refused.value)


def unchecked(way: str) -> Any:
    """Return an `ssl` of a connector that checks no certificate, or no host name."""
    if way == "ssl=False":
        return False
    context = ssl.create_default_context()
    test_aiohttp.AUTHORITY.configure_trust(context)
    context.check_hostname = False
    if way == "no certificate":
        context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("way", ["ssl=False", "no certificate", "no host name"])
async def test_a_session_that_checks_no_certificate_is_refused(
    way: str, session: MakeSession
) -> None:
    """It is UsageError as soon as TLS is there, as `tls=` would be, and nothing is sent."""
    shared = session(connector=aiohttp.TCPConnector(ssl=unchecked(way)))
    tls = test_aiohttp.serving("other.example")
    async with Peer(lambda _: http(), tls=tls) as peer, over(shared, peer.url) as pool:
        for verb in (pool.collect("keyless", **ORDER), pool.verify(HELD)):
            with pytest.raises(UsageError, match=r"session.*certificates"):
                await verb
        assert peer.seen == []


async def test_a_session_that_trusts_an_authority_of_its_own_is_used(session: MakeSession) -> None:
    """A context that checks may trust what its owner says, and certificates of a name are fine."""
    context = ssl.create_default_context()
    test_aiohttp.AUTHORITY.configure_trust(context)
    shared = session(connector=aiohttp.TCPConnector(ssl=context))
    tls = test_aiohttp.serving("127.0.0.1")
    async with Peer(lambda _: http(), tls=tls) as peer, over(shared, peer.url) as pool:
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
async def test_a_forked_child_does_not_use_the_session(session: MakeSession) -> None:
    """Its sockets are the parent's: a call in a child is UsageError."""
    connection = SessionConnection(session(), 1.0)
    connection.after_fork_in_child()
    with pytest.raises(UsageError, match="fork"):
        await connection.exchange(outgoing("http://127.0.0.1:1/x"))


# What is sent, and what is not.


async def test_no_cookie_of_the_session_is_sent(session: MakeSession) -> None:
    """Neither one of the caller, nor one that the provider sets, is sent to a provider."""
    shared = session(cookie_jar=aiohttp.CookieJar(unsafe=True), cookies={"canary": "1"})
    async with Peer(lambda _: http(Set_Cookie="canary=2; Path=/")) as peer:
        async with over(shared, peer.url) as pool:
            for number in range(2):
                await pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
                await pool.verify(HELD)
        assert b"cookie" not in heads(peer)
        async with shared.get(peer.url):
            assert b"cookie: canary=2" in heads(peer), "the session itself would send it"


async def test_no_password_of_a_netrc_file_is_sent(
    session: MakeSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A session with `trust_env` adds what netrc has for a host; such a request is not sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    shared = session(trust_env=True)
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        with pytest.raises(NotSent, match="authorization"):
            await pool.collect("keyless", **ORDER)
        assert peer.seen == []


async def test_a_look_up_has_no_body_and_no_length(session: MakeSession) -> None:
    """The empty payload that proves a GET's sending leaves no trace on the wire."""
    async with Peer(lambda _: http()) as peer, over(session(), peer.url) as pool:
        await pool.verify(HELD)
    assert b"content-" not in heads(peer)


async def test_default_headers_of_the_caller_are_sent(session: MakeSession) -> None:
    """A header that neither signs nor frames a request goes along, and none of ours is replaced."""
    shared = session(headers={"X-Shop": "42", "User-Agent": "shop", "Accept-Encoding": "gzip"})
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        await pool.collect("keyless", **ORDER)
    assert b"\r\nx-shop: 42\r\n" in heads(peer)
    assert b"\r\nuser-agent: paymux\r\n" in heads(peer)
    assert b"\r\naccept-encoding: identity\r\n" in heads(peer)


async def test_settings_of_the_session_change_nothing(session: MakeSession) -> None:
    """Its time-out, `raise_for_status` and middlewares are replaced by the pool's own."""

    async def slow(status: str) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.2)
        yield http(b"{}", status)

    async def refuse(*_: Any) -> Any:
        raise AssertionError("a middleware of the session was called")

    def respond(seen: Seen) -> AsyncIterator[bytes] | bytes:
        return slow("404 Not Found") if seen.target != "/collect" else http()

    shared = session(
        timeout=aiohttp.ClientTimeout(total=0.05), raise_for_status=True, middlewares=[refuse]
    )
    async with Peer(respond) as peer, over(shared, peer.url, attempts=1) as pool:
        with pytest.raises(NotFound):
            await pool.verify(HELD)
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED


async def test_a_pool_shares_no_connection_with_the_caller(session: MakeSession) -> None:
    """What the caller left on a connection meets neither an order nor a look-up."""
    shared = session()
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        for number in range(2):
            async with shared.get(f"{peer.url}/own") as answered:
                await answered.read()
            await pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
            await pool.verify(HELD)
    assert [seen.connection for seen in peer.seen] == [1, 2, 3, 1, 2, 3]


async def test_pools_over_one_session_share_no_connection(session: MakeSession) -> None:
    """What is known of a used connection is known to one pool, and no other pool uses it."""
    shared = session()
    async with (
        Peer(lambda _: http()) as peer,
        over(shared, peer.url) as first,
        over(shared, peer.url) as second,
    ):
        for number, pool in enumerate((first, second, first, second)):
            await pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
            await pool.verify(HELD)
    assert [seen.connection for seen in peer.seen] == [1, 2, 3, 4, 1, 2, 3, 4]


# What is proved of the sending.


def retrying() -> type[aiohttp.ClientSession]:
    """Return a session class of a caller that asks again after an error, or after a 5xx."""
    ask = aiohttp.ClientSession._request

    async def again(*given: Any, **options: Any) -> aiohttp.ClientResponse:
        for _ in range(2):
            try:
                answered = await ask(*given, **options)
            except aiohttp.ClientError:
                continue
            if answered.status < 500:
                return answered
            answered.close()
        return await ask(*given, **options)

    return type("Retrying", (aiohttp.ClientSession,), {"_request": again})


@pytest.mark.parametrize("said", [None, http(b"{}", "503 Busy")], ids=["cut off", "503"])
async def test_a_session_that_repeats_sends_money_once(
    said: bytes | None, session: MakeSession
) -> None:
    """A retrying session is stopped at its second try, and the outcome is unknown."""
    async with Peer(lambda _: said) as peer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp would rather not
            shared = session(retrying())
        async with over(shared, peer.url) as pool:
            with pytest.raises(OutcomeUnknown):
                await pool.collect("keyless", **ORDER)
            assert len(peer.seen) == 1
            with pytest.raises(Unavailable):
                await pool.verify(HELD)
        assert len(peer.seen) == 1 + 3, "look-ups are repeated by the pool alone"


def without_middlewares(*, hedging: bool) -> type[aiohttp.ClientSession]:
    """Return a session class that passes no middleware on, and asks twice: in turn, or at once."""
    ask = aiohttp.ClientSession._request

    async def twice(
        self: Any, method: str, url: Any, *, data: Any = None, headers: Any = None, **_: Any
    ) -> aiohttp.ClientResponse:
        first = asyncio.ensure_future(ask(self, method, url, data=data, headers=headers))
        ended = (await asyncio.wait([first], timeout=0.05 if hedging else None))[0]
        if ended and first.exception() is None:
            return first.result()
        return await ask(self, method, url, data=data, headers=headers)

    return type("Twice", (aiohttp.ClientSession,), {"_request": twice})


@pytest.mark.parametrize("hedging", [False, True], ids=["retries", "hedges"])
async def test_a_session_without_middlewares_sends_money_once(
    session: MakeSession, *, hedging: bool
) -> None:
    """Where no middleware counts the tries, the payload does: it is written once per attempt."""

    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.15)
        yield http()

    def respond(seen: Seen) -> AsyncIterator[bytes] | bytes | None:
        if seen.connection > 1:
            return http()
        return slow() if hedging else None

    async with Peer(respond) as peer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp would rather not
            shared = session(without_middlewares(hedging=hedging))
        async with over(shared, peer.url) as pool:
            with pytest.raises(OutcomeUnknown):
                await pool.collect("keyless", **ORDER)
            await asyncio.sleep(0.2)
        assert len(peer.seen) == 1


async def test_nothing_is_written_for_an_attempt_that_ended(session: MakeSession) -> None:
    """A session that asks on behind a failed call writes nothing of it afterwards."""
    ask = aiohttp.ClientSession._request
    late: list[asyncio.Task[Any]] = []

    async def behind(self: Any, method: str, url: Any, **given: Any) -> Any:
        async def later() -> Any:
            await asyncio.sleep(0.02)
            return await ask(self, method, url, data=given["data"], headers=given["headers"])

        late.append(asyncio.ensure_future(later()))
        raise aiohttp.ClientConnectionError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp would rather not
        shared = session(type("Behind", (aiohttp.ClientSession,), {"_request": behind}))
    async with Peer(lambda _: http()) as peer, over(shared, peer.url) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **ORDER)
        await asyncio.gather(*late, return_exceptions=True)
        assert peer.seen == []


async def test_an_answer_that_was_not_asked_for_is_no_answer(session: MakeSession) -> None:
    """What arrives on a kept connection before the request is written answers no request.

    The caller's tracer gives the loop time to write afterwards, and nothing is written then.
    """

    async def pause(*_: object) -> None:
        await asyncio.sleep(0)

    trace = aiohttp.TraceConfig()
    for signal in (trace.on_request_start, trace.on_connection_reuseconn, trace.on_request_end):
        signal.append(pause)
    refused = http(b'{"id": "p1", "status": "NO"}')
    async with Peer(lambda seen: refused + http() if seen.connection == 1 else refused) as peer:
        async with over(session(trace_configs=[trace]), peer.url) as pool:
            for _ in range(3):
                assert (await pool.verify(HELD)).status is Status.FAILED
                await asyncio.sleep(0.02)
        assert [seen.connection for seen in peer.seen] == [1, 2, 2]


@pytest.mark.parametrize("way", ["a request class", "a payload"])
async def test_what_others_write_counts_as_sent(
    way: str, session: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If code that is not ours writes the request, nothing proves that it was not sent."""
    options: dict[str, Any] = {}
    if way == "a payload":
        monkeypatch.setattr(PAYLOAD_REGISTRY, "_first", [])
        PAYLOAD_REGISTRY.register(aiohttp.BytesPayload, bytes, order=Order.try_first)
    else:
        options["request_class"] = type("Own", (aiohttp.ClientRequest,), {})
    async with over(session(**options)) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **ORDER)


UNCONNECTED = aiohttp.ClientConnectorError(None, OSError(1, "canary"))  # type: ignore[arg-type]
MOCKED: Mapping[str, tuple[Exception, type[Exception]]] = {
    "connection": (aiohttp.ClientConnectionError("canary"), OutcomeUnknown),
    "disconnected": (aiohttp.ServerDisconnectedError(), OutcomeUnknown),
    "time-out": (TimeoutError(), OutcomeUnknown),
    "foreign": (LookupError("canary"), OutcomeUnknown),
    "connector": (UNCONNECTED, OutcomeUnknown),
}


@pytest.mark.parametrize("case", MOCKED)
async def test_an_error_of_a_session_that_is_replaced_proves_nothing(
    case: str, session: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What replaces a session also replaces what would prove the sending: unknown, after one call.

    So also for a failed connect: it may be that of a second host, after the first was asked. Only
    of aioresponses is it known that nothing was asked before (tests/mocks/test_outcomes.py).
    """
    error, ends = MOCKED[case]
    calls: list[Any] = []

    async def mocked(_: Any, *given: Any, **options: Any) -> None:
        calls.append(options["data"])
        raise error

    monkeypatch.setattr(aiohttp.ClientSession, "_request", mocked)
    async with over(session(), attempts=1) as pool:
        with pytest.raises(ends) as raised:
            await pool.collect("keyless", **ORDER)
    assert len(calls) == 1
    assert isinstance(calls[0], bytes)
    assert b'"order-1"' in calls[0]
    assert "canary" not in str(raised.value)


async def test_a_failed_connect_of_a_second_host_proves_nothing(session: MakeSession) -> None:
    """A session that asked one host and then cannot connect to another may have sent the order."""

    async def failover(
        _: Any, method: str, url: Any, *, data: Any = None, headers: Any = None, **__: Any
    ) -> aiohttp.ClientResponse:
        async with aiohttp.ClientSession() as inner:
            try:
                return await inner.request(method, url, data=bytes(data), headers=headers)
            except aiohttp.ClientError:
                return await inner.request(method, "http://127.0.0.1:1/", data=bytes(data))

    for name in ("request", "_request"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp would rather not
            shared = session(type("Failover", (aiohttp.ClientSession,), {name: failover}))
        async with Peer(lambda _: None) as peer, over(shared, peer.url) as pool:
            with pytest.raises(OutcomeUnknown):
                await pool.collect("keyless", **ORDER)
            assert len(peer.seen) == 1


async def test_waiting_for_a_place_in_the_connector_sends_nothing(session: MakeSession) -> None:
    """While the caller's requests fill the session, an order waits, and is NotSent at last."""

    async def never() -> AsyncIterator[bytes]:
        await asyncio.get_running_loop().create_future()
        yield b""

    shared = session(connector=aiohttp.TCPConnector(limit=1))
    async with Peer(lambda _: never()) as peer, over(shared, peer.url) as pool:
        filling = asyncio.create_task(shared.get(peer.url).__aenter__())
        while not peer.seen:
            await asyncio.sleep(0)
        with pytest.raises(NotSent):
            await pool.collect("keyless", **ORDER, deadline=0.2)
        filling.cancel()
        assert [seen.target for seen in peer.seen] == ["/"]


async def test_a_pool_that_is_closed_while_it_connects_sends_nothing(
    session: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session stays open, so that the connection is made; the order is not written to it."""
    connect, connecting, go = aiohttp.TCPConnector.connect, asyncio.Event(), asyncio.Event()

    async def slow(self: aiohttp.TCPConnector, *given: Any, **named: Any) -> Any:
        connecting.set()
        await go.wait()
        return await connect(self, *given, **named)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", slow)
    shared = session()
    async with Peer(lambda _: http()) as peer:
        pool = over(shared, peer.url)
        paying = asyncio.create_task(pool.collect("keyless", **ORDER))
        await connecting.wait()
        await pool.aclose()
        go.set()
        with pytest.raises((NotSent, UsageError)):
            await paying
        assert peer.seen == []
        assert not shared.closed


async def test_a_closed_pool_leaves_the_session_to_its_owner(session: MakeSession) -> None:
    """`aclose` closes no session; the same one carries the next pool."""
    shared = session()
    async with Peer(lambda _: http()) as peer:
        for number in range(2):
            async with over(shared, peer.url) as pool:
                await pool.collect("keyless", **{**ORDER, "reference": f"o{number}"})
        assert not shared.closed


async def test_no_socket_is_opened_and_watches_poll(
    session: MakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that pushes is polled, with one record that says so, and no socket is tried."""
    caplog.set_level(logging.INFO, "paymux")
    connection = SessionConnection(session(), 1.0)
    with pytest.raises(NoWebSocket):
        await anext(connection.frames(outgoing("http://127.0.0.1:1/ws/")))
    assert issubclass(NoWebSocket, TransportError)
    async with (
        Peer(lambda _: http(b'{"id": "p1", "status": "WAIT"}')) as peer,
        Pool(Pushing(base_url=peer.url), session=session()) as pool,
    ):
        watch = pool.watch(await pool.verify("pushing", "p1"), timeout=0.2)
        with pytest.raises(TimeoutError):
            await watch
    said = [one.getMessage() for one in caplog.records if "WebSocket" in one.getMessage()]
    assert len(said) == 1
    assert all(seen.target != "/updates" for seen in peer.seen)
