"""Observers: what they are told, and that nothing they do is felt."""

import asyncio
import gc
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import paymux
from paymux import (
    AttemptEnded,
    Notifier,
    NotSent,
    Observer,
    OutcomeUnknown,
    Payment,
    Pool,
    Status,
    UsageError,
    VerbBegan,
    VerbEnded,
)
from paymux.http import PreparedRequest, TransportError
from paymux.transport.observing import _template as template

from .toys import Desk, Findable, Keyless, Said, Toy, Unsent, Wire, answer, block, push
from .toys import timeless as in_virtual_time

ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
ACCEPTED = answer(id="p1", status="WAIT", reference="order-1", amount="500", currency="XAF")
PAID = answer(id="p1", status="OK", reference="order-1", amount="500", currency="XAF")
JANUARY, FEBRUARY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
HELD = Payment(account="keyless", provider_reference="p1")


class Recorder:
    """An observer that keeps what it is told, as lines."""

    references = False

    def __init__(self) -> None:
        self.verbs: list[VerbBegan] = []
        self.attempts: list[AttemptEnded] = []
        self.ends: list[VerbEnded] = []
        self.lines: list[str] = []

    def begin(self, verb: VerbBegan) -> int:
        self.verbs.append(verb)
        self.lines.append(f"{len(self.verbs)} {verb.account} {verb.operation}")
        return len(self.verbs)

    def attempt(self, begun: int, attempt: AttemptEnded) -> None:
        self.attempts.append(attempt)
        self.lines.append(f"{begun} {attempt.method} {attempt.template} {attempt.outcome}")

    def end(self, begun: int, end: VerbEnded) -> None:
        self.ends.append(end)
        self.lines.append(f"{begun} {end.outcome}")


def pool(
    respond: Callable[[PreparedRequest], Any], *observers: Observer[Any], driver: Toy | None = None
) -> Pool:
    """Make a pool over a connection in memory."""
    return Pool(driver or Keyless(), connection=Wire(respond), observers=list(observers))


@in_virtual_time
async def test_a_verb_its_login_and_their_attempts_are_observed() -> None:
    """A login is a verb of its own, inside the verb that needs it."""
    seen = Recorder()
    async with pool(Desk(collect=ACCEPTED), seen, driver=Toy()) as pay:
        await pay.collect("toy", **ORDER)
    assert seen.lines == [
        "1 toy collect",
        "2 toy login",
        "2 POST /login answer",
        "2 answered",
        "1 POST /collect answer",
        "1 pending",
    ]
    assert seen.verbs[0] == VerbBegan(
        provider="toy", account="toy", operation="collect", live=False
    )
    assert seen.attempts[1] == AttemptEnded(
        method="POST",
        template="/collect",
        host="sandbox.toy.example",
        port=443,
        resend_count=0,
        outcome="answer",
        sent=True,
        status=200,
        error=None,
        duration=seen.attempts[1].duration,
    )
    assert 0 <= seen.attempts[1].duration <= seen.ends[1].duration < 60
    assert seen.ends[1] == VerbEnded(
        outcome="pending", sent=True, error=None, duration=seen.ends[1].duration
    )


@in_virtual_time
async def test_a_watch_a_bulk_a_webhook_and_a_history_are_observed() -> None:
    """Every look-up is a verb, whatever asked for it, and names the template of its path."""
    seen, replies = Recorder(), Desk(payments=PAID, find=PAID, history=PAID)
    async with pool(replies, seen, driver=Findable()) as pay:
        held = Payment(account="findable", provider_reference="p1")
        await pay.watch(held)
        await pay.verify_many([held, Payment(account="findable", provider_reference="p2")])
        await pay.confirm(pay.webhook(push(id="p1"), account="findable"), expected=held)
        await pay.find("findable", reference="order-1")
        assert [one async for one in pay.history("findable", since=JANUARY, until=FEBRUARY)]
    told = [verb.operation for verb in seen.verbs if verb.operation != "login"]
    assert told == ["verify"] * 4 + ["find"] + ["history"] * 4
    assert {one.template for one in seen.attempts} == {
        "/login",
        "/payments/{id}",
        "/find/{id}",
        "/history",
    }
    assert {end.error for end in seen.ends} == {None}


