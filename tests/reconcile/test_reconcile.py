"""Pool.reconcile: what differs between a statement and what we believe."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import CamPay, Difference, FileFormat, Payment, Pool, Status, Summary
from tests.campaigns.statements import SHAPES, corpus, write_journal, write_ours, write_statement


def pool(**options: Any) -> Pool:
    """Return a pool of one account that sends nothing here."""
    return Pool(CamPay(username="user", password="password"), **options)


async def run(pool: Pool, *args: Any, **options: Any) -> tuple[list[Difference], Summary]:
    """Reconcile, and return all differences and the summary."""
    async with pool, pool.reconcile(*args, **options) as found:
        return [one async for one in found], found.summary


def planted(found: list[Difference]) -> Counter[tuple[str, str]]:
    """Return what a corpus plants: the kind and our reference of each difference."""
    return Counter((str(one.kind), one.reference or "") for one in found)


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_shape_of_statement_gives_the_planted_differences(
    tmp_path: Path, shape: str
) -> None:
    """A statement is read as its provider wrote it, and exactly what was planted is found."""
    made = corpus(1_100, 110)
    statement = tmp_path / f"statement.{'csv.gz' if shape == 'gz' else 'csv'}"
    write_statement(statement, made.theirs, shape)
    write_ours(tmp_path / "ours.csv", made.ours)
    form = FileFormat(encoding="cp1252") if shape == "cp1252" else None
    found, summary = await run(pool(), statement, ours=tmp_path / "ours.csv", format=form)
    assert planted(found) == made.planted
    assert summary.adds_up
    assert summary.differences == sum(made.planted.values()) - summary.information


async def test_the_journal_is_our_side(tmp_path: Path) -> None:
    """Without a file of ours, the journal is compared, and it is only read."""
    made = corpus(1_100, 110)
    write_statement(tmp_path / "statement.csv", made.theirs, "french")
    journal = tmp_path / "journal.db"
    async with pool(journal=journal):
        pass
    write_journal(journal, made.ours)
    found, summary = await run(pool(journal=journal), tmp_path / "statement.csv")
    assert planted(found) == made.planted
    assert summary.adds_up


async def test_a_statement_of_one_kind_misses_no_other(tmp_path: Path) -> None:
    """A list of collections lacks our payouts: with `kind`, they are left out and counted."""
    ours = [{"reference": f"{kind}-1", "amount": 5, "kind": kind} for kind in ("collect", "payout")]
    statement = [{"reference": "collect-1", "amount": 5}]
    found, _ = await run(pool(), statement, ours=ours)
    assert [str(one.kind) for one in found] == ["missing_theirs"]
    found, summary = await run(pool(), statement, ours=ours, kind="collect")
    assert found == []
    assert summary.rows("other_kind", "ours") == 1
    assert summary.adds_up


async def test_a_day_is_not_all_edge(tmp_path: Path) -> None:
    """Of a statement of one day, the edge is a tenth: what is missing at noon is told."""
    rows = [
        {"reference": f"order-{hour}", "amount": 5, "date": f"2026-11-30T{hour:02}:00:00Z"}
        for hour in range(24)
    ]
    theirs = [row for row in rows if row["reference"] not in ("order-12", "order-22")]
    found, _ = await run(pool(), theirs, ours=rows)
    assert [(str(one.kind), one.reference) for one in found] == [
        ("missing_theirs", "order-12"),
        ("edge", "order-22"),
    ]
    found, _ = await run(pool(), theirs, ours=rows, edge="2d")
    assert {str(one.kind) for one in found} == {"edge"}


async def test_what_a_short_statement_lacks_is_told(tmp_path: Path) -> None:
    """A statement of one row hides nothing: an order of a file is missing, of whatever day."""
    ours = [
        {"reference": f"order-{day}", "amount": 5, "date": f"2026-11-{day:02}T08:00:00Z"}
        for day in (1, 15, 30)
    ]
    found, _ = await run(pool(), ours[1:2], ours=ours)
    assert [str(one.kind) for one in found] == ["missing_theirs"] * 2
    since, until = (datetime(2026, 11, day, tzinfo=UTC) for day in (10, 20))
    found, summary = await run(pool(), ours[1:2], ours=ours, since=since, until=until)
    assert found == []
    assert summary.rows("outside_period", "ours") == 2
    assert summary.adds_up


async def test_payments_as_json_are_a_statement(tmp_path: Path) -> None:
    """What a history prints with JSON is read, also where the first rows lack a field."""
    lines = [
        Payment(account="campay", status=Status.SUCCEEDED, amount=Decimal(5), receipt=f"R{number}")
        for number in range(30)
    ]
    last = Payment(
        account="campay", status=Status.SUCCEEDED, amount=Decimal("7.50"), reference="order-1"
    )
    statement = tmp_path / "history.jsonl"
    statement.write_bytes(msgspec.json.Encoder().encode_lines([*lines, last]))
    found, summary = await run(pool(), statement, ours=[*lines, last])
    assert found == []
    assert summary.rows("agreed", "ours") == 31
