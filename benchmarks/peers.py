"""Install other clients, each in its own environment, and run the processes that are measured.

Each package gets its own virtual environment in a folder (default: `.venv-peers`), so that their
dependencies do not conflict. A `Worker` is a process of benchmarks/clients.py in one of them.
"""

import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv-peers"
LIMIT = 120.0  # seconds that one measurement may take

# The requirements for pip; a client has the name of its first package.
PEERS: Mapping[str, tuple[str, ...]] = {
    "daraja-v3": ("daraja-v3[async]==0.2.1",),
    "daraja-sdk-py": ("daraja-sdk-py==2.0.0",),
    "noriapay": ("noriapay==0.1.1",),
    "mpesakit": ("mpesakit==2.2.0",),
    "cinetpay-python": ("cinetpay-python==0.1.0",),
    "easyswitch": ("easyswitch==0.1.3",),
    "paydunya": ("paydunya==1.0.7",),
    "campay": ("campay==1.1.0", "requests"),  # it imports requests without declaring it
}
HTTPX = ("daraja-sdk-py", "noriapay", "mpesakit", "cinetpay-python")
# The client of paymux that each other client is compared with.
OURS = {
    "hand/campay": "paymux/campay",
    "tuned/campay": "paymux/campay",
    "floor/campay": "paymux/campay",
    "hand/mpesa": "paymux/mpesa",
    "tuned/mpesa": "paymux/mpesa",
    "daraja-v3": "paymux/mpesa",
    "daraja-sdk-py": "paymux/mpesa",
    "noriapay": "paymux/mpesa",
    "mpesakit": "paymux/mpesa",
    "cinetpay-python": "paymux/cinetpay",
    "easyswitch": "paymux/cinetpay",
    "paydunya": "paymux/paydunya",
    "campay": "paymux/campay",
}


def python_of(name: str, folder: Path) -> Path:
    """Return the path of a client's Python: ours, or that of its own environment."""
    return folder / name / "bin" / "python" if name in PEERS else Path(sys.executable)


def install(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Install the missing clients; return those that could not be installed, with the reasons."""
    refused = {}
    for name in names:
        home = folder / name
        if name not in PEERS or (home / "installed").exists():
            continue
        print(f"installing {name}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run(
            [
                python_of(name, folder),
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                *PEERS[name],
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            refused[name] = f"not installed: {done.stderr.strip().splitlines()[-1]}"
        else:
            (home / "installed").touch()
    return refused


def surroundings(ca: str, source: Path) -> dict[str, str]:
    """Return the environment variables of a client's process.

    Proxies are removed. `ca` is the file of the certificate authority, `source` the folder of
    `paymux`.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    kept = {name: value for name, value in kept.items() if not name.startswith("PYTHON")}
    trust = {"SSL_CERT_FILE": ca, "REQUESTS_CA_BUNDLE": ca} if ca else {}
    # campay switches certificate verification off, which gives a warning at every call.
    return {**kept, **trust, "PYTHONPATH": str(source), "PYTHONWARNINGS": "ignore"}


class Worker:
    """The process of one client, with the `paymux` of a checkout.

    `error` is empty, or the reason why the process takes no more calls.
    """

    def __init__(
        self, name: str, url: str, *, ca: str = "", folder: Path = FOLDER, source: Path = ROOT
    ) -> None:
        self.name = name
        self.error = ""
        self._command = [
            str(python_of(name, folder)),
            str(ROOT / "benchmarks" / "clients.py"),
            name,
            url,
        ]
        self._surroundings = surroundings(ca, source)

    async def __aenter__(self) -> Self:
        # The other clients' environments have no paymux; PYTHONPATH has it for ours.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            env=self._surroundings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self._answer()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def measure(
        self, verb: str, *, count: int, at_once: int, warm: int | None = None
    ) -> dict[str, float]:
        """Make the calls; return `cpu` and `wall` in seconds per call, {} after an error."""
        warm = at_once if warm is None else warm
        said = await self._ask({"verb": verb, "count": count, "at_once": at_once, "warm": warm})
        if self.error:
            return {}
        return {"cpu": said["cpu"] / count, "wall": said["wall"] / count}

    async def sample(self, verb: str, *, count: int, at_once: int) -> tuple[float, Counter[str]]:
        """Make the calls; return their seconds of CPU together, and the samples by module."""
        asked = {"verb": verb, "count": count, "at_once": at_once, "warm": at_once, "sample": True}
        said = await self._ask(asked)
        return said.get("cpu", 0.0), Counter(said.get("modules", {}))

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.error:
            return {}
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n".encode())
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = json.dumps({"error": f"no answer within {LIMIT:g} s"}).encode()
        said: dict[str, Any] = json.loads(line or b'{"error": "it cannot be imported, or ended"}')
        self.error = said.get("error", "")
        return said


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return the median, quartiles, minimum and maximum, which show how busy the machine was."""
    found = sorted(values)
    low, median, high = (
        statistics.quantiles(found, method="inclusive") if len(found) > 1 else found * 3
    )
    return {"min": found[0], "low": low, "median": median, "high": high, "max": found[-1]}


async def in_turn(
    url: str,
    sides: Mapping[str, tuple[str, Path]],
    verb: str,
    *,
    count: int,
    at_once: int,
    rounds: int,
    chance: random.Random,
) -> dict[str, list[float]]:
    """Measure the client of each side in turn, in random order; return what its calls cost.

    A side is a client, and the checkout whose `paymux` it uses. Its list has the microseconds of
    CPU of a call, for each round of `count` calls.
    """
    found: dict[str, list[float]] = {side: [] for side in sides}
    async with contextlib.AsyncExitStack() as stack:
        workers = {
            side: await stack.enter_async_context(
                Worker(sides[side][0], url, source=sides[side][1])
            )
            for side in chance.sample(sorted(sides), len(sides))
        }
        for _ in range(rounds):
            for side in chance.sample(sorted(sides), len(sides)):
                said = await workers[side].measure(verb, count=count, at_once=at_once)
                if not said:
                    raise SystemExit(f"{sides[side][0]} {side}: {workers[side].error}")
                found[side].append(said["cpu"] * 1e6)
    return found
