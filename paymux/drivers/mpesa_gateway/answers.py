"""What the gateway answers, and what its words and codes mean."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ...models import Reason, Status
from ...values.parsing import SCALARS, ProviderData, Scalar, Text, Unreadable, amount, text
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary

# The document has "completed"; the other words are in the server's models and in its answers to
# verify.
WORDS = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "COMPLETED": Status.SUCCEEDED,
        "PAYMENT COMPLETED": Status.SUCCEEDED,
        "FAILED": Status.FAILED,
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "TIMEOUT": (Status.EXPIRED, Reason.EXPIRED),
        "REFUNDED": Status.REFUNDED,
    }
)
# The server adds "Payment pending" to any payment that is not completed, and says "failed" even for
# "still processing"; any other sentence says nothing.
MESSAGES = Vocabulary(
    {
        "PAYMENT SUCCESSFUL": Status.SUCCEEDED,
        "PAYMENT FAILED": UNPAID,
        "PAYMENT PROCESSING FAILED": UNPAID,
        "PAYMENT REQUEST EXPIRED": UNPAID,
        "PAYMENT CANCELLED": UNPAID,
        "PAYMENT TIMEOUT": UNPAID,
        "PAYMENT PENDING": frozenset({Status.PENDING, Status.CANCELLED, Status.EXPIRED}),
        ANY_OTHER_WORD: SAYS_NOTHING,
    }
)
# The ResultCodes of a callback that payment/mpesa.py of the server knows; for any other one, the
# payment is looked up.
RESULTS = Vocabulary(
    {
        "0": Status.SUCCEEDED,
        "1032": (Status.CANCELLED, Reason.CANCELLED),
        "1037": (Status.EXPIRED, Reason.EXPIRED),
    }
)
# Its wording varies.
DESCRIPTIONS = Vocabulary(
    {
        "THE TRANSACTION IS BEING PROCESSED": Status.PENDING,
        "THE TRANSACTION IS STILL UNDER PROCESSING": Status.PENDING,
        ANY_OTHER_WORD: SAYS_NOTHING,
    }
)
# "Common Error Codes" of the document, which names no HTTP status for them. These two are outcomes
# of a payment: a look-up may return them, but after a money request they do not prove that the
# payer got no prompt. No success in the document has a code, so a code that is not listed leaves a
# success in doubt.
OUTCOMES = Vocabulary(
    {
        "PAYMENT_FAILED": Status.FAILED,
        "PAYMENT_EXPIRED": (Status.EXPIRED, Reason.EXPIRED),
        ANY_OTHER_WORD: UNPAID,
    }
)
REFUSALS: Mapping[str, Reason] = {
    "PAYMENT_FAILED": Reason.OTHER,
    "PAYMENT_EXPIRED": Reason.EXPIRED,
    "INVALID_PHONE": Reason.UNKNOWN_PAYER,
    "AMOUNT_TOO_LOW": Reason.LIMIT,
    "AMOUNT_TOO_HIGH": Reason.LIMIT,
    "INVALID_CURRENCY": Reason.OTHER,
}
# The credentials were refused: by jazzband/djangorestframework-simplejwt and users/middleware.py,
# before any view runs.
UNSIGNED = frozenset({"token_not_valid", "2FA_REQUIRED"})
# Never 408, 409, 423, 425 or 5xx, whatever the body says.
REFUSED_WITH = (400, 401, 402, 403, 404, 410, 422)

_PRICE = re.compile(
    r"(?:KES )?(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,12})(?:\.[0-9]{1,2})?", re.ASCII
)


class Answer(ProviderData, frozen=True):
    """The fields of initiate, verify, a history row, a refund, a receipt or a frame."""

    id: Text = None
    transaction_id: Text = None
    checkout_request_id: Text = None
    merchant_request_id: Text = None
    refund_id: Scalar = ""  # null: the server has none; missing: nothing was refunded
    order_id: Text = None
    order: Text = None  # the name of `order_id` in the server's history
    amount: Scalar = None
    currency: Text = None
    status: Text = None
    message: Text = None
    code: Text = None  # of an error
    payment_method: Text = None
    phone_number: Text = None
    receipt_number: Text = None
    customer_name: Text = None
    order_reference: Text = None
    date: Scalar = None
    created_at: Scalar = None

    @property
    def own_id(self) -> str | None:
        """Return the gateway's id."""
        return self.transaction_id or self.id

    @property
    def reference(self) -> str | None:
        """Return the order's number."""
        return self.order_id or self.order

    def answers_order(self, reference: str | None) -> bool:
        """Return whether this answers an order; in the document, no answer repeats its number."""
        amount(self.amount)  # or raises Unreadable
        if not self.own_id:
            raise Unreadable("the answer has no transaction_id")
        return self._is_about(reference)

    def answers_verify(self, reference: str | None) -> bool:
        """Return whether this answer says the state of an order."""
        amount(self.amount)  # or raises Unreadable
        if not self.status:
            raise Unreadable("the answer has no status")
        return self._is_about(reference)

    def answers_refund(self) -> bool:
        """Return whether this answers a refund."""
        if self.refund_id == "":
            raise Unreadable("the answer has no refund_id")
        return True

    def answers_receipt(self) -> bool:
        """Return whether this is a receipt."""
        if not self.receipt_number:
            raise Unreadable("the answer has no receipt_number")
        if not _PRICE.fullmatch(text(self.amount) or ""):
            raise Unreadable("the answer has no amount that can be read")
        return True

    def _is_about(self, reference: str | None) -> bool:
        theirs = self.reference
        if theirs and reference and theirs != reference:
            raise Unreadable("the answer is about another order_id")
        return True


class Item(msgspec.Struct, frozen=True):
    """An item of a callback's metadata; a value that is neither text nor a number is ignored."""

    name: Scalar = msgspec.field(name="Name", default=None)
    value: Any = msgspec.field(name="Value", default=None)


class Metadata(msgspec.Struct, frozen=True):
    """A callback's metadata."""

    items: list[Item] | None = msgspec.field(name="Item", default=None)


class Push(Answer, frozen=True, kw_only=True):
    """What an STK callback says, in Safaricom's words.

    In the document's sample, a success has no metadata.
    """

    push: str = msgspec.field(name="CheckoutRequestID")
    merchant_request_id: Text = msgspec.field(name="MerchantRequestID", default=None)
    result: int | str = msgspec.field(name="ResultCode")
    message: Text = msgspec.field(name="ResultDesc", default=None)
    more: Metadata | None = msgspec.field(name="CallbackMetadata", default=None)

    def __post_init__(self) -> None:
        # The push, its result and its metadata are read as fields of an answer.
        listed = (self.more and self.more.items) or []
        more = {text(item.name): item.value for item in listed if isinstance(item.value, SCALARS)}
        force_setattr(self, "checkout_request_id", self.push)
        force_setattr(self, "status", self.result)
        force_setattr(self, "amount", more.get("Amount"))
        force_setattr(self, "receipt_number", more.get("MpesaReceiptNumber"))
        force_setattr(self, "phone_number", more.get("PhoneNumber"))
        super().__post_init__()


def is_error(said: Mapping[str, Any]) -> bool:
    """Return whether this is DRF's `detail`, or the document's error object with its code."""
    if isinstance(said.get("detail"), str) and said.keys() <= {"detail", "code", "messages"}:
        return True
    documented = isinstance(said.get("error"), str) and isinstance(said.get("code"), str)
    return documented and said.keys() <= {"error", "code", "details"}
