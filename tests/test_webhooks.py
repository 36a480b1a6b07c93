"""Webhooks: with any server, a message is answered as its provider wants, and ends delivered."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from aiohttp import web

import paymux.webhooks.processing
from paymux import Event, Mpesa, Payment, Pool, Status, UsageError, WebhookRequest
from paymux.drivers.base import WEBHOOK_BYTES, Driver
from paymux.http import PreparedRequest, Response
from paymux.journal.sqlite import SqliteJournal
from paymux.journal.stored.writer import Writer
from paymux.journal.work import Work
from paymux.simulator import Simulator
from paymux.simulator.messages import Message
from paymux.testing import virtual_time
from paymux.webhooks import Webhooks

from .driving import sample
from .toys import BASE, KEY, Desk, Keyless, Toy, Wire, answer, eagerly, now, push, timeless

ROOT = Path(__file__).parents[1]
PROVIDERS = ("campay", "cinetpay", "intram", "mpesa", "mpesa_gateway", "paydunya")
OK = (200, b"OK")
ACCEPTED = (200, b'{"ResultCode":0,"ResultDesc":"Accepted"}')


class Again(Keyless, frozen=True, kw_only=True):
    """A toy whose provider repeats a message that was not answered with 2xx."""

    redelivers: ClassVar[bool] = True


class Shop:
    """An application that gets payments; each of `troubles` happens at one of its first calls."""

    def __init__(self, *troubles: Callable[[], Awaitable[None]]) -> None:
        self.told: list[tuple[str | None, Status]] = []
        self.calls = 0
        self._troubles = list(troubles)

    async def __call__(self, payment: Payment) -> None:
        self.calls += 1
        if self._troubles:
            await self._troubles.pop(0)()
        self.told.append((payment.reference or payment.provider_reference, payment.status))


def toy(
    shop: Callable[[Payment], Awaitable[None]], *, driver: Driver | None = None, **more: Any
) -> Webhooks:
    """Return the webhooks of a pool with one toy account; `desk` answers for the provider."""
    desk = more.pop("desk", None) or Desk(payments=paid())
    wire = more.pop("wire", None) or Wire(desk)
    pool = Pool(
        driver or Keyless(account="toy"),
        connection=wire,
        webhook_base=BASE,
        webhook_key=KEY,
        journal=more.pop("journal", None),
    )
    return Webhooks(pool, shop, **more)


def paid(status: str = "OK", **more: Any) -> Response:
    """Return the toy provider's answer about a payment."""
    return answer(
        id="id-1", reference="order-1", status=status, amount="500", currency="XAF", **more
    )


@contextlib.asynccontextmanager
async def opened(hooks: Webhooks) -> AsyncIterator[Pool]:
    """Open the webhooks and their pool."""
    async with hooks._pool as pool, hooks:
        yield pool


def told_of(hooks: Webhooks, **fields: Any) -> WebhookRequest:
    """Return the toy's message about order-1, on the order's own path."""
    return push(
        path=hooks._pool.webhook_url("toy", "order-1"), **{"id": "id-1", "status": "OK", **fields}
    )


async def asgi(
    hooks: Webhooks,
    incoming: WebhookRequest,
    *,
    chunks: Iterable[bytes | None] | None = None,
    lines: Iterable[tuple[bytes, bytes]] = (),
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Serve one request without a server.

    A chunk of None is a client that disconnects; after the last chunk the client waits.
    """
    headers = [(name.encode(), value.encode()) for name, value in incoming.headers.items()]
    scope = {
        "type": "http",
        "method": incoming.method,
        "path": incoming.path,
        "query_string": incoming.query.encode(),
        "headers": [*headers, *lines],
        "client": incoming.peer and (incoming.peer, 4711),
    }
    waiting = iter(chunks) if chunks is not None else iter([incoming.body, b""])
    sent: list[dict[str, Any]] = []
    whole = chunks is None

    async def receive() -> dict[str, Any]:
        chunk = next(waiting, b"never")
        if chunk == b"never":
            await asyncio.get_running_loop().create_future()
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": not whole or chunk != b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await hooks(scope, receive, send)
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def sent_by(message: Message, **more: Any) -> WebhookRequest:
    """Return a provider's message as a request."""
    path, _, query = message.url.partition("?")
    return WebhookRequest(
        method=message.method,
        path=path,
        query=query,
        headers=message.headers,
        body=message.body,
        **more,
    )


class Street:
    """Every simulated provider, a pool with all of them, and the answers of its webhooks."""

    def __init__(self, shop: Shop, **more: Any) -> None:
        self.sim = Simulator()
        drivers = [self.sim.driver(name) for name in PROVIDERS]
        pool = Pool(*drivers, connection=self.sim.connection, webhook_base=BASE, webhook_key=KEY)
        self.hooks = Webhooks(pool, shop, **more)
        self.pool = pool
        self.replies: list[Response] = []
        self.sim.campay.webhook_url = pool.webhook_url("campay")
        self.sim.mpesa_gateway.webhook_url = pool.webhook_url("mpesa_gateway")
        self.sim.on_webhook(self.receive)

    async def receive(self, incoming: WebhookRequest) -> Response:
        status, _, body = await asgi(self.hooks, incoming)
        self.replies.append(Response(status=status, body=body))
        return self.replies[-1]

    async def collect(self, name: str) -> Payment:
        """Collect 500 at a provider."""
        driver = self.pool.drivers[name]
        wanted = {
            "description": "Data",
            "return_url": "https://s.example/t",
            "cancel_url": "https://s.example/c",
        }
        options: Any = {key: value for key, value in wanted.items() if key in driver.takes}
        if driver.payer == "required":
            # These payers never answer: the test decides.
            options["payer"] = "237677777774" if name == "campay" else "254708374144"
        (currency, *_) = sorted(driver.own_currencies)
        return await self.pool.collect(
            name, amount=500, currency=currency, reference="1009", **options
        )


@pytest.mark.parametrize("name", PROVIDERS)
@timeless
async def test_each_provider_is_answered_in_its_own_way(name: str) -> None:
    """A simulator's message is answered as its provider wants, after the end was delivered."""
    shop = Shop()
    street = Street(shop)
    # The gateway's message names the order by other ids, which an open watch knows.
    async with opened(street.hooks), street.pool.watch(await street.collect(name)) as watch:
        await anext(watch)
        street.sim.settle("1009", Status.SUCCEEDED)
        await asyncio.sleep(1.5)
    assert {(one.status, one.body) for one in street.replies} == {
        ACCEPTED if name == "mpesa" else OK
    }
    assert [status for _, status in shop.told] == [Status.SUCCEEDED]


@pytest.mark.parametrize("name", PROVIDERS)
@timeless
async def test_a_forged_success_pays_nothing(name: str) -> None:
    """A forged success of an unpaid order never makes it paid, on any callback path."""
    shop = Shop()
    street = Street(shop)
    async with opened(street.hooks):
        payment = await street.collect(name)
        (entry,) = street.sim.ledger.entries("1009")
        forged = street.sim.providers[name].message(entry, forged=True)
        assert forged is not None
        for url in (
            forged.url,
            street.pool.webhook_url(name),
            street.pool.webhook_url(name, "1009"),
        ):
            query = forged.url.partition("?")[2]
            message = msgspec.structs.replace(
                forged, url=f"{url.partition('?')[0]}?{query}".rstrip("?")
            )
            status, _, _ = await asgi(street.hooks, sent_by(message))
            assert status in (200, 400)
        await asyncio.sleep(600)
        assert (await street.pool.verify(payment)).status is Status.PENDING
    assert shop.told == []


@timeless
async def test_a_get_callback_is_a_message_like_any_other() -> None:
    """CamPay's callback may be a GET with all fields in its query."""
    shop = Shop()
    street = Street(shop)
    street.sim.campay.webhook_method = "GET"
    async with opened(street.hooks):
        await street.collect("campay")
        street.sim.settle("1009", Status.FAILED)
        await asyncio.sleep(2)
    assert [(one.status, one.body) for one in street.replies] == [OK]
    assert shop.told == [("1009", Status.FAILED)]


def validated(verdict: Any) -> Callable[[Event], Awaitable[Any]]:
    """Return an `on_validate` that returns this verdict, raises it, or never answers."""

    async def on_validate(event: Event) -> Any:
        assert str(event.claims.amount) == "5.00"
        if isinstance(verdict, BaseException):
            raise verdict
        return await asyncio.sleep(3600) if verdict == "silence" else verdict

    return on_validate


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (True, "0"),
        (False, "C2B00016"),
        ("C2B00012", "C2B00012"),
        ("sold out", "C2B00016"),
        (None, "C2B00016"),
        (1, "C2B00016"),
        (ValueError("boom"), "C2B00016"),
        (asyncio.CancelledError(), "C2B00016"),
        ("silence", "C2B00016"),
        (..., "0"),
    ],
)
@timeless
async def test_a_c2b_validation_is_the_shops_to_answer(verdict: Any, code: str) -> None:
    """`on_validate` accepts or refuses within 8 s; if it fails, refused; without it, accepted."""
    shop, more = Shop(), {} if verdict is ... else {"on_validate": validated(verdict)}
    street = Street(shop, timeout=30.0, **more)
    message = Message.json(street.pool.webhook_url("mpesa"), sample("mpesa", "c2b_validation"))
    async with opened(street.hooks):
        status, headers, body = await asgi(street.hooks, sent_by(message))
        assert now() < 8.0
        assert street.sim.requests == []
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert json.loads(body) == {
        "ResultCode": code,
        "ResultDesc": "Accepted" if code == "0" else "Rejected",
    }
    assert shop.calls == 0


