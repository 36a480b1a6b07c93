"""Twelve tasks of a person who has read no page but `--help`.

Each command line is an example that the help printed, with other values, and options that the same
help lists; it runs as a process. What counts is the exit code, and the ledger of the simulator.
"""

import csv
import io
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from paymux.simulator import Simulator

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "paymux"]
PAYS, DECLINES = "237677777777", "237677777770"  # as `paymux simulator --help` says
DECIDES = "237677777711"  # any other


@cache
def _help(*names: str) -> str:
    done = subprocess.run([*COMMAND, *names, "--help"], capture_output=True, text=True, check=True)
    return done.stdout


def _named(summary: str) -> list[str]:
    """Find a command by what it is for, as the lists of commands tell it."""
    for group in ([], ["config"], ["journal"], ["simulator"]):
        listed = _help(*group).partition("Commands:")[2]
        for entry in re.split(r"\n  (?=\S)", listed):
            name, _, says = entry.strip().partition(" ")
            if summary in " ".join(says.split()):
                return [*group, name]
    raise AssertionError(summary)


def built(summary: str, *changes: str, example: int = 0, **values: str) -> list[str]:
    """Build a command line from an example of the help of the command with this summary.

    `values` are those of the example's options, and `changes` are options and values behind it;
    each option is one that the help lists. What stands behind |, < or > is the shell's.
    """
    names = _named(summary)
    text = _help(*names)
    lines = text.partition("Usage:")[0].splitlines()[1:]
    words = shlex.split([line for line in lines if line.strip()][example])[1:]
    shell = [at for at, word in enumerate(words) if word in ("|", "<", ">")]
    words = words[: min(shell, default=None)]
    for old, new in values.items():
        words[words.index(f"--{old}") + 1] = new
    for change in changes:
        if change.startswith("-"):
            assert re.search(rf"^  .*{re.escape(change)}\b", text, re.MULTILINE), change
    return [*words, *changes]


def swapped(line: list[str], **values: str) -> list[str]:
    """Replace whole words of a line: `_5000="600"` is the word 5000."""
    found = {old.removeprefix("_"): new for old, new in values.items()}
    assert set(found) <= set(line)
    return [found.get(word, word) for word in line]


