"""What the gateway refuses: "Data Validation" and "Rate Limiting" of its document."""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..replies import Refused
from .messages import error


class Window:
    """At most `count` requests in any `seconds` of the loop's clock."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def take(self) -> float | None:
        """Take a slot; without a free slot, return the seconds until there is one."""
        moment = asyncio.get_running_loop().time()
        while self._taken and self._taken[0] <= moment - self.seconds:
            self._taken.popleft()
        if len(self._taken) < self.count:
            self._taken.append(moment)
            return None
        return self._taken[0] + self.seconds - moment


def checked_phone(body: Mapping[str, Any]) -> str:
    """Check "Phone numbers must be in format: 254XXXXXXXXX"."""
    number = body.get("phone_number")
    if not isinstance(number, str) or not re.fullmatch(r"254[0-9]{9}", number, re.ASCII):
        raise Refused(error("INVALID_PHONE", details={"phone_number": ["254XXXXXXXXX"]}))
    return number


def checked_amount(body: Mapping[str, Any], lowest: Decimal, highest: Decimal) -> Decimal:
    """Check "Amount must be within method limits": whole shillings, as in M-Pesa."""
    amount = body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not abs(amount) < 10**15:
        raise Refused(error("INVALID_AMOUNT", details={"amount": ["A valid number is required."]}))
    if amount != int(amount):
        raise Refused(
            error("INVALID_AMOUNT", details={"amount": ["Whole shillings are required."]})
        )
    if amount < lowest:
        raise Refused(error("AMOUNT_TOO_LOW", details={"minimum": float(lowest)}))
    if amount > highest:
        raise Refused(error("AMOUNT_TOO_HIGH", details={"maximum": float(highest)}))
    return Decimal(int(amount))


def check_currency(body: Mapping[str, Any]) -> None:
    """Check "Currency must match payment method", if a client sends one."""
    if body.get("currency", "KES") != "KES":
        raise Refused(error("INVALID_CURRENCY", details={"currency": ["KES"]}))


def checked_order(body: Mapping[str, Any]) -> int:
    """Check the order, an integer in the document."""
    order = body.get("order_id")
    if isinstance(order, bool) or not isinstance(order, int):
        raise Refused(
            error("INVALID_REQUEST", details={"order_id": ["A valid integer is required."]})
        )
    return order
