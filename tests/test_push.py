"""Update sockets: a frame wakes the watch, which looks up; polling goes on in any case."""

import asyncio
import gc
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from paymux import Payment, Pool, Status, UsageError, WatchTimeout
from paymux.http import PreparedRequest, Request, Response, TransportError, get
from paymux.models import Event
from paymux.simulator import Simulator
from paymux.testing import virtual_time
from paymux.values.parsing import decode

from .toys import Desk, Keyless, Said, Toy, Wire, answer, now, timeless

WAIT = answer(id="p1", status="WAIT")
DONE = answer(id="p1", status="OK")


class Pushing(Keyless, frozen=True, kw_only=True):
    """A toy that pushes; it polls rarely, so that a test sees the effect of a frame."""

    name = "pushing"
    first_look = 60.0

    def updates_request(self) -> Request[Said]:
        return get("/updates", Said)

    def update(self, frame: str | bytes) -> Event | None:
        said = decode(Said, frame.encode(errors="replace") if isinstance(frame, str) else frame)
        if said.error == "chat":
            return None
        return Event(account=self.account, provider=self.name, claims=self.payment(said))


class Feed(Wire):
    """A wire whose sockets a test feeds; `refuse` says which attempts are refused, from 1."""

    def __init__(self, *replies: Response, refuse: Callable[[int], bool] = lambda _: False) -> None:
        super().__init__(Desk(payments=list(replies)))
        self._refuse = refuse
        self.openings: list[float] = []
        self.asked: list[PreparedRequest] = []
        self.open: list[asyncio.Queue[str | bytes | None]] = []

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        self.openings.append(now())
        self.asked.append(outgoing)
        if self._refuse(len(self.openings)):
            raise TransportError("refused")
        queue: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.open.append(queue)
        try:
            while (frame := await queue.get()) is not None:
                yield frame
        finally:
            self.open.remove(queue)

    def push(self, *frames: str | bytes | None) -> None:
        """Send frames to every open socket; None ends it."""
        for queue in self.open:
            for frame in frames:
                queue.put_nowait(frame)

    @property
    def looks(self) -> int:
        """Return how often a payment was looked up."""
        return len(self.paths("/payments/"))


def _held(account: str = "pushing", **fields: Any) -> Payment:
    """Return a young payment, so that its first poll is far away."""
    young = {"reference": "order-1", "provider_reference": "p1", "created_at": datetime.now(UTC)}
    return Payment(**{"account": account, **young, **fields})


def _frame(**fields: Any) -> str:
    return json.dumps(fields)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the jitter from pauses."""
    monkeypatch.setattr("backoff.full_jitter", lambda pause: pause)


@timeless
async def test_a_frame_wakes_the_watch_which_asks() -> None:
    """A frame about a payment causes a look-up at once, long before the next poll."""
    feed = Feed(DONE)
    async with Pool(Pushing(), connection=feed) as pool:
        waiting = asyncio.ensure_future(pool.watch(_held()))
        await asyncio.sleep(5)
        assert feed.looks == 0
        feed.push(_frame(id="p1"))
        assert (await waiting).status is Status.SUCCEEDED
        assert now() < 6
        assert feed.looks == 1
        assert feed.open == []


class Collecting(str):
    """The name of an account; comparing it runs the garbage collector."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        gc.collect()
        return str.__eq__(self, other)


@timeless
async def test_watches_may_be_collected_while_they_are_gone_through() -> None:
    """An update that names no payment wakes the account's watches, also during collection."""
    async with Pool(Keyless(), connection=Wire(lambda _: DONE)) as pool:
        kept = pool.watch(_held("keyless"), timeout=None)
        assert (await anext(kept)).status is Status.PENDING
        ring: list[Any] = [
            pool.watch(_held("keyless", provider_reference=None, ids={"token": "t"}))
        ]
        ring.append(ring)
        assert (await anext(ring[0])).status is Status.PENDING
        del ring
        began = now()
        pool._engine.watch_registry.on_push(
            Event(
                account=Collecting("keyless"), provider="keyless", claims=Payment(account="keyless")
            )
        )
        assert (await kept).status is Status.SUCCEEDED
        assert now() - began < 0.1


