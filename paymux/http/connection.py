"""What carries a request: an attempt on the wire, its response, and the connection."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import force_setattr

from ..errors import Unavailable
from ..values.parsing import Unreadable, decode
from .requests import MAX_BODY_BYTES

T = TypeVar("T")

_VISIBLE_BYTES = bytes(range(0x20, 0x7F))


class Response(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A provider's response: status, headers (read by lower-case name), and the complete body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    # What `read` read last, and as which type: after `judge`, the same is asked for again.
    _type: Any = None
    _answer: Any = None

    def __repr__(self) -> str:
        return f"<Response {self.status} of {len(self.body)} bytes>"

    def read(self, type: type[T]) -> T | None:
        """Read the body as JSON of this type; None: it is anything else."""
        try:
            answer = decode(type, self.body)
        except Unreadable:
            return None
        force_setattr(self, "_answer", answer)
        force_setattr(self, "_type", type)
        return answer

    def answer(self, type: type[T]) -> T:
        """Read the body like `read`, but not twice; Unreadable: it is anything else."""
        if self._type is type:
            answer: T = self._answer
            return answer
        return decode(type, self.body)


class TransportError(Exception):
    """The one exception of a connection: no complete response was received.

    `permanent`: a retry is useless. `too_large`: the response is too large, so asking for a smaller
    part may help.
    """

    def __init__(self, what: str, *, permanent: bool = False, too_large: bool = False) -> None:
        super().__init__(what)
        self.permanent = permanent
        self.too_large = too_large


class NoWebSocket(TransportError):
    """This connection opens no WebSocket, now or later."""


class PreparedRequest(msgspec.Struct, kw_only=True, gc=False):
    """One attempt on the wire.

    Its connection sets `started` at once, and `sent` before it writes the first byte.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    money: bool
    largest: int = MAX_BODY_BYTES  # of the answer's body
    started: bool = False
    sent: bool = False

    def __repr__(self) -> str:
        return f"<PreparedRequest {self.method}>"

    @property
    def may_have_left(self) -> bool:
        """Return whether the provider may have received it.

        If the connection set neither flag, it counts as sent.
        """
        return self.sent or not self.started

    def written(self, host: str, target: str) -> bytes:
        """Return the bytes of this request.

        https://www.rfc-editor.org/rfc/rfc9112.html#name-request-line
        """
        body = self.body
        lines = [f"{self.method} /{target} HTTP/1.1", f"Host: {host}"]
        lines += map(": ".join, self.headers.items())
        if body is not None or self.method != "GET":
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join([*lines, "\r\n"]).encode("utf-8", "surrogatepass")
        # Also checked where they are made: no id and no credential may add a header line.
        if head.translate(None, _VISIBLE_BYTES) != b"\r\n" * (len(lines) + 1):
            raise TransportError("a header with other than visible ASCII", permanent=True)
        return head + (body or b"")


class ResponseTooLarge(Unavailable):
    """The answer of a look-up is larger than `largest`.

    A driver then asks for a smaller part, or allows more.
    """


class Connection(Protocol):
    """Carries an attempt: over real sockets, or to a simulator in the same process."""

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt without redirects; return its response or raise TransportError."""
        ...

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket and yield its frames until it is closed, or raise TransportError."""
        ...

    async def aclose(self) -> None:
        """Release what is held for the running loop; a pool that is entered again goes on."""
        ...
