"""Phone numbers, in any form that people write or paste, as E.164 digits without the plus."""

import asyncio
import importlib
import re
import sys
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache

from ..errors import UsageError

PREFIX = 10  # digits of a number that decide its operator, at most
MAX_CHARS = 64  # characters of a pasted number; it has at most 15 digits, with marks between them
_BETWEEN = re.compile(r"[\s().\-]+")
_NUMBER = re.compile(r"\+?[0-9]{6,20}", re.ASCII)
_RUN = re.compile(r"(\d\W*\d\W*\d)(?:[\W_]*\d){2,}[\W_]*(\d)")  # includes Togo's eight digits
# On 30 November 2024 Benin put 01 before its eight digits; phonenumbers knows only the new form.
_OLD_BENIN = re.compile(r"229[0-9]{8}", re.ASCII)
_NEW_BENIN = (
    "ten digits after +229, as of November 2024: 01 and the eight of before, +229 01 XX XX XX XX"
)


async def operator(number: str | None) -> str | None:
    """Return the operator that a number was issued by: a guess, because numbers move."""
    if number is None or not number.isdigit():
        return None
    if "phonenumbers.carrierdata" not in sys.modules:
        # The first import takes 100 ms: it runs outside the event loop.
        await asyncio.to_thread(importlib.import_module, "phonenumbers.carrierdata")
    return _operator(number[:PREFIX])


@lru_cache(maxsize=1024)
def _operator(prefix: str) -> str | None:
    from phonenumbers.carrierdata import CARRIER_DATA  # noqa: PLC0415 - loaded by now

    for length in range(len(prefix), 0, -1):
        found = CARRIER_DATA.get(prefix[:length])
        if found is not None:
            name: str | None = found.get("en")
            return name
    return None


def phone_digits(
    value: object,
    countries: Collection[str],
    *,
    home: str | None = None,
    field: str = "payer",
    tests: Collection[str] = (),
    any_line: bool = False,
) -> str:
    """Read a mobile number of these countries (ISO 3166 codes; none: any) as `237670000000`.

    Accepted: `+`, `00`, the country code, or the national form of `home` (or of the only country);
    between the digits white space, dashes, dots, parentheses and invisible marks. Refused: a slash,
    because it separates two numbers, and digits of other scripts: phones of these countries do not
    write them, and a look-alike must not be charged. `tests`: a provider's published test numbers,
    which may be numbers that no operator can issue. `any_line`: accept a fixed line, too, as a
    person's contact.
    """
    allowed = frozenset(countries)
    home = home or (next(iter(allowed)) if len(allowed) == 1 else None)
    text = str.__str__(value) if isinstance(value, str) else ""  # from a subclass, only the text
    found = (
        _read(text, allowed, home, frozenset(tests), any_line) if len(text) <= MAX_CHARS else None
    )
    if found is None:
        shown = _RUN.sub(r"\1…\2", text[: MAX_CHARS + 1]) if isinstance(value, str) else value
        raise UsageError.field(field, shown, _accepted(bare_digits(text), allowed, home))
    return found


def bare_digits(text: str) -> str:
    """Return the digits of a number, with its plus; empty: not written as a number."""
    if len(text) > MAX_CHARS:
        return ""
    number = _BETWEEN.sub("", text)
    if not number.isascii():
        number = "".join(letter for letter in number if not _is_between(letter))
    return number if _NUMBER.fullmatch(number) else ""


def _is_between(letter: str) -> bool:
    # Dashes of any length, the minus sign, and invisible characters: direction marks, joiners.
    return letter == "\N{MINUS SIGN}" or unicodedata.category(letter) in ("Pd", "Cf")


def _accepted(number: str, countries: frozenset[str], home: str | None) -> str:
    if number and _is_old_benin(number, countries, home):
        return _NEW_BENIN
    form = "" if home else ", in international form: + and the country's code"
    return f"a mobile phone number of {', '.join(sorted(countries)) or 'any country'}{form}"


def _is_old_benin(number: str, countries: frozenset[str], home: str | None) -> bool:
    if countries and "BJ" not in countries:
        return False
    whole = number.removeprefix("+").removeprefix("00")
    return bool(_OLD_BENIN.fullmatch(whole) or (home == "BJ" and len(number) == len(whole) == 8))


@lru_cache(maxsize=256)
def _read(
    text: str, countries: frozenset[str], home: str | None, tests: frozenset[str], any_line: bool
) -> str | None:
    # Cached: an order's number is read by the pool, and again by a driver.
    if not (number := bare_digits(text)):
        return None
    whole = number[1:] if number[:1] == "+" else number.removeprefix("00")
    if whole in tests:
        return whole
    for country in countries:
        if _mobile(country)[1].fullmatch(whole):
            return whole
    if home and number == whole:
        code, _, national = _mobile(home)
        if short := national.fullmatch(number):
            return code + short[1]
    # Takes 30 ms: only calls with a phone number pay for it.
    import phonenumbers  # noqa: PLC0415

    kinds = phonenumbers.PhoneNumberType
    for written in (f"+{whole}", number) if home and not number.startswith("+") else (f"+{whole}",):
        try:
            parsed = phonenumbers.parse(written, home)
        except phonenumbers.NumberParseException:
            continue
        region, kind = phonenumbers.region_code_for_number(parsed), phonenumbers.number_type(parsed)
        fits = any_line or kind in (kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE)
        found = f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"
        if found in tests or (
            fits and phonenumbers.is_valid_number(parsed) and region in (countries or {region})
        ):
            return found
    return None


@cache
def _mobile(country: str) -> tuple[str, re.Pattern[str], re.Pattern[str]]:
    """Return a country's code and patterns for its mobile numbers: E.164 digits, national form.

    The data is the library's own; a pattern needs a tenth of the time of parsing. Nothing matches
    where several countries share a code and the number alone does not decide, or where the national
    form is more than a prefix.
    """
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # noqa: PLC0415 - slow to import

    data, never = PhoneMetadata.metadata_for_region(country, None), re.compile("(?!)")
    if (
        data is None
        or data.mobile is None
        or COUNTRY_CODE_TO_REGION_CODE[data.country_code or 0] != (country,)
    ):
        return "", never, never
    code, mobile, trunk = (
        str(data.country_code),
        data.mobile.national_number_pattern,
        data.national_prefix or "",
    )
    plain = (data.national_prefix_for_parsing or "") == trunk
    return (
        code,
        re.compile(f"{code}(?:{mobile})"),
        re.compile(f"(?:{trunk})?({mobile})") if plain else never,
    )
