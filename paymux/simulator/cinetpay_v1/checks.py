"""What CinetPay's API of 2026 refuses in a request: 1004 INVALID_PARAMS.

PyPI cinetpay-python 0.1.0 (validation.py, constants) has the limits and the networks.
"""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from ..replies import Refused
from .messages import error

METHODS = (
    *("OM_CI", "MOOV_CI", "MTN_CI", "WAVE_CI"),
    *("OM_BF", "MOOV_BF", "WAVE_BF"),
    *("OM_ML", "MOOV_ML"),
    *("OM_SN", "FREE_SN", "EXPRESSO_SN", "WAVE_SN"),
    *("MOOV_TG", "TMONEY_TG"),
    *("OM_GN", "MTN_GN"),
    *("OM_CM", "MTN_CM"),
    *("MOOV_BJ", "MTN_BJ"),
    *("OM_CD", "AIRTEL_CD", "MPESA_CD", "AFRICELL_CD"),
    *("AIRTEL_NE", "MOOV_NE", "ZAMANI_NE"),
)
_PHONE = re.compile(r"\+([0-9]{8,15})", re.ASCII)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_OTP = re.compile(r"[0-9]{4,6}", re.ASCII)
_STRICT, _ANY = re.compile(r"[A-Z0-9-]+", re.ASCII), re.compile(r"\S(?:.*\S)?", re.DOTALL)


class Checks:
    """Checks of one request; `status` is the HTTP status of a refusal."""

    def __init__(self, body: Mapping[str, Any], status: int) -> None:
        self.body = body
        self._status = status

    def refuse(self, name: str, why: str) -> Refused:
        """Return the refusal of a field."""
        return Refused(error(1004, f"{name} {why}", self._status))

    def text(self, name: str, longest: int, *, shortest: int = 1) -> str:
        """Return a text that is required."""
        value = self.body.get(name)
        if (
            not isinstance(value, str)
            or not shortest <= len(value.strip()) <= len(value) <= longest
        ):
            raise self.refuse(name, f"must be a text of {shortest} to {longest} characters")
        return value

    def id(self, *, strict: bool) -> str:
        """Return the merchant's id."""
        value = self.text("merchant_transaction_id", 30)
        if not (_STRICT if strict else _ANY).fullmatch(value):
            raise self.refuse("merchant_transaction_id", "has a character that is not allowed")
        return value

    def amount(self, least: int, most: int) -> Decimal:
        """Return the amount, an integer."""
        value = self.body.get("amount")
        if type(value) is not int or not least <= value <= most:
            raise self.refuse("amount", f"must be an integer between {least} and {most}")
        return Decimal(value)

    def among(self, name: str, words: Collection[str], *, needed: bool = True) -> str:
        """Return one of some words; empty: there is none, and it is not needed."""
        value = self.body.get(name)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or value not in words:
            raise self.refuse(name, "is not valid")
        return value

    def method(self, country: str, *, needed: bool) -> str:
        """Return the network, of the account's country; the scenarios also have a bare OM."""
        own = {method: method for method in METHODS if method.endswith(country)}
        own |= {method.partition("_")[0]: method for method in own.values()}
        value = self.among("payment_method", own, needed=needed)
        return own[value] if value else ""

    def phone(self, name: str, *, needed: bool) -> str | None:
        """Return the digits of a number in international form."""
        value = self.body.get(name)
        if value in (None, "") and not needed:
            return None
        found = _PHONE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise self.refuse(name, "must be in international format +XXXXXXXXXXXX")
        return found[1]

    def url(self, name: str) -> str:
        """Return a URL of at most 120 characters."""
        value = self.text(name, 120)
        if not value.startswith(("http://", "https://")):
            raise self.refuse(name, "must be a valid URL")
        return value

    def email(self) -> str:
        """Return the payer's e-mail address."""
        value = self.text("client_email", 255)
        if not _EMAIL.fullmatch(value):
            raise self.refuse("client_email", "must be a valid email address")
        return value

    def direct(self) -> bool:
        """Return whether the payer is asked on the phone, without a page."""
        value = self.body.get("direct_pay", False)
        if not isinstance(value, bool):
            raise self.refuse("direct_pay", "must be a boolean")
        return value

    def otp(self) -> str | None:
        """Return the one-time password."""
        value = self.body.get("otp_code")
        if value is not None and not (isinstance(value, str) and _OTP.fullmatch(value)):
            raise self.refuse("otp_code", "must be 4 to 6 digits")
        return value
