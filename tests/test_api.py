"""The pages of the public names: each is rendered, and says what a caller must know.

What a name needs depends on what it is:

- every class and function has a docstring, and so has each public method and property of a class;
- **units**: where a parameter or a field is a length of time, `second` or `day` stands there; where
  it is money, `currency`, `major unit` or `whole`;
- **errors**: a function, and a method of what works for a caller (`WORKING`), names an error, or
  says that it raises nothing;
- **example**: a function, a method of `WORKING`, and a class that a caller makes (`MADE`) is called
  in code, in backticks or in a block.

"There" is its own docstring, or that of its class or of a base that brings it; an example may stand
on the page of its module, too. A class that is only given by paymux, or raised, needs no example.
"""

import ast
import enum
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

import paymux
from paymux.drivers.base import Driver

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / ".ci/pages").read_text(encoding="utf-8")
MODULES = re.findall(r"^    (paymux[\w.]*)$", PAGES, flags=re.MULTILINE)
# The other pages are there for what they tell; their names are for those who change paymux.
PUBLIC = [
    *("paymux", "paymux.webhooks", "paymux.simulator", "paymux.otel", "paymux.testing"),
    *("paymux.testing.aioresponses", "paymux.testing.cassettes", "paymux.testing.contract"),
]
# Whose methods do something that may fail.
WORKING = ("Pool", "Webhooks", "Notifier", "Simulator", "Watch", "Bulk")
# What a caller makes; the rest of the classes are given by paymux, or raised.
MADE = (
    *("Pool", "Webhooks", "Notifier", "Simulator", "Customer", "Item", "Tax", "WebhookRequest"),
    *("Payment", "SqliteJournal", "PostgresJournal", "OpenTelemetry", "DriverContract"),
)
# Methods that paymux itself calls.
SEAMS = {
    *("Watch.deliver", "Watch.look_soon", "Watch.on_result", "Watch.renew", "Watch.take_over"),
    *("Watch.wake", "Notifier.wake", "Notifier.before_fork", "Notifier.after_fork_in_parent"),
    *("Notifier.after_fork_in_child", "Simulator.respond"),
}
TIME = re.compile(r"deadline|timeout|latency|delay|_seconds$|_days$|^days$|^seconds$|retry_after")
MONEY = re.compile(r"^(amount|fee|refunded_amount|available|unit_price|total)$")
ERROR = re.compile(
    r"\b("
    + "|".join(
        name
        for name in paymux.__all__
        if isinstance(found := getattr(paymux, name), type) and issubclass(found, Exception)
    )
    + r"|raises nothing|no message raises|AssertionError|ImportError)\b"
)


def exported() -> Iterator[tuple[str, str, Any]]:
    """Yield each public class and function once, with its page."""
    seen = set()
    for module in PUBLIC:
        found = import_module(module)
        for name in found.__all__:
            thing = getattr(found, name)
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and id(thing) not in seen:
                seen.add(id(thing))
                yield name, module, thing


def _page(module: str) -> str:
    return import_module(module).__doc__ or ""


EXPORTED = {name: (_page(module), thing) for name, module, thing in exported()}


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class has from paymux."""
    for name, found in inspect.getmembers_static(kind):
        called = getattr(found, "__func__", found)
        inner = called.fget if isinstance(called, property) else called
        ours = (getattr(inner, "__module__", None) or "").startswith("paymux")
        if ours and not name.startswith("_") and inspect.isfunction(inner):
            yield name, inner


def told(kind: type) -> str:
    """Return the docstrings of a class and of its bases of paymux."""
    ours = [one for one in kind.__mro__ if one.__module__.startswith("paymux")]
    return "\n\n".join(inspect.getdoc(one) or "" for one in ours)


def shows(text: str, call: str) -> bool:
    """Return whether a text has code in which this is called or raised."""
    code = re.findall(r"```.*?\n(.*?)```|`([^`]+)`", text, flags=re.DOTALL)
    return any(re.search(rf"(?<!\w){call}\b", one) for pair in code for one in pair)


def lacking(
    parameters: Iterable[str], text: str, page: str, call: str, *, works: bool
) -> list[str]:
    """Return what a text lacks about a name with these parameters or fields."""
    found = []
    if any(TIME.search(one) for one in parameters) and not re.search("second|day", text):
        found.append("units of time")
    money = any(MONEY.search(one) for one in parameters)
    if money and not re.search("currency|major unit|whole", text):
        found.append("units of money")
    if works and not ERROR.search(text):
        found.append("errors")
    if works and not shows(text + page, call):
        found.append("an example")
    return found


def lacks(name: str) -> dict[str, list[str]]:
    """Return what a name and its members lack."""
    page, thing = EXPORTED[name]
    if not isinstance(thing, type):
        text = inspect.getdoc(thing) or ""
        return {name: lacking(inspect.signature(thing).parameters, text, page, name, works=True)}
    text = told(thing)
    found = {name: [] if inspect.getdoc(thing) else ["a docstring"]}
    if name in MADE or issubclass(thing, Driver):
        found[name] += [] if shows(text + page, name) else ["an example"]
    if issubclass(thing, msgspec.Struct) and not issubclass(thing, Driver):
        found[name] += lacking(thing.__struct_fields__, text, page, name, works=False)
    for member, called in members(thing) if not issubclass(thing, enum.Enum) else ():
        own = inspect.getdoc(called)
        where, parameters = f"{name}.{member}", inspect.signature(called).parameters
        found[where] = [] if own else ["a docstring"]
        around, call = f"{own}\n{text}", rf"\w+\.{member}"
        found[where] += lacking(
            parameters, around, page, call, works=name in WORKING and where not in SEAMS
        )
    return found


@pytest.mark.parametrize("name", EXPORTED)
def test_a_public_name_says_what_a_caller_must_know(name: str) -> None:
    """Units, errors and an example, as this file's docstring says which names need them."""
    assert {where: what for where, what in lacks(name).items() if what} == {}


@pytest.mark.parametrize("module", MODULES)
def test_the_blocks_of_a_page_are_python(module: str) -> None:
    """Those that are not run as programs (`py`) have no error of syntax; they may await."""
    blocks = re.findall(r"^```py\n(.*?)^```", _page(module), flags=re.DOTALL | re.MULTILINE)
    for block in blocks:
        compile(block, module, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.slow
def test_the_pages_are_rendered_without_a_warning(tmp_path: Path) -> None:
    """`.ci/pages` writes a page for each module, with each public name of it."""
    ended = subprocess.run(
        [ROOT / ".ci/pages", tmp_path / "pages"],
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for module in MODULES:
        page = tmp_path.joinpath("pages", *module.split(".")).with_suffix(".html")
        text = page.read_text(encoding="utf-8")
        assert "```" not in text, f"{module}: a block that is not read as one"
        names = import_module(module).__all__ if module in PUBLIC else ()
        assert [name for name in names if f'id="{name}"' not in text] == [], module
