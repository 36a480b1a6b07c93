"""The record of payments: its interface, the journals in a file or a database, and a pool's memory.

What a journal promises is here. In `stored` a journal keeps it by the operations of `tables`, on an
engine: `sqlite` or `postgres`. `memory` is what a pool without a journal has. Each name loads
its module at its first use: a pool without a journal needs few of them.

With `journal="payments.db"` every payment is on the disk before its first byte is sent. After a
crash, a cancelled task or a restart, `recover` finds out how each one ended, and sends nothing
again, but a refund that its provider knows by its path and has not answered. `once` is a lock: one
caller does the work for a payment, with any number of workers and webhooks.

`paymux/examples/crash.py` is a program that charges once and delivers once, wherever it is killed.

The rule "one reference is one charge" then holds over restarts and processes, and `confirm(event)`
needs no `expected`. `paymux journal list | show | export` reads the file, as does any SQLite
client. Orders that were refused or never sent are no payments, and not listed.

- A person ends a payment that no API ends (an unknown without a look-up, M-Pesa's 1025): `await
  pay.resolve(payment, Status.FAILED, because="not on the statement", by="Amina")`. If possible, the
  provider is asked once more; the end is delivered to `on_payment` like any other, and the
  reference stays used.
- `SqliteJournal(path, keep_days=90)`, or `PostgresJournal(url, keep_days=90)`, deletes payments
  that ended long ago and were delivered, but never their references.
- A payer who wants to be forgotten: `paymux journal forget-payer "+237 6…" payments.db`. Workers
  may go on.
- `await pay.health()` tells a health page what waits, what is late and what is wrong; `state` is
  "down" if the journal cannot be written or read, and nothing is raised.
- A row that cannot be read is named in an ERROR record and left out (the commands then exit with
  1); its order is not sent again.
- A path that can be no journal (a missing folder, another program's database) is `UsageError` at
  `async with`. If the file is moved, deleted or replaced during use, an order is `NotSent`.

One file serves one machine, with any number of processes. Workers on several machines share a
PostgreSQL database (13 or later): `pip install 'paymux[postgres]'`,
`journal="postgresql://user:password@host/database?schema=paymux"`, and nothing else changes. Each
process has two connections. Shared is what must be: payments, messages, turns, each account's
access token (sealed under a key made from `webhook_key`), and the provider's limits.

The database exists before; the first pool that opens the journal makes its schema (`paymux` if the
URL names none). Two schemas are two journals, and a reference of one is free in the other: so all
workers need the same URL. Special characters in the password are percent-encoded (`@` is `%40`).

`paymux journal copy payments.db postgresql://…` moves a journal with its open orders (`pip install
'paymux[cli,postgres]'`): stop all workers, copy, and start them with the URL. Then the file opens
no more, and its error names the new journal. The other commands take a URL as they take a file.
With a password in it, put it into `PAYMUX_JOURNAL` and leave it out of the command, which other
users of the machine can see: `paymux journal show order-1043`.

- **Guaranteed**: one order is sent once, whichever worker is asked; each end is told at least once,
  and to no two workers at the same moment; `once` has one body at a time, also through cuts,
  restarts and paused processes; no window of a stated limit holds more than the provider allows; a
  confirmed message wakes `watch` in every worker.
- **While the database is away**: no order is begun (`NotSent`: repeat it later), messages get 503,
  `once` is `Unavailable`, what is on the wire ends and is written later. Workers go on by
  themselves when it is back, also one that started without it: its pool opens, and a WARNING says
  so. So a wrong host or port looks like this, too: `health()` is "down". A worker that cannot show
  for 20 s that it lives stops its `once` bodies and takes nothing.
- **Not guaranteed**: an effect outside the database whose record was cut off for good is repeated
  by the next worker, later, never at once; `await turn.done(connection)` makes both one transaction
  where the effect is in that database (`paymux/examples/warehouse.py`); with a connection to
  another database it is `UsageError`, and the turn is free again.
- **Refused at the start**, by `UsageError`: a wrong user, password, database or parameter of the
  URL, a pooler in transaction mode, a standby, `fsync` or `full_page_writes` off. Replicas without
  `synchronous_standby_names` are a warning: a failover may lose the last payments.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = [
    "KINDS",
    "MAX_EVENT_BYTES",
    "MAX_ORDERS",
    "Arrival",
    "Asked",
    "CandidateOrders",
    "Credentials",
    "Ended",
    "Entry",
    "Forgotten",
    "Heard",
    "Heartbeat",
    "Journal",
    "JournalHealth",
    "KeptEvent",
    "LocalOutbox",
    "LocalQuestions",
    "NotifiedStatus",
    "NotifierInfo",
    "OpenMessage",
    "OpenOrder",
    "OrderKey",
    "OrderOwner",
    "Outbox",
    "Refunded",
    "Resolution",
    "Row",
    "SharedToken",
    "SharedTokens",
    "Standing",
    "State",
    "Store",
    "Subject",
    "Subscription",
    "Sweep",
    "Turn",
    "Wakeups",
    "Writer",
    "adopted_reference",
    "check_resolvable",
    "copy_journal",
    "credentials_of",
    "duplicate_reference",
    "encoded_event",
    "is_earlier",
    "journal_at",
    "order_key",
    "repeat_event",
    "subjects_of",
    "undo_copy",
]

if TYPE_CHECKING:
    from .adoptions import Sweep, adopted_reference
    from .base import (
        KINDS,
        Arrival,
        Ended,
        OrderKey,
        OrderOwner,
        Resolution,
        Row,
        State,
        duplicate_reference,
        order_key,
    )
    from .copying import copy_journal, undo_copy
    from .credentials import Credentials, Standing, credentials_of
    from .first_refunds import Refunded
    from .interface import Journal
    from .memory.orders import MAX_ORDERS
    from .memory.outbox import LocalOutbox
    from .memory.questions import LocalQuestions
    from .once import Turn
    from .outbox import Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder, Outbox
    from .place import is_earlier, journal_at
    from .questions import Asked, Heard
    from .resolutions import check_resolvable
    from .shared_tokens import SharedToken, SharedTokens
    from .store import Store
    from .stored.writer import Writer
    from .stored_events import OpenMessage, repeat_event
    from .tables.forget_payer import Forgotten
    from .tables.health import JournalHealth
    from .unconfirmed import MAX_EVENT_BYTES, CandidateOrders, Entry, KeptEvent, encoded_event
    from .wakeups import Subject, Subscription, Wakeups, subjects_of
else:
    __getattr__ = loader(
        __name__,
        {
            "adoptions": ("Sweep", "adopted_reference"),
            "base": (
                "KINDS",
                "Arrival",
                "Ended",
                "OrderKey",
                "OrderOwner",
                "Resolution",
                "Row",
                "State",
                "duplicate_reference",
                "order_key",
            ),
            "copying": ("copy_journal", "undo_copy"),
            "credentials": ("Credentials", "Standing", "credentials_of"),
            "first_refunds": ("Refunded",),
            "interface": ("Journal",),
            "memory.orders": ("MAX_ORDERS",),
            "memory.outbox": ("LocalOutbox",),
            "memory.questions": ("LocalQuestions",),
            "once": ("Turn",),
            "outbox": (
                "Heartbeat",
                "NotifiedStatus",
                "NotifierInfo",
                "OpenOrder",
                "Outbox",
            ),
            "place": ("is_earlier", "journal_at"),
            "questions": ("Asked", "Heard"),
            "resolutions": ("check_resolvable",),
            "shared_tokens": ("SharedToken", "SharedTokens"),
            "store": ("Store",),
            "stored.writer": ("Writer",),
            "stored_events": ("OpenMessage", "repeat_event"),
            "tables.forget_payer": ("Forgotten",),
            "tables.health": ("JournalHealth",),
            "unconfirmed": (
                "MAX_EVENT_BYTES",
                "CandidateOrders",
                "Entry",
                "KeptEvent",
                "encoded_event",
            ),
            "wakeups": ("Subject", "Subscription", "Wakeups", "subjects_of"),
        },
    )
