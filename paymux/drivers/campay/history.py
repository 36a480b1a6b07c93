"""`/history/`: the transactions of a period, which come as one page."""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from ...http import MAX_DAY_BYTES, MAX_PAGE_BYTES, Request, post


class History(msgspec.Struct, frozen=True):
    """The transactions of some days."""

    data: list[msgspec.Raw]  # each read when its turn comes: there may be thousands


class Period(NamedTuple):
    """From `first` to before `last`."""

    first: datetime
    last: datetime

    @property
    def shortest(self) -> bool:
        """Tell whether CamPay cannot be asked for less: it takes whole days."""
        return self.last - self.first <= timedelta(days=1)

    def request(self) -> Request[History]:
        """Ask for one day more: the zone of the days and their end are on no page."""
        days = {
            "start_date": f"{self.first:%Y-%m-%d}",
            "end_date": f"{self.last + timedelta(days=1):%Y-%m-%d}",
        }
        largest = MAX_DAY_BYTES if self.shortest else MAX_PAGE_BYTES
        return post("/history/", History, days, money=False, largest=largest)

    def halves(self) -> list["Period"]:
        """Give both halves, the earlier one first."""
        middle = self.first + (self.last - self.first) / 2
        return [Period(self.first, middle), Period(middle, self.last)]
