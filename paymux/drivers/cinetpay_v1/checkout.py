"""A payment: `POST /v1/payment`, a page, or a push to a phone where the network is named.

https://github.com/elinguiuriel/cinetpay-sdk @ad75a94 docs/cinetpay-sandbox-contract.md; the limits
are those of PyPI cinetpay-python 0.1.0, validation.py.
"""

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Customer, Order, Payment, Status
from ...values.money import whole
from .answers import Answer
from .countries import method_of
from .ids import own_id

if TYPE_CHECKING:
    from . import CinetPayV1

PATH = "/v1/payment"
LONGEST_URL = 120
_LEAST, _MOST = 100, 2_500_000
_CHANNELS = ("PUSH", "OTP", "QRCODE")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_OTP = re.compile(r"[0-9]{4,6}", re.ASCII)
_COLLECT = post(PATH, Answer, None)


async def collect(driver: "CinetPayV1", send: Send, order: Order) -> Payment:
    """Open a payment page, at `checkout_url`; with `operator`, push to the payer's phone as well.

    The answer ends nothing: an integrator saw FAILED together with a page that could be paid.
    """
    ours, said = own_id("collect", order.reference), body(driver, order)
    accepts = partial(Answer.accepts, ours=ours, order=order, page="direct_pay" not in said)
    opened = driver.payment(await send(_COLLECT.with_body(said, accepts)))
    return msgspec.structs.replace(
        opened, reference=order.reference, status=Status.PENDING, reason=None
    )


def body(driver: "CinetPayV1", order: Order) -> dict[str, Any]:
    """Return the body of the request; what CinetPay would refuse is UsageError."""
    check_amount(order, _LEAST, _MOST)
    method, extra = method_of(driver.country, order), order.extra
    if method is not None and order.party is None:
        raise UsageError.missing("payer", "CinetPay asks on the phone of this network")
    buyer = order.customer
    if buyer is None:
        raise UsageError.missing("customer", "CinetPay needs the payer's name, surname and email")
    given, family = names(buyer)
    otp = extra.get("otp_code")
    fields = {
        "currency": order.currency,
        "payment_method": method,
        "merchant_transaction_id": own_id("collect", order.reference),
        "amount": whole(order.amount),
        "lang": one_of("lang", extra.get("lang", "fr"), ("fr", "en")),
        "designation": shown(order),
        "client_email": email(buyer),
        "client_first_name": given,
        "client_last_name": family,
        "client_phone_number": f"+{order.party}" if order.party else None,
        "success_url": address("return_url", order.return_url),
        "failed_url": address("cancel_url", order.cancel_url or order.return_url),
        "notify_url": address("webhook_url", order.webhook_url),
        "channel": one_of("channel", extra.get("channel", "OTP" if otp else "PUSH"), _CHANNELS),
        "direct_pay": True if method is not None else None,
        "otp_code": None if otp is None else otp_code(otp),
    }
    return {name: value for name, value in fields.items() if value is not None}


def check_amount(order: Order, least: int, most: int) -> None:
    """Refuse an amount beyond what CinetPay's own client lets pass."""
    if not least <= order.amount <= most:
        accepted = f"{least} to {most} {order.currency}"
        raise UsageError.field("amount", f"{order.amount:.20g}", accepted)


def shown(order: Order) -> str:
    """Return the text that the payer or the payee sees: the description, or the reference."""
    if len(order.description) > 255:
        raise UsageError.field("description", order.description, "at most 255 characters")
    return order.description.strip() or order.reference


def address(field: str, url: str | None) -> str:
    """Check a URL that CinetPay requires."""
    if not url:
        why = "CinetPay needs it (webhook_base makes the webhook_url)"
        raise UsageError.missing(field, why)
    if len(url) > LONGEST_URL:
        raise UsageError.field(field, url, f"a URL of at most {LONGEST_URL} characters")
    return url


def one_of(field: str, value: object, accepted: tuple[str, ...]) -> str:
    """Check a setting that has a few words."""
    if value not in accepted:
        raise UsageError.field(field, value, ", ".join(accepted))
    return str(value)


def otp_code(value: object) -> str:
    """Check a one-time password, which is not shown in an error."""
    if not isinstance(value, str) or not _OTP.fullmatch(value):
        raise UsageError.hidden("otp_code", "4 to 6 digits, as text")
    return value


def email(customer: Customer) -> str:
    """Return the payer's e-mail address, which CinetPay requires."""
    if not customer.email:
        raise UsageError.missing("customer.email", "CinetPay requires it of every payer")
    if not _EMAIL.fullmatch(customer.email) or len(customer.email) > 255:
        raise UsageError.field("customer.email", customer.email, "an e-mail address")
    return customer.email


def names(customer: Customer) -> tuple[str, str]:
    """Return the payer's given and family name; a `name` alone is both, at its first space."""
    given, family = (customer.name or "").strip(), (customer.surname or "").strip()
    if not family:
        given, _, family = given.partition(" ")
        family = family.strip()
    for field, name in (("customer.name", given), ("customer.surname", family)):
        if not 2 <= len(name) <= 255:
            accepted = "2 to 255 characters: CinetPay requires a given and a family name"
            raise UsageError.field(field, name, accepted)
    return given, family
