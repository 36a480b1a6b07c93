"""What CinetPay's transfer API answers, and what its codes and words mean.

Codes: https://docs.cinetpay.com/api/1.0-fr/transfert/annexe ("annexe" below); words:
https://docs.cinetpay.com/api/1.0-fr/transfert/statuts.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ...errors import AuthenticationFailed, NotFound, ProviderError, Rejected
from ...models import Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount, convert
from ...values.status_words import SAYS_NOTHING, Vocabulary
from ..base import Duplicate

DONE = "0"  # a number on success, while the code of an error is text
WAITS = "NOS"
# `treatment_status`: NEW, REC and NOS are called transitional there, VAL and REJ final. No page
# lists the words of `sending_status`, so they say nothing.
WORDS = Vocabulary(
    {
        "NEW": Status.PENDING,
        "REC": Status.PENDING,
        WAITS: Status.PENDING,
        "VAL": Status.SUCCEEDED,
        "REJ": Status.FAILED,
    }
)
# Errors of the annexe that tell what is wrong with a request, so that it moved nothing, each with
# our reason. Not among them: -1 OPERATION_ERROR, 709 and 710 EXECUTION_ERROR, 715 UNEXPECTED_ERROR
# and 804 OPERATOR_UNAVAILABLE, after which the money may be on its way.
REFUSALS: Mapping[str, Reason] = {
    "602": Reason.INSUFFICIENT_FUNDS,  # our transfer balance
    "704": Reason.OTHER,  # INVALID_PARAM
    "708": Reason.OTHER,  # NOT_ALLOWED
    "716": Reason.OTHER,  # DATA_NOT_VALID
    "717": Reason.UNKNOWN_PAYEE,  # ERROR_PHONE_NOT_PARTICULAR
    "718": Reason.OTHER,  # JSON_PARSE_ERROR
    "719": Reason.LIMIT,  # AMOUNT_TOO_SMALL
    "720": Reason.LIMIT,  # AMOUNT_TOO_LARGE
    "721": Reason.UNKNOWN_PAYEE,  # OPERATOR_NOT_AVAILABLE: "not supported by CinetPay"
    "724": Reason.UNKNOWN_PAYEE,  # ERROR_PHONE_NOT_MY_CONTACT
    "725": Reason.OTHER,  # MISSING_NOTIFY_URL
    "801": Reason.LIMIT,  # INVALID_AMOUNT
    "802": Reason.UNKNOWN_PAYEE,  # INVALID_PHONE
}
EXISTS = "805"  # CLIENT_TRANSACTION_ID_EXIST
KNOWN_CONTACT = "726"  # ERROR_PHONE_ALREADY_MY_CONTACT
_UNFOUND = "723"  # NOT_FOUND
_STALE = ("705", "706")  # EXPIRED_TOKEN, INVALID_TOKEN
_BAD_LOGIN = ("701", "703")  # INVALID_CREDENTIALS, INVALID_USER
# A code beside the word of a transfer, which no page shows: one of an error agrees with REJ alone,
# and says why. With any other word, or where the code is not listed, the transfer stays pending.
CODES = Vocabulary(
    {DONE: SAYS_NOTHING, **{code: (Status.FAILED, reason) for code, reason in REFUSALS.items()}}
)


class Row(ProviderData, frozen=True):
    """A contact or a transfer in an answer, or a transfer in a notification.

    Unreadable: its amount cannot be read.
    """

    code: Text = None
    status: Text = None
    lot: Text = None
    transaction_id: Text = None
    client_transaction_id: Text = None
    amount: Scalar = None
    receiver: Text = None
    receiver_e164: Text = None
    operator: Text = None
    treatment_status: Text = None
    comment: Text = None
    operator_transaction_id: Text = None
    validated_at: Scalar = None

    def __post_init__(self) -> None:
        super().__post_init__()
        amount(self.amount)


_NO_ROW = Row()


class Answer(ProviderData, frozen=True):
    """Every answer: an envelope whose `data` is an object, a list, or a list of lists.

    All three forms occur: an object in integrators' tests, a list of lists in
    https://docs.cinetpay.com/api/1.0-en/transfert/etapes. We send one row at a time.
    """

    code: Text = None
    message: Text = None
    description: Text = None
    data: Any = None

    def rows(self) -> list[Row]:
        """Return the rows; Unreadable: there is something else among them."""
        found: list[Any] = []
        match self.data:
            case [[*inner]]:
                found = inner
            case [*several]:
                found = several
            case dict(one):
                found = [one]
        return [convert(Row, one) for one in found]

    def row(self) -> Row:
        """Return the only row; Unreadable: there is none, or several, one of which is not ours."""
        rows = self.rows()
        if len(rows) != 1:
            raise Unreadable(f"{len(rows)} rows in place of one")
        return rows.pop()

    def answers_login(self) -> bool:
        """Return whether this is a login."""
        if self.code != DONE or not self.token:
            raise Unreadable(f"code {self.code}, or no token")
        return True

    @property
    def token(self) -> str:
        """The token of a login, or nothing."""
        found = self.data.get("token") if isinstance(self.data, dict) else None
        return found if isinstance(found, str) else ""

    def answers_contact(self) -> bool:
        """Return whether the payee is a contact now; it may have been one before."""
        if self.code != DONE or self.row().code not in (DONE, KNOWN_CONTACT):
            raise Unreadable(f"code {self.code}, and no contact")
        return True

    def answers_order(self, order: Order) -> bool:
        """Return whether a transfer was accepted; the answer may repeat the order's fields."""
        row = self._answers_about(client=order.reference, ours=None)
        if not row.transaction_id:
            raise Unreadable("the transfer has no transaction_id")
        if row.code not in (None, DONE):
            raise Unreadable(f"an accepted transfer with the error {row.code}")
        if amount(row.amount) not in (None, order.amount):
            raise Unreadable("the answer is about another amount")
        return True

    def answers_check(self, client: str | None, ours: str | None) -> bool:
        """Return whether this says the state of the transfer that was asked for."""
        row = self._answers_about(client=client, ours=ours)
        if not row.treatment_status:
            raise Unreadable("the transfer has no treatment_status")
        return True

    def _answers_about(self, *, client: str | None, ours: str | None) -> Row:
        if self.code != DONE:
            raise Unreadable(f"code {self.code}")
        row = self.row()
        said = ((row.client_transaction_id, client), (row.transaction_id, ours))
        if any(None not in pair and pair[0] != pair[1] for pair in said):
            raise Unreadable("the answer is about another transfer")
        return row

    def error_code(self) -> str | None:
        """Return the code of the error that this is, in the envelope or in its only row.

        "The envelope's code 0 may hold a row whose code is an error" (…/transfert/etapes). None: it
        is no error, or contradicts itself: a row that was accepted, or another code in each.
        """
        rows = self.rows()
        row = rows.pop() if rows else _NO_ROW
        if rows or row.transaction_id or row.treatment_status:
            return None
        if self.code == DONE:
            return row.code
        return self.code if row.code in (None, self.code) else None

    def refusal(self, *, money: bool, logs_in: bool, adds: bool) -> ProviderError | None:
        """Return the error that this answer certainly is, or None.

        `adds`: to a request that adds a contact, any error of its row is a refusal: no money moves.
        """
        code = self.error_code()
        if code is None:
            return None
        if code == self.code and code in (_BAD_LOGIN if logs_in else _STALE):
            return self._error(AuthenticationFailed, code)
        if code in REFUSALS or (adds and code not in (self.code, KNOWN_CONTACT)):
            return self._error(Rejected, code)
        if money:
            return self._error(Duplicate, code) if code == EXISTS else None
        return self._error(NotFound, code) if code == _UNFOUND else None

    def _error(self, kind: type[ProviderError], code: str) -> ProviderError:
        said = self.message if self.code == code else self.row().status
        error = kind(said or "", code=code)
        error.reason = REFUSALS.get(code)
        error.details = {"description": self.description} if self.description else None
        return error


class Funds(ProviderData, frozen=True):
    """The transfer balance."""

    available: Scalar = None


class Wallet(ProviderData, frozen=True):
    """The answer to a question for the balance."""

    code: Text = None
    data: Funds | list[msgspec.Raw] | None = None

    def answers(self) -> bool:
        """Return whether this says a balance."""
        if self.code != DONE or self.available is None:
            raise Unreadable(f"code {self.code}, or no available balance")
        return True

    @property
    def available(self) -> Any:
        """What can be paid out, as it was written."""
        return self.data.available if isinstance(self.data, Funds) else None