@timeless
async def test_a_watch_may_be_collected_in_any_thread() -> None:
    """If the journal's thread collects a watch as garbage, its socket is closed in its own loop."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        ring: list[Any] = [pool.watch(_held(), timeout=None)]
        ring.append(ring)
        await anext(ring[0])
        await asyncio.sleep(0.1)
        assert len(feed.open) == 1
        del ring
        collector = threading.Thread(target=gc.collect)
        collector.start()
        collector.join()
        assert len(feed.open) == 1
        await asyncio.sleep(0.1)
        assert feed.open == []
        assert pool._engine.watch_registry._by_key == {}


@timeless
async def test_a_frame_is_a_hint_and_nothing_more() -> None:
    """A frame that claims success changes nothing: the look-up says that it is pending."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        watch = pool.watch(_held(), timeout=30)
        await anext(watch)
        following = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(1)
        feed.push(_frame(id="p1", status="OK", amount="500", receipt="stolen"))
        assert (await following).status is Status.PENDING
        assert feed.looks == 1
        with pytest.raises(WatchTimeout) as late:
            await watch
        assert late.value.payment.receipt is None
        assert late.value.payment.amount is None


@timeless
async def test_a_frame_wakes_only_whom_it_is_about() -> None:
    """A frame about another payment wakes no watch; one without a payment wakes all."""
    feed = Feed(answer(status="WAIT"))
    async with Pool(Pushing(), Pushing(account="other"), connection=feed) as pool:
        held = [
            _held(provider_reference="p1", reference="order-1", provider_status="WAIT"),
            _held(provider_reference="p2", reference="order-2", provider_status="WAIT"),
            _held("other", provider_status="WAIT"),
        ]
        watches = [pool.watch(payment) for payment in held]
        await asyncio.gather(*(anext(watch) for watch in watches))
        steps = [asyncio.ensure_future(anext(watch)) for watch in watches]
        await asyncio.sleep(1)
        assert len(feed.open) == 2
        feed.open[0].put_nowait(_frame(id="p9"))
        feed.open[0].put_nowait(_frame(error="chat"))
        await asyncio.sleep(1)
        assert feed.looks == 0
        feed.open[0].put_nowait(_frame(id="p2"))
        await asyncio.sleep(1)
        assert feed.paths("/payments/") == ["/payments/p2"]
        feed.open[0].put_nowait(_frame(status="OK"))
        await asyncio.sleep(0.1)  # its next poll comes 1.5 seconds after the look-up, or later
        assert sorted(feed.paths("/payments/")) == ["/payments/p1", "/payments/p2", "/payments/p2"]
        for step in steps:
            step.cancel()
        await asyncio.gather(*steps, return_exceptions=True)


@timeless
async def test_a_flood_of_frames_costs_a_look_up_a_second() -> None:
    """However often a provider pushes, a watch looks up once a second at most."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        watching = asyncio.ensure_future(pool.watch(_held(), timeout=20))
        for _ in range(100):
            await asyncio.sleep(0.1)
            feed.push(*[_frame(id="p1")] * 100)
        assert 5 <= feed.looks <= 11
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@timeless
async def test_one_socket_serves_all_watches_of_an_account() -> None:
    """Fifty watches open one socket, which closes with the last of them."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        watches = [
            pool.watch(_held(provider_reference=f"p{n}", reference=f"order-{n}")) for n in range(50)
        ]
        for watch in watches:
            await anext(watch)
        await asyncio.sleep(1)
        assert (len(feed.openings), len(feed.open)) == (1, 1)
        for watch in watches[1:]:
            await watch.aclose()
        await asyncio.sleep(1)
        assert len(feed.open) == 1
        await watches[0].aclose()
        await asyncio.sleep(1)
        assert (len(feed.openings), len(feed.open)) == (1, 0)


