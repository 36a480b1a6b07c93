"""What CinetPay's API of 2026 answers, and what its codes mean.

The codes are those of PyPI cinetpay-python 0.1.0, CinetPay's own (constants/statuses.py), and of
its sandbox documentation, as https://github.com/elinguiuriel/cinetpay-sdk @ad75a94 repeats it
(docs/cinetpay-sandbox-contract.md).
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from ...errors import AuthenticationFailed, NotFound, ProviderError, Rejected
from ...models import Order, Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import SAYS_NOTHING, Meaning, Vocabulary, normalized
from ..base import Duplicate

# 200 says that a request was accepted, and nothing of the payment.
_STATES: Mapping[str, tuple[str, Meaning]] = {
    "100": ("SUCCESS", Status.SUCCEEDED),
    "200": ("OK", SAYS_NOTHING),
    "2001": ("INITIATED", Status.PENDING),
    "2002": ("PENDING", Status.PENDING),
    "2003": ("EXPIRED", (Status.EXPIRED, Reason.EXPIRED)),
    "2004": ("OTP_ERROR", (Status.FAILED, Reason.WRONG_PIN)),
    "2005": ("INSUFFICIENT_BALANCE", (Status.FAILED, Reason.INSUFFICIENT_FUNDS)),
    "2006": ("USER_NOT_FOUND", (Status.FAILED, Reason.UNKNOWN_PAYER)),
    "2007": ("USER_IS_BLOCKED", (Status.FAILED, Reason.DECLINED)),
    "2008": ("OTP_EXPIRED", (Status.FAILED, Reason.EXPIRED)),
    "2010": ("FAILED", Status.FAILED),
    "2011": ("NOT_ALLOWED", (Status.FAILED, Reason.DECLINED)),
}
# A transfer has no one-time password, and CinetPay's own client does not call EXPIRED an end
# (is_final_status): of money that leaves, these prove nothing. That client calls FAILED and
# INSUFFICIENT_BALANCE ends; the other words name a payee who cannot be paid.
_TRANSFER_STATES: Mapping[str, tuple[str, Meaning]] = {
    **_STATES,
    **{code: (_STATES[code][0], Status.PENDING) for code in ("2003", "2004", "2008")},
    "2006": ("USER_NOT_FOUND", (Status.FAILED, Reason.UNKNOWN_PAYEE)),
    "2007": ("USER_IS_BLOCKED", (Status.FAILED, Reason.UNKNOWN_PAYEE)),
}
CODES = Vocabulary({code: meaning for code, (_, meaning) in _STATES.items()})
WORDS = Vocabulary(dict(_STATES.values()))
TRANSFER_CODES = Vocabulary({code: meaning for code, (_, meaning) in _TRANSFER_STATES.items()})
TRANSFER_WORDS = Vocabulary(dict(_TRANSFER_STATES.values()))

# Errors of a request. -1 OPERATION_ERROR is none of them: no page says what became of the money.
_TOKEN = {"1002": "INVALID_TOKEN", "1003": "EXPIRED_TOKEN", "1005": "INVALID_CREDENTIALS"}
_INVALID, _EXISTS, _NOT_FOUND = ("1004", "INVALID_PARAMS"), ("1200", "TRANSACTION_EXIST"), "404"
# What certainly refuses a transfer before it is one. FAILED (2010) may be the end of one.
_UNPAYABLE = ("2005", "2006", "2007", "2011")
_LOOK_UP_ERRORS: Mapping[str, tuple[str, type[ProviderError]]] = {
    **{code: (word, AuthenticationFailed) for code, word in _TOKEN.items()},
    _INVALID[0]: (_INVALID[1], Rejected),
    _NOT_FOUND: ("NOT_FOUND", NotFound),
}
_PAYMENT_ERRORS: Mapping[str, tuple[str, type[ProviderError]]] = {
    **{code: error for code, error in _LOOK_UP_ERRORS.items() if code != _NOT_FOUND},
    # CinetPay's client calls it final, which it is not: the first request may still be open.
    _EXISTS[0]: (_EXISTS[1], Duplicate),
}
_TRANSFER_ERRORS: Mapping[str, tuple[str, type[ProviderError]]] = {
    **_PAYMENT_ERRORS,
    **{code: (_STATES[code][0], Rejected) for code in _UNPAYABLE},
}
# The codes of an accepted request, in CinetPay's own client (http/http_client.py).
_ACCEPTED = frozenset({"100", "200", "2001", "2002"})


def digest(token: str) -> str:
    """Return what is kept of a token that proves messages: with it, no message can be forged."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


