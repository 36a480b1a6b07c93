"""Watching payments until they are terminal.

```python
import asyncio

from paymux import Pool, WatchTimeout
from paymux.simulator import Simulator


async def main() -> None:
    sim = Simulator()
    async with Pool(sim.driver("campay"), connection=sim.connection) as pay:
        payment = await pay.collect(
            "campay", amount=900, currency="XAF", payer="237677777770", reference="order-7"
        )
        payment = await pay.verify(payment)  # ask once
        # from the provider's reference alone
        payment = await pay.verify("campay", payment.provider_reference)
        try:
            payment = await pay.watch(payment, timeout=60)  # only the end
        except WatchTimeout as late:
            payment = late.payment
        if payment.reason:
            print(payment.status, payment.reason.text("fr"))


asyncio.run(main())
```

`verify` compares what the provider returned with the payment you give it (amount, currency,
reference, live or test) and raises `Mismatch` if they differ. `Payment` is frozen, and
`msgspec.json` encodes and decodes it unchanged. To verify from a CSV line,
`Payment(account="campay", provider_reference="…", amount="900", currency="XAF")` is enough: text is
converted, and `""` means that a value is absent.

All watches of an account share one poll queue and one timer; several watches of one payment share
its look-ups, and a confirmed webhook wakes them all at once. The look-ups are at fixed ages: of a
prompt on a phone after 9, 14, 19, 23, 28 s and so on, and never before the provider's first useful
look-up (M-Pesa: 15 s); of a checkout page, which is watched for longer, after 27, 39, 50, 61 s.
Nothing is learned, so a restart or a second worker changes nothing.
"""

from .keys import lookup_key, registry_keys, reuse_equal_values
from .poll_queue import MIN_REPEAT_SECONDS, PollQueue
from .registered import LookupResult, PollState, WatchRef
from .registry import WatchRegistry
from .schedule import Schedule
from .ticket import NEVER, Ticket
from .watch import Watch

__all__ = [
    "MIN_REPEAT_SECONDS",
    "NEVER",
    "LookupResult",
    "PollQueue",
    "PollState",
    "Schedule",
    "Ticket",
    "Watch",
    "WatchRef",
    "WatchRegistry",
    "lookup_key",
    "registry_keys",
    "reuse_equal_values",
]
