"""The users of M-Pesa's API: their credential, their roles, and the lock after wrong ones.

From the pages "Business To Customer" (2001, 21, 8006; "the password is locked", FAQ) and "Account
Balance" (18, 20) of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp. No page says how many wrong credentials lock a user.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias, get_args

import msgspec

Role: TypeAlias = Literal["b2c", "b2b", "tax", "status", "balance", "reversal"]
ROLES: frozenset[str] = frozenset(get_args(Role))


class Initiator(msgspec.Struct, kw_only=True):
    """One user: the ready SecurityCredential, and how often in a row a wrong one came."""

    credential: str
    roles: frozenset[str] = ROLES
    wrong: int = 0


class Initiators:
    """The users that exist; while a test has added none, every name and credential is good.

    (Only Safaricom can decrypt a SecurityCredential: here it is compared as text.)
    """

    def __init__(self) -> None:
        self.known: dict[str, Initiator] = {}
        self.lock_after = 3  # wrong credentials in a row
        # The B2C page has 2001 for both; the balance page has 18 and 20.
        self.wrong_code = "2001"
        self.unknown_code = "2001"

    def add(self, name: str, credential: str, *, roles: Iterable[str] = ROLES) -> Initiator:
        """Add a user, or give one a new credential, which also ends the lock."""
        found = Initiator(credential=credential, roles=frozenset(roles))
        self.known[name] = found
        return found

    def reset(self, name: str) -> None:
        """Unlock a user, as the Business Administrator does."""
        self.known[name].wrong = 0

    def locked(self, name: str) -> bool:
        """Return whether a user is locked."""
        return name in self.known and self.known[name].wrong >= self.lock_after

    def refusal(self, name: str, credential: str, role: Role) -> str | None:
        """Return the result code for this request of a user; None: it may go on."""
        if not self.known:
            return None
        user = self.known.get(name)
        if user is None:
            return self.unknown_code
        if self.locked(name):
            return "8006"
        if credential != user.credential:
            user.wrong += 1
            return self.wrong_code
        user.wrong = 0
        return None if role in user.roles else "21"
