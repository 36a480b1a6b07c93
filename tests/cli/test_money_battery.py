"""Every money command, met by what goes wrong around it: the ledger has at most one order."""

import asyncio
import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux.cli.main import run
from paymux.simulator import Fault, Simulator

from .conftest import variables

pytestmark = pytest.mark.slow

NUMBER = "254708374149"
PAID = ["collect", "100", "KES", NUMBER, "-a", "kenya", "--reference", "5001", "-y", "--wait"]
MONEY = {
    "collect": ["collect", "5000", "XAF", "237677777777", "-a", "shop", "--reference", "9001"],
    "payout": ["payout", "5000", "XAF", "237677777777", "-a", "shop", "--reference", "9001"],
    "refund": ["refund", "5001", "100", "-a", "kenya", "--reference", "9001"],
}
SENDS = {"collect": "POST /collect/", "payout": "POST /withdraw/", "refund": "POST"}
PROVIDER = {"collect": "campay", "payout": "campay", "refund": "mpesa_gateway"}


@pytest.fixture(params=MONEY)
def verb(request: pytest.FixtureRequest, shop: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name each money command in turn; what it needs is there: the payment that is given back."""
    for name, value in variables(shop, "mpesa_gateway", "KENYA").items():
        monkeypatch.setenv(name, value)
    found: str = request.param
    if found == "refund":
        assert run(PAID) == 0
    return found


def _orders(sim: Simulator, verb: str) -> list[Decimal]:
    return [one.amount for one in sim.ledger if one.kind == verb]


def _command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in a process of its own."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, **options}
    line = [sys.executable, "-m", "paymux", *words]
    return subprocess.run(line, text=True, timeout=60, check=False, **options)


def test_a_command_that_is_repeated_sends_once(
    verb: str, shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five times the same line is one order; each later one says that nothing was sent again."""
    assert run([*MONEY[verb], "-y"]) == 0
    for _ in range(4):
        capsys.readouterr()
        assert run([*MONEY[verb], "-y"]) in (0, 5)
        assert "not sent again" in capsys.readouterr().err
    assert len(_orders(shop, verb)) == 1


def test_two_processes_with_one_line_send_once(verb: str, shop: Simulator) -> None:
    """Started at the same moment, two commands of one reference are one order."""
    line = [sys.executable, "-m", "paymux", *MONEY[verb], "-y"]
    shop.change(latency=0.05)
    both = [
        subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-1)
        for _ in range(2)
    ]
    ended = [one.communicate(timeout=60) for one in both]
    assert all(one.returncode in (0, 5) for one in both), ended
    assert len(_orders(shop, verb)) == 1


class _Interrupted(asyncio.SelectorEventLoop):
    """A loop that gets Ctrl-C before its nth turn."""

    at = 0
    turns = 0

    def _run_once(self) -> None:
        kind = type(self)
        kind.turns += 1
        if kind.turns == kind.at:
            os.kill(os.getpid(), signal.SIGINT)
        super()._run_once()  # type: ignore[misc]


