"""`paymux examples` and `paymux providers NAME`: what there is, from the code itself."""

import ast
import json
from pathlib import Path

import pytest

from paymux.drivers import names

from .running import ended


def test_every_program_is_listed_with_what_it_shows() -> None:
    """A line each, none empty; parts of others are not programs."""
    rows = [line.split("\t") for line in ended("examples").stdout.splitlines()[1:]]
    assert {"fastapi_shop", "crash", "buy.sh"} <= {name for name, _ in rows}
    assert "shop_page" not in {name for name, _ in rows}
    assert all(shows for _, shows in rows)


def test_a_copy_runs_beside_its_parts(tmp_path: Path) -> None:
    """It imports its parts from the folder, and is never written over another file."""
    done = ended("examples", "aiohttp_shop", "--copy", str(tmp_path))
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 2)
    for path in tmp_path.iterdir():
        text = path.read_text()
        ast.parse(text)
        assert "paymux.examples.shop_page import" not in text
    again = ended("examples", "aiohttp_shop", "--copy", str(tmp_path))
    assert (again.exit_code, "left as it is" in again.stderr) == (2, True)
    assert "fastapi_shop" in ended("examples", "no_such").stderr


@pytest.mark.parametrize("name", names())
def test_a_provider_tells_what_is_known_of_it(name: str) -> None:
    """Its fields, limits and what is unknown, as text and as JSON."""
    done = ended("providers", name)
    assert (done.exit_code, done.stderr) == (0, "")
    for part in ("Account", "Operations", "Limits", "Unknown"):
        assert f"\n{part}" in done.stdout
    told = json.loads(ended("providers", name, "--json").stdout)
    assert told["name"] == name
    assert told["operations"]


def test_an_unknown_provider_names_those_there_are() -> None:
    """Exit 2, and the names."""
    done = ended("providers", "nobody")
    assert (done.exit_code, "campay" in done.stderr) == (2, True)
