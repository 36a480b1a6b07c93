"""What may be printed and what never: credentials, signatures, whole phone numbers."""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

HIDDEN = "***"

# Field names that carry a credential or a signature at some provider, whatever the body's form.
_SENSITIVE = (
    "password|passkey|signature|hash|x-token|api_?key|secret|consumer_?secret|security_?credential|"
    "private_?key|public_?key|master[_-]?key|authorization|access_?token"
)
_WORDS = ("pass", "sign", "hash", "x-token", "access", "key", "secret", "credential", "authorization")  # in each
_DIGITS = re.compile(r"\d{9,}")
_PHONE = re.compile(r"\d(?:[\W_]{0,8}\d){8,}")  # whatever stands between the digits, seen or unseen


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


def hide(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Take credentials and signatures out of a body, by the field's name and by the secret's value."""
    # Most bodies hold none, and looking for plain text is much quicker than for a pattern.
    lowered = text.casefold()
    for start in _starts(secrets):
        if start in lowered:
            text = _pattern(secrets).sub(HIDDEN, text)
            break
    for word in _WORDS:
        if word in lowered:
            return _field().sub(rf'\1"{HIDDEN}"', text)
    return text


@cache
def _name() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?:^|_|-)(?:{_SENSITIVE})$")


@cache
def _field() -> re.Pattern[str]:
    # Compiled when the first body is scrubbed: the patterns are a millisecond of an import.
    return re.compile(
        rf"""(?ix) ( (?: \b | %5B | _ ) (?:{_SENSITIVE}) (?: \\?["'] | \] | %5D )* \s* (?: [:=] | %3A ) \s* )
             ( \\?"(?:[^"\\]|\\.)*?\\?" | [^\s&,}}"\\]+ )"""
    )


@lru_cache(maxsize=256)
def _written(secrets: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give secrets as bodies write them: plain, JSON (PHP escapes the slash), base64; percent-encoded and hex.

    The latter may come in either case.
    """
    exact: set[str] = set()
    cased: set[str] = set()
    for secret in filter(None, secrets):
        raw, escaped = secret.encode(), json.dumps(secret)[1:-1]
        exact |= {secret, escaped, escaped.replace("/", "\\/")}
        for shift in range(3):
            # Base64 of a longer text shows a secret at one of three alignments; the middle is what repeats.
            middle = base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4]
            if len(middle) >= 8:
                exact |= {middle, middle.translate(str.maketrans("+/", "-_"))}
        cased |= {quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex()} - exact
    return tuple(sorted(exact, key=len, reverse=True)), tuple(sorted(cased, key=len, reverse=True))


@lru_cache(maxsize=256)
def _starts(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Give what a text must hold, once case is folded, for any of these forms to be in it."""
    return tuple({form.casefold()[:12] for forms in _written(secrets) for form in forms})


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    exact, cased = _written(secrets)
    return re.compile("|".join([*map(re.escape, exact), *(f"(?i:{re.escape(form)})" for form in cased)]))


def scrub(value: Any, secrets: tuple[str, ...]) -> Any:
    """Take credentials out of a provider's details, by the field's name and by the secret's value."""
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if isinstance(inner, str) and _name().search(str(name)) else scrub(inner, secrets)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(inner, secrets) for inner in value]
    return hide(value, secrets) if isinstance(value, str) else value


def mask(text: str) -> str:
    """Shorten every run of nine or more digits, so that no whole phone number is left."""
    return _DIGITS.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text)


def shown(value: object) -> str:
    """Show a refused value in an error: short, masked, and quick however hostile the value is."""
    if isinstance(value, str):
        text = value if len(value) <= 60 else f"{value[:57]}…"
        text = repr(_PHONE.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text))
    elif isinstance(value, bool | float | None):
        text = repr(value)
    elif isinstance(value, int):
        text = repr(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
    elif isinstance(value, Secret):
        text = HIDDEN
    else:
        text = f"a {type(value).__name__}"
    return mask(text)
