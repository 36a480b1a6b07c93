"""Charges once and delivers once, wherever it is killed: stop it at any point, and run it again.

    pip install paymux
    python -m paymux.examples.crash order-10 900 237677777777

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …).
With `paymux simulator`, PAYMUX_CAMPAY__BASE_URL is http://127.0.0.1:8765/campay/api.
PAYMUX_JOURNAL is the file in which each order is stored before its first byte is sent.
"""

import asyncio
import sys

from paymux import OutcomeUnknown, Pool, Status


async def main(reference: str, amount: str, payer: str) -> None:
    """Ask a payer, wait for the end, and send the goods if they are paid."""
    async with Pool.from_config() as pay:
        async for left in pay.recover():  # what a crash left open; nothing is sent again
            print(left.payment.reference, left.was, left.advice)
        try:
            payment = await pay.collect(
                "campay", amount=amount, currency="XAF", payer=payer, reference=reference
            )
        except OutcomeUnknown as lost:
            payment = lost.payment
        payment = await pay.watch(payment, timeout=60)
        async with pay.once(payment, "fulfilled") as turn:
            if turn and payment.status is Status.SUCCEEDED:
                print("send the goods")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m paymux.examples.crash REFERENCE AMOUNT PAYER")
    asyncio.run(main(*sys.argv[1:]))
