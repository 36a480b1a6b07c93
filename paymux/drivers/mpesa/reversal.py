"""Reversal: the whole amount of a payment goes back to its payer.

https://developer.safaricom.co.ke/apis/Reversal, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b). No source shows a
part of an amount reversed, and that of a payout is done by hand in the portal (BusinessToCustomer,
FAQ 17).
"""

from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values.money import whole
from .results import Ack
from .values import CREDENTIAL, addresses, credentials, is_receipt, only_settings, shown

if TYPE_CHECKING:
    from . import Mpesa

REVERSAL = "/mpesa/reversal/v1/request"


async def refund(driver: "Mpesa", send: Send, order: Order, payment: Payment) -> Payment:
    """Ask for a reversal: accepted is PENDING, and it may fail hours later for lack of money."""
    name, credential = credentials(driver, "refund")
    only_settings(order)
    if payment.kind != "collect":
        accepted = "a collect: Daraja reverses no payout and no refund"
        raise UsageError.field("payment.kind", payment.kind, accepted)
    if payment.receipt is None:
        why = "M-Pesa reverses by receipt: pass the payment as `on_payment` or the journal has it"
        raise UsageError.missing("payment.receipt", why)
    if not is_receipt(payment.receipt):
        raise UsageError.field("payment.receipt", payment.receipt, "1 to 40 letters and digits")
    if payment.currency not in (None, "KES") or payment.amount != order.amount:
        paid = payment.amount if payment.amount is not None else "what was paid: find it first"
        accepted = f"the whole amount, {paid}: M-Pesa reverses no part of it"
        raise UsageError.field("amount", f"{order.amount:.20g}", accepted)
    result, timeout = addresses(driver, order)
    body = {
        "Initiator": name,
        "SecurityCredential": credential,
        "CommandID": "TransactionReversal",
        "TransactionID": payment.receipt,
        "Amount": str(whole(order.amount)),
        "ReceiverParty": driver.shortcode,
        "RecieverIdentifierType": "11",  # the page's spelling; the right one is refused
        "ResultURL": result,
        "QueueTimeOutURL": timeout,
        "Remarks": shown("reason", order.description or "Refund", 100, shortest=2),
    }
    ack = await send(post(REVERSAL, Ack, body, matches=Ack.accepts, credential=CREDENTIAL))
    return msgspec.structs.replace(
        driver.pending(order),
        provider_reference=ack.OriginatorConversationID,
        ids={"ConversationID": ack.named(), "OriginalTransactionID": payment.receipt},
    )
