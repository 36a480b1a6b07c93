"""The routes of what holds in a world: health, lines to paste, faults, settings, payers, worlds."""

from typing import Any

from ... import __version__
from ...errors import UsageError
from ...http import Response
from ...primitives.clock import monotonic
from ..environment import lines
from . import rows
from .bodies import Empty, Health, WorldRow
from .problems import Problem
from .routes import Call


def health(call: Call) -> Any:
    """Tell whether everything listens."""
    since = call.sim.ready_since
    if since is None:
        raise Problem(503, "the simulator does not listen on every address yet")
    return Health(
        status="ready",
        version=__version__,
        providers=sorted(call.world.providers),
        uptime=round(monotonic() - since, 3),
    )


def env(call: Call) -> Any:
    """Write the lines to paste."""
    wanted = call.query.get("format") or "sh"
    kind = "application/json" if wanted == "json" else "text/plain; charset=utf-8"
    return Response(
        status=200, headers={"content-type": kind}, body=lines(call.world, wanted).encode()
    )


def faults(call: Call) -> Any:
    """List the planned faults, newest first."""
    planned = reversed(call.world.core.faults.planned)
    return {"items": [rows.fault(one) for one in planned], "next": None}


def plan(call: Call) -> Any:
    """Plan a fault."""
    return rows.fault(call.world.fault(**call.body))


def drop_all(call: Call) -> Any:
    """Drop every planned fault."""
    call.world.clear_faults()
    return Empty()


def drop(call: Call) -> Any:
    """Drop one planned fault."""
    written = call.at["n"]
    try:
        call.world.drop_fault(int(written) if written.isascii() and written.isdigit() else 0)
    except UsageError as error:
        raise Problem(404, str(error), field="n", accepted=error.accepted) from None
    return Empty()


def settings(call: Call) -> Any:
    """Show the settings."""
    return call.world.settings()


def change(call: Call) -> Any:
    """Change settings."""
    call.world.change(**call.body)
    return call.world.settings()


def payers(call: Call) -> Any:
    """List the numbers that were set, then those that have a meaning at a provider."""
    known = [rows.payer(one) for one in call.world.core.payers.known.values()]
    magic = [
        rows.magic(name, number, outcome)
        for name, provider in sorted(call.world.providers.items())
        for number, outcome in sorted(provider.magic.items())
    ]
    return {"items": [*known, *magic], "next": None}


def payer(call: Call) -> Any:
    """Decide what a number does."""
    return rows.payer(call.world.payer(call.at["number"], **call.body))


def forget_payer(call: Call) -> Any:
    """Let a number do again what it would have done."""
    call.world.forget_payer(call.at["number"])
    return Empty()


def reset(call: Call) -> Any:
    """Begin anew."""
    call.world.reset(**call.body)
    return Empty()


def open_world(call: Call) -> Any:
    """Open a world."""
    world = call.sim.world(call.body.get("name"), seed=call.body.get("seed", 0))
    name = world.url.rpartition("/")[2]
    return WorldRow(name=name, url=world.url, control=f"{world.url}/_paymux")
