"""Verifies a file of payments, thousands at once, and names those that a person must see.

    pip install paymux
    python -m paymux.examples.bulk < payments.csv

The columns are account, provider_reference, amount and currency; the file is read as it is needed.
An empty amount is not compared, and a row that cannot be read does not end the file.
The accounts are PAYMUX_CAMPAY__DRIVER=campay with the driver's fields, and so on.
"""

import asyncio
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

from paymux import Mismatch, Payment, Pool, Progress


def asked() -> Iterator[Payment]:
    """Read what each payment is expected to be."""
    for row in cast("Iterable[dict[str, Any]]", csv.DictReader(sys.stdin)):
        yield Payment(
            account=row["account"],
            provider_reference=row["provider_reference"],
            amount=row["amount"],  # text is converted; a row with a wrong one is an error
            currency=row["currency"],
        )


def show(progress: Progress) -> None:
    """Print how far it is, where it disturbs no output."""
    print(progress, file=sys.stderr)


async def main() -> int:
    """Print a line for each payment that is not as expected, and how many there are of each end."""
    seen: Counter[str] = Counter()
    async with Pool.from_config() as pay, pay.verify_many(asked(), progress=show) as items:
        async for item in items:  # as they finish
            if item.payment is not None:
                seen[item.payment.status] += 1
                continue
            seen[type(item.error).__name__] += 1
            found = "another payment" if isinstance(item.error, Mismatch) else "not verified"
            print(f"{item.asked.account} {item.asked.provider_reference}: {found}: {item.error}")
    print(", ".join(f"{name}: {count}" for name, count in sorted(seen.items())))
    return min(seen["Mismatch"], 1)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
