"""Which refund of a payment came first, where the provider makes only one of each payment."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from .database import Database

    Do: TypeAlias = Callable[[Callable[[Database], Any]], Awaitable[Any]]

MAX_REFUNDS = 100_000  # that a pool without a journal remembers, the newest
_KEEP = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
_REPLACE = "UPDATE notes SET value = ? WHERE name = ? AND value = ?"
_FIND = "SELECT value FROM notes WHERE name = ?"


class Refunded(NamedTuple):
    """What a refund gives back."""

    account: str
    live: bool
    named: str  # the provider's id of the payment


class FirstRefunds(Protocol):
    """The references of the first refunds; what cannot be read or stored is an OSError."""

    async def take(self, refunded: Refunded, reference: str, instead_of: str = "") -> str:
        """Note a refund if its payment has none, or that one's refund; return the one noted."""
        ...


class StoredFirstRefunds:
    """As notes, which every release since 0.2 has, on both engines.

    `do` runs an operation in the journal's thread until it is durable.
    """

    def __init__(self, do: "Do") -> None:
        self._do = do

    async def take(self, refunded: Refunded, reference: str, instead_of: str = "") -> str:
        """Note a refund if its payment has none, or that one's refund; return the one noted."""
        account, live, named = refunded
        name = f"refund {'live' if live else 'sandbox'} {account} {named}"
        noted: str = await self._do(partial(_take, name, reference, instead_of))
        return noted


class LocalFirstRefunds:
    """In a pool without a journal, until the process ends."""

    def __init__(self) -> None:
        self._noted: OrderedDict[Refunded, str] = OrderedDict()

    async def take(self, refunded: Refunded, reference: str, instead_of: str = "") -> str:
        """Note a refund if its payment has none, or that one's refund; return the one noted."""
        if self._noted.get(refunded, instead_of) == instead_of:
            self._noted[refunded] = reference
        if len(self._noted) > MAX_REFUNDS:
            self._noted.popitem(last=False)
        return self._noted[refunded]


def _take(name: str, reference: str, instead_of: str, db: "Database") -> str:
    db.execute(_KEEP, (name, reference))
    if instead_of:
        db.execute(_REPLACE, (reference, name, instead_of))
    return str(db.execute(_FIND, (name,)).fetchone()[0])
