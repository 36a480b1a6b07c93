"""What the first and the second signal do to a command."""

import asyncio
import os
import signal

import pytest

from paymux.cli.signals import Stopped, Stopping


def test_a_first_signal_ends_a_command_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what only waits at once, with exit code 130, SIGTERM with 143.

    A closed terminal does so with 129.
    """
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)  # also under nohup
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):

        async def work(number: int = number) -> None:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()

        with pytest.raises(Stopped) as stopped:
            Stopping().run(work())
        assert stopped.value.exit == code


def test_what_is_on_the_wire_is_finished_first() -> None:
    """A signal inside `finishing()` ends the command only after its block, whose result is kept."""
    stopping, done = Stopping(), []

    async def work() -> None:
        with stopping.finishing():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(5):
                await asyncio.sleep(0)
            done.append("on the wire")
        await asyncio.sleep(0)
        done.append("after")

    with pytest.raises(Stopped):
        stopping.run(work())
    assert done == ["on the wire"]


def test_a_signal_that_the_starter_ignored_is_heard() -> None:
    """A shell script that ignores SIGINT does not make our command deaf."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:

        async def work() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

        with pytest.raises(Stopped):
            Stopping().run(work())
    finally:
        signal.signal(signal.SIGINT, before)


def test_nohup_is_obeyed() -> None:
    """A command that was started to outlive its terminal does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            return "done"

        assert Stopping().run(work()) == "done"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_leaves_at_once() -> None:
    """A second Ctrl-C ends the process although money is on the wire."""
    child = os.fork()
    if not child:
        stopping = Stopping()

        async def work() -> None:
            with stopping.finishing():
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                    await asyncio.sleep(0.01)
                await asyncio.Event().wait()

        stopping.run(work())
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130
