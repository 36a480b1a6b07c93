"""The parts of a stored journal beside its payments: each has an interface of its own."""

import time
from datetime import timedelta
from typing import Any

from ..credentials import StoredCredentials
from ..database import Database, Worker
from ..first_refunds import StoredFirstRefunds
from ..id_keys import StoredIdKeys
from ..tables.notifiers import Notifiers
from .adoptions import StoredAdoptions
from .places import StoredPlaces
from .questions import StoredQuestions
from .tokens import StoredTokens
from .unconfirmed import StoredUnconfirmed
from .writer import Writer


class StoredParts:
    """What the workers of a stored journal share beside its payments."""

    _writer: Writer[Any]
    _worker: Worker
    _notifiers: Notifiers
    _keep: timedelta | None

    def _clock(self, db: Database) -> float:
        """In the thread: return the Unix seconds of the clock that all workers share."""
        return time.time()

    @property
    def unconfirmed(self) -> StoredUnconfirmed:
        """Return the store of messages that no look-up confirms."""
        return StoredUnconfirmed(self._writer.do, self._worker)

    @property
    def adoptions(self) -> StoredAdoptions:
        """Return the payments that came by themselves and were adopted."""
        return StoredAdoptions(self._writer.do, self._worker, self._notifiers, self._keep)

    @property
    def credentials(self) -> StoredCredentials:
        """Return where it is kept how good each credential is."""
        return StoredCredentials(self._writer.do, self._writer.keep)

    @property
    def first_refunds(self) -> StoredFirstRefunds:
        """Return which refund of a payment came first."""
        return StoredFirstRefunds(self._writer.do)

    @property
    def id_keys(self) -> StoredIdKeys:
        """Return the fingerprint of each account's `id_key`."""
        return StoredIdKeys(self._writer.do, self._writer.read)

    @property
    def places(self) -> StoredPlaces:
        """Return the places of stated limits, which all workers share."""
        return StoredPlaces(self._writer.do, self._worker)

    @property
    def questions(self) -> StoredQuestions:
        """Return the store of questions whose answers come as messages."""
        return StoredQuestions(self._writer, self._worker)

    @property
    def tokens(self) -> StoredTokens:
        """Return the access tokens that all workers share."""
        return StoredTokens(self._writer, self._worker, self._clock)
