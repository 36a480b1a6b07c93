"""`/balance`: the merchant's wallet.

https://github.com/suntechdevs/paycfa merchant-api/reference/balance.md @585cc6f. The page's first
version had one `available` at the top.
"""

from decimal import Decimal

import msgspec

from ...http import Send, get
from ...models import Balance
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount


class Held(ProviderData, frozen=True):
    """The money of one way to pay."""

    payment_method: Text = None
    available: Scalar = None


class Wallet(msgspec.Struct, frozen=True):
    """The money of each way to pay; a merchant without a wallet has an empty list."""

    available: Scalar = None
    payment_method_balances: list[Held] | None = None


class Balances(msgspec.Struct, frozen=True):
    """The envelope of the wallet."""

    data: Wallet


async def ask(send: Send) -> Balance:
    """Ask for the wallet."""
    said = (await send(get("/balance", Balances))).data
    rows = said.payment_method_balances
    held = {
        one.payment_method: money
        for one in rows or ()
        if one.payment_method and (money := amount(one.available)) is not None
    }
    total = amount(said.available)
    if total is None and rows is None:
        raise Unreadable("no balance")
    if held or total is None:
        total = sum(held.values(), start=Decimal(0))
    return Balance(currency="XOF", available=total, by_operator=held)
