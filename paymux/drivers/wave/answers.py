"""What Wave answers, and what its words mean.

https://docs.wave.com/checkout and https://docs.wave.com/payout, read in the copies of 2024-03.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import NotFound
from ...models import Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary

_PAID = frozenset({Status.SUCCEEDED, Status.REFUNDED})

# "open: created, waiting for the payment; complete: the payment ended (success or failure);
# expired: the session expired without a payment." A complete session that is not `succeeded` may be
# one that was refunded: no page says which word it then has, so it is pending.
CHECKOUT = Vocabulary(
    {
        "OPEN": Status.PENDING,
        "COMPLETE": _PAID,
        "EXPIRED": frozenset({Status.EXPIRED, Status.FAILED}),
    }
)
# Of the last attempt: an open session can be paid after one that failed. `failed` is in the sample
# of a webhook alone.
PAYMENT = Vocabulary(
    {
        "PROCESSING": frozenset({Status.PENDING, Status.EXPIRED}),
        "CANCELLED": frozenset({Status.PENDING, Status.EXPIRED}),
        "FAILED": frozenset({Status.PENDING, Status.FAILED}),
        "SUCCEEDED": Status.SUCCEEDED,
    }
)
# Why an attempt failed; it says nothing of the session.
ATTEMPT = Vocabulary(
    {ANY_OTHER_WORD: SAYS_NOTHING},
    why={
        "BLOCKED-ACCOUNT": Reason.DECLINED,
        "CROSS-BORDER-PAYMENT-NOT-ALLOWED": Reason.DECLINED,
        "CUSTOMER-AGE-RESTRICTED": Reason.DECLINED,
        "INSUFFICIENT-FUNDS": Reason.INSUFFICIENT_FUNDS,
        "KYB-LIMITS-EXCEEDED": Reason.LIMIT,
        "PAYER-MOBILE-MISMATCH": Reason.UNKNOWN_PAYER,
        "PAYMENT-FAILURE": Reason.OTHER,
    },
)
# "processing: submitted, still in process; succeeded: the money has arrived at the user; failed: an
# error occurred during the payout; reversed: the payout was undone."
PAYOUT = Vocabulary(
    {
        "PROCESSING": Status.PENDING,
        "SUCCEEDED": Status.SUCCEEDED,
        "FAILED": Status.FAILED,
        "REVERSED": Status.REFUNDED,
    }
)
_PAYEE = {
    "RECIPIENT-MINOR": Reason.UNKNOWN_PAYEE,
    "RECIPIENT-ACCOUNT-BLOCKED": Reason.UNKNOWN_PAYEE,
    "RECIPIENT-ACCOUNT-INACTIVE": Reason.UNKNOWN_PAYEE,
    "RECIPIENT-LIMIT-EXCEEDED": Reason.LIMIT,
    "COUNTRY-MISMATCH": Reason.UNKNOWN_PAYEE,
    "INSUFFICIENT-FUNDS": Reason.INSUFFICIENT_FUNDS,
}
# "It is only filled in when the status is failed": with any other word it contradicts it. Errors
# that the page calls "an unknown state", and new ones, are not listed: they leave it pending.
PAYOUT_ERROR = Vocabulary({word: (UNPAID, reason) for word, reason in _PAYEE.items()})

# The codes that the page lists, of refusals before anything is done: "all other errors are final".
# Those that leave it open are not here: 408, 429, internal-server-error, service-unavailable.
REFUSALS: Mapping[str, Reason] = {
    **{word.lower(): reason for word, reason in _PAYEE.items()},
    "aggregated-merchant-required": Reason.OTHER,
    "currency-mismatch": Reason.OTHER,
    "invalid-aggregated-merchant-id": Reason.OTHER,
    "request-not-json": Reason.OTHER,
    "request-parsing-error": Reason.OTHER,
    "request-validation-error": Reason.OTHER,
    # Of a refund, and of a reversal.
    "checkout-refund-failed": Reason.OTHER,
    "checkout-session-not-found": Reason.OTHER,
    "not-found": Reason.OTHER,
    "payout-reversal-account-terminated": Reason.UNKNOWN_PAYER,
    "payout-reversal-time-limit-exceeded": Reason.EXPIRED,
}
# "During authentication, one of these may be returned early": nothing was processed.
KEY_REFUSALS: Mapping[str, int] = {
    "missing-auth-header": 401,
    "invalid-auth": 401,
    "api-key-not-provided": 401,
    "no-matching-api-key": 401,
    "api-key-revoked": 401,
    "invalid-wallet": 403,
    "disabled-wallet": 403,
    "unauthorized-wallet": 403,
}


class Refusal(ProviderData, frozen=True):
    """An error; the page spells its fields in three ways."""

    id: Text = None  # an object with an id is no error, whatever else it has
    code: Text = None
    error: Any = None
    error_code: Text = None
    message: Text = None
    error_message: Text = None

    @property
    def word(self) -> str | None:
        """Return the code."""
        named = self.error if isinstance(self.error, str) else None
        return self.code or self.error_code or named

    @property
    def said(self) -> str:
        """Return the message for a person."""
        return self.message or self.error_message or ""


class Failure(ProviderData, frozen=True):
    """Why the last attempt to pay a session failed."""

    code: Text = None
    message: Text = None


class PayoutFailure(ProviderData, frozen=True):
    """Why a payout failed."""

    error_code: Text = None
    error_message: Text = None


class Session(ProviderData, frozen=True):
    """A checkout session; a message about a failed attempt has three of its fields."""

    id: Text = None
    amount: Scalar = None
    currency: Text = None
    checkout_status: Text = None
    payment_status: Text = None
    last_payment_error: Failure | None = None
    client_reference: Text = None
    transaction_id: Text = None
    restrict_payer_mobile: Text = None
    wave_launch_url: Text = None
    when_created: Scalar = None
    when_completed: Scalar = None

    def answers(self) -> bool:
        """Return whether this says the state of a session."""
        if not self.id:
            raise Unreadable("the answer has no id")
        if not (self.checkout_status and self.payment_status):
            raise Unreadable("the answer has not both statuses")
        return True

    def answers_order(self, order: Order) -> bool:
        """Return whether this is the session of an order."""
        self.answers()
        if not self.wave_launch_url:
            raise Unreadable("the answer has no wave_launch_url")
        same(order, self.client_reference, self.amount, self.currency)
        return True


class Payout(ProviderData, frozen=True):
    """A payout; a failed one comes with HTTP 200."""

    id: Text = None
    currency: Text = None
    receive_amount: Scalar = None
    fee: Scalar = None
    mobile: Text = None
    status: Text = None
    payout_error: PayoutFailure | None = None
    client_reference: Text = None
    timestamp: Scalar = None  # of its submission, not of its end

    def answers(self) -> bool:
        """Return whether this says the state of a payout."""
        if not self.id:
            raise Unreadable("the answer has no id")
        if not self.status:
            raise Unreadable("the answer has no status")
        return True

    def answers_order(self, order: Order) -> bool:
        """Return whether this is the payout of an order."""
        self.answers()
        same(order, self.client_reference, self.receive_amount, self.currency)
        if self.mobile is not None and self.mobile.lstrip("+") != order.party:
            raise Unreadable("the answer is about another mobile")
        return True


class Sessions(msgspec.Struct, frozen=True):
    """The sessions with one client_reference."""

    result: list[Session]

    def one(self) -> Session:
        """Return the session that says what became of the order.

        Several have a reference only where the answer to a first was lost and the order was made
        again: what was paid counts, else what can still be paid, else the newest.
        """
        if not self.result:
            raise NotFound("Wave has no session with this client_reference (yet)")
        for each in self.result:
            each.answers()
        return max(self.result, key=_says_most)


class Payouts(msgspec.Struct, frozen=True):
    """The payouts with one client_reference."""

    result: list[Payout]

    def one(self) -> Payout:
        """Return the only payout; several would be one reference that was paid several times."""
        if not self.result:
            raise NotFound("Wave has no payout with this client_reference (yet)")
        if len(self.result) > 1:
            raise Unreadable(f"{len(self.result)} payouts have this client_reference")
        self.result[0].answers()
        return self.result[0]


class Wallet(ProviderData, frozen=True):
    """The balance of the wallet."""

    amount: Scalar = None
    currency: Text = None


class Recipient(msgspec.Struct, frozen=True):
    """What Wave knows of a recipient, in its own words, such as MATCH and NAME_NOT_KNOWN."""

    within_limits: bool
    name_match: str | None = None
    national_id_match: str | None = None


def same(order: Order, reference: str | None, asked: Scalar, currency: str | None) -> None:
    """Refuse an answer about another order."""
    if reference not in (None, order.reference):
        raise Unreadable("the answer is about another client_reference")
    if amount(asked) not in (None, order.amount):
        raise Unreadable("the answer is about another amount")
    if currency not in (None, order.currency):
        raise Unreadable("the answer is about another currency")


def _says_most(session: Session) -> tuple[bool, bool, str]:
    state = (session.checkout_status or "").upper()
    paid = (session.payment_status or "").upper() == "SUCCEEDED"
    return paid, state != "EXPIRED", str(session.when_created or "")
