"""What payers do: by their number, by what a person answers for them, or by default."""

import re
from collections.abc import Mapping
from random import Random
from typing import Literal, TypeAlias, get_args

import msgspec

from ..errors import UsageError
from ..models import Reason, Status
from ..primitives import coerce
from ..values.arguments import text
from ..values.validation import checked_seconds
from .ledger import Entry, Outcome

Answer: TypeAlias = Literal[
    "approve", "decline", "cancel", "ignore", "no_money", "limit", "busy", "expire"
]
Habits: TypeAlias = Literal["ask", "approve", "random"]

# How each answer ends an order; a payer who ignores the prompt leaves it open.
ANSWERS: Mapping[str, Outcome] = {
    "approve": Outcome(Status.SUCCEEDED, by="payer"),
    "decline": Outcome(Status.FAILED, Reason.DECLINED, by="payer"),
    "cancel": Outcome(Status.CANCELLED, Reason.CANCELLED, by="payer"),
    "ignore": Outcome(Status.PENDING, by="payer"),
    "no_money": Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS, by="payer"),
    "limit": Outcome(Status.FAILED, Reason.LIMIT, by="payer"),
    "busy": Outcome(Status.FAILED, Reason.BUSY, by="payer"),
    "expire": Outcome(Status.EXPIRED, Reason.EXPIRED, by="payer"),
}
WRONG_PIN = Outcome(Status.FAILED, Reason.WRONG_PIN, by="payer")
PIN = "0000"

# What a random payer does, and how often of 20 times.
_OFTEN: Mapping[str, int] = {
    "approve": 12,
    "decline": 2,
    "no_money": 2,
    "cancel": 1,
    "expire": 1,
    "ignore": 1,
    "limit": 1,
}
_NUMBER = re.compile(r"[0-9]{8,15}", re.ASCII)
_PIN = re.compile(r"[0-9]{4,8}", re.ASCII)


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """What one number does from now on; `answer` None: a person decides, with this `pin`."""

    number: str
    answer: Answer | None = None
    after: float | None = None
    pin: str = PIN


class Payers:
    """The payers of one world.

    `usual` is what one does whose number has no meaning: "ask" waits for an answer, "approve" pays,
    "random" draws one; None: `default` decides, also about payouts. `after`: seconds until a payer
    decides; None: the simulator's `payer_delay`, and who is asked has as long as they like.
    """

    def __init__(self, usual: Habits | None, after: float | None, default: Status | None) -> None:
        self.usual = checked_usual(usual)
        self.after = checked_after(after)
        self.default = default
        self.known: dict[str, Payer] = {}

    def put(self, payer: Payer) -> None:
        """Decide what a number does from now on."""
        self.known[payer.number] = payer

    def forget(self, number: object) -> None:
        """Let a number do again what it would have done."""
        if self.known.pop(checked_number(number), None) is None:
            raise UsageError.field("number", number, ", ".join(self.known) or "none: none was set")

    def pin(self, entry: Entry) -> str:
        """Return the PIN of an order's payer."""
        known = self.known.get(entry.party or "")
        return PIN if known is None else known.pin

    def outcome(self, entry: Entry, magic: Outcome | None, random: Random) -> Outcome | None:
        """Return what an order's payer does by themselves; None: nothing, until asked."""
        known = self.known.get(entry.party or "")
        if known is not None and entry.kind == "collect":
            return None if known.answer is None else ANSWERS[known.answer]
        if magic is not None:
            return msgspec.structs.replace(magic, by="number")
        if self.usual is None:
            return None if self.default is None else Outcome(self.default, by="default")
        if entry.kind != "collect" or self.usual == "approve":
            return Outcome(Status.SUCCEEDED, by="default")  # no payer is asked about a payout
        if self.usual == "random":
            [word] = random.choices(list(_OFTEN), weights=list(_OFTEN.values()))
            return msgspec.structs.replace(ANSWERS[word], by="default")
        return None if self.after is None else Outcome(Status.SUCCEEDED, by="default")

    def delay(self, entry: Entry) -> float | None:
        """Return after how many seconds an order's payer decides; None: as the simulator says."""
        known = self.known.get(entry.party or "")
        return self.after if known is None or known.after is None else known.after


def checked_answer(answer: object) -> Answer:
    """Return a payer's answer."""
    for known in get_args(Answer):
        if coerce.text(answer) == known:
            found: Answer = known
            return found
    raise UsageError.field("answer", answer, ", ".join(ANSWERS))


def checked_usual(usual: object) -> Habits | None:
    """Return what payers do whose number has no meaning."""
    for known in get_args(Habits):
        if coerce.text(usual) == known:
            found: Habits = known
            return found
    if usual is None:
        return None
    raise UsageError.field("payers", usual, ", ".join(get_args(Habits)))


def checked_after(after: object) -> float | None:
    """Return the seconds until a payer decides, from 0 on."""
    if after is None or (type(after) in (int, float) and after == 0):
        return None if after is None else 0.0
    return checked_seconds("after", after)


def checked_number(number: object) -> str:
    """Return a phone number as providers send it: digits alone."""
    found = re.sub(r"[\s+()-]", "", text("number", number, longest=40))
    if not _NUMBER.fullmatch(found):
        raise UsageError.field("number", number, "8 to 15 digits, with the country's code")
    return found


def checked_pin(pin: object) -> str:
    """Return a PIN."""
    found = coerce.text(pin)
    if found is None or not _PIN.fullmatch(found):
        raise UsageError.hidden("pin", "4 to 8 digits")
    return found
