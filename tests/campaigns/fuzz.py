"""R10: change messages at random, and judge how the webhook readers handle them."""

import array
import asyncio
import base64
import contextlib
import copy
import functools
import gc
import hashlib
import hmac
import importlib
import importlib.metadata
import json
import random
import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from paymux import BadWebhook, Customer, Event, Pool, WebhookRequest
from paymux.drivers import names
from paymux.drivers._pushed import Pushed
from paymux.drivers.base import WEBHOOK_BYTES
from paymux.http import MAX_HEADERS
from paymux.models import Status
from paymux.simulator import Simulator
from paymux.values.parsing import Unreadable

ROOT = Path(__file__).parents[2]
BASE, KEY = "https://shop.example/pay", "0123456789abcdef-hooks"
SECRET = "simulator"
LIMIT = 5.0  # milliseconds, for the 99th percentile
# Readings to make a wrong case small; a case that needs thousands of bytes may stay large.
READINGS = 500
SPARE = 2**20  # bytes of memory for a reading, in addition to four times the message

Tree: TypeAlias = dict[str, Any]
Way: TypeAlias = Literal["webhook", "returned", "update"]


class Case(NamedTuple):
    """One hostile message, and the method that reads it.

    `open`: the account has no webhook key.
    """

    way: Way
    given: WebhookRequest | str | bytes
    open: bool = False

    def __repr__(self) -> str:
        what: object = self.given
        if isinstance(self.given, WebhookRequest):
            what = {
                name: value for name, value in msgspec.structs.asdict(self.given).items() if value
            }
        text = ascii(what)
        return (
            f"{self.way}{' without a key' if self.open else ''}: "
            f"{text if len(text) < 1500 else text[:1500] + '…'}"
        )


# The attribute of each simulated provider that selects the form of its messages, and its values.
SHAPES: Mapping[str, tuple[str, Sequence[str]]] = {
    name: provider.shapes for name, provider in Simulator().providers.items() if provider.shapes[0]
}
RETURNS = (
    "token",
    "transaction_id",
    "external_reference",
    "reference",
    "STATUS",
    "status",
    "amount",
)


class Desk:
    """One driver at its simulator, in a pool with a webhook key and in a pool without.

    Its documents are good messages, from which the hostile ones are made.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sim = Simulator()
        driver, provider = self.sim.driver(name), self.sim.providers[name]
        keys = {
            field: ""
            for field in ("webhook_key", "webhook_secret", "secret_key")
            if hasattr(driver, field) and field not in driver.required
        }
        self.pool = self._pool()
        self.unkeyed = self._pool(**keys)
        self.driver = driver
        self.path = urlsplit(self.pool.webhook_url(name)).path
        self.order = urlsplit(self.pool.webhook_url(name, "104207")).path
        if hasattr(provider, "webhook_url"):
            provider.webhook_url = self.pool.webhook_url(name)
        self.messages: list[WebhookRequest] = []
        self.frames: list[bytes] = []
        asyncio.run(self._order())
        told = [fields for message in self.messages if (fields := read(message))]
        sampled = [json.loads(file.read_text())["body"] for file in sorted(samples(name))]
        self.documents = [*told, *(body for body in sampled if isinstance(body, dict))]
        self.documents += [
            dict(parse_qsl(body)) for body in sampled if isinstance(body, str) and "=" in body
        ]
        self.names = sorted({key for document in self.documents for key in keys_of(document)})
        self.raw = [json.dumps(document).encode() for document in self.documents]
        self.ways: list[Way] = ["webhook"] * 8
        self.ways += ["update"] if isinstance(driver, Pushed) else []
        self.ways += ["returned"] if driver.can("returned") else []

    def _pool(self, **fields: str) -> Pool:
        driver = self.sim.driver(self.name, **fields)
        return Pool(driver, connection=self.sim.connection, webhook_base=BASE, webhook_key=KEY)

    async def _order(self) -> None:
        """Pay one order, and keep its message in every form."""
        provider: Any = self.sim.providers[self.name]
        wanted: dict[str, Any] = {"description": "Data bundle"}
        wanted |= {"return_url": "https://shop.example/back"}
        wanted |= {"cancel_url": "https://shop.example/left"}
        wanted |= {"customer": Customer(name="Ada", surname="Lovelace", email="ada@example.com")}
        self.sim.on_webhook(lambda _: None)
        known = self.driver.own_currencies
        order: dict[str, Any] = {
            "amount": 1000,
            "currency": "XOF" if "XOF" in known else min(known),
            "reference": "104207",
            **{field: text for field, text in wanted.items() if field in self.driver.takes},
        }
        if not self.driver.can("collect"):
            payment = await self.pool.payout(self.name, payee=next(iter(provider.numbers)), **order)
        else:
            payer = None if self.driver.payer == "none" else next(iter(provider.numbers))
            payment = await self.pool.collect(self.name, payer=payer, **order)
        [entry] = self.sim.settle(payment.provider_reference or "", Status.SUCCEEDED)
        attribute, shapes = SHAPES.get(self.name, ("", ("",)))
        for shape in shapes:
            if attribute:
                setattr(provider, attribute, shape)
            message = provider.message(entry)
            url = urlsplit(message.url)
            self.messages.append(
                WebhookRequest(
                    method=message.method,
                    path=url.path,
                    query=url.query,
                    headers=message.headers,
                    body=message.body,
                )
            )
            if hasattr(provider, "frame"):
                self.frames.append(json.dumps(provider.frame(entry)).encode())
        await self.pool.aclose()
        await self.sim.core.aclose()


@functools.cache
def desk(name: str) -> Desk:
    """Return the desk of a driver; all cases share it, because reading changes nothing."""
    return Desk(name)


def samples(name: str) -> Iterable[Path]:
    """Return the samples of a driver; requests and answers serve as hostile messages, too."""
    return (ROOT / "tests" / "samples" / name).glob("*.json")


def read(message: WebhookRequest) -> Tree:
    """Return the fields of a good message."""
    if message.body.startswith(b"{"):
        found: Tree = json.loads(message.body)
        return found
    return dict(parse_qsl(message.body.decode() or message.query, keep_blank_values=True))


def keys_of(tree: Any) -> Iterator[str]:
    """Yield every name in a document."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from keys_of(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from keys_of(value)


