"""Phone numbers, in any form that people write, as E.164 digits; all else is refused."""

import contextlib
import random
import unicodedata
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import carrier, carrierdata

from paymux import UsageError
from paymux.values import phone
from paymux.values.phone import PREFIX, phone_digits

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
LANDS = ["KE", "CM", "CI", "SN", "BJ", "TG", "ML", "BF", "NE", "CD", "GN", "GA", "CG"]
# What is met between the digits of a pasted number, and around it.
SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]
MARKS = [chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) in ("Cf", "Pd")]
LISTED = (
    "\u00a0\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    "\u200b\u200c\u200d\u200e\u200f\ufeff\u2212\u2011"
)
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
    (" 237670000000\x00", {"CM"}),
    ("-------", {"CM"}),
    ("()()()", {"CM"}),
    ("000000000", {"CM"}),
    ("0" * 30, {"CM"}),
    ("1" * 10**7, {"CM"}),
    ("237670000000" + " " * 10**7, {"CM"}),
    ("+" * 64, {"CM"}),
    ("(+237", {"CM"}),
    ("70 12 34 56/57", {"BF"}),  # two numbers
    ("07 07 12 34/56", {"CI"}),  # would be a valid number without the slash
    ("67000000, 0", {"CM"}),
    ("67000000_0", {"CM"}),
    ("67000000\u00b70", {"CM"}),
    ("67000000O", {"CM"}),
    ("\u0443237670000000", {"CM"}),
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
def test_a_number_is_read_however_it_is_written(
    written: str, countries: set[str], expected: str
) -> None:
    """`+`, `00`, the country code, or the national form if there is one country."""
    assert phone_digits(written, countries) == expected


@pytest.mark.parametrize("mark", sorted({*SPACES, *MARKS, *LISTED, ".", "(", ")"}), ids=ascii)
def test_a_pasted_number_is_read(mark: str) -> None:
    """White space, dashes and invisible marks may be around a number, and between its digits."""
    for written in (
        f"{mark}+254712345678{mark}",
        f"+{mark}254{mark}712{mark}345{mark}678",
        f"{mark}+{mark}2{mark}5{mark}4712345678{mark * 20}",
        f"00{mark}254{mark}712345678",
        f"{mark}0712{mark}345678{mark}",
        mark.join("0712345678"),
    ):
        assert phone_digits(written, {"KE"}) == "254712345678"


@pytest.mark.parametrize(
    ("written", "country", "expected"),
    [
        ("\u202a+229 01 97 00 11 22\u202c", "BJ", "2290197001122"),
        ("01 97 00 11 22", "BJ", "2290197001122"),
        ("+228 72 12 34 56", "TG", "22872123456"),
        ("72123456", "TG", "22872123456"),
        ("+221 71 123 45 67", "SN", "221711234567"),
        ("71 123 45 67", "SN", "221711234567"),
        ("0141 234567", "KE", "254141234567"),
        ("+254 141 234 567", "KE", "254141234567"),
        ("(+254) 712-345-678", "KE", "254712345678"),
        ("+254\N{NON-BREAKING HYPHEN}712\N{EN DASH}345\N{MINUS SIGN}678", "KE", "254712345678"),
        ("237670000000\n", "CM", "237670000000"),
    ],
)
def test_the_lowest_version_of_the_library_knows_the_numbers_of_today(
    written: str, country: str, expected: str
) -> None:
    """Benin's ten digits, Togo's 72, Senegal's 71 and Kenya's 014 are valid numbers."""
    assert phone_digits(written, {country}) == expected
    assert phone_digits(expected, LANDS) == expected


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("+254202012345", "KE"),
        ("0202012345", "KE"),
        ("222123456", "CM"),
        ("+221338221234", "SN"),
        ("0121301234", "BJ"),
    ],
)
def test_a_fixed_line_is_refused(written: str, country: str) -> None:
    """A fixed line has no wallet; as a person's contact it is a number like any other."""
    with pytest.raises(UsageError, match="a mobile phone number"):
        phone_digits(written, {country})
    assert phone_digits(written, {country}, any_line=True)


