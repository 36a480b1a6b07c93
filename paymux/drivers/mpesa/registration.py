"""What is registered once for C2B and for pull; and a payment of the sandbox's customer.

https://developer.safaricom.co.ke/apis/CustomerToBusinessRegisterURL, /CustomerToBusiness and
/PullTransaction, as copied at https://github.com/JacksCodeVault/mpesa-daraja-mcp
(daraja_docs_v3/docs @e875f3b).
"""

from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...primitives import coerce
from ...values.money import exact, whole
from ...values.parsing import ProviderData, Text, Unreadable
from ...values.validation import checked_url
from .account import Account
from .values import MAX_BILL, customer, shown

REGISTER = "/mpesa/c2b/v2/registerurl"
SIMULATE = "/mpesa/c2b/v2/simulate"
REGISTER_PULL = "/pulltransactions/v1/register"


class Said(ProviderData, frozen=True):
    """An answer; one of pull has spaces in its keys where the page has none."""

    ResponseCode: Text = None
    ResponseStatus: Text = None
    ResponseDescription: Text = None
    spaced_status: Text = msgspec.field(default=None, name="Response Status")
    spaced_words: Text = msgspec.field(default=None, name="Response Description")

    def accepts(self) -> bool:
        """Return whether a request of C2B was accepted."""
        if self.ResponseCode is None or self.ResponseCode.strip("0"):
            raise Unreadable("ResponseCode is not 0")
        return True

    def accepts_pull(self) -> bool:
        """Return whether the shortcode is registered: now (1000), or since before (1001)."""
        if (self.ResponseStatus or self.spaced_status) not in ("1000", "1001"):
            raise Unreadable("ResponseStatus is neither 1000 nor 1001")
        return True

    def words(self) -> str:
        """Return the description."""
        return self.ResponseDescription or self.spaced_words or ""


async def register_c2b(
    driver: Account,
    send: Send,
    *,
    confirmation_url: str,
    validation_url: str,
    response_type: Literal["Completed", "Cancelled"],
) -> str:
    """Register where M-Pesa tells of C2B payments; in production it is accepted once.

    The URLs are those of `pool.webhook_url(account, use="confirmation")` and `use="validation"`: a
    later change is a request to Safaricom, so keep `webhook_base` and `webhook_key`.
    `response_type`: what happens to a payment if your answer to a validation does not come in time.
    Validation itself is enabled by Safaricom on request. The answer is M-Pesa's sentence.
    """
    if (answer := coerce.text(response_type)) not in ("Completed", "Cancelled"):
        raise UsageError.field("response_type", response_type, "Completed or Cancelled")
    body = {
        "ShortCode": driver.till or driver.shortcode,
        "ResponseType": answer,
        "ConfirmationURL": _url(driver, "confirmation_url", confirmation_url),
        "ValidationURL": _url(driver, "validation_url", validation_url),
    }
    return (await send(post(REGISTER, Said, body, money=False, matches=Said.accepts))).words()


async def simulate_c2b(
    driver: Account,
    send: Send,
    *,
    amount: int | str | Decimal,
    payer: str = "254708374149",
    bill_reference: str = "",
) -> str:
    """Let the sandbox's customer pay; UsageError for a live account, which has real customers.

    `bill_reference` is what the customer types at a paybill; a till has none. Register the URLs
    before. The answer is M-Pesa's sentence; the payment itself is told at the confirmation URL.

    `amount` is in whole shillings.
    """
    if driver.live:
        raise UsageError.field("live", driver.live, "False: only the sandbox has such customers")
    if (bill := coerce.text(bill_reference)) is None:
        raise UsageError.field("bill_reference", bill_reference, "a string")
    if driver.till and bill:
        raise UsageError.field("bill_reference", bill_reference, "nothing: a till has no accounts")
    typed = shown("bill_reference", bill, MAX_BILL) if bill else None
    body = {
        "ShortCode": driver.till or driver.shortcode,
        "CommandID": "CustomerBuyGoodsOnline" if driver.till else "CustomerPayBillOnline",
        "Amount": str(whole(exact(amount, "KES"))),
        "Msisdn": customer(driver, "payer", payer),
        "BillRefNumber": typed,
    }
    return (await send(post(SIMULATE, Said, body, money=False, matches=Said.accepts))).words()


async def register_pull(
    driver: Account, send: Send, *, nominated_number: str, callback_url: str
) -> str:
    """Register the shortcode for pull; to do it again is harmless.

    `nominated_number`: the phone number in the shortcode's details in the M-Pesa portal.
    `callback_url`: M-Pesa wants one; no page says what it would send there, and
    `pool.webhook_url(account)` is fit. The answer is M-Pesa's sentence.
    """
    body = {
        "ShortCode": driver.till or driver.shortcode,
        "RequestType": "Pull",
        "NominatedNumber": customer(driver, "nominated_number", nominated_number),
        "CallBackURL": _url(driver, "callback_url", callback_url),
    }
    request = post(REGISTER_PULL, Said, body, money=False, matches=Said.accepts_pull)
    return (await send(request)).words()


def _url(driver: Account, field: str, given: str) -> str:
    """Check a URL that cannot be changed later; a word that the FAQ advises against is refused."""
    url = checked_url(field, given, http=driver.rehearsing)
    path = urlsplit(url).path.lower()
    for word in driver.callback_words_to_avoid:
        if word in path:
            raise UsageError.field(field, given, f"a path without the word {word}")
    return url
