"""What MTN answers, and what its words mean.

Two lists of the portal (momodeveloper.mtn.com, content/html_widgets/o46rh and ekANR) and its page
"Error Codes"; both say that they are not complete.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ...models import Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Meaning, Vocabulary

STATUS = Vocabulary(
    {
        "SUCCESSFUL": Status.SUCCEEDED,
        "PENDING": Status.PENDING,
        "CREATED": Status.PENDING,  # in the schema of v2 payments
        # Which of the three it is, the reason says.
        "FAILED": frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED}),
    }
)
_FAILED = UNPAID - {Status.CANCELLED, Status.EXPIRED}
_EXPIRED: Meaning = (frozenset({Status.PENDING, Status.EXPIRED}), Reason.EXPIRED)
# With the status FAILED each of these is an end: no money moved.
_FAILURES: Mapping[str, Meaning] = {
    "APPROVAL_REJECTED": (_FAILED, Reason.DECLINED),
    "REJECTED": (_FAILED, Reason.DECLINED),  # the sandbox's short form
    "PAYMENT_NOT_APPROVED": (_FAILED, Reason.DECLINED),
    "TRANSACTION_CANCELED": (frozenset({Status.PENDING, Status.CANCELLED}), Reason.CANCELLED),
    "EXPIRED": _EXPIRED,
    # The five minutes in which the payer may approve are over: page "Error Codes".
    "COULD_NOT_PERFORM_TRANSACTION": _EXPIRED,
    "PAYER_NOT_FOUND": (_FAILED, Reason.UNKNOWN_PAYER),
    "PAYEE_NOT_FOUND": (_FAILED, Reason.UNKNOWN_PAYEE),
    "PAYEE_NOT_ALLOWED_TO_RECEIVE": (_FAILED, Reason.UNKNOWN_PAYEE),
    "SENDER_ACCOUNT_NOT_ACTIVE": (_FAILED, Reason.OTHER),
    "NOT_ENOUGH_FUNDS": (_FAILED, Reason.INSUFFICIENT_FUNDS),
    "PAYER_LIMIT_REACHED": (_FAILED, Reason.LIMIT),
    "PAYEE_LIMIT_REACHED": (_FAILED, Reason.LIMIT),
    "TRANSACTION_NOT_FOUND": (_FAILED, Reason.OTHER),  # the one that a refund names
    "VALIDATION_ERROR": (_FAILED, Reason.OTHER),
    "NOT_ALLOWED": (_FAILED, Reason.OTHER),
    "NOT_ALLOWED_TARGET_ENVIRONMENT": (_FAILED, Reason.OTHER),
    "INVALID_CALLBACK_URL_HOST": (_FAILED, Reason.OTHER),
    "INVALID_CURRENCY": (_FAILED, Reason.OTHER),
    # "Mostly insufficient funds, or the wallet platform was not reached": an end beside FAILED.
    "INTERNAL_PROCESSING_ERROR": (_FAILED, Reason.OTHER),
    "SERVICE_UNAVAILABLE": (_FAILED, Reason.OTHER),
}
# Beside FAILED these contradict it: "pending, not completed" and the like.
_OPEN = dict.fromkeys(
    (
        "ONGOING",
        "PENDING",
        "DELAYED",
        "PAYER_DELAYED",
        "PAYEE_DELAYED",
        "TRANSACTION_NOT_COMPLETED",
    ),
    Status.PENDING,
)
# A collect that says FAILED has failed, also with a reason that is not listed.
REASON = Vocabulary({**_FAILURES, **_OPEN, ANY_OTHER_WORD: SAYS_NOTHING})
# Of money that leaves a failure is believed with a listed reason, or with none.
PAYOUT_REASON = Vocabulary({**_FAILURES, **_OPEN})

# Codes in the body of an error to a POST: it was refused before anything was made (o46rh, 3fbhs).
# INTERNAL_PROCESSING_ERROR and SERVICE_UNAVAILABLE are none of them: there, anything may have
# happened.
REFUSALS = {
    code: meaning[1]
    for code, meaning in _FAILURES.items()
    if isinstance(meaning, tuple)
    and code not in ("INTERNAL_PROCESSING_ERROR", "SERVICE_UNAVAILABLE")
    and meaning[1] not in (Reason.EXPIRED, Reason.CANCELLED, Reason.DECLINED)
}


class Login(msgspec.Struct, frozen=True):
    """A token, and the seconds for which it is valid."""

    access_token: str
    expires_in: float | None = None


class ApiKey(msgspec.Struct, frozen=True, rename="camel"):
    """A new API key of an API user, in the sandbox."""

    api_key: str


class Wallet(ProviderData, frozen=True, rename="camel"):
    """A balance."""

    available_balance: Scalar = None
    currency: Text = None


class Holder(msgspec.Struct, frozen=True):
    """Whether an account holder is registered and active."""

    result: bool


class Party(ProviderData, frozen=True, rename="camel"):
    """A payer or payee; the portal's own sample has the number 4609274685.0."""

    party_id_type: Text = None
    party_id: Text = None

    @property
    def number(self) -> str | None:
        """The phone number, if it is one."""
        found = (self.party_id or "").removesuffix(".0")
        return found if found.isdigit() else None


class Cause(ProviderData, frozen=True):
    """A reason in the form of the portal's schema."""

    code: Text = None
    message: Text = None


class Transaction(ProviderData, frozen=True, rename="camel"):
    """A collect, payout or refund, in an answer or a callback; it has no id of ours but our own.

    `reason` is a text in what the sandbox answers, and an object in the portal's schema.
    """

    financial_transaction_id: Text = None
    external_id: Text = None
    reference_id: Text = None  # in callbacks that integrators got; the portal's have none
    amount: Scalar = None
    currency: Text = None
    payer: Party | None = None
    payee: Party | None = None
    status: Text = None
    reason: Scalar | Cause = None

    @property
    def cause(self) -> Cause:
        """The reason, in either form."""
        if isinstance(self.reason, Cause):
            return self.reason
        return Cause(code=self.reason) if isinstance(self.reason, str) else Cause()

    def answers(self) -> bool:
        """Return whether this is an answer; about which order, the pool compares."""
        if self.status is None or self.external_id is None:
            raise Unreadable("the answer has no status, or does not say about which order it is")
        return True


def is_gateways(said: Mapping[str, Any], status: int) -> bool:
    """Return whether an error has the form of MTN's API gateway, which asked no wallet.

    The portal's list has "ACCESS DENIED DUE TO INVALID SUBSCRIPTION KEY" (3fbhs, XCaGL) without a
    body; the form is that of the gateway product, https://learn.microsoft.com/azure/api-management.
    """
    return said.keys() == {"statusCode", "message"} and str(said["statusCode"]) == str(status)