# Written into JSON unchanged, instead of a value.
RAW = (
    *(
        "1E+1000000",
        "-1e400",
        "1e308",
        "1E-1000000",
        "-0",
        "-0.0",
        "01",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
    ),
    *(
        "9" * 400,
        "1" * 4301,
        "0." + "1" * 400,
        "",
        "tru",
        "'x'",
        "//",
        "undefined",
        "-",
        "1.",
        ".5",
        "+5",
    ),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"\\x41"',
        '"a\nb"',
        '"\\',
        '"',
        "\ufeff1",
        "\x00",
        "\x7f",
    ),
    *(
        "[" * 30 + "]" * 30,
        "[" * 600 + "]" * 600,
        "[" * 20_000,
        '{"a":' * 30 + "1" + "}" * 30,
        '{"a":' * 3000,
    ),
    *("{}" * 2, '{"a":1,"a":2}', '{"":""}', "[1,2,]", "[]", "{}", "1 1", "null null", "/**/1"),
)
NUMBERS = 11  # the first entries of RAW
OPEN = ("custom_data", "custom_datas", "metadata")  # an event keeps all their content
TEXTS = (
    *(
        "",
        " ",
        "None",
        "null",
        "undefined",
        "0",
        "-0",
        "-5",
        "+5",
        "1_000",
        "5,00",
        "1e3",
        "NaN",
        "inf",
        "1/3",
    ),
    *(
        "١٢",
        "5.00",
        "0.0000000001",
        "9" * 16,
        "9" * 400,
        "9" * 5000,
        "0" * 5000,
        "1E+1000000",
        "0x1F",
        "\u0665",
    ),
    *(
        ".",
        "..",
        "/",
        "a/b",
        "../../x",
        "%2e%2e",
        "\r\nX-Injected: y",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\u2028",
    ),
    *(
        "é",
        "İ",
        "ß",
        "\U0001f600",
        "\ud800",
        "\udcff",
        "x" * 300,
        "x" * 5000,
        "é" * 5000,
        "=" * 300,
        "a.b.c",
    ),
    *(
        "SUCCESSFUL",
        "success",
        "COMPLETED",
        "completed",
        "ACCEPTED",
        "REFUSED",
        "00",
        "625",
        "sandbox",
        "live",
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "2024-02-30",
        "2023-01-01T00:00:00Z",
    ),
    *(
        "20230101000000",
        "99991231235959",
        "20000101000060",
        "00010101000000",
        "1970-01-01T00:00:00+00:00:01",
    ),
    *(
        "'; drop table payments; --",
        "{{7*7}}",
        "<script>",
        "data[a][b]=1",
        "data=%257B%257D",
        "&a=1&a=2",
    ),
    *(
        "237670000000",
        "+254712345678",
        "104207",
        "104208",
        "123456",
        "collect",
        "withdraw",
        "paymux_reference",
    ),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        7,
        1.5,
        1e300,
        5e-324,
        -0.0,
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        -(2**63) - 1,
    ),
    *(
        10**30,
        10**400,
        [],
        {},
        [[]],
        [{}],
        [None],
        {"": ""},
        {"a": {"b": {"c": 1}}},
        [0] * 300,
        {"Name": []},
    ),
    *(
        [{"Name": "Amount", "Value": 10**30}],
        {"Item": [{"Name": None, "Value": []}]},
        {"Item": {}},
        ["x", 1],
    ),
    *(
        {"stkCallback": {}},
        {"stkCallback": None},
        {"_env": "sandbox"},
        {"code": "x"},
        {str(n): n for n in range(300)},
    ),
)
METHODS = (
    "POST",
    "POST",
    "POST",
    "POST",
    "GET",
    "HEAD",
    "PUT",
    "post",
    "get",
    "",
    "\x00",
    "OPTIONS",
    "G" * 5000,
)
BYTES = (
    *(
        b"\x00",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\xc0\x80",
        b"\x80",
        b"\r\n",
        b"\\",
        b'"',
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"&",
        b"=",
        b";",
        b"%",
        b"%zz",
        b"%00",
        b"%ff",
        b"%25",
        b"+",
        b" " * 64,
    ),
    *(
        b"&data[a]=1&data[a][b]=2",
        b"data=",
        b"data=%25",
        b"%5B%5D",
        b"[a][b][c][d][e][f][g][h][i][j]=1",
        b"1e999",
    ),
)
MARK = "\x01raw{}\x01"


