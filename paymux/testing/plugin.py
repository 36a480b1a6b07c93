"""The pytest plugin: a simulator, pools over it, and faults by a marker.

Every start of pytest loads this module, so it loads nothing else; each fixture loads what it needs.
The fixtures are plain functions, bound to no plugin for coroutines.
"""

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aioresponses import aioresponses

    from ..drivers.base import Driver
    from ..pool import Pool
    from ..simulator import Simulator

_PASSED = pytest.StashKey[bool]()
_FAULT = 'paymux_fault(provider, match="", *, kind, **more)'


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{_FAULT}: plan a fault of paymux_simulator, with the arguments of Simulator.fault; kind "
        'is a member of paymux.simulator.Fault or its name, such as "drop_after"; a test in which '
        "it never happens fails",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that would have no effect: its test would prove nothing."""
    used = getattr(item, "fixturenames", ())
    if item.get_closest_marker("paymux_fault") and "paymux_simulator" not in used:
        raise pytest.UsageError(
            f"{item.nodeid}: the marker paymux_fault needs the fixture paymux_simulator or "
            "paymux_pool; without it, plan the fault by hand: Simulator.fault"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test passed, for what is checked after it."""
    report = yield
    item.stash[_PASSED] = report.when == "call" and report.passed
    return report


@pytest.fixture
def paymux_simulator(request: pytest.FixtureRequest) -> "Iterator[Simulator]":
    """Return a simulator of every provider, with the faults that markers plan.

    It works in process; `async with paymux_simulator:` opens a loopback port. Its clock is the
    loop's, so that virtual time moves it. A test that passed although the fault of a marker never
    happened fails at its end.
    """
    from ..simulator import Simulator  # noqa: PLC0415 - no start of pytest waits for it

    simulator = Simulator()
    markers = list(reversed(list(request.node.iter_markers("paymux_fault"))))
    for marker in markers:
        _plan(simulator, request.node.nodeid, marker.args, marker.kwargs)
    planned = simulator.core.faults.planned
    yield simulator
    idle = [_written(marker) for marker, one in zip(markers, planned, strict=True) if not one.fired]
    if idle and request.node.stash.get(_PASSED, False):
        pytest.fail(
            f"{request.node.nodeid} passed, but tested nothing of: {', '.join(idle)}; no request "
            "or message matched, or an earlier fault took it",
            pytrace=False,
        )


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
    """Plan the fault of a marker."""
    from ..errors import UsageError  # noqa: PLC0415 - no start of pytest waits for it

    try:
        simulator.fault(*args, **options)
    except TypeError as error:
        raise UsageError(f"{test}: the marker is {_FAULT} ({error})") from None


def _written(marker: pytest.Mark) -> str:
    given = [*map(repr, marker.args), *(f"{name}={one!r}" for name, one in marker.kwargs.items())]
    return f"paymux_fault({', '.join(given)})"
