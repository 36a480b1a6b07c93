"""Ratiba: a standing order, by which M-Pesa takes an amount from a customer again and again.

"2025": https://developer.safaricom.co.ke/apis/MpesaRatiba, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b). "2026": the same
page on 15 August 2026. Safaricom enables the product for a shortcode, by a contract.

- **The pages number the frequencies otherwise**: 4 is "monthly" on the one, and "every two weeks"
  on the other. By the wrong page M-Pesa takes the money twice as often, so `page` has no default.
  Ask Safaricom, and make an order on your own phone first. Each page has its transaction types;
  `transaction_type` is for another that Safaricom wrote to you.
- It posts no money, so it is for `run`: its request asks for a consent, which the customer gives
  with the PIN. What is taken later comes in like any payment without a push (c2b.py), whose
  `bill_reference` is that of the order: `adopt_c2b` tells of it.
- M-Pesa makes one order of a `name` for a customer. Make it of your own record ("Gym 4711"), and
  store it first: when an answer was lost, the same name makes no second order. 1050, here as
  `Rejected` or in the callback, says that the customer has it. Nothing is repeated by itself, for
  each request is a prompt.
- The callback (`callback_url`, such as `pool.webhook_url(account)`) is not signed, and nothing can
  be asked about it. So it is a hint and never a payment: `on_unconfirmed` hears of it, as an event
  whose `claims.ids` have StandingOrderCode ("0": created) and StandingOrderRef, until `dealt_with`.
"""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import NAMESPACE_URL, uuid5

import msgspec

from ...errors import AuthenticationFailed, ProviderError, Rejected, Unavailable, UsageError
from ...http import Response, Send, post
from ...models import Payment, Reason
from ...primitives import coerce
from ...values import arguments
from ...values.money import exact, whole
from ...values.parsing import SCALARS, ProviderData, Text, Unreadable, text
from ...values.validation import checked_url
from .account import Account
from .values import EAT, customer, shown

Page: TypeAlias = Literal["2025", "2026"]
Frequency: TypeAlias = Literal[
    "once",
    "daily",
    "weekly",
    "every_two_weeks",
    "monthly",
    "every_two_months",
    "quarterly",
    "half_yearly",
    "yearly",
]
RATIBA = "/standingorder/v1/createStandingOrderExternal"
# In the ids of what a callback claims. There is no provider's reference: that would name a payment.
REF, CODE, NAME, ORDER = (
    "StandingOrderRef",
    "StandingOrderCode",
    "StandingOrderName",
    "StandingOrderID",
)
_LONGEST_NAME = 60  # characters; no page has a limit
_SHORT = ("once", "daily", "weekly")
_LONG = ("every_two_months", "quarterly", "half_yearly", "yearly")
_FREQUENCIES: Mapping[str, Mapping[str, str]] = {
    page: {word: str(number) for number, word in enumerate(words, 1)}
    for page, words in {
        "2025": (*_SHORT, "monthly", *_LONG),
        "2026": (*_SHORT, "every_two_weeks", "monthly", *_LONG),
    }.items()
}
# By ReceiverPartyIdentifierType: 4 is a paybill, 2 a till. "Marchant" is the page's spelling. Those
# of 2026 are in code that called the sandbox and in https://pypi.org/project/daraja-sdk-py/2.0.0;
# a copy of the page has "External" for "Ext-" and "Pay Merchant" for "Merchant Payment".
_TYPES: Mapping[str, Mapping[str, str]] = {
    "2025": {
        "4": "Standing Order Customer Pay Bill",
        "2": "Standing Order Customer Pay Marchant",
    },
    "2026": {
        "4": "Standing Order Pay Bill Ext-Third Party",
        "2": "Standing Order Merchant Payment Ext-Third Party",
    },
}
# The pages' errors that an answer may have, and that prove that no prompt was sent. The others are
# about the prompt: 1025, 1032, 1037 and 2001 come in the callback.
_REFUSED: Mapping[str | None, str] = {
    "1001": "another prompt is open on this phone",
    "1050": "the customer has a standing order of this name, perhaps by a call without an answer",
    "1051": "a field is refused",
}
_UNKNOWN = (
    "whether the customer was asked is unknown. Wait for the callback, or ask again with the same"
    " name and never another: M-Pesa makes one standing order of a name, and answers 1050 if it"
    " has it"
)