def ended(line: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    done = subprocess.run(
        [*COMMAND, *line], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done


COLLECT = "Ask a payer for money"
REFERENCE = "order-1042"  # of the examples


def _collected(*more: str) -> subprocess.CompletedProcess[str]:
    return ended(built(COLLECT, "--yes", *more))


def _paid() -> None:
    """Take a payment without waiting: the payer of the tests pays before the next process asks."""
    assert _collected().returncode == 0
    assert ended(built("Ask a provider once for each payment")).returncode == 0


def test_take_a_payment_and_wait_for_it(shop: Simulator) -> None:
    """1. The payer is asked and pays: exit 0, charged once."""
    assert _collected("--wait").returncode == 0
    assert shop.ledger.charged(REFERENCE) == 5000


def test_run_the_line_again(shop: Simulator) -> None:
    """2. The second run sends nothing, and ends like the first."""
    for _ in range(2):
        done = _collected("--wait")
        assert done.returncode == 0
    assert "not sent again" in done.stderr
    assert len(shop.ledger.entries(REFERENCE)) == 1


def test_a_payer_who_declines(shop: Simulator) -> None:
    """3. Exit 1, and nothing is charged."""
    line = swapped(built(COLLECT, "--yes", "--wait"), **{f"_{PAYS}": DECLINES})
    assert f"{DECLINES} declines" in " ".join(_help("simulator").split())
    assert ended(line).returncode == 1
    assert shop.ledger.charged(REFERENCE) == 0


def test_an_answer_that_is_lost(shop: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """4. Exit 5, however often one asks; a person's word ends it with 0; charged once."""
    monkeypatch.setenv("PAYMUX_SIMULATOR", shop.url)
    assert ended(built("Plan trouble")).returncode == 0
    lost = _collected()
    assert lost.returncode == 5
    assert "Do not send it again" in lost.stderr
    assert ended(built("Print a line for each change", "--timeout", "1")).returncode == 5
    assert _collected().returncode == 5
    word = swapped(built("by a person's word", "--yes"), failed="succeeded")
    assert ended(word).returncode == 0
    assert len(shop.ledger.entries(REFERENCE)) == 1


def test_pay_a_wage(shop: Simulator) -> None:
    """5. Shown first, sent then: exit 0 twice, and one payout of the ledger."""
    summary = "Send money to a payee"
    assert ended(built(summary, "--dry-run")).returncode == 0
    assert len(shop.ledger) == 0
    assert ended(built(summary, "--yes", "--wait")).returncode == 0
    assert [entry.kind for entry in shop.ledger] == ["payout"]


def test_without_a_terminal_nothing_is_confirmed(shop: Simulator) -> None:
    """6. A job that forgot --yes: exit 2, and nothing is sent."""
    done = ended(built(COLLECT), stdin="y\n")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert len(shop.ledger) == 0


def test_a_reference_that_is_used(shop: Simulator) -> None:
    """7. Another order under it: exit 3, and nothing is sent."""
    _paid()
    assert ended(swapped(built(COLLECT, "--yes"), _5000="600")).returncode == 3
    assert len(shop.ledger) == 1


def test_look_up_a_list(shop: Simulator) -> None:
    """8. From standard input: exit 0 while all are paid, 1 once one is not."""
    line = built("Ask a provider once for each payment", example=1)
    _paid()
    assert ended(line, stdin=f"reference\n{REFERENCE}\n").returncode == 0
    other = swapped(built(COLLECT, "--yes", reference="order-2"), **{f"_{PAYS}": DECLINES})
    assert ended(other).returncode == 0
    done = ended(line, stdin=f"{REFERENCE}\norder-2\n")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 2)
    assert len(shop.ledger) == 2


def test_give_the_accountant_a_file(shop: Simulator) -> None:
    """9. Exit 0, and a row for each order."""
    _paid()
    line = built("as CSV or JSON lines", "--excel")
    done = ended(line)
    rows = list(csv.DictReader(io.StringIO(done.stdout.removeprefix("\ufeff")), delimiter=";"))
    assert (done.returncode, [row["reference"] for row in rows]) == (0, [REFERENCE])
    assert shop.ledger.charged(REFERENCE) == 5000


def test_compare_with_a_statement(shop: Simulator, bare: Path) -> None:
    """10. Exit 0 where nothing differs, 1 with the row where an amount does."""
    _paid()
    line = built("Compare the journal", "--yes")
    cut = line.index("--ours")
    line = ["reconcile", "statement.csv", *line[cut + 4 :], *built_account()]
    for amount, code in ((5000, 0), (4000, 1)):
        rows = f"reference,amount,currency,status\n{REFERENCE},{amount},XAF,succeeded\n"
        (bare / "statement.csv").write_text(rows)
        done = ended(line)
        assert done.returncode == code, done
    assert REFERENCE in done.stdout
    assert len(shop.ledger) == 1


def built_account() -> list[str]:
    """Return the option that names the account, which the help lists."""
    assert "-a, --account" in _help("reconcile")
    return ["-a", "shop"]


def test_begin_with_an_empty_folder(bare: Path) -> None:
    """11. A config and a secret in it: exit 0 each; what is still wrong is exit 1."""
    assert ended(built("Write a commented config file")).returncode == 0
    secret = swapped(built("Keep a secret in a file"), kenya="campay", passkey="password")
    assert ended(secret, stdin="a password of ours\n").returncode == 0
    shown = ended(built("Show and write the settings", example=1))
    assert (shown.returncode, "a password of ours" in shown.stdout) == (0, False)
    done = ended(built("Say what is wrong with a configuration", "--offline"))
    assert done.returncode == 1
    assert (bare / "paymux.toml").stat().st_mode & 0o777 == 0o600


def test_be_the_payer(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """12. Within the simulator: exit 5 while the payer thinks, 0 once they approve."""
    monkeypatch.setenv("PAYMUX_JOURNAL", str(bare / "shop.db"))
    here = shlex.join(COMMAND)
    order = swapped(built(COLLECT, "--yes", "-a", "campay"), **{f"_{PAYS}": DECIDES})
    asked = shlex.join(order)
    approve = shlex.join(swapped(built("Answer as the payer"), **{"_order-7": REFERENCE}))
    watch = shlex.join(built("Print a line for each change", "--timeout", "30"))
    verify = shlex.join(built("Ask a provider once for each payment"))
    script = (
        f"{here} {asked} || exit 20; {here} {verify}; test $? = 5 || exit 21; "
        f"{here} {approve} || exit 22; {here} {watch}"
    )
    served = built("Serve simulated providers", example=1)
    line = [*served[: served.index("--")], "--payers", "ask", "--", "sh", "-c", script]
    assert "--payers" in _help("simulator")
    done = ended(line)
    assert done.returncode == 0, done
