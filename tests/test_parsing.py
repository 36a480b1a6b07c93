"""Reading providers' real values, and refusing ambiguous ones."""

import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux.http import Response
from paymux.values.parsing import (
    ProviderData,
    Scalar,
    Text,
    Unreadable,
    amount,
    convert,
    decode,
    form_fields,
    json_fields,
    parse_time,
    row,
    text,
)

EAT = timezone(timedelta(hours=3))


class Narrow(msgspec.Struct):
    id: Scalar = None
    count: int = 0


class Part(ProviderData, frozen=True):
    """A part of an answer, with fields of each sort."""

    raw: Scalar = None
    name: str = ""
    id: Text = None
    more: Any = None


class Whole(ProviderData, frozen=True):
    """An answer with a part."""

    status: Text = None
    part: Part | None = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("abc", "abc"),
        ("  abc ", "abc"),
        ("", None),
        (" ", None),
        ("None", None),
        ("none", None),
        ("null", None),
        ("NULL", None),
        ("undefined", None),
        (None, None),
        (True, None),
        (False, None),
        (5, "5"),
        (0, "0"),
        ("0", "0"),
        (5.5, "5.5"),
        ("nonesuch", "nonesuch"),
    ],
)
def test_words_for_nothing_are_none(value: Scalar, expected: str | None) -> None:
    """`"None"`, `" "`, `null` and a missing value are None; zero is not."""
    assert text(value) == expected


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(["None", " null", "UNDEFINED\n", "\u00a0", "COMPLETED", "PAID", ""]),
        st.integers(),
        st.floats(allow_nan=False),
        st.booleans(),
        st.none(),
    )
)
def test_a_field_of_an_answer_is_what_text_makes_of_it(value: Any) -> None:
    """However an answer is made, its texts are normalised as `text` does, and nothing else is."""
    expected = text(value)
    made = Part(raw=value, name=" None ", id=value, more=value)
    read = convert(Whole, {"status": value, "part": {"id": value, "raw": value, "more": value}})
    assert read.part is not None
    for found in (made.id, read.status, read.part.id, msgspec.structs.replace(made, raw=1).id):
        assert found == expected
        assert type(found) is type(expected)
    for kept in (made.raw, made.more, read.part.raw, read.part.more):
        assert kept == value
        assert type(kept) is type(value)
    assert made.name == " None "


def test_a_part_of_an_answer_is_normalised_with_it() -> None:
    """Structs in an answer are normalised, too, and a value that is none of a text is refused."""
    found = decode(Whole, b'{"status": " ok ", "part": {"id": 7, "raw": " x ", "more": [" "]}}')
    assert found == Whole(status="ok", part=Part(id="7", raw=" x ", more=[" "]))
    with pytest.raises(Unreadable, match=r"part\.id: expected text, got list"):
        decode(Whole, b'{"part": {"id": []}}')


def test_a_body_is_read_once() -> None:
    """What `judge` has read is what follows; another type, or an unreadable body, is read anew."""
    response = Response(status=200, body=b'{"id": " p1 ", "status": "null"}')
    first = response.read(Part)
    assert first == Part(id="p1")
    assert response.answer(Part) is first
    assert response.answer(Whole) == Whole()
    assert response.read(dict[str, int]) is None
    assert response.answer(Part) == first
    with pytest.raises(Unreadable, match="cut off"):
        Response(status=200, body=b'{"id": ').answer(Part)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"),
        ("5", "5"),
        ("5.00", "5.00"),
        (5.0, "5.0"),
        (" 5 ", "5"),
        ("-5", "-5"),
        ("0", "0"),
        (0.1, "0.1"),
    ],
)
def test_an_amount_is_read_in_each_form(value: Scalar, expected: str) -> None:
    """Numbers and their texts give the same exact Decimal."""
    assert amount(value) == Decimal(expected)


@pytest.mark.parametrize("value", ["", "None", None, " ", True])
def test_no_amount_is_none(value: Scalar) -> None:
    """A missing amount is None, not zero."""
    assert amount(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "1E+1000000",
        "1e5",
        "NaN",
        "Infinity",
        "1_000",
        "1,000",
        "\u0661\u0662",
        "5 XAF",
        "+5",
        "5.",
        ".5",
        "--5",
        "0x5",
        float("nan"),
        float("inf"),
        1e300,
        10**400,
        "9" * 10**6,
        "1" * 16,
        "5\n5",
        "\ud800",
    ],
)
def test_a_strange_amount_is_unreadable(value: Scalar) -> None:
    """Any other amount is Unreadable, quickly."""
    with pytest.raises(Unreadable):
        amount(value)


