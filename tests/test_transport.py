"""One request: pauses, deadlines, cancellation at every step, and the log."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import (
    AuthenticationFailed,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    RateLimited,
    Status,
    Unavailable,
    UsageError,
    get,
    post,
)
from paymux.http import PreparedRequest, Response, TransportError
from paymux.transport.attempt import Attempt
from paymux.transport.outcome import Means
from paymux.transport.retries import retry_after

from .toys import Desk, Keyless, Said, Toy, Wire, answer, now, run, timeless

ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
GOOD = answer(id="p1", status="OK")
DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
LATER = {
    "0": 0.0,
    "1": 1.0,
    "120": 120.0,
    " 7 ": 7.0,
    "007": 7.0,
    "86400": 86_400.0,
    "86401": 86_400.0,
    "999999": 86_400.0,
    "1000000": 86_400.0,
    "9" * 5000: 86_400.0,
    "": None,
    " ": None,
    "-1": None,
    "-5": None,
    "+5": None,
    "1.5": None,
    "1e9": None,
    "1_000": None,
    "0x10": None,
    "inf": None,
    "nan": None,
    "Infinity": None,
    "\u0663": None,
    "\u0967\u0968": None,
    "\u00b2": None,
    "soon": None,
    "5 s": None,
    "5, 6": None,
    "5;": None,
    "null": None,
    "None": None,
    "Wed, 21 Oct 2026 07:28:10 GMT": 10.0,
    "Wed, 21 Oct 2026 07:27:00 GMT": 0.0,
    "Wed, 21 Oct 2026 09:28:30 +0200": 30.0,
    "Wed, 21 Oct 2026 07:28:10": 10.0,
    "21 Oct 2026 07:28:10 GMT": 10.0,
    "Wednesday, 21-Oct-26 07:28:10 GMT": 10.0,
    "Wed, 21 Oct 2036 07:28:00 GMT": 86_400.0,
    "Mon, 01 Jan 0001 00:00:00 GMT": 0.0,
    "Mon, 01 Jan 0001 00:00:00 +2359": 0.0,
    "Fri, 31 Dec 9999 23:59:59 -2359": 86_400.0,
    "Wed, 99 Oct 2026 07:28:00 GMT": None,
    "Wed, 21 Foo 2026 07:28:00 GMT": None,
    "Wed, 21 Oct 2026 25:61:61 GMT": None,
    "2026-10-21T07:28:10Z": None,
    "Wed, 21 Oct 99999999999999999999 07:28:00 GMT": None,
    "Wed, 21 Oct 2026 07:28:00 +99999999999999": None,
}


@pytest.mark.parametrize("text", LATER)
def test_retry_after_is_read_in_both_its_forms_and_clamped(text: str) -> None:
    """Digits, or a date against the reply's Date; other values are ignored, long ones cut."""
    reply = Response(status=429, headers={"retry-after": text, "date": DATE})
    assert retry_after(reply) == LATER[text]


def test_retry_after_without_a_date_header_counts_from_our_clock() -> None:
    """Without a Date header, a date is compared with our clock."""
    text = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    found = retry_after(Response(status=503, headers={"retry-after": text, "date": "yesterday"}))
    assert found is not None
    assert 95 < found <= 100


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60), st.text(max_size=60))
def test_retry_after_survives_any_header(text: str, date: str) -> None:
    """No header gives an exception, an infinite or a negative wait."""
    found = retry_after(Response(status=429, headers={"retry-after": text, "date": date}))
    assert found is None or 0 <= found <= 86_400


@timeless
async def test_pauses_grow_and_stay_within_their_bounds() -> None:
    """Retries come after jittered pauses that double, up to five seconds."""
    times: list[float] = []

    def respond(_: PreparedRequest) -> Response:
        times.append(now())
        return answer(500)

    async with Pool(Keyless(), connection=Wire(respond), attempts=10, deadline=600) as pool:
        with pytest.raises(Unavailable):
            await pool.verify("keyless", "p1")
    assert len(times) == 10
    for number, (before, after) in enumerate(itertools.pairwise(times)):
        assert after - before <= min(0.2 * 2**number, 5.0) + 1e-6


