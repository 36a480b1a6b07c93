"""Phone numbers: whatever way people write them, kept as E.164 digits without the plus."""

import asyncio
import importlib
import re
import sys
from collections.abc import Collection
from functools import cache, lru_cache

from .errors import UsageError

_WRITTEN = re.compile(r"\+?[0-9 ().\-]{6,30}", re.ASCII)
_NOT_DIGIT = re.compile(r"[^0-9]", re.ASCII)


async def operator(number: str | None) -> str | None:
    """Tell whose number it was when it was given out: a guess, since numbers move between operators."""
    if number is None or not number.isdigit():
        return None
    if "phonenumbers.carrierdata" not in sys.modules:
        # Some 100 ms of tables, read off the loop by whoever comes first.
        await asyncio.to_thread(importlib.import_module, "phonenumbers.carrierdata")
    names, longest = _operators()
    for length in range(longest, 0, -1):
        found = names.get(number[:length])
        if found is not None:
            return found.get("en")
    return None


@cache
def _operators() -> tuple[dict[str, dict[str, str]], int]:
    from phonenumbers.carrierdata import CARRIER_DATA, CARRIER_LONGEST_PREFIX  # noqa: PLC0415 - loaded by now

    return CARRIER_DATA, CARRIER_LONGEST_PREFIX


def digits(value: object, countries: Collection[str], *, field: str = "payer", tests: Collection[str] = ()) -> str:
    """Read a phone number of these countries (ISO 3166 codes) as `237670000000`.

    Accepted are `+`, `00`, the country code, or the national form where there is one country. `tests` are a
    provider's published test numbers, which need not be numbers that an operator could give out.
    """
    found = None
    if isinstance(value, str) and _WRITTEN.fullmatch(value):
        found = _read(value, frozenset(countries), frozenset(tests))
    if found is None:
        raise UsageError.field(field, value, f"a phone number of {', '.join(sorted(countries)) or 'any country'}")
    return found


@lru_cache(maxsize=256)
def _read(value: str, countries: frozenset[str], tests: frozenset[str]) -> str | None:
    # Kept for a while: an order's number is read by the pool, and once more by a driver.
    number = _NOT_DIGIT.sub("", value)
    number = number.removeprefix("00") if not value.startswith("+") else number
    if number in tests:
        return number
    if any(mobile.fullmatch(number) for mobile in map(_mobile, countries)):
        return number
    # 30 ms to import: only whoever names a phone number pays for it.
    import phonenumbers  # noqa: PLC0415

    home = next(iter(countries)) if len(countries) == 1 else None
    written = [f"+{number}"] + ([number] if home and not value.startswith("+") else [])
    for text in written:
        try:
            parsed = phonenumbers.parse(text, home)
        except phonenumbers.NumberParseException:
            continue
        region = phonenumbers.region_code_for_number(parsed)
        if phonenumbers.is_valid_number(parsed) and (not countries or region in countries):
            return f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"
    return None


@cache
def _mobile(country: str) -> re.Pattern[str]:
    """Match a country's mobile numbers in E.164 digits by the library's own data, in a tenth of a parse's time.

    Nothing, where countries share a code and a number alone does not tell which of them it is of.
    """
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata  # noqa: PLC0415 - likewise

    data = PhoneMetadata.metadata_for_region(country, None)
    if data is None or data.mobile is None or COUNTRY_CODE_TO_REGION_CODE[data.country_code or 0] != (country,):
        return re.compile("(?!)")
    return re.compile(f"{data.country_code}(?:{data.mobile.national_number_pattern})")
