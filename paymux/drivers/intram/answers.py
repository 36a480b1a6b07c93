"""What Intram answers, in several forms, and what its words mean."""

import re
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ...models import Reason, Status
from ...values.parsing import SCALARS, ProviderData, Scalar, Text, Unreadable, amount, text
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)

# SUCCESS, PENDING, CANCELED and FAIL are the Node Readme's words, COMPLETED is the Node page's,
# ERROR and REFUNDED came in 2026. "ERROR: … l'argent n'a pas été débité": troubleshooting.md.
WORDS = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "SUCCESS": Status.SUCCEEDED,
        "SUCCESSFUL": Status.SUCCEEDED,
        "COMPLETED": Status.SUCCEEDED,
        "CANCELED": (Status.CANCELLED, Reason.CANCELLED),
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "FAIL": Status.FAILED,
        "FAILED": Status.FAILED,
        "ERROR": Status.FAILED,
        "REFUNDED": Status.REFUNDED,
    }
)
# The error flag, as JSON and forms write it; Intram's own clients check it before the status
# (see `judge`).
ERROR = Vocabulary(
    {
        "FALSE": SAYS_NOTHING,
        "0": SAYS_NOTHING,
        "TRUE": UNPAID,
        "1": UNPAID,
        ANY_OTHER_WORD: UNPAID,
    }
)

# The values instead of an object if there is none: `[]`, `""`, null.
Absent: TypeAlias = list[Any] | Scalar
Fields: TypeAlias = dict[str, Any] | Absent


class Invoice(ProviderData, frozen=True):
    """The amount to pay, inside the nested form."""

    amount: Text = None
    currency: Text = None
    transaction: Text = None
    custom_datas: Fields = None
    custom_data: Fields = None


class Nested(ProviderData, frozen=True):
    """The transaction of the nested form."""

    id: Text = msgspec.field(name="_id", default=None)
    status: Text = msgspec.field(name="_status", default=None)
    reference: Text = msgspec.field(name="_reference", default=None)
    amount: Text = msgspec.field(name="_amount", default=None)
    created_at: Scalar = msgspec.field(name="_created_at", default=None)
    marchand: Fields = None
    invoice: Invoice | Absent = None


_NO_NESTED = Nested()
_NO_INVOICE = Invoice()


class Transaction(ProviderData, frozen=True):
    """An opened page, an error, a callback, or a confirmation in any of its published forms.

    Flat: backend/php-server-sdk.md. Nested: the PHP Readme. With customer and custom_data: the Node
    client.
    """

    status: Text = None
    error: Scalar = None  # `true` is no text
    message: Text = None
    transaction_id: Text = None
    token: Text = None
    reference: Text = None
    amount: Text = None
    total_amount: Text = None
    currency: Text = None
    account_number: Text = None
    source: Text = None
    fees: Scalar = None
    receipt_url: Text = None
    payment_url: Text = None
    customer: Fields = None
    custom_data: Fields = None
    custom_datas: Fields = None
    transaction: Nested | Absent = None
    form_id: Text = msgspec.field(name="transaction[_id]", default=None)

    @property
    def nested(self) -> Nested:
        """Return the nested transaction; empty in the other forms."""
        return self.transaction if isinstance(self.transaction, Nested) else _NO_NESTED

    @property
    def invoice(self) -> Invoice:
        """Return the invoice of the nested transaction; empty in the other forms."""
        nested = self.transaction
        invoice = nested.invoice if isinstance(nested, Nested) else None
        return invoice if isinstance(invoice, Invoice) else _NO_INVOICE

    @property
    def id(self) -> str | None:
        """Return Intram's id, from any field that may have it."""
        found = (
            self.transaction_id
            or self.nested.id
            or self.invoice.transaction
            or first(self.transaction)
            or self.form_id
            or self.token  # at the return page
            or self.reference  # in the widget
        )
        if found is not None and not ID.fullmatch(found):
            raise Unreadable("the answer has a transaction id that is none")
        return found

    @property
    def charged(self) -> Decimal | None:
        """Return the order's amount.

        It does not include `fees`; `net_amount` is amount + fees here.
        """
        invoice = self.invoice
        return amount(self.amount or invoice.amount or self.nested.amount or self.total_amount)

    @property
    def page(self) -> str | None:
        """Return the URL of an opened page.

        It is in receipt_url in every sample (payment_url in the Django page). Later, receipt_url
        has the receipt.
        """
        return self.receipt_url or self.payment_url

    def answers_confirm(self) -> bool:
        """Return whether this answer says the state of a payment.

        Every published form has an amount; `{"status": "ERROR"}` alone is the body of an error.
        """
        if not (self.status or self.nested.status):
            raise Unreadable("the answer has no status")
        if self.charged is None:
            raise Unreadable("the answer has no amount")
        read = [self.id, amount(self.fees)]  # or raises Unreadable
        return bool(read)


def first(*values: Any) -> str | None:
    """Return the first of these values that is not empty, as text."""
    for value in values:
        if isinstance(value, SCALARS):
            told = text(value)
            if told is not None:
                return told
    return None


def first_fields(*places: Fields) -> dict[str, Any]:
    """Return the first of these objects that has fields."""
    for place in places:
        if isinstance(place, dict) and place:
            return dict(place)
    return {}
