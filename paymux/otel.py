"""OpenTelemetry for a pool: `Pool(observers=[OpenTelemetry()])`, with `pip install 'paymux[otel]'`.

The names are those of the semantic conventions for HTTP clients, version 1.45, and `paymux.…` for
the rest: https://opentelemetry.io/docs/specs/semconv/http/

`Pool(observers=[…])` is told of each verb and of each attempt on the wire, whatever asked for it: a
caller, a watch, `verify_many`, a webhook, a login. `paymux.otel` has an observer for OpenTelemetry,
which uses the providers that your program has set up; without them it records nothing. The extra
has the API only, and the set-up needs the SDK: `pip install 'paymux[otel]' opentelemetry-sdk`.

```python
import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from paymux import Pool
from paymux.otel import OpenTelemetry
from paymux.simulator import Simulator


async def main() -> None:
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(traces)
    sim = Simulator()
    pool = Pool(sim.driver("campay"), connection=sim.connection, observers=[OpenTelemetry()])
    async with pool as pay:
        await pay.collect(
            "campay", amount=500, currency="XAF", payer="237677777770", reference="order-11"
        )


asyncio.run(main())
```

A verb is an INTERNAL span (`campay collect`) below your own, each attempt a CLIENT span below it,
named by the template of its path (`GET /transaction/{reference}/`), with the attributes of the
semantic conventions for HTTP clients and `paymux.provider`, `.account`, `.operation`, `.live`,
`.outcome` and `.sent`. The metrics are `http.client.request.duration` and
`paymux.operation.duration` in seconds, and for each account `paymux.orders.open`, the payments that
this process watches, and `paymux.lag`, the seconds by which their look-ups are late. No credential,
phone number, id or text of a provider is in any of them; `OpenTelemetry(references=True)` adds your
own reference to the spans of verbs.

An observer of your own is any object with three plain functions (`paymux.Observer`): `begin(verb)`,
`attempt(begun, attempt)` and `end(begun, end)`, where `begun` is what `begin` returned. What it
raises is logged once and changes nothing. It runs in the event loop, so what takes long belongs in
a queue.
"""

import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .errors import UsageError

try:
    from opentelemetry import context, metrics, trace
except ImportError:
    missing = "paymux.otel needs OpenTelemetry: pip install 'paymux[otel]'"
    raise ImportError(missing, name="opentelemetry") from None

if TYPE_CHECKING:
    from contextvars import Token

    from .transport.observers import AccountLoad, AttemptEnded, VerbBegan, VerbEnded

__all__ = ["OpenTelemetry"]

Attributes: TypeAlias = dict[str, str | bool | int]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.45.0"
# Seconds, as the conventions advise; a verb may take as long as its deadline.
ATTEMPT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
VERB_BUCKETS = (*ATTEMPT_BUCKETS, 30, 60, 120)
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Begun(NamedTuple):
    """A verb that began: its names, its span, and the context of what happens inside it."""

    names: Attributes
    span: trace.Span
    inside: context.Context
    token: "Token[context.Context]"


