"""An account at Daraja that adopts C2B payments, and a shop that hears of them."""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
from msgspec.structs import replace

from paymux import Event, Payment, Pool, Status
from paymux.drivers.mpesa import Mpesa
from paymux.http import Send
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .campaigns.simulation import LoopJournal
from .toys import BASE, KEY, now

SHORTCODE = "174379"
EAT = timedelta(hours=3)


class Dated(Mpesa, frozen=True, kw_only=True):
    """Daraja as if each row of pull had a time of a sure zone."""

    async def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        async for row in Mpesa.history(self, send, since, until):
            if row is None:
                yield None
                continue
            time = json.loads(row.raw)["trxDate"].removesuffix("Z")
            yield replace(row, paid_at=datetime.fromisoformat(time).replace(tzinfo=UTC) - EAT)


class Shop:
    """A worker of a shop: its pool on one journal, its webhooks, and what it was told.

    `dated`: whether a row of the list has a time.
    """

    dated: ClassVar[bool] = False

    def __init__(
        self,
        file: Path | None,
        sim: Simulator,
        books: "Books | None" = None,
        *,
        seed: int = 1,
        **fields: Any,
    ) -> None:
        self.sim = sim
        self.books = Books() if books is None else books
        self.journal = None if file is None else LoopJournal(file, random.Random(seed))
        given: Mapping[str, Any] = msgspec.structs.asdict(sim.driver("mpesa"))
        self.pool = Pool(
            (Dated if self.dated else Mpesa)(**{**given, "adopt_c2b": True, **fields}),
            connection=sim.connection,
            journal=self.journal,
            webhook_base=BASE,
            webhook_key=KEY,
        )
        self.hooks = Webhooks(self.pool, self.books.on_payment, self.books.on_unconfirmed)
        sim.on_webhook(self.hooks.answer)
        sim.mpesa.pull.registered.add(SHORTCODE)

    def register(self, *, bare: bool = False) -> None:
        """Register the shop's addresses of C2B; `bare`: the account's own for both."""
        sides = ("confirmation", "validation")
        urls = [self.pool.webhook_url("mpesa", use=None if bare else use) for use in sides]  # type: ignore[arg-type]  # a literal each
        body = {"ShortCode": SHORTCODE, "ResponseType": "Completed"}
        self.sim.mpesa.c2b.register({**body, "ConfirmationURL": urls[0], "ValidationURL": urls[1]})

    async def __aenter__(self) -> Self:
        await self.pool.__aenter__()
        await self.hooks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hooks.__aexit__(None, None, None)
        await self.pool.aclose()

    async def rows(self) -> dict[str, Payment]:
        """Return the rows of the journal by reference."""
        return {one.reference or "": one async for one in self.pool.payments()}


class Books:
    """What the callbacks were told, by every worker."""

    def __init__(self) -> None:
        self.paid: list[Payment] = []
        self.unconfirmed: list[Event] = []
        self.at: dict[str | None, float] = {}

    async def on_payment(self, payment: Payment) -> None:
        self.at.setdefault(payment.reference, now())
        self.paid.append(payment)

    async def on_unconfirmed(self, event: Event) -> None:
        self.unconfirmed.append(event)

    def told(self) -> Counter[str | None]:
        """Count what succeeded by reference."""
        paid = [one for one in self.paid if one.status is Status.SUCCEEDED]
        return Counter(one.reference for one in paid)

    def total(self) -> Decimal:
        """Add up what succeeded."""
        paid = [one for one in self.paid if one.status is Status.SUCCEEDED]
        return sum((one.amount or Decimal(0) for one in paid), Decimal(0))
