"""What the fields of one answer say together of a payment's state: a contradiction proves nothing."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from .models import Status, log
from .redact import hide

# What a word means: one state, or all the states that it leaves possible.
States: TypeAlias = Status | frozenset[Status]
Words: TypeAlias = Mapping[str, States]

OTHER = "*"  # in a table of words: every word that is not listed; without it, such a word is pending
NOTHING = frozenset(Status)  # of a word that says nothing of the state
UNPAID = NOTHING - {Status.SUCCEEDED, Status.REFUNDED}  # of a word of trouble, which no paid order has
_WORD = re.compile(r"[A-Za-z0-9.]{1,12}|[A-Za-z][A-Za-z ,'_-]{0,59}")
_ORDER = tuple(Status)  # slow to list in an Enum


def plain(word: str) -> str:
    """Give a word without what changes nothing: case, white space around it, a full stop."""
    return word.strip().rstrip(".").rstrip().upper()


def agreed(
    provider: str,
    speaks: Mapping[str, Words],
    said: Mapping[str, str | None],
    secrets: Callable[[], tuple[str, ...]] = tuple,
) -> Status:
    """Give the one state that all the fields of an answer leave possible, else PENDING.

    `speaks` is the table of the fields that speak of the state, `said` what stood in them. Of several
    possible states the first of `Status` is meant. A contradiction and an unknown word are logged once,
    and none of the account's `secrets` with it.
    """
    possible: States = NOTHING
    unknown = None
    for field, word in said.items():
        if word is None:
            continue
        words = speaks[field]
        meant = words.get(word) or words.get(plain(word))
        if meant is None:
            meant = words.get(OTHER, Status.PENDING)
            unknown = unknown if meant is NOTHING else word
        if possible is NOTHING:
            possible = meant  # nearly always the only word, or that of all the others
        elif meant is not NOTHING and meant is not possible:
            possible = _all(possible) & _all(meant)
    status = possible if isinstance(possible, Status) else _first(possible)
    if not possible:
        told = [(field, word) for field, word in said.items() if word is not None]
        _contradiction(provider, ", ".join(f"{field} {_shown(speaks[field], word)}" for field, word in told))
    elif unknown is not None and status is Status.PENDING:
        # A word or a code is shown: what a provider put in its place may be anybody's token.
        _unknown(provider, hide(unknown, secrets()) if _WORD.fullmatch(unknown) else "of other than letters")
    return status


def _all(states: States) -> frozenset[Status]:
    return states if isinstance(states, frozenset) else frozenset({states})


def _first(states: frozenset[Status]) -> Status:
    return next((one for one in _ORDER if one in states), Status.PENDING)


def _shown(words: Words, word: str) -> str:
    # Words of the table alone: no sender writes lines of his own, nor ever new ones, into a log.
    return plain(word) if plain(word) in words else "of another word"


# Cached, so that each is logged once and not at every poll; bounded, for anybody sends words.
@lru_cache(maxsize=256)
def _unknown(provider: str, word: str) -> None:
    log.warning("%s: unknown status %r is kept as pending", provider, word)


@lru_cache(maxsize=256)
def _contradiction(provider: str, said: str) -> None:
    log.warning("%s: an answer that contradicts itself is kept as pending: %s", provider, said)


@lru_cache(maxsize=256)
def unproved(provider: str, missing: str) -> None:
    """Log, once, that a success came without what each documented one has."""
    log.warning("%s: a success without %s proves nothing and is kept as pending", provider, missing)
