"""Transaction status: asks for a payout or refund by its id, or for any payment by its receipt.

https://developer.safaricom.co.ke/apis/TransactionStatus, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b).

ResultCode 0 says that the question was answered; the parameter TransactionStatus says how the
payment stands. No source says how an unknown id is answered.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...errors import (
    AuthenticationFailed,
    CredentialRefused,
    Mismatch,
    Rejected,
    Unavailable,
    Unsupported,
    UsageError,
)
from ...http import Question, Send
from ...models import Kind, Payment, Status
from ...values.parsing import Unreadable, amount
from ...values.status_words import log_unproved_success
from . import codes
from .b2b import is_business
from .b2c import own_id
from .results import Answer, Result, number, question
from .till_push import CONVERSATION, RECEIPT
from .values import credentials, is_receipt, paid_at

if TYPE_CHECKING:
    from decimal import Decimal

    from . import Mpesa

STATUS = "/mpesa/transactionstatus/v1/query"

# The page of 2025 and four SDKs name it so. The page before, copied at
# https://github.com/amoskyalo/daraja-docs, has OriginatorConversationID, which in all other
# requests is the id of the request itself.
_BY_ID, _BY_ID_BEFORE, _BY_RECEIPT = (
    "OriginalConversationID",
    "OriginatorConversationID",
    "TransactionID",
)
_SHORTCODE = re.compile("([0-9]{5,7})(?![0-9])")


async def verify(driver: "Mpesa", send: Send, payment: Payment) -> Payment:
    """Ask for a payout or refund by its OriginatorConversationID."""
    asked = payment.provider_reference
    if not asked:
        raise UsageError.missing("provider_reference", "the OriginatorConversationID")
    return _by_id(driver, await _told(driver, send, payment, _BY_ID, asked), payment, asked)


async def find(driver: "Mpesa", send: Send, payment: Payment) -> Payment:
    """Ask for a payout by our reference, or for any payment by its receipt."""
    by_ours = payment.kind == "payout" and payment.reference is not None
    if not by_ours or is_business(payment.payee):
        named = payment.ids.get("TransID") or payment.ids.get(RECEIPT)
        receipt = payment.receipt or named
        if receipt is None:
            raise Unsupported(f"{driver.name} can be asked by reference for payouts only")
        if payment.reference is payment.provider_reference is None:
            receipt = receipt.upper()  # as a payer may have read it out
        if not is_receipt(receipt):
            raise UsageError.field("receipt", receipt, "1 to 40 letters and digits")
        told = await _told(driver, send, payment, _BY_RECEIPT, receipt)
        found = _by_receipt(driver, told, receipt)
        return _of_till(driver, found, told, payment) if "RequestRefID" in payment.ids else found
    asked = payment.ids.get(_BY_ID_BEFORE) or own_id(driver, payment.reference or "")
    found = _by_id(driver, await _told(driver, send, payment, _BY_ID, asked), payment, asked)
    # The id is made of our reference.
    return msgspec.structs.replace(found, reference=payment.reference)


async def _told(
    driver: "Mpesa", send: Send, payment: Payment, named: str, value: str
) -> Mapping[str, str]:
    """Ask, and return the parameters of the answer."""
    try:
        said = await send(_question(driver, payment, {named: value}))
    except Rejected as refused:
        # "Invalid TransactionID|OriginalConversationID", or one of the two
        fields = str((refused.details or {}).get("field")).split("|")
        unknown = refused.code == "400.002.02" and {_BY_RECEIPT, _BY_ID}.issuperset(fields)
        if named != _BY_ID or not unknown:
            raise
    else:
        return answered(driver, said.result())
    said = await send(_question(driver, payment, {_BY_ID_BEFORE: value}))
    return answered(driver, said.result())


def _question(driver: "Mpesa", payment: Payment, named: Mapping[str, str]) -> Question[Answer]:
    name, credential = credentials(driver, "look-up")
    paid_out = payment.kind == "payout" and not is_business(payment.payee)
    body = {
        "Initiator": name,
        "SecurityCredential": credential,
        "CommandID": "TransactionStatusQuery",
        **named,
        "PartyA": (paid_out and driver.b2c_shortcode) or driver.shortcode,
        "IdentifierType": "4",
        "ResultURL": "",
        "QueueTimeOutURL": "",
        "Remarks": "Status",
        "Occasion": "Status",
    }
    return question(STATUS, body)


def answered(driver: "Mpesa", said: Result) -> Mapping[str, str]:
    """Return the parameters of an answer to a question; any other result says nothing of money."""
    code = said.ResultCode or "none"
    if said.over and code == "0":
        return said.told()
    if said.over and code in codes.INITIATOR:
        wrong = code in codes.CREDENTIAL_REFUSED
        error = CredentialRefused if wrong else AuthenticationFailed
        refused = error(codes.INITIATOR[code], code=code)
        refused.account, refused.provider = driver.account, driver.name
        raise refused
    shown = code if code.replace("_", "").isalnum() and len(code) <= 16 else "of another form"
    # No source says how an unknown receipt is answered; the simulator answers with this code.
    unknown = ": it knows no such payment, or cannot say now" if code == "SFC_IC0003" else ""
    said_so = f"{driver.account}: the question was not answered: result code {shown}{unknown}"
    raise Unavailable(said_so)


def _by_id(driver: "Mpesa", told: Mapping[str, str], known: Payment, asked: str) -> Payment:
    """Read an answer about a payout or refund; an end needs one of its ids in the answer."""
    theirs = (told.get("OriginatorConversationID"), told.get("ConversationID"))
    ours = (asked, known.ids.get("ConversationID"))
    found = _payment(driver, told, known.kind or "payout")
    pairs = [pair for pair in zip(theirs, ours, strict=True) if None not in pair]
    paid = found.status is Status.SUCCEEDED
    own = theirs[0] == asked == known.ids.get(_BY_ID_BEFORE)
    if own and (paid or found.status is Status.PENDING):
        # A repeated request has our id, too, and a ConversationID of its own (result 15): whichever
        # paid, it is this payout. That one of them did not pay says nothing of the other.
        pairs = pairs[:1]
    if any(one != other for one, other in pairs):
        raise _other(driver, found, known, "provider_reference")
    if not pairs:
        found = _unproved(driver, found, "its OriginatorConversationID")
    conversation = theirs[1] if paid else ours[1] or theirs[1]
    return msgspec.structs.replace(
        found,
        provider_reference=asked,
        ids={"ConversationID": conversation} if conversation else {},
    )


def _by_receipt(driver: "Mpesa", told: Mapping[str, str], receipt: str) -> Payment:
    """Read an answer about a receipt: ours only if one party begins with our shortcode."""
    mine = (driver.shortcode, driver.b2c_shortcode, driver.till)
    debit, credit = [_shortcode(told.get(f"{one}PartyName")) for one in ("Debit", "Credit")]
    paid_out, collected = debit in mine, credit in mine
    found = _payment(driver, told, "payout" if paid_out else "collect")
    if told.get("ReceiptNo") != receipt:
        raise _other(driver, found, None, "receipt")
    if paid_out == collected:  # between others, or between our own accounts
        raise _other(driver, found, None, "account")
    if paid_out:
        return msgspec.structs.replace(
            found,
            provider_reference=told.get("OriginatorConversationID"),
            ids={"ConversationID": told["ConversationID"]} if "ConversationID" in told else {},
        )
    # No answer has the CheckoutRequestID of a push: its receipt is the id of such a payment.
    return msgspec.structs.replace(found, provider_reference=receipt, ids={"TransID": receipt})


def _of_till(driver: "Mpesa", found: Payment, told: Mapping[str, str], known: Payment) -> Payment:
    """Read an answer about the receipt in a till's callback; its ConversationID ties the two."""
    theirs, ours = told.get("ConversationID"), known.ids.get(CONVERSATION)
    if theirs is None or ours is None:
        found = _unproved(driver, found, "its ConversationID")
    elif theirs != ours:
        raise _other(driver, found, known, "provider_reference")
    return msgspec.structs.replace(
        found, provider_reference=known.provider_reference, ids={}, payer=None
    )


