"""A long history: each row is read once, keeps its own text, and does not block."""

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from paymux import CamPay, MpesaGateway, Payment, Pool, Unavailable, get
from paymux.core.history import ROWS_PER_STEP
from paymux.http import MAX_DAY_BYTES, MAX_PAGE_BYTES, PreparedRequest, Response
from paymux.primitives.redaction import hide_and_flag

from .test_aiohttp import Peer, Seen, http
from .toys import Wire, timeless

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = {"since": BEGAN, "until": BEGAN + timedelta(days=30)}


def campay(url: str = "https://demo.campay.net/api") -> CamPay:
    """Return an account that never logs in."""
    return CamPay(base_url=url, access_token="a-permanent-token")


def gateway(url: str = "https://gateway.example") -> MpesaGateway:
    """Return an account of a gateway."""
    return MpesaGateway(base_url=url, access_token="a-permanent-token")


def past(number: int, made: datetime | None, **fields: Any) -> bytes:
    """Return a row of CamPay's."""
    when = {} if made is None else {"datetime": f"{made:%Y-%m-%dT%H:%M:%S.%fZ}"}
    row = {
        **when,
        "code": f"CP{number}",
        "reference_uuid": f"tx-{number}",
        "amount": "5",
        "status": "SUCCESSFUL",
    }
    return json.dumps({**row, **fields}).encode()


def rows(count: int, *, days: float = 30, **fields: Any) -> list[bytes]:
    """Return `count` rows, spread over `days` days."""
    return [
        past(number, BEGAN + timedelta(days=days * number / count), **fields)
        for number in range(count)
    ]


def page(found: list[bytes]) -> bytes:
    """Return CamPay's answer of these rows."""
    return b'{"data":[%s]}' % b",".join(found)


def gateway_page(count: int, **fields: Any) -> bytes:
    """Return the gateway's answer with `count` rows."""
    row = {"amount": 5, "status": "completed", "created_at": "2026-01-02T00:00:00Z", **fields}
    listed = [{"id": f"tx-{number}", **row} for number in range(count)]
    return json.dumps({"results": listed, "total": count, "page": 1}).encode()


PAGES: dict[str, tuple[Callable[[], CamPay | MpesaGateway], Callable[[int], bytes]]] = {
    "campay": (campay, lambda count: page(rows(count))),
    "mpesa_gateway": (gateway, gateway_page),
}


async def listed(pool: Pool, account: str, **period: Any) -> list[Payment]:
    """List a history to its end."""
    return [one async for one in pool.history(account, **(period or MONTH))]


