"""What keeps a stored journal in order, beside the verbs of money."""

from typing import Any

from .forget_payer import Forgotten, forget_payer
from .writer import Writer


class StoredOperations:
    """The operations of a stored journal that its operator asks for."""

    _writer: Writer[Any]

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
