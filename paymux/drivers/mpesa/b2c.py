"""B2C v3 and B2Pochi: money to a phone's account, or to its business account (Pochi la Biashara).

https://developer.safaricom.co.ke/apis/BusinessToCustomer and /BusinessToPochi, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b).
"""

import re
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values.money import whole
from .results import Ack
from .values import CREDENTIAL, addresses, credentials, only_settings, shown

if TYPE_CHECKING:
    from . import Mpesa

B2C = "/mpesa/b2c/v3/paymentrequest"
POCHI = "/mpesa/b2pochi/v1/paymentrequest"
POCHI_PAYEE = "pochi:"
COMMANDS = ("BusinessPayment", "SalaryPayment", "PromotionPayment")
LEAST = 10  # shillings, as of the FAQ

# The page calls ids "less than 20 characters" and shows one of 25; UUIDs, of 36, are in use:
# https://github.com/global-121/121-platform
_OWN_ID = re.compile("[A-Za-z0-9_-]{1,36}")


def own_id(driver: "Mpesa", reference: str) -> str:
    """Return the OriginatorConversationID of a payout: the same for a reference, journal or not.

    Whether its namespace is ours alone is not published, so it begins with the shortcode, as that
    of the page's sample does.
    """
    paying = driver.b2c_shortcode or driver.shortcode
    plain = f"{paying}_{reference}"
    if _OWN_ID.fullmatch(plain):
        return plain
    return f"{paying}_{sha256(reference.encode()).hexdigest()[:28]}"


_REQUESTS = {path: post(path, Ack, None, credential=CREDENTIAL) for path in (B2C, POCHI)}


async def payout(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Ask for a payout; the answer says only that the request was accepted."""
    name, credential = credentials(driver, "payout")
    if not LEAST <= order.amount <= driver.max_amount:
        accepted = f"{LEAST} to {driver.max_amount} KES"
        raise UsageError.field("amount", f"{order.amount:.20g}", accepted)
    only_settings(order, "command_id", "occasion")
    if order.bill_reference is not None:
        accepted = "nothing: only a paybill or till has accounts (paybill:…, till:…)"
        raise UsageError.field("bill_reference", order.bill_reference, accepted)
    path, command, payee = B2C, order.extra.get("command_id", COMMANDS[0]), order.party or ""
    if payee.startswith(POCHI_PAYEE):
        path, command = POCHI, order.extra.get("command_id", "BusinessPayToPochi")
    allowed = COMMANDS if path == B2C else ("BusinessPayToPochi",)
    if command not in allowed:
        raise UsageError.field("command_id", command, ", ".join(allowed))
    result, timeout = addresses(driver, order)
    ours = own_id(driver, order.reference)
    body = {
        "OriginatorConversationID": ours,
        "InitiatorName": name,
        "SecurityCredential": credential,
        "CommandID": command,
        "Amount": str(whole(order.amount)),  # text, like each value of the page's sample
        "PartyA": driver.b2c_shortcode or driver.shortcode,
        "PartyB": payee.removeprefix(POCHI_PAYEE),
        "Remarks": shown("description", order.description or "Payment", 100, shortest=2),
        "QueueTimeOutURL": timeout,
        "ResultURL": result,
    }
    if "occasion" in order.extra:
        body["Occassion"] = shown("occasion", order.extra["occasion"], 100)  # the page's spelling
    ack = await send(_REQUESTS[path].with_body(body, partial(Ack.accepts, ours=ours)))
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind="payout",
        live=driver.live,
        provider_reference=ours,
        ids={"OriginatorConversationID": ours, "ConversationID": ack.named()},
    )
