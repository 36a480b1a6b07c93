"""What CamPay answers, and what its words mean.

The page is https://documenter.getpostman.com/view/2391374/T1LV8PVA.
"""

import msgspec

from ...models import Kind, Order, Reason, Status
from ...values.parsing import Scalar, amount, require, text
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, Vocabulary

_UNPAID = frozenset({Status.PENDING, Status.FAILED, Status.CANCELLED})

STATUS = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "SUCCESSFUL": Status.SUCCEEDED,
        "FAILED": Status.FAILED,
        # The words of the summary.
        "SUCCESS": Status.SUCCEEDED,
        "CANCELLED": Status.CANCELLED,
    }
)
# `reason` is free text that no page lists: only words with a clear meaning are read. A success has
# "None" or "".
REASON = Vocabulary(
    {
        "INSUFFICIENT": (_UNPAID, Reason.INSUFFICIENT_FUNDS),
        "TIMEOUT": (_UNPAID, Reason.EXPIRED),
        "CANCEL": (_UNPAID, Reason.CANCELLED),
        ANY_OTHER_WORD: SAYS_NOTHING,
    }
)
# All errors of the page; each is a refusal before money moves.
REFUSALS = {
    "ER101": Reason.UNKNOWN_PAYER,  # the number is invalid
    "ER102": Reason.UNKNOWN_PAYER,  # the operator is not MTN or Orange
    "ER201": Reason.OTHER,  # an amount with decimals
    "ER301": Reason.INSUFFICIENT_FUNDS,  # more than the operator's float
}
KINDS: dict[str | None, Kind] = {"collect": "collect", "withdraw": "payout"}


class Login(msgspec.Struct, frozen=True):
    """An access token."""

    token: str
    expires_in: float | None = None  # seconds


class Wallet(msgspec.Struct, frozen=True):
    """The floats of an application."""

    total_balance: Scalar = None
    available_balance: Scalar = None  # the summary's
    mtn_balance: Scalar = None
    orange_balance: Scalar = None


class Transaction(msgspec.Struct, frozen=True):
    """A transaction in any answer, message, page or history of CamPay."""

    reference: Scalar = None
    external_reference: Scalar = None
    external_user: Scalar = None
    endpoint: Scalar = None
    status: Scalar = None
    reason: Scalar = None
    amount: Scalar = None
    app_amount: Scalar = None  # the amount minus the fee
    currency: Scalar = None
    operator: Scalar = None
    operator_reference: Scalar = None
    code: Scalar = None
    phone_number: Scalar = None
    customer: Scalar = None  # the summary's
    ussd_code: Scalar = None
    link: Scalar = None
    signature: Scalar = None
    # The words of /history/.
    datetime: Scalar = None
    reference_uuid: Scalar = None
    operator_tx_code: Scalar = None
    charge_amount: Scalar = None
    debit: Scalar = None

    def answers(self) -> bool:
        """Return whether this is an answer to a look-up."""
        require(text(self.reference), "the answer has no reference")
        return require(text(self.status), "the answer has no status")

    def answers_order(self, order: Order) -> bool:
        """Return whether this is an answer to an order; it may repeat the order's fields."""
        ours = text(self.external_reference)
        require(ours in (None, order.reference), "the answer is about another external_reference")
        require(amount(self.amount) in (None, order.amount), "the answer is about another amount")
        return require(text(self.reference), "the answer has no reference")

    def answers_link(self) -> bool:
        """Return whether this is a page that was made."""
        return require(text(self.link), "the answer has no link")


def failure(told: str | None) -> str | None:
    """Return the word of REASON that the free text of a reason contains, or None."""
    if told is None:
        return None
    told = told.upper()
    return next((word for word in REASON.reasons if word in told), None)
