"""What the sandbox's numbers do, by their last digits.

https://docs.pawapay.io/v2/docs/test_numbers, and, for the operators that it lists with numbers of
their own, github.com/joelpawapay/pawapay-builders-cits26 (skill/references/testing.md).
"""

from collections.abc import Mapping

from ...models import Reason, Status
from ..base import magic
from ..ledger import Outcome

STUCK = "SUBMITTED"  # the word of the page for a number that never ends, in v2 as well
# The failure codes of deposits and payouts, by the endings of numbers. Burkina Faso's have an 8.
_FAILED: Mapping[str, str] = {
    "019": "PAYER_LIMIT_REACHED",
    "029": "PAYER_NOT_FOUND",
    "039": "PAYMENT_NOT_APPROVED",
    "049": "INSUFFICIENT_BALANCE",
    "048": "INSUFFICIENT_BALANCE",
    "069": "UNSPECIFIED_FAILURE",
    "068": "UNSPECIFIED_FAILURE",
    "089": "RECIPIENT_NOT_FOUND",
    "099": "WALLET_LIMIT_REACHED",
    "109": "RECIPIENT_LIMIT_REACHED",
    "119": "UNSPECIFIED_FAILURE",
    "118": "UNSPECIFIED_FAILURE",
}
_STUCK = ("129", "138")
# The numbers that succeed, one for each operator: the page's own.
_PAYERS = (
    "22951345789 22995345789 22602345678 22607345678 237653456789 237693456789 2250503456789 "
    "2250734567890 243813456789 243973456789 243893456789 251700000000 24174345678 233593456789 "
    "233273456789 233503456789 254703456789 266100000000 265993456789 265883456789 258100000000 "
    "2349034567899 2348134567899 242053456789 242063456789 250733456789 250783456789 221763456789 "
    "221773456789 23276123456 255683456789 255763456789 255713456789 255623456789 256753456789 "
    "256783456789 260973456789 260763456789 260953456700"
)
PAYERS = _PAYERS.split()
# Codes of failures, and why they happen.
WHY: Mapping[str, Reason] = {
    "PAYER_LIMIT_REACHED": Reason.LIMIT,
    "PAYER_NOT_FOUND": Reason.UNKNOWN_PAYER,
    "PAYMENT_NOT_APPROVED": Reason.DECLINED,
    "INSUFFICIENT_BALANCE": Reason.INSUFFICIENT_FUNDS,
    "PAYMENT_IN_PROGRESS": Reason.BUSY,
    "RECIPIENT_NOT_FOUND": Reason.UNKNOWN_PAYEE,
    "WALLET_LIMIT_REACHED": Reason.LIMIT,
    "RECIPIENT_LIMIT_REACHED": Reason.LIMIT,
    "UNSPECIFIED_FAILURE": Reason.OTHER,
}


def _outcomes() -> dict[str, Outcome]:
    found = dict.fromkeys(PAYERS, Outcome(Status.SUCCEEDED))
    for number in PAYERS:
        for ending, code in _FAILED.items():
            found.setdefault(number[:-3] + ending, Outcome(Status.FAILED, WHY[code]))
        for ending in _STUCK:
            found.setdefault(number[:-3] + ending, Outcome(Status.PENDING))
    return found | magic("25078345678", success="9")  # ours: what else a payer can do


NUMBERS = _outcomes()


def code_of(number: str | None) -> str | None:
    """Return the failure code that the page lists for a number, or the word of a stuck one."""
    ending = (number or "")[-3:]
    return STUCK if ending in _STUCK else _FAILED.get(ending)
