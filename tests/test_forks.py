"""Forks: every verb works in each child, without using or closing anything of the parent."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paymux.simulator import Simulator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

COMMON = """
    import asyncio, contextlib, ctypes, json, multiprocessing, os, signal, sys, time
    from paymux import Payment, PaymuxError, Pool
    from paymux.simulator import Simulator
    from tests.toys import Desk, Keyless, Wire, answer

    fork = multiprocessing.get_context("fork")
    KEPT = {"journal": sys.argv[1]} if sys.argv[1] else {}
    MONEY = {"amount": 500, "currency": "XAF", "payer": "237677777777"}
    WARM = Payment(account="campay", kind="collect", reference="warm")

    def say(**said):
        os.write(1, (json.dumps(said) + "\\n").encode())
"""

VERBS = """
    async def all_of(pool, name):
        async with pool, asyncio.timeout(30):
            payment = await pool.collect("campay", reference=name, **MONEY)
            said = {"verify": (await pool.verify(payment)).reference}
            said["balance"] = (await pool.balance("campay")).currency
            said["watch"] = (await pool.watch(payment, timeout=20)).status
            if KEPT:
                async with (
                    pool.once(payment, "fulfilled") as mine,
                    pool.once(WARM, "fulfilled") as parents,
                ):
                    said["once"] = [bool(mine), bool(parents)]
                said["recover"] = [one.was async for one in pool.recover() if one.was == "sending"]
                known = {one.reference async for one in pool.payments()}
                said["payments"] = {"warm", name} <= known
        return said

    def child(pool, number):
        try:
            say(child=number, **asyncio.run(all_of(pool, f"order-{number}")))
        except BaseException as error:
            say(child=number, error=repr(error))

    async def main():
        async with Simulator(payer_delay=0.3) as sim:
            pool = Pool(sim.driver("campay"), **KEPT)
            async with pool, contextlib.AsyncExitStack() as held:
                warm = await pool.collect("campay", reference="warm", **MONEY)
                if KEPT:
                    assert await held.enter_async_context(pool.once(WARM, "fulfilled"))
                flying = asyncio.create_task(pool.collect("campay", reference="flying", **MONEY))
                watched = asyncio.create_task(pool.watch(warm, timeout=20)._go(to_the_end=True))
                await asyncio.sleep(0.002)
                children = [fork.Process(target=child, args=(pool, number)) for number in range(4)]
                for one in children:
                    one.start()
                say(parent=(await flying).reference, watched=(await watched).status)
                for one in children:
                    await asyncio.to_thread(one.join)
                say(codes=[one.exitcode for one in children])
                say(after=(await pool.collect("campay", reference="after", **MONEY)).reference)

    asyncio.run(main())