class _Header(ProviderData, frozen=True):
    """Of the answer and of the callback."""

    ref: Text = msgspec.field(name="responseRefID", default=None)
    ours: Text = msgspec.field(name="requestRefID", default=None)
    code: Text = msgspec.field(name="responseCode", default=None)
    words: Text = msgspec.field(name="responseDescription", default=None)


class Accepted(ProviderData, frozen=True):
    """The answer: that the request was accepted, and no more."""

    ResponseHeader: _Header | None = None

    def header(self) -> _Header:
        """Return the header, empty if there is none."""
        return self.ResponseHeader or _Header()

    def accepts(self) -> bool:
        """Return whether the customer is asked."""
        if self.header().code != "200":
            raise Unreadable("responseCode is not 200")
        return True


class Callback(
    ProviderData, frozen=True, rename={"header": "responseHeader", "body": "responseBody"}
):
    """The outcome: the page prints its names with small and with large first letters."""

    header: _Header | None = None
    body: dict[str, Any] | None = None
    ResponseHeader: _Header | None = None
    ResponseBody: dict[str, Any] | None = None

    def told(self) -> Mapping[str, str]:
        """Return the rows of the body by their names in small letters: the first of each."""
        body = self.body or self.ResponseBody or {}
        rows = body.get("responseData") or body.get("ResponseData")
        found: dict[str, str] = {}
        for row in rows if isinstance(rows, list) else ():
            fields = row if isinstance(row, dict) else {}
            key, value = (_plain(fields, one) for one in ("name", "value"))
            if key and value:
                found.setdefault(key.lower(), value)
        return found


_CREATE = post(RATIBA, Accepted, None, money=False, matches=Accepted.accepts).sent_once()


async def standing_order(
    driver: Account,
    send: Send,
    *,
    name: str,
    payer: str,
    amount: int | str | Decimal,
    bill_reference: str,
    frequency: Frequency,
    start: str | date,
    end: str | date,
    description: str,
    callback_url: str,
    page: Page,
    transaction_type: str = "",
) -> str:
    """Ask a customer for a standing order: M-Pesa then takes `amount` at each date by itself.

    The customer consents with the PIN: no money moves now, and no journal has it. `amount` is in
    whole shillings; `start` and `end` are days in Kenya, such as "2026-12-24", today or later.
    `bill_reference` (12 characters) is the account of each payment, `description` has 13.
    **A lost answer is `Unavailable`: ask again with the same `name`, never another.** Which `page`
    your contract follows, and what comes to `callback_url`: `pydoc paymux.drivers.mpesa.ratiba`.
    Returns the id of the request, which its callback has as StandingOrderRef.
    """
    of_page = _word("page", page, _FREQUENCIES)
    numbers = _FREQUENCIES[of_page]
    body = {
        "StandingOrderName": shown("name", name, _LONGEST_NAME),
        **_receiver(driver, of_page, transaction_type),
        "PartyA": customer(driver, "payer", payer),
        "Amount": _shillings(driver, amount),
        **_days(start, end),
        "Frequency": numbers[_word("frequency", frequency, numbers)],
        "AccountReference": shown("bill_reference", bill_reference, 12),
        "TransactionDesc": shown("description", description, 13),
        "CallBackURL": checked_url("callback_url", callback_url, http=driver.rehearsing),
    }
    if of_page == "2026":
        body["CustomStoId"] = own_id(driver, body["PartyA"], body["StandingOrderName"])
    said = await _asked(send, body)
    return body.get("CustomStoId") or said.ref or ""


