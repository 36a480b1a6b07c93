"""Adding a provider: three files and its samples, or a package of another team."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from paymux import Pool, Status, UsageError
from paymux.drivers import load, names, table
from paymux.simulator import Simulator
from paymux.simulator import names as simulated
from paymux.values import entry_points

from .toys import timeless

ROOT = Path(__file__).parents[1]
ACME = Path(__file__).parent / "acme"
FIELDS: dict[str, Any] = {"api_key": "simulator"}
ROW = "| acme | ✓ | ✓ | - | ✓ | payout | - |"  # of the table of providers
OWN_TEST = '''

@pytest.mark.parametrize("case", ["paid.200", "open.200"])
def test_a_look_up_reads_the_page(case: str) -> None:
    """Each answer of the page is read as it says."""
    driver = load("acme")(**CASE.words.fields)
    script = Script(driver, reply("acme", case))
    held = Payment(account="acme", provider_reference=ID)
    assert drive(driver.verify(script, held)).status is CASE.words.said[case]
'''
OWN_IMPORTS = """
import pytest

from paymux import Payment
from paymux.drivers import load
from tests.driving import Script, drive, reply
"""
COVERING = ("drivers/test_acme", "test_contract", "test_aiohttp", "test_answers", "test_fuzz")
NO_DRIVER = """
from decimal import Decimal
from paymux.drivers.base import Driver
from acme_pay.driver import Acme


class Moneyless(Driver, frozen=True, kw_only=True):
    name = "moneyless"
    live_url = "https://api.acme.example"


class Thawed(Acme, frozen=False, kw_only=True):
    name = "thawed"
"""
NO_SIMULATOR = """
from paymux.simulator.base import Provider


class Renamed(Provider):
    name = "another"
"""


def _add(tree: Path) -> None:
    """Add the toy as any provider is added."""
    (tree / "paymux/drivers/acme").mkdir()
    shutil.copy(ACME / "acme_pay/driver.py", tree / "paymux/drivers/acme/__init__.py")
    shutil.copy(ACME / "acme_pay/simulator.py", tree / "paymux/simulator/acme.py")
    shutil.copytree(ACME / "tests/samples", tree / "tests/samples/acme")
    contract = (ACME / "tests/test_acme.py").read_text()
    case, _, _ = contract.partition("\n\nclass TestAcme")
    own = re.sub("^from acme_pay.*\n", "", case, flags=re.MULTILINE)
    (tree / "tests/drivers/test_acme.py").write_text(
        own.replace("from pathlib import Path\n", OWN_IMPORTS) + OWN_TEST
    )


def _run(tree: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.timeout(400)
def test_a_provider_is_three_files_and_its_samples(tmp_path: Path) -> None:
    """Nothing else is touched, and the tests of all drivers cover it."""
    for folder in ("paymux", "tests", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    for file in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tmp_path / file)
    _add(tmp_path)
    exported = "import paymux; print(paymux.Acme.name, 'Acme' in paymux.__all__)"
    assert _run(tmp_path, "-c", exported) == "acme True\n"
    assert ROW in _run(tmp_path, "-m", "paymux", "providers")
    files = [f"tests/{name}.py" for name in COVERING]
    said = _run(tmp_path, "-m", "pytest", "-v", "-k", "acme", "-p", "no:cacheprovider", *files)
    for file in files:
        assert f"{file}::" in said
    assert "[acme] PASSED" in said
    assert "skipped" not in said


def test_the_example_for_contributors_is_acmes_own_code() -> None:
    """The payout that CONTRIBUTING shows is in the driver that the contract tests."""
    page = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.partition("## Add a provider")[2].partition("\n## ")[0]
    (example,) = re.findall(
        r"^```python no-run\n(async def .*?)^```", section, re.DOTALL | re.MULTILINE
    )
    driver = (ACME / "acme_pay/driver.py").read_text(encoding="utf-8")
    for method in example.split("\n\n\n"):
        assert textwrap.indent(method.strip(), "    ") in driver


def _install(site: Path, name: str, points: str) -> None:
    """Write what an installer writes of a package's entry points."""
    about = site / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install Acme's package, as another team publishes it, and return where."""
    site = tmp_path / "site"
    shutil.copytree(ACME / "acme_pay", site / "acme_pay")
    project = tomllib.loads((ACME / "pyproject.toml").read_text())["project"]
    points = [
        f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in named.items())
        for group, named in project["entry-points"].items()
    ]
    _install(site, "acme_pay", "\n".join(points))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(entry_points, "entries", entry_points.entries.__wrapped__)
    monkeypatch.setattr("paymux.drivers.entries", entry_points.entries)
    monkeypatch.setattr("paymux.simulator.providers.entries", entry_points.entries)
    return site


@pytest.fixture
def wrong(acme: Path) -> None:
    """Install another package, all of whose entry points are wrong."""
    (acme / "wrong_pay.py").write_text(NO_DRIVER + NO_SIMULATOR)
    _install(
        acme,
        "wrong_pay",
        "[paymux.drivers]\n"
        "decimal = wrong_pay:Decimal\n"
        "gone = wrong_pay:Gone\n"
        "moneyless = wrong_pay:Moneyless\n"
        "thawed = wrong_pay:Thawed\n"
        "[paymux.simulators]\n"
        "decimal = wrong_pay:Decimal\n"
        "gone = wrong_pay:Gone\n"
        "renamed = wrong_pay:Renamed\n",
    )


