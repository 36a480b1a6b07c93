"""Statements as they come: headers, encodings, and files that are none."""

import gzip
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from paymux import Difference, FileFormat, Summary, UsageError

from .test_reconcile import pool, run

HEAD = "reference,amount,currency,status\n"
OURS = f"{HEAD}order-1,500,XAF,succeeded\n"


async def compared(
    folder: Path, statement: str | bytes, name: str = "statement.csv", **options: Any
) -> tuple[list[Difference], Summary]:
    """Compare a statement with one order, order-1 of 500 XAF, which succeeded."""
    path = folder / name
    path.write_bytes(statement.encode() if isinstance(statement, str) else statement)
    (folder / "ours.csv").write_text(OURS)
    return await run(pool(), path, ours=folder / "ours.csv", **options)


async def refused(
    folder: Path, statement: str | bytes, name: str = "statement.csv", **options: Any
) -> str:
    """Return the error with which a statement is refused."""
    with pytest.raises(UsageError) as error:
        await compared(folder, statement, name, **options)
    return str(error.value)


@pytest.mark.parametrize(
    "statement",
    [
        "Réf. marchand;Montant;Statut\norder-1;500;Réussi\n",
        "Relevé de compte;;\nBoutique Awa;;\n\nRéf. marchand;Montant;Statut\norder-1;500,00;payé\n",
        "order id|total|state\norder-1|500|COMPLETED\n",
        'reference,amount,note\norder-1,500,"a, b"\n',
        'reference,amount,note\norder-1,500,"two\nlines"\n',
        'reference,amount\n"order-1","500.00"\n',
        "reference\tmontant net\tfrais\norder-1\t485\t-15\n",
        '{"reference": "order-1", "amount": 500}\n',
        '{"reference": "order-1", "amount": 500.00, "status": "SUCCESSFUL"}\n',
        "reference,amount\r\norder-1,500\r\n\r\n",
        "\ufeffreference,amount\norder-1,500",
    ],
)
async def test_a_statement_that_agrees(tmp_path: Path, statement: str) -> None:
    """Each usual form is understood without an option."""
    found, summary = await compared(tmp_path, statement)
    assert found == []
    assert summary.rows("agreed", "theirs") == 1
    assert summary.adds_up


async def test_a_statement_of_another_encoding_is_named(tmp_path: Path) -> None:
    """What is not UTF-8 is refused with the option that reads it, and then it is read."""
    statement = "Réf. marchand;Montant;Statut\norder-1;500;Réussi\n".encode("cp1252")
    assert "--encoding cp1252" in await refused(tmp_path, statement)
    found, _ = await compared(tmp_path, statement, format=FileFormat(encoding="cp1252"))
    assert found == []
    wide = "reference;amount\norder-1;500\n".encode("utf-16")
    assert "--encoding utf-16" in await refused(tmp_path, wide)
    found, _ = await compared(tmp_path, wide, format=FileFormat(encoding="utf-16"))
    assert found == []


async def test_an_amount_of_two_readings_is_refused_once_with_its_line(tmp_path: Path) -> None:
    """The run stops at the first such line, and the option that it names settles all."""
    statement = "reference;amount\norder-1;500\norder-2;1,500\norder-3;2,500\n"
    said = await refused(tmp_path, statement)
    assert "line 3" in said
    assert "--decimal" in said
    found, _ = await compared(tmp_path, statement, format=FileFormat(decimal="."))
    assert [str(one.their_amount) for one in found] == ["1500", "2500"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("", "empty"),
        ("\n\n\n", "empty"),
        ("a,b\n1,2\n", "--map reference=COLUMN"),
        ("reference,x\n1,2\n", "--map amount=COLUMN"),
        ("reference,Montant,Montant\n1,2,3\n", "--map"),
        ("ref. marchand,order id,amount\n1,2,3\n", "--map 'reference=ref. marchand'"),
        ('[{"reference": "1"}]', "JSON lines"),
        (b"PK\x03\x04" + b"\0" * 100, "spreadsheet"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x7fELF" + bytes(range(256)) * 40, "not"),
        (b"reference,amount\n" + b"\0" * 5000, "no text"),
    ],
)
async def test_a_file_that_cannot_be_mapped_says_what_to_type(
    tmp_path: Path, statement: str | bytes, said: str
) -> None:
    """What is no statement is refused before anything is compared, with the way out."""
    assert said in await refused(tmp_path, statement)


async def test_columns_that_are_told_go_before_the_guess(tmp_path: Path) -> None:
    """A duplicate or unknown header is named by its number, and a field can have no column."""
    statement = "x,Montant,Montant,Statut\norder-1,1,500,whatever\n"
    form = FileFormat(columns={"reference": "x", "amount": "3", "status": ""})
    found, _ = await compared(tmp_path, statement, format=form)
    assert found == []
    with pytest.raises(UsageError, match="no column 'y'"):
        await compared(tmp_path, statement, format=FileFormat(columns={"reference": "y"}))


async def test_a_word_of_the_statement_gets_its_status(tmp_path: Path) -> None:
    """An unknown word is unreadable with its option; told, it is read."""
    statement = "reference,amount,status\norder-1,500,BON\n"
    found, _ = await compared(tmp_path, statement)
    assert [str(one.kind) for one in found] == ["unreadable", "missing_theirs"]
    assert "--status 'BON'=" in (found[0].reason or "")
    form = FileFormat(statuses={"bon": "succeeded"})  # type: ignore[dict-item]  # as a config has it
    assert (await compared(tmp_path, statement, format=form))[0] == []