class OpenTelemetry:
    """Makes spans and metrics of what a pool does; both providers default to the global ones.

    Each verb is an INTERNAL span (`campay collect`), a child of the caller's. It is the current
    span until the verb ends, so that logs and what the journal does belong to it. Each attempt is a
    CLIENT span below it, named by the method and the template of the path (`GET
    /transaction/{reference}/`). A login is a verb of its own. Spans have `http.request.method`,
    `http.response.status_code`, `http.request.resend_count`, `server.address`, `server.port`,
    `error.type` and `paymux.provider`, `.account`, `.operation`, `.live`, `.outcome` and `.sent`.
    `url.full` is left out, because it has the ids of payments.

    Metrics: the histograms `http.client.request.duration` and `paymux.operation.duration`, in
    seconds, and for each account with watches the gauges `paymux.orders.open`, the payments that
    this process watches (all open orders of the journal, summed over its notifiers), and
    `paymux.lag`, the seconds by which their look-ups are late. A gauge reads what is in memory, in
    the exporter's thread: it asks neither the journal nor a provider.

    No credential, phone number, id or text of a provider is in any of them. `references=True` adds
    `paymux.reference`, your own reference, to the spans of verbs, never to a metric.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        references: bool = False,
    ) -> None:
        _check("tracer_provider", tracer_provider, "get_tracer", "a TracerProvider")
        _check("meter_provider", meter_provider, "get_meter", "a MeterProvider")
        if type(references) is not bool:
            raise UsageError.field("references", references, "True or False")
        self.references = references
        release = _release()
        self._tracer = trace.get_tracer("paymux", release, tracer_provider, SCHEMA_URL)
        meter = metrics.get_meter("paymux", release, meter_provider, SCHEMA_URL)
        self._attempts = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=ATTEMPT_BUCKETS,
        )
        self._verbs = meter.create_histogram(
            "paymux.operation.duration",
            "s",
            "Duration of the verbs of paymux: logins, waits and attempts.",
            explicit_bucket_boundaries_advisory=VERB_BUCKETS,
        )
        self._reads: list[Callable[[], list[AccountLoad] | None]] = []
        meter.create_observable_gauge(
            "paymux.orders.open",
            [lambda _: self._read(lambda load: load.open_orders)],
            "{order}",
            "Payments that this process watches.",
        )
        meter.create_observable_gauge(
            "paymux.lag",
            [lambda _: self._read(lambda load: load.lag)],
            "s",
            "Seconds by which look-ups of watched payments are late.",
        )

    def begin(self, verb: "VerbBegan") -> Begun:
        """Begin the span of a verb, and make it the current one."""
        names: Attributes = {
            "paymux.provider": verb.provider,
            "paymux.account": verb.account,
            "paymux.operation": verb.operation,
            "paymux.live": verb.live,
        }
        known = {} if verb.reference is None else {"paymux.reference": verb.reference}
        span = self._tracer.start_span(
            f"{verb.provider} {verb.operation}", attributes={**names, **known}
        )
        inside = trace.set_span_in_context(span)
        return Begun(names, span, inside, context.attach(inside))

    def attempt(self, begun: Begun, attempt: "AttemptEnded") -> None:
        """Record the span of an attempt, and its duration."""
        end = time.time_ns()
        method = attempt.method if attempt.method in _METHODS else "_OTHER"
        measured: Attributes = {
            "http.request.method": method,
            "server.address": attempt.host,
            "server.port": attempt.port,
        }
        if attempt.status is not None:
            measured["http.response.status_code"] = attempt.status
        if attempt.error is not None:
            measured["error.type"] = attempt.error
        seen: Attributes = {
            **begun.names,
            **measured,
            "paymux.outcome": attempt.outcome,
            "paymux.sent": attempt.sent,
        }
        if attempt.resend_count:
            seen["http.request.resend_count"] = attempt.resend_count
        word = "HTTP" if method == "_OTHER" else method
        span = self._tracer.start_span(
            f"{word} {attempt.template}".rstrip(),
            begun.inside,
            trace.SpanKind.CLIENT,
            seen,
            start_time=end - round(attempt.duration * 1e9),
        )
        _finish(span, attempt.error, end)
        inside = trace.set_span_in_context(span, begun.inside)
        self._attempts.record(attempt.duration, {**begun.names, **measured}, inside)

    def end(self, begun: Begun, end: "VerbEnded") -> None:
        """End the span of a verb, and record its duration."""
        # If an abandoned coroutine is closed elsewhere, another context is the current one.
        if context.get_current() is begun.inside:
            context.detach(begun.token)
        measured: Attributes = {**begun.names, "paymux.outcome": end.outcome}
        if end.error is not None:
            measured["error.type"] = end.error
        begun.span.set_attributes({**measured, "paymux.sent": end.sent})
        _finish(begun.span, end.error, None)
        self._verbs.record(end.duration, measured, begun.inside)

    def gauges(self, read: "Callable[[], list[AccountLoad] | None]") -> None:
        """Take the function that reads the gauges of a pool; the pool calls this once."""
        self._reads.append(read)

    def _read(self, of: "Callable[[AccountLoad], float]") -> Iterable[metrics.Observation]:
        for read in self._reads.copy():
            loads = read()
            if loads is None:  # the pool is gone
                self._reads.remove(read)
                continue
            for load in loads:
                names: Attributes = {
                    "paymux.provider": load.provider,
                    "paymux.account": load.account,
                    "paymux.live": load.live,
                }
                yield metrics.Observation(of(load), names)


def _release() -> str:
    try:
        return version("paymux")
    except PackageNotFoundError:  # it runs from a folder, and is not installed
        return ""


def _finish(span: trace.Span, error: str | None, end: int | None) -> None:
    if error is not None:
        # Without a description: `error.type` says it, and a text may have an id.
        span.set_status(trace.StatusCode.ERROR)
    span.end(end)


def _check(name: str, provider: object, method: str, accepted: str) -> None:
    if provider is not None and not callable(getattr(provider, method, None)):
        raise UsageError.field(name, provider, f"None for the global one, or {accepted}")
