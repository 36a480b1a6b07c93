"""What the simulator keeps of requests and webhooks: each numbered, all or the newest."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from ..primitives.clock import wall_time
from .messages import Message

BODY_BYTES = 64 << 10  # of a body that a bounded log keeps


class Received(msgspec.Struct, kw_only=True):
    """A request that a provider received completely, and what it was answered.

    `status` is None if a fault let no answer through; `ms`: milliseconds until the answer.
    """

    provider: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    n: int = 0
    at: datetime = msgspec.field(default_factory=wall_time)
    status: int | None = None
    response_headers: Mapping[str, str] = {}
    response_body: bytes = b""
    ms: float | None = None
    reference: str | None = None
    fault: str | None = None


class Delivery(msgspec.Struct, kw_only=True):
    """A webhook that was sent, with the receiver's HTTP status, or the error."""

    provider: str
    message: Message
    status: int | None = None
    error: str | None = None
    n: int = 0
    at: datetime = msgspec.field(default_factory=wall_time)
    response_headers: Mapping[str, str] = {}
    response_body: bytes = b""
    ms: float | None = None
    again_of: int | None = None
    whole: bool = True  # the message is kept with its whole body


R = TypeVar("R", Received, Delivery)


class Records(Generic[R]):
    """Numbered records, oldest first, in the list `rows`; `most`: how many are kept, None: all."""

    def __init__(self, most: int | None) -> None:
        self.rows: list[R] = []
        self.most = most
        self.count = 0

    def add(self, row: R) -> R:
        """Keep a record under the next number; the oldest may go."""
        self.count += 1
        row.n = self.count
        self.rows.append(row)
        if self.most is not None and len(self.rows) > self.most:
            del self.rows[0]
        return row

    def cut(self, body: bytes) -> bytes:
        """Return what is kept of a body: all of it, where all records are kept."""
        return body if self.most is None or len(body) <= BODY_BYTES else body[:BODY_BYTES]

    def get(self, n: object) -> R:
        """Return the record with this number; UsageError: there is none, or no more."""
        number = coerce.whole(n)
        first = self.rows[0].n if self.rows else 0
        if number is None or not self.rows or not first <= number <= self.rows[-1].n:
            accepted = f"{first} to {self.rows[-1].n}" if self.rows else "none yet"
            raise UsageError.field("n", n, accepted)
        return self.rows[number - first]

    def newest(self) -> Iterator[R]:
        """Go through the records, newest first."""
        return reversed(self.rows)

    def clear(self) -> None:
        """Forget all of them; their numbers are not used again."""
        self.rows.clear()
