"""`paymux probe`: what no page says of a provider, asked in its sandbox."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .failures import Failed
from .tables import Column
from .whole_file import write_whole

if TYPE_CHECKING:
    from ..drivers._probing import Fact
    from ..drivers.base import Driver
    from .checks import Lab, Probed
    from .invocation import Invocation

_NETWORK = ("proxy", "tls", "local_address")
_PORT = 8766  # to which a tunnel from webhook_base leads, for facts that are told by a message


@command(
    "probe",
    examples=("paymux probe campay --list", "paymux probe kenya open-push --out samples --yes"),
)
@click.argument("account")
@click.argument("facts", nargs=-1, metavar="[FACT]...")
@click.option("--list", "only_list", is_flag=True, help="Only list the facts; send nothing.")
@click.option("--out", metavar="DIR", help="Write redacted samples of the answers there.")
@click.option("--port", type=int, default=_PORT, show_default=True, help="Where messages come.")
@click.option("--again", is_flag=True, help="Ask also what was settled before.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before the requests are sent.")
async def probe(cli: "Invocation", account: str, facts: tuple[str, ...], **given: Any) -> Exit:
    """Ask a provider's sandbox what no page says.

    A live account is refused. At most 30 requests are sent, at the account's limit; the next run
    goes on with what is left. Exit: 0 all that was asked is as the driver assumes, 1 something
    differs, 4 nothing could be asked.
    """
    from . import checks  # noqa: PLC0415 - `--help` needs no provider

    driver = cli.settings.drivers[cli.account(account)]
    chosen = _chosen(driver.name, facts)
    if given["only_list"]:
        _list(cli, chosen, driver)
        return Exit.DONE
    options = cli.settings.options
    network = {name: options[name] for name in _NETWORK if options.get(name) is not None}
    lab = checks.Lab(
        driver, webhook_base=options.get("webhook_base"), port=given["port"], network=network
    )
    kept = _Kept(account, driver)
    try:
        left = [fact for fact in chosen if given["again"] or fact.id not in kept.verdicts]
        requests = sum(checks.requests_of(fact, driver) for fact in left)
        money = sum(fact.money for fact in left)
        cli.tell(
            "{facts} facts, about {requests} requests to {url}; {money} move test money.",
            facts=len(left),
            requests=min(requests, checks.MAX_REQUESTS),
            url=driver.url,
            money=money,
        )
        if left:
            await cli.confirm(cli.say("Go on? [y/N] "), None, yes=given["yes"])
        return await _ask(cli, lab, chosen, kept, **given)
    finally:
        await lab.aclose()


def _chosen(driver: str, names: tuple[str, ...]) -> "list[Fact]":
    from ..drivers import facts  # noqa: PLC0415 - `--help` needs no driver
    from ..errors import UsageError  # noqa: PLC0415

    known = {fact.id: fact for fact in facts(driver)}
    for name in names:
        if name not in known:
            raise UsageError.field("fact", name, ", ".join(known) or "none: nothing is unknown")
    return [known[name] for name in names] or list(known.values())


def _list(cli: "Invocation", facts: "list[Fact]", driver: Any) -> None:
    from .checks import requests_of  # noqa: PLC0415 - `--help` needs no provider

    columns: list[Column[Fact]] = [
        Column("fact", lambda fact: fact.id),
        Column("question", lambda fact: fact.question, leaves=4),
        Column("we assume", lambda fact: fact.guess, leaves=5),
        Column("requests", lambda fact: str(requests_of(fact, driver)), leaves=1, right=True),
        Column("money", lambda fact: "test money" if fact.money else "", leaves=3),
        Column("source", lambda fact: fact.source, leaves=2),
    ]
    rows = cli.rows(
        columns,
        lambda fact: {
            "type": "fact",
            "fact": fact.id,
            "question": fact.question,
            "assumed": fact.guess,
            "money": fact.money,
            "source": fact.source,
        },
    )
    for fact in facts:
        rows.write(fact)
    rows.close()


async def _ask(
    cli: "Invocation", lab: "Lab", chosen: "list[Fact]", kept: "_Kept", **given: Any
) -> Exit:
    columns: list[Column[Probed]] = [
        Column("fact", lambda one: one.fact),
        Column("we assume", lambda one: one.assumed, leaves=1),
        Column("we saw", lambda one: one.saw or one.why, leaves=2),
        Column("verdict", lambda one: one.verdict),
    ]
    rows = cli.rows(columns, _encoded, at_once=True)
    asked = 0
    left = [fact for fact in chosen if given["again"] or fact.id not in kept.verdicts]
    for fact in left:
        with cli.finishing():
            found = await lab.ask(fact)
            rows.write(found)
            if found.verdict != "not asked":
                asked += 1
                kept.keep(found)
            if given["out"] is not None:
                _write_samples(Path(given["out"]), found, lab)
    rows.close()
    if left and not asked:
        return Exit.AGAIN
    told = [kept.verdicts.get(fact.id) for fact in chosen]
    return Exit.NO if "differs" in told else Exit.DONE


def _encoded(found: "Probed") -> dict[str, Any]:
    return {
        "type": "probed",
        "fact": found.fact,
        "assumed": found.assumed,
        "saw": found.saw or None,
        "verdict": found.verdict,
        "why": found.why or None,
    }


def _write_samples(folder: Path, found: "Probed", lab: "Lab") -> None:
    """Write each answer in the form of the test samples, without credentials and persons."""
    from ..primitives.clock import wall_time  # noqa: PLC0415
    from .checks import redacted  # noqa: PLC0415 - `--help` needs no provider

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, seen in enumerate(found.seen, 1):
            status = f".{seen.status}" if seen.status else ""
            sample = {
                "source": f"the sandbox: {seen.method} {seen.path}",
                "date": f"{wall_time():%Y-%m-%d}",
                "grade": "live",
                "body": redacted(seen.body, lab.secrets()),
            }
            file = folder / f"{found.fact}.{number}{status}.json"
            write_whole(file, json.dumps(sample, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        said = f"--out: {folder}: {error.strerror}"
        raise Failed(said, Exit.USAGE) from None


class _Kept:
    """What earlier runs settled: a file of the user's, so that a run goes on where one stopped."""

    def __init__(self, account: str, driver: "Driver") -> None:
        home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        # What a simulator said settles nothing of the provider: each address has its own file.
        where = sha256(driver.url.encode()).hexdigest()[:8]
        self._file = Path(home) / "paymux" / f"probe-{driver.name}-{account}-{where}.json"
        self.verdicts: dict[str, str] = {}
        try:
            self.verdicts = dict(json.loads(self._file.read_text()))
        except (OSError, ValueError, TypeError):
            self.verdicts = {}

    def keep(self, found: "Probed") -> None:
        """Keep a verdict."""
        self.verdicts[found.fact] = found.verdict
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(self.verdicts))
