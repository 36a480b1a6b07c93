"""Ids that a provider wants as UUIDs, derived from an order: a lost journal finds each one again.

A driver that needs them has the field `id_key: Secret | str = ""`. It is a name space, and no
credential: `order-1` of two merchants would be one payment without it. Changed, it would make two
payments of one order: so it stays when a credential rotates, and when an account is renamed.
"""

import hmac
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..models import Kind

MIN_CHARS = 16  # of an `id_key`
_DIGITS = 16  # of a fingerprint: two keys never share one by chance


def derived_uuid(id_key: str, kind: "Kind", reference: str) -> str:
    """Return the id of an order at its provider, in the form of a random UUID (version 4).

    The same arguments give the same id in every release: tests/drivers/test_ids.py has examples.
    """
    digest = hmac.digest(id_key.encode(), f"{kind}\n{reference}".encode(), sha256)
    return str(uuid.UUID(bytes=digest[:16], version=4))


def fingerprint(id_key: str) -> str:
    """Return what tells one `id_key` from another, and is never sent."""
    return hmac.digest(id_key.encode(), b"paymux: fingerprint, 1", sha256).hex()[:_DIGITS]


def refusal(id_key: str, *, live: bool) -> UsageError | None:
    """Return why this can be no account's `id_key`, or None."""
    accepted = (
        f"a text of at least {MIN_CHARS} characters, another one for each account and never "
        "changed: the ids of all its orders are derived from it"
    )
    if not id_key:
        return UsageError.missing("id_key", f"accepted: {accepted}") if live else None
    return UsageError.hidden("id_key", accepted) if len(id_key) < MIN_CHARS else None
