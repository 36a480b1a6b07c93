"""R1 and R2 over real sockets: a slice of benchmarks/bench_faults.py for every run."""

import logging
import time
from typing import Any
from unittest.mock import patch

import pytest

import paymux.transport.call
from paymux import Rejected, drivers
from paymux.drivers.base import Driver
from paymux.http import Request, Response
from paymux.models import Kind
from paymux.simulator import Simulator
from paymux.transport.outcome import Means, Verdict, decide

from .campaigns.faults import (
    NEVER,
    OVER_A_SESSION,
    TITLES,
    Certificates,
    Tally,
    cut_everywhere,
    poisoned,
    table,
    walk_table,
)
from .campaigns.faulty import OPERATIONS, Over
from .toys import eagerly

pytestmark = pytest.mark.slow

SEED = 20_251_121
STEP = 151  # every nth byte; the seed chooses the first, and both ends are always cut


def tally() -> Tally:
    """Return an empty tally without a time limit."""
    return Tally(time.monotonic() + 100)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "paymux")  # of unknown statuses paymux warns


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("over", ["connection", "session"])
def test_every_row_occurs_or_says_why_not(name: str, over: Over) -> None:
    """All 48 rows of the decision table are there for each operation: cases, or a reason."""
    rows = table(Certificates(), OPERATIONS[name], over)
    assert list(rows) == list(TITLES) == list(range(1, 49))
    assert all(rows.values())
    never = NEVER if over == "connection" else OVER_A_SESSION
    assert all(rows[number] == reason for number, reason in never.items())
    assert sum(isinstance(cases, list) for cases in rows.values()) >= 35


async def test_every_row_of_the_table_is_told_truly() -> None:
    """R1: each possible row is reported truly, for every money operation."""
    found = tally()
    await walk_table(OPERATIONS.values(), found, in_turn=True)
    assert found.wrong == []
    assert found.skipped == 0
    assert found.total("R1") > 800


@pytest.mark.parametrize("name", drivers.names())
def test_every_money_verb_of_every_driver_has_its_rows(name: str) -> None:
    """A verb that moves money is broken at any byte, too, before it is released."""
    driver = Simulator().driver(name)
    verbs: list[Kind] = ["collect", "payout", "refund"]
    broken = {one.verb for one in OPERATIONS.values() if one.driver == name}
    assert broken == {verb for verb in verbs if driver.can(verb)}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_wire_that_breaks_at_any_byte_is_told_truly(name: str) -> None:
    """R2: with a connection cut at any byte, only a complete answer counts; else unknown."""
    found = tally()
    await cut_everywhere([OPERATIONS[name]], found, step=STEP, seed=SEED)
    assert found.wrong == [], f"seed {SEED}"
    assert found.skipped == 0
    assert min(found.counts[name, f"R2 {what}"] for what in ("request", "answer", "refusal")) >= 12


@pytest.mark.parametrize("eager", [False, True], ids=["", "eager tasks"])
async def test_the_table_over_a_session_of_the_caller_is_told_truly(*, eager: bool) -> None:
    """R1 and R2 over a session: sound, and otherwise than over the default connection in one row.

    A connection that ended right after it was accepted is noticed before the request is written.
    """
    if eager:
        eagerly()
    found = tally()
    some = [OPERATIONS[name] for name in ("campay payout", "intram collect")]
    await walk_table(some, found, in_turn=True, over="session")
    await cut_everywhere(some, found, step=STEP, seed=SEED, over="session")
    assert found.wrong == [], f"seed {SEED}"
    assert found.skipped == 0
    ended = {"R1 row 19", "R2 request, 0 bytes"}
    assert {name for name in found.differences if not name.startswith(tuple(ended))} == set()
    assert all(name.endswith("fresh: NotSent for OutcomeUnknown") for name in found.differences)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_control_character_never_reaches_a_header(name: str) -> None:
    """Row 14: a credential with CR, LF or NUL is refused when the driver is made."""
    assert poisoned(OPERATIONS[name]) == []


def _hopeful(
    driver: Driver, request: Request[Any], reply: Response | None, *, left: bool = True
) -> Verdict:
    """Treat an exception as proof that nothing was sent."""
    return decide(driver, request, reply, left=left and reply is not None)


def _literal(
    driver: Driver, request: Request[Any], reply: Response | None, *, left: bool = True
) -> Verdict:
    """Treat any 4xx as a refusal."""
    verdict = decide(driver, request, reply, left=left)
    if verdict.means is Means.UNKNOWN and reply is not None and 400 <= reply.status < 500:
        return Verdict(Means.REFUSED, error=Rejected("no"))
    return verdict


async def test_the_campaign_sees_a_core_that_trusts_exceptions() -> None:
    """The campaign finds a core that treats an exception as proof of "not sent"."""
    found = tally()
    with patch.object(paymux.transport.call, "decide", _hopeful):
        await cut_everywhere([OPERATIONS["campay payout"]], found, step=STEP, seed=SEED)
    assert len(found.wrong) > found.total("R2 request", "R2 answer", "R2 refusal") / 4


async def test_the_campaign_sees_a_core_that_trusts_statuses() -> None:
    """The campaign finds a core that treats any 4xx as a refusal, in each row that has one."""
    found = tally()
    with patch.object(paymux.transport.call, "decide", _literal):
        await walk_table([OPERATIONS["campay payout"]], found)
    assert {one.split(":")[0].rpartition(" ")[2] for one in found.wrong} >= {
        "38",
        "40",
        "41",
        "43",
        "45",
    }
