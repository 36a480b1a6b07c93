"""Webhooks in any web framework: an ASGI application, an aiohttp.web handler, and `answer`.

A message is a hint. It is kept in the journal, its payment is looked up and `on_payment` is called.
Only then is the message acknowledged, in the provider's own way. What fails is retried, from the
journal even after a crash.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    MutableMapping,
    Sequence,
)
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import msgspec

from ..core import ANSWERS, Route
from ..core.notify import CallbackFailed, Notifier, OnUnconfirmed, run_callback
from ..drivers.base import WEBHOOK_BYTES, Driver
from ..errors import BadWebhook, UsageError
from ..http import MAX_HEADERS, Response, WebhookRequest, checked_webhook_request
from ..models import Event, Kind, Payment, log
from ..pool import Pool
from ..primitives.coerce import is_a
from ..values.validation import checked_function, checked_seconds
from .allowlist import AllowedSenders, Allowlist
from .bodies import Receive, chunks_of, read_body, request_of
from .pending import Unfinished
from .processing import EventProcessor

if TYPE_CHECKING:
    from aiohttp import web

Scope: TypeAlias = MutableMapping[str, Any]
AsgiSend: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

VALIDATION_SECONDS = 7.0  # Daraja waits 8 s for the answer to a C2B validation (v2/c2b.mdx)
MAX_LOGGED_REASONS = 100  # kinds of bad messages that are logged, once each


class Webhooks:
    """Receives the providers' messages of a pool, and calls `on_payment` with each order's end.

    It takes the answers to questions of this pool, too, where a provider sends them as messages.

    It contains a `Notifier`, whose docstring describes `on_payment`, `on_unconfirmed`, `kinds` and
    `watch_days`: an order is watched, and its end delivered, even if no message comes. If a message
    brings the end, `on_payment(payment)` is awaited before the message is acknowledged. Delivery is
    at-least-once, so guard what must not happen twice with `async with pool.once(payment,
    "fulfilled") as turn`. `lookup(event)` returns the payment that you stored, if you keep no
    journal. One journal belongs to one program.

    `on_validate(event)` decides whether a C2B payment may be made: it returns True, or False or one
    of Daraja's codes. `timeout`: the seconds after which a message is answered, finished or not.
    Keep it below the 8 s of a C2B validation and the 15 s of Intram's merchant API; the other
    providers state no limit. `senders` limits, by account, the addresses whose messages are
    accepted. `proxies`: the networks whose `X-Forwarded-For` or `Forwarded` header counts.

    Enter it (`async with pool, hooks:`); otherwise no work goes on after an answer, and nothing is
    retried.
    """

    def __init__(
        self,
        pool: Pool,
        on_payment: Callable[[Payment], Awaitable[None]],
        on_unconfirmed: OnUnconfirmed | None = None,
        *,
        lookup: Callable[[Event], Awaitable[Payment | None]] | None = None,
        on_validate: Callable[[Event], Awaitable[bool | str]] | None = None,
        timeout: float = 5.0,
        proxies: Collection[str] = (),
        senders: Mapping[str, AllowedSenders] = {},
        kinds: Sequence[Kind] = ("collect",),
        watch_days: float = 3,
    ) -> None:
        if not is_a(pool, Pool):
            raise UsageError.field("pool", pool, "a Pool")
        self._notifier = Notifier(
            pool, on_payment, on_unconfirmed, kinds=kinds, watch_days=watch_days
        )
        self._internals = pool.internals
        if self._internals.callback_urls.base is None:
            said = "without it (and webhook_key) no message finds its way here"
            raise UsageError.missing("webhook_base", said)
        for name, function in (("lookup", lookup), ("on_validate", on_validate)):
            if function is not None:
                checked_function(name, function, "one Event", wait=True)
        self._pool = pool
        self._on_validate = on_validate
        self._timeout = checked_seconds("timeout", timeout)
        self._allowlist = Allowlist(proxies, senders, pool.drivers)
        self._processor = EventProcessor(self._internals.engine, self._notifier, lookup)
        self._logged: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._notifier.__aenter__()
        self._processor.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._processor.aclose(self._timeout)
        await self._notifier.aclose(self._timeout)

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Handle one message and return the response to it; no message raises an exception."""
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            incoming = checked_webhook_request(incoming)
        except UsageError as error:  # a mistake of the code between the web server and us
            self._say(str(error))
            return Response(status=400)
        except BadWebhook:
            return Response(status=431)
        route = self._routed(incoming)
        return route if isinstance(route, Response) else await self._heard(incoming, route, until)

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """Serve ASGI 3: HTTP, and the lifespan if no other application handles it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def aiohttp(self, request: "web.Request") -> "web.Response":
        """Serve aiohttp.web: `app.router.add_route("*", "/pay/{tail:.*}", hooks.aiohttp)`.

        UsageError: `request` is none of aiohttp.web. No message raises anything.
        """
        from aiohttp import web  # noqa: PLC0415 - not needed with another web framework

        if not is_a(request, web.BaseRequest):
            raise UsageError.field("request", request, "a request of aiohttp.web")
        raw = request.raw_path.partition("#")[0].partition("?")
        pairs = list(request.headers.items())
        incoming = request_of(request.method, request.path, raw[2], pairs, request.remote)
        reply = await self._served(incoming, len(pairs), request.content.iter_any())
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def _served(
        self,
        incoming: WebhookRequest,
        lines: int,
        chunks: AsyncIterator[bytes],
    ) -> Response:
        """Answer a message; its body is read only if path, method, sender and size are good."""
        until = asyncio.get_running_loop().time() + self._timeout
        route = self._routed(incoming, lines)
        if isinstance(route, Response):
            return route
        body = await read_body(chunks, until)
        if isinstance(body, Response):
            return body
        return await self._heard(msgspec.structs.replace(incoming, body=body), route, until)

    def _routed(self, incoming: WebhookRequest, lines: int = 0) -> Route | Response:
        """Match a message's path, once; a message that is not worth reading gets its response."""
        if max(len(incoming.headers), lines) > MAX_HEADERS:
            return Response(status=431)
        try:
            urls, accounts = self._internals.callback_urls, self._pool.drivers
            route = urls.read(incoming, accounts, None)
        except BadWebhook:
            return Response(status=404)
        # Some providers send each message by PUT.
        if incoming.method not in ("GET", "HEAD", "POST", "PUT"):
            return Response(status=405, headers={"allow": "GET, HEAD, POST, PUT"})
        account = route.account
        if not self._allowlist.allow(account, incoming):
            self._say(f"{account}: a message came from an address that is not one of its senders'")
            return Response(status=403)
        length = incoming.headers.get("content-length", "")
        if len(incoming.query) > WEBHOOK_BYTES or (
            length.isascii()
            and length.isdigit()
            and (len(length) > 9 or int(length) > WEBHOOK_BYTES)
        ):
            return Response(status=413)
        return route

    async def _heard(self, incoming: WebhookRequest, route: Route, until: float) -> Response:
        if len(incoming.body) > WEBHOOK_BYTES:
            return Response(status=413)
        if incoming.method == "HEAD":
            incoming = msgspec.structs.replace(incoming, method="GET")
        try:
            if route.use in ANSWERS:
                return await self._answered(incoming, route, until)
            event = self._internals.event(incoming, route)
        except BadWebhook as error:
            self._say(str(error))
            return Response(status=400)
        except UsageError as error:  # an account whose provider sends no messages
            self._say(str(error))
            return Response(status=404)
        driver = self._pool.drivers[event.account]
        if event.ping:
            return driver.acknowledge(event, await self._validated(event, until))
        unfinished = await self._processor.take(event, until)
        if unfinished is None or not (unfinished.always or driver.redelivers):
            return driver.acknowledge(event)
        return _unanswered(driver, event, unfinished)

    async def _answered(self, incoming: WebhookRequest, route: Route, until: float) -> Response:
        """Take the answer of a question, which tells only what it was asked for."""
        try:
            await self._processor.answers.take(incoming, route, until)
        except OSError as error:
            log.warning("%s: an answer could not be kept yet: %s", route.account, error)
            return Response(status=503)
        driver = self._pool.drivers[route.account]
        return driver.acknowledge(driver.event(Payment(account=route.account)))

    async def _validated(self, event: Event, until: float) -> str:
        """Ask `on_validate` whether a payment may be made; return why not, or "".

        If it does not answer, the payment is refused.
        """
        if self._on_validate is None or event.claims.provider_reference is None:
            return ""
        # If we do not answer, Daraja completes or cancels the payment by the shortcode's
        # ResponseType, which we do not know: so answer in time, with a refusal.
        seconds = min(until - asyncio.get_running_loop().time(), VALIDATION_SECONDS)
        try:
            verdict = await run_callback(
                "on_validate", event.account, partial(self._on_validate, event), seconds
            )
        except CallbackFailed:
            return "no answer"
        return "" if verdict is True else (isinstance(verdict, str) and verdict) or "refused"

    def _say(self, why: str) -> None:
        """Log why a message was refused: once for each kind of reason, without its content."""
        kind = re.sub(r"\d+", "…", ": ".join(why.split(": ")[:2]))
        if kind not in self._logged and len(self._logged) < MAX_LOGGED_REASONS:
            self._logged.add(kind)
            log.warning("%s (a message was refused; said once)", kind)

    async def _http(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        raw = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        query = scope.get("query_string", b"").decode("latin-1")
        client = scope.get("client") or (None,)
        incoming = request_of(scope["method"], scope["path"], query, raw, client[0])
        reply = await self._served(incoming, len(raw), chunks_of(receive))
        body = b"" if scope["method"] == "HEAD" else reply.body
        lines = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        lines.append((b"content-length", str(len(body)).encode()))
        with contextlib.suppress(OSError):  # the client may have disconnected
            await send({"type": "http.response.start", "status": reply.status, "headers": lines})
            await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Receive, send: AsgiSend) -> None:
        await receive()
        try:
            await self._pool.__aenter__()
            await self.__aenter__()
        except Exception as error:  # noqa: BLE001 - the server logs it, and ends
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.__aexit__(None, None, None)
        await self._pool.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def _unanswered(driver: Driver, event: Event, unfinished: Unfinished) -> Response:
    if unfinished.status == 200:
        return driver.acknowledge(event)
    after = (
        {}
        if unfinished.retry_after is None
        else {"retry-after": str(math.ceil(unfinished.retry_after))}
    )
    return Response(status=unfinished.status, headers=after)
