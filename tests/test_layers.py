"""The structure is a test: imports go down, one file knows the HTTP client, and no simulator knows its driver."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
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

# A module may import those of lower floors, and nothing of its own floor but what is listed for it.
FLOORS = [
    {"plain"},
    {"redact", "deadlines", "forks", "idle"},
    {"journal/locks"},
    {"errors", "limits/pace", "limits/windows", "watch/schedule"},
    {"limits/share", "words"},
    {"reasons"},
    {"checks", "lenient", "money", "msisdn", "models", "limits/gate", "journal/place"},
    {"shapes"},
    {"jwt", "credentials", "given", "multipart", "parts", "states", "limits", "journal/batch", "journal/workers"},
    {"journal/schema", "journal/unconfirmed", "journal/writer"},
    {"journal/base"},
    {"journal/memory", "journal/messages", "journal/rows"},
    {"journal/local_unconfirmed", "journal/opening", "journal/sqlite_unconfirmed"},
    {"journal/hand", "journal/inbox", "journal/outbox", "journal/person", "journal/turns"},
    {"journal/local", "journal/notifiers", "journal/table"},
    {"journal/reminders", "journal/untold", "journal/watchers"},
    {"journal/sqlite_outbox"},
    {"journal/sqlite"},
    {"journal/records"},
    {"journal"},
    {"wire"},
    {"drivers/base"},
    {"accounts", "drivers", "orders", "hooks", "unproved", "connection"},
    {"settings"},
    {"transport/exchanges", "transport/kept", "transport/outcome", "transport/tokens"},
    {"transport/retries"},
    {"transport/call"},
    {"transport/verbs"},
    {"transport"},
    {"watch/polls", "watch/refusals", "watch/updates"},
    {"watch/watches"},
    {"watch/watch"},
    {"watch"},
    {"flights"},
    {"engine"},
    {"bulk/intake", "bulk/meter", "bulk/shares"},
    {"bulk/run"},
    {"bulk/bulk"},
    {"bulk"},
    {"confirm", "history"},
    {"recover", "resolve", "unconfirmed"},
    {"record"},
    {"pool"},
    {"notify/guard", "notify/orders", "notify/pauses"},
    {"notify/telling", "notify/unconfirmed", "notify/watching"},
    {"notify/notifier"},
    {"notify"},
    {"webhooks/crowd", "webhooks/messages", "webhooks/senders", "webhooks/unrecorded"},
    {"webhooks/about"},
    {"webhooks/delivery"},
    {"webhooks/app"},
    {"webhooks"},
    {"__init__"},
    {"simulator"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
# Rooms of a folder that have a door of their own: who opens it loads SQLite.
DOORS = {"journal/sqlite"}
ALLOWED = {
    ("journal/base", "journal/outbox"),  # for the type checker alone
    ("transport/call", "transport/verbs"),  # likewise
    ("models", "errors"),
    ("errors", "models"),  # for the type checker alone
}


def imported(name: str) -> Iterator[str]:
    """Give the paymux modules and outside packages that a module imports anywhere in its text."""
    path = MODULES[name]
    package = path.parent.relative_to(ROOT.parent).as_posix().split("/")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (
                "/".join([*base, *(node.module or "").split(".")]).strip("/").removeprefix("paymux").strip("/")
            )
            for alias in node.names:
                inner = f"{target}/{alias.name}".strip("/")
                yield inner if inner in MODULES else target or "__init__"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paymux."):
            target = (node.module or "").removeprefix("paymux.").replace(".", "/")
            for alias in node.names:
                inner = f"{target}/{alias.name}"
                yield inner if inner in MODULES else target
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def floor(name: str) -> int | None:
    """Give the floor of a module; drivers and simulators have rules of their own."""
    for height, names in enumerate(FLOORS):
        if name in names:
            return height
    return None


def ordinary() -> list[str]:
    """List the modules that stand on a floor."""
    return sorted(
        name for name in MODULES if not name.startswith(("drivers/", "simulator")) or name == "drivers/base"
    )


def test_every_module_stands_on_a_floor() -> None:
    """A new module is placed in the house on purpose."""
    assert [name for name in ordinary() if floor(name) is None] == []


@pytest.mark.parametrize("name", ordinary())
def test_imports_only_go_down(name: str) -> None:
    """No module imports one of its own floor or above."""
    mine = floor(name)
    assert mine is not None
    up = [
        found
        for found in imported(name)
        if (theirs := floor(found)) is not None and theirs >= mine and (name, found) not in ALLOWED
    ]
    assert up == []


@pytest.mark.parametrize("name", ordinary())
def test_a_folder_is_entered_by_its_door(name: str) -> None:
    """What a folder gives to the rest is what its `__init__` names: the other rooms can be changed freely."""
    mine = name.partition("/")[0]
    inner = {found for found in imported(name) if "/" in found and found.partition("/")[0] != mine}
    assert {found for found in inner if not found.startswith(("drivers/", "simulator/"))} <= DOORS


def test_one_file_knows_the_http_client() -> None:
    """The client of aiohttp is imported by connection.py alone; simulator, demo and webhooks use its server."""
    users = {name for name in MODULES if "aiohttp" in set(imported(name))}
    served = {name for name in users if "from aiohttp import web" in MODULES[name].read_text(encoding="utf-8")}
    assert users - served == {"connection"}
    assert all(name in ("demo", "webhooks/app") or name.startswith("simulator/") for name in served)
    assert all("import aiohttp" not in MODULES[name].read_text(encoding="utf-8") for name in served)


def test_only_the_pool_hands_the_connection_in() -> None:
    """Nothing imports connection.py but the pool."""
    assert {name for name in MODULES if "connection" in set(imported(name))} == {"pool"}


DRIVERS = sorted(name for name in MODULES if name.startswith("drivers/") and name != "drivers/base")


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_knows_no_loop_no_client_no_other_driver(name: str) -> None:
    """A driver imports the base, the models and what reads them, and nothing that runs."""
    allowed = {
        "drivers/base",
        "checks",
        "errors",
        "given",
        "jwt",
        "lenient",
        "models",
        "money",
        "msisdn",
        "plain",
        "redact",
        "states",
        "wire",
        "msgspec",
    }
    own = "/".join(name.split("/")[:2])
    found = {one for one in imported(name) if one != own and not one.startswith(f"{own}/")}
    assert found - allowed - sys.stdlib_module_names == set()
    assert "asyncio" not in found


@pytest.mark.parametrize("name", [*DRIVERS, "drivers/base"])
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
    """What the provider said, and the reference and the kind that it was asked about."""
    mapping = inspect.signature(vars(paymux.drivers.load(name))["payment"])
    assert list(mapping.parameters) == ["self", "said", "asked", "kind"]
    assert [one.default for one in mapping.parameters.values()][2:] == [None, "collect"]


@pytest.mark.parametrize("name", paymux.drivers.names())
def test_a_driver_has_a_simulator_and_a_test(name: str) -> None:
    """Adding a provider is three files and its samples."""
    assert f"simulator/{name}" in MODULES
    assert (TESTS / "drivers" / f"test_{name}.py").exists()
    assert list((TESTS / "samples" / name).glob("*.json"))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("simulator/")))
def test_a_simulator_never_imports_a_driver(name: str) -> None:
    """Otherwise both would repeat one misreading."""
    drivers = {f"drivers/{driver}" for driver in paymux.drivers.names()}
    assert drivers.isdisjoint(imported(name))
    assert {"pool", "transport", "connection", "engine"}.isdisjoint(imported(name))


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_outgrows_its_ideas(name: str) -> None:
    """A file has at most 320 lines; a driver with more of them is a folder."""
    limit = {"drivers/base": 440}.get(name, 320)
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= limit


def test_the_public_names_are_listed_and_real() -> None:
    """`paymux.__all__` is sorted and every name in it can be used."""
    assert paymux.__all__ == sorted(paymux.__all__)
    for name in paymux.__all__:
        assert getattr(paymux, name) is not None


def test_every_driver_on_disk_is_exported() -> None:
    """Each driver is found by the name of its class."""
    exported = {
        found.name
        for name in paymux.__all__
        if isinstance(found := getattr(paymux, name), type(Driver)) and issubclass(found, Driver)
    }
    assert exported == set(paymux.drivers.names())


def test_a_type_checker_sees_the_drivers_of_a_release() -> None:
    """It runs no code, so that it reads them in `paymux/__init__.py`: all of them, once they are released."""
    text = MODULES["__init__"].read_text(encoding="utf-8")
    listed = next(
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == "__all__"
    )
    found = sorted(paymux.drivers.load(name).__name__ for name in paymux.drivers.own())
    assert listed == [name for name in found if name in listed]
    assert "\n## Unreleased\n" in (ROOT.parent / "CHANGELOG.md").read_text(encoding="utf-8") or listed == found


def test_importing_paymux_loads_no_driver_and_no_phone_library() -> None:
    """Drivers, phonenumbers and the simulator load on use."""
    code = (
        "import sys, paymux; print([m for m in sys.modules if m.startswith(('phonenumbers', 'paymux.simulator'))"
        " or m.startswith('paymux.drivers.') and m != 'paymux.drivers.base'])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
