"""The notification: a form or JSON, signed in its `x-token`."""

import hmac
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ...values.parsing import SCALARS, Unreadable

# The text that `x-token` signs, with nothing between the fields:
# https://docs.cinetpay.com/api/1.0-fr/checkout/hmac
_SIGNED = (
    "{cpm_site_id}{cpm_trans_id}{cpm_trans_date}{cpm_amount}{cpm_currency}{signature}"
    "{payment_method}{cel_phone_num}{cpm_phone_prefixe}{cpm_language}{cpm_version}"
    "{cpm_payment_config}{cpm_page_action}{cpm_custom}{cpm_designation}{cpm_error_message}"
)


def plain_fields(given: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the fields that are text or numbers, as text; a missing field is empty."""
    plainly = {name: str(value) for name, value in given.items() if isinstance(value, SCALARS)}
    return defaultdict(str, plainly)


def signed(fields: Mapping[str, str]) -> bytes:
    """Return the bytes that a notification's signature covers."""
    try:
        return _SIGNED.format_map(fields).encode()
    except UnicodeEncodeError:
        raise Unreadable("half a surrogate pair") from None


def is_signed(message: bytes, key: str, token: str) -> bool:
    """Return whether this key made the token; no page says whether it is upper or lower case."""
    expected = hmac.digest(key.encode(), message, "sha256").hex().encode()
    return hmac.compare_digest(expected, token.encode("utf-8", "replace").lower())
