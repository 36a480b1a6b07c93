"""`paymux simulator -- COMMAND`: runs a command with accounts of the simulator, and nothing else.

The command sees no account of the config in use: its names, but never its credentials. It shares
our terminal, and our process group where we are in the foreground, so that a Ctrl-C reaches both.
Else it has a group of its own, and gets each signal that we get.
"""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .. import core
from ..simulator import environment
from .exits import Exit
from .failures import Failed
from .process import descendants, end, own_orphans

if TYPE_CHECKING:
    from ..simulator import Simulator
    from .invocation import Invocation

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Of the caller's own settings, a command keeps these: they say nothing of money.
_KEPT = frozenset({"PAYMUX_LANG"})


async def run_command(cli: "Invocation", sim: "Simulator", words: list[str]) -> int:
    """Run a command until it ends; return its exit code. Nothing that it started is left."""
    if shutil.which(words[0]) is None:
        raise Failed(f"{words[0]}: there is no such command", Exit.USAGE)
    with _folder() as folder:
        variables = _variables(cli, sim, folder)
        own_orphans()
        with _passing_on() as signals:  # before it starts: its first line may be a Ctrl-C's sign
            process = await asyncio.create_subprocess_exec(
                *words, env=variables, process_group=None if signals.foreground else 0
            )
            signals.begin(process)
            code = await process.wait()
            # A second Ctrl-C would end us here, and leave them.
            await end(descendants(os.getpid()))
            # Nor does one take the exit code, now that nothing is left but to return it.
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        return code if code >= 0 else 128 - code


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a directory that only we can read, for the config and the journal of one run."""
    folder = Path(tempfile.mkdtemp(prefix="paymux-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_foreground() -> bool:
    """Return whether a Ctrl-C of our terminal is for our process group."""
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False


class _Signals:
    """Passes on our signals to a command; a second one of a kind ends what is left of it."""

    def __init__(self) -> None:
        self.foreground = _in_foreground()
        self._process: Process | None = None
        self._seen: set[int] = set()
        self._early: list[signal.Signals] = []

    def begin(self, process: Process) -> None:
        """Name the command; it gets the signals that came while it was started."""
        self._process = process
        for number in self._early:
            self._send(number)

    def told(self, number: signal.Signals) -> None:
        """Pass on a signal."""
        again = number in self._seen
        self._seen.add(number)
        if again and number is not signal.SIGINT:
            number = signal.SIGKILL
        elif self.foreground and number is signal.SIGINT and not again:
            return  # the terminal has told it already
        if self._process is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        if self._process is None or self._process.returncode is not None:
            return  # its number may be another's by now
        with suppress(ProcessLookupError):
            send = os.kill if self.foreground else os.killpg
            send(self._process.pid, number)


@contextmanager
def _passing_on() -> Iterator[_Signals]:
    """Pass on our signals to the command that is started inside."""
    loop, signals = asyncio.get_running_loop(), _Signals()
    for number in _SIGNALS:
        loop.add_signal_handler(number, signals.told, number)
    try:
        yield signals
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _variables(cli: "Invocation", sim: "Simulator", folder: Path) -> dict[str, str]:
    """Return the environment of the command, and write the config that it names."""
    accounts, kept = environment.accounts(sim), os.environ.copy()
    named = core.named_accounts(cli.config).items()
    names = {
        **{name: name for name in accounts},
        **{account: driver for account, driver in named if driver in accounts},
    }
    file = folder / "paymux.toml"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(environment.tables({one: accounts[name] for one, name in names.items()}))
    base = kept.get("PAYMUX_WEBHOOK_BASE", "")
    if not _is_here(base):
        base = f"http://127.0.0.1:{kept.get('PORT') or 8000}/pay"
    key = secrets.token_urlsafe(24)
    fields = {
        f"PAYMUX_{account.upper()}__{field.upper()}": value
        for account, name in names.items()
        for field, value in {**accounts[name], "live": "false"}.items()
    }
    _register(sim, names, base, key)
    return {
        **{name: one for name, one in kept.items() if not name.startswith("PAYMUX_")},
        **{name: one for name, one in kept.items() if name in _KEPT},
        "PAYMUX_SIMULATOR": sim.url,
        "PAYMUX_CONFIG": str(file),
        "PAYMUX_JOURNAL": str(folder / "journal.db"),
        "PAYMUX_WEBHOOK_BASE": base,
        "PAYMUX_WEBHOOK_KEY": key,
        **fields,
    }


def _is_here(url: str) -> bool:
    with suppress(ValueError):
        return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return False


def _register(sim: "Simulator", names: Mapping[str, str], base: str, key: str) -> None:
    """Tell each provider whose webhook address is registered once where this command listens."""
    from ..pool import Pool  # noqa: PLC0415 - for the addresses alone

    # An account of the config, which comes later, goes before the provider's own name.
    chosen = {name: account for account, name in names.items()}
    drivers = [sim.driver(name, account=account) for name, account in chosen.items()]
    pool = Pool(*drivers, webhook_base=base, webhook_key=key)
    for name, account in chosen.items():
        if getattr(sim.provider(name), "webhook_url", None) == "":
            sim.change(**{name: {"webhook_url": pool.webhook_url(account)}})
