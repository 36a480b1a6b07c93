"""What travels: a typed request, a reply, an incoming message, and who carries them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from .errors import BadWebhook, Unavailable, UsageError
from .primitives import coerce
from .values.parsing import Unreadable, decode
from .values.request_parts import fixed_parts, headers_of, matcher_of, pairs_of

R = TypeVar("R")
T = TypeVar("T")
# Of an answer, at most; a page of history may have more, and where it cannot be split, as many as
# can be read without holding up the loop for long.
MAX_BODY_BYTES, MAX_PAGE_BYTES, MAX_DAY_BYTES = 1 << 20, 8 << 20, 64 << 20

MAX_FORM_FIELDS = 1000  # of a form, at most
_VISIBLE_BYTES = bytes(range(0x20, 0x7F))


class Request(msgspec.Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """One HTTP request to a provider and the type of its reply. Make it with `get` or `post`."""

    method: str
    path: str
    type: type[R]
    body: Any = None
    form: bool = False
    at: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    money: bool = False
    repeatable: bool = False
    accept: tuple[int, ...] = ()
    matches: Callable[[R], bool] | None = None
    largest: int = MAX_BODY_BYTES

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"

    def target(self) -> str:
        """Give the path and query, with `at` and `query` quoted, so that an id cannot leave its place."""
        path = self.path
        for name, value in self.at.items():
            if value.strip(".") == "":
                raise UsageError.field(name, value, "an id; dots alone would name another path")
            try:
                # Nearly every id is plain, and quoting it would change nothing.
                plain = value.isascii() and value.replace("-", "").replace("_", "").isalnum()
                path = path.replace(f"{{{name}}}", value if plain else quote(value, safe=""))
            except UnicodeEncodeError:
                raise UsageError.field(name, value, "an id that UTF-8 can write") from None
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def content(self) -> bytes | None:
        """Give the encoded body; what cannot be written as JSON, or as a form, is UsageError."""
        if self.body is None:
            return None
        if (
            self.form
            and len(coerce.mapping(self.body) or coerce.sequence(self.body) or ()) > MAX_FORM_FIELDS
        ):
            raise UsageError.field("body", self.body, f"a form of at most {MAX_FORM_FIELDS} fields")
        try:
            return urlencode(self.body).encode() if self.form else msgspec.json.encode(self.body)
        except Exception as error:  # noqa: BLE001 - whatever a value in it raises
            accepted = (
                f"{'a mapping or pairs' if self.form else 'what JSON can hold'} "
                f"({type(error).__name__})"
            )
        raise UsageError.field("body", self.body, accepted)

    def with_headers(self, headers: Mapping[str, str]) -> "Request[R]":
        """Give this request with more headers."""
        return msgspec.structs.replace(self, headers={**self.headers, **headers})

    def with_query(self, query: Mapping[str, str]) -> "Request[R]":
        """Give this request with more in its query."""
        return msgspec.structs.replace(self, query={**self.query, **query})


def get(
    path: str,
    type: type[R],
    *,
    at: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    accept: tuple[int, ...] = (),
    matches: Callable[[R], bool] | None = None,
    largest: int = MAX_BODY_BYTES,
) -> Request[R]:
    """Ask for something: `at` fills the `{names}` of the path, and a reply that `matches` is read as `type`.

    `largest` is how many bytes of a 200's body are read; above it, ResponseTooLarge. What `matches`
    gives False for, or raises `Unreadable` with the reason, is no answer to this request.
    """
    path, type, accept, largest, *_ = fixed_parts(path, type, accept, largest, False, False, False)
    return Request(
        method="GET",
        path=path,
        type=type,
        at={} if at is None else pairs_of("at", at),
        query={} if query is None else pairs_of("query", query),
        headers={} if headers is None else headers_of(headers),
        accept=accept,
        matches=matcher_of(matches),
        largest=largest,
    )


def post(
    path: str,
    type: type[R],
    body: Any,
    *,
    money: bool = True,
    repeatable: bool = False,
    at: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    accept: tuple[int, ...] = (),
    matches: Callable[[R], bool] | None = None,
    form: bool = False,
    largest: int = MAX_BODY_BYTES,
) -> Request[R]:
    """Send something, as JSON or as a form. A POST moves money unless it says `money=False`.

    `repeatable=True` on money claims that the provider deduplicates on our reference; `accept`
    lists further statuses whose body is an answer; a reply that does not pass `matches` is no
    answer to this request; `largest` is as for `get`.
    """
    path, type, accept, largest, form, money, repeatable = fixed_parts(
        path, type, accept, largest, form, money, repeatable
    )
    return Request(
        method="POST",
        path=path,
        type=type,
        body=body,
        form=form,
        at={} if at is None else pairs_of("at", at),
        headers={} if headers is None else headers_of(headers),
        money=money,
        repeatable=repeatable,
        accept=accept,
        matches=matcher_of(matches),
        largest=largest,
    )


class Response(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a provider answered.

    Status, headers (asked for by lower-case name), and the body, read to its end.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Response {self.status} of {len(self.body)} bytes>"

    def read(self, type: type[T]) -> T | None:
        """Read the body as JSON of this type, or None where it is anything else."""
        try:
            return decode(type, self.body)
        except Unreadable:
            return None


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A message that reached us.

    Raw body, lower-case header names, and the query without its `?`.
    """

    method: str = "POST"
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    peer: str | None = None

    def __repr__(self) -> str:
        return f"<WebhookRequest {self.method} of {len(self.body)} bytes>"


