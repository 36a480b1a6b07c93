# mypy: disable-error-code="top-level-await"
"""Cells for a notebook, whose event loop runs already: every verb is simply awaited.

    pip install paymux jupyterlab jupytext
    jupytext --to notebook paymux/examples/notebook.py && jupyter lab

The account is PAYMUX_CAMPAY__DRIVER=campay with the driver's fields (PAYMUX_CAMPAY__USERNAME …).
PAYMUX_JOURNAL is its file, and PAYER a phone number.
"""

# %% A pool needs no `async with` in a notebook: it is used until its last cell.
import os
from collections import Counter

from paymux import OutcomeUnknown, Pool

pay = Pool.from_config()


# %% What a killed kernel left open; nothing is sent again.
async def left_open() -> None:
    """Print how each of them ended, or what to do about it."""
    async for left in pay.recover():
        print(left.payment.reference, left.was, left.advice)


await left_open()

# %% Ask a payer. To run this cell twice is harmless: one reference is one charge.
try:
    payment = await pay.collect(
        "campay", amount=100, currency="XAF", payer=os.environ["PAYER"], reference="notebook-1"
    )
except OutcomeUnknown as lost:  # the payer may be asked by now: go on with the next cell
    payment = lost.payment
print(payment.status, payment.prompt)

# %% Wait for the end. An interrupted cell loses nothing: run it again.
payment = await pay.watch(payment, timeout=120)
print(payment.status)

# %% Ask about everything that the journal knows, at once.
items = await pay.verify_many(pay.payments())
print(Counter(item.payment.status if item.payment else type(item.error).__name__ for item in items))

# %% The last cell. After it, the first one or `async with pay:` opens the pool again.
await pay.aclose()
