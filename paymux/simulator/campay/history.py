"""CamPay's /history/: the transactions of some days."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from .messages import row

if TYPE_CHECKING:
    from . import CamPay


def listed(campay: "CamPay", body: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the answer to a question for two dates, and its HTTP status.

    A payment link that was not opened is not listed. Whether airtime is, no page says: it is.
    """
    try:
        since, until = (
            date.fromisoformat(str(body.get(name))) for name in ("start_date", "end_date")
        )
    except ValueError:
        return {"message": "start_date and end_date are dates: YYYY-MM-DD"}, 400
    last = until if campay.last_day else until - timedelta(days=1)
    found = [entry for entry in campay.entries() if since <= entry.opened_at.date() <= last]
    return {"data": [row(entry) for entry in found if entry.words.get("opened") is not False]}, 200
