"""C2B: money that a payer sent without a push, reported in validations and confirmations."""

import re
from hashlib import sha256
from typing import Any

import msgspec

from ...errors import UsageError
from ...models import Payment
from ...primitives import coerce
from ...values.parsing import ProviderData, Text, amount
from ..base import Driver
from .express import Said
from .values import paid_at, phone

_CODES = "C2B0001[1-6]"


class _Body(msgspec.Struct, frozen=True):
    callback: Said | None = msgspec.field(name="stkCallback", default=None)


class Message(ProviderData, frozen=True):
    """An STK callback is a `Body`, and a result a `Result`; a C2B message is flat, and all text.

    A request that waited too long may come back, flat, with our credential in it: only the id is
    read (https://github.com/global-121/121-platform, safaricom-timeout-callback.dto.ts).
    """

    Body: _Body | None = None
    Result: dict[str, Any] | None = None
    CommandID: Text = None
    OriginatorConversationID: Text = None
    TransID: Text = None
    TransTime: Text = None
    TransAmount: Text = None
    BillRefNumber: Text = None
    OrgAccountBalance: Text = None  # blank in a validation: documentation, v2/c2b.mdx
    MSISDN: Text = None  # masked, or a hash

    def asks(self) -> bool:
        """Return whether this is a validation, which only asks."""
        return self.OrgAccountBalance is None


def claims(driver: Driver, said: Message, number: str) -> Payment:
    """Return what a C2B message claims about the payment with this TransID."""
    payer = said.MSISDN
    ids = {"receipt": number, "TransID": number}
    if payer:
        ids["MSISDN"] = payer[:64]
    return Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        reference=said.BillRefNumber,
        provider_reference=number,
        ids=ids,
        amount=amount(said.TransAmount),
        currency="KES" if said.TransAmount else None,
        payer=phone(payer),
        receipt=number,
        paid_at=paid_at(said.TransTime),
    )


def may_be(said: str | None, payer: str | None) -> bool:
    """Return whether a number may be this payer's.

    Its middle is masked (v2), or it is a hash (v1), or missing.
    """
    if not said or not payer:
        return True
    if re.fullmatch("[0-9a-fA-F]{64}", said):
        # Which form of the number is hashed is not published.
        forms = (payer, f"+{payer}", payer[3:], f"0{payer[3:]}")
        return said.lower() in [sha256(form.encode()).hexdigest() for form in forms]
    first, *rest = [re.sub("[^0-9]", "", part) for part in re.split(r"\*+", said)]
    return payer.startswith(first) and payer.endswith(rest[-1]) if rest else payer == first


def refusal(code: str) -> str:
    """Return a code that refuses a validation: the given one if it is valid, else C2B00016."""
    return code if re.fullmatch(_CODES, code) else "C2B00016"


def answer(accepted: bool, code: str) -> dict[str, str]:
    """Return the body that answers a validation or a confirmation."""
    if not re.fullmatch(_CODES, coerce.text(code) or ""):
        means = (
            "C2B00011 number, C2B00012 account, …13 amount, …14 KYC, …15 shortcode,"
            " …16 anything else"
        )
        raise UsageError.field("code", code, means)
    if not coerce.is_a(accepted, bool):
        raise UsageError.field("accepted", accepted, "True or False")
    if accepted:
        return {"ResultCode": "0", "ResultDesc": "Accepted"}
    return {"ResultCode": code, "ResultDesc": "Rejected"}
