"""Other people's clients beside ours: their environments, and the processes that are measured.

Each package is installed by name in an environment of its own below a folder, `.venv-peers` unless
told otherwise, so that what they depend on does not collide. A `Worker` is benchmarks/clients.py at
work in one of them.
"""

import asyncio
import json
import os
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
LIMIT = 120.0  # seconds that one section may take

# What is asked of pip; the name of a client is that of its first package.
PEERS: Mapping[str, tuple[str, ...]] = {
    "daraja-v3": ("daraja-v3[async]==0.2.1",),
    "daraja-sdk-py": ("daraja-sdk-py==2.0.0",),
    "noriapay": ("noriapay==0.1.1",),
    "mpesakit": ("mpesakit==2.2.0",),
    "cinetpay-python": ("cinetpay-python==0.1.0",),
    "easyswitch": ("easyswitch==0.1.3",),
    "paydunya": ("paydunya==1.0.7",),
    "campay": ("campay==1.1.0", "requests"),  # it imports requests, and declares nothing
}
HTTPX = ("daraja-sdk-py", "noriapay", "mpesakit", "cinetpay-python")
# Which of our drivers does what a peer does.
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
    """Give the Python of a client: ours, or that of the peer's environment."""
    return folder / name / "bin" / "python" if name in PEERS else Path(sys.executable)


def install(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Install the peers that are not there yet; give why, for those that cannot be."""
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
    """Give a client this machine's variables without proxies, whom to trust, and whose `paymux` to
    import.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    kept = {name: value for name, value in kept.items() if not name.startswith("PYTHON")}
    trust = {"SSL_CERT_FILE": ca, "REQUESTS_CA_BUNDLE": ca} if ca else {}
    # campay switches verification off, and is warned of it at every call.
    return {**kept, **trust, "PYTHONPATH": str(source), "PYTHONWARNINGS": "ignore"}


class Worker:
    """The process of one client, with the `paymux` of a checkout.

    `error` says why it can be asked no more.
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
        # A peer's environment has no paymux; ours finds it beside this folder.
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
        """Make the calls; give `cpu` and `wall` in seconds per call, or nothing after an error."""
        warm = at_once if warm is None else warm
        said = await self._ask({"verb": verb, "count": count, "at_once": at_once, "warm": warm})
        if self.error:
            return {}
        return {"cpu": said["cpu"] / count, "wall": said["wall"] / count}

    async def sample(self, verb: str, *, count: int, at_once: int) -> tuple[float, Counter[str]]:
        """Make the calls; give the seconds of CPU of all, and the number of samples by module."""
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
    """Give the median, the quartiles, the least and the greatest, which tell how quiet the machine
    was.
    """
    found = sorted(values)
    low, median, high = (
        statistics.quantiles(found, method="inclusive") if len(found) > 1 else found * 3
    )
    return {"min": found[0], "low": low, "median": median, "high": high, "max": found[-1]}
