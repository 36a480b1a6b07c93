"""The outcome table, row by row, for look-ups, for money that is deduplicated and for other
money.
"""

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

from .virtual import Desk, Said, Toy, Unsent, Wire, answer, now, timeless

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
# A bare status proves something of a look-up, and nothing of money.
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
    """A readable 2xx that matches is the typed reply, asked for once."""
    wire = _wire(GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    assert _moved(wire) == 1


@pytest.mark.proves("campay: implement retries")
@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_everything_else_is_unknown(column: Column, case: str) -> None:
    """What proves nothing is repeated only for look-ups and deduplicated money.

    Money is never sent twice.
    """
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
    """A repeated attempt that is answered gives the answer, and repeats the same bytes."""
    wire = _wire(UNKNOWN[case], GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    sent = [(one.method, one.url, one.body) for one in wire.seen if not one.url.endswith("/login")]
    assert len(sent) == 2
    assert sent[0] == sent[1]


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_login_that_is_never_sent_is_not_sent(column: Column) -> None:
    """A login of which no byte left may be repeated; NotSent is what remains."""
    unsent = Unsent()
    with pytest.raises(NotSent):
        await _ask(column, unsent)
    assert unsent.tried == 3


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_never_sent_of_the_request_itself_is_not_sent(column: Column) -> None:
    """With a token in hand, a request that never leaves is repeated, and then NotSent, a look-up's
    too.
    """
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
    """A certificate that is not trusted is not tried again."""
    unsent = Unsent(certain=True)
    with pytest.raises(NotSent):
        await _ask(column, unsent)
    assert unsent.tried == 1


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_connection_that_reports_nothing_counts_as_sent(column: Column) -> None:
    """Where no hook fired at all, nothing proves that money was not sent.

    It is unknown, at once.
    """
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
    """A request refused for its token is signed anew and repeated once, even where only one attempt
    is allowed.
    """
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
    """The second refusal is raised: there is no third login."""
    wire = _wire(answer(401, error="stale"))
    with pytest.raises(AuthenticationFailed) as caught:
        await _ask(column, wire)
    assert caught.value.http_status == 401
    assert (_moved(wire), len(wire.paths("/login"))) == (2, 2)


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_throttled_before_processing_is_repeated_after_the_wait(column: Column) -> None:
    """A certified 429 is repeated when the provider says so, money too, for it was not
    processed.
    """
    wire = _wire(answer(429, {"retry-after": "7"}, error="slow"), GOOD)
    assert (await _ask(column, wire)).status is Status.SUCCEEDED
    assert now() == pytest.approx(7, abs=0.01)
    assert _moved(wire) == 2


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_throttled_for_ever_is_rate_limited(column: Column) -> None:
    """After its attempts a throttled request is RateLimited, with the seconds to wait."""
    wire = _wire(answer(429, {"retry-after": "7"}, error="slow"))
    with pytest.raises(RateLimited) as caught:
        await _ask(column, wire)
    assert caught.value.retry_after == 7
    assert _moved(wire) == 3


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_wait_that_does_not_fit_is_refused_at_once(column: Column) -> None:
    """A Retry-After beyond the deadline is not slept towards."""
    wire = _wire(answer(429, {"retry-after": "31"}, error="slow"))
    with pytest.raises(RateLimited) as caught:
        await _ask(column, wire)
    assert caught.value.retry_after == 31
    assert now() < 0.1
    assert _moved(wire) == 1


@pytest.mark.parametrize("column", COLUMNS)
@timeless
async def test_a_listed_no_is_raised_at_once(column: Column) -> None:
    """A refusal that the driver lists is raised, once, with what it is about."""
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
    """An earlier request with our reference exists.

    What became of it is unknown, and nothing is repeated.
    """
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
    """A look-up believes a bare 4xx."""
    wire = _wire(answer(status))
    with pytest.raises(BARE[status]):
        await _ask("look-up", wire)


@pytest.mark.parametrize("column", ["repeatable", "money"])
@pytest.mark.parametrize("status", BARE)
@timeless
async def test_a_bare_status_proves_nothing_of_money(status: int, column: Column) -> None:
    """Money does not believe a bare 4xx, from whatever proxy it may have come."""
    wire = _wire(Response(status=status, body=b"<html>no</html>"))
    with pytest.raises(OutcomeUnknown):
        await _ask(column, wire)
    assert _moved(wire) == (1 if column == "money" else 3)
    assert len(wire.paths("/login")) == 1


@pytest.mark.parametrize("column", ["repeatable", "money"])
@timeless
async def test_an_answer_to_another_order_is_no_answer(column: Column) -> None:
    """A 2xx that names another reference is unknown: responses may have crossed."""
    wire = _wire(answer(id="p9", reference="order-9", status="OK"))
    with pytest.raises(OutcomeUnknown):
        await _ask(column, wire)


@pytest.mark.parametrize("column", ["repeatable", "money"])
@pytest.mark.parametrize("wrong", [{"amount": 1}, {"currency": "KES"}, {"amount": "NaN"}])
@timeless
async def test_an_answer_that_contradicts_the_order_is_unknown(
    column: Column, wrong: dict[str, Any]
) -> None:
    """A 2xx with another amount or currency proves nothing about our order, and sends nothing
    again.
    """
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
    """An attempt that may have been processed stays unknown, even if the next one cannot be made at
    all.
    """
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
    """An answer resolves what was unknown."""
    wire = _wire(TransportError("reset"), answer(429, error="slow"), GOOD)
    assert (await _ask("repeatable", wire)).status is Status.SUCCEEDED


@pytest.mark.parametrize("status", [401, 429, 400, 500, 404])
def test_an_accepted_status_is_an_answer(status: int) -> None:
    """A status that the request accepts is read like a 2xx."""
    request = get("/x", Said, accept=(status,))
    assert decide(Toy(), request, answer(status, id="p1")).means is Means.ANSWER


def test_a_reply_in_hand_outweighs_a_hook_that_did_not_fire() -> None:
    """NOT_SENT needs that no reply came, too.

    A client whose hooks are broken must not make us send again.
    """
    assert decide(Toy(), post("/x", Said, {}), None, left=False).means is Means.NOT_SENT
    assert decide(Toy(), post("/x", Said, {}), GOOD, left=False).means is Means.ANSWER
    assert decide(Toy(), post("/x", Said, {}), answer(500), left=False).means is Means.UNKNOWN


@pytest.mark.parametrize("fault", [KeyError("x"), RuntimeError("a bug"), ValueError("a bug")])
@pytest.mark.parametrize("place", ["matches", "after"])
@timeless
async def test_a_drivers_own_mistake_after_sending_is_unknown(place: str, fault: Exception) -> None:
    """Whatever goes wrong once money may have moved is OutcomeUnknown, a bug of the driver
    included.
    """

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
    """A money request that was refused for certain leaves no doubt behind for the driver's next
    step.
    """

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
