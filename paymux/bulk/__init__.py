"""Verifying thousands of payments at once.

```py
async with pay.verify_many(pending, at_once=50, progress=print) as items:
    async for item in items:  # as they finish
        if isinstance(item.error, Mismatch):
            print("tell a person:", item.asked, item.error)
```

Items are payments, or pairs of an account and a provider reference, of any accounts, in a list or a
stream. A stream may be endless: no item is read before it is needed. Each item has one result, with
a `payment` or an `error`. A slow or refusing account never delays the others. After "too many
requests" an account's items are sent again at the rate that it accepts, for ten minutes at most.
After ten look-ups in a row with refused credentials an account gets no look-ups for a minute, and
its items get that error. Leaving the `async with` cancels the look-ups in flight.
"""

from .bulk import Bulk
from .items import ItemT, Verified
from .progress import Progress

__all__ = ["Bulk", "ItemT", "Progress", "Verified"]
