"""Ways to name, link, move, clean, copy, lock and fork the journal of a live worker."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from paymux import Payment, PaymuxError, Pool
from paymux.http import PreparedRequest, Response

from ..toys import Keyless, Wire, answer

ROOT = Path(__file__).parents[2]
TURNS = 20
PATIENCE = 15.0  # seconds that the second worker may wait


def payment(number: int) -> Payment:
    """Return the payment of a turn."""
    return Payment(account="keyless", kind="collect", reference=f"order-{number}")


def say(**said: object) -> None:
    """Write a line of JSON for the parent process."""
    os.write(1, (json.dumps(said) + "\n").encode())


async def hold(file: str, turns: int) -> None:
    """Run the first worker: take turns, send a charge, and execute the parent's commands."""
    sent = asyncio.Event()

    async def respond(_: PreparedRequest) -> Response:
        sent.set()
        await asyncio.Event().wait()
        return answer()

    pool = Pool(Keyless(), connection=Wire(respond), journal=file, deadline=3600.0)
    async with pool, contextlib.AsyncExitStack() as held:
        turns_ = [pool.once(payment(number), "fulfilled") for number in range(turns)]
        firsts = [bool(await held.enter_async_context(turn)) for turn in turns_]
        charge = asyncio.create_task(
            pool.collect("keyless", amount=5, currency="XAF", reference="flying")
        )
        await sent.wait()
        say(held=firsts.count(True))
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            do(line.split(), pool)
            say(done=line.strip())
        charge.cancel()
        held.pop_all()


def do(words: list[str], pool: Pool) -> None:
    """Execute a command of the parent in the first worker's process."""
    if words[0] == "copy":
        shutil.copy(words[1], words[2])
    elif words[0] == "fork":
        child = os.fork()
        if child:
            if words[1] != "sleep":
                os.waitpid(child, 0)
        elif words[1] == "sleep":
            while True:
                signal.pause()
        elif words[1] == "close":
            asyncio.run(pool.aclose())
            os._exit(0)
        elif words[1] == "use":
            with contextlib.suppress(BaseException):
                asyncio.run(asyncio.wait_for(_use(pool), 5))
            os._exit(0)


async def _use(pool: Pool) -> None:
    async with pool:
        _ = [one async for one in pool.payments()]


async def want(file: str, turns: int) -> None:
    """Run the second worker: ask for the same turns, recover, and report what it got."""
    got, flying, refused = 0, 0, ""
    try:
        async with (
            asyncio.timeout(PATIENCE),
            Pool(Keyless(), connection=Wire(_nobody), journal=file) as pool,
        ):
            for number in range(turns):
                async with pool.once(payment(number), "fulfilled") as first:
                    got += bool(first)
            async for one in pool.recover():
                flying += one.payment.reference == "flying"
    except (PaymuxError, TimeoutError) as error:
        refused = f"{type(error).__name__}: {error}"
    say(got=got, flying=flying, refused=refused)
    os._exit(0)  # without waiting for threads


def _nobody(_: PreparedRequest) -> Response:
    return answer(404)


class First:
    """The process of the first worker, with the path of its journal."""

    def __init__(self, folder: Path, turns: int, name: str = "payments.db") -> None:
        self.folder = folder
        self.file = folder / "payments.db"
        command = [
            sys.executable,
            "-m",
            "tests.campaigns.living",
            "--hold",
            str(folder / name),
            str(turns),
        ]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._heard()["held"] == turns

    def do(self, *words: object) -> None:
        """Send a command to the worker, and wait for its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self._heard()

    def kill(self) -> None:
        """Kill the worker, but not its children."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Kill the worker and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def _heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def beside(file: Path) -> list[Path]:
    """List the files beside a journal whose names start with its name."""
    return [one for one in file.parent.iterdir() if one.name.startswith(f"{file.name}-")]


def by_a_link(first: First) -> Path:
    """Open the journal through a symbolic link."""
    link = first.folder / "link.db"
    link.symlink_to(first.file)
    return link


def by_a_linked_folder(first: First) -> Path:
    """Open the journal through a symbolic link to its folder."""
    link = first.folder.with_name(f"{first.folder.name}-link")
    link.symlink_to(first.folder)
    return link / first.file.name


def by_a_hard_link(first: First) -> Path:
    """Open the journal through a hard link."""
    link = first.folder / "hard.db"
    link.hardlink_to(first.file)
    return link


def by_another_spelling(first: First) -> Path:
    """Open the journal by another spelling of its path."""
    return first.folder / ".." / first.folder.name / "." / first.file.name