@pytest.mark.parametrize(
    ("value", "form", "zone", "expected"),
    [
        ("2026-01-02T03:04:05Z", None, UTC, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", None, UTC, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+03:00", None, UTC, datetime(2026, 1, 2, 0, 4, 5, tzinfo=UTC)),
        ("20260102030405", "%Y%m%d%H%M%S", EAT, datetime(2026, 1, 2, 0, 4, 5, tzinfo=UTC)),
        (20260102030405, "%Y%m%d%H%M%S", EAT, datetime(2026, 1, 2, 0, 4, 5, tzinfo=UTC)),
        ("02/01/2026", "%d/%m/%Y", UTC, datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_date_becomes_aware_utc(
    value: Scalar, form: str | None, zone: Any, expected: datetime
) -> None:
    """Dates in any time zone are aware, in UTC."""
    found = parse_time(value, form, zone)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "None",
        None,
        "soon",
        "2026-13-45",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "0000-00-00",
        "99999999999999999999",
        "\u0662\u0660\u0662\u0666-01-01",
        "2026-01-02T25:00:00",
        float("nan"),
        "\ud800",
        True,
    ],
)
def test_a_nonsense_date_is_none(value: Scalar) -> None:
    """An impossible date is None, without an error."""
    assert parse_time(value) is None
    assert parse_time(value, "%Y%m%d") is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.one_of(st.text(max_size=40), st.datetimes().map(str), st.integers(), st.floats(), st.none())
)
def test_no_scalar_raises_anything_foreign(value: Scalar) -> None:
    """Any scalar is read, None or Unreadable."""
    text(value)
    parse_time(value)
    parse_time(value, "%Y%m%d%H%M%S", EAT)
    try:
        found = amount(value)
    except Unreadable:
        return
    assert found is None or found.is_finite()


BROKEN = [
    b"",
    b" ",
    b"{",
    b"<html>",
    b"5",
    b"[]",
    b"null",
    b'"x"',
    b'{"id": [1]}',
    b'{"count": "x"}',
    b'{"id": "\xff"}',
    b"\xff\xfe{}",
    b'{"id": ' + b"[" * 10**5,
    b"{" * 10**5,
    b'{"count": 1' + b"0" * 10**4 + b"}",
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_body_that_is_not_the_type_is_unreadable(number: int) -> None:
    """Cut, empty, HTML, of another type, too deep, not UTF-8: all are Unreadable."""
    with pytest.raises(Unreadable) as caught:
        decode(Narrow, BROKEN[number])
    assert len(str(caught.value)) < 200


class Rows(msgspec.Struct):
    data: list[msgspec.Raw]
    total: Scalar = None


def test_a_long_page_of_rows_is_read_without_a_copy() -> None:
    """A page of rows is read without a copy; a row that is too deep is Unreadable."""
    body = (
        b'{"data": ['
        + b",".join([b'{"id": "x", "more": [{"a": "' + b"b" * 500 + b'"}]}'] * 5000)
        + b"]}"
    )
    tracemalloc.start()
    page = decode(Rows, body)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(page.data) == 5000
    assert most < len(body) / 2
    deep = b'{"a": ' * 600 + b"1" + b"}" * 600
    with pytest.raises(Unreadable):
        row(dict[str, Any], decode(Rows, b'{"data": [' + deep + b"]}").data[0], 1, dict)
    for bad in (b'{"data": [' + b"[" * 10**5 + b"]" * 10**5 + b"]}", b'{"x": ' + b'{"a": ' * 10**5):
        with pytest.raises(Unreadable):
            decode(Rows, bad)


def test_a_body_is_read_with_its_bends() -> None:
    """A byte order mark, numbers as text and unknown fields are accepted."""
    assert decode(Narrow, b'\xef\xbb\xbf{"id": 5, "count": "7", "more": {}}') == Narrow(
        id=5, count=7
    )
    assert convert(Narrow, {"id": "x", "count": "7"}) == Narrow(id="x", count=7)
    with pytest.raises(Unreadable):
        convert(Narrow, {"count": []})


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "a": 1}}',
        b"[]",
        b"5",
        b"",
        b"\xff",
        b'{"a": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"a": ["\\udfff"]}',
        b"{" * 10**5,
        b'{"a": 1' + b"0" * 5000 + b"}",
    ],
    ids=range(11),
)
def test_a_message_that_could_mean_two_things_is_unreadable(body: bytes) -> None:
    """A repeated name at any depth, a lone surrogate or an endless number is Unreadable."""
    with pytest.raises(Unreadable):
        json_fields(body)


@pytest.mark.parametrize(
    "form", ["a=1&a=2", "a=1&%61=2", "&".join(f"a{n}=1" for n in range(201)), "a=%ff"]
)
def test_a_form_that_could_mean_two_things_is_unreadable(form: str) -> None:
    """A repeated field in any spelling, too many fields or wrong bytes: Unreadable."""
    with pytest.raises(Unreadable):
        form_fields(form)


def test_a_form_keeps_its_empty_fields() -> None:
    """An empty field of a form is kept."""
    assert form_fields("a=&b=x%20y&c=1%2B1") == {"a": "", "b": "x y", "c": "1+1"}