@pytest.mark.parametrize("attempts", [1, 2, 5])
@timeless
async def test_attempts_are_counted(attempts: int) -> None:
    """A look-up is sent exactly as often as the pool's `attempts`."""
    wire = Wire(Desk(payments=answer(503)))
    async with Pool(Keyless(), connection=wire, attempts=attempts) as pool:
        with pytest.raises(Unavailable):
            await pool.verify("keyless", "p1")
    assert len(wire.seen) == attempts


@timeless
async def test_the_deadline_bounds_a_whole_verb() -> None:
    """Login, attempts and waits share one deadline, the pool's or the verb's."""
    for deadline, expected in ((None, 30.0), (7.5, 7.5)):
        wire = Wire(Desk(payments=answer(503)), before=1.0, after=1.0)
        async with Pool(Toy(), connection=wire, attempts=10) as pool:
            wire.after = 9.0
            began = now()
            with pytest.raises(Unavailable):
                await pool.verify("toy", "p1", deadline=deadline)
            assert now() - began <= expected + 0.01


@timeless
async def test_money_that_outlasts_its_deadline_is_unknown() -> None:
    """A money request without an answer is OutcomeUnknown at the deadline, with the payment."""
    wire = Wire(lambda _: GOOD, after=1e6)
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("keyless", **ORDER, deadline=3)
    assert now() == pytest.approx(3, abs=0.01)
    assert caught.value.payment.reference == "order-1"
    assert caught.value.payment.created_at is not None


@timeless
async def test_money_that_never_left_before_its_deadline_is_not_sent() -> None:
    """A deadline that passes before a byte is sent is NotSent."""
    wire = Wire(lambda _: GOOD, before=1e6)
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(NotSent):
            await pool.collect("keyless", **ORDER, deadline=3)
    assert wire.seen == []


@timeless
async def test_a_login_that_outlasts_the_deadline_is_not_sent() -> None:
    """A deadline that passes during the login is NotSent."""
    wire = Wire(lambda _: answer(token="t1"), after=1e6)
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises(NotSent):
            await pool.collect("toy", **ORDER, deadline=3)
    assert wire.paths() == ["/login"]


@timeless
async def test_a_money_request_of_ones_own_that_never_left_is_not_sent() -> None:
    """A money request by `send` that was not sent in time is NotSent, not Unavailable."""
    wire = Wire(lambda _: GOOD, before=1e6)
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(NotSent):
            await pool.send("keyless", post("/tip", Said, {}), deadline=3)


@timeless
async def test_a_money_request_of_ones_own_is_unknown_when_its_answer_is_lost() -> None:
    """An unanswered money request by `send` is OutcomeUnknown, sent once."""
    wire = Wire(Desk(tip=answer(500)))
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.send("keyless", post("/tip", Said, {}))
    assert caught.value.payment.account == "keyless"
    assert len(wire.seen) == 1


@timeless
async def test_an_unreadable_value_in_a_look_up_is_unavailable() -> None:
    """An impossible value in a look-up's answer is Unavailable, no foreign error."""
    async with Pool(Keyless(), connection=Wire(Desk(payments=answer(amount="1E+1000000")))) as pool:
        with pytest.raises(Unavailable):
            await pool.verify("keyless", "p1")


@timeless
async def test_a_history_has_a_deadline_per_page() -> None:
    """A history of three slow pages may exceed one deadline; a page may not."""
    wire = Wire(Desk(history=GOOD), after=20.0)
    async with Pool(Keyless(), connection=wire) as pool:
        until = datetime.now(UTC)
        found = [one async for one in pool.history("keyless", since=until, until=until)]
        assert [one.status for one in found] == [Status.SUCCEEDED] * 3
        assert now() == pytest.approx(60, abs=0.01)
        wire.after = 40.0
        with pytest.raises(Unavailable):
            await anext(aiter(pool.history("keyless", since=until, until=until)))


@timeless
async def test_a_closed_pool_starts_nothing_new() -> None:
    """A call between two attempts when its pool closes sends nothing more."""
    wire = Wire(Desk(payments=answer(503, {"retry-after": "5"})))
    pool = Pool(Keyless(), connection=wire)
    asking = asyncio.create_task(pool.verify("keyless", "p1"))
    await asyncio.sleep(1)
    await pool.aclose()
    with contextlib.suppress(UsageError, Unavailable):
        await asking
    assert len(wire.seen) == 1
    with pytest.raises(UsageError):
        await pool.verify("keyless", "p1")
    await pool.aclose()


