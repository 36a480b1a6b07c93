"""Pays the salaries of a file, each once, whenever it is run; it ends when all have ended.

    pip install paymux
    python -m paymux.examples.payroll 2026-11 < salaries.csv

The columns are id, phone and amount, and network where the provider cannot tell it. Run again, it
asks for what was left open, and sends only what was never sent. It exits with 1 if there is
something for a person.
The account is PAYMUX_MPESA__DRIVER=mpesa with the driver's fields (PAYMUX_MPESA__INITIATOR_NAME …).
Another is named with its currency: PAYROLL="paydunya XOF", with PAYMUX_PAYDUNYA__DRIVER=paydunya ….
Results come as messages: PAYMUX_WEBHOOK_BASE is the public address of /pay on PORT of this machine,
PAYMUX_WEBHOOK_KEY a secret of 16 characters, and PAYMUX_JOURNAL a file such as payroll.db.
"""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from paymux import OutcomeUnknown, Payment, PaymuxError, Pool, Status, Unsupported
from paymux.webhooks import Webhooks

NEEDS = {"PAYMUX_JOURNAL", "PAYMUX_WEBHOOK_BASE", "PAYMUX_WEBHOOK_KEY"}
if len(sys.argv) != 2 or not {*os.environ} >= NEEDS:
    sys.exit(__doc__)
ACCOUNT, CURRENCY = os.environ.get("PAYROLL", "mpesa KES").split()
SALARY: dict[str, Any] = {"extra": {"command_id": "SalaryPayment"}} if ACCOUNT == "mpesa" else {}
pay = Pool.from_config()


async def on_payment(payment: Payment) -> None:
    """Tell the books of an end: called at least once for each, also for those of an earlier run."""
    async with pay.once(payment, "booked") as first:
        if first:
            print("book:", payment.reference, payment.amount, payment.status)


@asynccontextmanager
async def hearing() -> AsyncIterator[None]:
    """Take the provider's messages, and watch what is open."""
    hooks = Webhooks(pay, on_payment, kinds=("payout",))
    app = web.Application()
    app.add_routes([web.route("*", "/pay/{tail:.*}", hooks.aiohttp)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "8000"))).start()
        async with pay, hooks:
            yield
    finally:
        await runner.cleanup()


async def paid(month: str, row: Mapping[str, str]) -> bool:
    """Pay one salary, and wait for its end."""
    reference = f"{month}-{row['id']}"  # the same in each run: one salary is one payout
    salary: dict[str, Any] = {"amount": row["amount"], "currency": CURRENCY, "payee": row["phone"]}
    salary |= {"operator": row["network"]} if row.get("network") else SALARY
    try:
        payout = await pay.payout(ACCOUNT, reference=reference, **salary)
    except OutcomeUnknown as error:  # it may have been paid: it is asked for, and never sent again
        payout = error.payment
    except PaymuxError as error:
        print(reference, "not paid now:", error)
        return False
    with suppress(PaymuxError):
        payout = await pay.watch(payout, timeout=600.0)
    print(reference, payout.status)  # still pending: run it again later
    return payout.status is Status.SUCCEEDED


async def main(month: str) -> int:
    """Pay all rows, after the ends of an earlier run are known."""
    async with hearing():
        async for left in pay.recover():
            print(left.payment.reference, "was left open:", left.advice)
        with suppress(Unsupported):  # not every provider tells it
            print("balance:", (await pay.balance(ACCOUNT)).available)
        ends = [await paid(month, row) for row in csv.DictReader(sys.stdin)]
        print(f"{sum(ends)} of {len(ends)} are paid")
    return min(len(ends) - sum(ends), 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
