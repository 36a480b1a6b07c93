"""Redaction: what may be printed, and what never: credentials, signatures, phone numbers."""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, NoReturn, cast
from urllib.parse import quote, quote_plus

from . import sensitive_fields
from .coerce import is_a, sequence
from .sensitive_fields import HIDDEN, SENSITIVE_WORDS, is_sensitive

MAX_DEPTH = 32  # levels of a provider's details; one level is usual

# minimum length of a credential that is searched for inside words, and in parsed values
LONG_SECRET_CHARS = 8
# Also what is no good URL, of another engine, or libpq's `user=… password=…`: nothing of it may be
# shown as the path of a file, or become one.
_DATABASE = re.compile(r"(?is)postgres(?:ql)?[a-z0-9+]*:|.*(?:://|\bpostgres(?:ql)?//|password=)")
_DIGITS = re.compile(r"\d{9,}")
_BANK = re.compile(r"bank:([^'\"]+)")
_PHONE = re.compile(r"\d(?:[\W_]{0,8}\d){8,}")  # with any characters between the digits


class Secret:
    """A credential that cannot be printed, pickled or encoded; `reveal()` returns the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the credential itself, for the one expression that signs a request."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __str__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self._text.encode(), other._text.encode()
        )

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")


def as_secret(value: str | Secret | None) -> Secret | None:
    """Return a credential as a Secret."""
    return Secret(str.__str__(value)) if is_a(value, str) else cast("Secret | None", value)


def as_secrets(value: object) -> tuple[Secret, ...]:
    """Return one credential or a list of them as Secrets; what is none becomes an empty one.

    Text that begins with `["` is a list in JSON, as a variable of the environment has it. Nothing
    is raised: the frame of an error here would hold the credentials.
    """
    if value is None:
        return ()
    if is_a(value, str):
        text = str.__str__(value)
        if not text.startswith('["'):
            return (Secret(text),)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
    if is_a(value, Secret):
        return (value,)
    many = sequence(value) or [None]
    return tuple(found if is_a(found := as_secret(one), Secret) else Secret("") for one in many)


def as_place(value: object) -> object:
    """Return the URL of a database as a Secret, as it may hold a password; all else unchanged."""
    found = as_secret(value) if is_a(value, str) else None
    return value if found is None or not _DATABASE.match(found.reveal()) else found


def hide(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Remove credentials and signatures from a body, by field name and by the secret's value."""
    return hide_and_flag(text, secrets)[0]


def hide_values(text: str, secrets: tuple[str, ...]) -> str:
    """Remove credentials from a text, by their values only."""
    return hide_and_flag(text, secrets, fields=False)[0]


def hide_and_flag(text: str, secrets: tuple[str, ...], *, fields: bool = True) -> tuple[str, bool]:
    """Do what `hide` does; also return whether a credential's value was found.

    `fields`: whether to search by field name, too.
    """
    if "\\u00" in text:  # plain letters, escaped in JSON
        text = _escaped().sub(lambda found: chr(int(found[1], 16)) if found[1] else found[0], text)
    lowered, held = text.casefold(), False
    for start in starts(secrets):
        if start in lowered:
            without = _pattern(secrets).sub(_hidden, text)
            text, lowered, held = without, without.casefold(), without != text
            break
    if fields:
        # Most bodies contain none; a search for plain text is much faster than a pattern.
        for word in SENSITIVE_WORDS:
            if word in lowered:
                text = sensitive_fields.fields().sub(rf'\1"{HIDDEN}"', text)
                without_names = sensitive_fields.without_name
                return sensitive_fields.parties().sub(without_names, text), held
    return text, held


def _hidden(found: re.Match[str]) -> str:
    """Hide a credential, but not a field's name that looks like one ("reference", "user")."""
    alike, opens, closes, begins, equals = _names()
    text, start, end = found.string, *found.span()
    if alike.fullmatch(found[0]):
        before, after = (max(0, start - 64), start), (end, end + 64)
        json_name = closes.match(text, *after) and opens.search(text, *before)
        if json_name or (equals.match(text, *after) and begins.search(text, *before)):
            return found[0]
    return HIDDEN


