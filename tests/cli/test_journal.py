"""`paymux journal`: streams of rows, an order by its key, and words for what is wrong."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from paymux import Payment, Status
from paymux.cli.main import run
from paymux.journal import State, journal_at
from paymux.simulator import Simulator

from .running import ended


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Fill a journal with four orders of two accounts, one of them refused."""
    path = tmp_path / "shop.db"

    async def fill() -> None:
        book = journal_at(path)
        for hour, account in enumerate(("campay", "mpesa", "campay", "campay")):
            payment = Payment(
                account=account, kind="collect", reference=f"order-{hour % 3 or 7}",
                amount=Decimal(500), currency="XAF", payer="237677777777",
                created_at=datetime.now(UTC),
            )  # fmt: skip
            if hour == 3:
                payment = Payment(account=account, kind="collect", reference="refused")
            await book.intend(payment, "digest")
            if hour == 3:
                await book.record(payment, "call", State.REFUSED)
        await book.aclose()

    asyncio.run(fill())
    return path


def _references(*words: str) -> list[str]:
    done = ended("journal", "list", *words)
    assert (done.exit_code, done.stderr) == (0, "")
    return [line.split("\t")[3] for line in done.stdout.splitlines()[1:]]


def test_a_list_is_filtered(file: Path) -> None:
    """By account, state and time."""
    assert _references(str(file)) == ["order-7", "order-1", "order-2"]
    assert _references(str(file), "-a", "mpesa") == ["order-1"]
    today, tomorrow = datetime.now(UTC).date(), datetime.now(UTC).date() + timedelta(days=1)
    assert len(_references(str(file), "--since", f"{today}", "--until", f"{tomorrow}")) == 3
    assert _references(str(file), "--until", f"{today}") == []
    assert _references(str(file), "--since", f"{tomorrow}") == []
    assert _references(str(file), "--state", "intent") == ["order-7", "order-1", "order-2"]
    assert _references(str(file), "--state", "unknown") == []
    assert _references(str(file), "--status", Status.SUCCEEDED.value) == []


async def test_a_time_is_included_at_its_begin_only(file: Path) -> None:
    """Two months that meet have each payment once."""
    book = journal_at(file)
    second = [one async for one in book.payments()][1].created_at
    before = [one.reference async for one in book.payments(until=second)]
    after = [one.reference async for one in book.payments(since=second)]
    await book.aclose()
    assert (before, after) == (["order-7"], ["order-1", "order-2"])


def test_the_journal_of_the_config_is_used(file: Path, tmp_path: Path) -> None:
    """Without FILE it is the config's, or PAYMUX_JOURNAL's; without either it says so."""
    config = tmp_path / "paymux.toml"
    config.write_text(f'journal = "{file}"\n')
    config.chmod(0o600)
    assert len(_references("--config", str(config))) == 3
    done = ended("journal", "stats", "--json", PAYMUX_JOURNAL=str(file))
    assert json.loads(done.stdout.splitlines()[0]) == {
        "account": "campay", "kind": "collect", "status": "pending", "currency": "XAF",
        "payments": 2, "sum": "1000",
    }  # fmt: skip
    none = ended("journal", "list", HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path))
    assert (none.exit_code, "PAYMUX_JOURNAL" in none.stderr) == (2, True)


def test_an_order_is_shown_by_its_key(file: Path) -> None:
    """Of every account that has it, or of one; what is not there, or was refused, is exit 3."""
    shown = ended("journal", "show", str(file), "order-1", "--json")
    assert json.loads(shown.stdout)["account"] == "mpesa"
    other = ended("journal", "show", str(file), "order-1", "-a", "campay")
    assert (other.exit_code, other.stdout) == (3, "")
    for name in ("nothing", "refused"):
        assert ended("journal", "show", str(file), name).exit_code == 3


def test_an_export_opens_in_a_french_excel(file: Path) -> None:
    """`;` between cells, and the mark by which Excel knows UTF-8."""
    done = ended("journal", "export", str(file), "--excel")
    assert done.stdout.startswith("\ufeffaccount;kind;reference;")
    rows = list(csv.DictReader(io.StringIO(done.stdout), delimiter=";"))
    assert [row["reference"] for row in rows] == ["order-7", "order-1", "order-2"]


def test_check_counts_what_can_be_read(file: Path) -> None:
    """And names what cannot be, with exit 1."""
    done = ended("journal", "check", str(file))
    assert done.exit_code == 0
    assert done.stdout == "Payments that can be read: 3; open: 3.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["copy", "nowhere.db", "postgresql://host/shop"], "nowhere.db: there is no such file"),
        (["copy", "{file}", "b.db"], "b.db is no postgresql:// URL"),
        (["copy", "postgresql://host/shop", "{file}"], "FILE is a file"),
        (["list", "nowhere.db"], "nowhere.db: there is no such file"),
        (["show", "a", "b", "c"], "[FILE] REFERENCE"),
        (["forget-payer", "677777777", "{file}"], "international"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words: list[str], said: str, file: Path) -> None:
    """Exit 2, the field, and what is accepted; the file stays."""
    done = ended("journal", *(word.format(file=file) for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(_references(str(file))) == 3


def test_a_spreadsheet_runs_no_formula_of_a_payer(
    shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --excel a cell that begins as a formula is text; a program's CSV has it as it is."""
    order = ["collect", "500", "XAF", "237677777777", "--reference=-1-1", "--yes"]
    assert run(order) == 0
    capsys.readouterr()
    assert run(["journal", "export", "--excel"]) == 0
    assert ";'-1-1;" in capsys.readouterr().out
    assert run(["journal", "export"]) == 0
    assert ",-1-1," in capsys.readouterr().out
