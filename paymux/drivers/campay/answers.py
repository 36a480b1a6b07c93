"""What CamPay answers, and what its words mean.

The page is https://documenter.getpostman.com/view/2391374/T1LV8PVA.
"""

import msgspec

from ...models import Kind, Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
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
# The endpoint of a transaction; airtime has a type in its place.
KINDS: dict[str | None, Kind] = {"collect": "collect", "withdraw": "payout", "AIRTIME": "payout"}


class Login(msgspec.Struct, frozen=True):
    """An access token."""

    token: str
    expires_in: float | None = None  # seconds


class Wallet(ProviderData, frozen=True):
    """The floats of an application."""

    total_balance: Text = None
    available_balance: Text = None  # the summary's
    mtn_balance: Text = None
    orange_balance: Text = None


class Transaction(ProviderData, frozen=True):
    """A transaction in any answer, message, page or history of CamPay."""

    reference: Text = None
    external_reference: Text = None
    external_user: Text = None
    endpoint: Text = None
    type: Text = None
    status: Text = None
    reason: Text = None
    amount: Scalar = None
    app_amount: Scalar = None  # the amount minus the fee
    currency: Text = None
    operator: Text = None
    operator_reference: Text = None
    code: Text = None
    phone_number: Text = None
    customer: Text = None  # the summary's
    ussd_code: Text = None
    link: Text = None
    signature: Text = None
    # The words of /history/.
    datetime: Scalar = None
    reference_uuid: Text = None
    operator_tx_code: Text = None
    charge_amount: Scalar = None
    debit: Scalar = None

    def answers(self) -> bool:
        """Return whether this is an answer to a look-up."""
        if not self.reference:
            raise Unreadable("the answer has no reference")
        if not self.status:
            raise Unreadable("the answer has no status")
        return True

    def answers_order(self, order: Order) -> bool:
        """Return whether this is an answer to an order; it may repeat the order's fields."""
        if self.external_reference not in (None, order.reference):
            raise Unreadable("the answer is about another external_reference")
        if amount(self.amount) not in (None, order.amount):
            raise Unreadable("the answer is about another amount")
        if not self.reference:
            raise Unreadable("the answer has no reference")
        return True

    def answers_link(self) -> bool:
        """Return whether this is a page that was made."""
        if not self.link:
            raise Unreadable("the answer has no link")
        return True


def failure(told: str) -> str | None:
    """Return the word of REASON that the free text of a reason contains, or None."""
    told = told.upper()
    return next((word for word in REASON.reasons if word in told), None)
