"""The pytest plugin: a simulator, pools over it, and faults by a marker.

Every start of pytest loads this module, so it loads nothing else; each fixture loads what it needs.
The fixtures are plain functions, bound to no plugin for coroutines.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aioresponses import aioresponses

    from ..drivers.base import Driver
    from ..pool import Pool
    from ..simulator import Simulator

_FAULT = 'paymux_fault(provider, match="", *, kind, **more)'


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_FAULT}: plan a fault of paymux_simulator, with the arguments of Simulator.fault; kind "
        'is a member of paymux.simulator.Fault or its name, such as "drop_after"',
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that would have no effect: its test would prove nothing."""
    used = getattr(item, "fixturenames", ())
    if item.get_closest_marker("paymux_fault") and "paymux_simulator" not in used:
        raise pytest.UsageError(
            f"{item.nodeid}: the marker paymux_fault needs the fixture paymux_simulator or "
            "paymux_pool; without it, plan the fault by hand: Simulator.fault"
        )


@pytest.fixture
def paymux_simulator(request: pytest.FixtureRequest) -> "Simulator":
    """Return a simulator of every provider, with the faults that markers plan.

    It works in process; `async with paymux_simulator:` opens a loopback port. Its clock is the
    loop's, so that virtual time moves it.
    """
    from ..simulator import Simulator  # noqa: PLC0415 - no start of pytest waits for it

    simulator = Simulator()
    for marker in reversed(list(request.node.iter_markers("paymux_fault"))):
        _plan(simulator, request.node.nodeid, marker.args, marker.kwargs)
    return simulator


@pytest.fixture
def paymux_pool(paymux_simulator: "Simulator") -> "Callable[..., Pool]":
    """Return a function that makes a pool over the simulator: `paymux_pool("campay", "mpesa")`.

    Each name is a provider with the simulator's credentials; a driver of
    `paymux_simulator.driver("mpesa", account="kenya")` may stand in its place. Options are those of
    `Pool`. Open it yourself: `async with paymux_pool("campay", journal=file) as pay:`.
    """
    from ..errors import UsageError  # noqa: PLC0415 - no start of pytest waits for them
    from ..pool import Pool  # noqa: PLC0415

    def make(*names: "str | Driver", **options: Any) -> "Pool":
        if not names:
            raise UsageError.field("names", names, 'at least one provider, such as "campay"')
        drivers = [
            paymux_simulator.driver(name) if isinstance(name, str) else name for name in names
        ]
        if not options.keys() & {"connection", "session"}:
            options["connection"] = paymux_simulator.connection
        return Pool(*drivers, **options)

    return make


@pytest.fixture
def paymux_aioresponses() -> "Iterator[aioresponses]":
    """Return an `aioresponses` that sees every pool of the test, also one without `session=`."""
    from .aioresponses import paymux_aioresponses as mocking  # noqa: PLC0415 - as above

    with mocking() as mocked:
        yield mocked


def _plan(
    simulator: "Simulator", test: str, args: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Plan the fault of a marker; `kind` may be the name of a Fault."""
    from ..errors import UsageError  # noqa: PLC0415 - no start of pytest waits for them
    from ..simulator import Fault  # noqa: PLC0415

    kind = options.get("kind")
    if isinstance(kind, str):
        options = {**options, "kind": Fault.__members__.get(kind.upper(), kind)}
    try:
        simulator.fault(*args, **options)
    except TypeError as error:
        raise UsageError(f"{test}: the marker is {_FAULT} ({error})") from None
