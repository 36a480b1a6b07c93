"""What CinetPay answers, and what its words and codes mean."""

import re
from collections.abc import Mapping
from typing import Any

from ...errors import AuthenticationFailed, ProviderError, RateLimited, Rejected
from ...models import Reason, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import ANY_OTHER_WORD, SAYS_NOTHING, UNPAID, Vocabulary, normalized
from ..base import Duplicate

# `data.status` of a check: https://docs.cinetpay.com/api/1.0-fr/checkout/verification; PENDING is
# in integrators' code. Waiting is not a failure:
# https://docs.cinetpay.com/api/1.0-en/checkout/notification. REFUSED is any end without payment:
# the page shows it together with 627, which says that the payer cancelled.
_ENDED = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
WORDS = Vocabulary(
    {
        "ACCEPTED": Status.SUCCEEDED,
        "REFUSED": (_ENDED, Reason.DECLINED),
        "WAITING_FOR_CUSTOMER": Status.PENDING,
        "PENDING": Status.PENDING,
    }
)
# The meaning of a code without `data.status`: the guide's table, and 607, 625, 638, 660, 661 from
# integrators' constants. 603, 606 and 804 (out of order, wrong settings) may be only about the
# request, and prove nothing alone. The same is true for a code that is not listed, because the
# provider has more codes than any page lists: with REFUSED it only says why, and with ACCEPTED it
# leaves the payment in doubt, because each documented success has "00".
CODES = Vocabulary(
    {
        "00": Status.SUCCEEDED,
        "201": Status.PENDING,
        "600": Status.FAILED,
        "602": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "603": UNPAID,
        "604": (Status.FAILED, Reason.WRONG_PIN),
        "606": UNPAID,
        "607": Status.PENDING,
        "623": Status.PENDING,
        "625": (Status.EXPIRED, Reason.EXPIRED),
        "627": (Status.CANCELLED, Reason.CANCELLED),
        "635": (Status.FAILED, Reason.UNKNOWN_PAYER),
        "636": (Status.FAILED, Reason.UNKNOWN_PAYER),
        "638": Status.PENDING,
        "641": (Status.FAILED, Reason.LIMIT),
        "642": (Status.FAILED, Reason.LIMIT),
        "660": Status.REFUNDED,
        "661": Status.PENDING,
        "662": Status.PENDING,
        "663": Status.PENDING,
        "664": Status.PENDING,
        "804": UNPAID,
        "807": (Status.FAILED, Reason.LIMIT),
        "808": (Status.FAILED, Reason.LIMIT),
        "809": (Status.FAILED, Reason.LIMIT),
        "810": (Status.FAILED, Reason.LIMIT),
        "811": (Status.FAILED, Reason.LIMIT),
        "812": (Status.FAILED, Reason.LIMIT),
        ANY_OTHER_WORD: UNPAID,
    },
    why={
        "631": Reason.LIMIT,
        "632": Reason.UNKNOWN_PAYER,
        "633": Reason.UNKNOWN_PAYER,
        "634": Reason.UNKNOWN_PAYER,
        "637": Reason.UNKNOWN_PAYER,
        "801": Reason.LIMIT,
        "803": Reason.WRONG_PIN,
    },
)
# The guide calls `message` the state of the payment. Its spelling varies, so other words say
# nothing.
MESSAGES = Vocabulary(
    {
        "SUCCES": Status.SUCCEEDED,
        "SUCCESS": Status.SUCCEEDED,
        "PAYMENT_FAILED": Status.FAILED,
        "INSUFFISENT_BALANCE": Status.FAILED,
        "INSUFFICIENT_BALANCE": Status.FAILED,
        "OTP_CODE_ERROR": Status.FAILED,
        "TRANSACTION_CANCEL": Status.CANCELLED,
        "ABONNEMENT_OR_TRANSACTIONS_EXPIRED": Status.EXPIRED,
        "PENDING": Status.PENDING,
        "WAITING_CUSTOMER_TO_VALIDATE": Status.PENDING,
        "WAITING_CUSTOMER_PAYMENT": Status.PENDING,
        "WAITING_CUSTOMER_OTP_CODE": Status.PENDING,
        "WAITING_CUSTOMER_PAYMENT_AT_OPERATOR_SIDE": Status.PENDING,
        ANY_OTHER_WORD: SAYS_NOTHING,
    }
)

