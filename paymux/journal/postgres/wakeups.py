"""News between the workers of a journal in PostgreSQL, by NOTIFY."""

import hashlib
import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakSet

from ...models import Payment
from ...primitives.forks import ForkAware, register
from ..wakeups import Subject, Subscription, subjects_of
from .life import LifeListener

if TYPE_CHECKING:
    from ..database import Database

# A payload has less than 8000 bytes: https://www.postgresql.org/docs/current/sql-notify.html
MAX_PAYLOAD = 7999
NAME_BYTES = 12  # of a payment; a name that two had would only make both rows be read
SENDER_BYTES = 8
NAMES_PER_PAYLOAD = (MAX_PAYLOAD // 4 * 3 - SENDER_BYTES) // NAME_BYTES
MAX_WAITING = 20_000  # the newest names that wait for the server; watches of the others poll

CHANNEL = "paymux_news"

_MADE = "INSERT INTO notes VALUES ('wakeups', ?) ON CONFLICT (name) DO NOTHING"
_KEY = "SELECT value FROM notes WHERE name = 'wakeups'"
_SEND = "SELECT pg_notify(?, value) FROM json_each(?)"


class PostgresWakeups(ForkAware, LifeListener):
    """Tells the other workers of a journal which payments there is news of, and hears them.

    A payload names payments by a keyed hash, because any role of the database may listen; the key
    is in the journal. It is never believed: who hears a name reads the row. Announcements are sent
    together, in a statement of their own after the commit: within it, they would let one commit of
    the server wait for the other (https://github.com/LFDT-Panurus/panurus/issues/1934).
    """

    def __init__(self, stir: Callable[[], None]) -> None:
        # Lets the journal's thread call `send` soon, and `sent` after that; OSError: it never will.
        self._stir = stir
        self._key: bytes | None = None
        self._begin()
        register(self)

    def _begin(self) -> None:
        self._sender = os.urandom(SENDER_BYTES)
        self._lock = threading.Lock()  # several threads use what follows
        self._waiting: dict[Subject, None] = {}
        self._sending: dict[Subject, None] = {}  # until it is known that they were sent
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    def after_fork_in_child(self) -> None:
        """Become another sender, and leave what waits and who listens to the parent."""
        self._begin()

    # In the loop of a pool.

    def announce(self, payment: Payment) -> None:
        """Tell the other workers that there is news of a payment, without waiting."""
        with self._lock:
            idle = not self._waiting
            self._waiting |= dict.fromkeys(subjects_of(payment))
        if idle:
            try:
                self._stir()
            except OSError:  # the journal is closed
                self.drop()

    def subscribe(self, wake: Callable[[], None]) -> Subscription:
        """Hear of news from now on, for as long as the subscription is held."""
        subscription = Subscription(wake)
        with self._lock:
            self._subscriptions.add(subscription)
        if self._key is not None:
            subscription.begin(self._name)
        return subscription

    # In the journal's thread.

    def learn(self, db: "Database") -> None:
        """Read the key of this journal's names, or make it."""
        db.execute(_MADE, (os.urandom(32).hex(),))
        self._key = bytes.fromhex(db.execute(_KEY).fetchone()[0])
        for subscription in self._all():
            subscription.begin(self._name)

    def send(self, db: "Database") -> None:
        """Send what was announced, unless `sent` was called since; it changes no table."""
        with self._lock:
            newest = list(self._sending | self._waiting)[-MAX_WAITING:]
            self._sending, self._waiting = dict.fromkeys(newest), {}
        if newest:
            db.execute(_SEND, (CHANNEL, json.dumps(list(self._payloads(newest))))).fetchall()

    def sent(self) -> None:
        """Note that what `send` sent will be heard: its transaction has ended."""
        with self._lock:
            self._sending = {}

    def drop(self) -> None:
        """Drop what was announced: the journal is closed."""
        with self._lock:
            self._sending, self._waiting = {}, {}

    # In the thread of the connection that listens.

    def on_notification(self, channel: str, payload: str) -> None:
        """Take what another worker sent, or another user of the database."""
        try:
            said = b64decode(payload, validate=True)
        except ValueError:
            return
        if channel != CHANNEL or said[:SENDER_BYTES] == self._sender:
            return
        places = range(SENDER_BYTES, len(said), NAME_BYTES)
        names = [said[place : place + NAME_BYTES] for place in places]
        for subscription in self._all():
            subscription.heard(names)

    def on_reconnected(self) -> None:
        """Have all watched rows read: what came before LISTEN was acknowledged was not heard."""
        for subscription in self._all():
            subscription.missed()

    def _all(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions)

    def _payloads(self, subjects: list[Subject]) -> Iterator[str]:
        for start in range(0, len(subjects), NAMES_PER_PAYLOAD):
            names = map(self._name, subjects[start : start + NAMES_PER_PAYLOAD])
            yield b64encode(self._sender + b"".join(names)).decode()

    def _name(self, subject: Subject) -> bytes:
        shelf, id = subject
        said = "\0".join((*shelf, id)).encode(errors="surrogatepass")
        return hashlib.blake2b(said, key=self._key or b"", digest_size=NAME_BYTES).digest()
