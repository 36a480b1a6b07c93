"""Credentials that are found nowhere else, at a simulator that knows only its own."""

import base64
import re
from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import msgspec

from ...drivers.base import Driver
from ...http import Connection, PreparedRequest, Response
from ...primitives.redaction import Secret
from ...simulator import Simulator
from ...simulator.base import Provider


class Canary(NamedTuple):
    """A credential that is found nowhere else, and the simulator's own word for it."""

    secret: str
    word: str


def canaries(
    driver: type[Driver], simulator: type[Provider], more: Mapping[str, object]
) -> dict[str, Canary]:
    """Return a canary for each secret field of a driver that the simulator has a word for.

    `more`: fields of the driver with words of the case, beside the simulator's credentials.
    """
    account = Simulator(providers=[simulator]).driver(driver, **more)
    words = {**simulator.credentials, **more}
    found: dict[str, Canary] = {}
    for field in account.__struct_fields__:
        word = str(words.get(field, ""))
        if word and isinstance(getattr(account, field), Secret):
            found[field] = Canary(f"canary~{field}+/{len(found)}7e1d", word)
    return found


class Disguise:
    """A connection that gives the simulator its own word for each canary.

    It adds the canaries to each answer.
    """

    def __init__(self, inner: Connection, canaries: Mapping[str, str]) -> None:
        self._inner, self._canaries = inner, canaries

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, with an answer that repeats every credential in every form."""
        plain = PreparedRequest(
            method=outgoing.method,
            url=self._plain(outgoing.url),
            headers={name: self._plain(value) for name, value in outgoing.headers.items()},
            body=outgoing.body and self._plain(outgoing.body.decode()).encode(),
            money=outgoing.money,
        )
        try:
            reply = await self._inner.exchange(plain)
        finally:
            outgoing.started, outgoing.sent = plain.started, plain.sent
        if not reply.body.startswith(b"{"):
            return reply
        echo = msgspec.json.encode([form for canary in self._canaries for form in forms(canary)])
        return msgspec.structs.replace(reply, body=b'{"echo":' + echo + b"," + reply.body[1:])

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Pass frames on."""
        return self._inner.frames(outgoing)

    async def aclose(self) -> None:
        """Close nothing."""

    def _plain(self, text: str) -> str:
        for canary, word in self._canaries.items():
            text = text.replace(canary, word).replace(quote_plus(canary), word)  # or in a form
        return re.sub(r"[A-Za-z0-9+/]{16,}={0,2}", self._decoded, text)

    def _decoded(self, found: re.Match[str]) -> str:
        try:
            text = base64.b64decode(found[0], validate=True).decode()
        except ValueError:
            return found[0]
        for canary, word in self._canaries.items():
            text = text.replace(canary, word)
        return base64.b64encode(text.encode()).decode()


def forms(secret: str) -> set[str]:
    """Return what a secret looks like.

    Plain, quoted, in hex, and in base64 at each of the three alignments.
    """
    raw = secret.encode()
    shifted = {
        base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)
    }
    return {
        secret,
        quote(secret, safe=""),
        raw.hex(),
        msgspec.json.encode(secret).decode()[1:-1],
        *shifted,
    }
