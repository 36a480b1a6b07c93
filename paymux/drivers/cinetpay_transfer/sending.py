"""Sending money: https://docs.cinetpay.com/api/1.0-fr/transfert/etapes and …/utilisation.

A payee must be a contact of the account before money is sent there (724 otherwise), so a payout is
two requests. Adding a contact moves no money and may be repeated. One payee in each request: after
a lost answer, several would be several unknown outcomes.
"""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Customer, Order, Payment
from ...values.money import COUNTRIES, whole
from .answers import Answer

if TYPE_CHECKING:
    from . import CinetPayTransfer

CONTACT = "/v1/transfer/contact"
SEND = "/v1/transfer/money/send/contact"
# Countries by the prefix of their numbers. Benin and Niger are from the methods in CinetPay's own
# package cinetpay-python 0.1.0, the others from the currency table of its checkout.
PREFIXES = {
    "221": "SN",
    "223": "ML",
    "224": "GN",
    "225": "CI",
    "226": "BF",
    "227": "NE",
    "228": "TG",
    "229": "BJ",
    "237": "CM",
    "243": "CD",
}
MOST = 1_500_000  # XOF: 720 AMOUNT_TOO_LARGE (annexe), which says nothing of other currencies
STEP = 5  # integrators; no page says it

_CONTACT = post(CONTACT, Answer, None, money=False, form=True, matches=Answer.answers_contact)
_NOBODY = Customer()


async def payout(driver: "CinetPayTransfer", send: Send, order: Order) -> Payment:
    """Make the payee a contact, then send the money; the answer says only that it was accepted."""
    check(order)
    payee = str(order.party)
    prefix, phone = payee[:3], payee[3:]
    customer = order.customer or _NOBODY
    # A name and an e-mail stand in the page's sample; whether they are required is not said. What
    # the caller does not give is empty, and a refusal of it moves no money.
    person = {
        "prefix": prefix,
        "phone": phone,
        "name": customer.surname or customer.name or payee,
        "surname": (customer.name if customer.surname else None) or payee,
        "email": customer.email or "",
    }
    contact = (await send(_CONTACT.with_body(form(person)))).row()
    transfer = {
        "prefix": prefix,
        "phone": phone,
        "amount": str(whole(order.amount)),
        "client_transaction_id": order.reference,
        "notify_url": order.webhook_url,
    }
    if "payment_method" in order.extra:
        transfer["payment_method"] = order.extra["payment_method"]
    request = post(
        SEND,
        Answer,
        form(transfer),
        form=True,
        matches=partial(Answer.answers_order, order=order),
        known={"contact_lot": contact.lot} if contact.lot else None,
    )
    said = (await send(request)).row()
    # An accepted request is pending, whatever word stands in it: a check decides.
    return msgspec.structs.replace(
        driver.pending(order),
        provider_reference=said.transaction_id,
        provider_status=said.treatment_status,
        message=driver.message_of(said),
    )


def form(row: Mapping[str, str | None]) -> dict[str, str]:
    """Return the body: one field with a list in JSON, as the page's samples have it."""
    return {"data": msgspec.json.encode([row]).decode()}


def check(order: Order) -> None:
    """Refuse what CinetPay would refuse."""
    if order.amount % STEP:
        accepted = f"a multiple of {STEP}"
        raise UsageError.field("amount", f"{order.amount:.20g}", accepted)
    if order.currency == "XOF" and order.amount > MOST:
        raise UsageError.field("amount", f"{order.amount:.20g}", f"at most {MOST} XOF")
    if not order.webhook_url:
        raise UsageError.missing("webhook_url", "CinetPay requires one (725); set webhook_base")
    method = order.extra.get("payment_method", "OM")
    if not isinstance(method, str) or not method.isascii() or not method.isalnum():
        accepted = "a word of CinetPay's for the operator, such as 'OM'"
        raise UsageError.field("payment_method", method, accepted)


def checked_payee(payee: str, currency: str) -> str:
    """Return a payee's number, if CinetPay pays there in this currency."""
    lands = COUNTRIES[currency]
    if PREFIXES.get(payee[:3]) not in lands:
        served = sorted(lands.intersection(PREFIXES.values()))
        raise UsageError.field("payee", payee, f"a number of {', '.join(served)} for {currency}")
    return payee