# Cancellation.


async def _cancelled_at(step: int, driver: Toy) -> tuple[asyncio.Task[Payment], Wire]:
    wire = Wire(
        Desk(collect=GOOD if isinstance(driver, Keyless) else [answer(401, error="stale"), GOOD])
    )
    pool = Pool(driver, connection=wire)
    task = asyncio.create_task(pool.collect(driver.account, **ORDER))
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    for _ in range(10):  # a login goes on for later callers
        await asyncio.sleep(0)
    await pool.aclose()
    return task, wire


@pytest.mark.parametrize("driver", [Toy(), Keyless()], ids=["token", "key"])
def test_cancellation_at_every_step_leaves_as_itself(driver: Toy) -> None:
    """Cancelled at any step, a collect raises CancelledError; a note names a sent order."""
    noted = unnoted = 0
    for step in range(100):
        task, wire = run(_cancelled_at(step, driver))
        if not task.cancelled():
            assert task.result().status is Status.SUCCEEDED
            break
        with pytest.raises(asyncio.CancelledError) as caught:
            task.result()
        notes = getattr(caught.value, "__notes__", [])
        charged = len(wire.paths("/collect"))
        # With a token, the first collect is refused for certain: after its answer nothing is in
        # doubt.
        if charged == 0:
            assert notes == []
        if charged == 2 or (charged == 1 and isinstance(driver, Keyless)):
            assert ["order-1" in note for note in notes] == [True]
        noted, unnoted = noted + bool(notes), unnoted + (not notes)
    else:
        raise AssertionError("the verb never ended")
    assert noted >= 1
    assert unnoted >= 2


@timeless
async def test_cancellation_after_sending_notes_the_reference_once() -> None:
    """The note names the unknown order; a cancelled look-up has no note."""
    wire = Wire(lambda _: GOOD, before=1.0, after=1.0)
    async with Pool(Keyless(), connection=wire) as pool:
        money = asyncio.create_task(pool.collect("keyless", **ORDER))
        look = asyncio.create_task(pool.verify("keyless", "p1"))
        early = asyncio.create_task(pool.collect("keyless", **{**ORDER, "reference": "order-2"}))
        await asyncio.sleep(0.5)
        early.cancel()
        await asyncio.sleep(1)
        money.cancel()
        look.cancel()
        notes = []
        for task in (money, look, early):
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            notes.append(getattr(caught.value, "__notes__", []))
    assert [len(one) for one in notes] == [1, 0, 0]
    assert "order-1" in notes[0][0]
    assert "unknown" in notes[0][0]


@timeless
async def test_a_callers_own_time_out_is_a_time_out() -> None:
    """`asyncio.timeout` around a verb raises TimeoutError; the same call again sends nothing."""
    wire = Wire(lambda _: GOOD, after=10.0)
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(2):
                await pool.collect("keyless", **ORDER)
        assert type(caught.value) is TimeoutError
        with pytest.raises(OutcomeUnknown) as unknown:
            await pool.collect("keyless", **ORDER)
        assert now() == pytest.approx(2, abs=0.01)
        assert unknown.value.payment.reference == "order-1"
        assert len(wire.seen) == 1


@timeless
async def test_a_failing_sibling_cancels_a_verb_in_its_group() -> None:
    """In a TaskGroup only the failed task's error is raised; the verb is cancelled."""
    wire = Wire(lambda _: GOOD, after=10.0)

    async def fail() -> None:
        await asyncio.sleep(1)
        raise LookupError("sibling")

    async with Pool(Keyless(), connection=wire) as pool:
        verbs: list[asyncio.Task[Payment]] = []

        async def together() -> None:
            async with asyncio.TaskGroup() as group:
                verbs.append(group.create_task(pool.collect("keyless", **ORDER)))
                group.create_task(fail())

        with pytest.raises(BaseExceptionGroup) as caught:
            await together()
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
        assert verbs[0].cancelled()
    assert now() == pytest.approx(1, abs=0.01)


