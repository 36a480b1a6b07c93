"""Each rule of who may speak with the simulator, with raw sockets."""

import asyncio
import errno
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from paymux.errors import UsageError
from paymux.http import WebhookRequest
from paymux.simulator import Simulator
from paymux.simulator.control.security import refuses_decision
from paymux.simulator.http_server import HttpServer

from .controlling import api, call, events

HOST = "127.0.0.1:8765"
CAMPAY = "Token simulator"
PATHS = ["/", "/_paymux/health", "/_paymux/events", "/campay/api/balance/", "/w/t1/_paymux/health"]


def has_ipv6() -> bool:
    """Return whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as found:
            found.bind(("::1", 0))
    except OSError:
        return False
    return True


def decision(**headers: str) -> int | None:
    """Send a checkout's decision with these headers; the status of its refusal, or None."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = WebhookRequest(method="POST", path="/pay/1", headers={"host": HOST, **named})
    refusal = refuses_decision(request)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"},
        {"origin": f"http://{HOST}"},
        {"origin": "null", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_a_decision_of_our_own_page_is_taken(headers: dict[str, str]) -> None:
    """A page of ours, also one that hides its address, and a program that is no browser, decide."""
    assert decision(**headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000", "sec_fetch_site": "same-site"},
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site"},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-site"},
    ],
)
def test_a_decision_of_another_page_is_refused(headers: dict[str, str]) -> None:
    """A page on another port or host, and one that hides where it is from, decide nothing."""
    assert decision(**headers) == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    ["evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "localhost.evil.example:{port}", None],
)
async def test_a_rebound_name_reaches_nothing(host: str | None, path: str) -> None:
    """A page whose name was rebound to this machine gets 403 for page, API and providers alike."""
    async with Simulator() as sim:
        given = host and host.format(port=urlsplit(sim.url).port)
        answer = await call(sim, "GET", path, host=given)
        # Without any Host, the server refuses the request itself.
        assert answer.status == 403 if host else answer.status in (400, 403)
        assert sim.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
async def test_this_machine_is_known_by_its_names(host: str) -> None:
    """The three names of this machine are answered, with our port."""
    async with Simulator() as sim:
        named = f"{host}:{urlsplit(sim.url).port}"
        assert (await api(sim, "GET", "health", host=named)).status == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("simulator", "simulator:8765", 200),
        ("simulator", "simulator", 200),
        (["a", "simulator:8765"], "simulator:8765", 200),
        ("simulator:8765", "simulator:8766", 403),
        ("simulator", "evil.simulator", 403),
    ],
)
async def test_a_name_may_be_allowed(allowed: str | list[str], host: str, status: int) -> None:
    """`allow_host` adds names, for every port or for one: in a compose file it is `simulator`."""
    async with Simulator(allow_host=allowed) as sim:
        assert (await api(sim, "GET", "health", host=host)).status == status


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_it_listens_on_ipv6_too() -> None:
    """`localhost` may be ::1: the same port answers there."""
    async with Simulator() as sim:
        answer = await api(sim, "GET", "health", to="::1", host=f"[::1]:{urlsplit(sim.url).port}")
        assert answer.json["status"] == "ready"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_a_port_is_free_on_both_or_taken() -> None:
    """A chosen port that another program has on ::1 is an error: `localhost` would lead there."""
    other = await asyncio.start_server(lambda reader, writer: writer.close(), "::1", 0)
    async with other:
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="address already in use"):
            await Simulator(port=port).__aenter__()


SITES = [
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"origin": "http://127.0.0.1:3000"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
]


@pytest.mark.parametrize("headers", SITES)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "payments"),
        ("GET", "events"),
        ("GET", "env"),
        ("POST", "reset"),
        ("DELETE", "faults"),
    ],
)
async def test_another_page_cannot_call(method: str, path: str, headers: dict[str, str]) -> None:
    """A form, fetch, image or EventSource of a page on another port or host is 403."""
    async with Simulator() as sim:
        answer = await api(sim, method, path, **headers)
        assert answer.status == answer.json["status"] == 403
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(("method", "path"), [("POST", "reset"), ("PATCH", "settings")])
async def test_an_unsafe_method_wants_json(method: str, path: str, kind: str | None) -> None:
    """What a form can send without asking is 415, also from a browser without these headers."""
    async with Simulator() as sim:
        answer = await api(sim, method, path, {"seed": 1}, content_type=kind)
        assert (answer.status, answer.json["field"]) == (415, "content-type")


async def test_an_origin_may_be_allowed() -> None:
    """`cors` lets a front end's page read the API and the events, and asks before it sends."""
    shop = "http://localhost:3000"
    async with Simulator(cors=shop) as sim:
        asked = await api(sim, "OPTIONS", "reset", origin=shop, sec_fetch_site="same-site")
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, shop)
        assert "content-type" in asked.headers["access-control-allow-headers"]
        done = await api(sim, "POST", "reset", origin=shop, sec_fetch_site="same-site")
        assert (done.status, done.headers["access-control-allow-origin"]) == (200, shop)
        async with events(sim, origin=shop, sec_fetch_site="cross-site") as stream:
            assert [one["type"] for one in await stream.next()] == ["hello"]
        other = await api(sim, "POST", "reset", origin="http://localhost:3001")
        assert (other.status, other.headers.get("access-control-allow-origin")) == (403, None)


