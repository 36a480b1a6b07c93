"""What may be printed and what never: credentials, signatures, whole phone numbers."""

import base64
import hmac
import json
import re
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote

HIDDEN = "***"

# Field names that carry a credential or a signature at some provider, whatever the body's form.
_SENSITIVE = (
    "password|passkey|signature|hash|x-token|api_?key|secret|consumer_?secret|security_?credential|"
    "private_?key|public_?key|master_?key|authorization|access_?token"
)
_FIELD = re.compile(
    rf"""(?ix) ( (?: \b | %5B | _ ) (?:{_SENSITIVE}) (?: \\?["'] | \] | %5D )* \s* (?: [:=] | %3A ) \s* )
         ( \\?"(?:[^"\\]|\\.)*?\\?" | [^\s&,}}"\\]+ )"""
)
_DIGITS = re.compile(r"\d{9,}")


class Secret:
    """A credential that cannot be printed, pickled or encoded; `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the credential itself, for the one expression that signs a request."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __str__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """Take credentials and signatures out of a body, by the field's name and by the secret's value."""
    for secret in secrets:
        if secret:
            raw = secret.encode()
            for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex()):
                text = text.replace(form, HIDDEN)
            # Base64 of a longer text shows a secret at one of three alignments; the middle is what repeats.
            for shift in range(3):
                shown = base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4]
                if len(shown) >= 8:
                    text = text.replace(shown, HIDDEN)
    return _FIELD.sub(rf'\1"{HIDDEN}"', text)


def mask(text: str) -> str:
    """Shorten every run of nine or more digits, so that no whole phone number is left."""
    return _DIGITS.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text)


def shown(value: object) -> str:
    """Show a refused value in an error: short, masked, and quick however hostile the value is."""
    if isinstance(value, str):
        text = repr(value if len(value) <= 60 else f"{value[:57]}…")
    elif isinstance(value, bool | float | None):
        text = repr(value)
    elif isinstance(value, int):
        text = repr(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
    elif isinstance(value, Secret):
        text = HIDDEN
    else:
        text = f"a {type(value).__name__}"
    return mask(text)
