"""The options of `paymux reconcile`, as `Pool.reconcile` takes them."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..pool import Pool
from ..reconcile import FileFormat
from .invocation import Invocation

_OURS = "ours."  # before what is meant for the file of --ours


def pool_of(cli: Invocation, given: dict[str, Any]) -> Pool:
    """Return the pool of the config; two files need none. The default account becomes the given."""
    files = given["statement"] is not None and given["ours"] is not None and not given["ask"]
    try:
        given["account"] = given["account"] or cli.settings.config.default_account
        return cli.pool()
    except UsageError as error:
        # No account at all is no fault here; a config that is wrong is one.
        if files and cli.config is None and "no account is set" in error.accepted:
            return Pool()
        raise


def options_of(cli: Invocation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Pool.reconcile`; UsageError names the option that is wrong."""
    columns, our_columns = _parted(_pairs("map", given["maps"]))
    statuses: Any = _pairs("status", given["statuses"])
    encoding, our_encoding = _of_files(given["encoding"])
    decimal, our_decimal = _of_files(given["decimal"])
    options = {
        name: given[name] for name in ("account", "history", "verify", "ours", "edge", "kind")
    }
    options |= {name: given[name] for name in ("ask", "out", "restart", "statement")}
    out = given["out"]
    return {
        **options,
        "since": _day("since", given["since"]),
        "until": _day("until", given["until"]),
        "format": FileFormat(
            columns=columns, statuses=statuses, encoding=encoding, decimal=decimal
        ),
        "our_format": FileFormat(
            columns=our_columns, statuses=statuses, encoding=our_encoding, decimal=our_decimal
        ),
        "state": _state(given) if out is None else None,
        "language": cli.language,
    }


def _pairs(name: str, given: Iterable[str]) -> dict[str, str]:
    found = {}
    for one in given:
        word, equals, value = one.partition("=")
        if not equals or not word:
            accepted = "FIELD=COLUMN" if name == "map" else "WORD=STATUS"
            raise UsageError.field(f"--{name}", one, accepted)
        found[word.strip()] = value.strip()
    return found


def _parted(pairs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    ours = {name.removeprefix(_OURS): one for name, one in pairs.items() if name.startswith(_OURS)}
    return {name: one for name, one in pairs.items() if not name.startswith(_OURS)}, ours


def _of_files(given: Iterable[str]) -> tuple[str | None, str | None]:
    ours = [one.removeprefix(_OURS) for one in given if one.startswith(_OURS)]
    theirs = [one for one in given if not one.startswith(_OURS)]
    return theirs[-1] if theirs else None, ours[-1] if ours else None


def _day(name: str, given: str | None) -> datetime | None:
    """Read a day, or a time; what has no offset is local."""
    if given is None:
        return None
    with suppress(ValueError, OverflowError):
        if len(given) == len("2026-11-01"):
            day = date.fromisoformat(given)
            return datetime(day.year, day.month, day.day).astimezone()
        return datetime.fromisoformat(given).astimezone()
    raise UsageError.field(f"--{name}", given, "a day such as 2026-11-01")


def _state(given: Mapping[str, Any]) -> str:
    """Return the file by which the same command goes on, where there is no report beside it."""
    words = [os.path.realpath(one) if one else one for one in (given["statement"], given["ours"])]
    words += [str(given[one]) for one in ("account", "history", "verify", "since", "until")]
    name = sha256("\0".join(map(str, words)).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(home) / "paymux"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        accepted = "--out FILE, beside which the run keeps how far it is"
        said = f"{folder}: {error.strerror}; accepted: {accepted}"
        raise UsageError(said, name="out", accepted=accepted) from None
    return str(folder / f"reconcile-{name}.state")
