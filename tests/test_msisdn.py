"""Phone numbers: whatever way people write them, kept as E.164 digits; anything else is refused."""

import random
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import carrier, carrierdata

from paymux import UsageError, msisdn
from paymux.msisdn import digits

READ = [
    ("+237670000000", {"CM"}, "237670000000"),
    ("+237 670 00 00 00", {"CM"}, "237670000000"),
    ("00237670000000", {"CM"}, "237670000000"),
    ("00 237 670-000-000", {"CM"}, "237670000000"),
    ("237670000000", {"CM"}, "237670000000"),
    ("(237) 670.00.00.00", {"CM"}, "237670000000"),
    ("670000000", {"CM"}, "237670000000"),
    ("670 00 00 00", {"CM"}, "237670000000"),
    ("0712345678", {"KE"}, "254712345678"),
    ("712345678", {"KE"}, "254712345678"),
    ("+254 (0) 712 345 678", {"KE"}, "254712345678"),
    ("254712345678", {"KE"}, "254712345678"),
    ("0110123456", {"KE"}, "254110123456"),
    ("+221 77 123 45 67", {"SN", "CI"}, "221771234567"),
    ("2250707123456", {"SN", "CI"}, "2250707123456"),
    ("+237670000000", set(), "237670000000"),
]
REFUSED: list[tuple[Any, set[str]]] = [
    ("", {"CM"}),
    ("67", {"CM"}),
    ("67000000", {"CM"}),
    ("6700000000", {"CM"}),
    ("+2376700000000", {"CM"}),
    ("+254712345678", {"CM"}),
    ("254712345678", {"CM"}),
    ("0712345678", {"SN", "CI"}),
    ("771234567", {"SN", "CI"}),
    ("670000000", set()),
    ("+237 670 00 00 0x", {"CM"}),
    ("tel:+237670000000", {"CM"}),
    ("+237670000000;ext=5", {"CM"}),
    ("+237670000000 ext 5", {"CM"}),
    ("++237670000000", {"CM"}),
    ("237+670000000", {"CM"}),
    ("\u0662\u0663\u0667670000000", {"CM"}),
    ("\uff0b237670000000", {"CM"}),
    ("237670000000\n", {"CM"}),
    (" 237670000000\x00", {"CM"}),
    ("-------", {"CM"}),
    ("()()()", {"CM"}),
    ("000000000", {"CM"}),
    ("0" * 30, {"CM"}),
    ("1" * 10**6, {"CM"}),
    ("awa@example.com", {"CM"}),
    ("\ud800" * 9, {"CM"}),
    (237670000000, {"CM"}),
    (237670000000.0, {"CM"}),
    (None, {"CM"}),
    (True, {"CM"}),
    (b"237670000000", {"CM"}),
    (["237670000000"], {"CM"}),
]


@pytest.mark.parametrize(("written", "countries", "expected"), READ)
def test_a_number_is_read_however_it_is_written(written: str, countries: set[str], expected: str) -> None:
    """`+`, `00`, the country code, or the national form where there is one country."""
    assert digits(written, countries) == expected


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_anything_else_is_refused(number: int) -> None:
    """A number too long, too short, of another country or of no digits is UsageError, never cut."""
    written, countries = REFUSED[number]
    with pytest.raises(UsageError, match="payee"):
        digits(written, countries, field="payee")


def test_a_published_test_number_passes_where_it_is_welcome() -> None:
    """A provider's test number passes in any spelling where it is given, and only there."""
    tests = {"237600000000"}
    for written in ("237600000000", "+237 600 00 00 00", "00237600000000"):
        assert digits(written, {"CM"}, tests=tests) == "237600000000"
        with pytest.raises(UsageError):
            digits(written, {"CM"})


@pytest.mark.parametrize(
    "written", ["+254 712 345 678", "254-712-345-678", "(254) 712 345 678", "254712345678", "+254.712.345.678"]
)
def test_a_refused_number_is_not_shown_whole(written: str) -> None:
    """An error about a phone number, however it was written, shows no whole one."""
    with pytest.raises(UsageError) as caught:
        digits(written, {"CM"})
    shown = "".join(letter for letter in str(caught.value) if letter.isdigit())
    assert "712345678" not in shown


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="+0123456789 ()-.", max_size=32))
def test_a_number_is_read_or_refused(written: str) -> None:
    """What comes out is digits of the country that read the same again; nothing else happens."""
    try:
        found = digits(written, {"CM"})
    except UsageError:
        return
    assert found.isdigit()
    assert found.startswith("237")
    assert digits(found, {"CM"}) == found


@pytest.mark.parametrize(
    ("number", "operator"),
    [
        ("237670000000", "MTN"),
        ("237699999999", "Orange"),
        ("254708374149", "Safaricom"),
        (None, None),
        ("a@b.c", None),
    ],
)
async def test_the_operator_is_guessed_from_the_number(number: str | None, operator: str | None) -> None:
    """A number tells whose it was when it was given out; no number tells nothing."""
    found = await msisdn.operator(number)
    assert found == operator or (operator is not None and found is not None and found.startswith(operator))


@pytest.mark.parametrize("country", ["KE", "CM", "CI", "SN", "BJ", "TG", "ML", "BF", "NE", "CD", "GN", "US", "KZ"])
def test_the_quick_way_says_what_the_library_says(country: str) -> None:
    """A number taken by its pattern alone is one that the library parses as a valid one of that country."""
    chance, taken = random.Random(country), 0
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    whole = f"{example.country_code}{phonenumbers.national_significant_number(example)}"
    for _ in range(500):
        kept = chance.randint(len(str(example.country_code)), len(whole))
        number = whole[:kept] + "".join(chance.choices("0123456789", k=len(whole) - kept))
        if msisdn._mobile(country).fullmatch(number):
            parsed = phonenumbers.parse(f"+{number}")
            assert phonenumbers.is_valid_number_for_region(parsed, country)
            assert phonenumbers.region_code_for_number(parsed) == country
            assert digits(number, {country}) == number
            taken += 1
    assert (taken == 0) == (country in ("US", "KZ"))  # they share their codes with others


async def test_an_operator_is_what_the_library_says() -> None:
    """The guessed operator is the library's own, for numbers of every prefix that it knows in these countries."""
    prefixes = [prefix for prefix in carrierdata.CARRIER_DATA if prefix[:3] in ("254", "237", "225", "221")]
    assert len(prefixes) > 50
    for prefix in prefixes:
        number = prefix.ljust(13 if prefix.startswith("225") else 12, "1")
        parsed = phonenumbers.parse(f"+{number}")
        assert await msisdn.operator(number) == (carrier.name_for_valid_number(parsed, "en") or None)