@timeless
async def test_a_cancelled_request_gives_its_place_back() -> None:
    """A cancelled request in flight counts once in the limit, and blocks no other one."""

    class Single(Keyless, frozen=True, kw_only=True):
        limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {
            "money": (1, 5.0)
        }

    wire = Wire(lambda _: GOOD, after=10.0)
    async with Pool(Single(), connection=wire) as pool:
        first = asyncio.create_task(pool.collect("keyless", **ORDER))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.wait([first])
        wire.after = 0.0
        await pool.collect("keyless", **{**ORDER, "reference": "order-2"})
    assert now() == pytest.approx(6, abs=0.01)


# The log.


@pytest.mark.proves(
    "campay: log all requests and answers", "mpesa_gateway: integration step 7: monitor"
)
@timeless
async def test_every_exchange_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt is one DEBUG record: account, verb, URL template, status, seconds, bodies."""
    caplog.set_level(logging.DEBUG, "paymux.exchange")
    wire = Wire(Desk(payments=[answer(500), TransportError("ServerDisconnectedError"), GOOD]))
    async with Pool(Toy(account="kenya"), connection=wire) as pool:
        await pool.verify("kenya", "p1")
    texts = [record.getMessage() for record in caplog.records]
    assert [text.split(" seconds=")[0] for text in texts] == [
        "kenya login POST /login attempt=1 HTTP 200",
        "kenya verify GET /payments/{id} attempt=1 HTTP 500",
        "kenya verify GET /payments/{id} attempt=2 ServerDisconnectedError",
        "kenya verify GET /payments/{id} attempt=3 HTTP 200",
    ]
    assert '"status": "OK"' in texts[-1]


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
@timeless
async def test_an_exchange_that_was_cut_is_a_record_too(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An attempt with an unknown outcome is logged like any other."""
    caplog.set_level(logging.DEBUG, "paymux.exchange")
    async with Pool(Keyless(), connection=Wire(lambda _: GOOD, after=60.0)) as pool:
        paying = asyncio.create_task(pool.collect("keyless", **ORDER, deadline=3))
        await asyncio.sleep(1)
        if how == "cancelled":
            paying.cancel()
        await asyncio.wait([paying])
        assert paying.cancelled() or isinstance(paying.exception(), OutcomeUnknown)
    assert [record.getMessage().split(" attempt=")[0] for record in caplog.records] == [
        "keyless collect POST /collect"
    ]


@timeless
async def test_nothing_is_scrubbed_where_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without DEBUG nothing is logged or scrubbed."""
    caplog.set_level(logging.INFO, "paymux.exchange")
    async with Pool(Keyless(), connection=Wire(Desk(payments=GOOD))) as pool:
        await pool.verify("keyless", "p1")
    assert caplog.records == []


# Loops and pools.


def test_a_pool_is_used_from_loops_in_turn() -> None:
    """Three `asyncio.run` in turn share a pool made outside of a loop, and its token."""
    desk = Desk(payments=GOOD)
    pool = Pool(Toy(), connection=Wire(desk))
    for _ in range(3):
        assert asyncio.run(pool.verify("toy", "p1")).status is Status.SUCCEEDED
    assert desk.logins == 1
    asyncio.run(pool.aclose())


@timeless
async def test_two_accounts_of_one_pool_fail_apart() -> None:
    """One account's wrong credentials do not affect another account."""

    def respond(outgoing: PreparedRequest) -> Response:
        if b"wrong" in (outgoing.body or b""):
            return answer(401, error="stale")
        return answer(token="t1") if outgoing.url.endswith("/login") else GOOD

    async with Pool(
        Toy(account="a"), Toy(account="b", username="wrong"), connection=Wire(respond)
    ) as pool:
        found = await asyncio.gather(
            pool.verify("a", "p1"), pool.verify("b", "p1"), return_exceptions=True
        )
    assert isinstance(found[0], Payment)
    assert isinstance(found[1], AuthenticationFailed)
    assert found[1].account == "b"


