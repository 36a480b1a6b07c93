"""A reconciliation that is killed again and again: it must report what an undisturbed one does."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from paymux import CamPay, Pool, ReconcileProgress

from .statements import corpus, write_journal, write_statement

ROOT = Path(__file__).parents[2]


class Killed(NamedTuple):
    """How a campaign ended."""

    kills: int
    stages: Counter[str]  # where a run was when it was killed
    equal: bool  # each finished report has the bytes of the undisturbed one
    exact: bool  # the undisturbed one has what was planted, no more and no less
    adds_up: bool
    resumed: int  # runs that went on with rows that an earlier one had read
    seconds: float  # of the undisturbed run, from the start of its process
    peak: int  # bytes, the most of any process


async def prepare(
    folder: Path, rows: int, differences: int, shape: str
) -> Counter[tuple[str, str]]:
    """Write a statement and a journal; return what is planted."""
    made = corpus(rows, differences)
    write_statement(folder / "statement.csv", made.theirs, shape)
    journal = folder / "journal.db"
    async with Pool(CamPay(username="user", password="password"), journal=journal):
        pass
    write_journal(journal, made.ours)
    return made.planted


async def reconcile(folder: Path, out: str) -> None:
    """Reconcile in this process; say on standard error what it does, and at the end the summary."""

    def tell(progress: ReconcileProgress) -> None:
        print(progress.stage, progress.rows, file=sys.stderr, flush=True)

    account = CamPay(username="user", password="password")
    async with Pool(account, journal=folder / "journal.db") as pool:
        found = pool.reconcile(folder / "statement.csv", out=folder / out, progress=tell)
        async for _ in found:
            pass
    # Not getrusage: a process begins there with what the one that started it had.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    summary = found.summary
    said = {"adds_up": summary.adds_up, "resumed": summary.resumed, "peak": peak}
    print(json.dumps({**said, "cpu": time.process_time()}))


def _started(folder: Path, out: str) -> "subprocess.Popen[bytes]":
    said = (folder / "said").open("wb")
    with said:
        command = [sys.executable, "-m", "tests.campaigns.reconciling", str(folder), out]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=said)


def _ended(process: "subprocess.Popen[bytes]", folder: Path) -> dict[str, float]:
    said, _ = process.communicate()
    if process.returncode != 0:
        raise AssertionError((folder / "said").read_text()[-2000:])
    found: dict[str, float] = json.loads(said)
    return found


def _planted(report: Path) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for line in report.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if one["type"] == "difference":
            found[one["kind"], one.get("reference", "")] += 1
    return found


class Undisturbed(NamedTuple):
    """A run that nothing stopped."""

    exact: bool
    adds_up: bool
    seconds: float
    cpu: float  # seconds of the process, of all its threads
    peak: int


def undisturbed(folder: Path, planted: Counter[tuple[str, str]]) -> Undisturbed:
    """Reconcile once, in a process of its own, into `whole.jsonl`."""
    began = time.perf_counter()
    ended = _ended(_started(folder, "whole.jsonl"), folder)
    seconds = time.perf_counter() - began
    exact = _planted(folder / "whole.jsonl") == planted
    cpu, peak = ended["cpu"], int(ended["peak"])
    return Undisturbed(exact, bool(ended["adds_up"]), seconds, cpu, peak)


def campaign(
    folder: Path, rows: int, differences: int, kills: int, seed: int = 1, shape: str = "french"
) -> Killed:
    """Kill a reconciliation `kills` times at random moments; go on each time with the same call."""
    planted = asyncio.run(prepare(folder, rows, differences, shape))
    whole = undisturbed(folder, planted)
    seconds, peak = whole.seconds, whole.peak
    expected = (folder / "whole.jsonl").read_bytes()
    chance, stages = random.Random(seed), Counter[str]()
    equal, adds_up, resumed, out = True, whole.adds_up, 0, 0
    while sum(stages.values()) < kills:
        name = f"killed-{out}.jsonl"
        process = _started(folder, name)
        try:
            process.wait(chance.uniform(seconds * 0.1, seconds * 1.1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            said = (folder / "said").read_text().split()
            stages[said[-2] if len(said) > 1 else "start"] += 1
            if sum(stages.values()) < kills:
                continue
            process = _started(folder, name)
        ended = _ended(process, folder)
        equal = equal and (folder / name).read_bytes() == expected
        adds_up = adds_up and bool(ended["adds_up"])
        resumed, peak, out = (
            resumed + bool(ended["resumed"]),
            max(peak, int(ended["peak"])),
            out + 1,
        )
    left = [one for one in folder.iterdir() if one.suffix in (".part", ".state")]
    equal = equal and not left
    return Killed(kills, stages, equal, whole.exact, adds_up, resumed, seconds, peak)


if __name__ == "__main__":
    asyncio.run(reconcile(Path(sys.argv[1]), sys.argv[2]))
