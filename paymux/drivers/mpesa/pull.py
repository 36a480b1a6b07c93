"""Pull: what customers paid to a shortcode in the last 48 hours, also if no message told of it.

https://developer.safaricom.co.ke/apis/PullTransaction, as copied at
https://github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs @e875f3b). The page says GET
for the query and prints a body for it; all implementations that were found post it, as
https://pypi.org/project/daraja-sdk-py/.

No zone is stated, neither of the dates in a query nor of those in rows. The page's row ends in Z; a
row of 2025 at https://github.com/akikadigital/laravel-mpesa has +03:00. So a query covers its
period in both readings, and an hour more on either side.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import (
    AuthenticationFailed,
    NotFound,
    Rejected,
    Unavailable,
    UsageError,
)
from ...http import MAX_PAGE_BYTES, Response, Send, post
from ...models import ADOPTED, Payment, Status
from ...values.parsing import (
    ProviderData,
    Scalar,
    Text,
    Unreadable,
    amount,
    decode,
    parse_time,
    row,
)
from . import status
from .lookups import may_ask
from .values import EAT, is_receipt, subscriber, typed

if TYPE_CHECKING:
    from . import Mpesa

QUERY = "/pulltransactions/v1/query"
KEPT = timedelta(hours=48)
_MARGIN, _MINUTES, _RECENT = timedelta(hours=1), timedelta(minutes=5), timedelta(hours=2)
_FORM = "%Y-%m-%d %H:%M:%S"
_NONE = "does not have any available transactions"  # HTTP 500 on the page
_EMPTY = msgspec.Raw(b"null")


class Page(ProviderData, frozen=True):
    """Rows in a list in a list; 1001 is "no transactions", and so are the words of an error."""

    ResponseCode: Text = None
    ResponseMessage: Text = None
    error: Text = msgspec.field(default=None, name="errorMessage")
    Response: msgspec.Raw = _EMPTY

    @property
    def none(self) -> bool:
        """Return whether there are no rows from this offset on."""
        words = f"{self.error} {self.ResponseMessage}".lower()
        return self.ResponseCode == "1001" or _NONE in words

    def answers(self) -> bool:
        """Return whether this is an answer to the query."""
        if self.none and self.rows():
            raise Unreadable("rows in an answer that says that there are none")
        if not self.none and self.ResponseCode != "1000":
            raise Unreadable("ResponseCode is neither 1000 nor 1001")
        return True

    def rows(self) -> list[msgspec.Raw]:
        """Return the rows, each with its own text: there may be thousands."""
        found: list[msgspec.Raw] = []
        for part in _items(self.Response):
            found += _items(part) if bytes(part).lstrip()[:1] == b"[" else [part]
        return found


class Row(ProviderData, frozen=True):
    """A payment; the payer's name (`sender`) is not read."""

    receipt: Text = msgspec.field(default=None, name="transactionId")
    date: Text = msgspec.field(default=None, name="trxDate")
    msisdn: Text = None
    transactiontype: Text = None
    billreference: Scalar = None  # what a person typed
    amount: Scalar = None

    @property
    def is_payment(self) -> bool:
        """Return whether it may be what a customer paid: settlements of a till are listed, too."""
        return self.transactiontype is None or self.transactiontype.lower().startswith("c2b-")


def says_none(reply: Response) -> bool:
    """Return whether an error's words are those of an empty answer."""
    said = reply.read(Page)
    return said is not None and _NONE in f"{said.error} {said.ResponseMessage}".lower()


async def history(
    driver: "Mpesa", send: Send, since: datetime, until: datetime
) -> AsyncIterator[Payment | None]:
    """List what customers paid from `since`, at most 48 hours ago, to `until`.

    A row whose date has no sure zone is left out only if it is outside of the period in each
    reading, so there may be some of three hours before and after it, and it has no `paid_at`.
    """
    oldest = _now() - KEPT
    if since < oldest - _MINUTES:
        raise UsageError.field("since", since.isoformat(), "at most 48 hours ago")
    async with aclosing(_listed(driver, send, *_covering(max(since, oldest), until))) as rows:
        async for one in rows:
            inside = one is not None and one[1].is_payment and _inside(one[1], since, until)
            yield one[0] if one is not None and inside else None


async def verify(driver: "Mpesa", send: Send, payment: Payment) -> Payment:
    """Ask for a payment that has no order by its receipt: by pull, else by transaction status.

    NotFound: neither lists it. It may be listed later.
    """
    receipt, found, failed = payment.ids["TransID"], None, None
    try:
        found = await _by_receipt(driver, send, payment, receipt)
    except (Rejected, AuthenticationFailed, Unavailable) as error:
        # The shortcode may not be registered for pull; an answer that came late asks nothing.
        failed = error
    if (found is None or found.status is Status.PENDING) and may_ask(driver):
        found = await status.find(driver, send, payment)
    if found is not None:
        return msgspec.structs.replace(found, reference=payment.reference)
    if failed is not None:
        raise failed
    raise NotFound("no payment with this receipt is listed yet")


