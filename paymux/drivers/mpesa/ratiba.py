"""Ratiba: a standing order, by which M-Pesa itself takes an amount from a customer at intervals.

https://developer.safaricom.co.ke/apis/MpesaRatiba, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (MpesaRatiba.md, 15 August 2026), and before, at
https://github.com/amoskyalo/daraja-docs (v2/mpesa-ratiba.mdx). The product is commercial: Safaricom
adds it by contract.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from ...errors import BadWebhook, Rejected, UsageError
from ...http import Response, Send, post
from ...models import Reason
from ...primitives import coerce
from ...values.money import exact, whole
from ...values.parsing import ProviderData, Text, Unreadable, json_fields, text
from .registration import checked_callback
from .values import EAT, customer, shown

if TYPE_CHECKING:
    from . import Mpesa

CREATE = "/standingorder/v1/createStandingOrderExternal"
MAX_NAME = 100  # characters of a name; no page has a limit
MAX_REFERENCE, MAX_DESCRIPTION = 12, 13  # characters

Form = Literal["third-party", "customer"]
# The number of each interval depends on the form: 4 is "bi-weekly" in one, "monthly" in the other.
# A page's order of the words is the order of its numbers. Which form a contract has Safaricom says;
# the prompt of a first order of your own names the interval.
_FREQUENCIES: dict[str, tuple[str, ...]] = {
    "third-party": (
        *("one-off", "daily", "weekly", "bi-weekly", "monthly"),
        *("bi-monthly", "quarterly", "half-yearly", "yearly"),
    ),
    "customer": (
        *("one-off", "daily", "weekly", "monthly"),
        *("bi-monthly", "quarterly", "half-yearly", "yearly"),
    ),
}
# To a paybill, and to a till. "Marchant" is how the page of the older form spells it.
_TYPES = {
    "third-party": (
        "Standing Order Pay Bill External Third Party",
        "Standing Order Pay Merchant External Third Party",
    ),
    "customer": ("Standing Order Customer Pay Bill", "Standing Order Customer Pay Marchant"),
}
# The codes of the page after which there is no standing order. 1025 (the prompt could not be sent)
# is not one: at pushes it was seen of prompts that were paid.
_NOT_CREATED = {
    "1001": Reason.BUSY,
    "1032": Reason.CANCELLED,
    "1037": Reason.EXPIRED,
    "1051": Reason.OTHER,
    "2001": Reason.WRONG_PIN,
}
_REFUSALS = {**_NOT_CREATED, "1050": Reason.OTHER}  # the customer has one of that name
_CREATED = frozenset({"OKAY", "ACTIVE"})
_ACCEPTED = "200"


class StandingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A standing order for which the customer is asked now.

    `id` is the `id` of its result: it follows from the shortcode, the payer and the name. The form
    "customer" has none. `response_id` is what M-Pesa calls its answer.
    """

    id: str | None
    response_id: str | None
    message: str


class StandingOrderResult(msgspec.Struct, frozen=True, kw_only=True):
    """What M-Pesa says of a standing order; it is unsigned, and nothing can be asked for it.

    `created` is True or False as M-Pesa says, or None where that proves neither. `details` has the
    fields of a success under M-Pesa's names (amount, firstPaymentReminderDate, …).
    """

    id: str | None
    created: bool | None
    code: str | None
    reason: Reason | None
    message: str | None
    name: str | None
    details: dict[str, str]


class _Part(
    ProviderData,
    frozen=True,
    rename={
        "id": "responseRefID",
        "code": "responseCode",
        "words": "responseDescription",
        "result": "ResultDesc",
    },
):
    """A part of an answer."""

    id: Text = None
    code: Text = None
    words: Text = None
    result: Text = None


class Accepted(ProviderData, frozen=True):
    """An answer: whether the customer is asked."""

    header: _Part = msgspec.field(name="ResponseHeader")
    body: _Part = msgspec.field(name="ResponseBody", default_factory=_Part)

    def code(self) -> str | None:
        """Return the code, which is like those of HTTP; None: there is none, or there are two."""
        codes = {one.code for one in (self.header, self.body)} - {None}
        return codes.pop() if len(codes) == 1 else None

    def accepts(self) -> bool:
        """Return whether the customer is asked."""
        if self.code() != _ACCEPTED:
            raise Unreadable(f"responseCode is not {_ACCEPTED} alone")
        return True


def refusal(reply: Response) -> Rejected | None:
    """Return the refusal in an answer, if its code is one of the page's that ends it."""
    said = reply.read(Accepted)
    code = said and said.code()
    if said is None or code not in _REFUSALS:
        return None
    words = said.header.words or said.header.result or ""
    return Rejected(words, code=code, reason=_REFUSALS[code])


