"""What a reconciliation is asked to do, checked before anything is read."""

import re
from collections.abc import AsyncIterable, Iterable, Mapping
from datetime import datetime, timedelta
from os import PathLike
from typing import Any

import msgspec

from ..errors import UsageError
from ..models import Payment
from ..primitives import coerce
from ..values import arguments
from ..values.validation import checked_path
from .formats import FileFormat, checked_format, completed
from .lines import fingerprint

NO_ACCOUNT = "statement"  # of two files, where no account is named
LONGEST_EDGE = timedelta(days=366)
_LENGTH = re.compile(r"([0-9]{1,5})([dhm])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked reconciliation. A side is a path, or rows; None: the journal, or the provider."""

    pool: Any
    account: str | None
    statement: Any = None
    ours: Any = None
    history: bool = False
    verify: bool = False
    since: datetime | None = None
    until: datetime | None = None
    edge: timedelta | None = None
    kind: str | None = None
    their_format: FileFormat
    our_format: FileFormat
    ask: bool = False
    out: str | None = None
    state: str | None = None
    restart: bool = False
    language: str = "en"

    @property
    def journal(self) -> bool:
        """Return whether our side is the journal."""
        return self.ours is None

    def currency(self, account: str) -> str | None:
        """Return the one currency of an account; None: it has several, or is not the pool's."""
        driver = self.pool.drivers.get(account)
        found = driver.own_currencies if driver is not None else ()
        return str(next(iter(found))) if len(found) == 1 else None

    def fingerprint(self) -> list[Any]:
        """Return what must be the same for a later run to go on with this one; []: none can."""
        sides = []
        for side in (self.statement, self.ours):
            if side == "-" or not (side is None or isinstance(side, str)):
                return []
            sides.append(None if side is None else fingerprint(side))
        settings = (
            self.account, self.history, self.verify, self.since, self.until, self.edge,
            self.kind,
            self.their_format, self.our_format, self.ask, self.out, self.language,
        )  # fmt: skip
        found: list[Any] = [*sides, msgspec.json.encode(settings).decode()]
        return found


def checked_plan(
    pool: Any,
    sides: tuple[object, object, object, object],
    account: object,
    since: object,
    until: object,
    options: Mapping[str, Any],
    kept: Mapping[str, Mapping[str, Any]],
) -> Plan:
    """Check the arguments of `Pool.reconcile`; UsageError names the wrong one."""
    statement, ours, history, verify = sides
    for option in options:
        if option not in _OPTIONS:
            raise UsageError.field("options", option, ", ".join(_OPTIONS))
    asks = statement is None or ours is None or bool(options.get("ask"))
    name = _account(pool, account, asks=asks)
    plan = Plan(
        pool=pool,
        account=name,
        statement=_side("statement", statement),
        ours=_side("ours", ours),
        history=arguments.flag("history", history),
        verify=arguments.flag("verify", verify),
        since=None if since is None else arguments.moment("since", since),
        until=None if until is None else arguments.moment("until", until),
        **_checked_options(options, kept.get(name or "", {})),
    )
    _check_together(plan)
    return plan


_OPTIONS = (
    "ask", "edge", "format", "kind", "language", "our_format", "out", "progress", "restart",
    "state",
)  # fmt: skip


def _checked_options(options: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    edge, kind, out, state = (options.get(one) for one in ("edge", "kind", "out", "state"))
    known = checked_format("reconcile", {key: one for key, one in kept.items() if key != "edge"})
    return {
        "edge": checked_edge(kept.get("edge") if edge is None else edge),
        "kind": None if kind is None else arguments.kind("kind", kind),
        "their_format": completed(checked_format("format", options.get("format")), known),
        "our_format": checked_format("our_format", options.get("our_format")),
        "ask": arguments.flag("ask", options.get("ask", False)),
        "out": None if out is None else checked_path("out", out),
        "state": None if state is None else checked_path("state", state),
        "restart": arguments.flag("restart", options.get("restart", False)),
        "language": arguments.text("language", options.get("language", "en"), longest=40),
    }


def _check_together(plan: Plan) -> None:
    if (plan.statement is not None) + plan.history + plan.verify != 1:
        raise UsageError.missing("statement", "exactly one of a statement, history and verify")
    if plan.statement == "-" and plan.ours == "-":
        raise UsageError.field("ours", "-", "a file: the statement is read from standard input")
    if plan.since and plan.until and plan.since >= plan.until:
        raise UsageError.field("until", plan.until.isoformat(), "a time after since")
    if plan.history and None in (plan.account, plan.since, plan.until):
        raise UsageError.missing("history", "needs an account, since and until")
    if plan.journal:
        plan.pool.internals.engine.store.require_journal()


def _account(pool: Any, account: object, *, asks: bool) -> str | None:
    """Return the account that is meant; two files may be of one that the pool does not have."""
    if account is not None:
        name = arguments.named("account", account)
        return str(pool.internals.engine.driver(name).account) if asks else name
    if not pool.drivers:
        return None if asks else NO_ACCOUNT
    return str(next(iter(pool.drivers))) if len(pool.drivers) == 1 else None


def _side(name: str, value: object) -> object:
    kind = type(value)
    if issubclass(kind, str | PathLike):
        return checked_path(name, value)
    listed = issubclass(kind, Iterable) and not issubclass(kind, Mapping | Payment | bytes)
    if value is None or listed or issubclass(kind, AsyncIterable):
        return value
    raise UsageError.field(name, value, "a path, or an iterable of payments or mappings")


def checked_edge(value: object, name: str = "edge") -> timedelta | None:
    """Return a length of time, also from text such as 2d, 12h or 90m; UsageError: it is none."""
    if value is None:
        return None
    found = value if coerce.is_a(value, timedelta) else None
    said = coerce.text(value)
    if said is not None and (match := _LENGTH.fullmatch(said.strip())):
        found = int(match[1]) * _UNITS[match[2]]
    if found is None or not timedelta(0) <= found <= LONGEST_EDGE:
        raise UsageError.field(name, value, "a length such as 2d, 12h or 90m, to 366d")
    return found
