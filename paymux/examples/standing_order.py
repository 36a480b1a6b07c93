"""Ask a customer to pay each month by itself: an M-Pesa standing order (Ratiba).

    pip install paymux
    python -m paymux.examples.standing_order 254708374149 gym-4711 500

The account is PAYMUX_MPESA__DRIVER=mpesa with the driver's fields. PAYMUX_WEBHOOK_BASE is the
public address of your `Webhooks`, PAYMUX_WEBHOOK_KEY a secret of 16 characters. RATIBA_PAGE is the
page of Safaricom that your contract follows, 2025 or 2026: by the wrong one M-Pesa takes the money
every two weeks. Run it again if an answer was lost: the same name makes one standing order.

The customer's answer comes to `on_unconfirmed(event)`: `event.claims.ids` have StandingOrderCode,
"0" if it is made. What is paid then comes to `on_payment`, as in paymux.examples.paybill_shop.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from paymux import Mpesa, Pool

if len(sys.argv) != 4 or not {*os.environ} >= {"PAYMUX_WEBHOOK_BASE", "RATIBA_PAGE"}:
    sys.exit(__doc__)
pay = Pool.from_config()


async def ask(number: str, name: str, amount: str, page: Any) -> str:
    """Ask for a year, from tomorrow on, and return the id that the callback will have."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    async with pay:
        return await pay.run(
            "mpesa",
            Mpesa.standing_order,
            name=name,
            payer=number,
            amount=amount,
            bill_reference=name[:12],
            frequency="monthly",
            start=tomorrow,
            end=tomorrow + timedelta(days=365),
            description="Membership",
            callback_url=pay.webhook_url("mpesa"),
            page=page,
        )


if __name__ == "__main__":
    _, payer, order, price = sys.argv
    print("asked:", asyncio.run(ask(payer, order, price, os.environ["RATIBA_PAGE"])))
