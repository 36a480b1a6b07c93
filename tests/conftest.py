"""Settings for all tests.

Examples are the same on every machine, and a journal does not wait for the disk.
"""

import gc
import itertools
import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from paymux.journal.sqlite import schema
from paymux.primitives import clock

from .clusters import Cluster, cluster, why_not

# The speed of a machine must not fail a test, and every machine must use the same examples.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
# The tests of another team's package: tests/test_adding.py runs them as that team does.
collect_ignore = ["acme"]
# No power fails in this process, and waiting for the disk took a third of the suite's time. The
# processes that tests start keep the true setting: tests/test_crash.py kills them at each
# fdatasync.
schema.SYNCHRONOUS = "OFF"


def pytest_configure() -> None:
    """Enable SIGINT in the programs that tests start, even if the tests run in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


REAL = (time.time, time.monotonic)


@pytest.fixture(autouse=True)
def _real_clocks() -> Iterator[None]:
    """Fail a test that leaves a virtual clock behind, in which the next tests would run."""
    yield
    left = (time.time, clock.monotonic)
    time.time, clock.monotonic = REAL
    assert left == REAL, "a clock of this test is left in place of the real one"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """Run a PostgreSQL server for all tests of this process."""
    if why := why_not():
        pytest.skip(why)
    with cluster() as one:
        yield one


_schemas = itertools.count(1)


@pytest.fixture
def database(postgres: Cluster) -> str:
    """Return the URL of a journal that does not exist yet."""
    return postgres.url(f"journal_{next(_schemas)}")


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Switch garbage collection off during a measurement.

    A collection would look through all objects that other tests left.
    """
    gc.disable()
    yield
    gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail in CI if a test was skipped, except for other people's clients.

    CI installs these clients and runs their tests afterwards.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    skipped = [one.nodeid for one in reporter.stats.get("skipped", ())]
    if any(not one.startswith("tests/test_clients") for one in skipped):
        reporter.write_line(f"a skip is a failure in CI: {skipped}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
