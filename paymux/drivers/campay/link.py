"""`/get_payment_link/`: a page to pay by phone or card."""

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ...http import Request, Send, post
from ...models import Payment
from ...values import arguments
from ...values.money import exact
from ...values.validation import checked_reference, checked_url
from .answers import Transaction

if TYPE_CHECKING:
    from . import CamPay


async def payment_link(
    driver: "CamPay",
    send: Send,
    *,
    amount: int | str | Decimal,
    reference: str,
    description: str = "",
    payer: str | None = None,
    return_url: str | None = None,
) -> Payment:
    """Open a page to pay by phone or card; opening it charges no payer.

    Until the payer opens it, verify raises NotFound.

    `amount` is in whole XAF.
    """
    reference = checked_reference(reference)
    description = arguments.text("description", description, longest=500)
    total = exact(amount, "XAF")
    party = None if payer is None else driver.party("collect", payer)
    back = None if return_url is None else checked_url("return_url", return_url)
    request = link_request(reference, total, description or reference, payer=party, return_url=back)
    page = driver.payment(await send(request))
    return msgspec.structs.replace(
        page, reference=reference, amount=total, currency="XAF", payer=party
    )


def link_request(
    reference: str,
    total: Decimal,
    description: str,
    *,
    payer: str | None,
    return_url: str | None,
) -> Request[Transaction]:
    """Return the request for a page; the request charges no payer."""
    body = {
        "amount": str(total),
        "currency": "XAF",
        "description": description,
        "external_reference": reference,
    }
    if payer:
        body["from"] = payer
    if return_url:
        body["redirect_url"] = return_url
        body["failure_redirect_url"] = return_url
    body["payment_options"] = "MOMO,CARD"
    return post(
        "/get_payment_link/",
        Transaction,
        body,
        money=False,
        matches=Transaction.answers_link,
    )
