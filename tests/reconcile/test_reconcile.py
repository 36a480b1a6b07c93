"""Pool.reconcile: what differs between a statement and what we believe."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from paymux import CamPay, Difference, FileFormat, Pool, Summary
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
