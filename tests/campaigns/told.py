"""R19: two workers sell and call `on_payment`, and are killed at random; the calls are checked.

They share a journal in a file, or one in PostgreSQL as on two machines: then neither can read the
other's folder.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg

from paymux import Status
from paymux.http import Response, WebhookRequest
from paymux.journal.postgres.address import Address
from paymux.models import Reason
from paymux.simulator import Fault, Simulator
from paymux.simulator.faults import Planned
from paymux.simulator.ledger import Entry, Outcome

from .told_worker import Setting

ROOT = Path(__file__).parents[2]
ACCOUNTS = ("campay", "cinetpay", "intram", "mpesa", "mpesa_gateway", "paydunya")
MONEY = (
    "/collect",
    "/v2/payment",
    "/payments/request",
    "/processrequest",
    "/payment/mpesa",
    "/invoice/create",
)
VARIANTS = ("no webhook", "each webhook three times", "failures refused")
LOST, LATE = 0.14, 0.09  # shares of the orders
LATER = 20.0  # seconds after which some failed payments succeed
PATIENCE = 90.0  # seconds after the last order within which each end must be found
WITHIN = 30.0  # seconds within which an end must be delivered, even if its worker died


class Found(msgspec.Struct, kw_only=True):
    """The results of one variant; the fields from `untold` on must be 0."""

    variant: str
    orders: int = 0
    ends: int = 0
    lost_answers: int = 0
    late_successes: int = 0
    kills: int = 0
    told: int = 0
    slowest: float = 0.0  # seconds from writing an end to the return of `on_payment`
    untold: int = 0
    too_late: int = 0
    twice: int = 0  # delivered twice, though the first worker was alive
    at_once: int = 0
    backwards: int = 0
    wrong_kind: int = 0
    wrong_end: int = 0  # the journal and the provider have different ends

    @property
    def bad(self) -> int:
        """Return the number of errors."""
        return (
            self.untold
            + self.too_late
            + self.twice
            + self.at_once
            + self.backwards
            + self.wrong_kind
            + self.wrong_end
        )


class Street:
    """The providers, the payers, and the two workers."""

    def __init__(
        self, options: argparse.Namespace, variant: str, folder: Path, journal: str | None = None
    ) -> None:
        self.found = Found(variant=variant)
        self._options = options
        self._folder = folder
        self._journal = journal or str(folder / "payments.db")
        self._chance = random.Random(f"{options.seed} {variant}")
        self._sim = Simulator(seed=options.seed)
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._settings: list[Setting] = []
        self._died: dict[int, float] = {}  # by process
        self._late: list[Entry] = []
        self._http: aiohttp.ClientSession | None = None

    async def run(self) -> Found:
        """Run the variant from the first order to the last call of `on_payment`."""
        async with (
            self._sim,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as self._http,
        ):
            self._weather()
            self._prepare()
            for setting in self._settings:
                await self._start(setting)
            selling = self._options.orders / 2 * self._settings[0].every
            payers = asyncio.create_task(self._payers())
            killer = asyncio.create_task(self._killer())
            await asyncio.sleep(max(selling, self._options.seconds))
            killer.cancel()
            await asyncio.gather(killer, return_exceptions=True)
            await self._both_live()
            await self._quiet()
            payers.cancel()
            await asyncio.gather(payers, return_exceptions=True)
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in self._processes.values()))
            self._judge()
        return self.found

    def _weather(self) -> None:
        faults, planned = self._sim.core.faults, self._sim.core.faults.for_request

        def for_request(provider: str, method: str, path: str) -> Planned | None:
            if (
                method == "POST"
                and path.rstrip("/").endswith(MONEY)
                and self._chance.random() < LOST
            ):
                self.found.lost_answers += 1
                return Planned(provider=provider, match="", kind=Fault.DROP_AFTER)
            return planned(provider, method, path)

        faults.for_request = for_request  # type: ignore[method-assign]  # random, not planned, faults
        self._sim.on_webhook(self._webhook)

    async def _webhook(self, incoming: WebhookRequest) -> Response | None:
        if self.found.variant != VARIANTS[1] or self._http is None:
            return None
        for _ in range(3):
            port = self._chance.choice(self._settings).port
            url = f"http://127.0.0.1:{port}{incoming.path}" + (
                f"?{incoming.query}" if incoming.query else ""
            )
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.request(
                    incoming.method, url, data=incoming.body, headers=dict(incoming.headers)
                ) as response:
                    await response.read()
        return Response(status=200)

    def _prepare(self) -> None:
        sim, count = self._sim, self._options.orders
        drivers = {
            name: {**sim.providers[name].credentials, "base_url": sim.driver(name).base_url}
            for name in ACCOUNTS
        }
        few = count // 10  # the gateway allows a hundred payments a minute
        accounts = ["mpesa_gateway"] * few
        others = [name for name in ACCOUNTS if name != "mpesa_gateway"]
        accounts += [others[number % len(others)] for number in range(count - few)]
        self._chance.shuffle(accounts)
        orders = [(account, str(1_000_000 + number)) for number, account in enumerate(accounts)]
        campay = [reference for account, reference in orders if account == "campay"]
        ports = [_free_port() for _ in range(2)]
        for number, port in enumerate(ports):
            self._settings.append(
                Setting(
                    number=number,
                    journal=self._journal,
                    log=str(self._folder / "told.log"),
                    drivers=drivers,
                    port=port,
                    base=f"http://127.0.0.1:{ports[0]}/pay",
                    orders=orders[number::2],
                    payouts=campay[: len(campay) // 5],
                    every=2 * self._options.seconds * 0.6 / count,
                    die=0.02,
                    refuse_failed=self.found.variant == VARIANTS[2],
                    first_look=1.0,
                    watch=20.0,
                )
            )
        sim.campay.webhook_url = f"{self._settings[0].base}"

    async def _start(self, setting: Setting) -> None:
        text = msgspec.json.encode(setting).decode()
        environment = {**os.environ, "PYTHONPATH": self._options.paymux, "PYTHONWARNINGS": "ignore"}
        errors = (self._folder / f"worker-{setting.number}.err").open("ab")
        with errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("told_worker.py")),
                text,
                env=environment,
                stderr=errors,
                cwd=self._home(setting),
            )
        self._processes[setting.number] = process

    def _home(self, setting: Setting) -> Path:
        """Return the folder of a worker's machine."""
        home = self._folder / f"machine-{setting.number}"
        home.mkdir(exist_ok=True)
        return home

    async def _payers(self) -> None:
        """Settle payments after a while; some that failed succeed later."""
        while True:
            await asyncio.sleep(0.1)
            now = datetime.now(UTC)
            for entry in list(self._sim.ledger):
                if entry.status.terminal or now - _born(entry) < timedelta(seconds=2):
                    continue
                if self._chance.random() < 0.1:
                    self._decide(entry)
            for entry in list(self._late):
                if now - _born(entry) > timedelta(seconds=LATER):
                    self._late.remove(entry)
                    self._settle(entry, Outcome(Status.SUCCEEDED))
                    self.found.late_successes += 1

    def _decide(self, entry: Entry) -> None:
        fails = entry.kind == "payout" or self._chance.random() < 0.25
        if fails and entry.kind == "collect" and self._chance.random() < LATE / 0.25:
            self._late.append(entry)
        self._settle(
            entry,
            Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS)
            if fails
            else Outcome(Status.SUCCEEDED),
        )

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        self._sim.providers[entry.provider].settle(entry, outcome)

    async def _killer(self) -> None:
        """Kill one of the workers now and then, and restart each dead worker."""
        due = time.monotonic() + 5
        while True:
            await asyncio.sleep(0.1)
            await self._revive()
            if time.monotonic() > due:
                due = time.monotonic() + self._chance.uniform(4, 9)
                process = self._processes[self._chance.randrange(2)]
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def _revive(self) -> None:
        for setting in self._settings:
            process = self._processes[setting.number]
            if process.returncode is not None:
                self._died[process.pid] = time.time()
                self.found.kills += 1
                await self._start(setting)

    async def _both_live(self) -> None:
        for setting in self._settings:
            setting.die = 0.0
        for process in list(self._processes.values()):  # so that no worker dies from now on
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._revive()

    async def _quiet(self) -> None:
        """Wait until all payments have ended and been polled, and 30 seconds more."""
        while self._late or not all(entry.status.terminal for entry in self._sim.ledger):
            await asyncio.sleep(1)
        rounds, until = 0, time.monotonic() + PATIENCE
        while time.monotonic() < until and (rounds < 2 or self._unlike()):
            rounds += 1
            ready = {line["worker"] for line in self._lines("ready")}
            for process in self._processes.values():
                if process.pid in ready:
                    process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(8)
        until = time.monotonic() + WITHIN + 2
        while time.monotonic() < until and self._untold():
            await asyncio.sleep(1)
        await asyncio.sleep(3)  # time for a worker to deliver an end again, by mistake

    def _untold(self) -> int:
        """Count the ends of collects that no worker delivered."""
        ends = {tuple(line["key"]) for line in self._lines("end")}
        keys = [
            tuple(row[:4]) for row in self._rows() if row[1] == "collect" and row[3] != "pending"
        ]
        return sum(key not in ends for key in keys)

    def _lines(self, *what: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (self._folder / "told.log").read_text().splitlines())
        return [line for line in lines if line["what"] in what]

    def _rows(self) -> list[tuple[Any, ...]]:
        sql = "SELECT account, kind, reference, status, provider_reference FROM payments"
        return _read(self._journal, sql)

    def _unlike(self) -> int:
        """Count the collects whose end differs between the journal and the provider."""
        found = 0
        for account, kind, _, status, provider_reference in self._rows():
            entry = (
                self._sim.ledger.get(account, provider_reference) if provider_reference else None
            )
            found += entry is not None and kind == "collect" and entry.status != status
        return found

    # The results.

    def _judge(self) -> None:
        found = self.found
        lines = self._lines("begin", "failed", "end")
        facts = _read(
            self._journal,
            "SELECT account, kind, reference, status, min(at) FROM facts"
            " WHERE status <> 'pending' GROUP BY account, kind, reference, status",
        )
        ends: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for line in lines:
            if line["what"] == "end":
                ends[tuple(line["key"])].append(line)
        rows = self._rows()
        found.orders, found.wrong_end = len(rows), self._unlike()
        found.told = sum(map(len, ends.values()))
        found.wrong_kind = sum(line["key"][1] != "collect" for line in lines)
        found.ends = sum(row[1] == "collect" and row[3] != "pending" for row in rows)
        found.untold = self._untold()
        for *key, at in facts:
            self._delays(tuple(key), datetime.fromisoformat(at).timestamp(), ends)
        found.twice = sum(self._twice(told) for told in ends.values())
        self._order(lines)

    def _delays(
        self, key: tuple[str, ...], at: float, ends: dict[tuple[str, ...], list[dict[str, Any]]]
    ) -> None:
        told = ends.get(key)
        if told and not (key[3] == "failed" and self.found.variant == VARIANTS[2]):
            late = min(line["at"] for line in told) - at
            self.found.slowest = max(self.found.slowest, late)
            self.found.too_late += late > WITHIN

    def _twice(self, told: list[dict[str, Any]]) -> int:
        """Count the deliveries that were repeated although their worker stayed alive.

        Such a worker had the time to record the delivery.
        """
        return sum(
            self._died.get(line["worker"], float("inf")) > line["at"] + 1 for line in told[:-1]
        )

    def _order(self, lines: list[dict[str, Any]]) -> None:
        open_: dict[tuple[str, ...], int] = {}
        best: Counter[tuple[str, ...]] = Counter()
        rank = {"failed": 1, "succeeded": 2, "refunded": 3}
        for line in lines:
            key, status = tuple(line["key"][:3]), line["key"][3]
            if line["what"] == "begin":
                other = open_.get(key)
                lived = other is not None and self._died.get(other, float("inf")) > line["at"] + 0.3
                self.found.at_once += lived and other != line["worker"]
                open_[key] = line["worker"]
                self.found.backwards += rank.get(status, 1) < best[key]
            else:
                open_.pop(key, None)
                if line["what"] == "end":
                    best[key] = max(best[key], rank.get(status, 1))


def _read(journal: str, sql: str) -> list[tuple[Any, ...]]:
    """Read the tables of a journal."""
    if "://" not in journal:
        with contextlib.closing(sqlite3.connect(journal)) as db:
            return db.execute(sql).fetchall()
    address = Address(journal)
    options = f"-c search_path={address.schema}"
    with psycopg.connect(address.url.reveal(), options=options) as server:
        return server.execute(sql).fetchall()


def _born(entry: Entry) -> datetime:
    return entry.opened_at


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
        return port
