"""The providers of one world, and every request to them: logged, answered, and spoilt by faults."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from ..drivers import load
from ..drivers.base import Driver
from ..errors import UsageError
from ..http import Response, WebhookRequest
from ..primitives import coerce
from ..values.arguments import text
from .base import Provider
from .core import Receiver, SimulatorCore
from .faults import Fault, Planned
from .inprocess import InProcess
from .ledger import Ledger
from .records import Delivery, Received, Records
from .replies import html_reply

# No byte of a whole answer leaves.
_UNANSWERED = {Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.GARBAGE, Fault.STALL}


class Service:
    """Simulated providers with a ledger; `sim.campay` is the provider of that name."""

    def __init__(
        self, core: SimulatorCore, kinds: Mapping[str, type[Provider]], keep: int | None = None
    ) -> None:
        self.core = core
        self.providers: dict[str, Provider] = {name: kind(core) for name, kind in kinds.items()}
        self.log: Records[Received] = Records(keep)
        self.connection = InProcess(core, self.providers, self.respond)

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
    def requests(self) -> list[Received]:
        """Every complete request that is kept, oldest first."""
        return self.log.rows

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook that was sent and is kept, and its result."""
        return self.core.deliveries.rows

    def provider(self, name: object) -> Provider:
        """Return the provider of this name; UsageError: it is not simulated."""
        found = self.providers.get(coerce.text(name) or "")
        if found is None:
            raise UsageError.field("provider", name, ", ".join(sorted(self.providers)))
        return found

    def driver(self, name: str | type[Driver], **fields: Any) -> Driver:
        """Make a driver for this simulator with valid credentials; `fields` override.

        `name`: a driver's name, or its class if no entry point names it.
        """
        kind = name if coerce.is_a(name, type) and issubclass(name, Driver) else None
        provider = self.providers.get(kind.name if kind else coerce.text(name) or "")
        if provider is None:
            raise UsageError.field("driver", name, ", ".join(sorted(self.providers)))
        given = {
            **provider.credentials,
            "base_url": f"{provider.url}{provider.base_path}",
            **fields,
        }
        return (kind or load(provider.name))(**given)

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

    async def respond(
        self, name: str, incoming: WebhookRequest, planned: Planned | None
    ) -> Response:
        """Log a request, let its provider process it (unless a fault prevents it), and wait."""
        began = asyncio.get_running_loop().time()
        record = self.log.add(
            Received(
                provider=name,
                method=incoming.method,
                path=incoming.path,
                query=incoming.query,
                headers=incoming.headers,
                body=self.log.cut(incoming.body),
                fault=None if planned is None else planned.kind.name.lower(),
            )
        )
        reply = await self._processed(name, incoming, planned, record)
        if planned is None or planned.kind not in _UNANSWERED:
            record.status, record.response_headers = reply.status, reply.headers
            record.response_body = self.log.cut(reply.body)
        record.ms = (asyncio.get_running_loop().time() - began) * 1000
        self.core.tell("request", record)
        return reply

    async def _processed(
        self, name: str, incoming: WebhookRequest, planned: Planned | None, record: Received
    ) -> Response:
        provider = self.providers.get(name)
        if provider is None:
            return Response(status=404)
        reply, before = Response(status=500), len(self.ledger)
        if planned is None or planned.processed:
            reply = await provider.handle(incoming)
        if len(self.ledger) > before:
            opened = self.ledger.newest
            record.reference = opened.reference or opened.provider_reference
        delay = self.core.answer_delay()
        await (self.core.pause(delay) if delay else asyncio.sleep(0))
        return reply if planned is None else _bent(provider, incoming, planned, reply)


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
