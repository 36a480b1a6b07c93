"""What PayDunya says, to a request and in a message, and what its words mean."""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ...errors import UsageError
from ...models import Order, Reason, Status
from ...values.parsing import Scalar, require, text
from ...values.phone import bare_digits, phone_digits
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary

DONE = frozenset({"00", "0"})  # the page has "00"; PayDunya's own code compares it as a number
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)

STATUS = Vocabulary(
    {
        "PENDING": Status.PENDING,
        "COMPLETED": Status.SUCCEEDED,
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "FAILED": Status.FAILED,  # on the page in its section on callbacks only
    }
)
# `fail_reason` and `errors` are free text of a try, of which a page allows several; the page shows
# one sentence.
FAIL_REASON = Vocabulary({"PAYMENT CANCELLED BY CUSTOMER": UNPAID, ANY_OTHER_WORD: SAYS_NOTHING})

_TRANSFERRED = re.compile(r"Amount of ([0-9]{1,15}) FCFA", re.ASCII)

# PHP writes an empty object as an empty list.
_Tree: TypeAlias = dict[str, Any] | list[Any] | str | None


class Answer(msgspec.Struct, frozen=True):
    """What PayDunya says: to any request, and of an invoice alike in a message (the IPN)."""

    response_code: Scalar | list[Scalar] = None
    response_text: Scalar = None  # of an invoice made, the address of its page
    description: Scalar = None
    token: Scalar = None
    transaction_id: Scalar = None
    hash: Scalar = None
    invoice: _Tree = None
    custom_data: _Tree = None
    mode: Scalar = None
    status: Scalar = None
    fail_reason: Scalar = None  # of cards; of mobile money it is in `errors` (integrators' code)
    errors: _Tree = None
    customer: _Tree = None
    receipt_url: Scalar = None
    receipt_identifier: Scalar = None
    provider_reference: Scalar = None

    def code(self) -> str | None:
        """Give the code as text; of several, the first."""
        code = self.response_code
        return text((code or [None])[0] if isinstance(code, list) else code)

    @property
    def transferred(self) -> Decimal | None:
        """Give the amount that the description of a transfer repeats."""
        echo = _TRANSFERRED.search(text(self.description) or "")
        return Decimal(echo[1]) if echo else None

    def answers_create(self) -> bool:
        """Tell whether a page was made."""
        require(self.code() in DONE, "response_code is not 00")
        page = text(self.response_text) or ""
        require(page.startswith(("https://", "http://")), "the answer has no address of a page")
        return require(TOKEN.fullmatch(text(self.token) or ""), "the answer has no token")

    def answers_confirm(self) -> bool:
        """Tell whether this is an invoice at all, and no error without the documented fields."""
        require(self.code() in DONE, "response_code is not 00")
        told = text(self.status) or tree(self.invoice).get("token")
        return require(told is not None, "the answer is about no invoice")

    def answers_credit(self, order: Order) -> bool:
        """Tell whether this answers the order's transfer."""
        require(self.code() in DONE, "response_code is not 00")
        require(self.transferred in (None, order.amount), "the answer is about another amount")
        return require(text(self.transaction_id), "the answer has no transaction_id")


def tree(value: object) -> dict[str, Any]:
    """Give an object, empty where PHP wrote something else."""
    return value if isinstance(value, dict) else {}


def number(phone: str | None) -> str | None:
    """Read a payer's number, with the code of its country where it says one."""
    if phone is None:
        return None
    with suppress(UsageError):
        return phone_digits(phone, {"SN"}, any_line=True)
    # Whether there is such a number was PayDunya's to check. Eleven digits or more have a country's
    # code, and a shorter one is a national number of a country that is not said.
    told = bare_digits(phone)
    if told.startswith(("+", "00")) or len(told) > 10:
        return told.lstrip("+").removeprefix("00")
    return None
