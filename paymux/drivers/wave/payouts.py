"""Payouts: https://docs.wave.com/payout; each is executed before it is answered.

"Requests with the same idempotency key never send money more than once. (…) For system errors, mark
your transactions as pending, then retry them with the same key. There is no time limit." So the
same bytes are sent again, with a key that our reference makes, until the verb's deadline.
"""

import re
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...http import Request, post
from ...models import Order, Payment
from ...values import arguments
from ...values.money import whole
from ...values.parsing import amount, parse_time
from .answers import Payout, Recipient

if TYPE_CHECKING:
    from . import Wave

_MERCHANT = re.compile(r"am-[A-Za-z0-9]{1,40}", re.ASCII)


def request(order: Order) -> Request[Payout]:
    """Return the request for a payout: the receiver gets the whole amount, the fee is on top."""
    who = order.customer
    body = {
        "currency": order.currency,
        "receive_amount": str(whole(order.amount)),
        "mobile": f"+{order.party}",
        "name": " ".join(filter(None, (who.name, who.surname))) if who else "",
        "national_id": text_setting(order, "national_id", 255),
        "payment_reason": _shown(order.description),
        "client_reference": order.reference,
        "aggregated_merchant_id": merchant(order),
    }
    # The page takes up to 255 characters of any text; ours is as long for every reference.
    key = f"payout-{sha256(order.reference.encode()).hexdigest()}"
    return post(
        "/v1/payout",
        Payout,
        {name: said for name, said in body.items() if said},
        headers={"Idempotency-Key": key},
        repeatable=True,
        matches=partial(Payout.answers_order, order=order),
    )


def read(driver: "Wave", said: Payout) -> Payment:
    """Read a payout in an answer."""
    failed = said.payout_error
    words = {
        "payout.status": said.status,
        # An error without a code is unlisted, too.
        "payout_error": str(failed.error_code) if failed else None,
    }
    status, reason = driver.outcome(words)
    found = Payment(
        account=driver.account,
        provider=driver.name,
        kind="payout",
        live=driver.live,
        reference=said.client_reference,
        provider_reference=said.id,
        status=status,
        amount=amount(said.receive_amount),
        currency=said.currency,
        payee=(said.mobile or "").lstrip("+") or None,
        operator="WAVE",
        fee=amount(said.fee),
        provider_status=said.status,
        reason=reason,
        message=failed.error_message if failed else None,
        created_at=parse_time(said.timestamp),
    )
    return driver.proved(found, "payout")


def comparison(party: str, asked: Decimal, name: str, national_id: str) -> Request[Recipient]:
    """Return the request that compares a payee with Wave's records."""
    said = {
        "mobile": f"+{party}",
        "name": arguments.text("name", name, longest=255),
        "national_id": arguments.text("national_id", national_id, longest=255),
        "amount": str(whole(asked)),
        "currency": "XOF",
    }
    body = {field: value for field, value in said.items() if value}
    return post("/v1/verify_recipient/", Recipient, body, money=False)


def merchant(order: Order) -> str:
    """Return the aggregated merchant of an order, which only aggregators have."""
    given = text_setting(order, "aggregated_merchant_id", 255)
    if given and not _MERCHANT.fullmatch(given):
        raise UsageError.field("aggregated_merchant_id", given, "Wave's id, as am-7lks22ap113t4")
    return given


def text_setting(order: Order, name: str, longest: int) -> str:
    """Read a setting of `extra` that is text."""
    given: Any = order.extra.get(name, "")
    if not isinstance(given, str) or len(given) > longest or not given.isprintable():
        raise UsageError.field(name, given, f"printable text of at most {longest} characters")
    return given


def _shown(reason: str) -> str:
    if len(reason) > 40:
        accepted = "at most 40 characters: Wave shows it on the receipt"
        raise UsageError.field("description", reason, accepted)
    return reason
