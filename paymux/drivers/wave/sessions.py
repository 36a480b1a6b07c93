"""Checkout sessions: the request that opens one. https://docs.wave.com/checkout."""

from functools import partial

from ...errors import UsageError
from ...http import Request, post
from ...models import Order
from ...values.money import whole
from .answers import Session
from .payouts import merchant


def session_request(order: Order) -> Request[Session]:
    """Return the request for a session; unknown fields are refused, so there are no others."""
    if not order.return_url:
        raise UsageError.missing("return_url", "Wave leads the payer there after the payment")
    if "national_id" in order.extra:
        accepted = "nothing: it is of a payout alone"
        raise UsageError.field("extra", "national_id", accepted)
    body = {
        "amount": str(whole(order.amount)),
        "currency": order.currency,
        "success_url": order.return_url,
        "error_url": order.cancel_url or order.return_url,
        "client_reference": order.reference,
        "restrict_payer_mobile": f"+{order.party}" if order.party else "",
        "aggregated_merchant_id": merchant(order),
    }
    return post(
        "/v1/checkout/sessions",
        Session,
        {name: said for name, said in body.items() if said},
        matches=partial(Session.answers_order, order=order),
    )