async def _asked(send: Send, body: Mapping[str, str]) -> _Header:
    """Let the customer be asked; what is unknown of it is said."""
    try:
        return (await send(_CREATE.with_body(body))).header()
    except Unavailable as error:
        raise Unavailable(f"{error}; {_UNKNOWN}", http_status=error.http_status) from None


def own_id(driver: Account, payer: str, name: str) -> str:
    """Return the CustomStoId of a standing order: the same whenever it is asked for."""
    return str(uuid5(NAMESPACE_URL, f"{driver.till or driver.shortcode}/{payer}/{name}"))


def refusal(reply: Response) -> ProviderError | None:
    """Return the refusal in an answer of any HTTP status, if its code is one that proves it."""
    header = (reply.read(Accepted) or Accepted()).header()
    code = header.code
    if code == "401" and reply.status == 401:
        return AuthenticationFailed(header.words or "", code=code)
    if code in _REFUSED:
        told = f" ({header.words[:200]})" if header.words else ""
        reason = Reason.BUSY if code == "1001" else None
        return Rejected(f"{_REFUSED[code]}{told}", code=code, reason=reason)
    return None


def claims(driver: Account, said: Callback) -> Payment:
    """Return what a callback claims: no payment, but what became of a standing order.

    Its TransactionID is that of the order, and no receipt, though it may look like one.
    """
    header, told = said.header or said.ResponseHeader or _Header(), said.told()
    ref, code = header.ours or header.ref, header.code
    if not ref or not code:
        raise Unreadable("a standing order's callback without its id or its code")
    rows = {NAME: told.get("standingordername"), ORDER: told.get("transactionid")}
    known = {name: value[:_LONGEST_NAME] for name, value in rows.items() if value}
    return Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        ids={REF: ref[:64], CODE: code[:16], **known},
        provider_status=code[:16],
        message=header.words and header.words[:200],
    )


def is_about_one(claimed: Payment) -> bool:
    """Return whether a message is about a standing order."""
    return REF in claimed.ids


def _receiver(driver: Account, page: str, given: object) -> dict[str, str]:
    """Return who is paid, and how the page calls that."""
    receiver = "2" if driver.till else "4"
    kind = coerce.text(given) == "" and _TYPES[page][receiver]
    return {
        "ReceiverPartyIdentifierType": receiver,
        "TransactionType": kind or shown("transaction_type", given, 100),
        "BusinessShortCode": driver.till or driver.shortcode,
    }


def _shillings(driver: Account, amount: object) -> str:
    shillings = whole(exact(amount, "KES"))
    if shillings > driver.max_amount:
        raise UsageError.field("amount", f"{shillings:.20g}", f"1 to {driver.max_amount} KES")
    return str(shillings)


def _days(start: object, end: object) -> dict[str, str]:
    """Return the first and the last day; none is in the past."""
    first, last = _day("start", start), _day("end", end)
    if first < (today := _now().astimezone(EAT).date()):
        raise UsageError.field("start", f"{first}", f"{today} or later")
    if last < first:
        raise UsageError.field("end", f"{last}", f"{first} (start) or later")
    return {"StartDate": f"{first:%Y%m%d}", "EndDate": f"{last:%Y%m%d}"}


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _word(field: str, value: object, known: Mapping[str, Any]) -> str:
    if (said := str(coerce.text(value))) not in known:
        raise UsageError.field(field, value, ", ".join(known))
    return said


def _day(field: str, value: object) -> date:
    """Read a day; a time would be another day in another zone."""
    accepted = "a day, such as 2026-12-24"
    if type(value) is date:
        return value
    said = arguments.text(field, value, accepted)
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise UsageError.field(field, value, accepted) from None


def _plain(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key, fields.get(key.title()))
    return text(value) if isinstance(value, SCALARS) else None
