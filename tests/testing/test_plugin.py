"""The pytest plugin, in test runs of a user's own."""

import re
from pathlib import Path

import pytest

import paymux.testing

pytest_plugins = ["pytester"]

PRINTED, SHOP = re.findall(r"```py\n(.*?)```", paymux.testing.__doc__ or "", flags=re.DOTALL)
UNDER = {
    "pytest-asyncio": (
        *("-p", "no:anyio", "-o", "asyncio_mode=auto"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
    ),
    "anyio": ("-p", "no:asyncio", "-o", "anyio_mode=auto"),
}
UNITTEST = """
import unittest

import pytest

from printed import test_a_payer_may_take_two_minutes as printed

class Test(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def given(self, paymux_simulator, paymux_pool, tmp_path):
        self.fixtures = (paymux_simulator, paymux_pool, tmp_path)

    async def once(self):
        await printed(*self.fixtures)

for number in range(20):
    setattr(Test, f"test_{number}", Test.once)
"""


def _passed(ended: pytest.RunResult, **counts: int) -> None:
    ended.assert_outcomes(**counts)
    assert "warning" not in ended.stdout.str()


CONFTEST = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
TWENTY = """
@pytest.fixture(params=range(20), autouse=True)
def again(request):
    pass
"""


@pytest.fixture
def ini(pytester: pytest.Pytester) -> None:
    """Let a warning fail, and each coroutine run in the asyncio loop."""
    pytester.makeini("[pytest]\nfilterwarnings = error")
    pytester.makeconftest(CONFTEST)


@pytest.mark.parametrize("plugin", sorted(UNDER))
def test_the_printed_test_runs_as_it_stands(
    pytester: pytest.Pytester, ini: None, plugin: str
) -> None:
    """Twenty of twenty under pytest-asyncio, and under anyio's plugin."""
    pytester.makeconftest(CONFTEST + TWENTY)
    pytester.makepyfile(test_printed=PRINTED)
    _passed(pytester.runpytest_subprocess(*UNDER[plugin]), passed=20)


@pytest.mark.parametrize("plugin", sorted(UNDER))
def test_the_printed_test_of_a_shop_runs(pytester: pytest.Pytester, ini: None, plugin: str) -> None:
    """The shop in FastAPI ships what is paid, in virtual time, under either plugin."""
    pytester.makepyfile(test_printed=SHOP)
    _passed(pytester.runpytest_subprocess(*UNDER[plugin]), passed=1)


def test_the_printed_test_runs_in_a_test_case(pytester: pytest.Pytester, ini: None) -> None:
    """Under IsolatedAsyncioTestCase, whose fixtures come from an autouse fixture."""
    pytester.makepyfile(printed=PRINTED, test_case=UNITTEST)
    _passed(pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:anyio"), passed=20)


FAULTY = """
import pytest
from paymux import OutcomeUnknown, Unavailable
from paymux.simulator import Fault
from paymux.testing import charged_once

ORDER = {"amount": 500, "currency": "XAF", "payer": "237677777774", "reference": "order-1"}
pytestmark = pytest.mark.paymux_fault("campay", "GET", kind="error", times=9)
LOGIN = "POST /api/token/"

@pytest.mark.paymux_fault("campay", "POST /api/collect/", kind="drop_after")
async def test_a_lost_answer(paymux_pool, paymux_simulator):
    async with paymux_pool("campay") as pay:
        with pytest.raises(OutcomeUnknown):
            await pay.collect("campay", **ORDER)
        with pytest.raises(Unavailable):
            await pay.verify("campay", "x")
        paymux_simulator.settle("order-1", "succeeded")
    assert charged_once(paymux_simulator, "order-1").amount == 500

@pytest.mark.paymux_fault("campay", LOGIN, kind="error")
@pytest.mark.paymux_fault("campay", LOGIN, kind=Fault.HTML)
def test_in_their_order(paymux_simulator):
    faults = paymux_simulator.core.faults
    assert [one.kind.name for one in faults.planned] == ["ERROR", "ERROR", "HTML"]
    asked = [("GET", "/api/balance/"), ("POST", "/api/token/"), ("POST", "/api/token/")]
    happened = [faults.for_request("campay", *one).kind.name for one in asked]
    assert happened == ["ERROR", "ERROR", "HTML"]
"""


def test_faults_are_planned_by_the_marker(pytester: pytest.Pytester, ini: None) -> None:
    """Those of a module first, and then those of a test from the top down."""
    pytester.makepyfile(FAULTY)
    _passed(pytester.runpytest_subprocess(*UNDER["pytest-asyncio"]), passed=2)


IDLE = """
import unittest

import pytest
from paymux.simulator import Fault

idle = pytest.mark.paymux_fault("campay", "POST /collect/", kind="drop_after")

@idle
def test_passes(paymux_simulator): pass

@idle
def test_fails(paymux_simulator): assert False

@idle
def test_is_skipped(paymux_simulator): pytest.skip("no")

@idle
@pytest.mark.xfail
def test_fails_as_expected(paymux_simulator): assert False

def test_plans_by_hand(paymux_simulator):
    paymux_simulator.fault("campay", kind="drop_after")

@idle
class Test(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, paymux_simulator):
        pass

    def test_case_passes(self): pass

    def test_case_fails(self): self.fail()
"""


def test_a_fault_that_never_happened_fails_the_test_that_passed(
    pytester: pytest.Pytester, ini: None
) -> None:
    """The text names the marker; a test that did not pass has its own text, and only that."""
    pytester.makepyfile(IDLE)
    ended = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:anyio")
    ended.assert_outcomes(passed=3, failed=2, skipped=1, xfailed=1, errors=2)
    marker = "paymux_fault('campay', 'POST /collect/', kind='drop_after')"
    for name in ("test_passes", "Test::test_case_passes"):
        ended.stdout.fnmatch_lines([f"*::{name} passed, but tested nothing of: {marker}; no *"])


WRONG = {
    "needs the fixture paymux_simulator or": (
        '@pytest.mark.paymux_fault("campay", kind="error")\ndef test(): pass'
    ),
    "kind: 'explode' is refused; accepted: DROP_BEFORE, ": (
        '@pytest.mark.paymux_fault("campay", kind="explode")\ndef test(paymux_simulator): pass'
    ),
    "provider: 'acme' is refused; accepted: campay, ": (
        '@pytest.mark.paymux_fault("acme", kind="error")\ndef test(paymux_simulator): pass'
    ),
    r"test: the marker is paymux_fault\(provider": (
        '@pytest.mark.paymux_fault("campay")\ndef test(paymux_simulator): pass'
    ),
    "names: .* accepted: at least one provider": "def test(paymux_pool): paymux_pool()",
    "driver: 'acme' is refused; accepted: campay, ": 'def test(paymux_pool): paymux_pool("acme")',
}


@pytest.mark.parametrize("said", sorted(WRONG))
def test_a_wrong_use_is_a_clear_error(pytester: pytest.Pytester, ini: None, said: str) -> None:
    """A fault that could never happen and a pool of nothing are no green test."""
    pytester.makepyfile(f"import pytest\n{WRONG[said]}\n")
    ended = pytester.runpytest_subprocess("-p", "no:asyncio")
    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    shown = ended.stdout.str()
    assert re.search(said, shown), shown
    assert "INTERNALERROR" not in shown


POOLS = """
from paymux import CamPay, UsageError
import pytest

async def test_two_accounts(paymux_simulator, paymux_pool):
    second = paymux_simulator.driver("campay", account="second")
    async with paymux_pool("campay", second, "mpesa", deadline=5) as pay:
        assert sorted(pay.drivers) == ["campay", "mpesa", "second"]
        assert (await pay.balance("second")).currency == "XAF"

async def test_over_sockets(paymux_simulator, paymux_pool):
    async with paymux_simulator, paymux_pool("campay", connection=None) as pay:
        assert (await pay.balance("campay")).currency == "XAF"
    (asked,) = paymux_simulator.received("campay", "GET /api/balance/")
    assert asked.headers["host"] != "127.0.0.1:1"
"""


def test_a_pool_takes_drivers_and_options(pytester: pytest.Pytester, ini: None) -> None:
    """Several accounts of one provider, any option of `Pool`, and a real connection."""
    pytester.makepyfile(POOLS)
    _passed(pytester.runpytest_subprocess(*UNDER["pytest-asyncio"]), passed=2)


def test_the_marker_is_listed(pytester: pytest.Pytester) -> None:
    """`pytest --markers` and `--strict-markers` know it."""
    ended = pytester.runpytest_subprocess("--markers", "-p", "no:asyncio")
    ended.stdout.fnmatch_lines(["@pytest.mark.paymux_fault(provider, match=*plan a fault of*"])


def test_a_start_of_pytest_loads_no_more_than_the_plugin(pytester: pytest.Pytester) -> None:
    """Neither msgspec nor aiohttp, nor any part of paymux that a test may never use."""
    pytester.makeconftest(
        "import sys\ndef pytest_unconfigure():\n"
        "    print('loaded', *sorted(m for m in sys.modules if m.partition('.')[0] in "
        "('paymux', 'msgspec', 'aiohttp', 'phonenumbers')))\n"
    )
    ended = pytester.runpytest_subprocess("-s", "-p", "no:asyncio")
    (loaded,) = re.findall(r"^loaded (.*)$", ended.stdout.str(), flags=re.MULTILINE)
    assert loaded.split() == [
        "paymux",
        "paymux.primitives",
        "paymux.primitives.lazy",
        "paymux.testing",
        "paymux.testing.plugin",
    ]


def test_what_the_plugin_needs_is_an_extra() -> None:
    """`paymux[testing]` names pytest, and the package the plugin."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^testing = \["aioresponses>=[^"]*", "pytest>=[^"]*"\]', text, re.MULTILINE)
    assert '[project.entry-points.pytest11]\npaymux = "paymux.testing.plugin"' in text