def value(chance: random.Random, at: Desk) -> Any:
    """Return a hostile value."""
    which = chance.random()
    if which < 0.35:
        return chance.choice(TEXTS)
    if which < 0.6:
        return copy.deepcopy(chance.choice(VALUES))
    if which < 0.85:
        return MARK.format(chance.randrange(chance.choice((len(RAW), NUMBERS))))
    if which < 0.95:
        return msgspec.json.decode(chance.choice(at.raw))
    return "".join(
        chr(chance.choice((chance.randrange(128), chance.randrange(0x110000)))) for _ in range(9)
    )


def bend(chance: random.Random, at: Desk, tree: Tree) -> None:
    """Change a document at one place."""
    spots: list[tuple[Any, Any]] = []
    todo: list[Any] = [tree]
    while todo:
        inner = todo.pop()
        pairs = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, found in pairs:
            spots.append((inner, key))
            if isinstance(found, dict | list):
                todo.append(found)
    if not spots:
        tree[chance.choice(at.names)] = value(chance, at)
        return
    where, key = chance.choice(spots)
    found, which = where[key], chance.random()
    kept = [spot for spot in spots if spot[1] in OPEN] if which < 0.1 else []
    if kept:
        where, key = chance.choice(kept)
        where[key] = {"a": value(chance, at)}
    elif which < 0.6:
        where[key] = value(chance, at)
    elif which < 0.7:
        where[key] = chance.choice(
            (str(found), [found], {"a": found}, json.dumps(found, skipkeys=True))
        )
    elif not isinstance(where, dict):
        where.append(value(chance, at))
    elif which < 0.8:
        del where[key]
    elif which < 0.9:
        where[
            chance.choice(
                (key + "\x01", key.upper(), f" {key}", chance.choice(at.names), *TEXTS[:8])
            )
        ] = found
    else:
        where[chance.choice(at.names)] = value(chance, at)


def text(chance: random.Random, tree: Any) -> bytes:
    """Return a document as JSON, with invalid JSON instead of each mark."""
    said = json.dumps(
        tree,
        ensure_ascii=chance.random() < 0.7,
        separators=chance.choice(((",", ":"), (", ", ": "))),
        indent=chance.choice((None, None, None, 1)),
    )
    said = said.replace("\\u0001", "\x01")
    said = re.sub('"\x01raw([0-9]+)\x01"', lambda found: RAW[int(found[1])], said)
    # a name that contained a mark is now there twice
    return said.replace("\x01", "").encode("utf-8", "surrogatepass")