@timeless
async def test_a_watch_that_follows_at_once_has_a_socket_too() -> None:
    """If one watch ends and another begins in the same step, the account has a socket."""
    feed = Feed(DONE, WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        asyncio.get_running_loop().call_later(1, feed.push, _frame(id="p1"))
        await pool.watch(_held())
        later = pool.watch(_held(provider_reference="p2", reference="order-2"))
        await anext(later)
        await asyncio.sleep(5)
        assert len(feed.open) == 1
        await later.aclose()


@timeless
async def test_a_payment_that_is_over_opens_no_socket() -> None:
    """A watch of a terminal payment opens no socket, nor does a watch without a step."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        await pool.watch(_held(status=Status.SUCCEEDED))
        idle = pool.watch(_held())
        await asyncio.sleep(5)
        assert feed.openings == []
        await idle.aclose()


@timeless
async def test_a_driver_that_is_not_pushed_to_opens_no_socket() -> None:
    """A driver without updates is polled, and nothing else."""
    feed = Feed(DONE)
    async with Pool(Keyless(), connection=feed) as pool:
        await pool.watch(_held("keyless"))
    assert feed.openings == []


@timeless
async def test_breaking_off_leaves_no_task_and_no_socket() -> None:
    """A `break`, a cancelled await and a closed pool each close the socket, and leave no task."""
    feed = Feed(WAIT)
    async with Pool(Pushing(), connection=feed) as pool:
        async for _ in pool.watch(_held()):
            await asyncio.sleep(1)
            assert len(feed.open) == 1
            break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert feed.open == []
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.watch(_held()), 5)
        await asyncio.sleep(0)
        assert feed.open == []
        closed = asyncio.ensure_future(pool.watch(_held()))
        await asyncio.sleep(1)
        assert len(feed.open) == 1
        await pool.aclose()
        with pytest.raises(UsageError, match="closed"):
            await closed
    assert feed.open == []


@pytest.mark.usefixtures("steady")
@timeless
async def test_a_broken_socket_is_opened_again_after_growing_pauses() -> None:
    """A refused socket is tried again after 1, 2, 4, … at most 30 s; a frame resets this."""
    feed = Feed(WAIT, refuse=lambda count: count <= 7)
    async with Pool(Pushing(), connection=feed) as pool:
        watch = pool.watch(_held(), timeout=600)
        await anext(watch)
        step = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(200)
        assert [round(opening) for opening in feed.openings] == [0, 1, 3, 7, 15, 31, 61, 91]
        feed.push(_frame(id="p9"), None)
        await asyncio.sleep(1.5)
        assert round(feed.openings[-1] - 200) == 1
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        await watch.aclose()


@timeless
async def test_pauses_are_jittered() -> None:
    """Clients that lost their sockets together do not reconnect together."""
    feed = Feed(WAIT, refuse=lambda _: True)
    async with Pool(*(Pushing(account=f"a{n}") for n in range(20)), connection=feed) as pool:
        watches = [pool.watch(_held(f"a{n}")) for n in range(20)]
        for watch in watches:
            await anext(watch)
        await asyncio.sleep(1.1)
        again = {round(opening, 3) for opening in feed.openings[20:]}
        assert len(again) > 10
        for watch in watches:
            await watch.aclose()


@timeless
async def test_polling_goes_on_where_the_socket_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a socket the watch ends by polling, and the log gives the reason for late news."""
    caplog.set_level(logging.INFO, "paymux")
    feed = Feed(WAIT, WAIT, DONE, refuse=lambda _: True)
    async with Pool(Pushing(), connection=feed) as pool:
        assert (await pool.watch(_held())).status is Status.SUCCEEDED
    assert feed.looks == 3
    assert "pushing: the update socket broke: refused" in caplog.text


class Renewed(Toy, frozen=True, kw_only=True):
    """A toy that logs in before it opens its socket."""

    name = "renewed"
    first_look = 60.0
    updates_request = Pushing.updates_request
    update = Pushing.update


@timeless
async def test_a_socket_is_signed_like_any_request() -> None:
    """The socket's request has the account's token; a failed login is tried again."""
    replies: dict[str, Any] = {"login": [answer(500), answer(500), answer(500), answer(token="t1")]}

    class Locked(Feed):
        def __init__(self) -> None:
            super().__init__()
            self._respond = Desk(payments=[WAIT], **replies)

    feed = Locked()
    async with Pool(Renewed(), connection=feed) as pool:
        watch = pool.watch(_held("renewed"), timeout=300)
        await anext(watch)
        step = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(50)
        assert [outgoing.headers["Authorization"] for outgoing in feed.asked] == ["Bearer t1"]
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        await watch.aclose()


HOSTILE: list[str | bytes] = [
    *(
        "",
        " ",
        "null",
        "[]",
        "{}",
        "5",
        '"x"',
        "{",
        "<html>",
        "\x00",
        "\ud800",
        "{" * 5000,
        '{"a":' * 5000,
    ),
    *(
        b"",
        b"\xff\xfe",
        b"\x00" * 1000,
        b'{"id": "\\ud800"}',
        b'{"id": {}}',
        b'{"id": 1e999}',
        b'{"id": []}',
    ),
    _frame(id="x" * 10_000),
    _frame(id="p1", amount="1E+1000000"),
    _frame(type="PAYMENT_UPDATE", payload={"transaction_id": ["p1"]}),
    _frame(type="PAYMENT_UPDATE", payload=[]),
    _frame(type="PAYMENT_UPDATE", payload={"amount": "NaN"}),
    _frame(type=5),
    _frame(type="PAYMENT_UPDATE", payload={"status": "x" * 9000}),
]


@pytest.mark.parametrize("name", ["pushing", "mpesa_gateway"])
@timeless
async def test_hostile_frames_are_ignored(name: str) -> None:
    """After any frame the listener goes on, and the next good frame wakes the watch."""
    sim = Simulator()
    driver = Pushing() if name == "pushing" else sim.driver("mpesa_gateway")
    feed = Feed()
    feed._respond = lambda _: answer(id="p1", status="pending", message="Payment pending")
    async with Pool(driver, connection=feed) as pool:
        held = _held(name, reference="12", provider_reference="p1")
        step = asyncio.ensure_future(pool.watch(held))
        await asyncio.sleep(0.1)
        feed.push(*HOSTILE)
        await asyncio.sleep(0.1)
        assert (len(feed.openings), len(feed.open)) == (1, 1)
        feed._respond = lambda _: answer(id="p1", status="OK" if name == "pushing" else "completed")
        feed.push(_frame(id="p1", type="PAYMENT_UPDATE", transaction_id="p1"))
        assert (await step).status is Status.SUCCEEDED
        assert now() < 3


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


async def _collected(pool: Pool, reference: str = "12") -> Payment:
    return await pool.collect(
        "mpesa_gateway", amount=100, currency="KES", payer="254711000006", reference=reference
    )


@pytest.mark.parametrize("query", ["", "token"])
async def test_a_gateway_pushes_over_a_real_socket(query: str) -> None:
    """The gateway's frame ends a watch well before its first poll."""
    async with Simulator() as sim, Pool(sim.driver("mpesa_gateway", updates_query=query)) as pool:
        payment = await _collected(pool)
        began = asyncio.get_running_loop().time()
        waiting = asyncio.ensure_future(pool.watch(payment))
        await _until(lambda: sim.core._listeners.get("mpesa_gateway"))
        sim.settle("12", Status.SUCCEEDED)
        ended = await waiting
        assert ended.status is Status.SUCCEEDED
        assert asyncio.get_running_loop().time() - began < 1.0  # the first poll is due after 2
        assert len(sim.received("mpesa_gateway", "POST /api/payment/verify/")) == 1
        await _until(lambda: not sim.core._listeners.get("mpesa_gateway"))
        assert not any("Updates._listen" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_gateway_that_refuses_the_socket_is_polled() -> None:
    """If the gateway has no socket at that path, the watch ends by polling."""
    async with (
        virtual_time(),
        Simulator() as sim,
        Pool(sim.driver("mpesa_gateway", updates_path="/elsewhere/")) as pool,
    ):
        payment = await _collected(pool)
        asyncio.get_running_loop().call_later(0.2, sim.settle, "12", Status.SUCCEEDED)
        assert (await pool.watch(payment, timeout=20)).status is Status.SUCCEEDED


class Gateway:
    """A server that answers look-ups with "pending", and whose sockets a test controls."""

    def __init__(self, speak: Callable[[web.WebSocketResponse, int], Any]) -> None:
        self._speak = speak
        self.sockets = self.looks = 0

    async def __aenter__(self) -> str:
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return "http://{}:{}".format(*self._runner.addresses[0])

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() != "websocket":
            self.looks += 1
            return web.json_response({"status": "pending", "message": "Payment pending"})
        self.sockets += 1
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        await self._speak(socket, self.sockets)
        await socket.close()
        return socket


async def _cut(socket: web.WebSocketResponse, count: int) -> None:
    if count < 3:
        return
    await socket.send_str(_frame(type="PAYMENT_UPDATE", transaction_id="TXN1"))
    await asyncio.sleep(5)


async def _huge(socket: web.WebSocketResponse, count: int) -> None:
    if count < 3:
        await socket.send_str("x" * 100_000)
        return
    await _cut(socket, count)


@pytest.mark.parametrize("speak", [_cut, _huge])
async def test_a_real_socket_that_ends_is_opened_again(
    speak: Callable[[web.WebSocketResponse, int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the gateway closes, or sends too large a frame, the socket is opened again."""
    monkeypatch.setattr("backoff.full_jitter", lambda _: 0.02)
    gateway = Gateway(speak)
    async with gateway as url:
        driver = Simulator().driver("mpesa_gateway", base_url=url)
        async with Pool(driver) as pool:
            held = _held("mpesa_gateway", reference="12", provider_reference="TXN1")
            watch = pool.watch(held, timeout=30)
            await anext(watch)
            step = asyncio.ensure_future(anext(watch))
            await _until(lambda: gateway.looks)
            assert gateway.sockets == 3
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            await watch.aclose()


async def test_frames_end_when_their_reader_goes() -> None:
    """Closing the frames of a connection closes the socket at once."""
    async with Simulator() as sim, Pool(sim.driver("mpesa_gateway")) as pool:
        frames = pool._engine.transport.frames(sim.driver("mpesa_gateway"))  # type: ignore[arg-type]
        async with aclosing(frames):
            step = asyncio.ensure_future(anext(frames))
            await _until(lambda: sim.core._listeners.get("mpesa_gateway"))
            sim.mpesa_gateway.push("hello")
            assert await step == "hello"
        await _until(lambda: not sim.core._listeners.get("mpesa_gateway"))
