"""M-Pesa Express: the push, the query about it, and its callback."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ...models import Reason, Status
from ...values.parsing import SCALARS, ProviderData, Scalar, Text, Unreadable, text
from ...values.status_words import (
    ANY_OTHER_WORD,
    SAYS_NOTHING,
    UNPAID,
    Vocabulary,
    normalized,
)
from .values import EAT, STAMP

PUSH = "/mpesa/stkpush/v1/processrequest"
QUERY = "/mpesa/stkpushquery/v1/query"

# Documentation, https://pypi.org/project/paylod/ and
# https://github.com/ronnyabuto/daraja-error-codes. Codes that prove neither a debit nor its absence
# are left out, and so are PENDING: 17 (internal error, or the same amount twice), 26 (busy), 1025
# and 9999 (the prompt was perhaps not sent), 1036 (no answer from the SMS centre), and new codes.
RESULTS = Vocabulary(
    {
        "0": Status.SUCCEEDED,
        "4999": Status.PENDING,
        "1031": (Status.CANCELLED, Reason.CANCELLED),
        "1032": (Status.CANCELLED, Reason.CANCELLED),
        "1019": (Status.EXPIRED, Reason.EXPIRED),
        "1037": (Status.EXPIRED, Reason.EXPIRED),
        "1": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        # Below or above the limits of a payment, a day, a balance.
        "2": (Status.FAILED, Reason.LIMIT),
        "3": (Status.FAILED, Reason.LIMIT),
        "4": (Status.FAILED, Reason.LIMIT),
        "8": (Status.FAILED, Reason.LIMIT),
        # Another transaction of this subscriber is in progress.
        "1001": (Status.FAILED, Reason.BUSY),
        # The meaning for STK; in other APIs it is about the initiator's password.
        "2001": (Status.FAILED, Reason.WRONG_PIN),
        # A debt contract; the sandbox answers it for every real phone.
        "E3008": (Status.FAILED, Reason.DECLINED),
        # No till has PartyB: https://github.com/SmoDav/mpesa/issues/50
        "SFC_IC0003": (Status.FAILED, Reason.OTHER),
        # The prompt is too long; product, till, credential.
        "1101": (Status.FAILED, Reason.OTHER),
        "1102": (Status.FAILED, Reason.OTHER),
        "2028": (Status.FAILED, Reason.OTHER),
        "2029": (Status.FAILED, Reason.OTHER),
        "8006": (Status.FAILED, Reason.OTHER),
    }
)
_PROCESSING = "THE TRANSACTION IS BEING PROCESSED"
_LOCKED = (
    "UNABLE TO LOCK SUBSCRIBER, A TRANSACTION IS ALREADY IN PROCESS FOR THE CURRENT SUBSCRIBER"
)
# The sentences in answers of the documentation and of integrators. Their wording varies, so any
# other sentence says nothing; but "being processed" is found in any of them.
SENTENCES = Vocabulary(
    {
        ANY_OTHER_WORD: SAYS_NOTHING,
        _PROCESSING: Status.PENDING,
        "THE SERVICE REQUEST IS PROCESSED SUCCESSFULLY": Status.SUCCEEDED,
        "REQUEST CANCELLED BY USER": UNPAID,
        "REQUEST CANCELED BY USER": UNPAID,
        "TRANSACTION HAS EXPIRED": UNPAID,
        "THE BALANCE IS INSUFFICIENT FOR THE TRANSACTION": UNPAID,
        "DS TIMEOUT USER CANNOT BE REACHED": UNPAID,
        "NO RESPONSE FROM USER": UNPAID,
        "THE INITIATOR INFORMATION IS INVALID": UNPAID,
        _LOCKED: UNPAID,
        "AN ERROR OCCURRED WHILE SENDING A PUSH REQUEST": UNPAID,
        "THE USER HAS A BAD DEBT CONTRACT": UNPAID,
        "THE OPERATOR DOES NOT EXIST": UNPAID,
    }
)


class _Item(msgspec.Struct, frozen=True):
    Name: Scalar = None
    Value: Any = None  # ignored if it is neither text nor a number


class _Metadata(msgspec.Struct, frozen=True):
    Item: list[_Item] | None = None


class Said(ProviderData, frozen=True):
    """What Daraja says about a push: acceptance, answer to a query, callback and fault."""

    MerchantRequestID: Text = None
    CheckoutRequestID: Text = None
    ResponseCode: Text = None
    CustomerMessage: Text = None
    ResultCode: Text = None  # a number in the callback, text in the query, and not always digits
    ResultDesc: Text = None
    CallbackMetadata: _Metadata | None = None
    request_id: Text = msgspec.field(default=None, name="requestId")
    fault: Text = msgspec.field(default=None, name="errorCode")
    fault_message: Text = msgspec.field(default=None, name="errorMessage")

    def answers_push(self) -> bool:
        """Return whether a push was accepted."""
        if self.ResponseCode != "0":
            raise Unreadable("ResponseCode is not 0")
        if not self.CheckoutRequestID:
            raise Unreadable("the answer has no CheckoutRequestID")
        return True

    def answers_query(self, asked: str) -> bool:
        """Return whether this answers a query for this id, which is not always repeated."""
        if self.fault:
            if self.fault == "500.001.1001" and self._processing():
                return True
            raise Unreadable("an error that does not say how the payment stands")
        if self.CheckoutRequestID not in (None, asked):
            raise Unreadable("the answer is about another CheckoutRequestID")
        if self.ResponseCode not in (None, "0"):
            raise Unreadable("ResponseCode is not 0")
        if not self.ResultCode:
            raise Unreadable("the answer has no ResultCode")
        return True

    def accepted(self) -> "Said":
        """Return an acceptance without the fields of a result: it is not an outcome."""
        if self.ResultCode is None and self.fault is None and self.CallbackMetadata is None:
            return self  # as nearly always; a copy costs a twentieth of a collect
        return msgspec.structs.replace(self, ResultCode=None, fault=None, CallbackMetadata=None)

    def figures(self) -> dict[str | None, str | None]:
        """Return what a callback claims about a payment."""
        listed = (self.CallbackMetadata.Item if self.CallbackMetadata else None) or []
        return {
            text(item.Name): text(item.Value) for item in listed if isinstance(item.Value, SCALARS)
        }

    def _processing(self) -> bool:
        told = filter(None, (self.ResultDesc, self.fault_message))
        return any(sentence(one) is _PROCESSING for one in told)


def sentence(told: str) -> str:
    """Return a sentence as a key of SENTENCES; any form of "being processed" has one key."""
    return _sentence(told[:200])  # a forger may send more


@lru_cache(maxsize=256)  # Daraja has few
def _sentence(told: str) -> str:
    words = told.lower()
    if "process" in words.partition("being")[2] or "process" in words.partition("still")[2]:
        return _PROCESSING
    return normalized(told)


@lru_cache(maxsize=64)
def signed(shortcode: str, passkey: str, second: int) -> Mapping[str, str]:
    """Sign a push or a query of this second.

    One Timestamp for both fields, else "Wrong credentials"; East African time, as integrators' code
    has it.
    """
    stamp = datetime.fromtimestamp(second, EAT).strftime(STAMP)
    password = b64encode(f"{shortcode}{passkey}{stamp}".encode())
    return {
        "BusinessShortCode": shortcode,
        "Password": password.decode(),
        "Timestamp": stamp,
    }
