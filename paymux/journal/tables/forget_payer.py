"""Forgetting a payer: the number leaves every row; references and money stay.

Each step reads some rows and changes those that name the payer, in one transaction; between two
steps other workers write.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ...errors import UsageError
from ..database import Database
from ..ids import new_id
from .columns import IS_OPEN, MUST_BE_TOLD
from .payer import FORGOTTEN, Payer
from .rows import EVENT, OF_ORDER, PAYMENT

ROWS_PER_STEP = 200
MAX_NAMED = 20  # orders that an error names

# What is not delivered yet is needed, too: `on_payment` may ask for the number.
_PAYMENTS = f"""SELECT account, kind, reference, {PAYMENT}, party, ({IS_OPEN}) OR {MUST_BE_TOLD}
    FROM payments WHERE (account, kind, reference) > (?, ?, ?)
    ORDER BY account, kind, reference LIMIT {ROWS_PER_STEP}"""
_FACTS = f"""SELECT id, {PAYMENT}, because, person, EXISTS (SELECT 1 FROM payments p
        WHERE p.account = facts.account AND p.kind = facts.kind AND p.reference = facts.reference
        AND p.status = 'pending' AND p.state NOT IN ('refused', 'not_sent'))
    FROM facts WHERE id > ? ORDER BY id LIMIT {ROWS_PER_STEP}"""
_HINTS = f"""SELECT id, account, {EVENT}, worker IS NOT NULL FROM hints WHERE id > ?
    ORDER BY id LIMIT {ROWS_PER_STEP}"""
_UNCONFIRMED = f"""SELECT id, account, {EVENT}, because, ended IS NULL FROM unconfirmed
    WHERE id > ? ORDER BY id LIMIT {ROWS_PER_STEP}"""
_QUESTIONS = f"""SELECT nonce, account, {PAYMENT}, early, answer, over FROM questions
    WHERE nonce > ? ORDER BY nonce LIMIT {ROWS_PER_STEP}"""


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows named a payer, and do no more."""

    payments: int
    facts: int
    messages: int  # of providers, also those that no look-up confirms
    left: tuple[str, ...] = ()  # what came meanwhile, and still names the payer


class Step(NamedTuple):
    """What one step found."""

    last: Any  # where the next step begins; None: there is none
    found: int = 0
    held: tuple[str, ...] = ()  # what still needs the number


Run: TypeAlias = Callable[[Callable[[Database], Step]], Awaitable[Step]]


async def forget_payer(number: object, read: Run, do: Run) -> Forgotten:
    """Remove a payer from a journal; UsageError: it is no number, or something needs it still."""
    payer = Payer(number)
    _, held = await _walk(payer, read, change=False)
    if held:
        more = f", and {len(held) - MAX_NAMED} more" if len(held) > MAX_NAMED else ""
        raise UsageError(
            f"number: nothing is changed, as these are not at their end: "
            f"{', '.join(held[:MAX_NAMED])}{more}; wait for it, or resolve them",
            name="number",
            accepted="a payer without an open order",
        )
    found, held = await _walk(payer, do, change=True)
    await do(_mark_deleted)
    return Forgotten(
        payments=found[0], facts=found[1], messages=found[2] + found[3] + found[4], left=held
    )


async def _walk(payer: Payer, run: Run, *, change: bool) -> tuple[list[int], tuple[str, ...]]:
    """Go through all rows, step by step."""
    counts: list[int] = []
    held: tuple[str, ...] = ()
    for step, first in _STEPS:
        last, count = first, 0
        while last is not None:
            done = await run(partial(step, payer, last, change))
            last, count, held = done.last, count + done.found, held + done.held
        counts.append(count)
    return counts, held


def _payments(payer: Payer, after: tuple[str, str, str], change: bool, db: Database) -> Step:
    rows, found, held = db.execute(_PAYMENTS, after).fetchall(), 0, list[str]()
    for account, kind, reference, text, party, needed in rows:
        other = payer.without(_text(text))
        if other is None:
            continue
        if needed:
            held.append(f"{account} {kind} {reference}")
            continue
        found += 1
        if change:
            given = (other, party and payer.masked(party), FORGOTTEN)
            db.execute(
                f"UPDATE payments SET payment = ?, party = ?, digest = ?, version = ? {OF_ORDER}",
                (*given, new_id(), account, kind, reference),
            )
    return Step(_after(rows, rows and rows[-1][:3]), found, tuple(held))


def _facts(payer: Payer, after: int, change: bool, db: Database) -> Step:
    rows, found = db.execute(_FACTS, (after,)).fetchall(), 0
    for id, text, because, person, open in rows:
        other = payer.without(_text(text))
        said = [word and payer.masked(word) for word in (because, person)]
        if open or (other is None and said == [because, person]):
            continue
        found += 1
        if change:
            db.execute(
                "UPDATE facts SET payment = ?, because = ?, person = ? WHERE id = ?",
                (other or _text(text), *said, id),
            )
    return Step(_after(rows, rows and rows[-1][0]), found)


def _hints(payer: Payer, after: int, change: bool, db: Database) -> Step:
    return _messages("hints", _HINTS, payer, after, change, db)


def _unconfirmed(payer: Payer, after: int, change: bool, db: Database) -> Step:
    return _messages("unconfirmed", _UNCONFIRMED, payer, after, change, db)


def _messages(table: str, sql: str, payer: Payer, after: int, change: bool, db: Database) -> Step:
    rows, found, held = db.execute(sql, (after,)).fetchall(), 0, list[str]()
    for id, account, text, *because, needed in rows:
        other = payer.without(_text(text))
        if other is None:
            continue
        if needed:
            held.append(f"a message of {account} ({table} {id})")
            continue
        found += 1
        if not change:
            continue
        same = f"SELECT 1 FROM {table} WHERE account = ? AND event = ?"
        if db.execute(same, (account, other)).fetchone() is not None:
            db.execute(f"DELETE FROM {table} WHERE id = ?", (id,))  # it was the same but for this
            continue
        # In parentheses: `event = ?` is how a message is found (postgres/dialect.py).
        db.execute(f"UPDATE {table} SET event = (?) WHERE id = ?", (other, id))
        for word in filter(None, because):
            db.execute(f"UPDATE {table} SET because = ? WHERE id = ?", (payer.masked(word), id))
    return Step(_after(rows, rows and rows[-1][0]), found, tuple(held))


def _questions(payer: Payer, after: str, change: bool, db: Database) -> Step:
    rows, found, held = db.execute(_QUESTIONS, (after,)).fetchall(), 0, list[str]()
    for nonce, account, *texts, over in rows:
        if all(text is None or payer.without(_text(text)) is None for text in texts):
            continue
        if not over:
            held.append(f"a question to {account}")
            continue
        found += 1
        if change:
            db.execute("DELETE FROM questions WHERE nonce = ?", (nonce,))
    return Step(_after(rows, rows and rows[-1][0]), found, tuple(held))


def _mark_deleted(db: Database) -> Step:
    """Mark what `keep_days` left of all payments: their digests cannot tell whose they are."""
    db.execute("UPDATE forgotten SET digest = ? WHERE digest <> ?", (FORGOTTEN, FORGOTTEN))
    return Step(None)


_STEPS: tuple[tuple[Callable[..., Step], Any], ...] = (
    (_payments, ("", "", "")),
    (_facts, 0),
    (_hints, 0),
    (_unconfirmed, 0),
    (_questions, ""),
)


def _after(rows: list[Any], last: Any) -> Any:
    return last if len(rows) == ROWS_PER_STEP else None


def _text(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