@pytest.mark.parametrize(("verdict", "charged"), [(True, 40), (False, 0)])
@timeless
async def test_a_refused_c2b_payment_charges_nobody(verdict: bool, charged: int) -> None:
    """The simulated Safaricom obeys `on_validate`; a confirmation is always accepted."""
    from .simulator.test_mpesa import PAID  # noqa: PLC0415 - the C2B payment of that test

    async def on_validate(event: Event) -> bool:
        return verdict

    street = Street(Shop(), on_validate=on_validate)
    url = street.pool.webhook_url("mpesa")
    register = {
        "ShortCode": PAID["ShortCode"],
        "ResponseType": "Completed",
        "ConfirmationURL": url,
        "ValidationURL": url,
    }
    street.sim.mpesa.c2b.register(register)
    async with opened(street.hooks):
        street.sim.mpesa.c2b.simulate({**PAID, "Amount": "40"})
        await asyncio.sleep(1)
    (entry,) = street.sim.mpesa.entries()
    assert street.sim.ledger.charged(entry.provider_reference) == charged
    assert {one.status for one in street.replies} == {200}
    assert len(street.replies) == (2 if verdict else 1)


def test_acknowledgements_are_the_documented_bodies() -> None:
    """A callback and a confirmation get Daraja's result, other messages a plain 200."""
    mpesa = Mpesa(consumer_key="k", consumer_secret="s", shortcode="174379", passkey="p")
    heard = {
        case: mpesa.webhook(WebhookRequest(body=json.dumps(sample("mpesa", case)).encode()))
        for case in ("c2b_validation", "c2b_confirmation", "callback_bare")
    }
    assert [heard[case].ping for case in heard] == [True, False, False]
    told = mpesa.acknowledge(heard["c2b_validation"])
    assert json.loads(told.body) == sample("mpesa", "c2b_accepted")
    told = mpesa.acknowledge(heard["c2b_validation"], "C2B00012")
    assert json.loads(told.body) == sample("mpesa", "c2b_rejected")
    for case in ("c2b_confirmation", "callback_bare"):
        for refused in ("", "C2B00012"):
            told = mpesa.acknowledge(heard[case], refused)
            assert (told.status, told.body) == ACCEPTED
    plain = Toy().acknowledge(Event(claims=Payment(account="toy")))
    assert (plain.status, plain.body) == OK
    both = {"Body": sample("mpesa", "callback_bare")["Body"], **sample("mpesa", "c2b_validation")}
    assert not mpesa.webhook(WebhookRequest(body=json.dumps(both).encode())).ping