@pytest.mark.parametrize(
    "line",
    [
        "order-2,500\0,XAF,succeeded",
        "order-2,five,XAF,succeeded",
        "order-2,500",
        "order-2,1,500,XAF,succeeded",
        ",500,XAF,succeeded",
        "2.37E+11,500,XAF,succeeded",
        "order-2,500,FRANCS,succeeded",
        'order-2,"500,XAF,succeeded',
        "x" * 70_000,
        "o" * 300 + ",500,XAF,succeeded",
    ],
)
async def test_a_line_that_cannot_be_read_stops_nothing(tmp_path: Path, line: str) -> None:
    """It is a difference with its number and reason, and the lines around it are compared."""
    found, summary = await compared(tmp_path, f"{HEAD}{line}\norder-1,500,XAF,succeeded\n")
    assert [(str(one.kind), one.their_line) for one in found] == [("unreadable", 2)]
    assert found[0].reason
    assert summary.unreadable == 1
    assert summary.adds_up


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"reference": "a\\u0000b"}',
        '{"reference": NaN}',
        '{"reference": "\\ud800"}',
        "[]",
        "[" * 60_000,
    ],
)
async def test_json_that_cannot_be_read_stops_nothing(tmp_path: Path, text: str) -> None:
    """A line that is no object, or that is nested without end, is unreadable."""
    good = json.dumps({"reference": "order-1", "amount": 500})
    found, _ = await compared(tmp_path, f"{good}\n{text}\n", "statement.jsonl")
    assert [(str(one.kind), one.their_line) for one in found] == [("unreadable", 2)]


def test_a_folder_or_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer could let a run wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ours.csv").write_text(OURS)

    async def each(path: Path) -> None:
        with pytest.raises(UsageError, match=r"regular file|No such"):
            await run(pool(), path, ours=tmp_path / "ours.csv")

    import asyncio  # noqa: PLC0415 - this test has three runs

    for name in ("pipe", ".", "absent.csv"):
        asyncio.run(each(tmp_path / name))


async def test_a_line_without_end_and_a_bomb_are_bounded(tmp_path: Path) -> None:
    """Gigabytes without a line's end, packed or not, end with an error in flat memory."""
    bomb = gzip.compress(b"reference,amount\n" + b"0" * (80 << 20))
    tracemalloc.start()
    try:
        said = await refused(tmp_path, bomb, "bomb.csv.gz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "no end in" in said or "unpacks to" in said
    assert peak < 8 << 20
    lines = gzip.compress(b"reference,amount\n" + b"\n" * (80 << 20))
    assert "unpacks to" in await refused(tmp_path, lines, "lines.csv.gz")
    whole = gzip.compress((HEAD + "order-1,500,XAF,succeeded\n" * 50_000).encode())
    assert "cut off" in await refused(tmp_path, whole[:-9], "cut.csv.gz")
    assert "gzip" in await refused(tmp_path, "reference,amount\n", "plain.csv.gz")


async def test_a_report_runs_no_formula(tmp_path: Path) -> None:
    """A cell that a spreadsheet would run begins with an apostrophe."""
    statement = (
        'reference,amount\norder-1,500\n"=HYPERLINK(""x"")",500\n@SUM(1),500\n+1,500\n-1,500\n'
    )
    out = tmp_path / "report.csv"
    await compared(tmp_path, statement, out=out)
    cells = [line.split(",")[2].strip('"') for line in out.read_text().splitlines()[1:]]
    assert [cell[:2] for cell in cells] == ["'=", "'@", "'+", "'-"]
    assert not list(tmp_path.glob("*.state")) + list(tmp_path.glob("*.part"))


async def test_a_report_opens_where_the_statement_does(tmp_path: Path) -> None:
    """A statement from a French Excel gives a report with its delimiter and byte order mark."""
    out = tmp_path / "report.csv"
    await compared(tmp_path, "\ufeffréférence;montant\norder-2;500,00\n", out=out, language="fr")
    assert out.read_bytes().startswith(b"\xef\xbb\xbfkind;account;reference;")
    assert "trouver le payeur" in out.read_text(encoding="utf-8")


async def test_a_row_without_a_reference_is_known_by_its_receipt(tmp_path: Path) -> None:
    """M-Pesa's statement has receipts alone: they match, and they are in the report."""
    statement = (
        "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
        'TK1A,2026-11-01 08:14:21,Pay Bill,Completed,"1,500.00",,"10,000.00"\n'
        'TK1B,2026-11-01 09:14:21,Pay Bill,Completed,250.00,,"10,250.00"\n'
    )
    (tmp_path / "statement.csv").write_text(statement)
    ours = [{"reference": "order-1", "receipt": "TK1A", "amount": 1500}]
    out = tmp_path / "report.csv"
    found, _ = await run(pool(), tmp_path / "statement.csv", ours=ours, out=out)
    assert [(str(one.kind), one.receipt) for one in found] == [("missing_ours", "TK1B")]
    assert ",TK1B," in out.read_text()