# Errors of a request, not of a payment: "Problèmes fréquents" of the first page. 624 names two
# causes, a wrong apikey and a number that cannot be locked, so it is not certain that the
# credentials are wrong.
_REFUSALS: Mapping[str, type[ProviderError]] = {
    "403": Rejected,
    "429": RateLimited,
    "608": Rejected,
    "609": AuthenticationFailed,
    "613": AuthenticationFailed,
    "624": Rejected,
    "1010": Rejected,
}
# An amount out of bounds (641, 642) is a result in a check, and a refusal of a page. The guide
# promises an error for a transaction_id that was used before, and no page gives its code: it is 620
# (ERROR_DOUBLE_PAYEMNT in integrators' code), or any error whose text says so. If another error is
# taken for it, a check finds out.
_PAGE_REFUSALS: Mapping[str, type[ProviderError]] = {
    **_REFUSALS,
    "620": Duplicate,
    "641": Rejected,
    "642": Rejected,
}
_DUPLICATE = re.compile(r"(?<!NOT)_EXIST|ALREADY|DUPLI|DOUBLE_PAY|D[ÉE]J[ÀA]", re.IGNORECASE)


class Data(ProviderData, frozen=True):
    """The data of a page or of a payment; Unreadable: its amount cannot be read."""

    payment_token: Text = None
    payment_url: Text = None
    status: Text = None
    amount: Scalar = None
    currency: Text = None
    payment_method: Text = None
    payment_date: Scalar = None
    operator_id: Text = None
    phone_prefix: Scalar = None
    phone_number: Scalar = None
    metadata: Scalar | dict[str, Any] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        amount(self.amount)


NO_DATA = Data()


class Answer(ProviderData, frozen=True):
    """Every answer of CinetPay; an error has a description and no data."""

    code: Text = None
    message: Text = None
    description: Text = None
    api_response_id: Text = None
    data: Data | list[Any] | None = None

    @property
    def found(self) -> Data:
        """Return the data; empty if there is none."""
        return self.data if isinstance(self.data, Data) else NO_DATA

    def opens(self) -> bool:
        """Return whether this answer has the URL of a page."""
        url = self.found.payment_url or ""
        return self.code == "201" and url.startswith(("https://", "http://"))

    def speaks(self) -> bool:
        """Return whether this answer is about a payment, and not only about the request."""
        code = self.code
        return code is not None and (isinstance(self.data, Data) or normalized(code) in CODES)

    def answers_page(self) -> bool:
        """Return whether a page was opened."""
        if self.code != "201":
            raise Unreadable("code is not 201")
        if not self.opens():
            raise Unreadable("the answer has no payment_url")
        return True

    def answers_check(self) -> bool:
        """Return whether this answer says the state of a payment."""
        if not self.speaks():
            raise Unreadable("the answer is about no payment")
        return True

    def refusal(self, *, money: bool) -> ProviderError | None:
        """Return the error that this answer certainly is, or None."""
        code = self.code
        if not code or self.found.status or self.opens():
            return None
        message = self.message or ""
        kind = (_PAGE_REFUSALS if money else _REFUSALS).get(code)
        if money and _DUPLICATE.search(f"{message} {self.description}"):
            kind = Duplicate
        if kind is None:
            return None
        error = kind(message, code=code)
        error.reason = CODES.reasons.get(code)
        error.details = {"description": self.description} if self.description else None
        error.request_id = self.api_response_id
        return error
