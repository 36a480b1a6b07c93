"""What a payer's phone does with an order: PIN 0000 pays, the third wrong one fails it."""

from collections.abc import Mapping

from ..models import Reason, Status
from .base import Provider
from .ledger import Entry, Outcome

PIN = "0000"
_TRIES = 3

# What a payer may answer, as an order ends by it.
ANSWERS: Mapping[str, Outcome] = {
    "approve": Outcome(Status.SUCCEEDED),
    "decline": Outcome(Status.FAILED, Reason.DECLINED),
    "cancel": Outcome(Status.CANCELLED, Reason.CANCELLED),
    "no_money": Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "limit": Outcome(Status.FAILED, Reason.LIMIT),
    "busy": Outcome(Status.FAILED, Reason.BUSY),
    "expire": Outcome(Status.EXPIRED, Reason.EXPIRED),
}


def tries_left(entry: Entry) -> int:
    """Return how many PINs may still be entered for an order."""
    return int(entry.words.get("tries_left", _TRIES))


def answer(provider: Provider, entry: Entry, said: str, pin: str | None = None) -> None:
    """Let the payer of an order answer, which decides it, unless a wrong PIN leaves more tries.

    `said`: a key of ANSWERS; `pin`: None for a program that decides in the payer's place. An order
    that was decided before stays as it is.
    """
    if entry.status.terminal:
        return
    outcome = ANSWERS[said]
    if said == "approve" and pin is not None and pin != PIN:
        entry.words["tries_left"] = tries_left(entry) - 1
        if tries_left(entry):
            return
        outcome = Outcome(Status.FAILED, Reason.WRONG_PIN)
    provider.settle(entry, outcome)