@pytest.mark.usefixtures("wrong")
def test_a_driver_of_another_package_is_one_like_ours() -> None:
    """It is listed, printed, loaded, and named where a name is refused."""
    assert {"acme", "campay"} <= {*names()}
    assert ROW in table(["acme"])
    assert load("acme")(**FIELDS).name == "acme"
    with pytest.raises(UsageError, match=r"accepted: acme, campay, cinetpay, .*decimal") as refused:
        load("acmee")
    assert refused.value.name == "driver"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("decimal", r"'decimal \(wrong_pay:Decimal\)' is refused; accepted: a class derived from"),
        ("gone", r"'gone \(wrong_pay:Gone\)' .* a driver that can be imported \(AttributeError"),
        ("moneyless", r"'moneyless \(wrong_pay:Moneyless\)' .* a driver with currencies$"),
        ("thawed", r"'thawed \(wrong_pay:Thawed\)' .* a frozen driver"),
    ],
)
@pytest.mark.usefixtures("wrong")
def test_an_entry_point_that_is_no_whole_driver_is_refused(name: str, said: str) -> None:
    """What would fail later and elsewhere is UsageError when it is loaded, naming the entry
    point.
    """
    with pytest.raises(UsageError, match=f"driver: {said}"):
        load(name)


@pytest.mark.usefixtures("acme")
@timeless
async def test_a_simulator_of_another_package_is_one_like_ours() -> None:
    """It is listed, served beside ours, and its payments are in the same ledger."""
    assert {"acme", "campay"} <= {*simulated()}
    sim = Simulator()
    assert {*sim.providers} == {*simulated()}
    async with Pool(sim.driver("acme"), connection=sim.connection) as pay:
        payment = await pay.collect(
            "acme", amount=500, currency="XOF", payer="2290196000001", reference="order-1"
        )
        sim.settle("order-1", Status.SUCCEEDED)
        assert (await pay.verify(payment)).status is Status.SUCCEEDED
        assert sim.ledger.charged("order-1") == 500


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "decimal",
            r"'decimal \(wrong_pay:Decimal\)' .* a class derived from paymux.simulator.base",
        ),
        ("gone", r"'gone \(wrong_pay:Gone\)' .* a simulator that can be imported \(AttributeError"),
        ("renamed", r"'renamed \(wrong_pay:Renamed\)' .* a provider with `name = 'renamed'`"),
    ],
)
@pytest.mark.usefixtures("wrong")
def test_an_entry_point_that_is_no_simulator_is_refused(name: str, said: str) -> None:
    """It is UsageError when it is loaded, naming the entry point; the others can be served."""
    with pytest.raises(UsageError, match=f"simulator: {said}"):
        Simulator(providers=["campay", name])
    assert [*Simulator(providers=["campay", "acme"]).providers] == ["campay", "acme"]


def test_the_commands_list_the_simulator_of_another_package(acme: Path) -> None:
    """`paymux simulator` serves it and prints its URL, and `--help` its credentials."""
    environment = {"PYTHONPATH": str(acme)}
    helped = _run(acme, "-m", "paymux", "simulator", "--help", environment=environment)
    assert re.search(r"^ *acme +api_key=simulator$", helped, flags=re.MULTILINE)
    process = subprocess.Popen(
        [sys.executable, "-m", "paymux", "simulator", "--port", "0"],
        cwd=acme,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = "export PAYMUX_ACME__BASE_URL="
        told = next(one for one in iter(process.stdout.readline, "") if one.startswith(line))
        assert re.fullmatch(rf"{line}'http://127.0.0.1:\d+/acme'\n", told)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    finally:
        process.kill()


@pytest.mark.usefixtures("wrong")
def test_the_help_names_a_simulator_that_cannot_be_loaded(acme: Path) -> None:
    """A wrong package costs its own line, not the help and not the others' credentials."""
    helped = _run(
        acme, "-m", "paymux", "simulator", "--help", environment={"PYTHONPATH": str(acme)}
    )
    assert "'decimal (wrong_pay:Decimal)' is refused" in " ".join(helped.split())
    assert re.search(r"^ *acme +api_key=simulator$", helped, flags=re.MULTILINE)


@pytest.mark.usefixtures("wrong")
def test_the_table_of_providers_names_those_that_cannot_be_loaded(acme: Path) -> None:
    """Each is a line on standard error; the others are in the table, and the exit code is 1."""
    done = subprocess.run(
        [sys.executable, "-m", "paymux", "providers"],
        cwd=acme,
        env={**os.environ, "PYTHONPATH": str(acme)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert ROW in done.stdout
    assert "gone" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("paymux: driver: 'gone (wrong_pay:Gone)' is refused; accepted: ")


@pytest.mark.usefixtures("wrong")
def test_a_simulator_of_all_leaves_out_what_cannot_be_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One ERROR names each, and the others are served."""
    served = Simulator().providers
    assert {"acme", "campay"} <= {*served}
    assert not {"decimal", "gone", "renamed"} & {*served}
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert len(said) == 3
    assert said[1].startswith("the simulated provider gone is left out: simulator: 'gone (wrong_")


def test_a_package_is_tested_by_the_contract_alone(acme: Path) -> None:
    """Its tests need an installed paymux and pytest, no async plugin, and nothing of our tests."""
    shutil.copytree(ACME / "tests", acme / "tests")
    plain = ["-p", "no:asyncio", "-p", "no:anyio", "-p", "no:cacheprovider", "-W", "error"]
    tested = ["-m", "pytest", "-q", "--rootdir", ".", *plain, "tests"]
    said = _run(acme, *tested, environment={"PYTHONPATH": str(acme)})
    assert (found := re.search(r"^(\d+) passed in ", said, flags=re.MULTILINE)), said
    assert int(found[1]) > 100
    for file in (ROOT / "paymux").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) tests\b", file.read_text(), flags=re.MULTILINE)
