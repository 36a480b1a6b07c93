"""The outcome table, row by row: look-ups, money with deduplication, and other money."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Literal

import pytest

from paymux import (
    AuthenticationFailed,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    RateLimited,
    Rejected,
    Status,
    Unavailable,
)
from paymux.http import Connection, PreparedRequest, Response, TransportError, get, post
from paymux.transport.outcome import Means, decide

from .toys import Desk, Said, Toy, Unsent, Wire, answer, now, timeless

Column = Literal["look-up", "repeatable", "money"]
COLUMNS: tuple[Column, ...] = ("look-up", "repeatable", "money")
HTML = Response(status=200, body=b"<html>Service temporarily unavailable</html>")
GOOD = answer(id="p1", status="OK")

UNKNOWN: dict[str, Response | Exception] = {
    "cut off": TransportError("ServerDisconnectedError"),
    "garbage": TransportError("ClientResponseError"),
    "200 html": HTML,
    "200 empty": Response(status=200),
    "200 cut json": Response(status=200, body=b'{"id": "p1", "status": "O'),
    "200 bare scalar": Response(status=200, body=b"5"),
    "200 list": Response(status=200, body=b"[]"),
    "200 null": Response(status=200, body=b"null"),
    "200 deep": Response(status=200, body=b'{"id": ' + b"[" * 100_000),
    "200 not utf-8": Response(status=200, body=b'{"id": "\xff"}'),
    "200 wrong type": Response(status=200, body=b'{"id": {}}'),
    "204": Response(status=204),
    "301": Response(status=301, headers={"location": "https://elsewhere.example/"}),
    "302": Response(status=302, body=b'{"id": "p1", "status": "OK"}'),
    "307": Response(status=307),
    "401": answer(401),
    "401 of a firewall": Response(status=401, body=b"<html>Who are you?</html>"),
    "403": answer(403),
    "403 of a firewall": Response(status=403, body=b"<html>Blocked</html>"),
    "408": answer(408),
    "409": answer(409),
    "418": answer(418, status="OK"),
    "423": answer(423),
    "425": answer(425),
    "500": answer(500),
    "500 saying ok": answer(500, id="p1", status="OK"),
    "502": Response(status=502, body=b"<html>Bad gateway</html>"),
    "503": answer(503),
    "504": answer(504),
    "599": answer(599),
}
# A bare status can refuse a look-up, but proves nothing about money.
BARE: dict[int, type[Exception]] = {
    400: Rejected,
    404: NotFound,
    422: Rejected,
    429: RateLimited,
}


async def _ask(column: Column, connection: Connection, attempts: int = 3) -> Payment:
    async with Pool(
        Toy(repeatable=column == "repeatable"), connection=connection, attempts=attempts
    ) as pool:
        if column == "look-up":
            return await pool.verify("toy", "p1")
        return await pool.collect("toy", amount=500, currency="XAF", reference="order-1")


def _wire(*replies: Response | Exception) -> Wire:
    return Wire(Desk(collect=list(replies), payments=list(replies)))


def _moved(wire: Wire) -> int:
    return len(wire.seen) - len(wire.paths("/login"))


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_readable_answer_is_the_answer(column: Column) -> None:
    """A readable 2xx that matches is the typed reply, after one request."""
    wire = _wire(GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    assert _moved(wire) == 1


@pytest.mark.proves("campay: implement retries")
@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_everything_else_is_unknown(column: Column, case: str) -> None:
    """Other replies are repeated for look-ups and deduplicated money only; else unknown."""
    wire = _wire(UNKNOWN[case])
    expected = Unavailable if column == "look-up" else OutcomeUnknown
    with pytest.raises(expected) as caught:
        await _ask(column, wire)
    assert _moved(wire) == (1 if column == "money" else 3)
    if isinstance(caught.value, OutcomeUnknown):
        assert caught.value.payment.reference == "order-1"
        assert caught.value.payment.status is Status.PENDING
        assert now() < 0.1 or column == "repeatable"


@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("column", ["look-up", "repeatable"])
@timeless
async def test_an_unknown_outcome_is_resolved_by_repeating_where_that_is_safe(
    column: Column, case: str
) -> None:
    """A safe repetition sends the same bytes, and its answer is the outcome."""
    wire = _wire(UNKNOWN[case], GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    sent = [(one.method, one.url, one.body) for one in wire.seen if not one.url.endswith("/login")]
    assert len(sent) == 2
    assert sent[0] == sent[1]


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_login_that_is_never_sent_is_not_sent(column: Column) -> None:
    """An unsent login is repeated, and then NotSent."""
    unsent = Unsent()
    with pytest.raises(NotSent):
        await _ask(column, unsent)
    assert unsent.tried == 3


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_never_sent_of_the_request_itself_is_not_sent(column: Column) -> None:
    """With a token, an unsent request is repeated, and then NotSent, also a look-up."""
    wire, tried = _wire(GOOD), 0

    class Lame(Wire):
        async def exchange(self, outgoing: PreparedRequest) -> Response:
            nonlocal tried
            if outgoing.url.endswith("/login"):
                return await wire.exchange(outgoing)
            tried += 1
            outgoing.started = True
            raise TransportError("ClientConnectorError")

    with pytest.raises(NotSent):
        await _ask(column, Lame(lambda _: GOOD))
    assert tried == 3


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_what_cannot_get_better_is_not_repeated(column: Column) -> None:
    """An untrusted certificate is not tried again."""
    unsent = Unsent(certain=True)
    with pytest.raises(NotSent):
        await _ask(column, unsent)
    assert unsent.tried == 1


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_connection_that_reports_nothing_counts_as_sent(column: Column) -> None:
    """Without any report of the connection, money is unknown, without a retry."""
    tried = 0

    class Silent(Wire):
        async def exchange(self, outgoing: PreparedRequest) -> Response:
            nonlocal tried
            if outgoing.url.endswith("/login"):
                return answer(token="t1")
            tried += 1
            raise TransportError("who knows")

    with pytest.raises(Unavailable if column == "look-up" else OutcomeUnknown):
        await _ask(column, Silent(lambda _: GOOD))
    assert tried == (1 if column == "money" else 3)


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_stale_token_is_renewed_once(column: Column) -> None:
    """A request refused for its token is repeated once with a new one, beyond `attempts`."""
    wire = _wire(answer(401, error="stale"), GOOD)
    assert (await _ask(column, wire, attempts=1)).status is Status.SUCCEEDED
    assert [
        one.headers["Authorization"] for one in wire.seen if not one.url.endswith("/login")
    ] == [
        "Bearer t1",
        "Bearer t2",
    ]


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_new_token_that_is_refused_too_is_authentication_failed(column: Column) -> None:
    """The second refusal is raised, without a third login."""
    wire = _wire(answer(401, error="stale"))
    with pytest.raises(AuthenticationFailed) as caught:
        await _ask(column, wire)
    assert caught.value.http_status == 401
    assert (_moved(wire), len(wire.paths("/login"))) == (2, 2)


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_throttled_before_processing_is_repeated_after_the_wait(column: Column) -> None:
    """A certain 429 is repeated after the wait, also for money: it was not processed."""
    wire = _wire(answer(429, {"retry-after": "7"}, error="slow"), GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    assert now() == pytest.approx(7, abs=0.01)
    assert _moved(wire) == 2


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_throttled_for_ever_is_rate_limited(column: Column) -> None:
    """After all attempts a throttled request is RateLimited, with the seconds to wait."""
    wire = _wire(answer(429, {"retry-after": "7"}, error="slow"))
    with pytest.raises(RateLimited) as caught:
        await _ask(column, wire)
    assert caught.value.retry_after == 7
    assert _moved(wire) == 3


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_wait_that_does_not_fit_is_refused_at_once(column: Column) -> None:
    """A Retry-After beyond the deadline is RateLimited immediately."""
    wire = _wire(answer(429, {"retry-after": "31"}, error="slow"))
    with pytest.raises(RateLimited) as caught:
        await _ask(column, wire)
    assert caught.value.retry_after == 31
    assert now() < 0.1
    assert _moved(wire) == 1


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_listed_no_is_raised_at_once(column: Column) -> None:
    """A listed refusal is raised without a retry, with the payment."""
    wire = _wire(answer(400, error="no"))
    with pytest.raises(Rejected) as caught:
        await _ask(column, wire)
    assert type(caught.value) is Rejected
    assert (caught.value.account, caught.value.provider, caught.value.http_status) == (
        "toy",
        "toy",
        400,
    )
    assert caught.value.reference == (None if column == "look-up" else "order-1")
    assert _moved(wire) == 1


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_listed_duplicate_is_unknown_at_once(column: Column) -> None:
    """After a listed duplicate the outcome is unknown, and nothing is repeated."""
    wire = _wire(answer(409, error="duplicate"))
    with pytest.raises(Unavailable if column == "look-up" else OutcomeUnknown) as caught:
        await _ask(column, wire)
    assert _moved(wire) == 1
    assert "the toy says duplicate" in str(caught.value)
    if isinstance(caught.value, OutcomeUnknown):
        assert caught.value.payment.reference == "order-1"
        assert caught.value.payment.status is Status.PENDING


@pytest.mark.parametrize("status", BARE)
@timeless
async def test_a_bare_status_is_enough_for_a_look_up(status: int) -> None:
    """A bare 4xx refuses a look-up."""
    wire = _wire(answer(status))
    with pytest.raises(BARE[status]):
        await _ask("look-up", wire)


@pytest.mark.parametrize("column", ["repeatable", "money"])
@pytest.mark.parametrize("status", BARE)
@timeless
async def test_a_bare_status_proves_nothing_of_money(status: int, column: Column) -> None:
    """A bare 4xx does not refuse money: it may come from a proxy."""
    wire = _wire(Response(status=status, body=b"<html>no</html>"))
    with pytest.raises(OutcomeUnknown):
        await _ask(column, wire)
    assert _moved(wire) == (1 if column == "money" else 3)
    assert len(wire.paths("/login")) == 1


@pytest.mark.parametrize("column", ["repeatable", "money"])
@timeless
async def test_an_answer_to_another_order_is_no_answer(column: Column) -> None:
    """A 2xx with another reference is unknown: responses may have crossed."""
    wire = _wire(answer(id="p9", reference="order-9", status="OK"))
    with pytest.raises(OutcomeUnknown):
        await _ask(column, wire)


@pytest.mark.parametrize("column", ["repeatable", "money"])
@pytest.mark.parametrize("wrong", [{"amount": 1}, {"currency": "KES"}, {"amount": "NaN"}])
@timeless
async def test_an_answer_that_contradicts_the_order_is_unknown(
    column: Column, wrong: dict[str, Any]
) -> None:
    """A 2xx with another amount or currency is unknown, and nothing is repeated."""
    wire = _wire(answer(id="p1", status="OK", **wrong))
    with pytest.raises(OutcomeUnknown) as caught:
        await _ask(column, wire)
    assert caught.value.payment.amount == 500
    assert _moved(wire) == 1


LATER: dict[str, Response | Exception] = {
    "no": answer(400, error="no"),
    "duplicate": answer(409, error="duplicate"),
    "stale": answer(401, error="stale"),
    "slow": answer(429, error="slow"),
    "slow for long": answer(429, {"retry-after": "999"}, error="slow"),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("case", ["cut off", "500", "200 html", "302"])
@timeless
async def test_a_later_refusal_never_downgrades_an_earlier_unknown(case: str, later: str) -> None:
    """PAID > UNKNOWN > REFUSED > NOT SENT: a second attempt proves nothing about the first."""
    wire = _wire(UNKNOWN[case], LATER[later])
    with pytest.raises(OutcomeUnknown):
        await _ask("repeatable", wire)


@pytest.mark.parametrize(
    "trouble", ["login refused", "login down", "never sent", "cancelled login"]
)
@timeless
async def test_later_trouble_never_downgrades_an_earlier_unknown(trouble: str) -> None:
    """An unknown attempt stays unknown, even if the next one was not sent."""
    steps = itertools.count()

    async def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            if next(steps) == 0:
                return answer(token="t1")
            if trouble == "login refused":
                return answer(401, error="stale")
            if trouble == "login down":
                raise TransportError("down")
            await asyncio.sleep(10**6)
        if next(steps) == 1:
            return answer(500)
        if trouble == "never sent":
            outgoing.sent = False
            raise TransportError("ClientConnectorError")
        return answer(401, error="stale")

    with pytest.raises(OutcomeUnknown):
        await _ask("repeatable", Wire(respond))


@timeless
async def test_a_paid_repeat_beats_the_unknown_before_it() -> None:
    """An answer to a repetition resolves the unknown."""
    wire = _wire(TransportError("reset"), answer(429, error="slow"), GOOD)
    assert (await _ask("repeatable", wire)).status is Status.SUCCEEDED


@pytest.mark.parametrize("status", [401, 429, 400, 500, 404])
def test_an_accepted_status_is_an_answer(status: int) -> None:
    """A status in the request's `accept` is read like a 2xx."""
    request = get("/x", Said, accept=(status,))
    assert decide(Toy(), request, answer(status, id="p1")).means is Means.ANSWER


