"""The wallet's transactions, a day in each request: https://docs.wave.com/business."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ...http import MAX_DAY_BYTES, Send, get
from ...models import Kind, Payment, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount, parse_time

if TYPE_CHECKING:
    from . import Wave

# The page's list of types; others move money between the business's own wallets.
_KINDS: Mapping[str | None, Kind] = {
    "api_checkout": "collect",
    "merchant_payment": "collect",
    "api_payout": "payout",
    "bulk_payment": "payout",
    "b2b_payment": "payout",
    "api_checkout_refund": "refund",
    "merchant_payment_refund": "refund",
    "api_payout_reversal": "refund",
    "bulk_payment_reversal": "refund",
    "b2b_payment_reversal": "refund",
}
# A reversal may have the type of its payment.
_BACK = frozenset({True, "true"})


class Row(ProviderData, frozen=True):
    """A transaction; its amount is without the fee, which has a field of its own."""

    transaction_id: Text = None
    transaction_type: Text = None
    timestamp: Scalar = None
    amount: Scalar = None
    fee: Scalar = None
    currency: Text = None
    is_reversal: Scalar = None
    counterparty_mobile: Text = None
    client_reference: Text = None
    checkout_api_session_id: Text = None


class PageInfo(ProviderData, frozen=True):
    """Whether more rows follow, and what to ask for."""

    end_cursor: Text = None
    has_next_page: Scalar = None


class Page(msgspec.Struct, frozen=True):
    """Transactions of a day: of today, if none is asked for."""

    items: list[msgspec.Raw]
    date: Scalar = None
    page_info: PageInfo = PageInfo()


async def pages(
    driver: "Wave", send: Send, since: datetime, until: datetime
) -> AsyncIterator[Payment | None]:
    """List transactions from `since` to before `until`: each day, page by page."""
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    today = parse_time((await send(get("/v1/transactions", Page))).date)
    if today is None:
        raise Unreadable("the answer does not say which day it is about")
    yield None
    # No page says when a day begins; all its times are UTC. So one day more on either side.
    day = since.date() - timedelta(days=1)
    last = min(until, today).date() + timedelta(days=1)
    while day <= last:
        after: str | None = ""
        while after is not None:
            query = {"date": day.isoformat()} | ({"after": after} if after else {})
            request = get("/v1/transactions", Page, query=query, largest=MAX_DAY_BYTES)
            page = await send(request)
            for number, raw in enumerate(page.items, 1):
                past = driver.row(Row, raw, number, lambda row: _payment(driver, row))
                at = past.created_at
                yield past if at is not None and since <= at < until else None
            more = page.page_info.has_next_page in _BACK
            if more and page.page_info.end_cursor in (None, after):
                raise Unreadable("more rows follow, and no cursor leads to them")
            after = page.page_info.end_cursor if more else None
            yield None
        day += timedelta(days=1)


def _payment(driver: "Wave", row: Row) -> Payment:
    """Read a row; what is listed has moved."""
    kind = "refund" if row.is_reversal in _BACK else _KINDS.get(row.transaction_type)
    net, fee = amount(row.amount), abs(amount(row.fee) or Decimal(0))
    if net is None or row.transaction_id is None:
        raise Unreadable("the row has no amount, or no transaction_id")
    party = (row.counterparty_mobile or "").lstrip("+") or None
    # What the payer paid is more than what came in; what the payee got has no fee in it.
    gross = abs(net) + fee if kind == "collect" or _of_collect(row) else abs(net)
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind or "collect",
        live=driver.live,
        # A refund has no name of its own: its row repeats that of its payment.
        reference=None if kind == "refund" else row.client_reference,
        provider_reference=row.checkout_api_session_id,
        ids={"transaction_type": row.transaction_type or ""},
        status=Status.SUCCEEDED,
        amount=gross,
        fee=fee,
        currency=row.currency,
        payer=party if kind == "collect" else None,
        payee=party if kind == "payout" else None,
        receipt=row.transaction_id,
        provider_status=row.transaction_type,
        paid_at=parse_time(row.timestamp),
        created_at=parse_time(row.timestamp),
    )


def _of_collect(row: Row) -> bool:
    return row.transaction_type in (
        "api_checkout",
        "api_checkout_refund",
        "merchant_payment_refund",
    )
