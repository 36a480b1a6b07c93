"""One worker of bench_told: it sells, receives webhooks, and logs each call of `on_payment`.

It runs with this release and with the one before, which has no notifier. It uses only parts of
paymux that both have.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import Any

import msgspec
from aiohttp import web

from paymux import Payment, PaymuxError, Pool, Status
from paymux.drivers import load
from paymux.webhooks import Webhooks


class Setting(msgspec.Struct, kw_only=True):
    """The settings of a worker, from its parent."""

    number: int
    journal: str
    log: str
    drivers: dict[str, dict[str, Any]]
    port: int
    base: str
    orders: list[tuple[str, str]]  # account and reference
    payouts: list[str]
    every: float  # seconds between orders
    die: float  # the probability to die directly after an end was written
    refuse_failed: bool  # `on_payment` raises for FAILED, for as long as a success may come
    first_look: float
    watch: float


class Worker:
    """Sells, and receives the ends."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._log = os.open(setting.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with contextlib.suppress(ImportError):  # the earlier release has no such list
            looks = tuple(range(1, int(setting.watch) + 1))
            vars(import_module("paymux.watch.schedule"))["PROMPT"] = looks
        drivers = []
        for name, fields in setting.drivers.items():
            kind = load(name)
            kind.first_look = setting.first_look
            kind.watch_timeout = setting.watch
            drivers.append(kind(**fields))
        self.pay = Pool(
            *drivers,
            journal=setting.journal,
            webhook_base=setting.base,
            webhook_key="0123456789abcdef-hooks",
        )
        self.hooks = Webhooks(self.pay, self.on_payment)
        self._since: dict[str, float] = {}

    def say(self, what: str, payment: Payment | None = None) -> None:
        """Write a line to the log, completely or not at all."""
        key = [payment.account, payment.kind, payment.reference, payment.status] if payment else []
        line = {"what": what, "worker": os.getpid(), "at": time.time(), "key": key}
        os.write(self._log, json.dumps(line).encode() + b"\n")

    async def on_payment(self, payment: Payment) -> None:
        """Log an end."""
        self.say("begin", payment)
        await asyncio.sleep(random.uniform(0.0, 0.02))
        if self._setting.refuse_failed and payment.status is Status.FAILED:
            first = self._since.setdefault(payment.reference or "", time.monotonic())
            if time.monotonic() - first < 15:
                self.say("failed", payment)
                raise RuntimeError("the shop cannot take a failure now")
        self.say("end", payment)

    async def run(self) -> None:
        """Work until SIGTERM."""
        loop, over, chores = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, over.set)
        loop.add_signal_handler(signal.SIGUSR1, chores.set)
        app = web.Application()
        app.add_routes([web.route("*", "/pay/{tail:.*}", self.hooks.aiohttp)])
        runner = web.AppRunner(app, access_log=None)
        async with self.pay, self.hooks:
            self._may_die()
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._setting.port, reuse_address=True).start()
            self.say("ready")
            selling = loop.create_task(self._sell())
            while not over.is_set():
                waits = [loop.create_task(one.wait()) for one in (over, chores)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for one in waits:
                    one.cancel()
                if chores.is_set():
                    chores.clear()
                    await self._look_again()
            selling.cancel()
            await asyncio.gather(selling, return_exceptions=True)
            await runner.cleanup()

    async def _sell(self) -> None:
        for sale in self._sales():
            with contextlib.suppress(PaymuxError):
                await sale()
            await asyncio.sleep(self._setting.every)

    def _sales(self) -> Iterator[Callable[[], Awaitable[Payment]]]:
        payouts = set(self._setting.payouts)
        for account, reference in self._setting.orders:
            yield lambda account=account, reference=reference: self._collect(account, reference)  # type: ignore[misc]
            if account == "campay" and reference in payouts:
                yield lambda reference=reference: self.pay.payout(  # type: ignore[misc]
                    "campay", amount=100, currency="XAF", payee="237677777774", reference=reference
                )

    async def _collect(self, account: str, reference: str) -> Payment:
        driver = self.pay.drivers[account]
        wanted = {
            "description": "Data",
            "return_url": "https://s.example/t",
            "cancel_url": "https://s.example/c",
        }
        options: Any = {key: value for key, value in wanted.items() if key in driver.takes}
        if driver.payer == "required":
            options["payer"] = "237677777774" if account == "campay" else "254708374144"
        currency = min(driver.own_currencies)
        return await self.pay.collect(
            account, amount=500, currency=currency, reference=reference, deadline=5.0, **options
        )

    async def _look_again(self) -> None:
        """Do a shop's nightly work: verify failed payments again, and refund some others."""
        failed = [one async for one in self.pay.payments(status=Status.FAILED)]
        await self.pay.verify_many(failed)
        paid = [
            one async for one in self.pay.payments(account="mpesa_gateway", status=Status.SUCCEEDED)
        ]
        for payment, other in zip(paid[:5], paid[5:10], strict=False):
            with contextlib.suppress(PaymuxError):
                # A refund with another order's reference.
                await self.pay.refund(
                    payment, amount=10, reference=other.reference or "", reason="damaged"
                )

    def _may_die(self) -> None:
        """Die at random, after an end was written to the journal and before it is delivered."""
        records: Any = self.pay._engine.store
        keep = records.keep

        async def kept(payment: Payment, source: str, *more: Any, **others: Any) -> None:
            await keep(payment, source, *more, **others)
            if payment.status.terminal and random.random() < self._setting.die:
                os.kill(os.getpid(), signal.SIGKILL)

        records.keep = kept


if __name__ == "__main__":
    asyncio.run(Worker(msgspec.json.decode(sys.argv[1].encode(), type=Setting)).run())