def test_what_may_be_a_mobile_number_passes() -> None:
    """If fixed and mobile numbers of a country look alike, a number is accepted."""
    parsed = phonenumbers.parse("+12025550123")
    assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE
    assert (
        phone_digits("+1 202 555 0123", {"US"})
        == phone_digits("+1 202 555 0123", ())
        == "12025550123"
    )


@pytest.mark.parametrize(
    ("written", "countries"),
    [
        ("97 00 11 22", {"BJ"}),
        ("97001122", {"BJ"}),
        ("+229 97 00 11 22", {"BJ"}),
        ("00229 97001122", {"BJ", "CI"}),
        ("22997001122", {"BJ", "CI"}),
        ("+22921301234", ()),
    ],
)
def test_the_eight_digits_of_benin_are_refused_with_the_new_form(
    written: str, countries: Any
) -> None:
    """A number of Benin from before November 2024 is refused, and the new form is shown."""
    with pytest.raises(
        UsageError, match=r"ten digits.*01 and the eight of before.*01 XX XX XX XX"
    ) as refused:
        phone_digits(written, countries)
    assert "001" not in "".join(
        letter for letter in str(refused.value).partition("accepted")[0] if letter.isdigit()
    )


def test_eight_digits_of_other_countries_are_not_those_of_benin() -> None:
    """The new form is shown for numbers of Benin only."""
    for written, countries in (
        ("97001122", {"BJ", "TG"}),
        ("97001122", {"CM"}),
        ("22997001122", {"CI"}),
    ):
        with pytest.raises(UsageError) as refused:
            phone_digits(written, countries)
        assert "XX" not in str(refused.value)


def test_an_old_test_number_of_benin_passes() -> None:
    """A provider's test number may have the old form, in every spelling."""
    for written in ("22966000001", "+229 66 00 00 01", "66 00 00 01"):
        assert phone_digits(written, {"BJ"}, tests={"22966000001"}) == "22966000001"


@pytest.mark.parametrize("written", ["670000000", "6 70 00 00 00"])
def test_a_national_number_is_read_in_its_home(written: str) -> None:
    """Among several countries a national number needs `home`; the error says so."""
    countries = {"CM", "CI", "SN"}
    assert phone_digits(written, countries, home="CM") == "237670000000"
    for home in (None, "SN"):
        with pytest.raises(UsageError) as refused:
            phone_digits(written, countries, home=home)
        assert ("in international form" in str(refused.value)) == (home is None)


def test_another_text_type_comes_out_as_text() -> None:
    """A number in a subclass of str, as tables and templates have them, is read as its text."""

    class Cell(str):
        __slots__ = ()

    for written in (Cell("237670000000"), Cell("+237 670 00 00 00")):
        assert type(phone_digits(written, {"CM"})) is str


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_anything_else_is_refused(number: int) -> None:
    """A number too long, too short, of another country or without digits is UsageError."""
    written, countries = REFUSED[number]
    with pytest.raises(UsageError, match="payee"):
        phone_digits(written, countries, field="payee")


def test_a_published_test_number_passes_where_it_is_welcome() -> None:
    """A provider's test number is accepted in any spelling, and only if given."""
    tests = {"237600000000"}
    for written in ("237600000000", "+237 600 00 00 00", "00237600000000"):
        assert phone_digits(written, {"CM"}, tests=tests) == "237600000000"
        with pytest.raises(UsageError):
            phone_digits(written, {"CM"})


@pytest.mark.parametrize(
    "written",
    [
        "+254 712 345 678",
        "254-712-345-678",
        "(254) 712 345 678",
        "254712345678",
        "+254.712.345.678",
        "\u202a+254\u00a0712\u00a0345\u00a0678\u202c",
        "+254\u00a0712\u00a0345\u00a0678x",
        "254/712/345/678",
        "254\u200b\u202d\u2060\u00ad712\t345\u2011678 or so",
        "2 5 4 7 1 2 3 4 5 6 7 8 x",
    ],
)
def test_a_refused_number_is_not_shown_whole(written: str) -> None:
    """An error about a phone number shows no complete number, in any form."""
    with pytest.raises(UsageError) as caught:
        phone_digits(written, {"CM"})
    shown = "".join(letter for letter in str(caught.value) if letter.isdigit())
    assert "712345678" not in shown


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="+0123456789 ()-.", max_size=32))
def test_a_number_is_read_or_refused(written: str) -> None:
    """The result is digits of the country that read the same again, or UsageError."""
    try:
        found = phone_digits(written, {"CM"})
    except UsageError:
        return
    assert found.isdigit()
    assert found.startswith("237")
    assert phone_digits(found, {"CM"}) == found


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
async def test_the_operator_is_guessed_from_the_number(
    number: str | None, operator: str | None
) -> None:
    """The operator is that of the number's prefix; no number has none."""
    found = await phone.operator(number)
    assert found == operator or (
        operator is not None and found is not None and found.startswith(operator)
    )


