"""The three forms of a result, and what leaves a table that is too wide."""

import io
import json
import sys
from collections.abc import Callable

import pytest

from paymux.cli.tables import Column, Rows, cell_width

ROW = {
    "reference": "order-2026-12-01-0000000000000042",
    "status": "pending",
    "kind": "collect",
    "operator": "MTN",
    "party": "237…77",
}
COLUMNS = [
    Column[dict[str, str]]("created", lambda _: "2026-12-01 06:41 +01:00", leaves=2),
    Column[dict[str, str]]("reference", lambda row: row["reference"]),
    Column[dict[str, str]]("kind", lambda row: row["kind"], leaves=3),
    Column[dict[str, str]]("status", lambda row: row["status"]),
    Column[dict[str, str]]("party", lambda row: row["party"], leaves=4),
    Column[dict[str, str]]("operator", lambda row: row["operator"], leaves=1),
]


def _plain(text: str, style: str | None) -> str:
    return text


def _written(
    write: Callable[[Rows[dict[str, str]]], None], *, json: bool = False, width: int | None = None
) -> str:
    """Return what is on standard output when rows were written."""
    rows = Rows(COLUMNS, lambda row: row, json=json, width=width, style=_plain)
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        write(rows)
        rows.close()
        return sys.stdout.getvalue()
    finally:
        sys.stdout = before


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_reference_and_status_are_whole_at_any_width(width: int) -> None:
    """However narrow the terminal, the reference and the status are never cut or wrapped."""
    written = _written(lambda rows: rows.write(ROW), width=width)
    lines = [line for line in written.splitlines() if ROW["reference"] in line]
    assert len(lines) == 1
    assert "pending" in lines[0]


def test_columns_leave_in_their_order() -> None:
    """The operator leaves a narrow table first, then created: no column that is needed more."""
    left = []
    for width in range(150, 59, -1):
        names = _written(lambda rows: rows.write(ROW), width=width).splitlines()[0].split()
        left += [c.name for c in COLUMNS if c.name not in names and c.name not in left]
    assert left == ["operator", "created"]


def test_below_sixty_columns_a_record_is_two_lines() -> None:
    """On a phone's terminal a record is its reference and status, and a line with what fits."""
    first, second = _written(lambda rows: rows.write(ROW), width=59).splitlines()
    assert first == f"{ROW['reference']}  pending"
    assert second.split("  ")[1:] == ["237…77", "collect", "2026-12-01 06:41 +01:00", "MTN"]


def test_piped_rows_are_whole_and_tab_separated() -> None:
    """Piped, all columns are there, one row a line, the header first."""
    head, row = _written(lambda rows: rows.write(ROW)).splitlines()
    assert head.split("\t") == [column.name for column in COLUMNS]
    assert row.split("\t") == [column.cell(ROW) for column in COLUMNS]


def test_an_empty_piped_result_has_its_header() -> None:
    """A script that reads columns by name finds them although there is no row."""
    assert _written(lambda rows: None).splitlines() == ["\t".join(c.name for c in COLUMNS)]


def test_a_hostile_cell_stays_in_its_row() -> None:
    """A reference with a tab, a newline or an escape sequence breaks no row and no terminal."""
    hostile = {**ROW, "reference": "a\tb\nc\x1b[2Jd\u202e"}
    for width in (None, 100):
        written = _written(lambda rows: rows.write(hostile), width=width)
        assert len(written.splitlines()) == 2
        assert "a\\tb\\nc\\x1b[2Jd\\u202e" in written


def test_json_is_one_object_a_line() -> None:
    """With --json each row is one line that parses to the row itself."""

    def write(rows: Rows[dict[str, str]]) -> None:
        rows.write(ROW)
        rows.write(ROW)

    lines = _written(write, json=True).splitlines()
    assert [json.loads(line) for line in lines] == [ROW, ROW]


def test_later_rows_that_are_wider_are_not_cut() -> None:
    """Widths are chosen by the first 200 rows; a later, wider cell is whole all the same."""

    def write(rows: Rows[dict[str, str]]) -> None:
        for number in range(300):
            rows.write({**ROW, "reference": f"order-{number}" + "x" * (80 if number > 250 else 0)})

    lines = _written(write, width=120).splitlines()
    assert len(lines) == 301
    assert "order-299" + "x" * 80 in lines[-1]


def test_the_width_of_a_text_is_what_a_terminal_shows() -> None:
    """An accent takes no column of its own, and a wide letter two."""
    assert [cell_width(text) for text in ("abc", "é", "e\u0301", "漢字")] == [3, 1, 1, 4]
