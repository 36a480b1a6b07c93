"""Bad input of every kind, and the time until each is refused."""

import asyncio
import contextlib
import inspect
import statistics
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from paymux import (
    BadWebhook,
    CamPay,
    Item,
    Mpesa,
    Payment,
    PaymuxError,
    Pool,
    UsageError,
    WebhookRequest,
)
from paymux.http import PreparedRequest, Response

LIMIT = 5.0  # milliseconds
ORDER: Mapping[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "payer": "237670000000",
    "reference": "order-1",
}
PUSH: Mapping[str, Any] = {**ORDER, "currency": "KES", "payer": "254708374149"}
HELD = Payment(account="campay", provider_reference="p1")
LONG = "9" * 1_000_000


class Silent:
    """A connection that counts its requests: none may be sent."""

    sent = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Count a request."""
        self.sent += 1
        return Response(status=500)

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Count a web socket."""
        self.sent += 1
        return
        yield

    async def aclose(self) -> None:
        """Do nothing."""


class Case(NamedTuple):
    """One bad input, and the error that refuses it."""

    name: str
    attempt: Callable[[], Awaitable[object] | object]
    error: type[PaymuxError] = UsageError


class Pools(NamedTuple):
    """The pools that refuse the input.

    A usable pool, a closed pool, and one that is in use in another running event loop.
    """

    good: Pool
    closed: Pool
    busy: Pool


def deep(levels: int) -> dict[str, Any]:
    """Return nested mappings."""
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


AMOUNTS: list[Any] = [
    *(
        5.0,
        0.1,
        float("nan"),
        float("inf"),
        -1,
        0,
        True,
        None,
        b"5",
        [5],
        10**12,
        10**5000,
        -(10**5000),
    ),
    *(
        "",
        "0",
        "0.00",
        "-5",
        "+5",
        "5.5",
        "1e2",
        "1E+1000000",
        "NaN",
        "Infinity",
        "1_000",
        " 5 ",
        "١٢",
        "5,00",
        LONG,
    ),
    *(
        Decimal(text)
        for text in (
            "NaN",
            "sNaN",
            "-NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "0",
            "-1",
            "5.5",
            "1E+12",
        )
    ),
    *(
        Decimal(text)
        for text in ("1E+1000000", "1E+999999999", "1E-1000000", "-1E+1000000", f"0.{LONG}", LONG)
    ),
]
CURRENCIES: list[Any] = ["EUR", "xaf", "KES", "", " XAF", None, 5, ["XAF"], LONG]
PAYERS: list[Any] = [
    *(
        "+33612345678",
        "254708374149",
        "",
        "abc",
        "+",
        "((((((((",
        "2376700000000000",
        "237 670",
        "٢٣٧٦٧٠٠٠٠٠٠٠",
    ),
    *(
        "237670000000\x00",
        "+" + "9" * 29,
        None,
        237670000000,
        LONG,
        "(" * 1_000_000,
        "1" * 10_000_000,
    ),
    *("237222123456", "670000000/1", "\u200b" * 64, "\u202a+254 712 345 678\u202c"),
]
REFERENCES: list[Any] = [
    "",
    "x" * 65,
    "x" * 500,
    "a b",
    "a/b",
    "é",
    "a\r\nb",
    "a\x00",
    "\ud800",
    None,
    5,
    LONG,
]
TEXTS: list[Any] = ["a\r\nb", "a\x00", "\ud800", "x" * 501, None, 5, LONG]
LIVE = [
    "http://api.example.com",
    "http://127.0.0.1@api.example.com",
    "//x",
    "https://",
    "https://x:99999",
    LONG,
]
SECONDS: list[Any] = [0, -1, "5", True, float("nan"), LONG]
OPTIONS: list[tuple[str, Any]] = [
    ("extra", {"colour": "red"}),
    ("extra", deep(50_000)),
    ("metadata", {"a": object()}),
    ("metadata", deep(50_000)),
    ("items", [Item(name="x", unit_price=Decimal(5))]),
    ("return_url", "http://shop.example/back"),
    ("webhook_url", "https://shop.example/" + LONG),
]
PUSHES: list[dict[str, Any]] = [
    *({"amount": value} for value in ("100.99", Decimal("0.01"), 5.5, 250_001)),
    *(
        {"webhook_url": value}
        for value in ("ftp://shop.example", "https://u@shop.example/", "//x", LONG)
    ),
]
ACCOUNT: Mapping[str, Any] = {"username": "simulator", "password": "simulator"}
FIELDS: list[tuple[str, Any]] = [
    *(("password", f"a{bad}b") for bad in ("\r\n", "\n", "\x00", "\x7f", "é", "\ud800")),
    *(("username", f"a{bad}b") for bad in ("\r\n", "\n", "\x00", "\x7f", "é", "\ud800")),
    *(("password", bad) for bad in (5, None, b"x", LONG)),
    *(("live", bad) for bad in ("no", "yes", 1, 0, None)),
    *(("base_url", bad) for bad in LIVE),
    *(("account", bad) for bad in ("a b", "é", 5, LONG)),
    ("dialect", "other"),
    ("dialect", LONG),
]
BODIES = [
    *(
        b"",
        b"{",
        b"[]",
        b"null",
        b"<html>",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'{"a":' * 40_000,
        b"[" * 250_000,
    ),
    b'{"reference": "x", "reference": "y"}',
    b'{"reference": "p1", "amount": "1E+1000000"}',
    b'{"reference": "p1", "amount": ' + b"9" * 200_000 + b"}",
    b'{"reference": "p1", "amount": 1e999999}',
    b'{"reference": "\\ud800"}',
    b"{" + b" " * 250_000,
    b"a=1&" * 60_000,
    b"a" * 1_000_000,
    *(b"%" * 250_000, b"a=" + b"%41" * 83_000, b"a=" + b"%zz" * 83_000, b"a=" + b"%ff" * 83_000),
    b"&".join(b"a%d=%s" % (number, b"%41" * 400) for number in range(199)),
    b'{"a": [' + b"[]," * 80_000 + b"0]}",
    b'{"a": [' + b"{}," * 80_000 + b"0]}",
    b"{" + b",".join(b'"k%d": 0' % number for number in range(22_000)) + b"}",
]


