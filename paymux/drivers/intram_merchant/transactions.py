"""`/transactions`: what payers paid, by the reference that they see on the page, and as a list.

https://github.com/suntechdevs/paycfa merchant-api/reference/transactions.md @585cc6f.
"""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ...http import MAX_PAGE_BYTES, Send, get
from ...models import Customer, Kind, Payment, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount, parse_time
from .answers import KINDS, Absent, Listed

if TYPE_CHECKING:
    from . import IntramMerchant

_NUMBER = re.compile(r"229[0-9]{8,10}", re.ASCII)
# The cursor is sent as it came. No character of it is written in two ways in a query, so it does
# not matter which of the two is signed.
_CURSOR = re.compile(r"[0-9T:.Z-]{10,40}", re.ASCII)


class Person(ProviderData, frozen=True):
    """A payer as a transaction names it."""

    name: Text = None
    email: Text = None


class Source(ProviderData, frozen=True):
    """Where the money of a transaction came from."""

    number: Text = None


class Transaction(ProviderData, frozen=True):
    """A transaction, alone or in a list."""

    reference: Text = None
    status: Text = None
    type: Text = None
    amount: Scalar = None
    fees: Scalar = None
    currency: Text = None
    payment_method: Text = None
    customer: Person | Absent = None
    source: Source | Absent = None
    date: Scalar = None


class Told(ProviderData, frozen=True):
    """The envelope of one transaction."""

    data: Transaction | Absent = None

    @property
    def transaction(self) -> Transaction:
        """Return the transaction; Unreadable: there is none."""
        if not isinstance(self.data, Transaction):
            raise Unreadable("the answer has no transaction")
        return self.data

    def answers(self, reference: str) -> bool:
        """Return whether this says the state of a transaction; its internal id is 24 digits."""
        found = self.transaction
        if found.reference != reference and len(reference) != 24:
            raise Unreadable("the answer is about another transaction")
        if not found.status:
            raise Unreadable("the answer has no status")
        return True


_LOOK_UP = get("/transactions/{reference}", Told)


def read(driver: "IntramMerchant", said: Transaction, kind: Kind = "collect") -> Payment:
    """Return the payment of a transaction; its operation and our reference are not in it."""
    kind = KINDS.get(said.type, kind)
    status, reason = driver.outcome({"transaction.status": said.status})
    if status is Status.FAILED and kind != "collect":
        # "Failed" is also said after a network error (payouts.md), which proves nothing.
        status, reason = Status.PENDING, None
    number = said.source.number if isinstance(said.source, Source) else None
    buyer = said.customer if isinstance(said.customer, Person) else None
    known = buyer is not None and (buyer.name or buyer.email)
    found = Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind,
        live=driver.live,
        ids={"transaction_reference": said.reference} if said.reference else {},
        status=status,
        amount=amount(said.amount),
        currency=said.currency,
        payer=number if kind == "collect" and number and _NUMBER.fullmatch(number) else None,
        operator=said.payment_method,
        receipt=said.reference if status is Status.SUCCEEDED else None,
        fee=amount(said.fees),
        provider_status=said.status,
        reason=reason,
        customer=Customer(name=buyer.name, email=buyer.email) if buyer and known else None,
        created_at=parse_time(said.date),
    )
    return driver.proved(found, "transaction")


async def look_up(driver: "IntramMerchant", send: Send, reference: str) -> Payment:
    """Ask for a transaction by the reference that its page shows."""
    request = _LOOK_UP.with_ids({"reference": reference})
    matching = msgspec.structs.replace(request, matches=lambda one: one.answers(reference))
    return read(driver, (await send(matching)).transaction)


def cursor(told: str | None, before: str | None) -> str | None:
    """Return the cursor of the next page; None: there is none. It must lead back in time."""
    if told is None:
        return None
    if not _CURSOR.fullmatch(told) or told == before:
        raise Unreadable("the list has a cursor that leads nowhere")
    return told


async def history(
    driver: "IntramMerchant", send: Send, since: datetime, until: datetime
) -> AsyncIterator[Payment | None]:
    """List the transactions that were made from `since` to before `until`, newest first."""
    before = _written(until)
    while True:
        page = await send(
            get(f"/transactions?before={before}&limit=100", Listed, largest=MAX_PAGE_BYTES)
        )
        for number, raw in enumerate(page.data, 1):
            past = driver.row(Transaction, raw, number, lambda said: read(driver, said))
            if past.created_at is not None and past.created_at < since:
                return
            if past.created_at is None or past.created_at < until:
                shown = past.ids.get("transaction_reference")
                yield msgspec.structs.replace(past, receipt=shown)
        following = cursor(page.cursor, before)
        if following is None:
            return
        before = following
        yield None


def _written(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