@pytest.mark.parametrize(
    "country", ["KE", "CM", "CI", "SN", "BJ", "TG", "ML", "BF", "NE", "CD", "GN", "US", "KZ"]
)
def test_the_quick_way_says_what_the_library_says(country: str) -> None:
    """A number accepted by its pattern alone is valid for the library, too."""
    chance, taken = random.Random(country), 0
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    whole = f"{example.country_code}{phonenumbers.national_significant_number(example)}"
    for _ in range(500):
        kept = chance.randint(len(str(example.country_code)), len(whole))
        number = whole[:kept] + "".join(chance.choices("0123456789", k=len(whole) - kept))
        if phone._mobile(country)[1].fullmatch(number):
            parsed = phonenumbers.parse(f"+{number}")
            assert phonenumbers.is_valid_number_for_region(parsed, country)
            assert phonenumbers.region_code_for_number(parsed) == country
            assert phone_digits(number, {country}) == number
            taken += 1
    assert (taken == 0) == (country in ("US", "KZ"))  # they share their codes with others


@pytest.mark.parametrize("country", LANDS)
def test_the_quick_way_reads_a_national_number_as_the_library_does(country: str) -> None:
    """A national number, with or without the trunk prefix, is read as the library reads it."""
    chance, taken = random.Random(country), 0
    code = str(phonenumbers.country_code_for_region(country))
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    assert example is not None
    whole = str(phonenumbers.national_significant_number(example))
    for _ in range(500):
        kept = chance.randint(1, len(whole))
        number = whole[:kept] + "".join(chance.choices("0123456789", k=len(whole) - kept))
        number = chance.choice(("", "0")) + number
        if phone._mobile(country)[2].fullmatch(number):
            parsed = phonenumbers.parse(number, country)
            assert phonenumbers.region_code_for_number(parsed) == country
            assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE
            assert (
                phone_digits(number, {country})
                == f"{code}{phonenumbers.national_significant_number(parsed)}"
            )
            taken += 1
    assert (taken == 0) == (country == "GA")  # more than a prefix is left out


@pytest.mark.parametrize("country", LANDS)
def test_a_number_has_one_meaning(country: str) -> None:
    """No number without a plus is both international and national in these countries."""
    chance, served = random.Random(country), set(LANDS)
    for _ in range(400):
        number = "".join(chance.choices("0123456789", k=chance.randint(6, 14)))
        meanings = set()
        for written, countries in ((f"+{number}", served), (number, {country})):
            with contextlib.suppress(UsageError):
                meanings.add(phone_digits(written, countries))
        assert len(meanings) < 2


async def test_an_operator_is_what_the_library_says() -> None:
    """The guessed operator is the library's, for every prefix that it knows in these countries."""
    prefixes = [
        prefix for prefix in carrierdata.CARRIER_DATA if prefix[:3] in ("254", "237", "225", "221")
    ]
    assert len(prefixes) > 50
    for prefix in prefixes:
        number = prefix.ljust(13 if prefix.startswith("225") else 12, "1")
        parsed = phonenumbers.parse(f"+{number}")
        assert await phone.operator(number) == (carrier.name_for_valid_number(parsed, "en") or None)


def test_a_prefix_is_as_long_as_the_library_has_any() -> None:
    """Whose number it was is told by its first digits alone, as many as the library looks at."""
    assert carrierdata.CARRIER_LONGEST_PREFIX <= PREFIX