async def standing_order(
    driver: "Mpesa",
    send: Send,
    *,
    name: str,
    payer: str,
    amount: int | str | Decimal,
    frequency: str,
    start: date | str,
    end: date | str,
    bill_reference: str,
    callback_url: str,
    description: str = "Payment",
    form: Form = "third-party",
) -> StandingOrder:
    """Ask a customer to agree to a standing order; it moves no money now.

    Whether it was agreed to is told at `callback_url`, a URL of your own: read the message with
    `Mpesa.standing_order_result`. What is then taken comes in like any payment without a push.
    M-Pesa makes one standing order of a `name` for a customer: a call may be repeated when its
    answer was lost (Unavailable), and gets 1050 if the first was agreed to.

    `amount` is in whole shillings, `start` and `end` are days in Kenya (`date`, "2026-12-31").
    `frequency`: one-off, daily, weekly, bi-weekly, monthly, bi-monthly (each second month),
    quarterly, half-yearly, yearly. `form="customer"` is the older page's, whose numbers differ.
    """
    kind = _word("form", form, tuple(_FREQUENCIES))
    party, called = customer(driver, "payer", payer), shown("name", name, MAX_NAME)
    own = _id(driver, party, called) if kind == "third-party" else None
    body = {
        "StandingOrderName": called,
        **_receiver(driver, kind),
        "PartyA": party,
        "Amount": _amount(driver, amount),
        **_times(kind, frequency, start, end),
        **({"CustomStoId": own} if own else {}),
        "AccountReference": shown("bill_reference", bill_reference, MAX_REFERENCE),
        "TransactionDesc": shown("description", description, MAX_DESCRIPTION),
        "CallBackURL": checked_callback(driver, "callback_url", callback_url),
    }
    said = await send(post(CREATE, Accepted, body, money=False, matches=Accepted.accepts))
    words = said.header.words or ""
    return StandingOrder(id=own, response_id=said.header.id, message=words)


def _receiver(driver: "Mpesa", kind: str) -> dict[str, str]:
    return {
        "ReceiverPartyIdentifierType": "2" if driver.till else "4",
        "TransactionType": _TYPES[kind][bool(driver.till)],
        "BusinessShortCode": driver.till or driver.shortcode,
    }


def _id(driver: "Mpesa", payer: str, name: str) -> str:
    """Return the UUID of a standing order, the same one each time that it is asked for."""
    whole_name = f"standing-order:{driver.till or driver.shortcode}:{payer}:{name}"
    return str(uuid5(NAMESPACE_URL, whole_name))


def _amount(driver: "Mpesa", amount: int | str | Decimal) -> str:
    money = whole(exact(amount, "KES"))
    if not 1 <= money <= driver.max_amount:
        raise UsageError.field("amount", amount, f"1 to {driver.max_amount} KES")
    return str(money)


def _times(kind: str, frequency: object, start: object, end: object) -> dict[str, str]:
    """Return the fields that say when money is taken."""
    words = _FREQUENCIES[kind]
    interval = words.index(_word("frequency", frequency, words)) + 1
    first, last, today = _day("start", start), _day("end", end), datetime.now(EAT).date()
    if first < today:
        raise UsageError.field("start", str(first), f"{today} or later")
    if last < first:
        raise UsageError.field("end", str(last), f"{first}, the start, or later")
    days = {"StartDate": f"{first:%Y%m%d}", "EndDate": f"{last:%Y%m%d}"}
    return {**days, "Frequency": str(interval)}


def standing_order_result(body: bytes | str) -> StandingOrderResult:
    """Read the message that came to the `callback_url` of a standing order.

    Anyone who knows the URL can send one: keep it secret, and compare `id` with the order's. It
    is one result of a name that may have been asked for twice: a False does not undo a True. Answer
    with HTTP 200. BadWebhook: it is no such message.
    """
    content = body if type(body) is bytes else (coerce.text(body) or "").encode()
    try:
        fields = _folded(json_fields(content))
        header, rows = _folded(fields.get("responseheader")), _rows(fields.get("responsebody"))
        code = text(header["responsecode"])
    except (Unreadable, KeyError, TypeError) as error:
        raise BadWebhook(f"mpesa: not the result of a standing order: {error}") from None
    created = _created(code, rows)
    return StandingOrderResult(
        id=text(header.get("requestrefid")) or text(header.get("responserefid")),
        created=created,
        code=code,
        reason=_NOT_CREATED.get(code or "") if created is False else None,
        message=text(header.get("responsedescription")),
        name=next((value for key, value in rows if key.lower() == "standingordername"), None),
        details=dict(rows),
    )


def _created(code: str | None, rows: list[tuple[str, str]]) -> bool | None:
    """Return whether there is a standing order now; what contradicts itself proves nothing.

    After 1050 there is one of that name, which may be this one.
    """
    codes = {code, *(value for key, value in rows if key.lower() == "responsecode")}
    states = {value.upper() for key, value in rows if key.lower() == "status"}
    if codes == {"0"} and states and states <= _CREATED:
        return True
    refused = len(codes) == 1 and code in _NOT_CREATED and not states & _CREATED
    return False if refused else None


def _folded(said: object) -> dict[str, Any]:
    """Return a part with its keys in small letters: the page writes them in two ways."""
    if not isinstance(said, dict):
        raise Unreadable("a part is missing")
    return {key.lower(): value for key, value in said.items()}


def _rows(said: object) -> list[tuple[str, str]]:
    """Return the names and values of a result; some names come twice."""
    rows = _folded(said).get("responsedata", [])
    if not isinstance(rows, list):
        raise Unreadable("responseData is no list")
    parts = [_folded(one) for one in rows]
    found = [(text(one.get("name")), text(one.get("value"))) for one in parts]
    return [(name, value) for name, value in found if name is not None and value is not None]


def _word(field: str, value: object, accepted: tuple[str, ...]) -> str:
    if (word := coerce.text(value)) not in accepted:
        raise UsageError.field(field, value, ", ".join(accepted))
    return word


def _day(field: str, value: object) -> date:
    if coerce.is_a(value, date) and not coerce.is_a(value, datetime):
        return value
    try:
        return date.fromisoformat(coerce.text(value) or "")
    except ValueError:
        raise UsageError.field(field, value, 'a date, or text such as "2026-12-31"') from None
