"""The page's files: a fixed list, read once from `paymux/simulator/page`."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from ...http import Response
from .headers import API

_TYPES: Mapping[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
}
HEADERS: Mapping[str, str] = {
    **API,
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "cache-control": "no-cache",
}


class File(msgspec.Struct, frozen=True):
    """One file of the page, and the path that it is asked for by."""

    name: str
    path: str

    def address(self, mount: str) -> str:
        """Return the path of this file in its world, without the token of the printed URL."""
        return f"{mount}{self.path}"

    def reply(self) -> Response:
        """Write the file."""
        headers = {**HEADERS, "content-type": _TYPES[self.name]}
        return Response(status=200, headers=headers, body=_read()[self.name])


_PATHS: Mapping[str, str] = {
    **dict.fromkeys(("", "/", "/_paymux", "/_paymux/"), "index.html"),
    **{f"/_paymux/{name}": name for name in _TYPES},
}


def asked(method: str, path: str) -> File | None:
    """Return the file that a request asks for; None: it asks for something else."""
    name = _PATHS.get(path, "") if method in ("GET", "HEAD") else ""
    return File(name, path) if name in _read() else None


@cache
def _read() -> Mapping[str, bytes]:
    folder = files("paymux.simulator").joinpath("page")
    found = {name: folder.joinpath(name) for name in _TYPES}
    return {name: file.read_bytes() for name, file in found.items() if file.is_file()}
