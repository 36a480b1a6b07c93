"""What a payment is: the same values, whatever provider it is made at."""

from .kinds import ORDER_PATHS, Kind, Operator, PathUse
from .payments import (
    Balance,
    Customer,
    Event,
    Item,
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
    "ORDER_PATHS",
    "Balance",
    "Customer",
    "Event",
    "Item",
    "Kind",
    "Method",
    "Operator",
    "Order",
    "PathUse",
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
