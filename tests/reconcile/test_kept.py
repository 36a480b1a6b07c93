"""`[reconcile.<account>]` of a config: how the statements of an account are read."""

from pathlib import Path
from typing import Any

import pytest

from paymux import Pool, UsageError

from .test_reconcile import run

CONFIG = """
[accounts.campay]
driver = "campay"
username = "shop"
password = "a password"

[reconcile.campay]
columns = { reference = "Libellé", amount = "Valeur brute" }
statuses = { BON = "succeeded" }
decimal = ","
edge = "1d"
"""


async def test_a_config_keeps_how_statements_are_read(tmp_path: Path) -> None:
    """Columns, words and the decimal mark are told once, and a call needs none of them."""
    (tmp_path / "paymux.toml").write_text(CONFIG, encoding="utf-8")
    statement = "Libellé;Valeur brute;Statut\norder-1;1.500;BON\n"
    (tmp_path / "statement.csv").write_text(statement, encoding="utf-8")
    ours = [{"reference": "order-1", "amount": 1500}]
    pool = Pool.from_config(tmp_path / "paymux.toml")
    found, summary = await run(pool, tmp_path / "statement.csv", ours=ours)
    assert found == []
    assert summary.rows("agreed", "theirs") == 1


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (5, "reconcile: "),
        ({"campay": 5}, "reconcile.campay: "),
        ({"campay": {"colums": {}}}, "reconcile.campay: "),
        ({"campay": {"columns": {"amont": "x"}}}, "reconcile.campay.columns: "),
        ({"campay": {"statuses": {"BON": "bon"}}}, "reconcile.campay.statuses: "),
        ({"campay": {"decimal": ";"}}, "reconcile.campay.decimal: "),
        ({"campay": {"edge": "soon"}}, "reconcile.campay.edge: "),
        ({"campay": {"encoding": "klingon"}}, "encoding: "),
    ],
)
def test_a_wrong_setting_names_itself(kept: Any, said: str) -> None:
    """The table and field that are wrong are named when the pool is made."""
    with pytest.raises(UsageError) as error:
        Pool(reconcile=kept)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "statement"),
        ({"statement": [], "verify": True}, "statement"),
        ({"statement": 5}, "statement"),
        ({"statement": {"a": 1}}, "statement"),
        ({"statement": "-", "ours": "-"}, "ours"),
        ({"history": True, "ours": []}, "history"),
        ({"statement": [], "ours": [], "edge": -1}, "edge"),
        ({"statement": [], "ours": [], "account": ""}, "account"),
        ({"statement": [], "ours": [], "since": "yesterday"}, "since"),
        ({"statement": [], "ours": [], "format": {"columns": []}}, "format.columns"),
        ({"statement": [], "ours": [], "speed": 9}, "options"),
        ({"statement": []}, "journal"),
        ({"statement": [5], "ours": []}, "statement"),
    ],
)
async def test_a_wrong_argument_names_itself(options: dict[str, Any], field: str) -> None:
    """What is wrong is refused before a file is read, and with the name of its argument."""
    async with Pool.from_config(
        {"accounts": {"campay": {"driver": "campay", "username": "u", "password": "a password"}}}
    ) as pool:
        with pytest.raises(UsageError) as error:
            async for _ in pool.reconcile(**options):
                pass
    assert error.value.name == field
