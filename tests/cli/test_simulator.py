"""`paymux simulator`, as a program in any language meets it: a command, its signals, its lines."""

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "paymux"]
SIMULATOR = [*COMMAND, "simulator"]

pytestmark = pytest.mark.slow


def _environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: one for name, one in os.environ.items() if not name.startswith("PAYMUX_")}
    return {**kept, "LANG": "C", "HOME": str(folder), "TMPDIR": str(folder), **variables}


def _ended(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        cwd=folder,
        env=_environment(folder, **variables),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def _project(folder: Path, script: str) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (folder / "package.json").write_text(json.dumps({"scripts": {"test": script}}))


def _marked(mark: str) -> list[int]:
    """Return the processes that have a mark in their environment."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and mark.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def _gone(mark: str) -> bool:
    until = time.monotonic() + 5
    while _marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    return not _marked(mark)


@contextlib.contextmanager
def _running(folder: Path, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*SIMULATOR, *words],
        cwd=folder,
        env=_environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("code", [0, 3])
def test_npm_test_ends_as_it_did(code: int, tmp_path: Path) -> None:
    """In an empty project, with the provider's address; nothing is left, in /tmp neither."""
    said = "console.log(process.env.PAYMUX_CAMPAY__BASE_URL, process.env.PAYMUX_CONFIG)"
    _project(tmp_path, f'node -e "{said}; process.exit({code})"')
    ended = _ended(tmp_path, "simulator", "--", "npm", "test", "--silent", PAYMUX_MARK="npm-ended")
    assert ended.returncode == code
    base, config = ended.stdout.split()
    assert base.startswith("http://127.0.0.1:")
    assert not Path(config).exists()
    assert _gone("npm-ended")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_both_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """npm, its shell and node end with us, and so does what has left its parents."""
    _project(
        tmp_path, "sh -c 'setsid sleep 300 & echo begun; exec node -e \"setInterval(Date, 9)\"'"
    )
    mark = f"npm-{number.name}-{os.getpid()}"
    words = ("--", "npm", "test", "--silent")
    with _running(tmp_path, *words, A_MARK=mark) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        process.wait(20)
        assert process.returncode != 0
    assert _gone(mark)


def test_more_signals_leave_nothing(tmp_path: Path) -> None:
    """Who presses Ctrl-C again and again leaves no process behind, also one that ignores it."""
    mark = f"paymux-{os.getpid()}-again"
    script = "(trap '' TERM INT; echo up; exec sleep 60) & sleep 60"
    with _running(tmp_path, "--", "bash", "-c", script, A_MARK=mark) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for _ in range(12):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert process.wait(20) == 130
    assert _gone(mark)


_COUNTS = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("told", flush=True))
print("up", flush=True)
until = time.monotonic() + 1
while time.monotonic() < until:
    time.sleep(0.05)