def cases(pools: Pools) -> Iterator[Case]:
    """Yield every case."""
    good, campay = pools.good, partial(pools.good.collect, "campay")
    fields: dict[str, list[Any]] = {
        "amount": AMOUNTS,
        "currency": CURRENCIES,
        "payer": PAYERS,
        "reference": REFERENCES,
    }
    for field, values in {**fields, "description": TEXTS, "deadline": SECONDS}.items():
        for value in values:
            yield Case(named(field, value), partial(campay, **{**ORDER, field: value}))
    for field, value in OPTIONS:
        yield Case(named(field, value), partial(campay, **ORDER, **{field: value}))
    for change in PUSHES:
        yield Case(
            named("push", [*change.values()]), partial(good.collect, "mpesa", **{**PUSH, **change})
        )
    for field, value in FIELDS:
        yield Case(named(field, value), partial(CamPay, **{**ACCOUNT, field: value}))
    for body in BODIES:
        yield Case(named("message", body), partial(read, good, body), BadWebhook)
    yield Case(
        "headers: 65", partial(read, good, b"{}", {f"x-{n}": "" for n in range(65)}), BadWebhook
    )
    yield Case("account: unknown", partial(good.collect, "nobody", **ORDER))
    yield Case("account: hostile", partial(good.balance, LONG))
    yield Case("pool: closed", partial(pools.closed.verify, HELD))
    yield Case("pool: closed, money", partial(pools.closed.collect, "campay", **ORDER))
    yield Case("pool: in two loops at once", partial(pools.busy.verify, HELD))


def read(pool: Pool, body: bytes, headers: Mapping[str, str] | None = None) -> object:
    """Read a message for a known account, as a web handler does."""
    return pool.webhook(WebhookRequest(body=body, headers=headers or {}), account="campay")


def named(field: str, value: object) -> str:
    """Return the name of a case."""
    size = value.bit_length() if isinstance(value, int) else 0
    text = f"{size} bits" if size > 100 else "nested" if isinstance(value, dict) else ascii(value)
    return f"{field}: {text if len(text) < 50 else f'{text[:40]}… ({len(text)} characters)'}"


@contextlib.asynccontextmanager
async def opened(connection: Silent) -> AsyncGenerator[Pools]:
    """Open the pools; the busy one is used in the event loop of another thread."""
    mpesa = Mpesa(consumer_key="k", consumer_secret="s", shortcode="174379", passkey="p")
    campay = CamPay(username="simulator", password="simulator")
    good, closed, busy = (Pool(campay, mpesa, connection=connection) for _ in range(3))
    await closed.aclose()
    ready, done = threading.Event(), threading.Event()

    async def use() -> None:
        async with busy:
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(use(),))
    thread.start()
    ready.wait()
    try:
        async with good:
            yield Pools(good, closed, busy)
    finally:
        done.set()
        thread.join()


async def refused(case: Case) -> float:
    """Try one case, and return the milliseconds until its refusal."""
    began = time.perf_counter()
    try:
        result = case.attempt()
        if inspect.isawaitable(result):
            await result
    except case.error:
        return (time.perf_counter() - began) * 1000
    raise AssertionError(f"{case.name}: not refused")


async def measured(rounds: int) -> dict[str, float]:
    """Return the median milliseconds of every case."""
    connection = Silent()
    async with opened(connection) as pools:
        found = list(cases(pools))
        for case in found:  # phonenumbers and the decoders are loaded on first use
            await refused(case)
        times = {
            case.name: statistics.median([await refused(case) for _ in range(rounds)])
            for case in found
        }
    assert connection.sent == 0, "something was sent"
    return times
