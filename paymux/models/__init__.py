"""What a payment is: the same values, whatever provider it is made at."""

from .payments import (
    Balance,
    Customer,
    Event,
    Item,
    Kind,
    Method,
    Order,
    Payment,
    Receipt,
    Tax,
    compare,
    log,
    merge,
)
from .reasons import Reason
from .statuses import Status, Trust

__all__ = [
    "Balance",
    "Customer",
    "Event",
    "Item",
    "Kind",
    "Method",
    "Order",
    "Payment",
    "Reason",
    "Receipt",
    "Status",
    "Tax",
    "Trust",
    "compare",
    "log",
    "merge",
]