MAX_HEADERS = 64  # of a WebhookRequest


def checked_webhook_request(value: object) -> WebhookRequest:
    """Give a message as it is read: header names in lower case, and the body in bytes.

    UsageError for what no server gives; what anybody may send, many headers or half a surrogate
    pair, is never the caller's fault, and is BadWebhook, here or from its reader.
    """
    if not coerce.is_a(value, WebhookRequest):
        raise UsageError.field("incoming", value, "a WebhookRequest")
    given: Any = value.body
    body = bytes(given) if type(given) in (bytearray, memoryview) else given
    if type(body) is not bytes:
        raise UsageError.field("incoming.body", value.body, "the bytes as they came in")
    found = coerce.mapping(value.headers)
    if found is None:
        raise UsageError.field("incoming.headers", value.headers, "a mapping of text to text")
    if len(found) > MAX_HEADERS:
        raise BadWebhook(f"more than {MAX_HEADERS} headers")
    headers = {}
    for name, text in found.items():
        headers[received_text("incoming.headers", name).lower()] = received_text(
            "incoming.headers", text
        )
    return WebhookRequest(
        method=received_text("incoming.method", value.method),
        path=received_text("incoming.path", value.path),
        query=received_text("incoming.query", value.query),
        headers=headers,
        body=body,
        peer=None if value.peer is None else received_text("incoming.peer", value.peer),
    )


def received_text(name: str, value: object) -> str:
    """Give text that came in from outside.

    Half a surrogate pair in it is for its reader to refuse.
    """
    if type(value) is str:
        return value
    if not coerce.is_a(value, str):
        raise UsageError.field(name, value, "a string")
    return str.__str__(value)


class Send(Protocol):
    """A driver's only effect: send a request, get its typed reply or an error of ours."""

    def __call__(self, request: Request[R], /) -> Awaitable[R]:
        """Send it."""
        ...


class TransportError(Exception):
    """The one exception of a connection: no whole reply came.

    `certain` tells that trying again is useless.

    `too_large`: the reply is, so that asking for less of it may help.
    """

    def __init__(self, what: str, *, permanent: bool = False, too_large: bool = False) -> None:
        super().__init__(what)
        self.permanent = permanent
        self.too_large = too_large


class PreparedRequest(msgspec.Struct, kw_only=True, gc=False):
    """One attempt on the wire.

    Its connection sets `began` at once and `sent` before a byte may leave.
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
        """Tell whether the provider may have seen it.

        A connection that reports nothing counts as sent.
        """
        return self.sent or not self.started

    def written(self, host: str, target: str) -> bytes:
        """Give the bytes of this request: https://www.rfc-editor.org/rfc/rfc9112.html#name-request-line."""
        body = self.body
        lines = [f"{self.method} /{target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body is not None or self.method != "GET":
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join([*lines, "\r\n"]).encode("utf-8", "surrogatepass")
        # Checked where they are made, and here again: no id and no credential may write a line of
        # its own.
        if head.translate(None, _VISIBLE_BYTES) != b"\r\n" * (len(lines) + 1):
            raise TransportError("a header with other than visible ASCII", permanent=True)
        return head + (body or b"")


class ResponseTooLarge(Unavailable):
    """A look-up's answer is larger than was asked for.

    A driver asks for less of it, or allows more.
    """


class Connection(Protocol):
    """Who carries an attempt: real sockets, or a simulator in the same process."""

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, without redirects, and give its whole reply or raise TransportError."""
        ...

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket and give its frames until it ends, or raise TransportError."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held for the running loop."""
        ...
