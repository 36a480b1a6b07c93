"""Which API collects from whom, and which pays whom.

Express prompts a phone, and B2B Express a till; B2C pays a phone and a small business's wallet, B2B
a paybill and a till.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...http import Send
from ...models import Order, Payment
from ..base import Driver, Facts
from . import b2b, b2c, stk, till_push

if TYPE_CHECKING:
    from . import Mpesa

# The pages of B2B and of the tax have no field with an id of ours: Daraja makes one, and tells it
# in the acknowledgement (https://developer.safaricom.co.ke/apis/BusinessPayBill). Two requests are
# two payments, and one whose acknowledgement was lost cannot be asked for.
_B2B = Facts(deduplicates=False, findable=False, not_found_final_after=None)


async def collect(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Ask a phone or a till for money."""
    prompt = till_push.collect if till_push.is_till(order.party) else stk.collect
    return await prompt(driver, send, order)


async def payout(driver: "Mpesa", send: Send, order: Order) -> Payment:
    """Send money to a phone, a wallet (`pochi:`), a paybill or a till."""
    pay = b2b.payout if b2b.is_business(order.party) else b2c.payout
    return await pay(driver, send, order)


def facts_of(driver: "Mpesa", order: Order | Payment) -> Facts:
    """Return the facts about the verb of an order: those of a payout differ by payee."""
    payee = order.party if isinstance(order, Order) else order.payee
    if order.kind == "payout" and b2b.is_business(payee):
        return _B2B
    return Driver.facts_of(driver, order)


def own_ids(driver: "Mpesa", order: Order) -> Mapping[str, str]:
    """Return our ids that the request of an order will have, before any answer.

    They are the reference that a push's prompt shows, the RequestRefID of a till's, and the
    OriginatorConversationID of B2C. Each of the last two becomes the provider's reference once
    M-Pesa has acknowledged it: until then nothing proves that M-Pesa has it.
    """
    if order.kind == "payout":
        if b2b.is_business(order.party):
            return {}
        return {"OriginatorConversationID": b2c.own_id(driver, order.reference)}
    shown = order.extra.get("account_reference")
    ids = {"AccountReference": shown} if isinstance(shown, str) else {}
    if till_push.is_till(order.party):
        ids["RequestRefID"] = till_push.own_id(driver, order.reference)
    return ids
