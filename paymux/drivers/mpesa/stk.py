"""M-Pesa Express: the requests, and the payment that an answer or a callback describes.

Documentation: https://developer.safaricom.co.ke/ ("M-Pesa Express"), as transcribed at
https://github.com/amoskyalo/daraja-docs.
"""

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import Unsupported, UsageError
from ...http import Send, post
from ...models import Order, Payment, Status
from ...values.money import whole
from ...values.parsing import amount
from ...values.validation import checked_url
from ..base import reveal
from . import pull, status
from .express import PUSH, QUERY, Said, sentence, signed
from .values import only_settings, paid_at, phone, shown

if TYPE_CHECKING:
    from . import Mpesa

_PUSH = post(PUSH, Said, None, matches=Said.answers_push)
# While it is in progress, the answer is 200 with 4999, or 500:
# https://github.com/safaricom/LNMOnlineAndroidSample/issues/13
_QUERY = post(QUERY, Said, None, money=False, accept=(500,))


async def collect(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Push a prompt to the payer's phone; the answer says only that the push was accepted.

    The prompt shows `extra={"account_reference": …}`, else the first 12 characters of the
    reference.
    """
    if not 1 <= order.amount <= driver.max_amount:
        raise UsageError.field("amount", f"{order.amount:.20g}", f"1 to {driver.max_amount} KES")
    if order.extra:
        only_settings(order, "account_reference")
    if order.webhook_url is None:
        why = "M-Pesa tells the outcome there (or set webhook_base)"
        raise UsageError.missing("webhook_url", why)
    payer = driver.party("collect", order.party or "")
    reference = order.extra.get("account_reference", order.reference[:12])
    body = {
        **signed(driver.shortcode, reveal(driver.passkey), int(time.time())),
        "TransactionType": "CustomerBuyGoodsOnline" if driver.till else "CustomerPayBillOnline",
        "Amount": str(whole(order.amount)),  # text, like each value of the example in the page
        "PartyA": payer,
        "PartyB": driver.till or driver.shortcode,
        "PhoneNumber": payer,
        "CallBackURL": checked_url("webhook_url", order.webhook_url, http=driver.rehearsing),
        "AccountReference": shown("account_reference", reference, 12),
        "TransactionDesc": shown("description", order.description or "Payment", 13),
    }
    said = await send(_PUSH.with_body(body))
    return read(driver, said.accepted())


async def verify(driver: "Mpesa", send: Send, payment: Payment) -> Payment:
    """Look up by CheckoutRequestID; the answer has neither amount nor receipt.

    A payout or a refund is asked for in another way (status.py), and so is an adopted payment
    (pull.py).
    """
    if payment.kind == "payout" or payment.kind == "refund":  # noqa: PLR1714 - as fast as it can be
        return await status.verify(driver, send, payment)
    asked = payment.provider_reference
    if not asked or "TransID" in payment.ids:
        if driver.adopt_c2b and "TransID" in payment.ids:
            return await pull.verify(driver, send, payment)
        raise Unsupported("mpesa can be asked for a push only, and by its CheckoutRequestID")
    signature = signed(driver.shortcode, reveal(driver.passkey), int(time.time()))
    body = {**signature, "CheckoutRequestID": asked}
    query = _QUERY.with_body(body, partial(Said.answers_query, asked=asked))
    return read(driver, await send(query), asked)


def read(driver: "Mpesa", said: Said, asked: str | None = None) -> Payment:
    """Read what Daraja says about a push; amount and receipt are read only from a message."""
    code = said.ResultCode or said.fault
    described = said.ResultDesc
    fault = said.fault_message
    state, reason = Status.PENDING, None
    if code is not None:  # a sentence without a result is about the request
        state, reason = driver.outcome(
            {
                "ResultCode": said.ResultCode,
                "ResultDesc": described and sentence(described),
                "errorMessage": fault and sentence(fault),
            }
        )
    merchant = said.MerchantRequestID
    found = Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        provider_reference=said.CheckoutRequestID or asked,
        ids={"MerchantRequestID": merchant} if merchant else {},
        status=state,
        prompt=said.CustomerMessage,
        provider_status=code,
        reason=reason,
        message=described or fault,
    )
    return found if asked or said.CallbackMetadata is None else _figures(found, said)


def _figures(found: Payment, said: Said) -> Payment:
    """Add what a callback claims about the payment."""
    figures = said.figures()
    paid = figures.get("Amount")
    receipt = figures.get("MpesaReceiptNumber")
    return msgspec.structs.replace(
        found,
        ids={**found.ids, "receipt": receipt} if receipt else found.ids,
        amount=amount(paid),
        currency="KES" if paid else None,
        payer=phone(figures.get("PhoneNumber")),
        receipt=receipt,
        paid_at=paid_at(figures.get("TransactionDate")),
    )
