"""The versions of what is installed, against the lowest that are tested."""

from importlib import metadata
from pathlib import Path

import pytest

from paymux.cli.checks.version_checks import _within

from .shops import Shop, wrong


@pytest.mark.parametrize(
    ("version", "floor", "ceiling", "fits"),
    [
        ("3.12.15", "3.12.15", "4", True),
        ("3.20", "3.12.15", "4", True),  # 20 is not 2
        ("3.10", "3.2", "", True),
        ("10", "9.0.43", "", True),
        ("10.0", "10", "", True),
        ("3.13.0rc1", "3.13", "", True),
        ("3.9.5", "3.12.15", "4", False),
        ("4.0", "3.12.15", "4", False),
        ("0.18.6", "0.19.0", "", False),
    ],
)
def test_versions_are_compared_number_by_number(
    version: str, floor: str, ceiling: str, fits: bool
) -> None:
    """A version with two digits is later than one with one, and zeros at the end say nothing."""
    assert _within(version, floor, ceiling) is fits


async def test_an_old_version_is_named_with_its_command(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library below the tested floor is a problem; what the command installs is content."""
    info = tmp_path / "site" / "msgspec-0.18.6.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: msgspec\nVersion: 0.18.6\n")
    monkeypatch.syspath_prepend(str(info.parent))
    assert metadata.version("msgspec") == "0.18.6"
    (named,) = wrong(await shop.examine(only="versions"))
    assert named.mend is not None
    assert named.mend.command.endswith("-m pip install 'msgspec>=0.19.0'")
    # pip needs an index: its result is put in its place.
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: msgspec\nVersion: 0.19.0\n")
    assert wrong(await shop.examine(only="versions")) == []
