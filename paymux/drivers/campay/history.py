"""`/history/`: the transactions of a period, in one page."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...http import MAX_DAY_BYTES, MAX_PAGE_BYTES, Request, ResponseTooLarge, Send, post
from ...models import Payment
from .answers import Transaction

if TYPE_CHECKING:
    from . import CamPay


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


async def pages(
    driver: "CamPay", send: Send, since: datetime, until: datetime
) -> AsyncIterator[Payment | None]:
    """List transactions from `since` to before `until`.

    A period is one page; if the page is too large, the period is divided in two halves, the later
    one first.
    """
    periods = [Period(since.astimezone(UTC), until.astimezone(UTC))]
    undated = set[str | None]()
    while periods:
        period = periods.pop()
        try:
            page = await send(period.request())
        except ResponseTooLarge:
            if period.shortest:
                raise
            periods += period.halves()
            yield None
            continue
        for number, raw in enumerate(page.data, 1):
            past = driver.row(Transaction, raw, number, driver.payment)
            if past.created_at is not None:
                yield past if period.first <= past.created_at < period.last else None
            elif past.provider_reference not in undated:  # it comes again in each half
                undated.add(past.provider_reference)
                yield past
