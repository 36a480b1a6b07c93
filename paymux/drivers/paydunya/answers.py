"""What PayDunya says in answers and messages, and what its words mean."""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeAlias

from ...errors import UsageError
from ...models import Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, text
from ...values.phone import bare_digits, phone_digits
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary

DONE = frozenset({"00", "0"})  # the page has "00"; PayDunya's own code compares numbers
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)

STATUS = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "COMPLETED": Status.SUCCEEDED,
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "FAILED": Status.FAILED,  # in the page, only in the section on callbacks
    }
)
# `fail_reason` and `errors` are free text about one try to pay, and a payer may try several times;
# the page shows one sentence.
FAIL_REASON = Vocabulary({"PAYMENT CANCELLED BY CUSTOMER": UNPAID, ANY_OTHER_WORD: SAYS_NOTHING})

_TRANSFERRED = re.compile(r"Amount of ([0-9]{1,15}) FCFA", re.ASCII)

# PHP writes an empty object as an empty list.
_Tree: TypeAlias = dict[str, Any] | list[Any] | str | None


def first_code(code: Any) -> str | None:
    """Return a `response_code` as text; of several codes, the first."""
    if code == "00":  # as nearly always
        return "00"
    return text((code or [None])[0] if isinstance(code, list) else code)


class Invoice(ProviderData, frozen=True):
    """The invoice in an answer or a message."""

    token: Text = None
    status: Text = None
    total_amount: Scalar = None
    total_amount_without_fees: Scalar = None


class Payer(ProviderData, frozen=True):
    """Who paid an invoice, and how."""

    name: Text = None
    phone: Text = None
    email: Text = None
    payment_method: Text = None


# where PHP wrote something else
NO_INVOICE, NO_PAYER = Invoice(), Payer()


class Answer(ProviderData, frozen=True):
    """Any answer of PayDunya; a message (the IPN) has the same fields for an invoice."""

    response_code: Scalar | list[Scalar] = None
    response_text: Text = None  # for a new invoice, the URL of its page
    description: Text = None
    token: Text = None
    transaction_id: Text = None
    hash: Scalar = None
    invoice: Invoice | list[Any] | str | None = None
    custom_data: _Tree = None
    mode: Text = None
    status: Text = None
    fail_reason: Text = None  # for cards; for mobile money, `errors` has it (integrators' code)
    errors: _Tree = None
    customer: Payer | list[Any] | str | None = None
    receipt_url: Text = None
    receipt_identifier: Text = None
    provider_reference: Text = None

    def code(self) -> str | None:
        """Return the code as text; of several codes, the first."""
        return first_code(self.response_code)

    @property
    def transferred(self) -> Decimal | None:
        """Return the amount that the description of a transfer repeats."""
        echo = _TRANSFERRED.search(self.description or "")
        return Decimal(echo[1]) if echo else None

    def trouble(self) -> str | None:
        """Return why the last try to pay failed, in PayDunya's words."""
        errors = self.errors if isinstance(self.errors, dict) else {}
        return self.fail_reason or text(errors.get("message")) or text(errors.get("description"))

    def answers_create(self) -> bool:
        """Return whether a page was made."""
        if self.code() not in DONE:
            raise Unreadable("response_code is not 00")
        if not (self.response_text or "").startswith(("https://", "http://")):
            raise Unreadable("the answer has no address of a page")
        if not TOKEN.fullmatch(self.token or ""):
            raise Unreadable("the answer has no token")
        return True

    def answers_confirm(self) -> bool:
        """Return whether this is an invoice, and not an error without the documented fields."""
        if self.code() not in DONE:
            raise Unreadable("response_code is not 00")
        invoice = self.invoice
        if not self.status and not (isinstance(invoice, Invoice) and invoice.token):
            raise Unreadable("the answer is about no invoice")
        return True

    def answers_credit(self, order: Order) -> bool:
        """Return whether this is the answer to the order's transfer."""
        if self.code() not in DONE:
            raise Unreadable("response_code is not 00")
        if self.transferred not in (None, order.amount):
            raise Unreadable("the answer is about another amount")
        if not self.transaction_id:
            raise Unreadable("the answer has no transaction_id")
        return True


def number(phone: str | None) -> str | None:
    """Read a payer's number, with its country code; None: the country is unknown."""
    if phone is None:
        return None
    with suppress(UsageError):
        return phone_digits(phone, {"SN"}, any_line=True)
    # PayDunya has checked that the number exists. Eleven digits or more include a country code; a
    # shorter one is a national number of an unknown country.
    told = bare_digits(phone)
    if told.startswith(("+", "00")) or len(told) > 10:
        return told.lstrip("+").removeprefix("00")
    return None
