"""What a payment is for the caller, its networks, and what a secret callback path is for."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["collect", "payout", "refund"]
# Networks and wallets, in our words; each driver has the provider's.
Operator: TypeAlias = Literal[
    "orange", "mtn", "moov", "wave", "free", "expresso", "tmoney", "airtel", "mpesa", "celtiis",
    "djamo", "wizall", "paydunya",
]  # fmt: skip
# An order of a kind, the time-out of a queue in which a payout or a refund waited, or the
# confirmations and validations of C2B.
PathUse: TypeAlias = Literal[
    "collect",
    "payout",
    "refund",
    "payout_timeout",
    "refund_timeout",
    "confirmation",
    "validation",
]
# A payment that came by itself is a collect with this and its receipt as its reference: so are the
# claims of its message, and its row of a history. No order's reference begins so.
ADOPTED = "c2b."
# The paths of an order, each with the order's kind.
ORDER_PATHS: Mapping[str | None, Kind] = {
    "collect": "collect",
    "payout": "payout",
    "payout_timeout": "payout",
    "refund": "refund",
    "refund_timeout": "refund",
}
