"""The status that all fields of an answer agree on; a contradiction proves nothing."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from ..models import Reason, Status, log
from ..primitives.redaction import hide

# The meaning of a word: one status, or all the statuses that it leaves possible.
Statuses: TypeAlias = Status | frozenset[Status]
StatusWords: TypeAlias = Mapping[str, Statuses]

# in a table of words: every word not listed; without it, such a word means pending
ANY_OTHER_WORD = "*"
SAYS_NOTHING = frozenset(Status)  # the meaning of a word that says nothing about the status
# the meaning of an error word, which no paid order has
UNPAID = SAYS_NOTHING - {Status.SUCCEEDED, Status.REFUNDED}

Meaning: TypeAlias = Statuses | tuple[Statuses, Reason]  # a status, and why a payment failed

_WORD = re.compile(r"[A-Za-z0-9.]{1,12}|[A-Za-z][A-Za-z ,'_-]{0,59}")
_ORDER = tuple(Status)  # listing an Enum is slow


class Vocabulary(dict[str, Statuses]):
    """What each word of one field means; `reasons` has the words that say why a payment failed.

    `why` holds words that only say why: of the status they say as much as a word not listed.
    """

    def __init__(self, words: Mapping[str, Meaning], *, why: Mapping[str, Reason] = {}) -> None:
        super().__init__()
        self.reasons = dict(why)
        for word, meaning in words.items():
            if isinstance(meaning, tuple):
                self[word], self.reasons[word] = meaning
            else:
                self[word] = meaning


def normalized(word: str) -> str:
    """Normalise a word: case, surrounding white space and a full stop do not matter."""
    return word.strip().rstrip(".").rstrip().upper()


def agreed_status(
    provider: str,
    speaks: Mapping[str, StatusWords],
    said: Mapping[str, str | None],
    secrets: Callable[[], tuple[str, ...]] = tuple,
) -> Status:
    """Return the one status that all fields of an answer leave possible, else PENDING.

    `speaks`: the tables of words, by field; `said`: the words in the answer. Of several possible
    statuses, the first in `Status` is returned. A contradiction or an unknown word is logged once,
    without any of the account's `secrets`.
    """
    possible: Statuses = SAYS_NOTHING
    unknown = None
    for field, word in said.items():
        if word is None:
            continue
        words = speaks[field]
        meant = words.get(word) or words.get(normalized(word))
        if meant is None:
            meant = words.get(ANY_OTHER_WORD, Status.PENDING)
            unknown = unknown if meant is SAYS_NOTHING else word
        if possible is SAYS_NOTHING:
            possible = meant  # nearly always the only word, or the meaning of all the others
        elif meant is not SAYS_NOTHING and meant is not possible:
            possible = _all(possible) & _all(meant)
    if isinstance(possible, Status):
        status = possible
    else:
        status = next(filter(possible.__contains__, _ORDER), Status.PENDING)
    if not possible:
        told = [(field, word) for field, word in said.items() if word is not None]
        _contradiction(
            provider, ", ".join(f"{field} {_shown(speaks[field], word)}" for field, word in told)
        )
    elif unknown is not None and status is Status.PENDING:
        # Only a word or a code is shown: the provider may have put a token in its place.
        _unknown(
            provider,
            hide(unknown, secrets()) if _WORD.fullmatch(unknown) else "of other than letters",
        )
    return status


def why(speaks: Mapping[str, StatusWords], said: Mapping[str, str | None]) -> Reason:
    """Return the reason that the last word with a reason names; if there is none, OTHER."""
    reason = Reason.OTHER
    for field, word in said.items():
        words = speaks[field]
        if word is not None and isinstance(words, Vocabulary):
            reason = words.reasons.get(normalized(word), reason)
    return reason


def _all(states: Statuses) -> frozenset[Status]:
    return states if isinstance(states, frozenset) else frozenset({states})


def _shown(words: StatusWords, word: str) -> str:
    # Only words of the table: a sender must not write other text, or many lines, into a log.
    return normalized(word) if normalized(word) in words else "of another word"


# Cached: each is logged once, not at every poll. Bounded: senders may invent words.
@lru_cache(maxsize=256)
def _unknown(provider: str, word: str) -> None:
    log.warning("%s: unknown status %r is kept as pending", provider, word)


@lru_cache(maxsize=256)
def _contradiction(provider: str, said: str) -> None:
    log.warning("%s: an answer that contradicts itself is kept as pending: %s", provider, said)


@lru_cache(maxsize=256)
def log_unproved_success(provider: str, missing: str) -> None:
    """Log, once, that a success came without a field that every documented success has."""
    log.warning("%s: a success without %s proves nothing and is kept as pending", provider, missing)
