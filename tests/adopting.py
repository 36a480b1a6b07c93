"""An account at Daraja that adopts C2B payments, and a shop that hears of them."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import msgspec
from msgspec.structs import replace

from paymux import Event, Payment, Pool, Status
from paymux.drivers.mpesa import Mpesa
from paymux.errors import NotFound
from paymux.http import Send, WebhookRequest, post
from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator
from paymux.values.parsing import ProviderData, amount
from paymux.webhooks import Webhooks

from .campaigns.simulation import LoopJournal
from .toys import BASE, KEY, now

SHORTCODE = "174379"
EAT = timedelta(hours=3)


class Row(ProviderData, frozen=True):
    """A row of the toy's list."""

    transactionId: str = ""  # noqa: N815 - Daraja's name
    trxDate: str = ""  # noqa: N815 - Daraja's name
    msisdn: int = 0
    billreference: str = ""
    amount: str = ""


class Rows(ProviderData, frozen=True):
    """The toy's list."""

    Response: tuple[tuple[Row, ...], ...] = ()


class Toy(Mpesa, frozen=True, kw_only=True):
    """Adopts what pull lists; `trusts`: what comes to the confirmation's own address as well.

    `dated`: whether a row's time has a sure zone.
    """

    adopts_c2b: bool = True
    trusts: bool = False
    pulls: bool = True
    dated: ClassVar[bool] = True

    @property
    def adopting(self) -> bool:
        return self.adopts_c2b

    def webhook(self, incoming: WebhookRequest) -> Event:
        event = super().webhook(incoming)
        receipt = event.claims.ids.get("TransID")
        if receipt is None or not self.adopts_c2b:
            return event
        claims = event.claims
        named = {"reference": f"c2b.{receipt}", "bill_reference": claims.reference or None}
        return replace(event, claims=replace(claims, kind="collect", **named))

    def adopts(self, event: Event) -> str | None:
        receipt = event.claims.ids.get("TransID")
        return f"c2b.{receipt}" if self.adopts_c2b and receipt else None

    def proof(self, event: Event, known: Payment) -> Payment | None:
        if "TransID" not in event.claims.ids:
            return super().proof(event, known)
        if not self.trusts or event.path_use != "confirmation":
            return None
        return replace(event.claims, status=Status.SUCCEEDED)

    def asks(self, payment: Payment) -> Literal["verify", "find"] | None:
        if (payment.reference or "").startswith("c2b."):
            return "verify" if self.pulls else None
        return super().asks(payment)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        if not (payment.reference or "").startswith("c2b."):
            return await super().verify(send, payment)
        until = wall_time()
        since = (payment.paid_at or until - timedelta(hours=48)) - timedelta(hours=1)
        async for row in self.history(send, since, until):
            if row is not None and row.receipt == payment.receipt:
                return row
        raise NotFound("not listed yet")

    async def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        offset, rows = 0, [Row()]
        while rows:
            body: dict[str, Any] = {
                "ShortCode": self.shortcode,
                "StartDate": f"{since + EAT - timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
                "EndDate": f"{until + EAT + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
                "OffSetValue": str(offset),
            }
            said = await send(post("/pulltransactions/v1/query", Rows, body, money=False))
            rows = [one for page in said.Response for one in page]
            offset += len(rows)
            for one in rows:
                yield self._listed(one)
            yield None

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        claims = event.claims
        if (claims.reference or "").startswith("c2b."):
            ids = dict(claims.ids)
            if claims.payer is not None:
                ids["MSISDN"] = claims.payer
            claims = replace(claims, reference=claims.bill_reference, ids=ids)
        return super().may_tell_of(replace(event, claims=claims), order)

    def _listed(self, row: Row) -> Payment:
        at = datetime.strptime(row.trxDate, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) - EAT
        return Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            kind="collect",
            reference=f"c2b.{row.transactionId}",
            provider_reference=row.transactionId,
            ids={"TransID": row.transactionId},
            receipt=row.transactionId,
            status=Status.SUCCEEDED,
            amount=amount(row.amount),
            currency="KES",
            payer=str(row.msisdn),
            bill_reference=row.billreference or None,
            paid_at=at if Toy.dated else None,
        )


class Shop:
    """A worker of a shop: its pool on one journal, its webhooks, and what it was told."""

    def __init__(
        self,
        file: Path | None,
        sim: Simulator,
        books: "Books | None" = None,
        *,
        hears: bool = True,
        seed: int = 1,
        **fields: Any,
    ) -> None:
        self.sim = sim
        self.books = Books() if books is None else books
        self.journal = None if file is None else LoopJournal(file, random.Random(seed))
        given: Mapping[str, Any] = msgspec.structs.asdict(sim.driver("mpesa"))
        self.pool = Pool(
            Toy(**{**given, **fields}),
            connection=sim.connection,
            journal=self.journal,
            webhook_base=BASE,
            webhook_key=KEY,
        )
        self.hooks = Webhooks(
            self.pool, self.books.on_payment, self.books.on_unconfirmed if hears else None
        )
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
        self.failing = 0

    async def on_payment(self, payment: Payment) -> None:
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the shop's database is away")
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
