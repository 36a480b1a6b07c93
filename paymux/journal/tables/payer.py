"""A payer's number in every form in which it may stand in a row, and a row without it."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from ...errors import UsageError
from ...models import Payment
from ...primitives.redaction import mask
from ...values.phone import bare_digits

# In place of an order's digest, which is a hash of the number, too: it equals that of no order, so
# each order under its reference is DuplicateReference.
FORGOTTEN = "the payer was forgotten"
ACCEPTED = "a phone number in international form: + and the country's code"
# What money is found by: references, receipts and ids stay as they are.
_KEPT = frozenset(
    {
        "account", "provider", "kind", "reference", "provider_reference", "receipt", "amount",
        "currency", "fee", "refunded_amount", "path_reference", "attempt", "created_at",
        "updated_at", "paid_at",
    }
)  # fmt: skip
_NO_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_BETWEEN = r"[\s().\-\u2010-\u2015\u2212\u00a0\u200b-\u200f\u202a-\u202e\u2060-\u2069/_]{0,4}"


class Payer:
    """One payer's number; UsageError: it is none, or not in international form."""

    def __init__(self, number: object) -> None:
        written = bare_digits(str.__str__(number)) if isinstance(number, str) else ""
        whole = written.removeprefix("+")
        whole = whole.removeprefix("00") if whole == written else whole
        self.digits = whole
        self._nationals = self._read(number)
        self._pattern = re.compile("|".join(map(self._form, self._nationals)))
        self._runs = tuple(one.encode() for one in self._nationals)
        self._hashes = {sha256(form.encode()).hexdigest() for form in (whole, f"+{whole}")}

    def _read(self, number: object) -> list[str]:
        """Return the number without the code of its country, in each form that it has had."""
        import phonenumbers  # noqa: PLC0415 - takes 30 ms

        try:
            parsed = phonenumbers.parse(f"+{self.digits}")
        except phonenumbers.NumberParseException:
            parsed = phonenumbers.PhoneNumber()
        code = str(parsed.country_code or "")
        national = self.digits.removeprefix(code) if code else ""
        # Digits alone may be a national number, which would be read as that of another country.
        international = bare_digits(str(number)).startswith(("+", "00"))
        if len(national) < 6 or not (international or phonenumbers.is_valid_number(parsed)):
            raise UsageError.field("number", number, ACCEPTED)
        self._code = code
        nationals = [national]
        if code == "229":  # since 30 November 2024 Benin has 01 before its eight digits
            nationals.append(national[2:] if len(national) == 10 else f"01{national}")
        return nationals

    def _form(self, national: str) -> str:
        """Return a pattern: with or without 0 before it, and the country's code, +, 00."""
        spread = _BETWEEN.join
        return (
            rf"(?<![0-9])(?:(?:\+|00)?{_BETWEEN}{spread(self._code)}{_BETWEEN})?"
            rf"(?:\(?0\)?{_BETWEEN})?{spread(national)}(?![0-9])"
        )

    def masked(self, text: str) -> str:
        """Return a text without the number."""
        for hashed in self._hashes:  # M-Pesa's messages may have it hashed
            text = text.replace(hashed, f"{hashed[:3]}…")
        return self._pattern.sub(_short, text)

    def without(self, text: str) -> str | None:
        """Return a row's JSON without the number; None: it is not there."""
        if not self._stands_in(text):
            return None
        try:
            said = msgspec.json.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self.masked(text)  # a damaged row
        if not isinstance(said, dict):
            return self.masked(text)
        if not _struct(said, self._value):
            return None
        _bare(said)
        return msgspec.json.encode(said).decode()

    def _stands_in(self, text: str) -> bool:
        # Nearly no row has it, and a search by the pattern takes a hundred times as long.
        digits = text.encode("utf-8", "replace").translate(None, _NO_DIGITS)
        near = any(run in digits for run in self._runs) or "\\u" in text
        return near or any(one in text for one in self._hashes)

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.masked(value)
        if type(value) is int and self._pattern.fullmatch(str(value)):
            return self.masked(str(value))
        return value


def _short(found: re.Match[str]) -> str:
    digits = re.sub("[^0-9]", "", found[0])
    return f"{digits[:3]}…{digits[-2:]}"


def _struct(said: dict[str, Any], change: Callable[[object], object]) -> bool:
    """Change a payment, or a message with its claims, in place; return whether anything changed."""
    found = False
    for name, value in list(said.items()):
        if name in _KEPT:
            continue
        if name == "ids" and isinstance(value, dict):
            if "MSISDN" in value and change(value["MSISDN"]) != value["MSISDN"]:
                del value["MSISDN"]
                found = True
        elif name == "claims" and isinstance(value, dict):
            found = _struct(value, change) or found
        else:
            said[name] = _walked(value, change)
            found = found or said[name] != value
    return found


def _walked(value: Any, change: Callable[[object], object]) -> Any:
    if isinstance(value, dict):
        return {str(change(name)): _walked(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_walked(one, change) for one in value]
    return change(value)


def _bare(said: dict[str, Any]) -> None:
    """Remove what else says who the payer is: from a payment, or from what a message claims."""
    claims = said.get("claims")
    for one in (said, claims if isinstance(claims, dict) else {}):
        one.pop("customer", None)
        if "raw" in one:
            one["raw"] = ""


def without_payer(payment: Payment) -> Payment:
    """Return what a later fact says of a payment whose payer was forgotten."""
    return msgspec.structs.replace(
        payment,
        payer=payment.payer and mask(payment.payer),
        payee=payment.payee and mask(payment.payee),
        message=payment.message and mask(payment.message),
        prompt=payment.prompt and mask(payment.prompt),
        ids={name: id for name, id in payment.ids.items() if name != "MSISDN"},
        customer=None,
        metadata={},
        raw="",
    )