def _payment(driver: "Mpesa", told: Mapping[str, str], kind: Kind) -> Payment:
    status, reason = codes.transaction(driver, told.get("TransactionStatus"))
    paid = status is Status.SUCCEEDED
    found = Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind,
        live=driver.live,
        status=status,
        reason=reason,
        amount=amount(told.get("Amount")),
        currency="KES",
        payer=number(told.get("DebitPartyName")) if kind == "collect" else None,
        payee=number(told.get("CreditPartyName")) if kind == "payout" else None,
        receipt=told.get("ReceiptNo") if paid else None,
        fee=_fee(told.get("DebitPartyCharges")) if kind != "collect" else None,
        provider_status=told.get("TransactionStatus"),
        paid_at=paid_at(told.get("FinalisedTime")) if paid else None,
        created_at=paid_at(told.get("InitiatedTime")),
    )
    return driver.proved(found, "status")


def _unproved(driver: "Mpesa", found: Payment, missing: str) -> Payment:
    if found.status is Status.PENDING:
        return found
    log_unproved_success(driver.name, missing)
    return msgspec.structs.replace(
        found, status=Status.PENDING, reason=None, receipt=None, paid_at=None
    )


def _other(driver: "Mpesa", found: Payment, known: Payment | None, field: str) -> Mismatch:
    said = f"{driver.account}: the answer is about another payment"
    return Mismatch(said, payment=found, expected=known, fields=(field,))


def _fee(charges: str | None) -> "Decimal | None":
    """Read "Fee For B2C Payment|KES|22.40"; in any other form it is left out."""
    fields = (charges or "").split("|")
    try:
        return amount(fields[2]) if len(fields) == 3 and fields[1] == "KES" else None
    except Unreadable:
        return None


def _shortcode(party: str | None) -> str | None:
    found = _SHORTCODE.match(party or "")
    return found and found[1]