@pytest.mark.parametrize(
    "path", ["", "/", "/pay", "{hook}x", "{hook}/616263", "{hook}/{attempt}/x", "/pay/é"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@timeless
async def test_a_path_that_is_none_of_ours_says_nothing(path: str, method: str) -> None:
    """An unknown path is 404 with an empty body, and the request's body is not read."""
    hooks = toy(Shop())
    async with opened(hooks) as pool:
        hook, attempt = (
            pool.webhook_url("toy"),
            pool.webhook_url("toy", "order-1").rsplit("/", 1)[1],
        )
        incoming = WebhookRequest(method=method, path=path.format(hook=hook, attempt=attempt))
        status, headers, body = await asgi(hooks, incoming, chunks=[])
        assert (status, headers, body) == (404, {b"content-length": b"0"}, b"")
        reply = await hooks.answer(incoming)
        assert (reply.status, reply.body) == (404, b"")


@timeless
async def test_a_message_by_put_is_read_like_one_by_post() -> None:
    """Some providers send their messages by PUT."""
    shop = Shop()
    hooks = toy(shop)
    async with opened(hooks) as pool:
        path = pool.webhook_url("toy", "order-1").removeprefix(BASE)
        put = msgspec.structs.replace(push(path=path, id="id-1", status="OK"), method="PUT")
        status, _, body = await asgi(hooks, put)
        assert (status, body) == OK
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@pytest.mark.parametrize("root", ["", "/pay", "/a/b"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE", "OPTIONS", "get", ""])
@timeless
async def test_only_get_post_and_put_are_messages(method: str, root: str) -> None:
    """Other methods are 405, wherever the application is mounted."""
    shop = Shop()
    hooks = toy(shop)
    async with opened(hooks) as pool:
        path = root + pool.webhook_url("toy", "order-1").removeprefix(BASE)
        status, headers, _ = await asgi(hooks, WebhookRequest(method=method, path=path))
        assert (status, headers[b"allow"]) == (405, b"GET, HEAD, POST, PUT")
        status, _, body = await asgi(hooks, push(path=path, id="id-1", status="OK"))
        assert (status, body) == OK
        status, _, body = await asgi(
            hooks, WebhookRequest(method="HEAD", path=path, query="id=id-1&status=OK")
        )
        assert (status, body) == (200, b"")
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_what_is_too_much_is_not_read() -> None:
    """A body is read up to its limit, by stated length or bytes; so are query and headers."""
    hooks = toy(Shop())
    async with opened(hooks) as pool:
        path = pool.webhook_url("toy")
        read: list[int] = []

        def endless() -> Iterable[bytes]:
            while True:
                read.append(1)
                yield b"x" * 10_000

        assert (await asgi(hooks, WebhookRequest(path=path), chunks=endless()))[0] == 413
        assert len(read) == WEBHOOK_BYTES // 10_000 + 1
        for length in (str(WEBHOOK_BYTES + 1), "9" * 5000):
            incoming = WebhookRequest(path=path, headers={"content-length": length})
            assert (await asgi(hooks, incoming, chunks=[]))[0] == 413
        for length in ("-1", "x", "²", ""):
            incoming = push(path=path, id="id-1", headers={"content-length": length})
            assert (await asgi(hooks, incoming))[0] == 200
        assert (
            await hooks.answer(WebhookRequest(path=path, body=b"x" * (WEBHOOK_BYTES + 1)))
        ).status == 413
        assert (await asgi(hooks, WebhookRequest(method="GET", path=path, query="x" * 70_000)))[
            0
        ] == 413
        lines = [(b"x-same", b"1")] * 65
        assert (await asgi(hooks, push(path=path, id="id-1"), lines=lines))[0] == 431
        assert (await asgi(hooks, push(path=path, id="id-1"), lines=lines[:64]))[0] == 200
        many = {f"x-{number}": "1" for number in range(65)}
        assert (await hooks.answer(push(path=path, id="id-1", headers=many))).status == 431


@timeless
async def test_a_slow_or_broken_sender_is_let_go() -> None:
    """A slow body is 408 within the time for an answer; a disconnect raises nothing."""
    hooks = toy(Shop(), timeout=3.0)
    async with opened(hooks) as pool:
        path = pool.webhook_url("toy")
        assert (await asgi(hooks, WebhookRequest(path=path), chunks=[b"{"]))[0] == 408
        assert 3.0 <= now() < 3.1
        assert (await asgi(hooks, WebhookRequest(path=path), chunks=[b"{", None]))[0] == 400

        async def gone(message: object) -> None:
            raise OSError("the client is gone")

        scope = {"type": "http", "method": "PUT", "path": path, "headers": []}
        await hooks(scope, asyncio.sleep, gone)  # type: ignore[arg-type]  # nothing is received


@timeless
async def test_doubled_headers_are_one_list() -> None:
    """A repeated header is joined, so that no signature passes beside another."""
    heard: list[WebhookRequest] = []

    class Listening(Keyless, frozen=True, kw_only=True):
        def webhook(self, incoming: WebhookRequest) -> Event:
            heard.append(incoming)
            return super().webhook(incoming)

    hooks = toy(Shop(), driver=Listening(account="toy"))
    async with opened(hooks) as pool:
        lines = [
            (b"X-Token", b"good"),
            (b"x-token", b"b\xe9d"),
            (b"Content-Type", b"application/json"),
        ]
        await asgi(hooks, push(path=pool.webhook_url("toy"), id="id-1"), lines=lines)
        await hooks.answer(
            push(path=pool.webhook_url("toy"), id="id-1", headers={"X-Token": "good"})
        )
    assert heard[0].headers == {"x-token": "good, béd", "content-type": "application/json"}
    assert heard[1].headers == {"x-token": "good"}
    assert heard[0].body == heard[1].body == b'{"id": "id-1"}'


PROXIES = ("10.0.0.0/8", "2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "headers", "seen"),
    [
        ("196.201.214.200", {}, "196.201.214.200"),
        ("6.6.6.6", {"x-forwarded-for": "196.201.214.200"}, "6.6.6.6"),
        ("6.6.6.6", {"forwarded": "for=196.201.214.200"}, "6.6.6.6"),
        (None, {"x-forwarded-for": "196.201.214.200"}, None),
        ("10.0.0.1", {"x-forwarded-for": "196.201.214.200"}, "196.201.214.200"),
        ("::ffff:10.0.0.1", {"x-forwarded-for": "::ffff:196.201.214.200"}, "196.201.214.200"),
        ("10.0.0.1", {"x-forwarded-for": "196.201.214.200, 6.6.6.6"}, "6.6.6.6"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 196.201.214.200, 10.9.9.9"}, "196.201.214.200"),
        ("10.0.0.1", {"x-forwarded-for": "196.201.214.200:8080"}, "196.201.214.200"),
        (
            "10.0.0.1",
            {"forwarded": 'proto=https;For="[2001:db9::1]:80", for=10.1.1.1'},
            "2001:db9::1",
        ),
        ("2001:db8::7", {"forwarded": "for=196.201.214.200"}, "196.201.214.200"),
        ("10.0.0.1", {"forwarded": "for=196.201.214.200, for=unknown"}, None),
        ("10.0.0.1", {"forwarded": "for=196.201.214.200;by=10.0.0.1, proto=http"}, None),
        ("10.0.0.1", {"x-forwarded-for": "196.201.214.200, nonsense"}, None),
        ("10.0.0.1", {"x-forwarded-for": "196.201.214.200,"}, None),
        ("10.0.0.1", {"x-forwarded-for": "10.0.0.2"}, None),
        ("10.0.0.1", {}, None),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6", "forwarded": "for=196.201.214.200"}, None),
        ("10.0.0.1", {"x-forwarded-for": "1.2.3.4", "forwarded": "for=1.2.3.4"}, "1.2.3.4"),
        ("nonsense", {"x-forwarded-for": "196.201.214.200"}, None),
    ],
)
@timeless
async def test_only_a_named_proxy_is_believed(
    peer: str | None, headers: dict[str, str], seen: str | None
) -> None:
    """The sender is the right-most address that is no proxy of ours, or None if it is unsure."""
    asked: list[str | None] = []

    def allowed(address: str | None) -> bool:
        asked.append(address)
        return Mpesa.from_safaricom(address)

    hooks = toy(Shop(), proxies=PROXIES, senders={"toy": allowed})
    async with opened(hooks) as pool:
        incoming = WebhookRequest(
            path=pool.webhook_url("toy"), headers=headers, body=b'{"id": "id-1"}', peer=peer
        )
        status, _, _ = await asgi(hooks, incoming)
    assert asked == [seen]
    assert status == (200 if seen == "196.201.214.200" else 403)


@timeless
async def test_senders_may_be_networks() -> None:
    """A list of networks is a check, too; an account without a check accepts every sender."""
    pool = Pool(
        Keyless(account="a"),
        Keyless(account="b"),
        connection=Wire(Desk(payments=paid())),
        webhook_base=BASE,
        webhook_key=KEY,
    )
    hooks = Webhooks(pool, Shop(), senders={"a": ["196.201.212.0/22", "2001:db8::1"]})
    async with opened(hooks):
        statuses = [
            (
                await hooks.answer(
                    WebhookRequest(
                        path=pool.webhook_url(account), body=b'{"id": "id-1"}', peer=peer
                    )
                )
            ).status
            for account, peer in (
                ("a", "196.201.214.200"),
                ("a", "2001:db8::1"),
                ("a", "6.6.6.6"),
                ("b", None),
            )
        ]
    assert statuses == [200, 200, 403, 200]


@timeless
async def test_a_check_of_senders_that_fails_allows_nobody() -> None:
    """If the predicate of senders raises, the message is refused, without an exception."""
    hooks = toy(Shop(), senders={"toy": lambda peer: ip_address(peer or "").is_private})
    async with opened(hooks) as pool:
        message = WebhookRequest(path=pool.webhook_url("toy"), body=b'{"id": "id-1"}')
        assert (await hooks.answer(message)).status == 403
        assert (await hooks.answer(msgspec.structs.replace(message, peer="10.0.0.1"))).status == 200


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"proxies": "10.0.0.1"}, "proxies"),
        ({"proxies": ["10.0.0.1/8"]}, "proxies"),
        ({"senders": {"toy": ["nonsense"]}}, "senders"),
        ({"senders": {"nobody": []}}, "senders"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], named: str) -> None:
    """A wrong argument is UsageError where the webhooks are made."""
    with pytest.raises(UsageError, match=named):
        toy(Shop(), **wrong)
    with pytest.raises(UsageError, match="webhook_base"):
        Webhooks(Pool(Toy()), Shop())


async def boom() -> None:
    """Fail like an application whose database is down."""
    payer = 254708374149
    raise RuntimeError(f"no database for {payer}")


async def hang() -> None:
    """Never return."""
    await asyncio.sleep(10_000)


async def cancelled() -> None:
    """Raise CancelledError, as a library may that cancels its own work."""
    raise asyncio.CancelledError


def at_once() -> Awaitable[None]:
    """Fail before there is an awaitable."""
    raise TypeError


@pytest.mark.parametrize("trouble", [boom, hang, cancelled, at_once])
@pytest.mark.parametrize(("driver", "status"), [(Keyless, 200), (Again, 503)])
@timeless
async def test_what_the_shop_missed_is_told_again(
    driver: type[Toy], status: int, trouble: Callable[[], Awaitable[None]]
) -> None:
    """If `on_payment` fails twice, the end is delivered again, with 503 or without."""
    shop = Shop(trouble, trouble)
    hooks = toy(shop, driver=driver(account="toy"))
    async with opened(hooks):
        reply = await hooks.answer(told_of(hooks))
        assert reply.status == status
        assert now() < 5.1
        await asyncio.sleep(200)
        assert (shop.calls, shop.told) == (3, [("order-1", Status.SUCCEEDED)])
        assert (await hooks.answer(told_of(hooks))).status == 200
        await asyncio.sleep(600)
    assert (shop.calls, hooks._processor._pending) == (3, {})


@timeless
async def test_a_slow_shop_is_not_cut_short() -> None:
    """An `on_payment` longer than the answer may take goes on, and runs once."""
    shop = Shop(lambda: asyncio.sleep(20))
    hooks = toy(shop, driver=Again(account="toy"))
    async with opened(hooks):
        assert (await hooks.answer(told_of(hooks))).status == 503
        assert 5.0 <= now() < 5.1
        assert (await hooks.answer(told_of(hooks))).status == 503
        await asyncio.sleep(9)
        assert (await hooks.answer(told_of(hooks))).status == 200
        assert 20.0 <= now() < 21.5
    assert (shop.calls, shop.told) == (1, [("order-1", Status.SUCCEEDED)])


@pytest.mark.parametrize("after", [0.0, 0.5, 1.5])
@timeless
async def test_a_cancelled_request_loses_nothing(after: float) -> None:
    """If the client or server drops a request, the end is delivered all the same."""
    shop = Shop(lambda: asyncio.sleep(1))
    hooks = toy(shop, wire=Wire(Desk(payments=paid()), after=1.0))
    async with opened(hooks):
        request = asyncio.create_task(hooks.answer(told_of(hooks)))
        await asyncio.sleep(after)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await asyncio.sleep(4 if after else 0)
        if not after:  # it had not started: the provider got no answer either
            assert (await hooks.answer(told_of(hooks))).status == 200
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_each_state_is_told_once() -> None:
    """Each end is delivered once, also a success after a failure, and a refund."""
    shop = Shop()
    states = ["WAIT", "NO", "NO", "OK", "OK", "BACK", "BACK"]
    hooks = toy(shop, desk=Desk(payments=[paid(word) for word in states]))
    async with opened(hooks):
        for word in states:
            assert (await hooks.answer(told_of(hooks, status=word))).status == 200
    told = [Status.FAILED, Status.SUCCEEDED, Status.REFUNDED]
    assert shop.told == [("order-1", status) for status in told]


@timeless
async def test_two_payments_under_one_reference_are_two() -> None:
    """A payment without our reference is identified by the provider's id."""
    shop = Shop()
    wire = Wire(lambda outgoing: answer(id=outgoing.url.rsplit("/", 1)[1], status="OK"))
    hooks = toy(shop, wire=wire)
    async with opened(hooks) as pool:
        for id in ("id-1", "id-2", "id-1"):
            await hooks.answer(push(path=pool.webhook_url("toy"), id=id, status="OK"))
            await asyncio.sleep(5)
    assert shop.told == [("id-1", Status.SUCCEEDED), ("id-2", Status.SUCCEEDED)]


@timeless
async def test_a_message_ahead_of_the_query_is_asked_again() -> None:
    """If the look-up is still pending, the message is acknowledged, and look-ups go on."""
    shop = Shop()
    hooks = toy(shop, desk=Desk(payments=[paid("WAIT"), paid("WAIT"), paid("OK")]))
    async with opened(hooks):
        assert (await hooks.answer(told_of(hooks))).status == 200
        assert shop.told == []
        await asyncio.sleep(30)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_lie_is_not_asked_about_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """A payment that stays pending is looked up for as long as a watch would, and no longer."""
    wire = Wire(Desk(payments=paid("WAIT")))
    hooks = toy(Shop(), wire=wire)
    async with opened(hooks):
        await hooks.answer(told_of(hooks))
        await asyncio.sleep(3600)
        assert hooks._processor._pending == {}
        asked = len(wire.paths("/payments"))
    assert 5 <= asked <= 12
    assert "given up" in caplog.text


TROUBLES: dict[str, tuple[list[Any], int, int]] = {
    # the provider's answers, and our status if it repeats messages, and if it does not
    "unavailable": ([answer(500)] * 3 + [paid()], 503, 200),
    "not found yet": ([answer(404), paid()], 503, 200),
    "no credentials": ([answer(401, error="stale"), paid()], 503, 200),
    "rejected": ([answer(400, error="no"), paid()], 503, 200),
    "mismatch": ([answer(id="id-9", reference="order-9", status="OK")], 200, 200),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("driver", [Keyless, Again])
@timeless
async def test_a_look_up_that_fails_is_made_again(driver: type[Toy], trouble: str) -> None:
    """A failed look-up is repeated; a contradiction is left to a person."""
    replies, sent_again, acknowledged = TROUBLES[trouble]
    shop = Shop()
    hooks = toy(
        shop, driver=driver(account="toy"), desk=Desk(payments=replies, collect=paid("WAIT"))
    )
    async with opened(hooks) as pool:
        payment = await pool.collect("toy", amount=500, currency="XAF", reference="order-1")
        async with pool.watch(payment, timeout=None):
            reply = await hooks.answer(told_of(hooks))
            assert reply.status == (sent_again if driver is Again else acknowledged)
            await asyncio.sleep(60)
    assert shop.told == ([] if trouble == "mismatch" else [("order-1", Status.SUCCEEDED)])
    assert hooks._processor._pending == {}


@timeless
async def test_an_unknown_payment_beyond_the_share_is_refused() -> None:
    """Messages about unknown payments have a small share of look-ups; beyond it, 429."""
    shop = Shop()
    wire = Wire(Desk(payments=answer(404)))
    hooks = toy(shop, wire=wire)
    async with opened(hooks) as pool:
        replies = [
            await hooks.answer(
                push(path=pool.webhook_url("toy"), id=f"forged-{number}", status="OK")
            )
            for number in range(100)
        ]
        refused = [reply for reply in replies if reply.status == 429]
        assert {reply.status for reply in replies} == {200, 429}
        assert len(refused) > 50
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
        assert hooks._processor._pending == {}
        asked = len(wire.seen)
        await asyncio.sleep(600)
        assert len(wire.seen) == asked
    assert shop.calls == 0


@pytest.mark.parametrize("where", ["provider", "lookup"])
@timeless
async def test_what_nobody_knows_is_repeated_within_bounds(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """In an outage, the number of stored messages is bounded, and smaller for unknown payments."""
    monkeypatch.setattr(paymux.webhooks.processing, "MAX_UNKNOWN_EVENTS", 3)
    monkeypatch.setattr(paymux.webhooks.processing, "MAX_PENDING_EVENTS", 5)

    async def lookup(event: Event) -> Payment | None:
        await boom()
        return None

    hooks = toy(
        Shop(), lookup=lookup if where == "lookup" else None, desk=Desk(payments=answer(500))
    )
    async with opened(hooks) as pool:
        for number in range(8):
            await hooks.answer(push(path=pool.webhook_url("toy"), id=f"id-{number}", status="OK"))
        assert len(hooks._processor._pending) == 3
        for number in range(8):
            reply = await hooks.answer(
                push(path=pool.webhook_url("toy", f"order-{number}"), id=f"no-{number}")
            )
        assert len(hooks._processor._pending) == 5
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("eager", [False, True])
@timeless
async def test_a_message_that_names_nothing_is_done_with(*, eager: bool) -> None:
    """A message without an id is closed on the account's path, and repeated on an order's."""
    if eager:
        eagerly()
    shop = Shop()
    arrived = asyncio.get_running_loop().create_future()

    async def desk(outgoing: PreparedRequest) -> Response:
        if outgoing.method == "POST":
            await arrived
        return paid("WAIT" if outgoing.method == "POST" else "OK")

    hooks = toy(shop, wire=Wire(desk), driver=Again(account="toy"))
    async with opened(hooks) as pool:
        assert (await hooks.answer(push(path=pool.webhook_url("toy"), status="OK"))).status == 200
        order = {"amount": 500, "currency": "XAF", "reference": "order-1"}
        collecting = asyncio.create_task(pool.collect("toy", **order))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        reply = await hooks.answer(push(path=pool.webhook_url("toy", "order-1"), status="OK"))
        assert reply.status == 503
        arrived.set_result(None)
        async with pool.watch(await collecting, timeout=None):
            await asyncio.sleep(30)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@pytest.mark.parametrize("fails", [0, 2])
@timeless
async def test_a_shop_s_own_records_are_asked(fails: int) -> None:
    """`lookup` returns the expected payment; it is repeated if it fails, and compared."""
    shop = Shop()
    troubles = [boom] * fails
    price = ["500"]

    async def lookup(event: Event) -> Payment | None:
        if troubles:
            await troubles.pop()()
        assert event.path_reference == "order-1"
        stored = {"account": "toy", "reference": "order-1", "amount": price[0], "currency": "XAF"}
        return msgspec.convert(stored, Payment, strict=False)

    hooks = toy(shop, lookup=lookup)
    async with opened(hooks):
        assert (await hooks.answer(told_of(hooks))).status == 200
        await asyncio.sleep(20)
        price[0] = "900"
        assert (await hooks.answer(told_of(hooks, status="NO"))).status == 200
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_without_a_life_of_its_own_it_refuses_what_failed() -> None:
    """If not entered, a failed or slow message is 503, and nothing goes on after it."""
    shop = Shop(boom, hang)
    hooks = toy(shop)
    async with hooks._pool:
        assert [(await hooks.answer(told_of(hooks))).status for _ in range(3)] == [503, 503, 200]
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_pool_used_wrongly_is_no_exception() -> None:
    """A pool that is closed, or used in another loop, is 503 and a log record."""
    hooks = toy(Shop())
    async with hooks:
        with pytest.raises(UsageError, match="already"):
            await hooks.__aenter__()
    await hooks._pool.aclose()
    assert (await hooks.answer(told_of(hooks))).status == 503
    with pytest.raises(UsageError, match="closed"):
        await hooks.__aenter__()


@timeless
async def test_a_driver_s_bug_loses_no_message() -> None:
    """A driver's foreign exception is logged, and the message is kept."""

    class Buggy(Keyless, frozen=True, kw_only=True):
        def payment(self, said: Any, kind: Any = "collect") -> Payment:
            if kind is None and not seen:
                seen.append(1)
                raise ZeroDivisionError
            return super().payment(said, kind)

    seen: list[int] = []
    shop = Shop()
    hooks = toy(shop, driver=Buggy(account="toy"))
    async with opened(hooks):
        assert (await hooks.answer(told_of(hooks))).status == 200
        await asyncio.sleep(10)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_the_log_tells_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of refusal is logged once, without callback path, payload or phone number."""
    caplog.set_level(logging.DEBUG)
    hooks = toy(Shop(boom), senders={"toy": ["10.0.0.1"]})
    async with opened(hooks) as pool:
        secret = pool.webhook_url("toy").rsplit("/", 1)[1]
        for number in range(20):
            body = json.dumps({"id": "id-1", "amount": f"254708374{number:03}x"}).encode()
            message = WebhookRequest(path=pool.webhook_url("toy"), body=body, peer="10.0.0.1")
            assert (await hooks.answer(message)).status == 400
            assert (
                await hooks.answer(msgspec.structs.replace(message, peer="6.6.6.6"))
            ).status == 403
        for body in (b"\xff", b"{" * 5000, b'{"id": {}}', b'{"id": 1, "id": 2}', b"%" * 9000):
            assert (
                await hooks.answer(
                    WebhookRequest(path=pool.webhook_url("toy"), body=body, peer="10.0.0.1")
                )
            ).status < 500
        await hooks.answer(msgspec.structs.replace(told_of(hooks), peer="10.0.0.1"))
        await asyncio.sleep(10)
    assert caplog.text.count("not an amount") == 1
    assert caplog.text.count("one of its senders") == 1
    assert "on_payment failed" in caplog.text
    for told in (secret, "for 254708374", "254708374149x", b"order-1".hex()):
        assert told not in caplog.text


async def ended(*steps: str) -> list[dict[str, Any]]:
    """Run a lifespan without a server, and return its messages."""
    hooks, left, sent = toy(Shop()), list(steps), []

    async def receive() -> dict[str, Any]:
        return {"type": f"lifespan.{left.pop(0)}"}

    async def send(message: Any) -> None:
        sent.append(message)

    if "broken" in left:
        left.remove("broken")
        hooks._pool._engine.notifier_loop = asyncio.get_running_loop()
    await hooks({"type": "lifespan"}, receive, send)
    assert left == []
    return sent


@timeless
async def test_on_its_own_it_lives_as_long_as_its_server() -> None:
    """The lifespan opens and closes pool and webhooks, and reports a failed start."""
    assert [one["type"] for one in await ended("startup", "shutdown")] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    (failed,) = await ended("broken", "startup")
    assert failed["type"] == "lifespan.startup.failed"
    assert "already" in failed["message"]


@timeless
async def test_a_websocket_is_refused() -> None:
    """A WebSocket is closed before it is accepted, which is a 403."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await toy(Shop())({"type": "websocket", "path": "/"}, receive, send)
    assert [one["type"] for one in sent] == ["websocket.close"]


def test_no_server_is_loaded_unasked() -> None:
    """With another framework, aiohttp's server is not loaded."""
    code = "import sys, paymux.webhooks; print('aiohttp.web' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert shown.stdout.strip() == "False"


async def ask(port: int, *parts: bytes) -> bytes:
    """Send raw bytes to the server, and return the first line of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return (await asyncio.wait_for(reader.readline(), 5)).strip()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_a_real_server_of_aiohttp() -> None:
    """On a socket: a message, a GET, and large, broken, compressed or slow requests; no 500."""
    shop = Shop()
    hooks = toy(shop, timeout=1.5)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", hooks.aiohttp)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with opened(hooks) as pool:
        path = pool.webhook_url("toy", "order-1").removeprefix(BASE).encode()

        async def post(
            more: bytes, body: bytes, method: bytes = b"POST", target: bytes = path
        ) -> int:
            head = method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n"
            return int((await ask(port, head, body)).split()[1])

        body = b'{"id": "id-1", "status": "OK"}'
        length = b"Content-Length: %d\r\n"
        assert await post(length % len(body), body) == 200
        assert (
            await post(b"Transfer-Encoding: chunked\r\n", b"1e\r\n" + body + b"\r\n0\r\n\r\n")
            == 200
        )
        assert await post(b"", b"", b"GET", path + b"?id=id-1&status=OK") == 200
        assert await post(b"", b"", b"HEAD", path + b"?id=id-1&status=OK") == 200
        assert await post(b"", b"", b"GET", path + b"?id=id%261&status=%ff") == 400
        assert await post(b"", b"", b"DELETE") == 405
        assert await post(length % 70_000, b"") == 413
        assert (
            await post(
                b"Transfer-Encoding: chunked\r\n", (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 6
            )
            == 413
        )
        assert await post(b"Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n") == 400
        assert await post(b"Content-Encoding: gzip\r\n" + length % 4, b"nope") == 400
        assert await post(length % 10, b"{") == 408
        assert await post(length % len(body), body, target=b"/nowhere") == 404
        assert await post(b"X-Same: 1\r\n" * 70 + length % len(body), body) == 431
    await runner.cleanup()
    assert shop.told == [("order-1", Status.SUCCEEDED)]


# With a journal.


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the journal; repetitions come soon."""
    monkeypatch.setattr(paymux.webhooks.pending, "MAX_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(paymux.webhooks.processing, "RESCAN_SECONDS", 0.05)
    return tmp_path / "payments.db"


def open_hints(file: Path) -> int:
    """Count the open messages."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        found: int = db.execute("SELECT count(*) FROM hints WHERE worker IS NOT NULL").fetchone()[0]
        return found


def untold(file: Path) -> int:
    """Count the ends that were not delivered."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        sql = "SELECT count(*) FROM payments WHERE status <> 'pending' AND told IS NOT status"
        found: int = db.execute(sql).fetchone()[0]
        return found


async def until(true: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def collect(pool: Pool) -> Payment:
    """Collect order-1; the answer is pending."""
    return await pool.collect("toy", amount=500, currency="XAF", reference="order-1")


async def test_ten_deliveries_and_a_watch_fulfil_once(file: Path) -> None:
    """Ten concurrent deliveries and a watch cause one look-up and one delivery."""
    fulfilled: list[str] = []
    told: list[Status] = []

    async def fulfil(payment: Payment) -> None:
        async with pool.once(payment, "fulfilled") as first:
            if first:
                await asyncio.sleep(0.1)
                fulfilled.append(payment.reference or "")

    async def on_payment(payment: Payment) -> None:
        await fulfil(payment)
        told.append(payment.status)

    wire = Wire(Desk(payments=paid(), collect=paid("WAIT")))
    hooks = toy(on_payment, wire=wire, journal=file)
    async with opened(hooks) as pool:
        payment = await collect(pool)

        async def watch() -> None:
            await fulfil(await pool.watch(payment))

        async def deliver() -> None:
            assert (await hooks.answer(told_of(hooks))).status == 200
            assert told == [Status.SUCCEEDED]

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await asyncio.gather(*(deliver() for _ in range(10)))
        await watching
        assert len(wire.paths("/payments")) == 1
    assert (fulfilled, told) == (["order-1"], [Status.SUCCEEDED])
    assert open_hints(file) == 0


async def test_two_workers_share_one_journal(file: Path) -> None:
    """Ten deliveries to each of two pools: one call of `on_payment`, and no answer before it."""
    shop = Shop(lambda: asyncio.sleep(0.1))
    both = [
        toy(shop, journal=file, desk=Desk(payments=paid(), collect=paid("WAIT"))) for _ in range(2)
    ]
    async with opened(both[0]) as pool, opened(both[1]):
        await collect(pool)

        async def deliver(hooks: Webhooks) -> None:
            assert (await hooks.answer(told_of(hooks))).status == 200
            assert shop.told

        await asyncio.gather(*(deliver(hooks) for hooks in both * 10))
    assert (shop.calls, shop.told) == (1, [("order-1", Status.SUCCEEDED)])
    assert open_hints(file) == 0


async def test_the_second_worker_tells_what_the_first_could_not(file: Path) -> None:
    """If one worker's `on_payment` fails for good, another worker delivers."""
    good = Shop()
    broken = Shop(*[boom] * 1000)
    first, second = (
        toy(shop, journal=file, desk=Desk(payments=paid(), collect=paid("WAIT")))
        for shop in (broken, good)
    )
    async with opened(first) as pool, opened(second):
        await collect(pool)
        assert (await first.answer(told_of(first))).status == 200
        assert (await second.answer(told_of(second))).status == 200
        await until(lambda: first._processor._pending == {})
    assert (broken.told, good.told) == ([], [("order-1", Status.SUCCEEDED)])
    assert open_hints(file) == 0


@pytest.mark.parametrize("trouble", [boom, hang])
async def test_what_was_left_is_done_at_the_next_start(
    file: Path, trouble: Callable[[], Awaitable[None]]
) -> None:
    """An end not delivered before closing stays in the outbox for the next start."""
    hooks = toy(
        Shop(*[trouble] * 1000),
        journal=file,
        desk=Desk(payments=paid(), collect=paid("WAIT")),
        timeout=0.1,
    )
    async with opened(hooks) as pool:
        await collect(pool)
        assert (await hooks.answer(told_of(hooks))).status == 200
    assert (untold(file), open_hints(file)) == (1, 0)
    shop = Shop()
    hooks = toy(shop, journal=file, desk=Desk(payments=paid()))
    async with opened(hooks):
        await until(lambda: shop.told)
    assert shop.told == [("order-1", Status.SUCCEEDED)]
    assert untold(file) == 0


async def test_what_was_left_is_done_while_the_pool_lives_on(file: Path) -> None:
    """Webhooks that end before their pool leave their messages to the next ones."""
    shop = Shop()
    hooks = toy(
        Shop(*[boom] * 1000), journal=file, desk=Desk(payments=paid(), collect=paid("WAIT"))
    )
    async with hooks._pool as pool:
        await collect(pool)
        async with hooks:
            assert (await hooks.answer(told_of(hooks))).status == 200
        async with Webhooks(pool, shop):
            await until(lambda: shop.told)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


class Slow(SqliteJournal):
    """A journal on a slow disk."""

    async def keep_event(self, event: Event, *, open: bool = False) -> bool:
        kept = await super().keep_event(event, open=open)
        await asyncio.sleep(0.2)
        return kept

    async def claim_events(self, count: int) -> list[Event]:
        found = await super().claim_events(count)
        await asyncio.sleep(0.2)
        return found


async def test_a_slow_disk_holds_nothing_back_for_ever(file: Path) -> None:
    """A message whose storing takes longer than the pause of a retry is retried all the same."""
    shop = Shop(boom, boom)
    hooks = toy(shop, journal=Slow(file))
    async with opened(hooks):
        assert (await hooks.answer(told_of(hooks))).status == 200
        await until(lambda: shop.told)


async def test_a_claim_is_let_go_at_the_end(file: Path) -> None:
    """Webhooks that end while they claim messages release them."""
    shop = Shop()
    desk = Desk(payments=[*[answer(500)] * 3, paid()], collect=paid("WAIT"))
    hooks = toy(Shop(), journal=Slow(file), desk=desk)
    async with hooks._pool as pool:
        await collect(pool)
        assert (await hooks.answer(told_of(hooks))).status == 503
        async with hooks:
            await asyncio.sleep(0.1)
            assert open_hints(file) == 1
        async with Webhooks(pool, shop):
            await until(lambda: shop.told)
    assert shop.calls == 1


async def test_unentered_it_leaves_what_failed_in_the_journal(file: Path) -> None:
    """A message that failed in webhooks without `async with` is done by others of the journal."""
    wsgi = toy(Shop(boom), journal=file, desk=Desk(payments=paid(), collect=paid("WAIT")))
    shop = Shop()
    hooks = toy(shop, journal=file)
    async with virtual_time(), wsgi._pool as pool, opened(hooks):
        await collect(pool)
        assert (await wsgi.answer(told_of(wsgi))).status == 503
        await until(lambda: shop.told)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@pytest.mark.parametrize(("entered", "operations"), [(True, 3), (False, 4)])
async def test_a_message_costs_few_transactions(
    file: Path, monkeypatch: pytest.MonkeyPatch, entered: bool, operations: int
) -> None:
    """Its arrival, its end, its delivery: three; without a notifier, the claim is one more."""
    hooks = toy(Shop(), journal=file, desk=Desk(payments=paid(), collect=paid("WAIT")))
    done: list[Work] = []
    queued = Writer.queued

    def counted(writer: Writer[Any], work: Work) -> Any:
        if "Inbox.claim" not in str(work.do):  # a scan for other workers' messages
            done.append(work)
        return queued(writer, work)

    async with hooks._pool as pool:
        await collect(pool)
        async with hooks if entered else contextlib.nullcontext():
            await asyncio.sleep(0.1)
            monkeypatch.setattr(Writer, "queued", counted)
            assert (await hooks.answer(told_of(hooks))).status == 200
            assert len(done) == operations
            monkeypatch.undo()
        assert open_hints(file) == 0


async def test_a_message_about_no_order_of_ours_leaves_no_row(file: Path) -> None:
    """A closed message about an unknown payment is deleted; others are kept."""
    hooks = toy(
        Shop(), journal=file, desk=Desk(payments=[answer(404), paid()], collect=paid("WAIT"))
    )

    def rows() -> int:
        with contextlib.closing(sqlite3.connect(file)) as db:
            found: int = db.execute("SELECT count(*) FROM hints").fetchone()[0]
            return found

    async with opened(hooks) as pool:
        await collect(pool)
        await hooks.answer(push(path=pool.webhook_url("toy"), id="forged", status="OK"))
        assert rows() == 0
        await hooks.answer(told_of(hooks))
        assert rows() == 1


async def test_a_journal_that_fails_keeps_the_message_in_memory(file: Path) -> None:
    """A message that comes during a disk failure is done after it."""
    shop = Shop()
    hooks = toy(shop, journal=file)
    async with opened(hooks):
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                "CREATE TRIGGER r BEFORE INSERT ON hints BEGIN SELECT RAISE(ABORT, 'disk "
                "full'); END"
            )
            assert (await hooks.answer(told_of(hooks))).status == 200
            await asyncio.sleep(0.05)
            assert shop.told == []
            db.execute("DROP TRIGGER r")
        await until(lambda: shop.told)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


async def test_a_message_that_names_another_id_finds_its_order(file: Path) -> None:
    """The gateway's message has only Daraja's ids: the journal finds the open order by them."""
    sim, shop = Simulator(), Shop()
    pool = Pool(
        sim.driver("mpesa_gateway"),
        connection=sim.connection,
        webhook_base=BASE,
        webhook_key=KEY,
        journal=file,
    )
    sim.mpesa_gateway.webhook_url = pool.webhook_url("mpesa_gateway")
    hooks = Webhooks(pool, shop)
    sim.on_webhook(hooks.answer)
    async with opened(hooks):
        for reference in ("1009", "1010"):
            order = {
                "amount": 500,
                "currency": "KES",
                "payer": "254708374144",
                "reference": reference,
            }
            await pool.collect("mpesa_gateway", **order)  # type: ignore[arg-type]
        sim.settle("1010", Status.SUCCEEDED)
        await until(lambda: shop.told)
    assert [status for _, status in shop.told] == [Status.SUCCEEDED]


MURDER = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from tests.test_webhooks import collect, opened, paid, toy, told_of
    from tests.toys import Desk, Wire

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    async def main(point, file):
        desk = Desk(payments=paid(), collect=paid("WAIT"))

        def respond(outgoing):
            if outgoing.method == "GET" and point == "asked":
                die()
            return desk(outgoing)

        async def on_payment(payment):
            if point == "telling":
                die()
            async with pool.once(payment, "fulfilled") as first:
                if first:
                    with Path(file + ".fulfilled").open("a") as done:
                        done.write("once\\n")
                if point == "in once":
                    die()
            if point == "told":
                die()
            told.set()

        told = asyncio.Event()
        hooks = toy(on_payment, journal=file, wire=Wire(respond))
        async with opened(hooks) as pool:
            if point != "again":
                await collect(pool)
                await hooks.answer(told_of(hooks))
            await asyncio.wait_for(told.wait(), 20)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "times"),
    [("asked", 1), ("telling", 1), ("in once", 2), ("told", 1)],
)
def test_a_kill_before_the_acknowledgement_loses_nothing(
    tmp_path: Path, point: str, times: int
) -> None:
    """After SIGKILL at any point, a stored message is fulfilled once after the restart.

    Only a kill inside the once-lock repeats the work there, since its progress is unknown: it
    should be one conditional write.
    """
    file = tmp_path / "payments.db"

    def run_it(point: str) -> int:
        code = [sys.executable, "-c", textwrap.dedent(MURDER), point, str(file)]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        return subprocess.run(
            code, capture_output=True, check=False, cwd=ROOT, env=environment
        ).returncode

    assert run_it(point) == -signal.SIGKILL
    assert open_hints(file) == 1
    assert run_it("again") == 0
    assert (tmp_path / "payments.db.fulfilled").read_text() == "once\n" * times
    assert open_hints(file) == 0