def form(chance: random.Random, tree: Tree) -> bytes:
    """Return a document as a form, with PHP's names for nested fields."""
    pairs: list[tuple[str, str]] = []

    def walk(name: str, inner: Any) -> None:
        if isinstance(inner, dict) and inner and chance.random() < 0.9:
            for key, below in inner.items():
                walk(f"{name}[{key}]", below)
        else:
            said = inner if isinstance(inner, str) else json.dumps(inner)
            pairs.append(
                (name, re.sub("\x01raw([0-9]+)\x01", lambda found: RAW[int(found[1])], said))
            )

    for key, inner in tree.items():
        walk(key.replace("\x01", ""), inner)
    safe = chance.choice(("", "[]", "/:"))
    return urlencode(pairs, safe=safe, encoding="utf-8", errors="surrogatepass").encode()


def parts(pairs: Iterable[tuple[str, str]], boundary: str = "x-1") -> bytes:
    """Return a form as multipart/form-data."""
    heads = ((f'Content-Disposition: form-data; name="{name}"', said) for name, said in pairs)
    written = "".join(f"--{boundary}\r\n{head}\r\n\r\n{said}\r\n" for head, said in heads)
    return f"{written}--{boundary}--\r\n".encode(errors="surrogatepass")


def spoil(chance: random.Random, at: Desk, raw: bytes) -> bytes:
    """Change some bytes."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        low = chance.randrange(len(raw) + 1)
        high = min(len(raw), low + chance.choice((1, 1, 4, 40, 4000)))
        which = chance.random()
        if which < 0.3 and raw:
            flipped = bytearray(raw)
            flipped[min(low, len(raw) - 1)] ^= 1 << chance.randrange(8)
            raw = bytes(flipped)
        elif which < 0.45:
            raw = raw[:low] + raw[high:]
        elif which < 0.6:
            raw = raw[:high] + raw[low:high] * chance.choice((1, 1, 3, 200)) + raw[high:]
        elif which < 0.7:
            raw = raw[:low]
        elif which < 0.95:
            raw = raw[:low] + chance.choice(BYTES) * chance.choice((1, 1, 1, 40)) + raw[low:]
        else:
            raw = raw[:low] + chance.choice(at.raw)[low:]
        raw = raw[: WEBHOOK_BYTES + 9]
    return raw


def b64(raw: bytes) -> str:
    """Return one encoded part of a JWT."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwt(header: bytes, claims: bytes, key: str = SECRET, digest: str = "sha256") -> str:
    """Return a JWT of these two parts, unchanged, with a valid signature."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(key.encode(), signed.encode(), digest))}"


def signature(chance: random.Random, at: Desk) -> str:
    """Return a JWT that is valid, or hostile with a valid signature, or damaged."""
    now = int(time.time())
    header, claims = {"typ": "JWT", "alg": "HS256"}, {"iat": now, "nbf": now, "exp": now + 3600}
    which = chance.random()
    if which < 0.5:
        return jwt(json.dumps(header).encode(), json.dumps(claims).encode())
    parts: list[Any] = [header, claims]
    if which < 0.9:
        bend(chance, at, chance.choice(parts))
        raw = [text(chance, part) for part in parts]
        if chance.random() < 0.2:
            raw[chance.randrange(2)] = spoil(chance, at, chance.choice(raw))
        return jwt(raw[0], raw[1])
    token = spoil(
        chance, at, jwt(json.dumps(header).encode(), json.dumps(claims).encode()).encode()
    )
    return token.decode("utf-8", "replace")


SIGNED = (
    *("cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature"),
    *("payment_method", "cel_phone_num", "cpm_phone_prefixe", "cpm_language", "cpm_version"),
    *(
        "cpm_payment_config",
        "cpm_page_action",
        "cpm_custom",
        "cpm_designation",
        "cpm_error_message",
    ),
)


def sign(chance: random.Random, at: Desk, tree: Tree, headers: dict[str, str]) -> None:
    """Sign a changed document as its provider does.

    Such a message passes the signature check.
    """
    if at.name == "campay":
        tree["signature"] = signature(chance, at)
    elif at.name == "cinetpay":
        tree["cpm_site_id"] = "123456"
        said = "".join("" if tree.get(name) is None else str(tree[name]) for name in SIGNED)
        said = re.sub("\x01raw([0-9]+)\x01", lambda found: RAW[int(found[1])], said)
        headers["x-token"] = hmac.digest(
            SECRET.encode(), said.encode(errors="replace"), "sha256"
        ).hex()
    elif at.name == "paydunya":
        below = tree.get("data")
        (below if isinstance(below, dict) else tree)["hash"] = hashlib.sha512(
            SECRET.encode()
        ).hexdigest()


def envelope(chance: random.Random, at: Desk, headers: dict[str, str]) -> tuple[str, str]:
    """Return a method and a path, and add some headers."""
    method = chance.choice(METHODS) if chance.random() < 0.15 else "POST"
    path = chance.choice((at.path, at.path, at.path, at.order))
    which = chance.random()
    if which < 0.1:
        path = spoil(chance, at, path.encode()).decode(
            "utf-8", chance.choice(("replace", "surrogateescape"))
        )
    elif which < 0.13:
        path += chance.choice(
            ("/", "//", "/..", "?a=1", "/" + chance.choice(TEXTS), chance.choice(TEXTS))
        )
    if chance.random() < 0.15:
        name = chance.choice(
            ("x-token", "content-type", "signature", "authorization", chance.choice(TEXTS))
        )
        headers[name] = chance.choice(TEXTS)
    if chance.random() < 0.01:
        headers |= {
            f"x-{number}": "y"
            for number in range(chance.choice((MAX_HEADERS - 2, MAX_HEADERS + 1, 5000)))
        }
    return method, path


def draw(at: Desk, chance: random.Random) -> Case:
    """Return a random case."""
    way, tree = chance.choice(at.ways), msgspec.json.decode(chance.choice(at.raw))
    if way == "update":
        return Case(way, frame(chance, at))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
        bend(chance, at, tree)
    if way == "returned":
        return Case(way, address(chance, at))
    headers: dict[str, str] = {"content-type": chance.choice(("application/json", "text/plain"))}
    if chance.random() < 0.6:
        sign(chance, at, tree, headers)
    method, path = envelope(chance, at, headers)
    which = chance.random()
    body = form(chance, tree) if which < 0.35 else text(chance, tree)
    if which > 0.93 and at.name == "paydunya":
        body = urlencode({"data": text(chance, tree.get("data", tree))}).encode()
        body = body if which < 0.97 else b"data=" + quote(body[5:]).encode()
    if 0.15 <= which < 0.22:
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, errors="replace")
        body = parts(pairs)
        headers["content-type"] = "multipart/form-data; boundary=" + chance.choice(
            ("x-1", '"x-1"', "x-1", "x", "")
        )
        if chance.random() < 0.2:
            odd = spoil(chance, at, headers["content-type"].encode()).decode("latin-1")
            headers["content-type"] = "multipart/form-data" + odd[19:]
    elif which > 0.8 and chance.random() < 0.2:
        body = b"\xef\xbb\xbf" + body
    if chance.random() < 0.3:
        body = spoil(chance, at, body)
    query = ""
    if which < 0.15:
        method, query, body = (
            "GET",
            body.decode("utf-8", chance.choice(("replace", "surrogateescape"))),
            b"",
        )
        if chance.random() < 0.1:
            query += f"&{chance.choice(at.names)}={chance.choice(TEXTS)}"
    return Case(
        "webhook",
        WebhookRequest(method=method, path=path, query=query, headers=headers, body=body),
        open=chance.random() < 0.3,
    )


def address(chance: random.Random, at: Desk) -> str:
    """Return the URL of a browser that came back from a checkout page."""
    fields = {
        name: chance.choice((chance.choice(TEXTS), "5f2d7a96b97d9d3fea912c11", "104207"))
        for name in chance.sample(RETURNS, chance.randrange(1, 4))
    }
    query = urlencode(fields, errors="surrogatepass")
    if chance.random() < 0.3:
        query += "&" + "&".join(f"{name}={chance.choice(TEXTS)}" for name in fields)
    url = (
        chance.choice(
            ("https://shop.example/back?", "?", "", "https://shop.example/back?a=1?", "//[x?")
        )
        + query
    )
    if chance.random() < 0.4:
        url = spoil(chance, at, url.encode(errors="surrogatepass")).decode(
            "utf-8", "surrogateescape"
        )
    return url + chance.choice(("", "", "#token=x", "#"))


def frame(chance: random.Random, at: Desk) -> str | bytes:
    """Return an update frame of the web socket."""
    tree = msgspec.json.decode(chance.choice(at.frames))
    if chance.random() < 0.3:
        tree = {"type": "PAYMENT_UPDATE", "payload": msgspec.json.decode(chance.choice(at.raw))}
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        bend(chance, at, tree)
    raw = text(chance, tree)
    if chance.random() < 0.3:
        raw = spoil(chance, at, raw)
    return (
        raw
        if chance.random() < 0.5
        else raw.decode("utf-8", chance.choice(("replace", "surrogateescape")))
    )


def cases(name: str, seed: int, count: int, first: int = 0) -> Iterator[Case]:
    """Yield `count` cases of a driver.

    The same seed gives the same cases, except for the times in a signature.
    """
    for number in range(first, first + count):
        yield draw(desk(name), random.Random(f"{seed} {name} {number}"))


def hear(at: Desk, case: Case) -> Event | None:
    """Read a message with the case's method."""
    pool = at.unkeyed if case.open else at.pool
    if isinstance(case.given, WebhookRequest):
        return pool.webhook(case.given)
    if case.way == "returned":
        return pool.returned(at.name, str(case.given))
    assert isinstance(at.driver, Pushed)
    return at.driver.update(case.given)