async def _by_receipt(
    driver: "Mpesa", send: Send, payment: Payment, receipt: str
) -> Payment | None:
    """Return the payment with this receipt; None: it is not listed."""
    for since, until in _periods(payment):
        others = False
        async with aclosing(_listed(driver, send, since, until)) as rows:
            async for one in rows:
                if one is None:
                    continue
                if one[0].provider_reference == receipt:
                    return one[0]
                others = True
        if others:
            break
    return None


def _periods(payment: Payment) -> list[tuple[str, str]]:
    """Return the periods to ask for a payment in, one after another until one has rows.

    A busy shop has thousands of payments in the hours that cover both readings. So if it is recent,
    the minutes around it are first, in East African time: read as UTC, they are in the future and
    have no rows.
    """
    now = _now()
    times = [when for when in (payment.paid_at, payment.created_at) if when is not None]
    kept = [when for when in times if when >= now - KEPT]
    if not times:
        return [_covering(now - KEPT, now)]
    if not kept:
        return []
    near = (kept[0] - _MINUTES, kept[0] + _MINUTES)
    around = [(_text(near[0].astimezone(EAT)), _text(near[1].astimezone(EAT)))]
    return [*(around if kept[0] > now - _RECENT else []), _covering(*near)]


async def _listed(
    driver: "Mpesa", send: Send, first: str, last: str
) -> AsyncGenerator[tuple[Payment, Row] | None, None]:
    """List the rows of a period once each; None: a page follows.

    A row that cannot be read hides no other: its error comes after all that can be.
    """
    offset, seen, bad = 0, set[str | bytes | None](), list[Unreadable]()
    while True:
        body = {
            "ShortCode": driver.till or driver.shortcode,
            "StartDate": first,
            "EndDate": last,
            "OffSetValue": str(offset),
        }
        query = post(
            QUERY,
            Page,
            body,
            money=False,
            accept=(500,),
            matches=Page.answers,
            largest=MAX_PAGE_BYTES,
        )
        page = (await send(query)).rows()
        before = len(seen)
        for raw in page:
            offset += 1
            try:
                (past, said), own = row(Row, raw, offset, partial(_both, driver))
            except Unreadable as error:
                seen.add(bytes(raw))
                bad.append(error)
                continue
            if past.provider_reference not in seen:
                seen.add(past.provider_reference)
                yield msgspec.structs.replace(past, raw=own), said
        if len(seen) == before:  # no page, or the same one again
            break
        yield None
    if bad:
        raise bad[0]


def _both(driver: "Mpesa", said: Row) -> tuple[Payment, Row]:
    return read(driver, said), said


def read(driver: "Mpesa", said: Row) -> Payment:
    """Read a row: what a customer paid has the type of a debit of the customer."""
    receipt, paid = said.receipt, amount(said.amount)
    if receipt is None or not is_receipt(receipt):
        raise Unreadable("no transactionId")
    outcome, _ = driver.outcome({"transactiontype": said.transactiontype})
    if paid is None or paid <= 0:
        outcome = Status.PENDING
    succeeded = outcome is Status.SUCCEEDED
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind="collect",
        live=driver.live,
        status=outcome,
        reference=f"{ADOPTED}{receipt}" if succeeded and driver.adopt_c2b else None,
        provider_reference=receipt,
        ids={"TransID": receipt},
        amount=paid,
        currency="KES",
        payer=subscriber(said.msisdn),
        bill_reference=typed(said.billreference),
        receipt=receipt if succeeded else None,
        provider_status=said.transactiontype,
        paid_at=_time(said) if succeeded and _is_sure(said) else None,
    )


def _items(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the items of a list; anything else, as null or the text "[[]]", has none."""
    body = bytes(raw).strip()
    return decode(list[msgspec.Raw], body) if body[:1] == b"[" else []


def _covering(since: datetime, until: datetime) -> tuple[str, str]:
    """Return a period as text that covers this one, be it read in UTC or in East African time."""
    return _text(since.astimezone(UTC) - _MARGIN), _text(until.astimezone(EAT) + _MARGIN)


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _text(when: datetime) -> str:
    return when.strftime(_FORM)


def _is_sure(said: Row) -> bool:
    """Return whether a row's date has a zone that is not the Z of the page's sample."""
    date = said.date or ""
    return "+" in date and not date.endswith("Z")


def _time(said: Row) -> datetime | None:
    return parse_time(said.date, zone=UTC)


def _inside(said: Row, since: datetime, until: datetime) -> bool:
    """Return whether a row may be of a period."""
    latest = _time(said)
    if latest is None:
        return True
    earliest = latest if _is_sure(said) else latest - timedelta(hours=3)
    return latest >= since and earliest <= until