@in_virtual_time
async def test_each_repetition_is_an_attempt_of_its_own() -> None:
    """The resend count grows within one request, and an HTTP error is named by its status."""
    seen = Recorder()
    async with pool(Desk(payments=[answer(503), answer(500), PAID]), seen) as pay:
        assert (await pay.verify(HELD)).status is Status.SUCCEEDED
    assert [(one.resend_count, one.error) for one in seen.attempts] == [
        (0, "503"),
        (1, "500"),
        (2, None),
    ]
    assert [one.outcome for one in seen.attempts] == ["unknown", "unknown", "answer"]
    assert [end.outcome for end in seen.ends] == ["succeeded"]


@pytest.mark.parametrize(
    ("reply", "outcome", "error", "end"),
    [
        (answer(400, error="no"), "refused", "400", ("refused", "Rejected")),
        (answer(400, error="duplicate"), "duplicate", "400", ("unknown", "OutcomeUnknown")),
        (answer(500), "unknown", "500", ("unknown", "OutcomeUnknown")),
        (answer(reference="other"), "unknown", "unknown", ("unknown", "OutcomeUnknown")),
        (TransportError("ServerDisconnectedError"), "unknown", "ServerDisconnectedError", None),
        (TransportError("ClientOSError (BrokenPipeError)"), "unknown", "ClientOSError", None),
        (TransportError("the key 4711 is wrong"), "unknown", "no_response", None),
    ],
)
@in_virtual_time
async def test_an_attempt_says_what_the_outcome_table_says(
    reply: Any, outcome: str, error: str, end: tuple[str, str] | None
) -> None:
    """Its outcome is the verdict, and its error is one of few words, never a text of others."""
    seen = Recorder()
    with pytest.raises(paymux.PaymuxError):
        await pool(Desk(collect=[reply]), seen).collect("keyless", **ORDER)
    assert [(one.outcome, one.error, one.sent) for one in seen.attempts] == [(outcome, error, True)]
    end = end or ("unknown", "OutcomeUnknown")
    assert [(one.outcome, one.error) for one in seen.ends] == [end]


@in_virtual_time
async def test_an_attempt_that_never_left_says_so() -> None:
    """`sent` is false for the attempt and for its verb, as for the caller."""
    seen = Recorder()
    pay = Pool(Keyless(), connection=Unsent(certain=True), observers=[seen])
    with pytest.raises(NotSent):
        await pay.collect("keyless", **ORDER)
    assert [(one.outcome, one.sent, one.status) for one in seen.attempts] == [
        ("not_sent", False, None)
    ]
    assert [(one.outcome, one.sent) for one in seen.ends] == [("not_sent", False)]


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("left", [True, False])
@in_virtual_time
async def test_an_attempt_that_is_cut_off_is_told(cancelled: bool, left: bool) -> None:
    """By the deadline or by its caller, before it left or after: one attempt."""
    seen = Recorder()
    wire = Wire(Desk(collect=ACCEPTED), before=0.0 if left else 9.0, after=9.0)
    pay = Pool(Keyless(), connection=wire, observers=[seen], deadline=5.0)
    order = asyncio.create_task(pay.collect("keyless", **ORDER))
    await asyncio.sleep(3)
    if cancelled:
        order.cancel()
    with pytest.raises((asyncio.CancelledError, NotSent, OutcomeUnknown)) as raised:
        await order
    (attempt,), (end,) = seen.attempts, seen.ends
    assert attempt.error == ("CancelledError" if cancelled else "TimeoutError")
    assert (attempt.outcome, attempt.sent) == (("unknown", True) if left else ("not_sent", False))
    assert (end.error, end.sent) == (type(raised.value).__name__, left)
    assert end.outcome == ("interrupted" if cancelled else attempt.outcome)


@in_virtual_time
async def test_what_asks_nobody_is_no_verb() -> None:
    """An order that is known, one that shares a request, and bad input begin nothing."""
    seen = Recorder()
    async with pool(Desk(collect=ACCEPTED), seen) as pay:
        await asyncio.gather(pay.collect("keyless", **ORDER), pay.collect("keyless", **ORDER))
        await pay.collect("keyless", **ORDER)
        with pytest.raises(UsageError):
            await pay.collect("keyless", **{**ORDER, "amount": -1})
    assert len(seen.verbs) == len(seen.attempts) == len(seen.ends) == 1


@in_virtual_time
async def test_an_observer_gets_no_reference_unless_it_asks_for_it() -> None:
    """`references = True` is a wish of each observer on its own."""
    plain, known = Recorder(), Recorder()
    known.references = True
    async with pool(Desk(collect=ACCEPTED), plain, known) as pay:
        await pay.collect("keyless", **ORDER)
    assert [one.verbs[0].reference for one in (plain, known)] == [None, "order-1"]


