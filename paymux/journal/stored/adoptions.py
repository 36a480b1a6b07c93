"""The adopted payments in the journal."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import msgspec

from ...models import Event, Payment
from ...primitives.clock import wall_time
from ..adoptions import Sweep, adopted_reference
from ..base import order_key
from ..database import Database, Worker
from ..ids import new_id
from ..tables.candidate_orders import candidate_orders, paid_orders, unpaid_orders
from ..tables.columns import PUT_NOTE, amount_text, iso
from ..tables.notifiers import Notifiers
from ..tables.rows import text_of
from ..unconfirmed import BEFORE, TOO_MANY, CandidateOrders, Entry, KeptEvent, encoded_event
from .unconfirmed import Do, keep

T = TypeVar("T")

PERIOD = timedelta(minutes=10)  # between the sweeps of an account
OVERLAP = timedelta(hours=1)  # a payment may be listed so late
# Safaricom lists the last 48 hours: developer.safaricom.co.ke/apis/PullTransactions
OLDEST = timedelta(hours=48)
# Between the two zones in which the times of a list may be, UTC and that of East Africa.
ZONES = timedelta(hours=3)

_FIRST = "INSERT INTO notes VALUES (?, ?) ON CONFLICT DO NOTHING"
_READ = "SELECT value FROM notes WHERE name = ?"
_ROW = """INSERT INTO payments (account, kind, reference, state, status, provider_reference, amount,
    currency, party, digest, payment, created_at, updated_at)
    VALUES (?, ?, ?, 'accepted', ?, ?, ?, ?, ?, 'adopted', ?, ?, ?)"""
_FACT = """INSERT INTO facts (account, kind, reference, at, source, state, status, payment, uid)
    VALUES (?, ?, ?, ?, 'found', 'accepted', ?, ?, ?)"""
_OPEN = "SELECT 1 FROM unconfirmed WHERE id = ? AND ended IS NULL"
# What was only dropped was never dealt with.
_ENDED = """SELECT 1 FROM unconfirmed WHERE account = ? AND receipt = ? AND ended IS NOT NULL
    AND because NOT IN (?, ?)"""
_KNOWN = "SELECT 1 FROM unconfirmed WHERE account = ? AND receipt = ?"
_ASIDE = """INSERT INTO unconfirmed (account, event, receipt, at, ended, because)
    VALUES (?, ?, ?, ?, ?, ?)"""
# What was reported before this journal adopted for the account is a person's.
_OLDER = "SELECT 1 FROM unconfirmed WHERE account = ? AND receipt = ? AND at < ?"
_END = """UPDATE unconfirmed SET ended = ?, because = ?, teller = NULL
    WHERE account = ? AND receipt = ? AND ended IS NULL"""
_MATCH = "UPDATE unconfirmed SET reference = ? WHERE id = ?"
_FORGOTTEN = "SELECT 1 FROM forgotten WHERE account = ? AND kind = 'collect' AND reference = ?"


class _Swept(msgspec.Struct):
    """How far an account was compared, and the worker that compares it now."""

    until: datetime | None = None
    worker: str = ""
    # Whether the list was read when the journal first adopted: what it has since then is newer.
    from_first: bool = False


class StoredAdoptions:
    """The adopted payments of a journal, shared by all its workers."""

    def __init__(
        self,
        do: Do[object],
        worker: Worker,
        notifiers: Notifiers,
        keep: timedelta | None,
    ) -> None:
        self._do = do
        self._worker = worker
        self._notifiers = notifiers
        # What is older may have been deleted.
        self._oldest = OLDEST if keep is None else min(OLDEST, keep)

    async def begin(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Return for each account the moment at which this journal first adopted for it."""
        return await _run(self._do, partial(_begin, accounts))

    async def adopt(
        self,
        entry: Entry,
        event: Event,
        payment: Payment,
        is_not_ours: Callable[[CandidateOrders], bool],
        fits: Callable[[Payment], bool],
    ) -> bool:
        """Record a proved payment, and end the entries of its receipt."""
        return await _run(self._do, partial(_adopt, entry, event, payment, is_not_ours, fits))

    async def end_dealt_with(self, entry: Entry, receipt: str) -> bool:
        """End an entry whose receipt was dealt with."""
        return await _run(self._do, partial(_end_dealt_with, (entry.event.account, receipt)))

    async def keep_listed(self, events: Sequence[Event]) -> list[KeptEvent]:
        """Keep those payments of a list that are in no row and were never dealt with."""
        return await _run(
            self._do, lambda db: [keep(one, db) for one in events if _is_news(one, db)]
        )

    async def put_aside(self, events: Sequence[Event]) -> None:
        """Note listed payments that are older than the first adoption."""
        await _run(self._do, partial(_put_aside, events))

    async def take_sweep(self, account: str, *, at_start: bool) -> Sweep | None:
        """Take the turn to compare an account."""
        return await _run(self._do, partial(self._take, account, at_start=at_start))

    async def end_sweep(self, account: str, until: datetime | None) -> None:
        """Release the turn."""
        await _run(self._do, partial(self._end, account, until))

    def _take(self, account: str, db: Database, *, at_start: bool) -> Sweep | None:
        now, (first, swept) = wall_time(), (_first(account, db), _swept(account, db))
        other = swept.worker not in ("", self._worker.name)
        if other and self._notifiers.entered(swept.worker, db):
            return None
        # Before the last sweep: the clock was set back, and nothing is known of this time.
        last = swept.until
        if last is not None and not at_start and timedelta(0) <= now - last < PERIOD:
            return None
        _put(account, _Swept(last, self._worker.name, swept.from_first), db)
        if last is None and timedelta(0) <= now - first < PERIOD:
            return Sweep(first - ZONES - OVERLAP, now, first, "before")
        since = first if last is None else max(first, min(last, now) - OVERLAP)
        since = min(max(since, now - self._oldest), now)
        sure = swept.from_first or since >= first + ZONES
        return Sweep(since, now, first, "since" if sure else "unknown")

    def _end(self, account: str, until: datetime | None, db: Database) -> None:
        swept = _swept(account, db)
        if swept.worker == self._worker.name:
            early = until is not None and until - _first(account, db) < PERIOD
            _put(account, _Swept(until or swept.until, "", early or swept.from_first), db)