class Login(msgspec.Struct, frozen=True):
    """An access token; seconds."""

    access_token: str
    expires_in: float | None = None


class Wallet(ProviderData, frozen=True):
    """The balance of an account; no page shows all of the answer."""

    available_balance: Scalar = None
    currency: Text = None


class Details(ProviderData, frozen=True):
    """How far a payment is, in the answer to its request."""

    code: Text = None
    status: Text = None
    message: Text = None


class User(ProviderData, frozen=True):
    """Who pays or is paid."""

    phone_number: Text = None


_NO_DETAILS = Details()
_NO_USER = User()


class Answer(ProviderData, frozen=True):
    """Every answer about a payment or a transfer, every error, and every notification."""

    code: Text = None
    status: Text = None
    message: Text = None
    description: Text = None
    merchant_transaction_id: Text = None
    transaction_id: Text = None
    payment_token: Text = None
    payment_url: Text = None
    notify_token: Text = None
    amount: Scalar = None
    fee_amount: Scalar = None
    currency: Text = None
    phone_number: Text = None
    details: Details | list[Any] | Scalar = None
    user: User | list[Any] | Scalar = None

    @property
    def more(self) -> Details:
        """Return the details; empty if there are none."""
        return self.details if isinstance(self.details, Details) else _NO_DETAILS

    @property
    def phone(self) -> str | None:
        """Return the number of who pays or is paid."""
        user = self.user if isinstance(self.user, User) else _NO_USER
        return self.phone_number or user.phone_number

    def refusal(self, *, money: bool, transfer: bool) -> ProviderError | None:
        """Return the error that this answer certainly is, or None.

        A code whose word is another one's is none, nor is an answer that names a payment.
        """
        errors = _LOOK_UP_ERRORS
        if money:
            errors = _TRANSFER_ERRORS if transfer else _PAYMENT_ERRORS
        found = self._listed(errors)
        if found is None or self.code == "100":
            return None
        code, kind = found
        if kind is not Duplicate and (self.transaction_id or self.payment_token):
            return None
        error = kind(self.description or self.message or self.more.message or "", code=code)
        error.reason = TRANSFER_CODES.reasons.get(code)
        return error

    def _listed(
        self, errors: Mapping[str, tuple[str, type[ProviderError]]]
    ) -> tuple[str, type[ProviderError]] | None:
        for part in (self.more, self):
            word = normalized(part.status) if part.status else None
            for code, (listed, kind) in errors.items():
                if part.code == code and word in (None, listed):
                    return code, kind
                if part.code is None and word == listed:
                    return code, kind
        return None

    def speaks(self) -> bool:
        """Return whether this answer is about a payment, and not only about the request."""
        return self.merchant_transaction_id is not None

    def accepts(self, ours: str, order: Order, *, page: bool = False) -> bool:
        """Return whether an order was accepted; `page`: it has the URL of a page."""
        if self.code not in _ACCEPTED:
            raise Unreadable("its code is none of an accepted request")
        if self.merchant_transaction_id != ours:
            raise Unreadable("the answer is about another merchant_transaction_id")
        if not self.transaction_id:
            raise Unreadable("the answer has no transaction_id")
        if page and not (self.payment_url or "").startswith(("https://", "http://")):
            raise Unreadable("the answer has no payment_url")
        if amount(self.amount) not in (None, order.amount):
            raise Unreadable("the answer is about another amount")
        return True

    def answers(self, asked: str) -> bool:
        """Return whether this answers a look-up: by which id it was asked, it must repeat."""
        if self.code is None and self.status is None:
            raise Unreadable("the answer has no code")
        if not self.merchant_transaction_id:
            raise Unreadable("the answer has no merchant_transaction_id")
        if asked not in (self.transaction_id, self.merchant_transaction_id):
            raise Unreadable("the answer is about another payment")
        read = [amount(self.amount), amount(self.fee_amount)]  # or raises Unreadable
        return bool(read)
