"""What payouts whose result never comes cost in a day: the questions, their times, and the memory.

Run: python -m benchmarks.bench_unanswered [--payouts 10000] [--json FILE]

The payouts are M-Pesa's, in virtual time, with a journal and `Webhooks`, over the simulator in the
same process. Each look-up is a question whose answer comes as a message. The memory of a watch is
that by which the process grows (tracemalloc) from before `Webhooks` was entered until all are
watched, before the first question. The exit code is 1 if a payout was asked for more than five
times in 24 hours, or within its first 60 seconds, or if a watch takes more than 3 KiB.
"""

import argparse
import asyncio
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

from paymux import Payment, Pool
from paymux.drivers.mpesa.values import CREDENTIAL
from paymux.http import WebhookRequest
from paymux.simulator import Simulator
from paymux.testing import virtual_time
from paymux.webhooks import Webhooks
from tests.campaigns.simulation import prove

DAY, FIRST = 86_400.0, 60.0
MOST, BYTES = 5, 3 * 1024
NEVER = "254708374144"  # the sandbox's customer who never answers
AT_ONCE = 200


async def told(payment: Payment) -> None:
    """Hear of no end."""
    raise AssertionError(payment)


async def day(folder: Path, count: int) -> dict[str, float]:
    """Send the payouts, watch them for a day, and return what it cost."""
    sim = Simulator()
    mpesa = sim.mpesa
    mpesa.accounts.utility = mpesa.limit * count
    pool = Pool(
        sim.driver("mpesa", initiator_name="simulator", security_credential="simulator"),
        connection=sim.connection,
        journal=folder / "payments.db",
        webhook_base="https://shop.example/pay",
        webhook_key="0123456789abcdef-hooks",
    )
    asked: Counter[str] = Counter()
    earliest = DAY
    sent: dict[str, float] = {}
    loop = asyncio.get_running_loop()
    answer = mpesa.status.ask

    def ask(body: dict[str, str]) -> object:
        nonlocal earliest
        named = body.get("OriginalConversationID") or body.get("TransactionID", "")
        asked[named] += 1
        earliest = min(earliest, loop.time() - sent.get(named, loop.time()))
        return answer(body)

    mpesa.status.ask = ask
    hooks = Webhooks(pool, told)

    async def heard(message: WebhookRequest) -> None:
        await hooks.answer(message)

    sim.on_webhook(heard)
    async with pool:
        await prove(pool, "mpesa", CREDENTIAL)
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            made = await asyncio.gather(*(pay_out(pool, number) for number in numbers))
            sent |= dict.fromkeys((one.provider_reference or "" for one in made), loop.time())
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        async with hooks:
            await asyncio.sleep(20)
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            began = time.process_time()
            await asyncio.sleep(DAY)
            cpu = time.process_time() - began
    return {
        "payouts": count,
        "questions": asked.total() / count,
        "most": max(asked.values(), default=0),
        "earliest": earliest,
        "bytes": held / count,
        "cpu": cpu,
    }


async def pay_out(pool: Pool, number: int) -> Payment:
    """Send one payout."""
    return await pool.payout(
        "mpesa", amount=500, currency="KES", payee=NEVER, reference=f"wage-{number}"
    )


async def main(count: int) -> dict[str, float]:
    """Run the day in virtual time."""
    with tempfile.TemporaryDirectory() as folder:
        async with virtual_time():
            return await day(Path(folder), count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payouts", type=int, default=10_000)
    parser.add_argument("--json")
    options = parser.parse_args()
    found = asyncio.run(main(options.payouts))
    print(f"{found['payouts']:,.0f} payouts: {found['questions']:.2f} questions each, ", end="")
    print(f"at most {found['most']:.0f}, the first after {found['earliest']:.0f} s; ", end="")
    print(f"{found['bytes']:,.0f} bytes each while watched; {found['cpu']:.0f} s of CPU")
    if options.json:
        Path(options.json).write_text(json.dumps(found))
    fits = found["most"] <= MOST and found["earliest"] >= FIRST and found["bytes"] <= BYTES
    sys.exit(not fits)
