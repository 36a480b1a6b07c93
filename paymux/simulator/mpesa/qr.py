"""Daraja's dynamic QR, from the page "Dynamic QR" of https://developer.safaricom.co.ke.

Read through github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/DynamicQRCode.md). What
the code of the real one contains is on no page: this image is a PNG, and no code that can be
scanned. `made` has what each stands for; `sim.mpesa.pays` lets a customer pay it.
"""

import struct
import zlib
from base64 import b64encode
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ...http import Response
from ..replies import json_reply
from .wire import ORGANISATION, PHONE, fits

if TYPE_CHECKING:
    from . import Mpesa

_FIELDS = (
    ("MerchantName", r".+"),
    ("RefNo", r".+"),
    ("Amount", r"0*[1-9][0-9]{0,9}(\.0+)?"),
    ("TrxCode", r"BG|WA|PB|SM|SB"),
    ("CPI", rf"{ORGANISATION}|{PHONE}"),
    ("Size", r"[1-9][0-9]{0,3}"),
)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a code stands for."""

    merchant: str
    bill: str
    amount: Decimal
    sort: str  # "PB": a paybill, "BG": a till
    party: str
    size: int


class Qr:
    """The codes of one merchant; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.made: list[Made] = []
        # An id on the page; "00" at pypi.org/project/mpesakit.
        self.response_code = ""

    def generate(self, body: dict[str, Any]) -> Response:
        """Make a code; nothing is paid yet."""
        self._mpesa.results.check_fields(body, _FIELDS)
        if not fits(PHONE, body["CPI"]) and body["TrxCode"] in ("SM", "SB"):
            raise self._mpesa.invalid("CPI")  # "Business number CPI in MSISDN format"
        code = Made(
            merchant=str(body["MerchantName"]),
            bill=str(body["RefNo"]),
            amount=Decimal(str(body["Amount"])),
            sort=str(body["TrxCode"]),
            party=str(body["CPI"]),
            size=int(body["Size"]),
        )
        self.made.append(code)
        conversation = self._mpesa.results.ids()["ConversationID"]
        return json_reply(
            {
                "ResponseCode": self.response_code or conversation,
                "RequestID": self._mpesa.request_id(),
                "ResponseDescription": "QR Code Successfully Generated.",
                "QRCode": b64encode(_image(code)).decode(),
            }
        )


def _image(code: Made) -> bytes:
    """Draw stripes of the code's own bits, as a grey PNG of its size."""
    bits = zlib.crc32(msgspec.json.encode(code))
    line = bytes([255 * (bits >> (32 * x // code.size) & 1) for x in range(code.size)])
    header = struct.pack(">IIBBBBB", code.size, code.size, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + line) * code.size)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    size, check = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(name + data))
    return size + name + data + check
