"""A connection that keeps what went over it, for `paymux probe`, and counts the requests."""

from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import msgspec

from ...drivers._probing import Seen
from ...http import Connection, PreparedRequest, Response, TransportError
from ...primitives.redaction import mask, scrub

MAX_REQUESTS = 30
# Names of fields that hold a person's name, or a token, at one of the providers.
_PERSONS = ("firstname", "middlename", "lastname", "partyname", "partypublicname", "customer_name")
_TOKENS = ("token",)


class Recorder:
    """Carries attempts over another connection, at most so many."""

    def __init__(self, inner: Connection, allowed: int = MAX_REQUESTS) -> None:
        self._inner = inner
        self._allowed = allowed
        self.sent = 0
        self.seen: list[Seen] = []
        self.unreached = False  # whether an attempt brought no answer

    @property
    def left(self) -> int:
        """Return how many requests may still be sent."""
        return self._allowed - self.sent

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, and keep its answer."""
        if self.left <= 0:
            outgoing.started = True
            raise TransportError(f"{self._allowed} requests were sent", permanent=True)
        self.sent += 1
        try:
            reply = await self._inner.exchange(outgoing)
        except TransportError:
            self.unreached = True
            raise
        path = urlsplit(outgoing.url).path
        self.seen.append(
            Seen(method=outgoing.method, path=path, status=reply.status, body=_parsed(reply.body))
        )
        return reply

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket, which no probe does."""
        return self._inner.frames(outgoing)

    async def aclose(self) -> None:
        """Release nothing: the connection serves the pools of the other steps."""

    def hear(self, path: str, body: bytes) -> None:
        """Keep a message that came to the callback address."""
        self.seen.append(Seen(method="POST", path=path, status=0, body=_parsed(body)))


def redacted(value: object, secrets: tuple[str, ...]) -> object:
    """Return a body without credentials, tokens, whole numbers of phones and names of persons."""
    return _bare(scrub(value, secrets))


def _bare(value: object) -> object:
    if isinstance(value, dict):
        return {name: "…" if _is_person(name) else _bare(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_bare(one) for one in value]
    if isinstance(value, str):
        return mask(value)
    if type(value) is int and abs(value) >= 10**8:
        return mask(str(value))
    return value


def _is_person(name: object) -> bool:
    plain = str(name).lower()
    return plain.endswith((*_PERSONS, *_TOKENS))


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return None
