"""Where the simulator listens, and under which names it answers."""

import secrets
from collections.abc import Iterable, Mapping

from ..errors import UsageError
from ..primitives import coerce
from .sending import is_loopback

_OWN = ("127.0.0.1", "localhost", "[::1]")


class Access:
    """Who may speak with the simulator; `port` is known once it listens.

    `host`: the address to listen on; None: 127.0.0.1 and, where there is IPv6, ::1. `allow_host`:
    more names, each for every port, or with one (`simulator:8765`). `cors`: origins whose pages may
    use the control API. `token`: what the page and the control API want off loopback; a new one
    where it is None.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        allow_host: Iterable[str] = (),
        cors: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        listens = None if host is None else _name("host", host)
        self.host = None if listens == "localhost" else listens
        self.names = names("allow_host", allow_host)
        self.cors = frozenset(_origin(one) for one in _many(cors))
        self.port = 0
        on_loopback = self.host is None or is_loopback(self.host)
        self.token = None if on_loopback else token or secrets.token_urlsafe(24)

    @property
    def shown(self) -> str:
        """The host of the simulator's own URLs."""
        if self.host in (None, "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return "127.0.0.1"
        return f"[{self.host}]" if ":" in str(self.host) else str(self.host)

    def knows(self, host: str) -> bool:
        """Return whether a request's `Host` is ours: any other may be a rebound name."""
        name = host.lower()
        bare, colon, port = name.rpartition(":")
        if not colon or not port.isdecimal():
            bare, port = name, "80"
        ours = bare in _OWN or (self.host is not None and bare == self.shown)
        return (ours and port == str(self.port)) or bool({name, bare} & self.names)

    @property
    def cookie(self) -> str:
        """The cookie's name; a browser sends cookies to every port, so it has the port in it."""
        return f"paymux_{self.port}"

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request brings the token, as a cookie or as Bearer."""
        if self.token is None:
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        cookies = (one.partition("=") for one in headers.get("cookie", "").split(";"))
        given = [value.strip() for name, _, value in cookies if name.strip() == self.cookie]
        given += [bearer.strip()] if scheme.lower() == "bearer" else []
        return any(self.is_token(one) for one in given)

    def is_token(self, given: str) -> bool:
        """Return whether this is the token, in constant time."""
        return secrets.compare_digest(given.encode(), (self.token or "").encode())


def names(field: str, given: object) -> frozenset[str]:
    """Return hosts' names, in small letters; one of them may be given alone."""
    return frozenset(_name(field, one).lower() for one in _many(given))


def _many(given: object) -> list[object]:
    if coerce.text(given) is not None:
        return [given]
    found = coerce.sequence(given)
    return [given] if found is None else list(found)


def _name(field: str, given: object) -> str:
    found = coerce.text(given)
    if not found or len(found) > 255 or any(char in "/@?# \t\r\n\0" for char in found):
        raise UsageError.field(field, given, "a host's name or address, as `simulator`")
    return found


def _origin(given: object) -> str:
    found = coerce.text(given) or ""
    scheme, _, rest = found.partition("://")
    if scheme not in ("http", "https") or not rest or any(char in "/?#*@ \r\n" for char in rest):
        raise UsageError.field("cors", given, "an origin, as http://localhost:3000")
    return found
