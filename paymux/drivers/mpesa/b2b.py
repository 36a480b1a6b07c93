"""B2B and tax: money to a paybill, a till, a B2C shortcode's float, or the revenue authority.

https://developer.safaricom.co.ke/apis/BusinessPayBill, /BusinessBuyGoods, /B2CAccountTopUp and
/TaxRemittance, as copied at https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs
@e875f3b). All of them empty the working (MMF) account, not the utility account.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values.money import whole
from .results import Ack
from .values import CREDENTIAL, addresses, credentials, customer, only_settings, shown

if TYPE_CHECKING:
    from . import Mpesa

B2B = "/mpesa/b2b/v1/paymentrequest"
TAX = "/mpesa/b2b/v1/remittax"
PAYBILL, TILL = "paybill:", "till:"
# "For this use case, only 572572 is allowed", and no other command: /TaxRemittance.
TAX_PAYEE = "paybill:572572"
LONGEST_BILL = 13  # characters, of which "#" and "/" are in the page's sample
OWN = "BusinessTransferFromMMFToUtility"  # between the accounts of one shortcode
# The first is that of a payee to whom no command is given. OWN is in the list of commands of
# https://github.com/safaricom/mpesa-php-sdk and on no page of today: Safaricom enables it.
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    PAYBILL: ("BusinessPayBill", "BusinessPayToBulk", OWN),
    TILL: ("BusinessBuyGoods",),
    TAX_PAYEE: ("PayTaxToKRA",),
}
# The fields that not every page has, beside those of all four.
_REQUESTER = frozenset({"BusinessPayBill", "BusinessBuyGoods", "BusinessPayToBulk"})
_OCCASION = frozenset({"BusinessPayBill", "BusinessBuyGoods"})
# Where the account at the payee decides whose bill or tax was paid.
_NEEDS_BILL = frozenset({"BusinessPayBill", "PayTaxToKRA"})

_REQUESTS = {path: post(path, Ack, None, credential=CREDENTIAL) for path in (B2B, TAX)}


def is_business(payee: str | None) -> bool:
    """Return whether a payee is a paybill or a till."""
    return payee is not None and payee.startswith((PAYBILL, TILL))


async def payout(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Ask for a payment; the answer says only that the request was accepted.

    It is sent once: no id of ours is in it, so M-Pesa would pay a second one as well.
    """
    name, credential = credentials(driver, "payout")
    command, payee = _command(driver, order), order.party or ""
    result, timeout = addresses(driver, order)
    body = {
        "Initiator": name,
        "SecurityCredential": credential,
        "CommandID": command,
        "SenderIdentifierType": "4",
        # "This API supports type 4 only", for tills as well; the page's spelling.
        "RecieverIdentifierType": "4",
        "Amount": str(whole(order.amount)),  # text, like each value of the page's sample
        "PartyA": driver.shortcode,
        "PartyB": payee.partition(":")[2],
        "AccountReference": _bill(order, command),
    }
    if "requester" in order.extra:
        body["Requester"] = customer(driver, "requester", order.extra["requester"])
    body |= {
        "Remarks": shown("description", order.description or "Payment", 100),
        "QueueTimeOutURL": timeout,
        "ResultURL": result,
    }
    if "occasion" in order.extra:
        body["Occassion"] = shown("occasion", order.extra["occasion"], 100)  # the page's spelling
    request = _REQUESTS[TAX if payee == TAX_PAYEE else B2B]
    ack = await send(request.with_body(body, Ack.accepts))
    return msgspec.structs.replace(
        driver.pending(order),
        provider_reference=ack.OriginatorConversationID,
        ids={"ConversationID": ack.named()},
    )


def _command(driver: "Mpesa", order: Order) -> str:
    """Return the command of an order, and refuse settings that its page does not have."""
    payee = order.party or ""
    allowed = _COMMANDS[payee if payee == TAX_PAYEE else f"{payee.partition(':')[0]}:"]
    command = order.extra.get("command_id", allowed[0])
    if command not in allowed:
        raise UsageError.field("command_id", command, ", ".join(allowed))
    if command == OWN and payee != f"{PAYBILL}{driver.shortcode}":
        accepted = f"{PAYBILL}{driver.shortcode}: {OWN} stays within this shortcode"
        raise UsageError.field("payee", payee, accepted)
    names = ["command_id"]
    if command in _REQUESTER:
        names.append("requester")
    if command in _OCCASION:
        names.append("occasion")
    only_settings(order, *names)
    return str(command)


def _bill(order: Order, command: str) -> str:
    """Return the account at the payee; where it decides whose bill is paid, it must be given."""
    if order.bill_reference is None and command in _NEEDS_BILL:
        why = "the account at the paybill; for a tax, the payment registration number (PRN)"
        raise UsageError.missing("bill_reference", why)
    bill = order.bill_reference or order.reference[:LONGEST_BILL]
    if len(bill) > LONGEST_BILL and command != "PayTaxToKRA":  # whose page states no length
        raise UsageError.field("bill_reference", bill, f"at most {LONGEST_BILL} characters")
    return bill
