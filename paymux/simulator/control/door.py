"""Every request to the page and the control API: who asks, what for, and the answer."""

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec
from aiohttp import web

from ...errors import UsageError
from ...http import Response
from ..ledger import AlreadyDecided
from ..received import headers_of
from ..wire_faults import respond
from ..world import World
from ..worlds import TooManyWorlds
from . import page
from .headers import API, cors, preflight
from .openapi import document
from .problems import Problem
from .routes import Call, check_fields, find, written
from .security import foreign, refuses_content
from .streams import EVENTS, serve_events
from .table import ROUTES

if TYPE_CHECKING:
    from ..server import Simulator

BODY_BYTES = 64 << 10


class Door:
    """The way into one world's control API and page; `mount` is the world's own prefix."""

    def __init__(self, sim: "Simulator", world: World, mount: str) -> None:
        self._sim = sim
        self._world = world
        self._mount = mount

    async def serve(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        """Answer one request; its host was checked."""
        headers = headers_of(request)
        shared = cors(headers.get("origin"), self._sim.access.cors)
        segments = [unquote(part) for part in path.strip("/").split("/")]
        named = dict(parse_qsl(query, keep_blank_values=True))
        try:
            if (shown := page.asked(request.method, path)) is not None:
                return respond(self._page(shown, headers, named))
            if request.method == "OPTIONS" and shared:
                return respond(preflight(shared))
            self._check(request, headers, segments)
            if request.method == "GET" and segments[1:] == [EVENTS]:
                return await serve_events(request, self._sim, self._world, named, shared)
            reply = await self._call(request, headers, segments[1:], named)
        except Problem as problem:
            reply = problem.reply()
        return respond(msgspec.structs.replace(reply, headers={**reply.headers, **API, **shared}))

    def _page(
        self, shown: page.File, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Response:
        """Serve a file of the page; the token in its URL becomes a cookie."""
        access = self._sim.access
        if access.token is not None and access.is_token(query.get("token", "")):
            cookie = f"{access.cookie}={access.token}; Path=/; HttpOnly; SameSite=Strict"
            where = {"location": shown.address(self._mount), "set-cookie": cookie}
            return Response(status=303, headers={**page.HEADERS, **where})
        if not access.has_token(headers):
            raise _no_token()
        return shown.reply()

    def _check(
        self, request: web.BaseRequest, headers: Mapping[str, str], segments: list[str]
    ) -> None:
        """Refuse who has no token, pages of other origins, and what a foreign form could send."""
        # A container's health check has no token, and learns nothing that the port does not tell.
        if segments[1:] != ["health"] and not self._sim.access.has_token(headers):
            raise _no_token()
        problem = foreign(headers, self._sim.access.cors) or refuses_content(
            request.method, headers
        )
        if problem is not None:
            raise problem

    async def _call(
        self,
        request: web.BaseRequest,
        headers: Mapping[str, str],
        segments: list[str],
        query: Mapping[str, str],
    ) -> Response:
        if request.method in ("GET", "HEAD") and segments == ["openapi.json"]:
            return written(document())
        route, at = find(ROUTES, request.method, segments)
        body = await _body(request)
        call = Call(
            sim=self._sim, world=self._world, mount=self._mount, at=at, query=query, body=body
        )
        try:
            for name in query:
                if name not in route.query:
                    raise UsageError.field("query", name, ", ".join(route.query) or "none")
            check_fields(route, body)
            told = route.handler(call)
            if isinstance(told, Awaitable):
                told = await told
        except AlreadyDecided as error:
            raise Problem(409, str(error), field=error.name, accepted=error.accepted) from None
        except TooManyWorlds as error:
            raise Problem(429, str(error), field=error.name, accepted=error.accepted) from None
        except UsageError as error:
            raise Problem.of(error) from None
        return written(told, route.status)


async def _body(request: web.BaseRequest) -> Mapping[str, Any]:
    """Read a JSON object of at most 64 KiB; nothing is an empty one."""
    if (request.content_length or 0) > BODY_BYTES:
        raise _too_large()
    raw = b""
    try:
        async for part in request.content.iter_any():
            raw += part
            if len(raw) > BODY_BYTES:
                raise _too_large()
        found = msgspec.json.decode(raw) if raw.strip() else {}
    except (ValueError, msgspec.MsgspecError, RecursionError, web.RequestPayloadError):
        found = None
    if not isinstance(found, dict):
        raise Problem(400, "body: it is no JSON object", field="body", accepted="a JSON object")
    return found


def _too_large() -> Problem:
    accepted = f"at most {BODY_BYTES} bytes"
    return Problem(
        413, f"body: it is too large; accepted: {accepted}", field="body", accepted=accepted
    )


def _no_token() -> Problem:
    accepted = "the token of the printed address, as `Authorization: Bearer` or in that address"
    return Problem(
        401,
        f"token: missing or wrong; accepted: {accepted}",
        field="token",
        accepted=accepted,
        headers={"www-authenticate": "Bearer"},
    )
