"""The description of the control API, as OpenAPI 3.1, made from the table of its routes."""

import re
from functools import cache
from typing import Any

import msgspec

from ... import __version__
from . import shapes
from .routes import Route
from .table import ROUTES

# Each event's word, what it tells, and the type of its row.
EVENTS: dict[str, tuple[str, type[msgspec.Struct] | None]] = {
    "hello": ("The first of a stream: `last` is the number of the newest event.", None),
    "payment": ("A payment was opened, asked about, answered or decided.", shapes.PaymentRow),
    "request": ("A provider answered a request, or a fault cut it off.", shapes.RequestRow),
    "delivery": ("A webhook arrived, or did not.", shapes.DeliveryRow),
    "fault": ("A fault was planned, happened, or was dropped: then `times` is 0.", shapes.FaultRow),
    "settings": ("Settings or payers changed: the settings as they are now.", None),
    "reset": ("Everything was forgotten: load the lists again.", None),
    "gap": ("Events were missed: load the lists again.", None),
    "batch": ("More than 20 events in 100 ms: `events` has them, in order.", None),
}
_REFUSALS = {
    400: "Unreadable, or refused: `detail` says why.",
    401: "The token is missing or wrong.",
    403: "The host or the origin is refused.",
    404: "It does not exist.",
    405: "Another method is accepted.",
    408: "It did not happen in time.",
    409: "The payment was decided already; `detail` says how.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json.",
    429: "Too many.",
    503: "Not ready.",
}
_SCHEMAS = "#/components/schemas/"


class Problem(msgspec.Struct, kw_only=True):
    """A refusal: `detail` is the sentence for a person, `field` and `accepted` what would do."""

    title: str
    status: int
    detail: str
    field: str | None
    accepted: str | None


@cache
def document() -> dict[str, Any]:
    """Return the description; it has every route of the table, itself and the events."""
    types = [route.answer for route in ROUTES] + [route.body for route in ROUTES if route.body]
    types += [row for _, row in EVENTS.values() if row is not None] + [Problem]
    schemas, components = msgspec.json.schema_components(types, ref_template=f"{_SCHEMAS}{{name}}")
    known = {str(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        described = _operation(route, known)
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = described
    paths["/events"] = {"get": _events(known)}
    paths["/openapi.json"] = {"get": _itself()}
    for component in components.values():
        component.pop("title", None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paymux simulator",
            "version": __version__,
            "description": (
                "What a test, a page or a person does with simulated payments. Money is a string "
                "in major units, times are RFC 3339, words are lower case."
            ),
        },
        "servers": [
            {"url": "/_paymux", "description": "The default world."},
            {
                "url": "/w/{world}/_paymux",
                "description": "A world that POST /worlds opened.",
                "variables": {"world": {"default": "name"}},
            },
        ],
        "security": [{}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Event": _event(known)},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, known: dict[str, Any]) -> dict[str, Any]:
    answer = {
        "description": "Done.",
        "content": {route.media: {"schema": known[str(route.answer)]}},
    }
    told: dict[str, Any] = {
        "operationId": re.sub(r"[^a-z]+", "_", f"{route.method.lower()}_{route.path}").strip("_"),
        "summary": route.summary,
        "responses": {str(route.status): answer, **_refused(route)},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ] + [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in route.query.items()
    ]
    if parameters:
        told["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": known[str(route.body)]}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _refused(route: Route) -> dict[str, Any]:
    usual = {400, 401, 403} | ({413, 415} if route.body is not None else set())
    schema = {"$ref": f"{_SCHEMAS}Problem"}
    return {
        str(status): {
            "description": _REFUSALS[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in sorted(usual | set(route.refusals))
    }


def _events(known: dict[str, Any]) -> dict[str, Any]:
    route = Route(
        method="GET",
        path="events",
        summary="Server-sent events: each has a growing id; Last-Event-ID goes on after a cut.",
        handler=lambda call: call,
        answer=str,
        query={"after": "the id of the last event that the reader has had"},
        refusals=(429,),
        media="text/event-stream",
    )
    told = _operation(route, known)
    last = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}}
    told["parameters"].append(last)
    told["responses"]["200"]["content"]["text/event-stream"] = {
        "schema": {"type": "string", "description": "Each `data:` is an Event, in JSON."}
    }
    return told


def _itself() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "get_openapi_json",
        "summary": "This description.",
        "responses": {"200": {"description": "Done.", "content": content}},
    }


def _event(known: dict[str, Any]) -> dict[str, Any]:
    """Describe the data of each event by its word."""
    return {
        "description": "The data of one event: its word, its time, and the row that it is about.",
        "oneOf": [_one_event(word, text, row, known) for word, (text, row) in EVENTS.items()],
    }


def _one_event(
    word: str, text: str, row: type[msgspec.Struct] | None, known: dict[str, Any]
) -> dict[str, Any]:
    own: dict[str, Any] = {
        "type": {"const": word},
        "at": {"type": "string", "format": "date-time"},
    }
    if word == "hello":
        own["last"] = {"type": "integer"}
    if word == "batch":
        own["events"] = {"type": "array", "items": {"$ref": f"{_SCHEMAS}Event"}}
    told = {"description": text, "type": "object", "required": ["type", "at"], "properties": own}
    return told if row is None else {"allOf": [told, known[str(row)]]}
