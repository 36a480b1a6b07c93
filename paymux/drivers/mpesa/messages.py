"""Which of Daraja's messages one is, what it may prove, and how it is answered.

None of them is signed. Each page that has a message has its reader in its own file.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...http import Response, WebhookRequest
from ...models import Event, Payment
from ...values.parsing import Unreadable
from ..base import Driver
from . import c2b, ratiba, results, till_push

if TYPE_CHECKING:
    from . import Mpesa


def webhook(driver: "Mpesa", incoming: WebhookRequest) -> Event:
    """Read a callback of a push, a C2B message or a result; none is signed: nothing is proved."""
    message = driver.message(c2b.Message, incoming)
    if message.Result is not None:
        return driver.event(results.claims(driver, results.Answer(message.Result).result()))
    pushed = message.Body.callback if message.Body else None
    if pushed is not None and pushed.CheckoutRequestID and pushed.ResultCode:
        return driver.event(driver.payment(pushed))
    if message.Body is None and message.TransID:
        claims = c2b.claims(driver, message, message.TransID)
        return driver.event(claims, ping=message.asks())
    if message.request_id and message.result_code:
        callback = driver.message(till_push.Callback, incoming)
        return driver.event(till_push.claims(driver, callback, message.request_id))
    if message.CommandID and message.OriginatorConversationID:
        return driver.event(results.waited(driver, message.OriginatorConversationID))
    if message.ResponseHeader is not None or message.response_header is not None:
        return driver.event(ratiba.claims(driver, driver.message(ratiba.Callback, incoming)))
    raise Unreadable("neither a callback, nor a C2B message, nor a result")


def proof(driver: "Mpesa", event: Event, known: Payment) -> Payment | None:
    """Return what a confirmation, a result or a till's callback proves."""
    if "TransID" in event.claims.ids:
        return c2b.proof(driver, event, known)
    if "RequestRefID" in event.claims.ids:
        return till_push.proof(driver, event, known)
    return results.proof(driver, event, known)


def may_tell_of(driver: "Mpesa", event: Event, order: Payment) -> bool:
    """Return whether a confirmation may be about a push: same amount, account, visible digits.

    Safaricom sends a confirmation of each payment to the registered URL, also of a push, with
    the receipt of the push. What became of a standing order is about no payment at all.
    """
    if ratiba.is_about_one(event.claims):
        return False
    return Driver.may_tell_of(driver, event, order) and c2b.may_tell_of(event, order)


def acknowledge(driver: "Mpesa", event: Event, refused: str = "") -> Response:
    """Answer with a ResultCode; only a validation can be refused, with one of C2B's codes."""
    body: Mapping[str, Any] = {"ResultCode": 0, "ResultDesc": "Accepted"}
    if event.ping:
        body = driver.c2b_reply(not refused, c2b.refusal(refused))
    headers = {"content-type": "application/json"}
    return Response(status=200, headers=headers, body=msgspec.json.encode(body))
