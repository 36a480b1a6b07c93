"""Our ids at CinetPay: each order has one, `merchant_transaction_id`, made of its reference.

It has at most 30 characters (PyPI cinetpay-python 0.1.0, validation.py), and one report says that
small letters and underscores are refused. No page says whether payments and transfers share them,
so those of a payout are never those of a collect, and a message shows which of the two it is about.
"""

import re
from base64 import b32encode
from hashlib import sha256

from ...models import Kind

# Prefixes: of a payout's reference as it is, and of the digests of references that do not fit.
_PAYOUT, _COLLECT_DIGEST, _PAYOUT_DIGEST = "PP", "PX", "PQ"
_OF_COLLECT = re.compile("(?!PP|PX|PQ)[A-Z0-9]{1,30}")
_OF_PAYOUT = re.compile("[A-Z0-9]{1,28}")
_DIGEST = 26  # letters: 130 bits


def own_id(kind: Kind, reference: str) -> str:
    """Return the id of an order: the same for a reference, so that its payment is found by it."""
    if kind == "payout":
        plain, fits, prefix = f"{_PAYOUT}{reference}", _OF_PAYOUT, _PAYOUT_DIGEST
    else:
        plain, fits, prefix = reference, _OF_COLLECT, _COLLECT_DIGEST
    if fits.fullmatch(reference):
        return plain
    return f"{prefix}{b32encode(sha256(reference.encode()).digest()).decode()[:_DIGEST]}"


def kind_of(id: str) -> Kind:
    """Return whether an id is that of a payout or of a collect."""
    return "payout" if id.startswith((_PAYOUT, _PAYOUT_DIGEST)) else "collect"


def reference_of(id: str) -> str | None:
    """Return the reference of which an id is made; None: it is a digest, or not one of ours."""
    if kind_of(id) == "payout":
        reference = id.removeprefix(_PAYOUT)
        return reference if reference != id and _OF_PAYOUT.fullmatch(reference) else None
    return id if _OF_COLLECT.fullmatch(id) else None
