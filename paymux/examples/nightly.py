"""A job for the night: ends what is open, compares with the provider's list, names what is left.

    pip install paymux
    python -m paymux.examples.nightly

The accounts are PAYMUX_CAMPAY__DRIVER=campay with the driver's fields, and so on. PAYMUX_JOURNAL is
the shop's journal, whose workers may go on. It exits with 1 if there is something for a person.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from paymux import Pool, Status, Unsupported

UNTIL = datetime.now(UTC)
SINCE = UNTIL - timedelta(days=2)  # last night's run left out what was younger than EDGE
EDGE = "6h"  # what is younger may be under way, and is the next run's


async def left_open(pay: Pool) -> AsyncIterator[str]:
    """Look up each open payment: the shop's `on_payment` is called with the ends that are found."""
    async for left in pay.recover():  # of workers that died; nothing is sent again
        if not left.resolved and left.was != "accepted":
            yield f"{left.payment.reference}: was {left.was}: {left.advice}"
    pending = [payment async for payment in pay.payments(status=Status.PENDING)]
    async with pay.verify_many(pending) as items:
        async for item in items:
            if item.error is not None:
                yield f"{item.asked.reference}: {item.error}"
    async for event in pay.unconfirmed():
        yield f"a payment that belongs to no order: {event.claims.receipt}"


async def differing(pay: Pool) -> AsyncIterator[str]:
    """Compare the journal with each provider's own list, order by order."""
    for account in pay.drivers:
        found = pay.reconcile(account=account, history=True, since=SINCE, until=UNTIL, edge=EDGE)
        try:
            async for one in found:
                if not one.kind.information:
                    named = one.reference or one.provider_reference
                    yield f"{account} {named}: {one.kind}: {one.kind.advice()}"
        except Unsupported:
            print(f"{account}: its provider gives no list")


async def main() -> int:
    """Print what a person must look at."""
    count = 0
    async with Pool.from_config() as pay:
        async for said in left_open(pay):
            count += 1
            print(said)
        async for said in differing(pay):
            count += 1
            print(said)
    print("nothing is left for a person" if count == 0 else f"{count} for a person")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
