"""What pawaPay answers, in v2 and in the callbacks of v1, and what its words mean.

The pages are https://docs.pawapay.io/v2/api-reference and /v1/api-reference, the codes
https://docs.pawapay.io/v2/docs/failure_codes. "Builders" is
https://github.com/joelpawapay/pawapay-builders-cits26, by a person of pawaPay.
"""

from typing import Any, TypeAlias

import msgspec

from ...models import Kind, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable
from ...values.status_words import Vocabulary

# Of the status check and the callbacks. SUBMITTED is v1's word for PROCESSING, and that of the
# stuck test numbers in both. IN_RECONCILIATION: the operator's answer was lost, and pawaPay settles
# it later. REJECTED and DUPLICATE_IGNORED are answers to a request, and no status of a payment.
STATUS = Vocabulary(
    {
        "ACCEPTED": Status.PENDING,
        "ENQUEUED": Status.PENDING,
        "SUBMITTED": Status.PENDING,
        "PROCESSING": Status.PENDING,
        "IN_RECONCILIATION": Status.PENDING,
        "COMPLETED": Status.SUCCEEDED,
        "FAILED": Status.FAILED,
    }
)
# A FAILED ends a payment only with one of these codes: each says why the operator or pawaPay moved
# nothing. UNKNOWN_ERROR is none of them: "PawaPay internal. Verify via status-check" (builders,
# errors.md), so it stays pending. The second half is of v1.
FAILURES = Vocabulary(
    {
        "PAYER_NOT_FOUND": (Status.FAILED, Reason.UNKNOWN_PAYER),
        "PAYMENT_NOT_APPROVED": (Status.FAILED, Reason.DECLINED),
        "PAYER_LIMIT_REACHED": (Status.FAILED, Reason.LIMIT),
        "PAYMENT_IN_PROGRESS": (Status.FAILED, Reason.BUSY),
        "INSUFFICIENT_BALANCE": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "UNSPECIFIED_FAILURE": (Status.FAILED, Reason.OTHER),
        "RECIPIENT_NOT_FOUND": (Status.FAILED, Reason.UNKNOWN_PAYEE),
        "RECIPIENT_LIMIT_REACHED": (Status.FAILED, Reason.LIMIT),
        "WALLET_LIMIT_REACHED": (Status.FAILED, Reason.LIMIT),
        "PAWAPAY_WALLET_OUT_OF_FUNDS": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "MANUALLY_CANCELLED": (Status.FAILED, Reason.CANCELLED),
        "DEPOSIT_ALREADY_REFUNDED": (Status.FAILED, Reason.OTHER),
        "AMOUNT_TOO_LARGE": (Status.FAILED, Reason.LIMIT),
        "REFUND_IN_PROGRESS": (Status.FAILED, Reason.BUSY),
        "TRANSACTION_ALREADY_IN_PROCESS": (Status.FAILED, Reason.BUSY),
        "OTHER_ERROR": (Status.FAILED, Reason.OTHER),
        "RECIPIENT_NOT_ALLOWED_TO_RECEIVE": (Status.FAILED, Reason.UNKNOWN_PAYEE),
        "BALANCE_INSUFFICIENT": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    }
)
NO_CODE = "NO CODE"  # of a FAILED without a code, which proves nothing
TAKEN = frozenset({"ACCEPTED", "ENQUEUED"})  # of a request; the second one in v1

# The values in place of an object, if there is none.
Absent: TypeAlias = list[Any] | Scalar


class Failure(ProviderData, frozen=True, rename="camel"):
    """Why a request or a payment was refused."""

    failure_code: Text = None
    failure_message: Text = None


_NO_FAILURE = Failure()


class Details(ProviderData, frozen=True, rename="camel"):
    """The number and operator of a payer or a payee."""

    phone_number: Text = None
    misspelt_number: Text = msgspec.field(name="phoneNUmber", default=None)  # on a page of v2
    provider: Text = None
    value: Text = None  # v1's number


_NO_DETAILS = Details()


class Party(ProviderData, frozen=True, rename="camel"):
    """A payer or a payee, of v2 or v1."""

    account_details: Details | Absent = None
    address: Details | Absent = None

    @property
    def details(self) -> Details:
        """Return the details, in either version."""
        found = self.account_details or self.address
        return found if isinstance(found, Details) else _NO_DETAILS


class Said(ProviderData, frozen=True, rename="camel"):
    """An answer to a request, a payment in a status check, or a callback of v2 or v1."""

    deposit_id: Text = None
    payout_id: Text = None
    refund_id: Text = None
    status: Text = None
    amount: Scalar = None
    deposited_amount: Scalar = None  # v1's
    currency: Text = None
    payer: Party | Absent = None
    recipient: Party | Absent = None
    correspondent: Text = None  # v1's operator
    client_reference_id: Text = None
    provider_transaction_id: Text = None
    authorization_url: Text = None
    created: Scalar = None
    failure_reason: Failure | Absent = None
    metadata: dict[str, Any] | Absent = None

    def named(self) -> tuple[Kind, str]:
        """Return the kind and the id of a payment, by the field that the id is in."""
        ids: dict[Kind, str | None] = {
            "collect": self.deposit_id if self.refund_id is None else None,  # a refund names both
            "payout": self.payout_id,
            "refund": self.refund_id,
        }
        found = [(kind, id) for kind, id in ids.items() if id]
        if len(found) != 1:
            raise Unreadable("no id of one deposit, payout or refund")
        return found[0]

    @property
    def details(self) -> Details:
        """Return the number and operator of the payer or the payee."""
        for party in (self.payer, self.recipient):
            if isinstance(party, Party):
                return party.details
        return _NO_DETAILS

    @property
    def failure(self) -> Failure:
        """Return why it was refused or has failed."""
        return self.failure_reason if isinstance(self.failure_reason, Failure) else _NO_FAILURE

    def code(self) -> str | None:
        """Return the word of FAILURES: a FAILED without a code has one that is not listed."""
        code = self.failure.failure_code
        failed = (self.status or "").strip(" .").upper() == "FAILED"
        return code or (NO_CODE if failed else None)

    def answers_order(self, id: str) -> bool:
        """Return whether this is an answer to a request with this id.

        In the guide of refunds, the id of the answer is named payoutId.
        """
        if id not in (self.deposit_id, self.payout_id, self.refund_id):
            raise Unreadable("the answer is about another id")
        if self.status not in TAKEN:
            raise Unreadable("the answer neither accepts nor refuses")
        return True


_NOTHING_SAID = Said()


class Found(ProviderData, frozen=True, rename="camel"):
    """The answer to a status check: its own status says only whether there is such a payment."""

    status: Text = None
    data: Said | Absent = None

    @property
    def said(self) -> Said:
        """Return the payment."""
        return self.data if isinstance(self.data, Said) else _NOTHING_SAID

    def answers(self, kind: Kind, id: str) -> bool:
        """Return whether this answers the question for a payment."""
        if self.said.named() != (kind, id):
            raise Unreadable("the answer is about another payment")
        if not self.said.status:
            raise Unreadable("the answer has no status of a payment")
        return True
