"""Dynamic QR: an image from which the M-Pesa app takes the shortcode, the account and the amount.

https://developer.safaricom.co.ke/apis/DynamicQRCode, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b). What a customer
pays by it comes in like any payment without a push (c2b.py), with `RefNo` as its account.
"""

from base64 import b64decode
from decimal import Decimal

from ...errors import UsageError
from ...http import Send, post
from ...values import arguments
from ...values.money import exact, whole
from ...values.parsing import ProviderData, Text, Unreadable
from .account import Account
from .values import MAX_BILL, shown

QR = "/mpesa/qrcode/v1/generate"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 2_000  # pixels; no page has a limit


class Code(ProviderData, frozen=True):
    """The answer: its ResponseCode is an id on the page, and "00" in integrators' code."""

    QRCode: Text = None

    def answers(self) -> bool:
        """Return whether there is an image."""
        return bool(self.image())

    def image(self) -> bytes:
        """Return the PNG; the page's sample ends with a dot, which is skipped."""
        try:
            image = b64decode(self.QRCode or "")
        except ValueError:
            raise Unreadable("QRCode is not base64") from None
        if not image.startswith(_PNG):
            raise Unreadable("QRCode is not a PNG")
        return image


async def qr_code(
    driver: Account,
    send: Send,
    *,
    amount: int | str | Decimal,
    bill_reference: str,
    business_name: str = "",
    size: int = 300,
) -> bytes:
    """Make a QR code for a payment to this shortcode or till: the bytes of a PNG.

    A customer scans it with the M-Pesa app and pays `amount`, in whole shillings, with
    `bill_reference` as the account: by `adopt_c2b` you hear of it. `business_name` is what the app
    shows, in place of the account's. `size` is in pixels, of each side.
    """
    name = arguments.text("business_name", business_name) or driver.business_name
    if not name:
        raise UsageError.missing("business_name", "the M-Pesa app shows it to the customer")
    body = {
        "MerchantName": shown("business_name", name, 100),
        "RefNo": shown("bill_reference", bill_reference, MAX_BILL),
        "Amount": whole(exact(amount, "KES")),  # a number, alone among the pages' amounts
        "TrxCode": "BG" if driver.till else "PB",
        "CPI": driver.till or driver.shortcode,
        "Size": str(arguments.whole("size", size, 1, _LARGEST)),
    }
    return (await send(post(QR, Code, body, money=False, matches=Code.answers))).image()
