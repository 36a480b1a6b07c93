"""The structure of the package: imports go down, one file knows the HTTP client, and so on."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import paymux
import paymux.drivers
from paymux.drivers.base import Driver

ROOT = Path(paymux.__file__).parent

TESTS = Path(__file__).parent

MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__"): path
    for path in ROOT.rglob("*.py")
}


# A module imports from the lines above its own, and from its own folder without a cycle.
LAYERS = (
    {"primitives"},
    {"errors"},
    {"models"},
    {"values"},
    {"http", "limits"},
    {"drivers", "journal"},
    {"transport"},
    {"watch"},
    {"core"},
    {"core/notify", "bulk"},
    {"reconcile"},
    {"pool"},
    {"webhooks", "otel"},
    {"__init__"},
    {"simulator"},
    {"testing"},
    {"cli"},
    {"__main__"},
    {"examples"},
)

# Other folders may import the modules of these; of the others they import the `__init__`.
OPEN = {"primitives", "values", "drivers", "simulator"}

# These modules have a door of their own: to enter them loads SQLite, or the HTTP client.
DOORS = {"journal/sqlite", "transport/aiohttp", "transport/connection", "transport/session"}

ROOMS = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def room(name: str) -> str:
    """Return the folder that a module belongs to; `core/notify` is separate from `core`."""
    return next(
        (one for one in sorted(ROOMS, reverse=True) if f"{name}/".startswith(f"{one}/")), ""
    )


def _at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through a module without the parts for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _at_run_time(node)


def imported(name: str) -> Iterator[str]:
    """Yield the paymux modules and packages that a module imports at run time."""
    path = MODULES[name]
    package = path.parent.relative_to(ROOT.parent).as_posix().split("/")
    for node in _at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            parts = [*base, *(node.module or "").split(".")]
            target = "/".join(parts).strip("/").removeprefix("paymux").strip("/")
            for alias in node.names:
                inner = f"{target}/{alias.name}".strip("/")
                yield inner if inner in MODULES else target or "__init__"
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_every_module_is_in_a_room() -> None:
    """Each module belongs to a folder of the layers."""
    assert [name for name in sorted(MODULES) if not room(name)] == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_only_go_down(name: str) -> None:
    """No module imports another folder of its own layer, or of a layer above."""
    mine = room(name)
    rooms = {room(found) for found in imported(name) if found in MODULES} - {mine}
    assert {one for one in rooms if ROOMS[one] >= ROOMS[mine]} == set()


def test_no_imports_go_round_in_a_circle() -> None:
    """Imports inside a folder have no cycle, except for types."""
    graph = {name: {found for found in imported(name) if found in MODULES} for name in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_room_is_entered_by_its_door(name: str) -> None:
    """Other folders import only names of a folder's `__init__`, so its modules can change."""
    mine = name.partition("/")[0]
    others = {one for one in imported(name) if one in MODULES and one.partition("/")[0] != mine}
    inner = {found for found in others if found != room(found) and room(found) not in OPEN}
    assert inner <= DOORS


def test_at_most_twenty_rooms_are_at_the_top() -> None:
    """The package's own folder is read at a glance: its folders, and the modules beside them."""
    apart = {"__pycache__", "__init__.py", "__main__.py", "py.typed"}
    assert len([one for one in ROOT.iterdir() if one.name not in apart]) <= 20