def attempt(at: Desk, case: Case) -> Event | BaseException | None:
    """Read a message, and return the event or the exception."""
    try:
        return hear(at, case)
    except BaseException as error:  # noqa: BLE001 - the campaign looks for foreign exceptions
        return error


def judged(case: Case, came: Event | BaseException | None) -> tuple[str, str]:
    """Return the outcome of a reading, and its text.

    Good outcomes are `refused`, `event` and `nothing`.
    """
    if isinstance(came, BadWebhook) and case.way != "update":
        said = str(came)
        return ("refused" if said.isprintable() and len(said) < 400 else "unprintable"), said
    if isinstance(came, Unreadable | UnicodeDecodeError) and case.way == "update":
        return "refused", str(came)  # the reader of the web socket catches these two
    if isinstance(came, BaseException):
        return type(came).__name__, str(came)[:200]
    if came is None:
        return ("nothing" if case.way == "update" else "None"), ""
    try:
        same = msgspec.json.decode(msgspec.json.encode(came), type=Event) == came
    except Exception as error:  # noqa: BLE001 - any exception of the encoder is a finding
        return f"no JSON: {type(error).__name__}", str(error)[:200]
    return ("event" if same else "changed by JSON"), repr(came)[:300]


def verdict(at: Desk, case: Case) -> tuple[str, str]:
    """Read a message, and return its outcome and text."""
    return judged(case, attempt(at, case))


