"""A client of a running simulator's control API."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, urlencode, urlsplit

from .exits import Exit
from .failures import Failed, Hint

DEFAULT = "http://127.0.0.1:8765"
_SECONDS = 10.0
_STRANGE = "the answer is not a simulator's"


class Control:
    """The control API at a URL; `url` may have the `?token=` that the simulator printed.

    Without one it is that of the variable PAYMUX_SIMULATOR, or of the usual port.
    """

    def __init__(self, url: str | None = None) -> None:
        given = url or os.environ.get("PAYMUX_SIMULATOR") or DEFAULT
        parts = _parts(given)
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = parse_qs(parts.query).get("token", [""])[0]
        # Without the proxy of the environment: the simulator is on this machine.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays).open

    def get(self, path: str, **query: str | None) -> Any:
        """Ask, and return the JSON of the answer."""
        return _read(self.text("GET", path, query=query))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a body of JSON, and return the answer's."""
        return _read(self.text(method, path, body=body or {}) or "null")

    def text(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the text of an answer; Failed: nothing answers, or it is a refusal."""
        with self._answer(method, path, query or {}, body, _SECONDS) as reply:
            try:
                return str(reply.read().decode())
            except (ValueError, HTTPException):
                raise _strange() from None

    def events(self, path: str = "events") -> Iterator[dict[str, Any]]:
        """Yield what happens, until the simulator ends."""
        with self._answer("GET", path, {}, None, None) as reply:
            try:
                for line in reply:
                    if line.startswith(b"data:"):
                        event = json.loads(line.removeprefix(b"data:"))
                        yield from event.get("events") or [event]
            except OSError:
                return
            except (ValueError, AttributeError, HTTPException):
                raise _strange() from None

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None],
        body: Mapping[str, Any] | None,
        seconds: float | None,
    ) -> Any:
        asked = urlencode({name: value for name, value in query.items() if value})
        url = f"{self.url}/_paymux/{quote(path)}{'?' if asked else ''}{asked}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)  # noqa: S310 - checked above
        if body is not None:
            request.add_header("content-type", "application/json")
        if self._token:
            request.add_header("authorization", f"Bearer {self._token}")
        try:
            return self._open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            said = _problem(error.read())
        except HTTPException:
            raise _strange() from None
        except OSError as error:
            why = getattr(error, "reason", None) or error
            hints = [Hint("paymux simulator", "starts one")]
            raise Failed(f"no simulator at {self.url}: {why}", Exit.AGAIN, hints=hints) from None
        raise Failed(said, Exit.USAGE)


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for the address that was given."""

    def redirect_request(self, *_: Any) -> None:
        """Let a redirect be an answer."""


def _parts(given: str) -> SplitResult:
    """Take the address of a simulator apart; Failed: it is none."""
    with suppress(ValueError):
        parts = urlsplit(given)
        plain = given.isascii() and given.isprintable() and " " not in given
        if plain and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise Failed(f"url: {given[:100]!r} is refused; accepted: {DEFAULT}", Exit.USAGE)


def _read(text: str) -> Any:
    """Return the JSON of an answer: an object, or nothing."""
    with suppress(ValueError, RecursionError):
        told = json.loads(text)
        if told is None or isinstance(told, dict):
            return told
    raise _strange()


def _strange() -> Failed:
    return Failed(_STRANGE, Exit.USAGE)


def _problem(body: bytes) -> str:
    """Return the sentence of a refusal."""
    try:
        told = json.loads(body)
        return str(told.get("detail") or told.get("title"))
    except (ValueError, AttributeError):
        return _STRANGE


def running_at(port: int) -> tuple[str, float] | None:
    """Return the version and uptime of the simulator on a port; None: another program has it."""
    try:
        told = Control(f"http://127.0.0.1:{port}").get("health")
        return str(told["version"]), float(told["uptime"])
    except (Failed, ValueError, KeyError, TypeError):
        return None
