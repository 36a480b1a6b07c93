"""`paymux reconcile`, as an accountant starts it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.statements import corpus, write_ours, write_statement

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


def started(folder: Path, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
    """Start the command on 60,000 rows, which take it seconds."""
    made = corpus(60_000, 220)
    write_statement(folder / "large.csv", made.theirs, "french")
    write_ours(folder / "ours.csv", made.ours)
    command = [*COMMAND, "large.csv", "--ours", "ours.csv", *arguments]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, **more)


def test_ctrl_c_keeps_what_was_read_and_says_how_to_go_on(tmp_path: Path) -> None:
    """The same command goes on after Ctrl-C, and says with how many rows."""
    process = started(tmp_path, "--out", "out.jsonl", stdout=subprocess.PIPE)
    try:
        staged = tmp_path / "out.jsonl.state-wal"
        while not staged.exists() or staged.stat().st_size < 500_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"paymux reconcile large.csv --ours ours.csv --out out.jsonl" in said
    done = ended(tmp_path, "large.csv", "--ours", "ours.csv", "--out", "out.jsonl")
    assert done.returncode == 1
    assert "rows read, going on" in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[-1]["adds_up"]
    assert len(lines) == lines[-1]["differences"] + lines[-1]["information"] + 1


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """`| head -1` gets its line, and nothing is said on standard error."""
    process = started(tmp_path, "-q", "--json", stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "difference"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 1), (b"n\n", 2), (b"\n", 2)])
def test_a_terminal_is_asked_whether_the_columns_are_right(
    tmp_path: Path, answer: bytes, code: int
) -> None:
    """A person sees three rows as they were understood, and says yes before any is compared."""
    ended(tmp_path, "november.csv", "--ours", "orders.csv", "--explain")
    ours, theirs = pty.openpty()
    command = [*COMMAND, "november.csv", "--ours", "orders.csv", "--out", "out.csv"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = b""
    try:
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, answer)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "Réf. marchand: order-1 | order-2".encode() in shown
    assert process.returncode == code
    assert (tmp_path / "out.csv").exists() == (code == 1)