"""


def program(text: str, *arguments: str, common: str = COMMON) -> list[str]:
    """Return the command of a program."""
    return [
        sys.executable,
        "-W",
        "error",
        "-c",
        textwrap.dedent(common) + textwrap.dedent(text),
        *arguments,
    ]


def told(text: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a program, and return its output."""
    ended = subprocess.run(
        program(text, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("kept", [True, False])
def test_every_verb_works_in_four_children(tmp_path: Path, *, kept: bool) -> None:
    """Forked in mid flight: each child collects, verifies and watches; the parent goes on."""
    said = told(VERBS, str(tmp_path / "payments.db") if kept else "")
    children = {one["child"]: one for one in said if "child" in one}
    for number in range(4):
        wanted: dict[str, Any] = {
            "child": number,
            "verify": f"order-{number}",
            "balance": "XAF",
            "watch": "succeeded",
        }
        journal = {"once": [True, False], "recover": [], "payments": True}
        assert children[number] == (wanted | journal if kept else wanted)
    rest = {name: value for one in said if "child" not in one for name, value in one.items()}
    assert rest == {"parent": "flying", "watched": "succeeded", "codes": [0] * 4, "after": "after"}
    if kept:
        assert [one.name for one in tmp_path.iterdir()] == ["payments.db"]


CLOSED = """
    async def use(pool, name):
        async with pool:
            payment = await pool.collect("keyless", amount=500, currency="XAF", reference=name)
            async with pool.once(WARM, "fulfilled") as first:
                say(of=name, reference=payment.reference, first=bool(first))

    pool = Pool(Keyless(), connection=Wire(Desk(collect=answer(id="id", status="OK"))), **KEPT)
    WARM = Payment(account="keyless", kind="collect", reference="warm")
    asyncio.run(use(pool, "warm"))
    pid = os.fork()
    asyncio.run(use(pool, "parent" if pid else "child"))
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_a_pool_that_its_parent_closed_is_entered_in_a_child(tmp_path: Path) -> None:
    """Parent and child enter it again, side by side, each as another worker of one journal."""
    said = told(CLOSED, str(tmp_path / "payments.db"))
    assert said[0] == {"of": "warm", "reference": "warm", "first": True}
    later = sorted((one["of"], one["reference"], one["first"]) for one in said[1:])
    assert later == [("child", "child", False), ("parent", "parent", False)]


IN_TURN = """
    async def main(pool, turn):
        async with contextlib.AsyncExitStack() as held:
            first = bool(await held.enter_async_context(pool.once(WARM, "fulfilled")))
            if turn == "hold":
                say(first=first, pid=os.getpid())
                held.pop_all()  # the process that has it keeps it
        return first
"""

HOLDER = """
    def journaled():
        return Pool(Keyless(), connection=Wire(Desk()), **KEPT)

    pool = journaled()
    asyncio.run(main(pool, "hold"))
    child = os.fork()
    if not child:
        {child}
    say(child=child)
    sys.stdin.read()
"""

CHILDREN = {
    "sleeps": "sys.stdin.read(); os._exit(0)",
    "ends at once": "os._exit(0)",
    "ends as programs do": "sys.exit(0)",
    "uses it and ends": "asyncio.run(main(pool, 'take')); sys.exit(0)",
    "closes its pool": "asyncio.run(pool.aclose()); os._exit(0)",
    "uses it and closes": (
        "asyncio.run(main(pool, 'take')); asyncio.run(pool.aclose()); sys.exit(0)"
    ),
    "lets go of everything": "del pool; import gc; gc.collect(); sys.exit(0)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@contextlib.contextmanager
def holder(file: Path, child: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a process with a once-lock and a child; return it and the child's id."""
    command = program(
        textwrap.dedent(IN_TURN) + textwrap.dedent(HOLDER).replace("{child}", child), str(file)
    )
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["first"] is True
        said: dict[str, Any] = {}
        while "child" not in said:
            said = json.loads(process.stdout.readline())
        yield process, said["child"]
    finally:
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(said["child"], signal.SIGKILL)
        process.communicate()


def is_first(file: Path) -> bool:
    """Request the once-lock in another process."""
    text = textwrap.dedent(IN_TURN) + textwrap.dedent(
        """
        pool = Pool(Keyless(), connection=Wire(Desk()), **KEPT)
        say(first=asyncio.run(main(pool, "take")))
        """
    )
    return bool(told(text, str(file))[-1]["first"])


@pytest.mark.parametrize("child", CHILDREN)
def test_whatever_a_child_does_its_parent_lives(tmp_path: Path, child: str) -> None:
    """A child that sleeps, ends, closes or is killed leaves the parent's locks alone."""
    file = tmp_path / "payments.db"
    with holder(file, CHILDREN[child]) as (_, pid):
        if child != "sleeps":
            _gone(pid)
        assert not is_first(file)


def test_a_parent_that_is_killed_is_replaced_though_its_child_lives(tmp_path: Path) -> None:
    """A lock inherited by a child keeps no dead parent alive: it is released at once."""
    file = tmp_path / "payments.db"
    with holder(file, CHILDREN["sleeps"]) as (parent, pid):
        parent.kill()
        parent.wait()
        os.kill(pid, 0)
        assert is_first(file)


def _gone(pid: int) -> None:
    """Wait until a child has ended, whichever process reaps it."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the child goes on")


CROSSED = """
    import threading

    async def collect(pool, name):
        try:
            order = {"amount": 500, "currency": "XAF", "reference": name}
            return (await pool.collect("keyless", **order)).reference
        except PaymuxError as error:
            return f"{type(error).__name__}: {error}"

    wire = Wire(Desk(collect=answer(id="id", status="OK")))
    pool = Pool(Keyless(), connection=wire, **KEPT)
    say(warm=asyncio.run(collect(pool, "warm")))
    if sys.argv[2] == "midst":
        writer = pool._engine.store.journal._writer
        import paymux.journal.sqlite.batch_runner
        paymux.journal.sqlite.batch_runner.FORK_WAIT_SECONDS = 0.1
        writer.runner.using.acquire()
        pid = os.fork()
        if pid:
            writer.runner.using.release()
    else:
        pid = ctypes.CDLL(None).fork()  # as a server written in C does
    said = asyncio.run(collect(pool, f"order-of-{'parent' if pid else 'child'}"))
    say(**{"parent" if pid else "child": said})
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("how", ["midst", "unseen"])
def test_a_child_that_cannot_have_the_journal_says_so(tmp_path: Path, how: str) -> None:
    """Forked during a write, or without Python's knowledge: NotSent; the parent goes on."""
    file = tmp_path / "payments.db"
    said = {name: value for one in told(CROSSED, str(file), how) for name, value in one.items()}
    assert (said["warm"], said["parent"]) == ("warm", "order-of-parent")
    assert said["child"].startswith("NotSent")
    assert "forked" in said["child"]
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


SERVED = """
import asyncio, json, os
from paymux import CamPay, Payment, Pool, PaymuxError

pay = Pool(
    CamPay(username="simulator", password="simulator", base_url=os.environ["CAMPAY"]),
    **({"journal": os.environ["JOURNAL"]} if os.environ["JOURNAL"] else {}),
)
MONEY = {"amount": 500, "currency": "XAF", "payer": "237677777777"}

async def warm():
    async with asyncio.timeout(20):
        payment = await pay.collect("campay", reference="warm", **MONEY)
        return await pay.verify(payment)

PAYMENT = asyncio.run(warm())  # used before the workers are forked

async def serve(name):
    payment = await pay.collect("campay", reference=name, **MONEY)
    said = {"pid": os.getpid(), "reference": (await pay.verify(payment)).reference}
    if os.environ["JOURNAL"]:
        async with pay.once(PAYMENT, "fulfilled") as first:
            said["first"] = bool(first)
        said["listed"] = len([one async for one in pay.payments()])
        said["recovered"] = len([one async for one in pay.recover()])
    return said

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await pay.__aenter__()
            else:
                await pay.aclose()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    try:
        async with asyncio.timeout(20):
            said = await serve(scope["path"].strip("/"))
    except BaseException as error:
        said = {"error": repr(error)}
    body = json.dumps(said).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("kept", [True, False])
async def test_gunicorn_preloads_a_pool_that_was_used(tmp_path: Path, *, kept: bool) -> None:
    """`gunicorn --preload` with uvicorn's workers: the master's used pool serves in each."""
    (tmp_path / "served.py").write_text(SERVED)
    journal = str(tmp_path / "payments.db") if kept else ""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with Simulator() as sim:
        environment = {
            **os.environ,
            "CAMPAY": f"{sim.url}/campay/api",
            "JOURNAL": journal,
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
        }
        server = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "gunicorn",
                "--preload",
                "-k",
                "uvicorn_worker.UvicornWorker",
                "-w",
                "4",
            ),
            *("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "10", "served:app"),
            cwd=tmp_path,
            env=environment,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            answers = await _asked(port)
        finally:
            server.terminate()
            _, errors = await asyncio.wait_for(server.communicate(), 30)
    assert len({one.get("pid") for one in answers}) >= 2, errors.decode()
    assert [one for one in answers if "error" in one or not one["reference"]] == []
    assert b"Traceback" not in errors, errors.decode()
    if kept:
        assert [one["first"] for one in answers].count(True) == 1
        with contextlib.closing(sqlite3.connect(journal)) as db:
            states = {state for (state,) in db.execute("SELECT state FROM payments")}
        assert states == {"accepted"}


async def _asked(port: int) -> list[dict[str, Any]]:
    """Call a server until at least two of its workers have answered several times."""

    def get(number: int) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/order-{number}", timeout=30
            ) as said:
                found: dict[str, Any] = json.load(said)
                return found
        except OSError:
            return None

    answers: list[dict[str, Any]] = []
    until = time.monotonic() + 60
    while time.monotonic() < until:
        numbers = range(len(answers), len(answers) + 8)
        found = await asyncio.gather(*(asyncio.to_thread(get, number) for number in numbers))
        answers += [one for one in found if one is not None]
        if len({one.get("pid") for one in answers}) >= 2 and len(answers) >= 24:
            break
        await asyncio.sleep(0.1)
    return answers
