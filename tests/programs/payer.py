"""Pays out a list at M-Pesa and hears of the ends; a test kills it at any moment.

`python -m tests.programs.payer <setting as JSON>` writes a line to the log for each step.
"""

import asyncio
import json
import os
import random
import sys
from typing import Any

import msgspec
from aiohttp import web

from paymux import NotSent, Payment, PaymuxError, Pool
from paymux.core.notify import notifier
from paymux.drivers.mpesa import Mpesa, lookups
from paymux.webhooks import Webhooks, processing

AGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Setting(msgspec.Struct, kw_only=True):
    """What a payer is told by its parent."""

    journal: str
    log: str
    account: dict[str, Any]
    port: int
    base: str
    references: list[str]


class Payer:
    """One worker: it pays each reference, in an order of its own."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._log = os.open(setting.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.pay = Pool(
            Mpesa(**setting.account),
            journal=setting.journal,
            webhook_base=setting.base,
            webhook_key="0123456789abcdef-hooks",
        )

    def say(self, what: str, *more: object) -> None:
        """Write a line to the log, whole or not at all."""
        line = json.dumps([os.getpid(), what, *map(str, more)])
        os.write(self._log, f"{line}\n".encode())

    async def told(self, payment: Payment) -> None:
        """Log an end."""
        self.say("told", payment.reference, payment.status)

    async def run(self) -> None:
        """Recover, pay all, and go on until it is killed."""
        hooks = Webhooks(self.pay, self.told, kinds=("payout",))
        app = web.Application()
        app.add_routes([web.route("*", "/pay/{tail:.*}", hooks.aiohttp)])
        runner = web.AppRunner(app, access_log=None)
        async with self.pay, hooks:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._setting.port, reuse_address=True).start()
            self.say("ready")
            async for _ in self.pay.recover():
                pass
            few = asyncio.Semaphore(4)
            shuffled = random.sample(self._setting.references, len(self._setting.references))
            await asyncio.gather(*(self._paid(reference, few) for reference in shuffled))
            self.say("done")
            await asyncio.Event().wait()

    async def _paid(self, reference: str, few: asyncio.Semaphore) -> None:
        async with few:
            for _ in range(20):
                try:
                    await self.pay.payout(
                        "mpesa",
                        amount=100,
                        currency="KES",
                        payee="254708374149",
                        reference=reference,
                    )
                    return
                except NotSent:
                    await asyncio.sleep(0.2)
                except PaymuxError:
                    return


if __name__ == "__main__":
    # What takes minutes between workers is a second here.
    lookups._PACE = msgspec.structs.replace(lookups._PACE, first_look=AGES[0], ages=AGES)
    notifier.SCAN_SECONDS = processing.RESCAN_SECONDS = 1.0
    asyncio.run(Payer(msgspec.json.decode(sys.argv[1], type=Setting)).run())