def test_a_reply_in_hand_outweighs_a_hook_that_did_not_fire() -> None:
    """With a reply, a request counts as sent, whatever the connection reports."""
    assert decide(Toy(), post("/x", Said, {}), None, left=False).means is Means.NOT_SENT
    assert decide(Toy(), post("/x", Said, {}), GOOD, left=False).means is Means.ANSWER
    assert decide(Toy(), post("/x", Said, {}), answer(500), left=False).means is Means.UNKNOWN


@pytest.mark.parametrize("fault", [KeyError("x"), RuntimeError("a bug"), ValueError("a bug")])
@pytest.mark.parametrize("place", ["matches", "after"])
@timeless
async def test_a_drivers_own_mistake_after_sending_is_unknown(place: str, fault: Exception) -> None:
    """After money may have moved, any error is OutcomeUnknown, also a bug of the driver."""

    def raising(_: object) -> bool:
        raise fault

    class Clumsy(Toy, frozen=True, kw_only=True):
        async def collect(self, send: Any, order: Any) -> Payment:
            matches: Callable[[Said], bool] | None = raising if place == "matches" else None
            await send(post("/collect", Said, {}, matches=matches))
            raise fault

    wire = _wire(GOOD)
    async with Pool(Clumsy(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("toy", amount=5, currency="XAF", reference="order-1")
    assert caught.value.payment.reference == "order-1"
    assert _moved(wire) == 1


@timeless
async def test_a_refusal_after_a_sure_refusal_is_not_in_doubt() -> None:
    """After a certain refusal of a money request, the driver's next refusal is certain, too."""

    class Choosy(Toy, frozen=True, kw_only=True):
        async def collect(self, send: Any, order: Any) -> Payment:
            try:
                await send(post("/collect", Said, {}))
            except Rejected:
                return self.payment(await send(post("/collect", Said, {})))
            raise AssertionError

    wire = _wire(answer(400, error="no"))
    async with Pool(Choosy(), connection=wire) as pool:
        with pytest.raises(Rejected):
            await pool.collect("toy", amount=5, currency="XAF", reference="order-1")
    assert _moved(wire) == 2
