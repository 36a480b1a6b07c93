"""Pays one bill of a supplier, at a paybill or a till, once, and waits for its end.

    pip install paymux
    python -m paymux.examples.supplier invoice-7 paybill:888880 1500 353353

That is our reference, the payee, the amount in shillings, and our account at the paybill; a till
has none. Run again with the same reference, it never pays twice: a bill whose answer was lost is
waited for, and at last left to a person, for M-Pesa has no name of ours by which to ask for it.
The account is PAYMUX_MPESA__DRIVER=mpesa with the driver's fields (PAYMUX_MPESA__INITIATOR_NAME …).
Results come as messages: PAYMUX_WEBHOOK_BASE is the public address of /pay on PORT of this machine,
PAYMUX_WEBHOOK_KEY a secret of 16 characters, and PAYMUX_JOURNAL a file such as bills.db.
"""

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any

from aiohttp import web

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError, WatchTimeout
from paymux.webhooks import Webhooks

NEEDS = {"PAYMUX_JOURNAL", "PAYMUX_WEBHOOK_BASE", "PAYMUX_WEBHOOK_KEY"}
if len(sys.argv) not in (4, 5) or not {*os.environ} >= NEEDS:
    sys.exit(__doc__)
WAIT = float(os.environ.get("WAIT", "600"))  # seconds
pay = Pool.from_config()


async def on_payment(payment: Payment) -> None:
    """Tell the books of an end: called at least once for each, also for those of an earlier run."""
    async with pay.once(payment, "booked") as first:
        if first:
            print("book:", payment.reference, payment.amount, payment.status)


async def settled(reference: str, payee: str, amount: str, bill: str | None) -> bool:
    """Pay a bill, and wait for its end."""
    order: dict[str, Any] = {"amount": amount, "currency": "KES", "payee": payee}
    order |= {"bill_reference": bill} if bill else {}
    try:
        payment = await pay.payout("mpesa", reference=reference, **order)
    except UsageError as error:
        print("not paid:", error)
        return False
    except OutcomeUnknown as error:  # it may have been paid: its result tells, or a person finds it
        print(error)
        payment = error.payment
    with suppress(WatchTimeout):
        payment = await pay.watch(payment, timeout=WAIT)
    print(reference, payment.status, payment.receipt or "without a receipt")
    return payment.status is Status.SUCCEEDED


async def main(reference: str, payee: str, amount: str, bill: str | None = None) -> int:
    """Take M-Pesa's messages while the bill is paid."""
    hooks = Webhooks(pay, on_payment, kinds=("payout",))
    app = web.Application()
    app.add_routes([web.route("*", "/pay/{tail:.*}", hooks.aiohttp)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", int(os.environ.get("PORT", "8000"))).start()
        async with pay, hooks:
            return 0 if await settled(reference, payee, amount, bill) else 1
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
