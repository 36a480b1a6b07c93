"""The merchant's accounts at M-Pesa: the one place where money comes in, leaves and goes back.

The pages "Account Balance" and "Pull Transactions" name them
(https://developer.safaricom.co.ke, read through github.com/JacksCodeVault/mpesa-daraja-mcp): what
customers pay comes in on the utility account, which B2C and reversals empty; a B2B payment leaves
the working (MMF) account, and a top-up moves money from there to a utility account; fees are booked
on the charges account, which is then below zero.
"""

from decimal import Decimal

from ...models import Status
from ..ledger import Entry


class Accounts:
    """Shillings on each account of one merchant, whatever its shortcode; a test may set them."""

    def __init__(self) -> None:
        self.utility = Decimal(1_000_000)
        self.working = Decimal(1_000_000)
        self.charges = Decimal(0)
        self.fee = Decimal(0)  # shillings that a payout costs

    def book(self, entry: Entry, before: Status) -> None:
        """Move the money of an order that changed; a refund moves with the order it gives back."""
        if entry.kind == "refund" or entry.status is before:
            return
        sign = 1 if entry.kind == "collect" else -1
        if entry.status is Status.SUCCEEDED:
            if "funds" in entry.words:
                self.working -= entry.amount
                self.utility += entry.amount if entry.words["within"] else 0
            else:
                self.utility += sign * entry.amount
            self.charges -= self.fee if entry.kind == "payout" else 0
        elif entry.status is Status.REFUNDED:
            self.utility -= sign * entry.amount

    def funds(self) -> dict[str, Decimal]:
        """Return the funds of each account, by its name in a balance, in the page's order."""
        return {
            "Working Account": self.working,
            "Float Account": Decimal(0),
            "Utility Account": self.utility,
            "Charges Paid Account": self.charges,
            "Organization Settlement Account": Decimal(0),
        }


def held(name: str, funds: Decimal) -> str:
    """Write an account: name, currency, then current, available, reserved and uncleared funds."""
    return f"{name}|KES|{funds:.2f}|{funds:.2f}|0.00|0.00"
