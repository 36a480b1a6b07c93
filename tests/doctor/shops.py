"""A configuration in a folder of its own, which a test breaks, examines and mends."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paymux.cli.checks import Finding, Setup, chosen, examine
from paymux.simulator import Simulator

PASSWORD = "canary-password-7f3a"
KEY = "canary-webhook-key-91c2"


class Shop:
    """The files and variables of one program; `sim` serves its two providers."""

    def __init__(self, folder: Path, sim: Simulator) -> None:
        self.folder = folder
        self.sim = sim
        self.path = folder / "paymux.toml"
        self.environment: dict[str, str] = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self.mounts: str | None = None
        self.write(self.text())

    def text(self) -> str:
        """Return a configuration in which nothing is wrong."""
        urls = {name: one.url + one.base_path for name, one in self.sim.providers.items()}
        return (
            f'journal = "{self.folder}/payments.db"\n'
            'webhook_base = "https://shop.paymux.org/pay"\n'
            f'webhook_key = "{KEY}"\n\n'
            f'[accounts.campay]\ndriver = "campay"\nbase_url = "{urls["campay"]}"\n'
            'username = "simulator"\npassword = "simulator"\n\n'
            f'[accounts.kenya]\ndriver = "mpesa"\nbase_url = "{urls["mpesa"]}"\n'
            'consumer_key = "simulator"\nconsumer_secret = "simulator"\n'
            'shortcode = "174379"\npasskey = "simulator"\n'
        )

    def write(self, text: str) -> None:
        """Write the configuration, for this user alone."""
        self.path.write_text(text)
        self.path.chmod(0o600)

    def change(self, old: str, new: str) -> None:
        """Change the configuration at one place."""
        text = self.path.read_text()
        assert text.count(old) == 1, old
        self.write(text.replace(old, new))

    async def examine(self, *, offline: bool = False, only: str = "") -> list[Finding]:
        """Make all checks, or those whose id begins with `only`."""
        setup = Setup(self.path if self.path.exists() else None, self.environment, offline=offline)
        setup.mounts = self.mounts
        checks = [one for one in chosen((), offline=offline) if one.id.startswith(only)]
        return await examine(setup, checks)

    def paste(self, finding: Finding, typed: str = "", fill: str = "") -> None:
        """Run the command of a finding in a shell, as a user pastes it.

        `typed` is what the user then types, `fill` what the user puts in its place.
        """
        assert finding.mend is not None, finding
        command = finding.mend.command
        if finding.mend.fill:
            assert finding.mend.fill in command
            assert fill, finding
            command = command.replace(finding.mend.fill, fill)
        run = subprocess.run(
            ["/bin/bash", "-c", f"{command}\nenv -0 > {self.folder}/after.env"],
            cwd=self.folder,
            env={**self.environment, "PATH": f"{Path(sys.executable).parent}:{os.defpath}"},
            input=f"{typed}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, (command, run.stderr)
        after = (self.folder / "after.env").read_text().split("\0")
        (self.folder / "after.env").unlink()
        told = dict(one.split("=", 1) for one in after if "=" in one)
        kept = {name: told[name] for name in told if name in self.environment or _ours(name)}
        self.environment = {**kept, "PATH": self.environment["PATH"]}


def _ours(name: str) -> bool:
    return name.startswith("PAYMUX_")


def wrong(findings: list[Finding]) -> list[Finding]:
    """Return what is a problem or a warning."""
    return [one for one in findings if one.result in ("problem", "warning")]


def encoded(findings: list[Finding]) -> list[Mapping[str, Any]]:
    """Return the objects of `--json`."""
    return [one.encoded() for one in findings]
