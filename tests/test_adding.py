"""Adding a provider: three files and its samples, or an entry point of another package."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import paymux.drivers
from paymux import UsageError
from paymux.drivers import load, names, table

ROOT = Path(__file__).parents[1]
ACME = Path(__file__).parent / "acme"
FIELDS: dict[str, Any] = {"api_key": "simulator"}
COVERING = ("drivers/test_acme", "test_contract", "test_aiohttp", "test_answers", "test_fuzz")
NO_DRIVER = """
from decimal import Decimal
from paymux.drivers.base import Driver
from tests.acme.driver import Acme


class Moneyless(Driver, frozen=True, kw_only=True):
    name = "moneyless"
    live_url = "https://api.acme.example"


class Thawed(Acme, frozen=False, kw_only=True):
    name = "thawed"
"""


def _add(tree: Path) -> None:
    """Add the toy as any provider is added."""
    shutil.copy(ACME / "driver.py", tree / "paymux/drivers/acme.py")
    shutil.copy(ACME / "simulator.py", tree / "paymux/simulator/acme.py")
    shutil.copy(ACME / "case.py", tree / "tests/drivers/test_acme.py")
    shutil.copytree(ACME / "samples", tree / "tests/samples/acme")


def _run(tree: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=tree, capture_output=True, text=True, check=False
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
    assert "| acme | ✓ | - |" in _run(tmp_path, "-m", "paymux", "providers")
    files = [f"tests/{name}.py" for name in COVERING]
    said = _run(tmp_path, "-m", "pytest", "-v", "-k", "acme", "-p", "no:cacheprovider", *files)
    for file in files:
        assert f"{file}::" in said
    assert "[acme] PASSED" in said
    assert "skipped" not in said


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install another package's entry points."""
    (tmp_path / "acme_pay.py").write_text(NO_DRIVER)
    about = tmp_path / "acme_pay-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-pay\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[paymux.drivers]\n"
        "acme = tests.acme.driver:Acme\n"
        "decimal = acme_pay:Decimal\n"
        "gone = acme_pay:Gone\n"
        "moneyless = acme_pay:Moneyless\n"
        "thawed = acme_pay:Thawed\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(paymux.drivers, "_entry_points", paymux.drivers._entry_points.__wrapped__)


@pytest.mark.usefixtures("other_package")
def test_a_driver_of_another_package_is_one_like_ours() -> None:
    """It is listed, printed, loaded, and named where a name is refused."""
    assert {"acme", "campay"} <= {*names()}
    assert "| acme | ✓ | - |" in table(["acme"])
    assert load("acme")(**FIELDS).name == "acme"
    with pytest.raises(UsageError, match=r"accepted: acme, campay, cinetpay, .*decimal") as refused:
        load("acmee")
    assert refused.value.name == "driver"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("decimal", r"'decimal \(acme_pay:Decimal\)' is refused; accepted: a class derived from"),
        ("gone", r"'gone \(acme_pay:Gone\)' .* a driver that can be imported \(AttributeError"),
        ("moneyless", r"'moneyless \(acme_pay:Moneyless\)' .* a driver with currencies$"),
        ("thawed", r"'thawed \(acme_pay:Thawed\)' .* a frozen driver"),
    ],
)
@pytest.mark.usefixtures("other_package")
def test_an_entry_point_that_is_no_whole_driver_is_refused(name: str, said: str) -> None:
    """What would fail later and elsewhere is UsageError when it is loaded, naming the entry
    point.
    """
    with pytest.raises(UsageError, match=f"driver: {said}"):
        load(name)
