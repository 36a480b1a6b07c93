"""What a payment is: the same values, whatever provider it is made at."""

from .answers import Balance, Method, Receipt
from .events import Event
from .kinds import ADOPTED, ORDER_PATHS, Kind, Operator, PathUse
from .orders import Item, Order, Tax
from .payments import Customer, Payment, compare, log, merge
from .reasons import Reason
from .statuses import Status, Trust

__all__ = [
    "ADOPTED",
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
