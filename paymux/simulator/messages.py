"""A webhook of a simulated provider, before it is sent."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import UsageError
from ..primitives import coerce


class Redelivery(msgspec.Struct, frozen=True, kw_only=True):
    """When a provider sends a webhook again, whose answer it does not accept."""

    pauses: tuple[float, ...]  # seconds before each further time
    accepts: range = range(200, 300)  # statuses of an answer
    # Makes the message of a further time, of the one before; None: it has the same bytes.
    renewed: "Callable[[Message], Message] | None" = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook to be sent; `url` contains the query of a GET, and must not be empty.

    `order` and `forged` are set by the simulator: the order's id, and whether it is a lie.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    body: bytes = b""
    order: str | None = None
    forged: bool = False
    again: Redelivery | None = None  # None: it is sent once

    def __post_init__(self) -> None:
        if not coerce.text(self.url):
            raise UsageError.field(
                "url",
                self.url,
                "the address that the order, or a setting of the provider, gave (a simulator "
                "returns None from `message` where there is none; a driver needs `webhook_url` in "
                "`takes` to give one)",
            )

    @classmethod
    def json(cls, url: str, body: Any) -> "Message":
        """Make a POST with a JSON body."""
        return cls(
            url=url, headers={"content-type": "application/json"}, body=json.dumps(body).encode()
        )
