"""What every test finds set.

Tables that virtual time cannot wait for, and examples that any machine repeats.
"""

import gc
import os
import signal
from collections.abc import Iterator

import phonenumbers.carrier  # noqa: F401 - loaded is all it has to be
import pytest
from hypothesis import HealthCheck, settings

from paymux.journal import schema

# How fast this machine draws examples is no promise of ours; which ones it draws is the same
# everywhere.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
# No power fails in this process, and waiting for the disk took a third of the suite's time. The
# processes that tests start keep the true setting: tests/test_crash.py kills them at each
# fdatasync.
schema.SYNCHRONOUS = "OFF"


def pytest_configure() -> None:
    """Let the programs that tests start hear SIGINT, also where a shell started the tests in the
    background.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let no garbage be collected while something is timed.

    All that other tests left would be looked through.
    """
    gc.disable()
    yield
    gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a skip be a failure in CI, but for other people's clients, which it installs and runs
    afterwards.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    skipped = [one.nodeid for one in reporter.stats.get("skipped", ())]
    if any(not one.startswith("tests/test_clients.py") for one in skipped):
        reporter.write_line(f"a skip is a failure in CI: {skipped}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