@in_virtual_time
async def test_the_path_of_a_callers_own_request_is_a_template_or_nothing() -> None:
    """An id that a caller wrote into the path of `send` is not told; one in `at` never is."""
    seen = Recorder()
    async with pool(Desk(payments=PAID), seen) as pay:
        await pay.send("keyless", paymux.get("/payments/p1-secret", Said))
        await pay.send("keyless", paymux.get("/payments/{id}?a=b", Said, at={"id": "p1-secret"}))
    assert [one.template for one in seen.attempts] == ["", "/payments/{id}"]


@pytest.mark.parametrize("name", paymux.drivers.names())
def test_a_template_is_a_drivers_path_as_it_is_written(name: str) -> None:
    """What may be an id in a path is left out, and nothing else."""
    folder = Path(paymux.drivers.__file__).parent
    files = [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    paths = re.findall(r""""(/[a-z][A-Za-z0-9_/{}.-]+)[?"]""", source)
    # A probe asks about an id that the provider cannot have: "cos-0000000000000".
    paths = [path for path in paths if "0000" not in path]
    assert [template(path) for path in paths] == paths
    assert len(paths) > 1
    assert template("/refund/tx-8e21/v2?key=7") == "/refund/{id}/v2"


@pytest.mark.parametrize(
    "path",
    ["/tx/JohnDoe", "/tx/abcdeABCDE", "/tx/237", "/tx/a1", "/tx/john.doe", "/tx/" + "a" * 41],
)
def test_a_segment_that_may_be_an_id_is_left_out(path: str) -> None:
    """A capital, a digit or a point in a segment may be a part of an id or of a name."""
    assert template(path) == "/tx/{id}"


def test_a_number_in_parts_is_left_out() -> None:
    """However short its parts are."""
    assert template("/tx/237/69/12/34/56") == "/tx" + "/{id}" * 5


# What an observer may not do.


class Fatal(BaseException):
    """An error that is no Exception."""

    def __str__(self) -> str:
        raise RuntimeError("an error that cannot be shown")


RAISED = (
    ValueError("a bug"),
    StopIteration(),
    StopAsyncIteration(),
    TimeoutError(),
    RecursionError(),
    asyncio.CancelledError(),
    GeneratorExit(),
    Fatal(),
    NotSent("a lie"),
    OutcomeUnknown("a lie"),
)


class Hostile(Recorder):
    """An observer that raises in one of its functions."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__()
        self._where, self._error = where, error

    def _raise(self, where: str) -> None:
        if where == self._where:
            raise self._error

    def begin(self, verb: VerbBegan) -> int:
        self._raise("begin")
        return super().begin(verb)

    def attempt(self, begun: int, attempt: AttemptEnded) -> None:
        self._raise("attempt")
        super().attempt(begun, attempt)

    def end(self, begun: int, end: VerbEnded) -> None:
        self._raise("end")
        super().end(begun, end)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["begin", "attempt", "end"])
@in_virtual_time
async def test_what_an_observer_raises_is_logged_once_and_not_felt(
    where: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Money, look-ups, a refusal and a history end as without it, and another observer sees all."""
    other = Recorder()
    replies = Desk(collect=[ACCEPTED, answer(400, error="no")], payments=PAID, history=PAID)
    wire = Wire(replies)
    bad = Hostile(where, error)
    async with Pool(Toy(), connection=wire, observers=[bad, other]) as pay:
        payment = await pay.collect("toy", **ORDER)
        assert payment.status is Status.PENDING
        with pytest.raises(paymux.Rejected) as refused:
            await pay.collect("toy", **{**ORDER, "reference": "order-2"})
        assert refused.value.__context__ is None
        assert (await pay.watch(payment)).status is Status.SUCCEEDED
        assert len([one async for one in pay.history("toy", since=JANUARY, until=FEBRUARY)]) == 3
    assert len(wire.paths("/collect")) == 2
    assert [end.outcome for end in other.ends] == [
        "answered",
        "pending",
        "refused",
        "succeeded",
        *["succeeded"] * 3,
        "answered",
    ]
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert type(error).__name__ in errors[0]
    assert "order" not in errors[0]
    assert caplog.records[-1].exc_info is None


class Untraced(Exception):
    """An error without a place."""

    __traceback__ = None


class Nameless(type):
    """A class whose name cannot be read."""

    def __getattribute__(cls, name: str) -> Any:
        if name == "__name__":
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class Unnamed(Exception, metaclass=Nameless):
    """An error of a class without a name."""


@pytest.mark.parametrize("error", [Untraced(), Unnamed()], ids=["untraced", "unnamed"])
@pytest.mark.parametrize("where", ["begin", "attempt", "end"])
@in_virtual_time
async def test_an_error_that_cannot_be_described_is_logged_and_not_felt(
    where: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its place nor its name is needed to say that an observer failed."""
    async with pool(Desk(collect=ACCEPTED), Hostile(where, error)) as pay:
        assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING
    errors = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert f"{where}: an error that cannot be described" in errors[0]


@pytest.mark.parametrize("error", [LookupError(), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("where", ["begin", "attempt", "end"])
@in_virtual_time
async def test_a_log_that_raises_is_not_felt(where: str, error: BaseException) -> None:
    """A filter of the program fails while the failure of an observer is logged."""

    def fail(_: logging.LogRecord) -> bool:
        raise error

    log = logging.getLogger("paymux")
    async with pool(Desk(collect=ACCEPTED), Hostile(where, ValueError("a bug"))) as pay:
        log.addFilter(fail)
        try:
            assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING
        finally:
            log.removeFilter(fail)


@in_virtual_time
async def test_an_observer_whose_attributes_cannot_be_read_is_not_felt() -> None:
    """A property may raise what is no Exception."""

    class Unreadable(Recorder):
        def __getattribute__(self, name: str) -> Any:
            if name in ("references", "gauges"):
                raise asyncio.CancelledError
            return super().__getattribute__(name)

    async with pool(Desk(collect=ACCEPTED), Unreadable()) as pay:
        assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["begin", "attempt", "end"])
def test_an_interrupt_goes_through_and_no_money_is_sent_twice(
    where: str, error: type[BaseException]
) -> None:
    """A person who ends the process while an observer runs ends it; what is known stays known."""
    wire = Wire(Desk(collect=ACCEPTED))
    bad = Hostile(where, error())
    pay = Pool(Keyless(), connection=wire, observers=[bad])
    with pytest.raises(error), asyncio.Runner() as runner:
        runner.run(pay.collect("keyless", **ORDER))
    bad._where = ""
    with asyncio.Runner() as runner:
        if where == "begin":  # nothing was sent, so the reference is free
            assert runner.run(pay.collect("keyless", **ORDER)).status is Status.PENDING
        else:
            with pytest.raises(OutcomeUnknown):
                runner.run(pay.collect("keyless", **ORDER))
    assert len(wire.seen) == 1


class Slow(Recorder):
    """An observer that blocks the loop for longer than a verb may take."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def _block(self, where: str) -> None:
        if where == self._where:
            block(60.0)

    def begin(self, verb: VerbBegan) -> int:
        self._block("begin")
        return super().begin(verb)

    def attempt(self, begun: int, attempt: AttemptEnded) -> None:
        self._block("attempt")
        super().attempt(begun, attempt)

    def end(self, begun: int, end: VerbEnded) -> None:
        self._block("end")
        super().end(begun, end)


@pytest.mark.parametrize("where", ["begin", "attempt", "end"])
@in_virtual_time
async def test_a_slow_observer_changes_no_outcome_that_is_known(where: str) -> None:
    """It uses up the deadline: before the request nothing is sent, after it the answer counts."""
    wire = Wire(Desk(collect=ACCEPTED))
    async with Pool(Keyless(), connection=wire, observers=[Slow(where)], deadline=30.0) as pay:
        if where == "begin":
            with pytest.raises(NotSent):
                await pay.collect("keyless", **ORDER)
        else:
            assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING
    assert len(wire.seen) == (where != "begin")


@pytest.mark.parametrize("odd", [None, NotImplemented, ..., float("nan"), [], object()])
@in_virtual_time
async def test_what_begin_returns_is_given_back_as_it_is(odd: object) -> None:
    """It may be anything, also None: the pool does not look at it."""

    class Odd:
        def begin(self, verb: VerbBegan) -> object:
            return odd

        def attempt(self, begun: object, attempt: AttemptEnded) -> object:
            given.append(begun)
            return odd

        def end(self, begun: object, end: VerbEnded) -> object:
            given.append(begun)
            return odd

    given: list[object] = []
    async with pool(Desk(payments=PAID), Odd()) as pay:
        await pay.verify(HELD)
    assert [one is odd for one in given] == [True, True]


class Coroutines(Recorder):
    """Its functions are coroutine functions, which nothing would await."""

    async def attempt(self, begun: int, attempt: AttemptEnded) -> None:  # type: ignore[override]
        """Never run."""


class Raising:
    """Its attributes raise."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "wrong",
    [None, Recorder(), 5, "observer", [None], [Recorder], [object()], [Coroutines()], {Recorder()}],
    ids=["none", "observer", "number", "text", "nones", "class", "object", "coroutines", "set"],
)
def test_what_is_no_observer_is_refused(wrong: Any) -> None:
    """One outside a list, a class, or one with coroutine functions: UsageError."""
    with pytest.raises(UsageError, match="observers") as refused:
        Pool(Keyless(), observers=wrong)
    assert "begin, attempt and end" in refused.value.accepted or "plain" in refused.value.accepted


@in_virtual_time
async def test_an_observer_may_be_made_of_any_functions() -> None:
    """Class methods, static methods, and functions that an instance holds."""

    class Mixed:
        def __init__(self) -> None:
            self.end = lambda begun, end: told.append((begun, end.outcome))

        @classmethod
        def begin(cls, verb: VerbBegan) -> str:
            return verb.operation

        @staticmethod
        def attempt(begun: str, attempt: AttemptEnded) -> None:
            told.append((begun, attempt.outcome))

    told: list[tuple[str, str]] = []
    async with pool(Desk(payments=PAID), Mixed()) as pay:
        await pay.verify(HELD)
    assert told == [("verify", "answer"), ("verify", "succeeded")]


def test_what_raises_in_its_attributes_is_refused() -> None:
    """A careless class raises nothing of its own out of the pool."""
    with pytest.raises(UsageError, match="observers"):
        Pool(Keyless(), observers=[Raising()])  # type: ignore[list-item]


def test_a_pool_without_observers_loads_nothing_of_them() -> None:
    """What is not used is not imported."""
    code = (
        "import sys, paymux; paymux.Pool(observers=[]); paymux.Pool(observers=());"
        "later = {'paymux.transport.observers', 'paymux.transport.observing', 'opentelemetry'};"
        "print(sorted(later & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Gauges.


class Metered(Recorder):
    """An observer that has gauges."""

    def gauges(self, read: Any) -> None:
        self.read = read


@in_virtual_time
async def test_the_gauges_of_a_pool_are_its_open_watches_and_their_lag() -> None:
    """They count what is watched now."""
    seen = Metered()
    wire = Wire(lambda asked: answer(id=asked.url.rpartition("/")[2], status="WAIT"))
    pay = Pool(Keyless(), connection=wire, observers=[seen])
    assert seen.read() == []
    held = [Payment(account="keyless", provider_reference=f"p{number}") for number in range(3)]
    watches = [asyncio.ensure_future(pay.watch(one)) for one in held]
    await asyncio.sleep(5)
    (load,) = seen.read()
    assert (load.provider, load.account, load.live) == ("keyless", "keyless", False)
    assert (load.open_orders, load.lag) == (3, 0.0)
    for watch in watches:
        watch.cancel()
    await asyncio.wait(watches)
    assert seen.read()[0].open_orders == 0
    await pay.aclose()


@in_virtual_time
async def test_the_orders_of_a_notifier_are_open_orders() -> None:
    """What a notifier watches counts, also where no caller watches anything."""
    seen = Metered()
    wire = Wire(Desk(collect=ACCEPTED, payments=[ACCEPTED, ACCEPTED, PAID]))
    ended: list[Payment] = []

    async def on_payment(payment: Payment) -> None:
        ended.append(payment)

    async with (
        Pool(Keyless(), connection=wire, observers=[seen]) as pay,
        Notifier(pay, on_payment),
    ):
        await pay.collect("keyless", **ORDER)
        await asyncio.sleep(6)
        assert [load.open_orders for load in seen.read()] == [1]
        await asyncio.sleep(120)
        assert [load.open_orders for load in seen.read()] == [0]
    assert [payment.status for payment in ended] == [Status.SUCCEEDED]
    assert [verb.operation for verb in seen.verbs] == ["collect", "verify", "verify", "verify"]


def test_an_observer_does_not_keep_a_pool_alive() -> None:
    """The gauges of a pool that is gone read nothing."""
    seen = Metered()
    pay = Pool(Keyless(), observers=[seen])
    assert seen.read() == []
    del pay
    gc.collect()
    assert seen.read() is None
