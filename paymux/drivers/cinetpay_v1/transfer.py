"""A transfer: `POST /v1/transfer`, money to a phone.

https://github.com/elinguiuriel/cinetpay-sdk @ad75a94 docs/cinetpay-sandbox-contract.md; the limits
are those of PyPI cinetpay-python 0.1.0, validation.py.
"""

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...http import Send, post
from ...models import Order, Payment, Status
from ...values.money import whole
from .answers import Answer
from .checkout import address, check_amount, shown
from .countries import needed_method
from .ids import own_id

if TYPE_CHECKING:
    from . import CinetPayV1

PATH = "/v1/transfer"
# The documentation of its client says 500, and its check lets 100 pass.
_LEAST, _MOST = 100, 1_500_000
_PAYOUT = post(PATH, Answer, None)


async def payout(driver: "CinetPayV1", send: Send, order: Order) -> Payment:
    """Send money to a phone, from the account's balance; `operator` is the phone's network."""
    check_amount(order, _LEAST, _MOST)
    ours = own_id("payout", order.reference)
    body = {
        "currency": order.currency,
        "merchant_transaction_id": ours,
        "phone_number": f"+{order.party}",
        "amount": whole(order.amount),
        "payment_method": needed_method(driver.country, order),
        "reason": shown(order),
        "notify_url": address("webhook_url", order.webhook_url),
    }
    accepts = partial(Answer.accepts, ours=ours, order=order)
    accepted = driver.payment(await send(_PAYOUT.with_body(body, accepts)), kind="payout")
    if accepted.status is not Status.SUCCEEDED:  # only a look-up proves a failure
        accepted = msgspec.structs.replace(accepted, status=Status.PENDING, reason=None)
    return msgspec.structs.replace(accepted, reference=order.reference)