GOOD = ("refused", "event", "nothing")


class Tally:
    """The outcomes of the cases of one reader."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.times = array.array("d")  # milliseconds of wall time
        # milliseconds of CPU time, to which no other program adds
        self.worked = array.array("d")
        self.wrong: list[str] = []
        self.slowest = (0.0, "")
        self.peak = 0.0  # largest memory, as a share of the limit

    @property
    def escapes(self) -> int:
        """Count the cases with a wrong outcome."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in GOOD)

    def percentile(self, share: float, *, worked: bool = False) -> float:
        """Return a percentile of the times, in milliseconds."""
        ordered = sorted(self.worked if worked else self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def facts(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "cases": len(self.times),
            "outcomes": dict(self.outcomes),
            "p50_ms": self.percentile(0.5),
            "p99_ms": self.percentile(0.99),
            "max_ms": max(self.times),
            "processor_p99_ms": self.percentile(0.99, worked=True),
            "processor_max_ms": max(self.worked),
            "memory_of_allowance": self.peak,
        }


def fuzz(name: str, seed: int, count: int, first: int = 0, until: float = float("inf")) -> Tally:
    """Read `count` messages, or fewer if the time is over."""
    tally, at = Tally(), desk(name)
    for number, case in enumerate(cases(name, seed, count, first), first):
        began, idle = time.perf_counter(), time.thread_time()
        came = attempt(at, case)
        worked, took = (time.thread_time() - idle) * 1000, (time.perf_counter() - began) * 1000
        outcome, said = judged(case, came)
        tally.outcomes[outcome] += 1
        tally.times.append(took)
        tally.worked.append(worked)
        if worked > tally.slowest[0]:
            tally.slowest = (worked, repr(case)[:160])
        if outcome not in GOOD and len(tally.wrong) < 20:
            again = f"--driver {name} --seed {seed} --first {number} --cases 1"
            tally.wrong.append(
                f"{outcome}: {said}\n    {smaller(at, case, outcome)!r}\n    {again}"
            )
        if began > until:
            break
    return tally


def smaller(at: Desk, case: Case, outcome: str) -> Case:
    """Return a smaller case with the same outcome, which is easier to read.

    It stops after READINGS readings.
    """
    given = case.given
    body: Any = given.body or given.query if isinstance(given, WebhookRequest) else given
    step, left = max(len(body) // 2, 1), READINGS
    while step and left > 0:
        low = 0
        while low < len(body) and left > 0:
            left -= 1
            less = body[:low] + body[low + step :]
            changed = less
            if isinstance(given, WebhookRequest):
                changed = msgspec.structs.replace(
                    given, **{"body" if given.body else "query": less}
                )
            if verdict(at, case._replace(given=changed))[0] == outcome:
                body, case = less, case._replace(given=changed)
            else:
                low += step
        step //= 2
    return case


def crowds(size: int) -> list[bytes]:
    """Return the largest multipart forms.

    They have many parts, headers that are hard to parse, or text that is almost a boundary.
    """
    hard = ((f"{';' * 13}{'=' * 450}{number}", "v") for number in range(size // 600))
    quoted = ((f"{chr(92)}{chr(34)}" * 300 + str(number), "v") for number in range(size // 700))
    many = ((f"k{number}", "v" * 500) for number in range(size // 600))
    few = [("x", "\r\n--x-" * (size // 6))]
    return [*map(parts, (hard, quoted, many, few)), b"--x-1\r\n" * (size // 7)]


def giants(name: str, size: int) -> Iterator[Case]:
    """Yield the largest messages of every kind: as large as the reading limit, or larger."""
    at, headers = desk(name), dict[str, str]()
    flat = msgspec.json.decode(at.raw[0])
    sign(random.Random(0), at, flat, headers)
    known = json.dumps(flat)[1:-1]
    fill = {
        "long text": (known + ', "x": "', "y", '"'),
        "escapes": (known + ', "x": "', "\\u00e9", '"'),
        "astral": (known + ', "x": "\U0001f600', "a", '"'),
        "names": (known, ', "%d": 0', ""),
        "lists": (known + ', "custom_data": [', "[],", "0]"),
        "objects": (known + ', "metadata": [', '{"a":{}},', "0]"),
        "nested": (known + ', "x": ', "[", ""),
        "digits": (known + ', "amount": ', "9", ""),
        "blanks": (known, " ", ""),
    }
    bodies = [grown("{" + head, part, tail + "}", size) for head, part, tail in fill.values()]
    pairs = urlencode(
        {name: said if isinstance(said, str) else json.dumps(said) for name, said in flat.items()}
    )
    for part in ("%25", "a", "+", "&a%d=1", "%C3%A9", "&", "=", ";", "[a]"):
        bodies += [grown(f"{pairs}&x=", part, "", size), grown("data=", part, "", size)]
        bodies.append(grown(f"data=%25{part}", part, "", size))
    bodies.append(grown("data" + "[a]" * 9 + "=1", "&data%d[a][b][c]=1", "", size))
    bodies += [b"\xff" * size, b"%" * size, b" " * size, b"{" + b" " * size]
    headed = {**headers, "content-type": "multipart/form-data; boundary=x-1"}
    for body in crowds(size):
        yield Case("webhook", WebhookRequest(path=at.path, headers=headed, body=body), open=True)
    for body in bodies:
        for unkeyed in (False, True):
            yield Case("webhook", WebhookRequest(path=at.path, headers=headers, body=body), unkeyed)
        query = body.decode("latin-1")
        yield Case("webhook", WebhookRequest(method="GET", path=at.path, query=query), open=True)
        if at.driver.can("returned"):
            yield Case("returned", f"https://shop.example/back?{query}")
        if isinstance(at.driver, Pushed):
            yield Case("update", body)
            yield Case("update", query)
    yield Case("webhook", WebhookRequest(path="/" + "a" * size, body=b"{}"))
    yield Case("webhook", WebhookRequest(path=at.path + "/" + "0" * size, body=b"{}"))
    yield Case("webhook", WebhookRequest(path="/" * size, body=b"{}"))
    yield Case(
        "webhook",
        WebhookRequest(path=at.path, headers={"x-token": "é" * size}, body=at.messages[0].body),
    )


def grown(head: str, part: str, tail: str, size: int) -> bytes:
    """Return `head`, as many of `part` as fit, and `tail`; "%d" in a part is its number."""
    room = max(size - len(head.encode()) - len(tail.encode()), 0)
    if "%d" not in part:
        return (head + part * (room // len(part.encode())) + tail).encode()
    pieces, number = [], 0
    while (room := room - len(piece := part % number)) >= 0:
        pieces.append(piece)
        number += 1
    return (head + "".join(pieces) + tail).encode()


def length(case: Case) -> int:
    """Count the bytes of a message (for text, its characters, which are bytes on the wire)."""
    given = case.given
    if not isinstance(given, WebhookRequest):
        return len(given)
    return (
        len(given.body) + len(given.query) + len(given.path) + sum(map(len, given.headers.values()))
    )


def memory(name: str, sizes: Sequence[int] = (WEBHOOK_BYTES, 2**20)) -> tuple[float, str]:
    """Read the largest messages.

    Return the largest memory of a reading, as a share of the limit, and its case.
    """
    at, worst = desk(name), (0.0, "")
    for size in sizes:
        for case in giants(name, size):
            gc.collect(0)
            tracemalloc.start()
            with contextlib.suppress(Exception):
                hear(at, case)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            worst = max(
                worst, (peak / (4 * length(case) + SPARE), f"{length(case)} bytes, {case!r:.100}")
            )
    return worst


# The verifiers of other libraries.


def others() -> dict[str, Callable[[WebhookRequest, random.Random], str]]:
    """Return the readers of stripe and standardwebhooks.

    A reader returns the outcome of a message: for a foreign exception, its class.
    """
    stripe, standard = (
        importlib.import_module("stripe"),
        importlib.import_module("standardwebhooks"),
    )
    key = base64.b64encode(b"simulator-simulator-simulator").decode()
    hook = standard.Webhook(key)

    def by_stripe(incoming: WebhookRequest, chance: random.Random) -> str:
        now = int(time.time())
        mac = hmac.digest(SECRET.encode(), f"{now}.".encode() + incoming.body, "sha256").hex()
        header, signed = garnish(chance, f"t={now},v1={mac}", ",=")
        try:
            stripe.Webhook.construct_event(incoming.body, header, SECRET)
        except stripe.SignatureVerificationError:
            return "own error"
        except Exception as error:  # noqa: BLE001 - the campaign counts foreign exceptions
            return f"{type(error).__name__} {signed}"
        return "event"

    def by_standard(incoming: WebhookRequest, chance: random.Random) -> str:
        now = str(int(time.time()))
        mac = hmac.digest(base64.b64decode(key), f"m1.{now}.".encode() + incoming.body, "sha256")
        header, signed = garnish(chance, f"v1,{base64.b64encode(mac).decode()}", ", ")
        headers = {
            **incoming.headers,
            "webhook-id": "m1",
            "webhook-timestamp": now,
            "webhook-signature": header,
        }
        try:
            hook.verify(incoming.body, headers)
        except standard.WebhookVerificationError:
            return "own error"
        except Exception as error:  # noqa: BLE001 - the campaign counts foreign exceptions
            return f"{type(error).__name__} {signed}"
        return "event"

    return {"stripe": by_stripe, "standardwebhooks": by_standard}


def garnish(chance: random.Random, good: str, joints: str) -> tuple[str, str]:
    """Return a signature header, valid or hostile, and whether it needs the key."""
    if chance.random() < 0.5:
        return good, "with the key"
    pieces = re.split(f"([{joints}])", good)
    for _ in range(chance.choice((1, 1, 2))):
        pieces[chance.randrange(len(pieces))] = chance.choice(
            (*TEXTS, "t", "v1", "=", ",", "v1,a", "v1,a,b")
        )
    return "".join(pieces), "without"


def compare(seed: int, count: int) -> dict[str, Tally]:
    """Read the webhooks of our corpus with the other libraries."""
    tallies = {}
    for reader, take in others().items():
        tally = tallies[reader] = Tally()
        for name in names():
            chance = random.Random(f"{seed} {name} {reader}")
            for case in cases(name, seed, count):
                if isinstance(case.given, WebhookRequest):
                    began, idle = time.perf_counter(), time.thread_time()
                    tally.outcomes[take(case.given, chance)] += 1
                    tally.worked.append((time.thread_time() - idle) * 1000)
                    tally.times.append((time.perf_counter() - began) * 1000)
    return tallies


def bound(wrong: int, total: int) -> str:
    """Return the text of a count, with the probability bound that a zero proves."""
    return f"{wrong:,} in {total:,}" + (
        f" (p < {3 / total:.1e}, 95 %)" if total and not wrong else ""
    )
