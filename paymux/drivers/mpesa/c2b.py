"""C2B: money that a payer sent without a push, reported in validations and confirmations.

https://developer.safaricom.co.ke/apis/CustomerToBusinessRegisterURL and /CustomerToBusiness, as
copied at https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b).
"""

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...models import ADOPTED, Event, Payment, Status
from ...primitives import coerce
from ...values.parsing import ProviderData, Scalar, Text, amount, text
from .express import Said
from .values import is_receipt, paid_at, phone, typed

if TYPE_CHECKING:
    from . import Mpesa

_CODES = "C2B0001[1-6]"


class _Body(msgspec.Struct, frozen=True):
    callback: Said | None = msgspec.field(name="stkCallback", default=None)


class Message(ProviderData, frozen=True):
    """An STK callback is a `Body`, and a result a `Result`; a C2B message is flat, and all text.

    So is the callback of a till's prompt, which is known by its two fields here (till_push.py).

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
    BusinessShortCode: Text = None
    BillRefNumber: Scalar = None  # what a person typed
    OrgAccountBalance: Text = None  # blank in a validation: documentation, v2/c2b.mdx
    MSISDN: Text = None  # masked, or a hash
    request_id: Text = msgspec.field(name="requestId", default=None)
    result_code: Text = msgspec.field(name="resultCode", default=None)
    # of a standing order (ratiba.py)
    ResponseHeader: Any = None
    response_header: Any = msgspec.field(name="responseHeader", default=None)

    def asks(self) -> bool:
        """Return whether this is a validation, which only asks."""
        return self.OrgAccountBalance is None


def claims(driver: "Mpesa", said: Message, number: str) -> Payment:
    """Return what a C2B message claims about the payment with this TransID.

    Where such payments are adopted, each has a reference of its own: what the payer typed proves
    nothing, for every payer can type the name of an order.
    """
    payer = said.MSISDN
    ids = {"receipt": number, "TransID": number}
    if payer:
        ids["MSISDN"] = payer[:64]
    claimed = Payment(
        account=driver.account,
        provider=driver.name,
        live=driver.live,
        reference=text(said.BillRefNumber),
        provider_reference=number,
        ids=ids,
        amount=amount(said.TransAmount),
        currency="KES" if said.TransAmount else None,
        payer=phone(payer),
        receipt=number,
        paid_at=paid_at(said.TransTime),
    )
    ours = said.BusinessShortCode in (None, driver.shortcode, driver.till, driver.b2c_shortcode)
    if not (driver.adopt_c2b and ours and is_receipt(number)):
        return claimed
    return msgspec.structs.replace(
        claimed,
        kind="collect",
        reference=f"{ADOPTED}{number}",
        bill_reference=typed(said.BillRefNumber),
    )


def adopts(driver: "Mpesa", event: Event) -> str | None:
    """Return the reference of the payment that a confirmation reports; None: it is none of ours.

    A confirmation on the path of an order, or without an amount, is not what the page documents.
    """
    said = event.claims
    if not driver.adopt_c2b or event.ping or event.path_use not in (None, "confirmation"):
        return None
    number = said.ids.get("TransID")
    if number is None or said.provider_reference != number or said.reference != ADOPTED + number:
        return None
    return said.reference if said.amount is not None and said.amount > 0 else None


def proof(driver: "Mpesa", event: Event, known: Payment) -> Payment | None:
    """Return what a confirmation proves where the account trusts them; None: M-Pesa is asked.

    Only the URL of confirmations counts, which was told to Safaricom alone. The account's own is
    the beginning of every order's callback URL, so that payers' apps and proxies may have it.
    """
    said = event.claims
    if not driver.trust_confirmations or event.path_use != "confirmation":
        return None
    if adopts(driver, event) != known.reference or known.amount not in (None, said.amount):
        return None
    return msgspec.structs.replace(
        said, status=Status.SUCCEEDED, ids={"TransID": said.ids["TransID"]}
    )


def may_tell_of(event: Event, order: Payment) -> bool:
    """Return whether account and visible digits of a confirmation may be those of a push."""
    said = event.claims
    adopted = (said.reference or "").startswith(ADOPTED)
    # For a payment to a till, a word for nothing may be M-Pesa's.
    bill = text(said.bill_reference if adopted else said.reference)
    pushed = order.ids.get("AccountReference") or (order.reference or "")[:12]
    if bill is not None and bill.casefold() != pushed.casefold():
        return False
    # A row of pull has the whole number.
    return may_be(said.ids.get("MSISDN") or said.payer, order.payer)


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
