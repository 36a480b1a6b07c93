"""The routes of the control API: one table, from which requests are matched and described."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ...errors import UsageError
from ...http import Response
from ..world import World
from .problems import Problem

if TYPE_CHECKING:
    pass

MOST_ROWS = 200  # of one list
_USUAL_ROWS = 50
_SECONDS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)


class Call(msgspec.Struct, kw_only=True):
    """One request to a route: what its path, query and body say."""

    sim: Any  # the Simulator; msgspec cannot resolve a name that only type checkers see
    world: World
    mount: str
    at: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def limit(self) -> int:
        """Return how many rows are asked for."""
        return self.number("limit", 1, MOST_ROWS, _USUAL_ROWS)

    def number(self, name: str, low: int, high: int, usual: int) -> int:
        """Read a whole number of the query."""
        written = self.query.get(name)
        if written is None or written == "":
            return usual
        found = (
            int(written) if written.isascii() and written.isdigit() and len(written) < 16 else -1
        )
        if not low <= found <= high:
            raise UsageError.field(name, written, f"{low} to {high}")
        return found

    def flag(self, name: str) -> bool | None:
        """Read a yes or no of the query; None: it was not said."""
        written = self.query.get(name) or None
        if written not in (None, "true", "false"):
            raise UsageError.field(name, written, "true, false")
        return None if written is None else written == "true"

    def seconds(self, name: str, most: int, usual: float) -> float:
        """Read a duration of the query."""
        written = self.query.get(name) or str(usual)
        found = float(written) if _SECONDS.fullmatch(written) else 0.0
        if not 0 < found <= most:
            raise UsageError.field(name, written, f"seconds above 0, {most} at most")
        return found


Handler: TypeAlias = Callable[[Call], Any | Awaitable[Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route, and its description for openapi.json."""

    method: str
    path: str  # below /_paymux, with {names}
    summary: str
    handler: Handler
    answer: Any  # the type of the answer
    status: int = 200
    query: Mapping[str, str] = {}  # name and meaning
    body: type[msgspec.Struct] | None = None
    loose: bool = False  # the body may have other fields, which the Python call checks
    refusals: tuple[int, ...] = ()
    media: str = "application/json"

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return what the names of the path stand for; None: it is another path."""
        wanted = self.path.split("/")
        if len(wanted) != len(segments):
            return None
        found = {}
        for want, segment in zip(wanted, segments, strict=True):
            if want[:1] == "{":
                found[want[1:-1]] = segment
            elif want != segment:
                return None
        return found


def find(
    routes: tuple[Route, ...], method: str, segments: list[str]
) -> tuple[Route, dict[str, str]]:
    """Return the route of a request, and the names of its path; Problem: 404 or 405."""
    fitting = [(route, at) for route in routes if (at := route.match(segments)) is not None]
    if not fitting:
        raise Problem(
            404, f"{'/'.join(segments)[:200]!r} is no path of the control API; see openapi.json"
        )
    wanted = "GET" if method == "HEAD" else method
    for route, at in fitting:
        if route.method == wanted:
            return route, at
    allowed = ", ".join(sorted({route.method for route, _ in fitting}))
    raise Problem(
        405,
        f"method: {method!r} is refused; accepted: {allowed}",
        field="method",
        accepted=allowed,
        headers={"allow": allowed},
    )


def check_fields(route: Route, body: Mapping[str, Any]) -> None:
    """Check a body's names; their values are checked by the Python call that takes them."""
    if route.body is None or route.loose:
        return
    known = {field.name: field for field in msgspec.structs.fields(route.body)}
    for name in body:
        if name not in known:
            raise UsageError.field("body", name, ", ".join(known))
    for name, field in known.items():
        if field.required and name not in body:
            raise UsageError.missing(name, f"accepted: {', '.join(known)}")


def written(told: Any, status: int = 200) -> Response:
    """Write the answer of a route."""
    if isinstance(told, Response):
        return told
    return Response(
        status=status,
        headers={"content-type": "application/json"},
        body=msgspec.json.encode(told),
    )
