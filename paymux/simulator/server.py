"""The simulator: all providers on one loopback port, and as a connection without sockets."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import msgspec

from ..drivers import load
from ..drivers.base import Driver
from ..errors import UsageError
from ..http import Response, WebhookRequest
from ..models import Reason, Status
from ..primitives import coerce
from ..values.arguments import reason as checked_reason
from ..values.arguments import status as checked_status
from ..values.arguments import text, whole
from ..values.validation import checked_seconds
from .base import Provider
from .core import Delivery, Latency, PayerDelay, Receiver, SimulatorCore
from .faults import Fault, Faults, Planned, checked_kind
from .http_server import HttpServer
from .inprocess import InProcess
from .ledger import Entry, Ledger, Outcome
from .providers import Chosen, choose
from .replies import html_reply

# The base of URLs without a socket: nothing listens on the port of tcpmux.
_IN_PROCESS = "http://127.0.0.1:1"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request that a provider received completely."""

    provider: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Simulator:
    """Simulated providers: `async with Simulator() as sim` opens a port.

    `sim.connection` needs none. Each provider is mounted at `/<driver name>` and accepts its
    `credentials` (printed by `paymux simulator --help`). `providers`: names and classes of those to
    serve; None: all, also those of other packages. `latency`: seconds of each answer;
    `payer_delay`: seconds until a payer decides; both may be numbers or functions of a seeded
    `random.Random` (and of the order). `default`: the outcome for payers whose number has no
    meaning; None: undecided until `settle`. `root`: a provider that is also served without its
    mount, for clients that know a host and no path.
    """

    def __init__(
        self,
        *,
        providers: Chosen = None,
        port: int = 0,
        seed: int = 0,
        latency: Latency = 0.0,
        payer_delay: PayerDelay = 0.05,
        default: Status | None = None,
        root: str | None = None,
    ) -> None:
        found = choose(providers)
        if root is not None and coerce.text(root) not in found:
            raise UsageError.field("root", root, ", ".join(sorted(found)))
        root = coerce.text(root)
        self.core = SimulatorCore(
            seed=whole("seed", seed, -(2**63), 2**63),
            latency=checked_delay("latency", latency),
            payer_delay=checked_delay("payer_delay", payer_delay),
            default=None if default is None else checked_status("default", default),
            faults=Faults(sorted(found)),
            url=_IN_PROCESS,
        )
        self.providers: Mapping[str, Provider] = {
            name: kind(self.core) for name, kind in found.items()
        }
        self.requests: list[Received] = []
        self.connection = InProcess(self.core, self.providers, self.answer)
        self._port = whole("port", port, 0, 65_535)
        self._server = HttpServer(self.core, self.providers, self.answer, root)

    def __getattr__(self, name: str) -> Any:
        provider = self.__dict__.get("providers", {}).get(name)
        if provider is None:
            raise AttributeError(name)
        return provider

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return self.core.url

    @property
    def ledger(self) -> Ledger:
        """What was really charged, paid out and refunded."""
        return self.core.ledger

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook that was sent, and its result."""
        return self.core.deliveries

    def driver(self, name: str | type[Driver], **fields: Any) -> Driver:
        """Make a driver for this simulator with valid credentials; `fields` override.

        `name`: a driver's name, or its class if no entry point names it.
        """
        kind = name if isinstance(name, type) and issubclass(name, Driver) else None
        provider = self.providers.get(kind.name if kind else coerce.text(name) or "")
        if provider is None:
            raise UsageError.field("driver", name, ", ".join(sorted(self.providers)))
        given = {
            **provider.credentials,
            "base_url": f"{provider.url}{provider.base_path}",
            **fields,
        }
        return (kind or load(provider.name))(**given)

    def settle(
        self,
        reference: str,
        status: Status,
        *,
        reason: Reason | None = None,
        code: str | None = None,
    ) -> list[Entry]:
        """Decide the open orders with this reference, yours or the provider's; send their webhooks.

        If none is open, the last one is decided again: a late success or a refund. `status` is the
        truth in the ledger; `code` is the provider's own status word or code, even a misleading
        one.
        """
        outcome = Outcome(
            checked_status("status", status),
            None if reason is None else checked_reason("reason", reason),
            None if code is None else text("code", code),
        )
        entries = self.ledger.entries(coerce.text(reference) or "")
        if not entries:
            raise UsageError.field(
                "reference", reference, "one of an order that the simulator accepted"
            )
        chosen = [entry for entry in entries if not entry.status.terminal] or entries[-1:]
        for entry in chosen:
            self.providers[entry.provider].settle(entry, outcome)
        return chosen

    def fault(
        self,
        provider: str,
        match: str = "",
        *,
        kind: Fault | str,
        times: int = 1,
        processed: bool = True,
        status: int | None = None,
        seconds: float = 1.0,
        retry_after: int | str | datetime = 1,
        location: str | None = None,
    ) -> None:
        """Plan a fault for the next `times` requests that match.

        `match`: `"POST /collect/"`, `"POST"` or `"/collect/"`. For a webhook fault, `match` is a
        reference of the order. `kind`: a member of Fault, or its name in any case, such as
        "drop_after". `processed=False`: the fault happens before the provider has processed the
        request.
        """
        self.core.faults.plan(
            Planned(
                provider=provider,
                match=match,
                kind=checked_kind(kind),
                times=times,
                processed=processed,
                status=status,
                seconds=seconds,
                retry_after=retry_after,
                location=f"{self.url}/elsewhere" if location is None else location,
            )
        )

    def on_webhook(self, receiver: Receiver) -> None:
        """Give every webhook to this function or coroutine function instead of a socket."""
        if not callable(receiver):
            raise UsageError.field("receiver", receiver, "a function of one WebhookRequest")
        self.core.receiver = receiver

    def received(self, provider: str, match: str = "") -> list[Received]:
        """List the complete requests that match, with the rules of `fault`."""
        asked = Planned(
            provider=text("provider", provider), match=text("match", match), kind=Fault.ERROR
        )
        return [
            one for one in self.requests if asked.fits_request(one.provider, one.method, one.path)
        ]

    async def answer(
        self, name: str, incoming: WebhookRequest, planned: Planned | None
    ) -> Response:
        """Log a request, let its provider process it (unless a fault prevents it), and wait."""
        self.requests.append(
            Received(
                provider=name,
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                headers=incoming.headers,
                body=incoming.body,
            )
        )
        provider = self.providers.get(name)
        if provider is None:
            return Response(status=404)
        reply = Response(status=500)
        if planned is None or planned.processed:
            reply = await provider.handle(incoming)
        delay = self.core.answer_delay()
        await (self.core.pause(delay) if delay else asyncio.sleep(0))
        return reply if planned is None else _bent(provider, incoming, planned, reply)

    async def __aenter__(self) -> Self:
        self.core.url = await self._server.open(self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.core.aclose()
        await self._server.close()
        self.core.url = _IN_PROCESS


def checked_delay(name: str, value: Any) -> Any:
    """Check seconds of 0 or more, or a function that returns them."""
    if callable(value) or (type(value) in (int, float) and value == 0):
        return value
    return checked_seconds(name, value)


def _bent(
    provider: Provider, incoming: WebhookRequest, planned: Planned, reply: Response
) -> Response:
    """Return the complete answer that a fault makes of the provider's answer."""
    if planned.kind is Fault.ERROR:
        return Response(
            status=planned.status or 500, headers={"content-type": "text/plain"}, body=b"error"
        )
    if planned.kind is Fault.HTML:
        return html_reply(
            "<!doctype html><title>Sorry</title><p>Come back later.", planned.status or 200
        )
    if planned.kind is Fault.REDIRECT:
        return Response(status=planned.status or 302, headers={"location": planned.location})
    if planned.kind is Fault.STALE_TOKEN:
        return provider.stale(incoming)
    if planned.kind is Fault.THROTTLE:
        refusal = provider.throttled()
        headers = {**refusal.headers, "retry-after": planned.retry_after_header()}
        return msgspec.structs.replace(refusal, headers=headers)
    return reply
