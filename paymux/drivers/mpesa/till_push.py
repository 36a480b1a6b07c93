"""B2B Express Checkout: a prompt to another business, which pays from its till.

https://developer.safaricom.co.ke/apis/B2BExpressCheckout, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b). No page has a
question by its RequestRefID: it ends by its callback. That is not signed, so a success is asked for
by the receipt in it, and is believed if the answer has the callback's ConversationID as well, which
M-Pesa made and told to us alone. What proves that nothing was paid is believed on the order's
own secret path.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import msgspec

from ...errors import Rejected, UsageError
from ...http import Response, Send, post
from ...models import Event, Order, Payment, Reason, Status
from ...values.money import whole
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import UNPAID, StatusWords, Vocabulary, agreed_status, why
from ...values.validation import checked_url
from ..base import Pace
from .express import SENTENCES, sentence
from .values import is_receipt, only_settings, shown

if TYPE_CHECKING:
    from . import Mpesa

TILL_PUSH = "/v1/ussdpush/get-msisdn"
TILL_PAYER = "till:"
RECEIPT, CONVERSATION = "transactionId", "conversationID"  # of the callback, in a payment's ids
# The page's table of errors: 4201 and 4203 are errors of the network, and so they prove nothing.
_REFUSED: Mapping[str | None, str] = {
    "4102": "the merchant's KYC is not complete",
    "4104": "no nominated number is set for the till in the M-Pesa portal",
}
_SPEAKS: Mapping[str, StatusWords] = {
    "resultCode": Vocabulary(
        {
            "0": Status.SUCCEEDED,
            "4001": (Status.CANCELLED, Reason.CANCELLED),
            **dict.fromkeys(("4102", "4104"), (Status.FAILED, Reason.OTHER)),
        }
    ),
    # On the page it is Success or Failed, and complements the code.
    "status": Vocabulary({"SUCCESS": Status.SUCCEEDED, "FAILED": UNPAID}),
    "resultDesc": SENTENCES,
}
# A business may be slower than a customer. It is asked for only once its callback came.
PACE = Pace(first_look=60.0, watch_timeout=900.0, ages=(60.0, 300.0), by_callback=True)


class Started(ProviderData, frozen=True):
    """The acknowledgement, which has none of the request's ids."""

    code: Text = None
    status: Text = None

    def starts(self) -> bool:
        """Return whether the prompt was started."""
        if self.code != "0":
            raise Unreadable("code is not 0")
        return True


class Callback(
    ProviderData,
    frozen=True,
    rename={
        "code": "resultCode",
        "words": "resultDesc",
        "conversation": CONVERSATION,
        "receipt": RECEIPT,
    },
):
    """The outcome, flat; a success has a receipt, and a cancellation our paymentReference."""

    code: Text = None
    words: Text = None
    amount: Scalar = None  # text, as 71.0
    conversation: Text = None
    receipt: Text = None
    status: Text = None


def is_till(payer: str | None) -> bool:
    """Return whether a payer is a till."""
    return payer is not None and payer.startswith(TILL_PAYER)


def own_id(driver: "Mpesa", reference: str) -> str:
    """Return the RequestRefID of an order: the same for a reference, journal or not."""
    return str(uuid5(NAMESPACE_URL, f"{driver.shortcode}/{reference}"))


_PUSH = post(TILL_PUSH, Started, None, matches=Started.starts)


async def collect(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Prompt the till's nominated number; the answer says only that the prompt was started."""
    if driver.till:
        why_not = "nothing: a till cannot be paid so, only a paybill"
        raise UsageError.field("till", driver.till, why_not)
    if not driver.business_name:
        raise UsageError.missing("business_name", "the prompt shows it to the business that pays")
    only_settings(order, "account_reference")
    if order.webhook_url is None:
        why_url = "M-Pesa tells the outcome there (or set webhook_base)"
        raise UsageError.missing("webhook_url", why_url)
    held = driver.pending(order)
    reference = order.extra.get("account_reference", order.reference[:12])
    body = {
        "primaryShortCode": (order.party or "").removeprefix(TILL_PAYER),
        "receiverShortCode": driver.shortcode,
        "amount": str(whole(order.amount)),
        "paymentRef": shown("account_reference", reference, 12),
        "callbackUrl": checked_url("webhook_url", order.webhook_url, http=driver.rehearsing),
        "partnerName": shown("business_name", driver.business_name, 100),
        "RequestRefID": held.ids["RequestRefID"],
    }
    said = await send(_PUSH.with_body(body))
    return msgspec.structs.replace(
        held, provider_reference=held.ids["RequestRefID"], prompt=said.status
    )


def refusal(reply: Response) -> Rejected | None:
    """Return the refusal in an answer, if its code is one of the page's two that end it."""
    said = reply.read(Started) or Started()
    words = _REFUSED.get(said.code)
    return Rejected(words, code=said.code) if words else None


def claims(driver: "Mpesa", said: Callback, request: str) -> Payment:
    """Return what a callback claims; its receipt is a name to ask by, until it is proved."""
    spoken = {
        "resultCode": said.code,
        "status": said.status,
        "resultDesc": said.words and sentence(said.words),
    }
    status = agreed_status(driver.name, _SPEAKS, spoken, driver.secrets)
    paid = status is Status.SUCCEEDED
    ids = {"RequestRefID": request}
    if paid and said.receipt and is_receipt(said.receipt):
        ids[RECEIPT] = said.receipt
        if said.conversation:
            ids[CONVERSATION] = said.conversation[:64]
    return Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        provider_reference=request,
        ids=ids,
        status=status,
        amount=amount(said.amount),
        currency=None if said.amount is None else "KES",
        provider_status=said.code,
        reason=None if paid or status is Status.PENDING else why(_SPEAKS, spoken),
        message=said.words,
    )


def proof(driver: "Mpesa", event: Event, known: Payment) -> Payment | None:
    """Return what a callback proves on its own path, with our id and the amount of the order.

    A failure is believed. A success only names the receipt by which it is asked for; an account
    without the status role believes it.
    """
    said = event.claims
    own = (event.path_reference, event.path_use) == (known.reference, "collect")
    ours = known.ids.get("RequestRefID")
    if not own or said.provider_reference != ours or said.amount is None:
        return known
    told = msgspec.structs.replace(said, kind="collect", reference=known.reference)
    if said.status is not Status.SUCCEEDED:
        return told
    receipt = said.ids.get(RECEIPT)
    if receipt is None:
        return known
    if not driver.status_role:
        return msgspec.structs.replace(told, receipt=receipt)
    return msgspec.structs.replace(told, status=Status.PENDING, provider_status=None, message=None)
