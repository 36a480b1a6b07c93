"""What keeps a stored journal in order, beside the verbs of money."""

import secrets
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from ...values import arguments
from ..database import Database, Worker
from ..tables.forget_payer import Forgotten, forget_payer
from ..tables.health import (
    EngineName,
    Inspection,
    JournalHealth,
    count_overdue,
    look,
    rehearse_delete,
    rehearse_write,
    touch,
)
from .writer import Writer


class StoredOperations:
    """The operations of a stored journal that its operator asks for."""

    engine: ClassVar[EngineName]

    _writer: Writer[Any]
    _worker: Worker

    async def health(self) -> JournalHealth:
        """Return what waits in the journal, and how its engine is set up; OSError: not now."""
        return await self._writer.read(partial(look, self._worker, self._inspect))

    async def touch(self) -> None:
        """Write the smallest row, and return when it is durable; OSError: not now."""
        await self._writer.do(touch)

    async def rehearse(self) -> None:
        """Write a row and delete it, each until it is durable; OSError: not now."""
        name = f"rehearsal {secrets.token_hex(8)}"
        await self._writer.do(partial(rehearse_write, name))
        await self._writer.do(partial(rehearse_delete, name))

    async def overdue(self, before: datetime) -> int:
        """Return how many open orders began before a time; OSError: not now."""
        return await self._writer.read(partial(count_overdue, arguments.moment("before", before)))

    def _inspect(self, db: Database) -> Inspection:
        """Return what the engine says of itself; in the journal's thread."""
        raise NotImplementedError

    async def forget_payer(self, number: str) -> Forgotten:
        """Remove a payer's number, in every form, and what else names the payer, from all rows.

        References and money stay. Each order under one of these references is DuplicateReference
        from now on, and so is each order under a reference of which `keep_days` left nothing else.
        Workers go on meanwhile. What they hold in memory, backups and replicas are not changed.

        UsageError: an order of this payer, a message about one, or its delivery is not at its end:
        nothing is changed, because by the number a late payment finds its order.
        """
        forgotten = await forget_payer(number, self._writer.read, self._writer.do)
        await self._compact()
        return forgotten

    async def _compact(self) -> None:
        """Let nothing that was deleted stay readable in the engine's files."""
