"""The versions of what paymux needs, against the lowest that are tested."""

import re
import sys
from importlib import metadata

from .findings import Finding, Mend, Said, ok, problem, warning
from .walk import Walk

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra == [\"']([a-z]+)")
_FLOOR = re.compile(r">=\s*([0-9][0-9.]*)")
_CEILING = re.compile(r"<\s*([0-9][0-9.]*)")
_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
# The extras of a program; the others are for tests of paymux itself.
_EXTRAS = ("", "cli", "mpesa", "otel", "postgres", "shared")


async def versions(_: Walk) -> list[Finding]:
    """Compare what is installed with the lowest tested versions, as the package states them."""
    check, findings = "versions", []
    try:
        wanted = metadata.requires("paymux") or []
    except metadata.PackageNotFoundError:
        return []
    for line in wanted:
        name, floor, ceiling, extra = _read(line)
        found = _installed(name)
        if extra not in _EXTRAS or (found is None and extra):
            continue  # an extra that is not used
        if found is not None and _within(found, floor, ceiling):
            continue
        bounds = f">={floor}" + (f",<{ceiling}" if ceiling else "")
        said = Said(
            f"{name} {found or 'is missing'}; tested: {bounds}",
            f"{name} {found or 'manque'} ; testé : {bounds}",
        )
        command = f"{sys.executable} -m pip install '{name}{bounds}'"
        # What an extra needs may be installed for something else.
        told = warning if extra else problem
        findings.append(told(check, said, Mend(command=command), about=name))
    return findings or [ok(check, Said("all are tested ones", "toutes sont testées"))]


def _read(line: str) -> tuple[str, str, str, str]:
    """Return the name of a requirement, its bounds, and the extra that it is for."""
    bare, _, marker = line.partition(";")
    named, extra = _NAME.match(bare), _EXTRA.search(marker)
    floor, ceiling = _FLOOR.search(bare), _CEILING.search(bare)
    return (
        named[0] if named else bare.strip(),
        floor[1] if floor else "0",
        ceiling[1] if ceiling else "",
        extra[1] if extra else "",
    )


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _within(version: str, floor: str, ceiling: str) -> bool:
    return _numbers(version) >= _numbers(floor) and (
        not ceiling or _numbers(version) < _numbers(ceiling)
    )


def _numbers(version: str) -> list[int]:
    """Return the numbers of a release, without zeros at its end: 3.13.0rc1 is 3.13."""
    found = _RELEASE.match(version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
