"""OpenTelemetry: the spans, metrics and attributes of a pool, and that no canary is in any."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import paymux
from paymux import OutcomeUnknown, Payment, PaymuxError, Pool, Status, UsageError
from paymux.http import PreparedRequest, Response, TransportError
from paymux.otel import OpenTelemetry

from .toys import Desk, Findable, Keyless, Said, Toy, Wire, answer, push
from .toys import timeless as in_virtual_time

ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
ACCEPTED = answer(id="p1", status="WAIT", reference="order-1", amount="500", currency="XAF")
PAID = answer(id="p1", status="OK", reference="order-1", amount="500", currency="XAF")


class Telemetry:
    """An SDK whose exporters keep everything in memory."""

    def __init__(self, tracers: TracerProvider | None = None, **options: Any) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = tracers or TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observer = OpenTelemetry(self.tracers, MeterProvider([self._reader]), **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Return the spans in the order of their start."""
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)

    def points(self, name: str) -> list[Any]:
        """Return the data points of a metric."""
        return [
            point
            for metric in self._metrics()
            if metric.name == name
            for point in metric.data.data_points
        ]

    def units(self) -> dict[str, str | None]:
        """Return the units of the metrics that have points."""
        return {metric.name: metric.unit for metric in self._metrics()}

    def _metrics(self) -> list[Any]:
        found = self._reader.get_metrics_data()
        if found is None:
            return []
        return [
            metric
            for resource in found.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def everything(self) -> str:
        """Return all that was exported, as text."""
        found = self._reader.get_metrics_data()
        metrics = "" if found is None else found.to_json()
        return "\n".join([*(span.to_json() for span in self.spans), metrics])


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


ACCOUNT = {"paymux.provider": "toy", "paymux.account": "toy", "paymux.live": False}
SERVER = {"server.address": "sandbox.toy.example", "server.port": 443}


@in_virtual_time
async def test_a_verb_is_a_span_and_each_attempt_a_span_below_it() -> None:
    """INTERNAL below the caller's, CLIENT below INTERNAL, a login a verb of its own; exactly these
    attributes.
    """
    seen = Telemetry()
    wire = Wire(Desk(collect=ACCEPTED))
    async with Pool(Toy(), connection=wire, observers=[seen.observer]) as pay:
        with seen.tracers.get_tracer("shop").start_as_current_span("sell"):
            await pay.collect("toy", **ORDER)
    sell, collect, login, token, push_ = seen.spans
    assert [span.name for span in seen.spans] == [
        "sell",
        "toy collect",
        "toy login",
        "POST /login",
        "POST /collect",
    ]
    parents = [(collect, sell), (login, collect), (token, login), (push_, collect)]
    for child, parent in parents:
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id
        assert child.context.trace_id == parent.context.trace_id
    assert [span.kind for span in seen.spans[1:]] == [
        SpanKind.INTERNAL,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.CLIENT,
    ]
    assert attributes(push_) == {
        **ACCOUNT,
        **SERVER,
        "paymux.operation": "collect",
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "paymux.outcome": "answer",
        "paymux.sent": True,
    }
    assert attributes(collect) == {
        **ACCOUNT,
        "paymux.operation": "collect",
        "paymux.outcome": "pending",
        "paymux.sent": True,
    }
    assert all(span.status.status_code is StatusCode.UNSET for span in seen.spans)
    assert all((span.start_time or 0) <= (span.end_time or 0) for span in seen.spans)
    assert trace.get_current_span() is trace.INVALID_SPAN


@in_virtual_time
async def test_repetitions_and_errors_have_the_names_of_the_conventions() -> None:
    """`http.request.resend_count` from the second on, `error.type`, and the status ERROR."""
    seen = Telemetry()
    replies: list[Response | Exception] = [
        answer(503),
        TransportError("ServerDisconnectedError"),
        answer(404, error="no"),
    ]
    wire = Wire(Desk(payments=replies))
    held = Payment(account="keyless", provider_reference="p1")
    with pytest.raises(PaymuxError):
        await Pool(Keyless(), connection=wire, observers=[seen.observer]).verify(held)
    verify, *attempts = seen.spans
    assert [span.name for span in attempts] == ["GET /payments/{id}"] * 3
    told = [attributes(span) for span in attempts]
    assert [one.get("http.request.resend_count") for one in told] == [None, 1, 2]
    assert [one["error.type"] for one in told] == ["503", "ServerDisconnectedError", "404"]
    assert [one.get("http.response.status_code") for one in told] == [503, None, 404]
    assert attributes(verify)["error.type"] == "NotFound"
    assert attributes(verify)["paymux.outcome"] == "not_found"
    assert {span.status.status_code for span in seen.spans} == {StatusCode.ERROR}
    assert {span.status.description for span in seen.spans} == {None}
    assert [span.events for span in seen.spans] == [()] * 4


@in_virtual_time
async def test_the_durations_are_histograms_in_seconds() -> None:
    """One of each attempt, one of each verb, with the buckets that the conventions advise."""
    seen = Telemetry()
    wire = Wire(Desk(collect=ACCEPTED, payments=[answer(503), PAID]))
    async with Pool(Toy(), connection=wire, observers=[seen.observer]) as pay:
        await pay.verify(await pay.collect("toy", **ORDER))
    attempts = seen.points("http.client.request.duration")
    assert sum(point.count for point in attempts) == 4
    failed = next(point for point in attempts if "error.type" in point.attributes)
    assert failed.attributes == {
        **ACCOUNT,
        **SERVER,
        "paymux.operation": "verify",
        "http.request.method": "GET",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert list(failed.explicit_bounds)[:3] == [0.005, 0.01, 0.025]
    verbs = seen.points("paymux.operation.duration")
    told = [point.attributes for point in verbs]
    assert {(one["paymux.operation"], one["paymux.outcome"]) for one in told} == {
        ("login", "answered"),
        ("collect", "pending"),
        ("verify", "succeeded"),
    }
    assert list(verbs[0].explicit_bounds)[-1] == 120
    assert seen.units() == {"http.client.request.duration": "s", "paymux.operation.duration": "s"}


@in_virtual_time
async def test_the_gauges_are_the_open_orders_of_an_account_and_their_lag() -> None:
    """They are read in the thread of an exporter, while the loop goes on."""
    seen = Telemetry()
    wire = Wire(lambda asked: answer(id=asked.url.rpartition("/")[2], status="WAIT"))
    async with Pool(Keyless(), connection=wire, observers=[seen.observer]) as pay:
        held = [Payment(account="keyless", provider_reference=f"p{number}") for number in range(3)]
        watches = [asyncio.ensure_future(pay.watch(one)) for one in held]
        await asyncio.sleep(5)
        with ThreadPoolExecutor(1) as thread:
            (point,) = thread.submit(seen.points, "paymux.orders.open").result()
        assert (point.value, point.attributes["paymux.account"]) == (3, "keyless")
        assert [point.value for point in seen.points("paymux.lag")] == [0.0]
        assert seen.units().items() >= {"paymux.orders.open": "{order}", "paymux.lag": "s"}.items()
        for watch in watches:
            watch.cancel()
        await asyncio.wait(watches)
    assert [point.value for point in seen.points("paymux.orders.open")] == [0]


@in_virtual_time
async def test_concurrent_verbs_do_not_mix_their_spans() -> None:
    """Each attempt belongs to its own verb, whatever runs in between."""
    seen = Telemetry()
    wire = Wire(lambda asked: answer(id=asked.url.rpartition("/")[2], status="OK"), after=1.0)
    held = [Payment(account="keyless", provider_reference=f"p{number}") for number in range(20)]
    async with Pool(Keyless(), connection=wire, observers=[seen.observer]) as pay:
        await pay.verify_many(held, at_once=5)
        await asyncio.gather(*(pay.verify(one) for one in held))
    verbs = {span.context.span_id for span in seen.spans if span.kind is SpanKind.INTERNAL}
    below = [span.parent for span in seen.spans if span.kind is SpanKind.CLIENT]
    assert len(verbs) == 40
    assert {parent and parent.span_id for parent in below} == verbs
    assert {span.parent for span in seen.spans if span.kind is SpanKind.INTERNAL} == {None}


@in_virtual_time
async def test_a_sampler_that_drops_everything_changes_nothing_else() -> None:
    """Spans that are not recorded are made like any other, and metrics still count."""
    seen = Telemetry(tracers=TracerProvider(sampler=ALWAYS_OFF))
    wire = Wire(Desk(collect=ACCEPTED))
    async with Pool(Keyless(), connection=wire, observers=[seen.observer]) as pay:
        assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING
    assert seen.spans == []
    assert [point.count for point in seen.points("paymux.operation.duration")] == [1]


@in_virtual_time
async def test_two_observers_leave_no_span_as_the_current_one() -> None:
    """What the second one began ends first, so that each leaves the context as it found it."""
    one, other = Telemetry(), Telemetry()
    wire = Wire(Desk(collect=ACCEPTED))
    async with Pool(Keyless(), connection=wire, observers=[one.observer, other.observer]) as pay:
        await pay.collect("keyless", **ORDER)
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert len(one.spans) == len(other.spans) == 2


# No canary in any span, metric or log.

CANARIES = {
    "password": "canary-password-7f3a",
    "token": "canary-token-19bc",
    "reference": "canary-reference-55d0",
    "provider_reference": "canary-provider-id-8e21",
    "receipt": "CANARYRECEIPT77",
    "payer": "237677123456",
    "name": "Canary Ngono",
    "text": "canary-text-of-the-provider",
    "order": "canary-path-60c4",
}


def _told(outgoing: PreparedRequest) -> Response:
    names: dict[str, Any] = {
        "id": CANARIES["provider_reference"],
        "reference": CANARIES["reference"],
        "receipt": CANARIES["receipt"],
        "token": CANARIES["token"],
        "error": CANARIES["text"],
    }
    path = outgoing.url.removeprefix(Toy.sandbox_url)
    if path == "/login":
        return answer(token=CANARIES["token"])
    if path == "/collect":
        return answer(**names, status="WAIT", amount="500", currency="XAF")
    if path == "/payout":
        return answer(400, **{**names, "error": "no", "token": CANARIES["text"]})
    if path == "/refund/" + CANARIES["provider_reference"]:
        raise TransportError(f"{CANARIES['token']} was refused by {CANARIES['payer']}")
    if path.startswith("/find"):
        return answer(503, **names)
    return answer(**names, status="OK", amount="500", currency="XAF")


async def _everything_with_canaries(observers: list[Any]) -> None:
    """Use each verb with canaries in each field, in each answer and in each error."""
    money: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": CANARIES["reference"]}
    driver = Findable(account="toy", password=CANARIES["password"])
    customer = paymux.Customer(name=CANARIES["name"], phone=CANARIES["payer"])
    async with Pool(driver, connection=Wire(_told), observers=observers) as pay:
        payment = await pay.collect(
            "toy",
            **money,
            payer=CANARIES["payer"],
            customer=customer,
            metadata={"order": CANARIES["order"]},
            description=CANARIES["text"],
        )
        with pytest.raises(paymux.Rejected):
            await pay.payout("toy", **money, payee=CANARIES["payer"])
        with pytest.raises(OutcomeUnknown):
            await pay.refund(payment, amount=100, reference=CANARIES["reference"])
        await pay.watch(payment)
        await pay.verify_many([payment])
        incoming = push(id=CANARIES["provider_reference"], status="OK")
        await pay.confirm(pay.webhook(incoming, account="toy"), expected=payment)
        with pytest.raises(paymux.Unavailable):
            await pay.find("toy", reference=CANARIES["reference"])
        await pay.send("toy", paymux.get(f"/payments/{CANARIES['order']}", Said))


def _leaks(text: str) -> list[str]:
    return [name for name, canary in CANARIES.items() if canary.lower() in text.lower()]


@in_virtual_time
async def test_no_canary_is_in_any_span_or_metric(caplog: pytest.LogCaptureFixture) -> None:
    """No credential, number, reference or id of a request or an answer, also not in what is logged
    about observers.
    """
    seen = Telemetry()
    caplog.set_level(logging.DEBUG, logger="opentelemetry")
    await _everything_with_canaries([seen.observer])
    assert len(seen.spans) > 15
    assert _leaks(seen.everything()) == []
    assert [one for one in caplog.records if one.name.startswith("opentelemetry")] == []


@in_virtual_time
async def test_your_reference_is_in_the_spans_of_verbs_if_you_wish() -> None:
    """`references=True` adds it there, and to no attempt and no metric."""
    seen = Telemetry(references=True)
    await _everything_with_canaries([seen.observer])
    assert _leaks(seen.everything()) == ["reference"]
    assert "POST /refund/{id}" in {span.name for span in seen.spans}
    named = [span for span in seen.spans if _leaks(span.to_json())]
    assert {span.kind for span in named} == {SpanKind.INTERNAL}
    assert {attributes(span)["paymux.reference"] for span in named} == {CANARIES["reference"]}
    assert _leaks(str(seen.points("paymux.operation.duration"))) == []


class Breaking:
    """An observer whose errors have a canary in their text, as those of any tracer may."""

    references = True

    def begin(self, verb: Any) -> Any:
        return verb

    def attempt(self, begun: Any, attempt: Any) -> None:
        raise ValueError(f"{begun.reference} {CANARIES['password']}")

    def end(self, begun: Any, end: Any) -> None:
        raise ValueError(f"{begun.reference} {CANARIES['password']}")


@in_virtual_time
async def test_no_canary_is_in_the_log_of_an_observer_that_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its error's class and place are logged, once, and never its text or its context."""
    await _everything_with_canaries([Breaking()])
    failed = [one for one in caplog.records if "observer" in one.getMessage()]
    assert len(failed) == 1
    assert _leaks(logging.Formatter().format(failed[0])) == []


# How it is made.


@pytest.mark.parametrize(
    "wrong",
    [{"tracer_provider": "otlp"}, {"meter_provider": object()}, {"references": "yes"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_no_provider_is_refused(wrong: dict[str, Any]) -> None:
    """UsageError names the argument."""
    with pytest.raises(UsageError) as refused:
        OpenTelemetry(**wrong)
    assert refused.value.name == next(iter(wrong))


@in_virtual_time
async def test_without_providers_the_global_ones_are_used() -> None:
    """Where no SDK is configured, nothing is recorded, and nothing fails."""
    wire = Wire(Desk(collect=ACCEPTED))
    async with Pool(Keyless(), connection=wire, observers=[OpenTelemetry()]) as pay:
        assert (await pay.collect("keyless", **ORDER)).status is Status.PENDING


def test_without_the_package_the_error_says_what_to_install() -> None:
    """`import paymux` needs no OpenTelemetry, and `paymux.otel` names the extra."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None; import paymux\n"
        "try: import paymux.otel\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'paymux[otel]'" in done.stdout