EXAMPLES = sorted(name for name in MODULES if name.startswith("examples/"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_uses_only_public_names(name: str) -> None:
    """It is copied out of the package: no relative import, nothing private, at most 90 lines."""
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paymux"):
            module = importlib.import_module(node.module or "")
            allowed = getattr(module, "__all__", [alias.name for alias in node.names])
            shared = tuple(f"paymux.examples.{one}" for one in ("chats", "till", "shop_page"))
            assert node.module in ("paymux", "paymux.webhooks", *shared)
            assert {alias.name for alias in node.names} <= set(allowed)
        assert not (isinstance(node, ast.ImportFrom) and node.level)
        private = isinstance(node, ast.Attribute) and node.attr.startswith("_")
        assert not private or getattr(node, "attr", "").endswith("__")


CLIENT = {
    f"transport/{name}"
    for name in ("aiohttp", "loop_connections", "replies", "session", "session_attempt")
}
# A mock of the client for tests stands beside it.
MOCK = "testing/aioresponses"


def test_few_files_know_the_http_client() -> None:
    """Only the connections of transport/ import aiohttp's client; others import its server."""
    users = {name for name in MODULES if "aiohttp" in set(imported(name))} - {"pool", *EXAMPLES}
    web = "from aiohttp import web"
    served = {name for name in users if web in MODULES[name].read_text(encoding="utf-8")}
    assert users - served == {*CLIENT, MOCK}
    assert {name for name in served if room(name) != "simulator"} == {
        "cli/demonstration",
        "webhooks/app",
    }
    client = "import aiohttp"
    assert all(client not in MODULES[name].read_text(encoding="utf-8") for name in served)


def test_only_the_pool_hands_the_connection_in() -> None:
    """Nothing imports transport/connection.py but the pool, nor the two connections but this."""
    users = {
        name
        for name in MODULES
        if {"transport/aiohttp", "transport/connection", "transport/session"} & set(imported(name))
    }
    assert users == {"pool", "transport/connection", MOCK}


BASE = {f"drivers/{name}" for name in ("base", "_account", "_facts", "_messages")}
BASE |= {f"drivers/{name}" for name in ("_ids", "_probing", "_pushed")}
DRIVERS = sorted({name for name in MODULES if name.startswith("drivers/")} - BASE)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_knows_no_loop_no_client_no_other_driver(name: str) -> None:
    """A driver imports the base, the models and parsers, and nothing that runs."""
    allowed = {
        "drivers/base",
        "drivers/_ids",
        "drivers/_probing",
        "values/validation",
        "errors",
        "values/arguments",
        "values/payment_arguments",
        "values/http_signatures",
        "values/jwt",
        "values/parsing",
        "models",
        "values/money",
        "values/phone",
        "primitives/coerce",
        "primitives/redaction",
        "values/status_words",
        "http",
        "msgspec",
    }
    own = "/".join(name.split("/")[:2])
    found = {one for one in imported(name) if one != own and not one.startswith(f"{own}/")}
    assert found - allowed - sys.stdlib_module_names == set()
    assert "asyncio" not in found


@pytest.mark.parametrize("name", [*DRIVERS, *sorted(BASE)])
def test_a_driver_calls_a_thing_by_its_own_name(name: str) -> None:
    """No import has an alias."""
    aliases = [
        alias.asname
        for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert not any(aliases)


@pytest.mark.parametrize("name", paymux.drivers.names())
def test_the_mapping_to_a_payment_has_one_signature(name: str) -> None:
    """It takes the provider's answer, and the reference and kind of the look-up."""
    driver = paymux.drivers.load(name)
    mapping = inspect.signature(vars(driver)["payment"])
    usual = "collect" if driver.can("collect") else "payout"
    assert list(mapping.parameters) == ["self", "said", "asked", "kind"]
    assert [one.default for one in mapping.parameters.values()][2:] == [None, usual]


@pytest.mark.parametrize("name", paymux.drivers.names())
def test_a_driver_has_a_simulator_and_a_test(name: str) -> None:
    """Each driver has a simulator and a test file."""
    assert f"simulator/{name}" in MODULES
    assert (TESTS / "drivers" / f"test_{name}.py").exists()
    assert list((TESTS / "samples" / name).glob("*.json"))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("simulator/")))
def test_a_simulator_never_imports_a_driver(name: str) -> None:
    """A simulator imports no driver, so that they do not share a misreading."""
    drivers = {f"drivers/{driver}" for driver in paymux.drivers.names()}
    assert drivers.isdisjoint(imported(name))
    assert {"pool", "transport", "transport/connection", "core/engine"}.isdisjoint(imported(name))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_outgrows_its_ideas(name: str) -> None:
    """A file has at most 300 lines: what has more has two ideas, and a driver is a folder."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_function_is_one_idea(name: str) -> None:
    """A function has at most 45 lines, with its docstring and without its decorators."""
    long = [
        node.name
        for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 45
    ]
    assert long == []


def test_the_public_names_are_listed_and_real() -> None:
    """`paymux.__all__` is sorted and every name in it can be used."""
    assert paymux.__all__ == sorted(paymux.__all__)
    for name in paymux.__all__:
        assert getattr(paymux, name) is not None


def test_the_version_has_one_source() -> None:
    """The build and the package read `paymux.__version__`, and no other file repeats it."""
    said = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in said["project"]["dynamic"]
    assert said["tool"]["hatch"]["version"]["path"] == "paymux/__init__.py"
    told = [
        path for path in MODULES.values() if "__version__ =" in path.read_text(encoding="utf-8")
    ]
    assert told == [MODULES["__init__"]]
    asked = re.compile(r"\bversion\(\"paymux\"\)")
    others = [name for name, path in MODULES.items() if asked.search(path.read_text("utf-8"))]
    assert others == ["otel"]  # it is below the package's own module


def test_every_driver_on_disk_is_exported() -> None:
    """Each driver is found by the name of its class."""
    exported = {
        found.name
        for name in paymux.__all__
        if isinstance(found := getattr(paymux, name), type(Driver)) and issubclass(found, Driver)
    }
    assert exported == set(paymux.drivers.names())


def test_a_type_checker_sees_the_drivers_of_a_release() -> None:
    """All released drivers are named in `paymux/__init__.py`, which a type checker reads."""
    text = MODULES["__init__"].read_text(encoding="utf-8")
    listed = next(
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "__all__"
    )
    found = sorted(paymux.drivers.load(name).__name__ for name in paymux.drivers.own())
    assert listed == [name for name in found if name in listed]
    assert (
        "\n## Unreleased\n" in (ROOT.parent / "CHANGELOG.md").read_text(encoding="utf-8")
        or listed == found
    )


def _loaded(code: str) -> set[str]:
    """Run code in a new process, and return the modules that it loaded."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(shown.split())


def test_importing_paymux_loads_nothing_else() -> None:
    """`import paymux` costs next to nothing: each name loads at its first use."""
    loaded = _loaded("import paymux")
    own = {one for one in loaded if one.partition(".")[0] == "paymux"}
    assert own == {"paymux", "paymux.primitives", "paymux.primitives.lazy"}
    assert loaded.isdisjoint({"aiohttp", "msgspec", "asyncio", "phonenumbers", "sqlite3"})


def test_a_program_that_makes_no_pool_yet_loads_no_engine() -> None:
    """What watches, recovers and stores loads with a pool, or at its first use."""
    loaded = _loaded("from paymux import CamPay, Pool")
    rooms = ("bulk", "journal.", "limits", "simulator", "transport", "watch", "webhooks")
    assert not [one for one in loaded if one.startswith(tuple(f"paymux.{one}" for one in rooms))]
    assert loaded.isdisjoint({"aiohttp", "phonenumbers", "sqlite3"})


@pytest.mark.parametrize("name", ["__init__", "core", "journal", "reconcile", "testing"])
def test_what_a_type_checker_sees_is_what_loads(name: str) -> None:
    """A lazy package has two lists of its names, by module: both say the same."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    branch = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        (node.module or "", alias.name)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    where = next(
        ast.literal_eval(node.args[1])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "loader"
    )
    loads = {(module, one) for module, names in where.items() for one in names}
    assert {one for one in seen if not one[0].startswith("drivers.")} == loads


def test_a_name_that_paymux_lacks_is_an_attribute_error() -> None:
    """`hasattr` and a misspelt name work as with any module; a name is loaded once."""
    assert not hasattr(paymux, "Wallet")
    assert not hasattr(paymux, "wallet")
    with pytest.raises(AttributeError, match="'paymux' has no attribute 'Wallet'"):
        _ = paymux.Wallet  # type: ignore[attr-defined]  # this is what is tested
    assert {"Pool", "CamPay", "get"} <= set(dir(paymux))
    assert vars(paymux)["Pool"] is paymux.Pool


def test_a_star_gives_every_public_name() -> None:
    """`from paymux import *` gives what `__all__` lists, the drivers among them."""
    code = "from paymux import *\nprint(*sorted(one for one in globals() if one[:1] != '_'))"
    assert set(paymux.__all__) <= _loaded(code)
