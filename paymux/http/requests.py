"""What a driver sends: typed requests, questions whose answers come as messages, and waits."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from ..values.request_parts import (
    fixed_parts,
    function_of,
    headers_of,
    known_of,
    matcher_of,
    pairs_of,
    two_names_of,
    type_of,
)
from ..values.validation import checked_seconds

R = TypeVar("R")
T = TypeVar("T")
# The largest answer; the largest page of history; and the largest page of history that cannot be
# split, which can still be read without blocking the loop for long.
MAX_BODY_BYTES, MAX_PAGE_BYTES, MAX_DAY_BYTES = 1 << 20, 8 << 20, 64 << 20

MAX_FORM_FIELDS = 1000  # fields of a form


class Request(msgspec.Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """One HTTP request to a provider and the type of its answer. Make it with `get` or `post`."""

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
    repeats_for: float | None = None  # see `joined_for`
    once: bool = False  # see `sent_once`
    accept: tuple[int, ...] = ()
    matches: Callable[[R], bool] | None = None
    largest: int = MAX_BODY_BYTES
    credential: str = ""  # the driver's name of one in the body that must be proved
    known: Mapping[str, str] | None = None
    login: str = ""  # the driver's name of the login that signs it, where there are several

    def __repr__(self) -> str:
        return f"<{self.method} {self.path}>"

    def target(self) -> str:
        """Return the path and query; `at` and `query` are quoted: no id can change the path."""
        path = self.path
        for name, value in self.at.items():
            if value.strip(".") == "":
                raise UsageError.field(name, value, "an id; dots alone would name another path")
            try:
                # Quoting would not change a plain id, and nearly every id is plain.
                plain = value.isascii() and value.replace("-", "").replace("_", "").isalnum()
                path = path.replace(f"{{{name}}}", value if plain else quote(value, safe=""))
            except UnicodeEncodeError:
                raise UsageError.field(name, value, "an id that UTF-8 can write") from None
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def content(self) -> bytes:
        """Return the encoded body; UsageError: it cannot be written as JSON, or as a form."""
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

    def with_ids(self, ids: Mapping[str, str]) -> "Request[R]":
        """Return this request with the ids of its path.

        A driver makes a look-up once, so that its parts are checked once, and then only this copy.
        """
        return msgspec.structs.replace(self, at=ids)

    def with_body(self, body: Any, matches: Callable[[R], bool] | None = None) -> "Request[R]":
        """Return this request with its body, and with the check of its answer, if it has its own.

        It is made once, and copied, like that of `with_ids`.
        """
        return msgspec.structs.replace(self, body=body, matches=matches or self.matches)

    def joined_for(self, seconds: float) -> "Request[R]":
        """Return this request of money, which its verb may send again, with the same bytes.

        For a provider that deduplicates on our reference, but forgets: no repeat leaves later than
        so many seconds after the first attempt. State far less than the provider does.
        """
        lasting = checked_seconds("seconds", seconds)
        return msgspec.structs.replace(self, repeatable=True, repeats_for=lasting)

    def sent_once(self) -> "Request[R]":
        """Return this request, which moves no money, and is sent again only where it did not leave.

        For what a repeat would do to a person a second time, such as a prompt on a phone. A lost
        answer is Unavailable: what to do then is for its verb to say.
        """
        return msgspec.structs.replace(self, once=True)

    def with_headers(self, headers: Mapping[str, str]) -> "Request[R]":
        """Return this request with more headers."""
        return msgspec.structs.replace(self, headers={**self.headers, **headers})

    def with_query(self, query: Mapping[str, str]) -> "Request[R]":
        """Return this request with more query parameters."""
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
    login: str = "",
) -> Request[R]:
    """Make a GET request: `at` fills the `{names}` of the path, and the answer is read as `type`.

    `largest` is the size limit in bytes of the body of a 200; above it, ResponseTooLarge. If
    `matches` returns False for an answer, or raises `Unreadable` with the reason, it is not an
    answer to this request. `login` names the one that signs it, of a driver with several
    (`Driver.login`).

    UsageError: a path, query or type that no request can have.
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
        login=login,
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
    known: Mapping[str, str] | None = None,
    credential: str = "",
    login: str = "",
) -> Request[R]:
    """Make a POST request, with JSON or a form. It moves money unless it says `money=False`.

    `repeatable=True` on money: the provider deduplicates on our reference. `accept`: more statuses
    whose body is an answer. `matches`, `largest` and `login` are as for `get`. `known`: what an
    earlier step told of this order: the payment's `provider_reference`, which stays, `receipt`,
    `checkout_url`, and any other name as one of its `ids`; it is durable before this request.
    `credential`: see `Driver.credential_id`. UsageError: what no request can have.
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
        known=None if known is None else known_of(known, money=money),
        credential=credential,
        login=login,
    )


class Question(msgspec.Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """A POST whose answer comes later, as a message of its own. Make it with `ask`."""

    request: Request[Any]  # moves no money; its type is the acknowledgement's
    type: type[R]  # the answer's
    urls: tuple[str, str]  # the fields of the body for the answer's URL and its time-out's
    id_of: Callable[[Any], str]  # the acknowledgement's id, which the answer must bear

    def __repr__(self) -> str:
        return f"<ask {self.request.path}>"

    def to(self, answer_url: str, timeout_url: str) -> Request[Any]:
        """Return the request with the two URLs in its body."""
        answer, timeout = self.urls
        body = {**self.request.body, answer: answer_url, timeout: timeout_url}
        return msgspec.structs.replace(self.request, body=body)


def ask(
    path: str,
    type: type[T],
    body: Mapping[str, Any],
    *,
    answer: type[R],
    id_of: Callable[[T], str],
    urls: tuple[str, str] = ("ResultURL", "QueueTimeOutURL"),
    accept: tuple[int, ...] = (),
    matches: Callable[[T], bool] | None = None,
    credential: str = "",
) -> Question[R]:
    """Make a question: a POST that moves no money, and whose answer comes as a message.

    `type` is the acknowledgement's, `answer` the answer's. `id_of` returns the id that the
    acknowledgement gives and the answer must bear (`Driver.answer_id`); it may raise `Unreadable`.
    `urls` names the two fields of the JSON body that are filled with URLs for this question alone:
    the answer's, and the one for a time-out. `accept` and `matches` are as for `post`, and are
    about the acknowledgement. Sending it raises NoAnswer if no answer comes within the deadline.
    """
    if (fields := coerce.mapping(body)) is None:
        raise UsageError.field("body", body, "a mapping, in which the URLs are filled")
    if (named := coerce.text(credential)) is None:
        raise UsageError.field("credential", credential, "the name of a field of the driver")
    request = post(path, type, fields, money=False, accept=accept, matches=matches)
    return Question(
        request=msgspec.structs.replace(request, credential=named),
        type=type_of(answer, "answer"),
        urls=two_names_of("urls", urls),
        id_of=function_of("id_of", id_of, "one acknowledgement"),
    )


class Pause(msgspec.Struct, Generic[R], frozen=True, kw_only=True, gc=False):
    """A wait before the next look-up of the same verb. Make it with `pause`."""

    seconds: float


def pause(seconds: float) -> Pause[bool]:
    """Make a wait, for an answer that a provider prepares after it has accepted an order.

    Sending it returns True after the wait, and False at once if the verb's deadline leaves less
    than the same time after it.
    """
    return Pause(seconds=checked_seconds("seconds", seconds))


Sendable: TypeAlias = Request[R] | Question[R] | Pause[R]


class Send(Protocol):
    """A driver's only effect: send a request, return its typed answer or raise a paymux error."""

    def __call__(self, request: Sendable[R], /) -> Awaitable[R]:
        """Send it."""
        ...