async def test_no_page_keeps_frames_or_guesses_an_answer() -> None:
    """Every answer of the API says what a browser may do with it: nothing."""
    async with Simulator() as sim:
        for path in ("health", "nothing"):
            headers = (await api(sim, "GET", path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_off_loopback_a_token_is_wanted() -> None:
    """With `host`, the API and the page want the token; the providers do not, nor does health."""
    async with Simulator(host="0.0.0.0") as sim:  # noqa: S104 - the test is about it
        token = sim.access.token
        assert token
        assert len(token) >= 32
        assert sim.url.startswith("http://127.0.0.1:")
        assert (await api(sim, "GET", "payments")).status == 401
        assert (await api(sim, "GET", "events")).status == 401
        assert (await api(sim, "GET", "payments", authorization="Bearer wrong")).status == 401
        assert (await api(sim, "GET", "payments", authorization=f"Bearer {token}")).status == 200
        cookie = f"a=b; {sim.access.cookie}={token}"
        assert (await api(sim, "GET", "payments", cookie=cookie)).status == 200
        assert (await api(sim, "GET", "health")).status == 200
        assert (await call(sim, "GET", "/campay/api/balance/")).status == 401  # CamPay's own word
        assert (await call(sim, "GET", "/campay/api/balance/", authorization=CAMPAY)).status == 200


async def test_a_token_is_new_at_each_start() -> None:
    """An old address opens nothing; on loopback there is no token."""
    first, second = Simulator(host="0.0.0.0"), Simulator(host="0.0.0.0")  # noqa: S104
    assert first.access.token != second.access.token
    assert Simulator().access.token is Simulator(host="127.0.0.1").access.token is None


@pytest.mark.parametrize(
    "path", ["/_paymux/payments/..%2f..%2fetc%2fpasswd", "/_paymux/page/x", "/_paymux/../x"]
)
async def test_no_path_reads_a_file(path: str) -> None:
    """The page is a fixed list of files; any other path is 404."""
    async with Simulator() as sim:
        assert (await call(sim, "GET", path)).status == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "a b"},
        {"host": ""},
        {"allow_host": ["http://x"]},
        {"allow_host": 7},
        {"webhook_host": [None]},
        {"cors": "localhost:3000"},
        {"cors": "*"},
        {"cors": "http://x/y"},
    ],
)
def test_what_would_open_too_much_is_refused(fields: dict[str, Any]) -> None:
    """A host, a name or an origin that is none is UsageError, before anything listens."""
    with pytest.raises(UsageError, match=f"^{next(iter(fields))}: "):
        Simulator(**fields)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put files in the place of the page's own."""
    files = {name: name.encode() for name in ("index.html", "page.css", "page.js", "words.js")}
    monkeypatch.setattr("paymux.simulator.control.page._read", lambda: files)


CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("mount", ["", "/w/t1"])
async def test_the_page_is_a_fixed_list_of_files(mount: str) -> None:
    """Each has its type and the strict policy; another name, or a method that changes, is 404."""
    async with Simulator() as sim:
        sim.world("t1")
        for path, kind in (
            ("/", "text/html"),
            ("/_paymux/", "text/html"),
            ("/_paymux/page.css", "text/css"),
            ("/_paymux/page.js", "text/javascript"),
            ("/_paymux/words.js", "text/javascript"),
        ):
            answer = await call(sim, "GET", f"{mount}{path}", sec_fetch_site="cross-site")
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["content-security-policy"] == CSP
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert (await call(sim, "GET", f"{mount}/_paymux/page.txt")).status == 404
        assert (await call(sim, "POST", f"{mount}/", {})).status == 404


async def test_a_browsers_wish_for_an_icon_is_no_request_to_a_provider() -> None:
    """It is neither logged nor an error on the page."""
    async with Simulator() as sim:
        assert (await call(sim, "GET", "/favicon.ico")).status == 204
        assert sim.requests == []


@pytest.mark.usefixtures("page")
async def test_a_provider_at_the_root_leaves_the_page_below_paymux() -> None:
    """The root is the provider's, and the page is still there."""
    async with Simulator(root="campay") as sim:
        assert (await call(sim, "GET", "/api/balance/", authorization=CAMPAY)).status == 200
        assert (await call(sim, "GET", "/")).headers["content-type"] == "application/json"
        assert (await call(sim, "GET", "/_paymux/")).body == b"index.html"


@pytest.mark.usefixtures("page")
async def test_the_printed_address_opens_the_page() -> None:
    """Its token becomes a cookie that no page can read or send from elsewhere; then it is gone."""
    async with Simulator(host="0.0.0.0") as sim:  # noqa: S104 - the test is about it
        assert (await call(sim, "GET", "/")).status == 401
        assert (await call(sim, "GET", "/?token=wrong")).status == 401
        opened = await call(sim, "GET", f"/?token={sim.access.token}")
        assert (opened.status, opened.headers["location"]) == (303, "/")
        cookie, *rules = opened.headers["set-cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rules)
        assert (await call(sim, "GET", "/", cookie=cookie)).body == b"index.html"
        assert (await api(sim, "GET", "payments", cookie=cookie)).status == 200
        assert (await call(sim, "GET", "/_paymux/page.js")).status == 401


async def test_a_free_port_is_free_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may have the drawn port on ::1: then another one is drawn."""
    drawn = HttpServer._listen_on
    tries: list[int] = []

    async def listen_on(self: HttpServer, runner: web.ServerRunner, port: int) -> str:
        tries.append(port)
        if len(tries) < 3:
            raise OSError(errno.EADDRINUSE, "in use")
        return await drawn(self, runner, port)

    monkeypatch.setattr(HttpServer, "_listen_on", listen_on)
    async with Simulator() as sim:
        assert (await api(sim, "GET", "health")).status == 200
    assert tries == [0, 0, 0]
