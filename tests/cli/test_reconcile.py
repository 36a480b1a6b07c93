"""`paymux reconcile`, as an accountant starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "paymux", "reconcile"]
STATEMENT = (
    "Réf. marchand;Montant;Devise;Statut\norder-1;500,00;XAF;Réussi\norder-2;1 500,00;XAF;Réussi\n"
)
OURS = "reference,amount,currency,status\norder-1,500,XAF,succeeded\norder-2,1500,XAF,pending\n"

pytestmark = pytest.mark.slow


def ended(
    folder: Path, *arguments: str, stdin: bytes | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder that has a statement and a file of ours."""
    if not (folder / "november.csv").exists():
        (folder / "november.csv").write_text(STATEMENT, encoding="utf-8")
        (folder / "orders.csv").write_text(OURS)
    kept = {name: one for name, one in os.environ.items() if not name.startswith("PAYMUX_")}
    environment = {**kept, "XDG_STATE_HOME": str(folder / "state"), "LANG": "C", **variables}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment,
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    said, told = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert "Traceback" not in told
    return subprocess.CompletedProcess(done.args, done.returncode, said, told)


def test_one_command_does_the_accountants_work(tmp_path: Path) -> None:
    """Two files and no config: the report, the sums, and exit 1 because something differs."""
    done = ended(tmp_path, "november.csv", "--ours", "orders.csv", "--out", "differences.csv")
    assert (done.returncode, done.stdout) == (1, "")
    report = (tmp_path / "differences.csv").read_text(encoding="utf-8").splitlines()
    assert report[0].startswith("kind;account;reference")
    assert report[1].startswith("paid_unknown;statement;order-2;")
    assert "read: ours 2 = 2,000 XAF; theirs 2 = 2,000 XAF" in done.stderr
    assert "  agreed: ours 1 = 500 XAF; theirs 1 = 500 XAF" in done.stderr
    assert "  paid_unknown: ours 1 = 1,500 XAF; theirs 1 = 1,500 XAF" in done.stderr
    assert "1 differences" in done.stderr
    assert "differences.csv" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "differences.csv", "november.csv", "orders.csv",
    ]  # fmt: skip


def test_a_pipe_gets_rows_and_json_ends_with_the_summary(tmp_path: Path) -> None:
    """Standard output has results alone: tab-separated rows, or JSON lines and their sums."""
    done = ended(tmp_path, "november.csv", "--ours", "orders.csv", "-q")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == ["kind", "paid_unknown"]
    assert done.stderr == ""
    done = ended(tmp_path, "november.csv", "--ours", "orders.csv", "--json")
    first, last = map(json.loads, done.stdout.splitlines())
    assert (first["type"], first["kind"], first["their_amount"]) == (
        "difference", "paid_unknown", "1500",
    )  # fmt: skip
    assert (last["type"], last["differences"], last["adds_up"]) == ("summary", 1, True)


def test_nothing_that_differs_is_exit_0(tmp_path: Path) -> None:
    """A script sees from the exit code alone that both sides agree."""
    (tmp_path / "paid.csv").write_text(OURS.replace("pending", "paid"))
    done = ended(tmp_path, "november.csv", "--ours", "paid.csv")
    assert done.returncode == 0
    assert "Nothing differs." in done.stderr
    done = ended(tmp_path, "-", "--ours", "paid.csv", stdin=STATEMENT.encode())
    assert done.returncode == 0


def test_what_cannot_be_read_is_exit_2_with_the_option(tmp_path: Path) -> None:
    """The option that is printed is the one that makes the same command work."""
    (tmp_path / "excel.csv").write_bytes(STATEMENT.encode("cp1252"))
    done = ended(tmp_path, "excel.csv", "--ours", "orders.csv")
    assert done.returncode == 2
    assert "--encoding cp1252" in done.stderr
    done = ended(tmp_path, "excel.csv", "--ours", "orders.csv", "--encoding", "cp1252")
    assert done.returncode == 1
    (tmp_path / "ambiguous.csv").write_text("reference,amount\norder-1,500\n", encoding="utf-8")
    (tmp_path / "ambiguous.csv").write_text('reference;amount\norder-1;"1,500"\n')
    done = ended(tmp_path, "ambiguous.csv", "--ours", "orders.csv")
    assert (done.returncode, "line 2" in done.stderr, "--decimal" in done.stderr) == (2, True, True)
    done = ended(tmp_path, "ambiguous.csv", "--ours", "orders.csv", "--decimal", ".")
    assert done.returncode == 1
    for wrong in (
        ("--map", "amount"),
        ("--edge", "soon"),
        ("--since", "x"),
        ("--status", "OK=paye"),
    ):
        assert ended(tmp_path, "november.csv", "--ours", "orders.csv", *wrong).returncode == 2
    assert ended(tmp_path, "absent.csv", "--ours", "orders.csv").returncode == 2
    assert ended(tmp_path).returncode == 2


def test_explain_shows_three_rows_and_what_keeps_it(tmp_path: Path) -> None:
    """`--explain` compares nothing, and prints the table that a config keeps."""
    done = ended(tmp_path, "november.csv", "--ours", "orders.csv", "--explain")
    assert done.returncode == 0
    assert "reference  Réf. marchand: order-1 | order-2" in done.stdout
    assert "amount     Montant: 500 | 1500" in done.stdout
    kept = done.stdout[done.stdout.index("[reconcile.") :].replace("ACCOUNT", "campay")
    (tmp_path / "paymux.toml").write_text(
        '[accounts.campay]\ndriver = "campay"\nusername = "u"\npassword = "a password"\n' + kept,
        encoding="utf-8",
    )
    done = ended(
        tmp_path, "november.csv", "--ours", "orders.csv", "--config", "paymux.toml", "-a", "campay"
    )
    assert done.returncode == 1


def test_it_speaks_french(tmp_path: Path) -> None:
    """The summary and the advice are French where the locale is; the kinds stay as they are."""
    done = ended(tmp_path, "november.csv", "--ours", "orders.csv", PAYMUX_LANG="fr")
    assert "lu : chez nous 2" in done.stderr
    assert "puis livrer" in done.stdout
    assert "paid_unknown" in done.stdout