sys.exit(7)
"""


def test_ctrl_c_on_a_terminal_is_told_once(tmp_path: Path) -> None:
    """The terminal tells both; the command hears one, ends as it wants, and its code is ours."""
    if shutil.which("setsid") is None:
        pytest.skip("setsid is not installed")
    ours, theirs = pty.openpty()
    words = ["setsid", "--ctty", "--wait", *SIMULATOR, "--", sys.executable, "-c", _COUNTS]
    with subprocess.Popen(
        words, cwd=tmp_path, env=_environment(tmp_path), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"up" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"\x03")
        with contextlib.suppress(OSError):  # EIO: the terminal's last process has ended
            while data := os.read(ours, 4096):
                said += data
        assert process.wait(20) == 7
    os.close(ours)
    assert said.count(b"told") == 1


def test_two_run_at_once(tmp_path: Path) -> None:
    """Each has a port, a config and a journal of its own."""
    names = ("PAYMUX_SIMULATOR", "PAYMUX_CONFIG", "PAYMUX_JOURNAL")
    code = f"import os, time; print(*(os.environ[one] for one in {names})); time.sleep(1)"
    with contextlib.ExitStack() as stack:
        words = ("--", sys.executable, "-c", code)
        both = [stack.enter_context(_running(tmp_path, *words)) for _ in range(2)]
        told = [process.communicate(timeout=30)[0].split() for process in both]
    assert all(process.returncode == 0 for process in both)
    assert all(one != other for one, other in zip(*told, strict=True))


def test_a_live_account_is_never_spoken_to(tmp_path: Path) -> None:
    """Its name is an account of the simulator; its host gets no connection."""
    program = (
        "import asyncio, os\n"
        "from paymux import Pool, UsageError\n"
        "assert 'PAYMUX_SHOP__CANARY' not in os.environ and 'canary' not in str(os.environ)\n"
        "async def main():\n"
        "    for make in (Pool.from_config, Pool.from_env):\n"
        "        async with make() as pay:\n"
        "            assert not pay.drivers['shop'].live\n"
        "            await pay.collect('shop', amount=500, currency='XAF', payer='237677777777',\n"
        "                              reference='order-1')\n"
        "    try:\n"
        "        Pool.from_config('paymux.toml')\n"
        "    except UsageError as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as host:
        host.settimeout(0)
        port = host.getsockname()[1]
        file = tmp_path / "paymux.toml"
        file.write_text(
            '[accounts.shop]\ndriver = "campay"\nlive = true\nusername = "u"\n'
            f'password = "canary-1"\nbase_url = "https://127.0.0.1:{port}"\n'
            '[accounts.other]\ndriver = "campay"\nlive = true\naccess_token = "t"\n'
        )
        file.chmod(0o600)
        ended = _ended(
            tmp_path,
            "simulator",
            "--",
            sys.executable,
            "-c",
            program,
            PAYMUX_SHOP__PASSWORD="canary-2",
            PAYMUX_PROXY=f"http://127.0.0.1:{port}",
        )
        assert (ended.returncode, ended.stdout.count("unset it first")) == (0, 1), ended.stderr
        with pytest.raises(BlockingIOError):
            host.accept()
    assert "canary" not in ended.stdout + ended.stderr


def test_a_taken_port_says_who_has_it(tmp_path: Path) -> None:
    """Another simulator is named with its version and age; another program as such."""
    with _running(tmp_path, "--port", "0", "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["type"] == "ready"
        port = ready["url"].rpartition(":")[2]
        ended = _ended(tmp_path, "simulator", "--port", port)
        assert (ended.returncode, ended.stdout) == (2, "")
        first, second = ended.stderr.splitlines()
        assert first.startswith(f"paymux: port {port} is taken by another paymux simulator (")
        assert first.endswith(f": http://127.0.0.1:{port}/")
        assert second == "  paymux simulator --port 0      takes a free port"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, "it was merely asked to stop"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = _ended(tmp_path, "simulator", "--port", str(taken.getsockname()[1]))
    assert (ended.returncode, "taken by another program" in ended.stderr) == (2, True)


def test_its_commands_speak_with_it(tmp_path: Path) -> None:
    """env, fault, answer, resend and reset do what the control API does."""
    pay = (
        "import asyncio\nfrom paymux import Pool\n"
        "async def main():\n"
        "    async with Pool.from_env() as pay:\n"
        "        await pay.collect('campay', amount=500, currency='XAF', payer='237677000001',\n"
        "                          reference='order-7')\n"
        "asyncio.run(main())\n"
    )
    with _running(tmp_path, "--port", "0", "--env-file", "sim.env", "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        here = {"PAYMUX_SIMULATOR": ready["url"]}
        lines = _ended(tmp_path, "simulator", "env", "--format", "dotenv", **here).stdout
        assert lines == (tmp_path / "sim.env").read_text()
        assert (tmp_path / "sim.env").stat().st_mode & 0o777 == 0o600
        assert "export PAYMUX_CAMPAY__DRIVER" in _ended(tmp_path, "simulator", "env", **here).stdout
        variables = {name: one for name, _, one in (x.partition("=") for x in lines.split("\n"))}
        variables.pop("", None)
        done = subprocess.run(
            [sys.executable, "-c", pay], env=_environment(tmp_path, **variables), check=False
        )
        assert done.returncode == 0
        wrong = _ended(
            tmp_path, "simulator", "answer", "order-7", "approve", "--pin", "1111", **here
        )
        assert wrong.returncode == 1, wrong.stderr
        words = ("simulator", "answer", "order-7", "approve")
        right = _ended(tmp_path, *words, "--json", **here)
        assert (right.returncode, json.loads(right.stdout)["status"]) == (0, "succeeded")
        again = _ended(tmp_path, "simulator", "answer", "order-7", "decline", **here)
        assert (again.returncode, again.stdout) == (2, "")
        assert "it has succeeded" in again.stderr
        planned = _ended(tmp_path, "simulator", "fault", "campay", "drop_after", **here)
        assert planned.stdout.splitlines()[1].split("\t")[1:3] == ["campay", "drop_after"]
        cleared = _ended(tmp_path, "simulator", "fault", "--clear", **here)
        assert len(cleared.stdout.splitlines()) == 1
        assert _ended(tmp_path, "simulator", "resend", "order-8", **here).returncode == 2
        assert _ended(tmp_path, "simulator", "reset", **here).returncode == 0
        gone = _ended(tmp_path, "simulator", "answer", "order-7", "approve", **here)
        assert "no order 'order-7'" in gone.stderr
    none = _ended(tmp_path, "simulator", "reset", **here)
    assert none.returncode == 4
    assert "no simulator at" in none.stderr


def test_tail_shows_what_happens(tmp_path: Path) -> None:
    """Each event is one line, until the simulator ends."""
    with _running(tmp_path, "--port", "0", "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with _running(tmp_path, "tail", "--url", ready["url"], "--json") as tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["type"] == "hello"
            assert _ended(tmp_path, "simulator", "reset", "--url", ready["url"]).returncode == 0
            assert json.loads(tail.stdout.readline())["type"] == "reset"
            process.send_signal(signal.SIGINT)
            assert tail.wait(10) == 0


def test_a_command_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Exit 2 and one line, and nothing is started."""
    ended = _ended(tmp_path, "simulator", "--", "no-such-command-here")
    assert ended.returncode == 2
    assert "no-such-command-here: there is no such command" in ended.stderr
    assert "a command to run" in _ended(tmp_path, "simulator", "--").stderr


def test_a_provider_reports_to_the_command(tmp_path: Path) -> None:
    """CamPay's address, which a shop registers once, is that of the command's own pool."""
    program = (
        "import json, os, urllib.request\n"
        "from paymux import Pool\n"
        "url = os.environ['PAYMUX_SIMULATOR'] + '/_paymux/settings'\n"
        "told = json.load(urllib.request.urlopen(url))['campay']['webhook_url']\n"
        "assert told == Pool.from_config(journal=None).webhook_url('shop'), told\n"
        "assert told.startswith('http://127.0.0.1:8123/pay/'), told\n"
    )
    file = tmp_path / "paymux.toml"
    file.write_text('[accounts.shop]\ndriver = "campay"\naccess_token = "t"\n')
    file.chmod(0o600)
    words = ("simulator", "--", sys.executable, "-c", program)
    done = _ended(tmp_path, *words, PORT="8123")
    assert done.returncode == 0, done.stderr
