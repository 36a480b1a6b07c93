"""`/history/`: the transactions of a period, in one page."""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from ...http import MAX_DAY_BYTES, MAX_PAGE_BYTES, Request, post


class History(msgspec.Struct, frozen=True):
    """The transactions of some days."""

    data: list[msgspec.Raw]  # read one by one: there may be thousands


class Period(NamedTuple):
    """From `first` to before `last`."""

    first: datetime
    last: datetime

    @property
    def shortest(self) -> bool:
        """Return whether the period cannot be shorter: CamPay takes whole days."""
        return self.last - self.first <= timedelta(days=1)

    def request(self) -> Request[History]:
        """Ask for one day more: no page states the time zone of the days, nor when they end."""
        days = {
            "start_date": f"{self.first:%Y-%m-%d}",
            "end_date": f"{self.last + timedelta(days=1):%Y-%m-%d}",
        }
        largest = MAX_DAY_BYTES if self.shortest else MAX_PAGE_BYTES
        return post("/history/", History, days, money=False, largest=largest)

    def halves(self) -> list["Period"]:
        """Return both halves, the earlier one first."""
        middle = self.first + (self.last - self.first) / 2
        return [Period(self.first, middle), Period(middle, self.last)]