@pytest.mark.parametrize("name", PAGES)
@timeless
async def test_the_work_of_a_history_grows_with_its_rows(name: str) -> None:
    """Each row is cleaned once, separately, and its `raw` is its own JSON only.

    A page was scrubbed and kept whole for each of its rows: 2,800 of them froze the loop for 20 s.
    """
    made, body = PAGES[name]
    scrubbed: list[int] = []

    def counted(text: str, secrets: tuple[str, ...]) -> tuple[str, bool]:
        scrubbed.append(len(text))
        return hide_and_flag(text, secrets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paymux.transport.scrubbed.hide_and_flag", counted)
        for count in (100, 2000):
            scrubbed.clear()
            reply = Response(status=200, body=body(count))
            async with Pool(made(), connection=Wire(partial(_give, reply))) as pool:
                found = await listed(pool, name)
            assert (len(found), len(scrubbed)) == (count, count)
            assert sum(scrubbed) <= len(reply.body)
            assert all(str(one.provider_reference) == _named(one.raw) for one in found)


def _give(reply: Response, _: PreparedRequest) -> Response:
    return reply


def _named(raw: str) -> str:
    row = json.loads(raw)
    return str(row.get("reference_uuid") or row["id"])


@pytest.mark.parametrize("inside", [True, False], ids=["listed", "of another period"])
@pytest.mark.parametrize("name", PAGES)
@timeless
async def test_a_history_lets_others_have_their_turn(name: str, *, inside: bool) -> None:
    """A caller that only reads rows blocks the event loop for a few rows at a time.

    Rows that are skipped are no exception.
    """
    made, body = PAGES[name]
    turns, answered = 0, body(1000)

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with Pool(made(), connection=Wire(lambda _: Response(status=200, body=answered))) as pool:
        other = asyncio.create_task(turning())
        shift = timedelta(days=0 if inside else 400)
        found = await listed(
            pool, name, since=BEGAN + shift, until=BEGAN + timedelta(days=30) + shift
        )
        other.cancel()
    assert len(found) == (1000 if inside else 0)
    assert turns >= 1000 // ROWS_PER_STEP


class Shop:
    """CamPay's history over sockets, limited to the requested days."""

    def __init__(self, made: list[bytes]) -> None:
        self._made = [
            (row[14:24].decode() if row.startswith(b'{"datetime') else "", row) for row in made
        ]
        self.asked: list[tuple[str, str]] = []
        self.squeezed = False

    def __call__(self, seen: Seen) -> bytes:
        days = json.loads(seen.body)
        self.asked.append((days["start_date"], days["end_date"]))
        inside = [
            row
            for day, row in self._made
            if not day or days["start_date"] <= day <= days["end_date"]
        ]
        body = page(inside)
        return (
            http(zlib.compress(body), Content_Encoding="deflate") if self.squeezed else http(body)
        )


@pytest.mark.slow
@pytest.mark.parametrize("squeezed", [False, True])
async def test_a_period_that_is_too_large_for_a_page_is_halved(*, squeezed: bool) -> None:
    """Every row comes once, the later half first, and no caller has to try again."""
    shop = Shop([*rows(2400, description="x" * 8000), past(9999, None)])
    shop.squeezed = squeezed
    async with Peer(shop) as peer, Pool(campay(peer.url), attempts=1) as pool:
        found = await listed(pool, "campay")
    assert len(shop._made) * 8000 > 2 * MAX_PAGE_BYTES
    assert Counter(one.provider_reference for one in found) == Counter(
        [f"tx-{number}" for number in range(2400)] + ["tx-9999"]
    )
    assert shop.asked[0] == ("2026-01-01", "2026-02-01")
    assert 3 < len(shop.asked) < 12


async def test_a_day_that_is_too_large_for_a_page_is_read_whole() -> None:
    """A day cannot be halved: CamPay's history is by days."""
    shop = Shop(rows(1200, days=0.9, description="x" * 8000))
    day = {"since": BEGAN, "until": BEGAN + timedelta(days=1)}
    async with Peer(shop) as peer, Pool(campay(peer.url), attempts=1) as pool:
        assert len(await listed(pool, "campay", **day)) == 1200
    assert shop.asked == [("2026-01-01", "2026-01-03")]


async def test_a_gateways_page_may_be_large() -> None:
    """The provider chooses the page's length; it cannot be made shorter."""
    body = gateway_page(300, message="x" * 8000)
    async with Peer(lambda _: http(body)) as peer, Pool(gateway(peer.url), attempts=1) as pool:
        assert len(await listed(pool, "mpesa_gateway")) == 300
    assert len(peer.seen) == 1


async def test_what_no_cap_allows_is_refused_without_being_read() -> None:
    """Any other answer is limited to a mebibyte; a longer stated length is refused unread."""

    async def endless() -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_DAY_BYTES + 1)
        await asyncio.get_running_loop().create_future()

    day = {"since": BEGAN, "until": BEGAN + timedelta(days=1)}
    async with Peer(lambda _: endless()) as peer, Pool(campay(peer.url), deadline=5.0) as pool:
        with pytest.raises(Unavailable, match=f"more than {MAX_DAY_BYTES} bytes"):
            await listed(pool, "campay", **day)
        assert len(peer.seen) == 1  # another request would not make it smaller
    async with Peer(lambda _: endless()) as peer, Pool(campay(peer.url), attempts=1) as pool:
        with pytest.raises(Unavailable, match=f"more than {1 << 20} bytes"):
            await pool.send("campay", get("/balance/", dict[str, str]))


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        (
            "campay",
            page([*rows(2), past(2, BEGAN, status=[])]),
            "row 3: status: expected text, got list",
        ),
        ("campay", page([past(0, BEGAN, amount="five")]), "row 1: not an amount"),
        ("campay", b'{"data":{}}', "data: expected list, got object"),
        ("mpesa_gateway", gateway_page(1, status={}), "row 1: status: expected text, got object"),
        ("mpesa_gateway", b'{"results":[{"amount":5}],"total":1}', "row 1: it has no id"),
        ("mpesa_gateway", b'{"results":[],"total":9,"page":7}', "the answer is another page"),
    ],
)
@timeless
async def test_a_row_that_cannot_be_read_is_named(name: str, body: bytes, said: str) -> None:
    """A history is never shortened silently: errors say what could not be read, and where."""
    made, _ = PAGES[name]
    async with Pool(made(), connection=Wire(lambda _: Response(status=200, body=body))) as pool:
        with pytest.raises(Unavailable) as failed:
            await listed(pool, name)
    assert said in str(failed.value)


@timeless
async def test_a_rows_own_text_is_scrubbed() -> None:
    """A credential in one row is not in its `raw` or fields; other rows are unchanged."""
    body = page(
        [
            past(1, BEGAN),
            past(2, BEGAN, reason="a-permanent-token", description="a-permanent-token"),
        ]
    )

    def say(_: PreparedRequest) -> Response:
        return Response(status=200, body=body)

    async with Pool(campay(), connection=Wire(say)) as pool:
        first, second = await listed(pool, "campay")
    assert first.raw == past(1, BEGAN).decode()
    assert second.message == "***"
    assert "a-permanent-token" not in second.raw
