"""What `paymux providers NAME` prints, from the driver's class and docstrings alone."""

import inspect
from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from ..drivers.base import Driver, Verb
from ..values.credentials import secret_fields


def lines_of(driver: type[Driver]) -> Iterator[str]:
    """Yield the lines about a driver: what it is, its fields, operations, limits and unknowns."""
    module = inspect.getmodule(driver)
    for text in (inspect.getdoc(module) if module else None, inspect.getdoc(driver)):
        if text:
            yield from (*text.splitlines(), "")
    yield from ("Account", *(f"  {name:24} {said}" for name, said in _fields(driver)), "")
    yield from ("Operations", *(f"  {name:24} {said}" for name, said in _operations(driver)), "")
    yield from ("Limits", *(f"  {line}" for line in _limits(driver)), "")
    yield from (
        "Unknown, and taken so that no money is lost",
        *(f"  {one}" for one in _unknown(driver)),
    )


def told(driver: type[Driver]) -> dict[str, Any]:
    """Return the same as JSON has it."""
    return {
        "name": driver.name,
        "currencies": sorted(driver.currencies),
        "countries": sorted(driver.countries),
        "live_url": driver.live_url,
        "sandbox_url": driver.sandbox_url,
        "fields": dict(_fields(driver)),
        "operations": [verb for verb in get_args(Verb) if driver.can(verb)],
        "limits": {name: list(limit) for name, limit in driver.limits.items()},
        "unknown": list(_unknown(driver)),
    }


def _fields(driver: type[Driver]) -> Iterator[tuple[str, str]]:
    secrets = secret_fields(driver)
    for field in msgspec.structs.fields(driver):
        if field.name == "account":
            continue
        words = ["a secret"] if field.name in secrets else []
        words += ["required"] if field.name in driver.required else []
        default = field.default
        if default not in ("", None, msgspec.NODEFAULT) and isinstance(default, (str, int)):
            words.append(f"{default} unless told")
        yield field.name, ", ".join(words) or "text, or nothing"


def _operations(driver: type[Driver]) -> Iterator[tuple[str, str]]:
    for verb in get_args(Verb):
        if driver.can(verb):
            said = (inspect.getdoc(getattr(driver, verb)) or "").partition("\n")[0]
            yield verb, said


def _limits(driver: type[Driver]) -> Iterator[str]:
    for name, (count, seconds) in driver.limits.items():
        yield f"{name}: {count} requests in {seconds:g} s"
    if not driver.limits:
        yield "none is stated"
    yield f"currencies: {', '.join(sorted(driver.currencies))}"
    yield f"sandbox: {driver.sandbox_url or 'none'}"


def _unknown(driver: type[Driver]) -> Iterator[str]:
    for kind, facts in driver.facts.items():
        if not facts.deduplicates:
            yield f"{kind}: whether a second request with one reference is refused"
        if not facts.findable:
            yield f"{kind}: whether it can be asked for by our reference"
        if facts.not_found_final_after is None:
            yield f'{kind}: when its "not found" is final'
    if not driver.redelivers:
        yield "whether a message that was not answered is sent again"
