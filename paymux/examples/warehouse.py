"""Ships each paid order once: the shipment and the turn to make it are one transaction.

    pip install paymux[postgres]
    python -m paymux.examples.warehouse order-10 900 237677777777

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …).
DATABASE_URL is the shop's own database, postgresql://…/shop. PAYMUX_JOURNAL is the same one, with
?schema=paymux for the journal's tables. Any number of workers, on any machines, may run at once;
kill one at any moment, and run it again.
"""

import asyncio
import os
import sys

import asyncpg

from paymux import OutcomeUnknown, Payment, Pool, Status


async def ship(pay: Pool, shop: asyncpg.Pool, payment: Payment) -> None:
    """Write the shipment of a paid order: both it and its turn are done, or neither is."""
    async with pay.once(payment, "shipped") as turn:
        if turn:
            async with shop.acquire() as connection, connection.transaction():
                await connection.execute("INSERT INTO shipments VALUES ($1)", payment.reference)
                await turn.done(connection)
            print("shipped:", payment.reference)


async def main(reference: str, amount: str, payer: str) -> None:
    """Ask a payer, wait for the end, and ship the order if it is paid."""
    async with (
        asyncpg.create_pool(os.environ["DATABASE_URL"]) as shop,
        Pool.from_config() as pay,
    ):
        # In a shop, `reference` is its primary key; here, a second one would be seen.
        await shop.execute("CREATE TABLE IF NOT EXISTS shipments (reference TEXT)")
        async for left in pay.recover():  # what a crash left open; nothing is sent again
            print(left.payment.reference, left.was, left.advice)
        try:
            payment = await pay.collect(
                "campay", amount=amount, currency="XAF", payer=payer, reference=reference
            )
        except OutcomeUnknown as lost:
            payment = lost.payment
        payment = await pay.watch(payment, timeout=60)
        if payment.status is Status.SUCCEEDED:
            await ship(pay, shop, payment)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m paymux.examples.warehouse REFERENCE AMOUNT PAYER")
    if not {"DATABASE_URL", "PAYMUX_JOURNAL"} <= os.environ.keys():
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