def lock_files_cleaned(first: First) -> Path:
    """Delete the lock files beside the journal, as a clean-up job does."""
    for one in beside(first.file):
        if "-worker-" in one.name:
            one.unlink()
    return first.file


def everything_beside_cleaned(first: First) -> Path:
    """Delete all files beside the journal, with its write-ahead log."""
    for one in beside(first.file):
        one.unlink()
    return first.file


def moved_with_its_log(first: First) -> Path:
    """Move the journal and its write-ahead log to another folder."""
    folder = first.folder / "moved"
    folder.mkdir()
    for one in [first.file, *beside(first.file)]:
        if "-worker-" not in one.name:
            one.rename(folder / one.name)
    return folder / first.file.name


def renamed_with_its_log(first: First) -> Path:
    """Rename the journal and its write-ahead log."""
    for one in [first.file, *beside(first.file)]:
        if "-worker-" not in one.name:
            one.rename(one.with_name(one.name.replace("payments", "renamed")))
    return first.folder / "renamed.db"


def copied_from_inside(first: First) -> Path:
    """Copy the journal in the first worker: closing the files drops SQLite's locks there."""
    for one in [first.file, *beside(first.file)]:
        first.do("copy", one, first.folder / "backup")
    return first.file


def copied_from_inside_and_looked_at(first: First) -> Path:
    """Copy it in the first worker; then another process opens and closes the journal."""
    copied_from_inside(first)
    # Without SQLite's locks, this process seems to be the last one that has the journal open.
    _second(first.file, 0)
    return first.file


def backed_up(first: First) -> Path:
    """Back the journal up with SQLite's backup API."""
    with (
        contextlib.closing(sqlite3.connect(first.file)) as db,
        contextlib.closing(sqlite3.connect(first.folder / "backup")) as copy,
    ):
        db.backup(copy)
    return first.file


def locked_for_a_while(first: First) -> Path:
    """Lock the journal from another program, for two seconds."""
    locker = subprocess.Popen(
        [sys.executable, "-c", _LOCKER, str(first.file)], stdout=subprocess.PIPE
    )
    assert locker.stdout is not None
    locker.stdout.readline()
    return first.file


_LOCKER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(2)
"""


def stopped(first: First) -> Path:
    """Stop the first worker by a signal."""
    os.kill(first.process.pid, signal.SIGSTOP)
    return first.file


def forked_and_closed(first: First) -> Path:
    """Fork a child of the first worker that closes the inherited pool."""
    first.do("fork", "close")
    return first.file


def forked_and_used(first: First) -> Path:
    """Fork a child that uses the inherited pool, and exits."""
    first.do("fork", "use")
    return first.file


def forked_and_sleeping(first: First) -> Path:
    """Fork a child that stays alive."""
    first.do("fork", "sleep")
    return first.file


def killed(first: First) -> Path:
    """Kill the first worker."""
    first.kill()
    return first.file


def killed_with_a_living_child(first: First) -> Path:
    """Kill the first worker while its forked child stays alive."""
    first.do("fork", "sleep")
    first.kill()
    return first.file


class Way(NamedTuple):
    """What is done, and whether the first worker is alive afterwards."""

    do: Callable[[First], Path]
    lives: bool = True


WAYS = {
    do.__name__.replace("_", " "): Way(do)
    for do in (
        by_another_spelling,
        by_a_link,
        by_a_linked_folder,
        by_a_hard_link,
        lock_files_cleaned,
        everything_beside_cleaned,
        moved_with_its_log,
        renamed_with_its_log,
        copied_from_inside,
        copied_from_inside_and_looked_at,
        backed_up,
        locked_for_a_while,
        stopped,
        forked_and_closed,
        forked_and_used,
        forked_and_sleeping,
    )
}
WAYS |= {
    do.__name__.replace("_", " "): Way(do, lives=False)
    for do in (killed, killed_with_a_living_child)
}


class Found(NamedTuple):
    """The turns and orders that were doubled or got stuck, and the second worker's error."""

    way: str
    doubled: int
    stuck: int
    refused: str


def _second(file: Path, turns: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.campaigns.living", "--want", str(file), str(turns)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def tried(name: str, turns: int = TURNS) -> Found:
    """Try one way with both workers."""
    way = WAYS[name]
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "shop"
        folder.mkdir()
        first = First(folder, turns)
        try:
            said = _second(way.do(first), turns)
        finally:
            first.end()
    got = said["got"] + said["flying"]
    if way.lives:
        return Found(name, got, 0, said["refused"])
    return Found(name, 0, turns + 1 - got, said["refused"])


if __name__ == "__main__":
    role = hold if sys.argv[1] == "--hold" else want
    asyncio.run(role(sys.argv[2], int(sys.argv[3])))
