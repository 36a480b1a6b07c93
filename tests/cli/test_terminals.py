"""Each command in each terminal, pipe, encoding and language: no traceback, nothing of value cut.

Every command meets every value: a terminal of 40, 80 and 200 columns, a pipe, a reader that leaves
after a line, NO_COLOR, LC_ALL=C without UTF-8, cp1252, cp850, French, a closed standard input, and
--json. The values are combined in seven settings, so not every pair of values is met.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from paymux.cli.commands import COMMANDS
from paymux.cli.root import commands
from paymux.simulator import Simulator

from .conftest import Served, variables
from .terminals import Setting, Shown, shown

pytestmark = pytest.mark.slow

PAID = "order-of-a-customer-with-a-long-name-1042"
FRENCH = {"LANG": "fr_FR.UTF-8", "LC_ALL": ""}
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

SETTINGS = {
    "40 columns, French": Setting(columns=40, variables=FRENCH),
    "80 columns, NO_COLOR, cp850": Setting(
        columns=80, encoding="cp850", variables={"NO_COLOR": "1", "PYTHONIOENCODING": "cp850"}
    ),
    "200 columns, LC_ALL=C": Setting(columns=200, encoding="ascii", variables=PLAIN),
    "piped, cp1252, French": Setting(
        encoding="cp1252", variables={**FRENCH, "PYTHONIOENCODING": "cp1252"}
    ),
    "head -1, cp850": Setting(
        first_line=True, encoding="cp850", variables={"PYTHONIOENCODING": "cp850"}
    ),
    "piped, no stdin, LC_ALL=C": Setting(no_stdin=True, encoding="ascii", variables=PLAIN),
    "--json, LC_ALL=C": Setting(variables=PLAIN, words=("--json",)),
}


class Case(NamedTuple):
    """A command that says something, how it ends, and words that are shown whole."""

    words: str
    code: int = 0
    value: str = ""


# {n} is another number in each run, so that no order is one that was sent before.
CASES = (
    Case("balance", value="XAF"),
    Case("check --offline"),
    Case("collect 5000 XAF 237677777777 --reference {paid}-{n} --yes", value="{paid}-{n}"),
    Case("config init campay"),
    Case("config path", 1),
    Case("config set-secret shop password --stdin", 2),
    Case("config show", value="accounts.shop.driver"),
    Case("doctor --offline"),
    Case("examples", value="fastapi_shop"),
    Case("history --since 2026-01-01", value="succeeded 237"),
    Case("journal check"),
    Case("journal copy shop.db other.db", 2),
    Case("journal export", value="{paid}"),
    Case("journal forget-payer +237677777777"),
    Case("journal list", value="{paid} succeeded"),
    Case("journal show {paid}", value="{paid}"),
    Case("journal stats", value="succeeded"),
    Case("payout 500 XAF 237677777777 --reference {paid}-{n} --yes", value="{paid}-{n}"),
    Case("probe shop --list"),
    Case("providers", value="campay"),
    Case("providers mpesa", value="passkey"),
    Case("reconcile statement.csv -a shop --yes", 1, value="{paid}"),
    Case("recover"),
    Case("refund {paid} --reference {paid}-{n} --yes", 2),
    Case("resolve {paid} failed --because 'not on the statement' --yes", 2),
    Case("run shop", value="payment_link"),
    Case("security-credential --certificate nowhere.cer", 2),
    Case("simulator --port 0 -- echo hello"),
    Case("simulator answer nobody approve", 2),
    Case("simulator env", value="campay"),
    Case("simulator fault"),
    Case("simulator resend nobody", 2),
    Case("simulator tail --url http://127.0.0.1:1", 4),
    Case("verify {paid}", value="{paid} succeeded"),
    Case("watch {paid}", value="{paid} succeeded"),
    Case("webhook-url shop", value="https://shop.example/"),
)
LEFT_OUT = {
    "demo": "takes 12 s; tests/cli/test_whole.py runs it",
    "simulator reset": "would take the orders from under the other cases; it prints nothing",
}

# What prints no JSON, and why.
OF_OTHERS = {
    "run shop": "the coroutines of a driver are its help; a call of one prints JSON",
    "simulator --port 0 -- echo hello": "standard output is the other command's",
}


class Place(NamedTuple):
    """A simulator, a folder with a journal and a statement, and the variables of a shop."""

    sim: Simulator
    folder: Path
    here: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve a simulator, and fill a journal with an order that was paid."""
    folder, served = tmp_path_factory.mktemp("terminals"), Served()
    served.start()
    kept = {name: one for name, one in os.environ.items() if not name.startswith("PAYMUX_")}
    here = {
        **kept,
        **variables(served.sim, "campay", "SHOP"),
        "PAYMUX_JOURNAL": "shop.db",
        "PAYMUX_WEBHOOK_BASE": "https://shop.example/pay",
        "PAYMUX_WEBHOOK_KEY": "a key of the shop, long enough",
        "PAYMUX_SIMULATOR": served.sim.url,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "home"),
        "XDG_STATE_HOME": str(folder / "state"),
        "LC_ALL": "C.UTF-8",
    }
    try:
        order = f"collect 5000 XAF 237677777777 --reference {PAID} --yes --wait"
        assert shown(Setting(), order.split(), folder, here).code == 0
        rows = f"reference,amount,currency,status\n{PAID},400,XAF,succeeded\n"
        (folder / "statement.csv").write_text(rows)
        yield Place(served.sim, folder, here)
    finally:
        served.stop()


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        if isinstance(found, click.Group):
            yield from _leaves(found, (*path, name))
        else:
            yield " ".join((*path, name))


def test_every_command_is_among_the_cases() -> None:
    """A new command is shown in every setting, or says here why not."""
    names = set(_leaves(commands))
    met = {name for name in names if any(f"{one.words} ".startswith(f"{name} ") for one in CASES)}
    assert names - met == set(LEFT_OUT)
    assert set(COMMANDS) <= {name.partition(" ")[0] for name in names}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.partition("{")[0].strip())
def test_it_says_all_of_it(case: Case, setting: str, place: Place, tmp_path: Path) -> None:
    """It ends with its code, without a traceback; what is of value is whole; JSON parses."""
    for file in place.folder.glob("s*.*"):
        shutil.copy(file, tmp_path)
    number = str(sorted(SETTINGS).index(setting))
    value = case.value.format(paid=PAID, n=number)
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", case.words)]
    done = shown(
        SETTINGS[setting],
        [*SETTINGS[setting].words, *(word.format(paid=PAID, n=number) for word in words)],
        tmp_path,
        place.here,
    )
    assert "Traceback" not in done.out + done.err
    if SETTINGS[setting].first_line:
        assert done.code in (case.code, 0), done
        return
    assert done.code == case.code, done
    assert [word for word in value.split() if word not in done.out] == []
    if SETTINGS[setting].words and case.words not in OF_OTHERS:
        _see_json(done)


def test_an_export_loses_no_letter(place: Place, tmp_path: Path) -> None:
    """It is UTF-8 whatever the locale: the mark of --excel and each accent are as they were."""
    shutil.copy(place.folder / "shop.db", tmp_path)
    setting = replace(SETTINGS["piped, no stdin, LC_ALL=C"], encoding="utf-8")
    done = shown(setting, ["journal", "export", "--excel"], tmp_path, place.here)
    assert (done.code, done.out[0]) == (0, "\ufeff")


def _see_json(done: Shown) -> None:
    for line in done.out.splitlines():
        assert isinstance(json.loads(line), dict)
    for line in done.err.splitlines():
        if '"type":"error"' in line:
            assert json.loads(line)["exit"] == done.code
