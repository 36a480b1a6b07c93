"""What no page says of a provider, as questions that its sandbox can settle: `paymux probe`.

A driver has them in its file `facts.py`, as `FACTS`. Each says what the driver assumes where the
answer matters, which requests to send, and how to read what came back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

Verb: TypeAlias = Literal["collect", "payout", "verify", "find"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A verb of the pool, with its arguments; "{new}" in a text is a reference of this run.

    `{first[name]}` is a field of the first answer, and `{shortcode}` a field of the account that is
    no credential. `{today}` is a day. `again`: by a pool that does not know what was sent before.
    """

    verb: Verb
    given: Mapping[str, Any]
    again: bool = False


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """A request of its own, with the same texts; it is signed like those of the driver."""

    method: Literal["GET", "POST"]
    path: str
    body: Mapping[str, Any] | None = None
    money: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, or one message that came to the callback address (its status is 0)."""

    method: str
    path: str
    status: int
    body: Any = None  # the parsed JSON; None: it is none

    def said(self, name: str) -> str:
        """Return a field of the body as text; "": it has none."""
        found = self.body.get(name) if isinstance(self.body, dict) else None
        return "" if found is None else str(found)


Reader: TypeAlias = Callable[[Sequence[Seen]], str]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One question, what the driver assumes, and the requests that settle it."""

    id: str
    question: str
    guess: str  # the word that `reads` returns if the driver is right
    steps: tuple[Call | Raw, ...]
    reads: Reader  # the word for what was seen; "": it settles nothing
    source: str  # where the doubt stands: a page, or the file of the driver
    money: bool = False  # whether test money may move
    more: int = 0  # requests that the driver itself may add to the steps
    logs_in: bool = False  # whether the login is what is looked at
    hears: bool = False  # a question is among the requests: its answer comes as a message
    needs: tuple[str, ...] = ()  # fields of the account without which it cannot be asked
    without: tuple[str, ...] = ()  # fields of the account with which it cannot be asked


def at(path: str, seen: Sequence[Seen]) -> list[Seen]:
    """Return the answers of the requests whose path contains this."""
    return [one for one in seen if path in one.path]


def status_at(path: str) -> Reader:
    """Return a reader of the HTTP status of the last answer at a path."""

    def reads(seen: Sequence[Seen]) -> str:
        found = at(path, seen)
        return str(found[-1].status) if found else ""

    return reads


def field_at(path: str, *names: str) -> Reader:
    """Return a reader of the first of these fields that the last answer at a path has."""

    def reads(seen: Sequence[Seen]) -> str:
        found = at(path, seen)
        return next((word for name in names if found and (word := found[-1].said(name))), "")

    return reads


def repeated_at(path: str, name: str) -> Reader:
    """Return a reader of what a repeated request does: a new id, the same one, or a refusal."""

    def reads(seen: Sequence[Seen]) -> str:
        found = at(path, seen)
        if len(found) < 2 or not found[0].said(name):
            return ""
        if not found[1].said(name):
            return f"refused (HTTP {found[1].status})"
        return (
            "the first one again" if found[1].said(name) == found[0].said(name) else "another one"
        )

    return reads
