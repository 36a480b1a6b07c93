"""Phone numbers: whatever way people write or paste them, kept as E.164 digits without the plus."""

import asyncio
import importlib
import re
import sys
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache

from .errors import UsageError

PREFIX = 10  # digits of a number, at most, that tell whose it is
LONGEST = 64  # characters of a pasted number, with all the marks between its 15 digits at most
_BETWEEN = re.compile(r"[\s().\-]+")
_NUMBER = re.compile(r"\+?[0-9]{6,20}", re.ASCII)
_RUN = re.compile(r"(\d\W*\d\W*\d)(?:[\W_]*\d){2,}[\W_]*(\d)")  # also of Togo's eight digits
# On 30 November 2024 Benin put 01 before its eight digits; phonenumbers knows the new form alone.
_OLD_BENIN = re.compile(r"229[0-9]{8}", re.ASCII)
_NEW_BENIN = "ten digits after +229, as of November 2024: 01 and the eight of before, +229 01 XX XX XX XX"


async def operator(number: str | None) -> str | None:
    """Tell whose number it was when it was given out: a guess, since numbers move between operators."""
    if number is None or not number.isdigit():
        return None
    if "phonenumbers.carrierdata" not in sys.modules:
        # Some 100 ms of tables, read off the loop by whoever comes first.
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


def digits(
    value: object,
    countries: Collection[str],
    *,
    home: str | None = None,
    field: str = "payer",
    tests: Collection[str] = (),
    any_line: bool = False,
) -> str:
    """Read a mobile number of these countries (ISO 3166 codes; none: of any) as `237670000000`.

    Accepted are `+`, `00`, the country code, or the national form of `home`, or of the only country; between
    the digits white space, dashes, dots, parentheses and invisible marks. Refused are a slash, which stands
    between two numbers, and the digits of other scripts: no phone of these countries writes them, and nobody is
    charged for what only looks like a number. `tests` are a provider's published test numbers, which need not be
    numbers that an operator could give out. `any_line` takes a fixed line, too: a person's contact.
    """
    allowed = frozenset(countries)
    home = home or (next(iter(allowed)) if len(allowed) == 1 else None)
    text = str.__str__(value) if isinstance(value, str) else ""  # of a subclass, the text alone
    found = _read(text, allowed, home, frozenset(tests), any_line) if len(text) <= LONGEST else None
    if found is None:
        shown = _RUN.sub(r"\1…\2", text[: LONGEST + 1]) if isinstance(value, str) else value
        raise UsageError.field(field, shown, _accepted(bare(text), allowed, home))
    return found


def bare(text: str) -> str:
    """Give the digits of a number, after a plus where it has one; nothing where it is not written as a number."""
    if len(text) > LONGEST:
        return ""
    number = _BETWEEN.sub("", text)
    if not number.isascii():
        number = "".join(letter for letter in number if not _is_between(letter))
    return number if _NUMBER.fullmatch(number) else ""


def _is_between(letter: str) -> bool:
    # Dashes of any length, the minus sign, and what nobody sees: the marks that turn a text's direction, joiners.
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
    # Kept for a while: an order's number is read by the pool, and once more by a driver.
    if not (number := bare(text)):
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
    # 30 ms to import: only whoever names a phone number pays for it.
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
        if found in tests or (fits and phonenumbers.is_valid_number(parsed) and region in (countries or {region})):
            return found
    return None


@cache
def _mobile(country: str) -> tuple[str, re.Pattern[str], re.Pattern[str]]:
    """Give a country's code, and match its mobile numbers in E.164 digits and in the national form.

    It is the library's own data, in a tenth of a parse's time. Nothing matches where countries share a code and a
    number alone does not tell which of them it is of, or where the national form is more than a prefix.
    """
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # noqa: PLC0415 - likewise

    data, never = PhoneMetadata.metadata_for_region(country, None), re.compile("(?!)")
    if data is None or data.mobile is None or COUNTRY_CODE_TO_REGION_CODE[data.country_code or 0] != (country,):
        return "", never, never
    code, mobile, trunk = str(data.country_code), data.mobile.national_number_pattern, data.national_prefix or ""
    plain = (data.national_prefix_for_parsing or "") == trunk
    return code, re.compile(f"{code}(?:{mobile})"), re.compile(f"(?:{trunk})?({mobile})") if plain else never
