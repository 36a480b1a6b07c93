"""Acknowledgements, and the results that Daraja posts later to ResultURL or QueueTimeOutURL.

https://developer.safaricom.co.ke/apis/BusinessToCustomer ("Response Body", "Callback payload"); the
same form at /BusinessToPochi, /Reversal, /TransactionStatus and /AccountBalance.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ...http import Question, WebhookRequest, ask
from ...models import Event, Payment, Status
from ...values.parsing import SCALARS, ProviderData, Text, Unreadable, amount, convert, text
from . import codes
from .values import CREDENTIAL, paid_at, phone

if TYPE_CHECKING:
    from . import Mpesa

_DAY_FIRST = re.compile(r"([0-9]{2})\.([0-9]{2})\.([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")


class Ack(ProviderData, frozen=True):
    """The answer to any request of an initiator: that it was understood, and no more."""

    OriginatorConversationID: Text = None
    ConversationID: Text = None
    ResponseCode: Text = None

    def accepts(self, ours: str | None = None) -> bool:
        """Return whether the request was accepted; `ours`: the id that it had from us."""
        if self.ResponseCode != "0":
            raise Unreadable("ResponseCode is not 0")
        if not self.ConversationID or not self.OriginatorConversationID:
            raise Unreadable("the answer has no ConversationID")
        return ours in (None, self.OriginatorConversationID)

    def named(self) -> str:
        """Return the id that the result will have."""
        return self.ConversationID or ""


class Result(ProviderData, frozen=True):
    """What became of a request; text or numbers, and nearly every field may be missing."""

    ResultType: Text = None
    ResultCode: Text = None
    ResultDesc: Text = None
    OriginatorConversationID: Text = None
    ConversationID: Text = None
    TransactionID: Text = None
    ResultParameters: Any = None

    @property
    def over(self) -> bool:
        """Return whether it is an end: ResultType 1 is "waiting for further messages"."""
        return self.ResultType == "0"

    def told(self) -> Mapping[str, str]:
        """Return the parameters: a list or one object, whose Value may be missing.

        Both samples of /TransactionStatus print DebitPartyName twice: the second is the credit
        party. Of any other key with two values, neither is believed.
        """
        inner = _spaceless(self.ResultParameters).get("ResultParameter")
        found: dict[str, str] = {}
        twice = set()
        for row in inner if isinstance(inner, list) else [inner]:
            fields = _spaceless(row)
            key, value = _plain(fields.get("Key")), _plain(fields.get("Value"))
            if key is None or value is None:
                continue
            key = key.replace(" ", "")
            if key == "DebitPartyName" and key in found:
                key = "CreditPartyName"
            if found.setdefault(key, value) != value:
                twice.add(key)
        return {key: value for key, value in found.items() if key not in twice}


class Answer(ProviderData, frozen=True):
    """The body that comes to a ResultURL."""

    fields: dict[str, Any] | None = msgspec.field(name="Result", default=None)

    def result(self) -> Result:
        """Return the result; https://github.com/Ghostscypher/php-mpesa has keys with spaces."""
        found = convert(Result, _spaceless(self.fields))
        if found.OriginatorConversationID is None and found.ConversationID is None:
            raise Unreadable("a result without an id")
        return found


def question(path: str, body: Mapping[str, str]) -> Question[Answer]:
    """Return a question of an API user, whose result is its answer."""
    return ask(
        path,
        Ack,
        body,
        answer=Answer,
        id_of=Ack.named,
        matches=Ack.accepts,
        credential=CREDENTIAL,
    )


def claims(driver: "Mpesa", said: Result) -> Payment:
    """Return what a result claims of a payout or refund; its kind is that of its path.

    Only a success has a receipt: a failure may have an id that looks like one (SG722NMVXQ with
    2001), or a dummy (SKE0000000).
    """
    told = said.told()
    status, reason = Status.PENDING, None
    if said.over:
        status, reason = codes.result(driver, None, said.ResultCode, said.ResultDesc)
    paid = status is Status.SUCCEEDED
    message = said.ResultDesc
    if said.ResultCode == codes.ALREADY_REVERSED:
        message = "The transaction has already been reversed, and not by this request"
    return Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        provider_reference=said.OriginatorConversationID,
        ids={"ConversationID": said.ConversationID} if said.ConversationID else {},
        status=status,
        amount=_amount(told),
        currency="KES",
        payee=number(told.get("ReceiverPartyPublicName")),
        receipt=(told.get("TransactionReceipt") or said.TransactionID) if paid else None,
        fee=amount(told.get("Charge")) or None,  # only the result of a reversal has it
        provider_status=said.ResultCode if said.over else None,
        reason=reason,
        message=message,
        paid_at=_completed(told) if paid else None,
    )


def waited(driver: "Mpesa", asked: str) -> Payment:
    """Return what is claimed if a request waited too long: nothing, so that it is asked for."""
    return Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        provider_reference=asked,
    )


def answer_id(driver: "Mpesa", incoming: WebhookRequest) -> str:
    """Return the ConversationID by which a result names the question that it answers."""
    said = driver.message(Answer, incoming).result()
    if not said.ConversationID:
        raise Unreadable("a result without a ConversationID")
    return said.ConversationID


def proof(driver: "Mpesa", event: Event, known: Payment) -> Payment | None:
    """Return what a result proves without a question, for an account without the status role.

    It came on the order's own secret path, and has our OriginatorConversationID and the
    ConversationID that was told to us alone. A success needs the order's amount as well; no
    documented failure has an amount. Anything less proves nothing.
    """
    said, kind = event.claims, known.kind
    if driver.status_role or kind not in ("payout", "refund"):
        return None
    own = (known.provider_reference, known.ids.get("ConversationID"))
    if (
        event.path_reference is None
        or (event.path_reference, event.path_use) != (known.reference, kind)
        or None in own
        or own != (said.provider_reference, said.ids.get("ConversationID"))
        or not said.status.terminal
    ):
        return known
    status, reason = codes.result(driver, kind, said.provider_status, said.message)
    if status is not said.status or (status is Status.SUCCEEDED and said.amount is None):
        return known
    return msgspec.structs.replace(said, kind=kind, reference=known.reference, reason=reason)


def number(party: str | None) -> str | None:
    """Return the number of "254705912645 - NICHOLAS JOHN SONGOK", never the name."""
    return phone((party or "").partition(" ")[0])


def _amount(told: Mapping[str, str]) -> Decimal | None:
    return amount(told.get("TransactionAmount") or told.get("Amount"))


def _completed(told: Mapping[str, str]) -> datetime | None:
    """Read 06.07.2024 22:48:52, or 20211114132711; both in East African time."""
    day_first = _DAY_FIRST.fullmatch(told.get("TransactionCompletedDateTime") or "")
    if day_first:
        day, month, year, *clock = day_first.groups()
        return paid_at("".join((year, month, day, *clock)))
    return paid_at(told.get("TransCompletedTime"))


def _spaceless(fields: Any) -> dict[str, Any]:
    given = fields.items() if isinstance(fields, dict) else ()
    return {key.replace(" ", ""): value for key, value in given}


def _plain(value: Any) -> str | None:
    return text(value) if isinstance(value, SCALARS) else None
