"""What a result code of an initiator's operation, and a transaction's status, prove of the money.

The tables of "Result Codes" in https://developer.safaricom.co.ke/apis/BusinessToCustomer, /Reversal
and /AccountBalance, and the FAQ of /TransactionStatus, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b).

A shop that reads that a payout failed pays it again, so a failure needs a code that a page lists
and that proves that no money moved. Every other code, listed or not, leaves the payment PENDING.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...models import Kind, Reason, Status
from ...values.status_words import Meaning, StatusWords, Vocabulary, agreed_status, why
from .express import SENTENCES, sentence

if TYPE_CHECKING:
    from . import Mpesa

# About the initiator: credential (18), name (20), rights (21, 22), name or password (2001), product
# (2028), lock (8006). "Issued before the creation of a financial transaction" (AccountBalance).
INITIATOR: Mapping[str, str] = {
    "18": "the security_credential is wrong",
    "20": "the initiator_name is unknown",
    "21": "the API user lacks the role for this operation",
    "22": "the API user is not active",
    "2001": "initiator_name or security_credential is wrong, or the credential is of another "
    "environment",
    "2028": "the shortcode has no permission for this operation",
    "8006": "the API user's password is locked",
}
# Of these, those that say that name or password are wrong, or locked: a further request may lock
# the user, for all. The others are about one operation.
CREDENTIAL_REFUSED = frozenset({"18", "20", "2001", "8006"})
_FAILED: Meaning = (Status.FAILED, Reason.OTHER)
_BOTH: Mapping[str, Meaning] = {
    "0": Status.SUCCEEDED,
    # Our account lacks money: the utility account, though the working account may have some.
    "1": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    # Our account is not active.
    "11": _FAILED,
    "2006": _FAILED,
    **dict.fromkeys(INITIATOR, _FAILED),
    # Malformed: fields are missing or wrong, or the command is unknown.
    **dict.fromkeys(("24", "25", "29"), _FAILED),
    # "Duplicate Detected": this *request* repeats an id. The first one may have paid.
    "15": Status.PENDING,
    # Internal failure, message sequence, traffic blocked: nothing is said of the money.
    **dict.fromkeys(("17", "19", "26"), Status.PENDING),
    # "Request was cached, waiting for resending"; overload, throttling, internal error, a wrong
    # value, abnormal, no permission, too many: of the gateway, so of the money they prove nothing.
    **dict.fromkeys([f"1000000{end:02}" for end in (0, 1, 2, 4, 5, 7, 9, 10, 11)], Status.PENDING),
}
_PAYOUT: Mapping[str, Meaning] = {
    **_BOTH,
    # Below or above the limits of a payment, a day, a balance.
    **dict.fromkeys(("2", "3", "4", "8"), (Status.FAILED, Reason.LIMIT)),
    # The payee is not registered, or unknown.
    "2040": (Status.FAILED, Reason.UNKNOWN_PAYEE),
    "SFC_IC0003": (Status.FAILED, Reason.UNKNOWN_PAYEE),
}
ALREADY_REVERSED = "R000001"
_REFUND: Mapping[str, Meaning] = {
    **_BOTH,
    # We asked once, so another request reversed it: this refund gave nothing back.
    ALREADY_REVERSED: _FAILED,
    "R000002": _FAILED,  # the original receipt is invalid
}
PAYOUT, REFUND = Vocabulary(_PAYOUT), Vocabulary(_REFUND)
# "Final status (Cancelled, Declined, Completed or Expired)": /TransactionStatus, FAQ 3.
TRANSACTION = Vocabulary(
    {
        "COMPLETED": Status.SUCCEEDED,
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "DECLINED": (Status.FAILED, Reason.DECLINED),
        "EXPIRED": (Status.EXPIRED, Reason.EXPIRED),
        "INITIATED": Status.PENDING,
        "AUTHORIZED": Status.PENDING,
        "PENDING AUTHORIZED": Status.PENDING,
    }
)
_RESULTS: Mapping[Kind | None, StatusWords] = {
    "payout": PAYOUT,
    "refund": REFUND,
    # A message alone does not say of which kind it is. It is only a claim.
    None: Vocabulary({**_PAYOUT, **_REFUND}),
}
_UNPAID_ENDS = (Status.FAILED, Status.CANCELLED, Status.EXPIRED)

_Outcome = tuple[Status, Reason | None]

# The type of a row of pull. The first is the page's (/PullTransaction), of a debit of a customer;
# the second is of a till, in a row of 2025 at https://github.com/akikadigital/laravel-mpesa. The
# third is in integrators' code: a till's money goes to its organization, and no customer paid it.
LISTED = Vocabulary(
    {
        "C2B-PAY-BILL-DEBIT": Status.SUCCEEDED,
        "C2B-BUY-GOODS-DEBIT": Status.SUCCEEDED,
        "MERCHANT-TO-ORGANIZATION-SETTLEMENT": Status.PENDING,
    }
)


def result(driver: "Mpesa", kind: Kind | None, code: str | None, words: str | None) -> _Outcome:
    """Return what a ResultCode says of a payout or refund; its ResultDesc must not contradict it.

    The page of reversals has a sample with code 21 and the sentence of a success.
    """
    said = {"ResultCode": code, "ResultDesc": words and sentence(words)}
    return _read(driver, {"ResultCode": _RESULTS[kind], "ResultDesc": SENTENCES}, said)


def transaction(driver: "Mpesa", word: str | None) -> _Outcome:
    """Return what the word TransactionStatus says of a payment."""
    return _read(driver, {"TransactionStatus": TRANSACTION}, {"TransactionStatus": word})


def _read(
    driver: "Mpesa", speaks: Mapping[str, StatusWords], said: Mapping[str, str | None]
) -> _Outcome:
    if next(iter(said.values())) is None:
        return Status.PENDING, None  # a sentence alone is about the request
    status = agreed_status(driver.name, speaks, said, driver.secrets)
    return status, why(speaks, said) if status in _UNPAID_ENDS else None