async def _run(do: Do[object], operation: Callable[[Database], T]) -> T:
    found: T = await do(operation)  # type: ignore[assignment]  # `do` returns what it was given
    return found


def _begin(accounts: Collection[str], db: Database) -> dict[str, str]:
    now = iso(wall_time())
    for account in accounts:
        db.execute(_FIRST, (f"adopts {account}", now))
    return {account: iso(_first(account, db)) for account in accounts}


def _first(account: str, db: Database) -> datetime:
    found = db.execute(_READ, (f"adopts {account}",)).fetchone()
    return wall_time() if found is None else datetime.fromisoformat(found[0])


def _swept(account: str, db: Database) -> _Swept:
    found = db.execute(_READ, (f"swept {account}",)).fetchone()
    return _Swept() if found is None else msgspec.json.decode(found[0], type=_Swept)


def _put(account: str, swept: _Swept, db: Database) -> None:
    db.execute(PUT_NOTE, (f"swept {account}", msgspec.json.encode(swept).decode()))


def _adopt(
    entry: Entry,
    event: Event,
    payment: Payment,
    is_not_ours: Callable[[CandidateOrders], bool],
    fits: Callable[[Payment], bool],
    db: Database,
) -> bool:
    if db.execute(_OPEN, (entry.id,)).fetchone() is None:
        return False
    key, at = order_key(payment), iso(wall_time())
    receipt = (payment.account, payment.receipt or "")
    if _end_dealt_with(receipt, db):
        return False
    if not is_not_ours(candidate_orders(event, db)):
        return False
    text, money = text_of(payment), (amount_text(payment), payment.currency, payment.payer)
    row = (*key, payment.status, payment.provider_reference, *money, text, at, at)
    db.execute(_ROW, row)
    db.execute(_FACT, (*key, at, payment.status, text, new_id()))
    db.execute(_END, (at, f"it was adopted as {payment.reference}", *receipt))
    for order in unpaid_orders(event, db):
        if fits(order):
            db.execute(_MATCH, (order.reference, entry.id))
            break
    return True


def _is_news(event: Event, db: Database) -> bool:
    """Return whether a listed payment is in no row, and no message of it was dealt with."""
    account, receipt = event.account, event.claims.receipt or ""
    if _is_dealt_with((account, receipt), db):
        return False
    if db.execute(_OLDER, (account, receipt, iso(_first(account, db)))).fetchone() is not None:
        return False
    # A receipt that an unproved message claimed for an order is no row of it.
    paid = any(one.receipt == receipt for one in paid_orders(event, db))
    return not paid and not _is_forgotten((account, receipt), db)


def _put_aside(events: Sequence[Event], db: Database) -> None:
    at = iso(wall_time())
    for event in events:
        receipt = (event.account, event.claims.receipt)
        if _is_news(event, db) and db.execute(_KNOWN, receipt).fetchone() is None:
            row = (event.account, encoded_event(event), event.claims.receipt, at, at, BEFORE)
            db.execute(_ASIDE, row)


def _end_dealt_with(receipt: tuple[str, str], db: Database) -> bool:
    """End the entries of a receipt that was dealt with, or told; return whether it was."""
    # A message that comes now tells of it now, even if it was listed a moment earlier.
    if not (_is_dealt_with(receipt, db, BEFORE) or _is_forgotten(receipt, db)):
        return False
    db.execute(_END, (iso(wall_time()), "its receipt was dealt with before", *receipt))
    return True


def _is_dealt_with(receipt: tuple[str, str], db: Database, but: str = TOO_MANY) -> bool:
    """Return whether a message of a receipt was ended: by a person, or as an order's."""
    return db.execute(_ENDED, (*receipt, TOO_MANY, but)).fetchone() is not None


def _is_forgotten(receipt: tuple[str, str], db: Database) -> bool:
    """Return whether the payment was adopted and `keep_days` has deleted its row."""
    account, number = receipt
    return db.execute(_FORGOTTEN, (account, adopted_reference(number))).fetchone() is not None
