"""`/get_payment_link/`: a page to pay by phone or card."""

from decimal import Decimal

from ...http import Request, post
from .answers import Transaction


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