def test_ctrl_c_at_each_await_sends_at_most_once(
    verb: str, shop: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C at any turn of the loop ends with 130 or the result; the line again is one order."""
    monkeypatch.setattr(asyncio.events, "new_event_loop", _Interrupted)
    line, ended = list(MONEY[verb]), set()
    if verb == "refund":
        line[2] = "1"  # of the 100 that were paid, again and again
    for at in range(1, 400, 3 if verb == "refund" else 1):  # its account has a narrow limit
        _Interrupted.at, _Interrupted.turns = at, 0
        again = [*line[:-1], f"1{at:05}", "-y"]
        before = len(_orders(shop, verb))
        first = run(again)
        ended.add(first)
        last, told = _Interrupted.turns, capsys.readouterr().err
        assert first in (0, 130), (at, first, told)
        assert "Traceback" not in told
        _Interrupted.at = 0
        if first == 130 or at % 10 == 0:
            assert run(again) in (0, 5), (at, capsys.readouterr())
            assert len(_orders(shop, verb)) == before + 1, at
        if at > last:
            break
    else:
        pytest.fail("the command never came to its end")
    assert 130 in ended


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.GARBAGE])
def test_a_lost_answer_is_never_sent_again(
    fault: Fault, verb: str, shop: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 5 or the truth, and again, nothing is sent; the JSON forbids to repeat it."""
    shop.fault(PROVIDER[verb], SENDS[verb], kind=fault, times=20)
    code = run([*MONEY[verb], "-y", "--json"])
    told = capsys.readouterr()
    assert code in (0, 5), told
    if code == 5:
        said = json.loads(told.err.splitlines()[-1])
        assert (said["exit"], said["repeat"]) == (5, False)
        assert said["hints"]
    assert run([*MONEY[verb], "-y"]) in (0, 5)
    assert len(_orders(shop, verb)) <= 1


@pytest.mark.parametrize("stdin", ["closed", "empty", "pipe"])
def test_without_a_terminal_nothing_is_sent(verb: str, stdin: str, shop: Simulator) -> None:
    """A question without a terminal is exit 2, never a yes."""
    options: dict[str, Any] = {"empty": {"stdin": subprocess.DEVNULL}}.get(stdin, {})
    if stdin == "closed":
        options = {"stdin": None, "preexec_fn": lambda: os.close(0)}
    if stdin == "pipe":
        options = {"stdin": None, "input": "y\n5000\n100\n"}
    ended = _command(*MONEY[verb], **options)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert "--yes" in ended.stderr
    assert _orders(shop, verb) == []


def _small(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [0, 8192, 40_000])
def test_on_a_full_disk_nothing_is_sent(
    size: int, verb: str, shop: Simulator, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that cannot grow ends the command before the wire, without a traceback."""
    if verb != "refund":  # which needs a journal that knows the payment
        monkeypatch.setenv("PAYMUX_JOURNAL", str(bare / "new.db"))
    ended = _command(*MONEY[verb], "-y", preexec_fn=_small(size))
    assert "Traceback" not in ended.stderr
    assert ended.returncode in (2, 4), ended
    assert "It may be repeated as it is." in ended.stderr or ended.returncode == 2
    assert verb == "refund" or "othing was sent" in ended.stderr
    assert _orders(shop, verb) == []


@pytest.mark.parametrize("json_form", [False, True])
def test_a_result_that_cannot_be_written_does_not_hide_the_order(
    verb: str, json_form: bool, shop: Simulator
) -> None:
    """With a full disk behind standard output, the code is still the order's, never "not sent"."""
    words = [*MONEY[verb], "-y", *(["--json"] if json_form else [])]
    with Path("/dev/full").open("w") as full:
        ended = _command(*words, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert ended.returncode == 0, ended.stderr
    assert "standard output" in ended.stderr
    assert "Nothing was sent" not in ended.stderr
    assert len(_orders(shop, verb)) == 1


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_error(verb: str, closed: tuple[int, ...], shop: Simulator) -> None:
    """Started by a job with its streams closed, a command sends once, and says so by its code."""

    def close() -> None:
        for number in closed:
            os.close(number)

    ended = _command(*MONEY[verb], "-y", preexec_fn=close)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended
    assert len(_orders(shop, verb)) == 1


def test_a_reader_that_has_gone_is_silent(verb: str, shop: Simulator) -> None:
    """`| true` changes neither the order nor its exit code."""
    read, write = os.pipe()
    os.close(read)
    words = [*MONEY[verb], "-y"]
    ended = _command(*words, stdout=write, stderr=subprocess.PIPE, capture_output=False)
    os.close(write)
    assert (ended.returncode, "Error" in ended.stderr) == (0, False), ended.stderr
    assert len(_orders(shop, verb)) == 1


@pytest.mark.parametrize("call", ["connect", "sendto", "recvfrom", "pwrite64", "fdatasync"])
def test_a_killed_command_that_is_repeated_sends_at_most_once(
    verb: str, call: str, shop: Simulator
) -> None:
    """SIGKILL at a system call; the same line again never sends a second order, and says so."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    for nth in itertools.count(1, int(os.environ.get("PAYMUX_KILLS_APART", "5"))):
        line = [*MONEY[verb][:-1], f"9{nth:03}", "-y"]
        line[2] = "1" if verb == "refund" else line[2]  # of one payment, many times
        before = len(_orders(shop, verb))
        killed = _killed_at(f"{call}:signal=SIGKILL:when={nth}", line)
        again = _command(*line)
        assert again.returncode in (0, 4, 5), again.stderr
        sent = len(_orders(shop, verb)) - before
        assert sent == 1 if again.returncode == 0 else sent <= 1
        if killed.returncode != -signal.SIGKILL:
            return  # it has fewer calls of this kind


def _killed_at(point: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    strace = ["strace", "-f", "-o", os.devnull, "-e", "signal=none", "-e", f"inject={point}"]
    return subprocess.run(
        [*strace, sys.executable, "-m", "paymux", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
