"""Who pays or is paid, where it is no phone: "paybill:572572", "till:123456", "bank:…"."""

import re
from collections.abc import Callable, Collection

from ..errors import UsageError

_FORMS = {
    "paybill": "paybill: and 5 to 7 digits",
    "till": "till: and 5 to 7 digits",
    "pochi": "pochi: and a phone number",
    "bank": "bank: and an account of at most 64 visible characters",
}
_SHORTCODE = re.compile(r"[0-9]{5,7}", re.ASCII)
_ACCOUNT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")


def named_party(value: str, field: str, forms: Collection[str], phone: Callable[[str], str]) -> str:
    """Read a party that has a prefix, and return it with the prefix, without other white space.

    `forms`: the prefixes that the provider takes; `phone` reads the number of a "pochi:".
    """
    prefix, _, rest = value.partition(":")
    prefix, rest = prefix.strip().lower(), rest.strip()
    if prefix in forms and ":" not in rest:
        if prefix == "pochi":
            return f"pochi:{phone(rest)}"
        if (_ACCOUNT if prefix == "bank" else _SHORTCODE).fullmatch(rest):
            return f"{prefix}:{rest}"
    listed = "; ".join(["a phone number", *(_FORMS[form] for form in _FORMS if form in forms)])
    shown = f"{prefix}:…" if prefix in _FORMS and prefix not in ("paybill", "till") else value
    raise UsageError.field(field, shown, listed)
