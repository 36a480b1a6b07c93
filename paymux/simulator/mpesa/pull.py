"""Daraja's pull: the payments of customers to a shortcode in the last 48 hours, synchronously.

From the page "Pull Transactions" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/PullTransaction.md). The page prints
no answer; the nesting of the rows is that of pypi.org/project/daraja-sdk-py.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ...http import Response
from ...primitives.clock import wall_time
from ..ledger import Entry
from ..replies import json_reply
from .wire import EAT, ORGANISATION, fits, paid_at

if TYPE_CHECKING:
    from . import Mpesa

_KEPT = timedelta(hours=48)
_REGISTRATION = (
    ("ShortCode", ORGANISATION),
    ("RequestType", r"Pull"),
    ("NominatedNumber", r"(0|254)[17][0-9]{8}"),  # 0722000000 and 254722000000 on one page
)


class Pull:
    """The shortcodes that may pull; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.registered: set[str] = set()
        self.rows = 100  # in one answer; the page's example goes on at 100
        self.lag = 0.0  # seconds until a payment is listed; the page has no figure
        # "None" is code 1001 with [[]], or HTTP 500 in words: the page has both.
        self.none: Literal["1001", "500"] = "1001"
        # No zone is stated. The rows end in Z, and payments are told in East Africa's time.
        self.zone = EAT

    def register(self, body: dict[str, Any]) -> Response:
        """Register a shortcode, which is done once."""
        for field, pattern in _REGISTRATION:
            if not fits(pattern, body.get(field)):
                raise self._mpesa.invalid(field)
        self._mpesa.check_url("CallBackURL", body.get("CallBackURL"))
        shortcode = str(body["ShortCode"])
        again = shortcode in self.registered
        self.registered.add(shortcode)
        said = "ShortCode already Registered" if again else "Shortcode Registered Successfully"
        return json_reply(
            {
                "ResponseRefID": self._mpesa.uuid(),
                "ResponseStatus": "1001" if again else "1000",
                "ShortCode": shortcode,
                "ResponseDescription": said,
            }
        )

    def query(self, body: dict[str, Any]) -> Response:
        """List payments between two dates, from the row OffSetValue on, oldest first."""
        shortcode = str(body.get("ShortCode", ""))
        if shortcode not in self.registered:
            return self._mpesa.error(400, "400.001", "Invalid ShortCode")
        since, until = self._date(body, "StartDate"), self._date(body, "EndDate")
        if not fits(r"[0-9]{1,9}", body.get("OffSetValue")):
            raise self._mpesa.invalid("OffSetValue")
        first = int(body["OffSetValue"])
        rows = [self._row(one) for one in self._listed(shortcode, since, until)]
        rows = rows[first : first + self.rows]
        if not rows and self.none == "500":
            said = "Failed to retrieve transactions. The short code does not have any available "
            return self._mpesa.error(500, "500", f"{said}transactions.")
        return json_reply(
            {
                "ResponseRefID": self._mpesa.uuid(),
                "ResponseCode": "1000" if rows else "1001",
                "ResponseMessage": "Success" if rows else "No transactions available",
                "Response": [rows],
            }
        )

    def _listed(self, shortcode: str, since: datetime, until: datetime) -> list[Entry]:
        now = wall_time(EAT)
        oldest, newest = max(since, now - _KEPT), min(until, now - timedelta(seconds=self.lag))
        return [
            one
            for one in self._mpesa.entries()
            if one.kind == "collect"
            and "RequestRefID" not in one.words  # a business's payment is no customer's
            and one.moved
            and one.words["shortcode"] == shortcode
            and oldest <= paid_at(one) <= newest
        ]

    def _row(self, entry: Entry) -> dict[str, Any]:
        words = entry.words
        kind = "buy-goods" if words["TransactionType"] == "Buy Goods" else "pay-bill"
        return {
            "transactionId": words["receipt"],
            "trxDate": f"{paid_at(entry).astimezone(self.zone):%Y-%m-%dT%H:%M:%SZ}",
            "msisdn": int(entry.party or 0),
            "sender": "MPESA",
            "transactiontype": f"c2b-{kind}-debit",
            "billreference": entry.reference or "",
            "amount": f"{entry.amount:.2f}",
            "organizationname": "Daraja Pull API Test",
        }

    def _date(self, body: dict[str, Any], field: str) -> datetime:
        # "2019-07-31 20:35:21 / 2019-07-31 19:00" on the page.
        given = str(body.get(field, ""))
        for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"):
            try:
                return datetime.strptime(given, form).replace(tzinfo=self.zone)
            except ValueError:
                continue
        raise self._mpesa.invalid(field)
