"""Splits a sale between those who have a share in it: one payout each, once, whenever it is run.

    pip install paymux
    python -m paymux.examples.split order-9 4200

The account is PAYMUX_PAYDUNYA__DRIVER=paydunya, with its fields (PAYMUX_PAYDUNYA__MASTER_KEY …).
PAYMUX_JOURNAL is the journal that the shop itself uses.
"""

import asyncio
import os
import sys
from decimal import Decimal

from paymux import NotSent, OutcomeUnknown, Pool, ProviderError

SHARES = {"seller@example.com": 85, "courier@example.com": 10}  # per cent; the rest is ours


async def main(order: str, sale: Decimal) -> int:
    """Pay out each share of a sale whose whole amount has arrived."""
    failed = 0
    async with Pool.from_config(journal=os.environ["PAYMUX_JOURNAL"]) as pay:
        for number, (payee, percent) in enumerate(SHARES.items()):
            try:
                paid = await pay.payout(
                    "paydunya",
                    amount=sale * percent // 100,  # whole francs: what is left over stays with us
                    currency="XOF",
                    payee=payee,
                    # run again, it sends only what is not sent yet
                    reference=f"{order}-share-{number}",
                )
            except OutcomeUnknown as error:  # it may have been paid: never under another reference
                failed += 1
                print(payee, "unknown:", error)
            except (NotSent, ProviderError) as error:  # no money moved: run it again
                failed += 1
                print(payee, "not paid:", error)
            else:
                print(payee, paid.amount, paid.status)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], Decimal(sys.argv[2]))))