# Compiled at the first use: together they would cost a millisecond of the import.


@cache
def _escaped() -> re.Pattern[str]:
    # Printable ASCII as \u00xx, except quote and backslash; an escaped backslash is skipped.
    return re.compile(r"\\\\|\\u00(?!22|5[cC])([2-6][0-9a-fA-F]|7[0-9a-eA-E])")


@cache
def _names() -> tuple[re.Pattern[str], ...]:
    """Return patterns for a part of a field's name, and for its surroundings in JSON and forms."""
    parts = (
        r"[A-Za-z_-]+|[A-Za-z0-9_-]{1,7}",
        r"[{,]\s*\\?[\"'][^\"'\\]*$",
        r"[^\"'\\]*\\?[\"']\s*:",
        r"(?:^|[&?])[^=&\s\"]*$",
        r"[\w%.\[\]-]*=",
    )
    return tuple(map(re.compile, parts))


@lru_cache(maxsize=256)
def _written(secrets: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of secrets in bodies: exact ones, and ones in any letter case.

    Exact: plain, JSON (PHP escapes the slash), base64. Any case: percent-encoded and hex.
    """
    exact: set[str] = set()
    cased: set[str] = set()
    for secret in filter(None, secrets):
        raw, escaped = secret.encode(), json.dumps(secret)[1:-1]
        exact |= {secret, escaped, escaped.replace("/", "\\/")}
        if len(secret) < LONG_SECRET_CHARS:
            continue  # encoded, a short one would match parts of any number: "t" is 74 in hex
        for shift in range(3):
            # Inside longer base64 a secret has one of three alignments; the middle part repeats.
            middle = base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4]
            if len(middle) >= 8:
                exact |= {middle, middle.translate(str.maketrans("+/", "-_"))}
        cased |= {quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex()} - exact
    return tuple(sorted(exact, key=len, reverse=True)), tuple(sorted(cased, key=len, reverse=True))


@lru_cache(maxsize=256)
def starts(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return how the forms begin, in folded case: a text without them contains no secret."""
    return tuple({form.casefold()[:12] for forms in _written(secrets) for form in forms})


@lru_cache(maxsize=256)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    exact, cased = _written(secrets)
    whole = (
        re.escape(form)
        if len(form) >= LONG_SECRET_CHARS
        else rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])"
        for form in exact  # a short one must not match inside a word or number
    )
    return re.compile("|".join([*whole, *(f"(?i:{re.escape(form)})" for form in cased)]))


def scrub(value: Any, secrets: tuple[str, ...], levels: int = MAX_DEPTH) -> Any:
    """Remove credentials from a provider's details, by field name and by the secret's value.

    Levels deeper than `levels` are left out: no one reads them, and they could cause a
    RecursionError.
    """
    if isinstance(value, Mapping | list | tuple) and not levels:
        return "…"
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if isinstance(inner, str) and is_sensitive(str(name))
            else scrub(inner, secrets, levels - 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrub(inner, secrets, levels - 1) for inner in value]
    return hide(value, secrets) if isinstance(value, str) else value


def mask(text: str) -> str:
    """Shorten every run of nine or more digits, and what follows "bank:".

    So no complete phone number or bank account is left.
    """
    if "bank:" in text:
        text = _BANK.sub(lambda found: f"bank:…{found[1][-2:]}", text)
    return _DIGITS.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text)


def shown(value: object) -> str:
    """Format a refused value for an error: short, masked, and fast for any hostile value."""
    if is_a(value, str):
        plain = str.__str__(value)
        text = plain if len(plain) <= 60 else f"{plain[:57]}…"
        text = repr(_PHONE.sub(lambda found: f"{found[0][:3]}…{found[0][-2:]}", text))
    elif value is None or type(value) in (bool, float):
        text = repr(value)
    elif is_a(value, int):
        bits = int.bit_length(value)
        text = int.__repr__(value) if bits < 200 else f"an integer of {bits} bits"
    elif is_a(value, Secret):
        text = HIDDEN
    else:
        text = f"a {type(value).__name__}"
    return mask(text)