@timeless
async def test_run_takes_what_the_driver_has_and_nothing_else() -> None:
    """`run` refuses another driver's method before a request, and calls its own."""
    wire = Wire(Desk(payments=GOOD))
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(UsageError):
            await pool.run("keyless", Toy.token)
        assert wire.seen == []
        found = await pool.run(
            "keyless", Keyless.verify, Payment(account="keyless", provider_reference="p1")
        )
        assert found.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "value", ["..", ".", "../../admin", "a/b", "a?b", "a#b", "{id}", "%2e%2e", ""]
)
def test_an_id_cannot_leave_its_place_in_a_path(value: str) -> None:
    """With any id, the request stays below its path."""
    request = get("/payments/{id}/detail", Said, at={"id": value})
    try:
        target = request.target()
    except UsageError:
        return
    segments = target.split("/")
    assert len(segments) == 4
    assert segments[2] not in ("", ".", "..")
    assert not set("?#{}") & set(target)


@timeless
async def test_a_surrogate_in_an_id_is_an_error_of_ours() -> None:
    """An id that no URL can have is UsageError, not a foreign exception."""
    wire = Wire(Desk(payments=GOOD))
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(UsageError):
            await pool.verify("keyless", "\ud800")
    assert wire.seen == []


@timeless
async def test_a_mismatch_of_a_look_up_names_its_fields() -> None:
    """A look-up that contradicts the payment is Mismatch with both payments and the fields."""
    wire = Wire(Desk(payments=answer(id="p1", status="OK", amount="1", currency="XAF")))
    expected = Payment(
        account="keyless", provider_reference="p1", amount=Decimal(5), currency="XAF", live=True
    )
    async with Pool(Keyless(), connection=wire) as pool:
        with pytest.raises(Mismatch) as caught:
            await pool.verify(expected)
    assert caught.value.fields == ("amount", "live")
    assert caught.value.expected == expected
    assert caught.value.payment is not None
    assert caught.value.payment.amount == 1


@timeless
async def test_a_hostile_token_signs_nothing() -> None:
    """A token that no header can have is a failed login, before a money request."""
    wire = Wire(Desk(login=answer(token="t1\r\nX-Injected: yes"), collect=GOOD))
    async with Pool(Toy(), connection=wire) as pool:
        with pytest.raises((AuthenticationFailed, NotSent, RateLimited)):
            await pool.collect("toy", **ORDER)
    assert wire.paths("/collect") == []


def test_hiding_and_logging_are_quick_on_hostile_bodies() -> None:
    """A megabyte that is slow to scrub takes a moment, not minutes."""
    bodies = [
        'hash="' * 170_000,
        'hash=\\"' * 150_000,
        "hash=" * 200_000,
        '"secret":"' + "\\" * 10**6,
        "9" * 10**6,
    ]
    for body in bodies:

        async def ask(body: str) -> None:
            wire = Wire(Desk(payments=Response(status=200, body=body.encode())))
            async with Pool(Keyless(), connection=wire, attempts=1) as pool:
                with pytest.raises(Unavailable):
                    await pool.verify("keyless", "p1")

        logging.getLogger("paymux.exchange").setLevel(logging.DEBUG)
        try:
            began = time.thread_time()
            run(ask(body))
            assert time.thread_time() - began < 2
        finally:
            logging.getLogger("paymux.exchange").setLevel(logging.NOTSET)


@pytest.mark.parametrize("first", [Means.UNKNOWN, Means.DUPLICATE])
@timeless
async def test_a_refusal_says_nothing_about_an_earlier_money_request(first: Means) -> None:
    """What was lost or had before stays so, with its own reason, whatever a later one says."""
    engine = Pool(Keyless(), connection=Wire(lambda _: GOOD))._engine
    call = engine.call(engine.driver("keyless"), "collect")
    money = post("/pay", Said, {})
    outgoing = PreparedRequest(
        method="POST", url="http://127.0.0.1/pay", headers={}, body=b"{}", money=True
    )
    said = [call._note(money, Attempt(number=1, outgoing=outgoing, why="lost"), first)]
    said.append(call._note(money, Attempt(number=2, outgoing=outgoing, why="no"), Means.REFUSED))
    assert said == [True, first is Means.DUPLICATE]
    assert call.duplicate is (first is Means.DUPLICATE)
    assert call.in_doubt
    assert call._lost == ("lost" if first is Means.UNKNOWN else "")
