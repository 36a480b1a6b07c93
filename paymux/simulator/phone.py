"""What a payer's phone does with an order: the right PIN pays, the third wrong one fails it."""

import msgspec

from .base import Provider
from .ledger import Entry
from .payers import ANSWERS, WRONG_PIN, Answer


def answer(
    provider: Provider, entry: Entry, word: Answer, pin: str | None = None, *, by: str = "payer"
) -> None:
    """Let the payer of an order answer, which decides it, unless a wrong PIN leaves more tries.

    `pin`: None for a program that decides in the payer's place; `by`: who the history names. An
    order that was decided before stays as it is.
    """
    if entry.status.terminal:
        return
    outcome = ANSWERS[word]
    if word == "approve" and pin is not None and pin != provider.core.payers.pin(entry):
        entry.tries_left -= 1
        if entry.tries_left > 0:
            provider.core.tell("payment", entry)
            return
        outcome = WRONG_PIN
    if word == "ignore":
        provider.hang_up(entry)
    else:
        provider.settle(entry, msgspec.structs.replace(outcome, by=by))
