"""What every verb shares: one loop at a time, one deadline, one request per order, and a payment made whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from os import PathLike
from typing import Literal, TypeVar

import msgspec

from .drivers.base import Driver
from .errors import NotSent, Unavailable, UsageError
from .flights import Flights
from .journal import Journal
from .models import Order, Payment, Status, succeed
from .msisdn import operator
from .records import Records
from .transport import Call, Transport
from .watch import Watches
from .wire import Connection, Send

T = TypeVar("T")


class Engine:
    """Runs the verbs of one pool over its transport."""

    def __init__(
        self,
        connection: Connection,
        *,
        deadline: float,
        attempts: int,
        journal: Journal | str | PathLike[str] | None,
    ) -> None:
        self.deadline = deadline
        self.records = Records(journal)
        self._transport = Transport(connection, deadline=deadline, attempts=attempts)
        self.watches = Watches(self.look, self._transport.frames)
        self._flights = Flights()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.drivers: dict[str, Driver] = {}

    def driver(self, account: str) -> Driver:
        """Give an account's driver; an unknown name is UsageError."""
        driver = self.drivers.get(account) if isinstance(account, str) else None
        if driver is None:
            raise UsageError.field(
                "account", account, ", ".join(sorted(self.drivers)) or "none: the pool is empty"
            )
        return driver

    def enter(self) -> None:
        """Refuse a closed pool, and one that another running loop is using."""
        if self._closed:
            raise UsageError("pool: it is closed; make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None and self._loop.is_running():
                raise UsageError("pool: it is in use by another running loop; make one pool per loop")
            self._loop = loop
            self._flights = Flights()

    async def aclose(self) -> None:
        """Close what the pool holds; twice is harmless."""
        self._closed = self._transport.closed = True
        self.watches.close()
        await self.watches.updates.aclose()
        await self._transport.tokens.aclose()
        await self._transport.connection.aclose()
        if self.records.journal is not None:
            await self.records.journal.aclose()

    def call(self, driver: Driver, verb: str, seconds: float | None = None, reference: str | None = None) -> Call:
        """Begin a verb."""
        self.enter()
        seconds = self.deadline if seconds is None else min(checked_seconds("deadline", seconds), 86_400.0)
        return self._transport.call(driver, verb, seconds, reference)

    async def perform(
        self, account: str, verb: str, operation: Callable[[Driver, Send], Awaitable[T]], seconds: float | None
    ) -> T:
        """Run a verb that is not one order's."""
        driver = self.driver(account)
        call = self.call(driver, verb, seconds)
        return await self._transport.perform(call, lambda send: operation(driver, send))

    async def pages(
        self, account: str, since: datetime, until: datetime, seconds: float | None
    ) -> AsyncIterator[Payment]:
        """List a history; the deadline bounds each page."""
        driver = self.driver(account)
        call = self.call(driver, "history", seconds)
        found = driver.history(call, since, until)
        while True:
            call.renew(self.deadline if seconds is None else seconds)
            try:
                payment = await self._transport.perform(call, lambda _: anext(found))
            except StopAsyncIteration:
                return
            yield _stamped(payment, call)

    async def payments(
        self, account: str | None, status: Status | None, since: datetime | None
    ) -> AsyncIterator[Payment]:
        """List the journal's payments."""
        self.enter()
        book = self.records.book()
        if since is not None and since.tzinfo is None:
            raise UsageError.field("since", since, "an aware datetime")
        try:
            async for payment in book.payments(account=account, status=status, since=since):
                yield payment
        except OSError as error:
            raise Unavailable(str(error)) from None

    async def money(
        self, driver: Driver, order: Order, operation: Callable[[Send], Awaitable[Payment]], seconds: float | None
    ) -> Payment:
        """Move money, once."""
        call = self.call(driver, order.kind, seconds, order.reference)
        pending = msgspec.structs.replace(
            driver.pending(order), created_at=datetime.now(UTC), operator=await operator(order.party)
        )

        call.before_money = lambda: self.records.sending(pending)

        async def ask(send: Send) -> Payment:
            return succeed(pending, _stamped(await operation(send), call))

        async def request() -> Payment:
            try:
                async with asyncio.timeout_at(call.deadline):
                    known = await self.records.begin(pending, order)
            except TimeoutError:
                raise NotSent(f"{call}: the deadline passed; nothing was sent") from None
            if known is not None:
                return known
            try:
                payment = await self._transport.perform(call, ask, pending)
            except BaseException as error:
                await self.records.ended(pending, error, in_doubt=call.in_doubt)
                raise
            await self.records.ended(pending, payment, in_doubt=False)
            return payment

        return await self._flights.join(order, pending, call, request)

    def question(self, payment: Payment) -> Literal["verify", "find"] | None:
        """Tell how a payment can be asked for: by the provider's reference, else by ours, else not at all."""
        driver = self.driver(payment.account)
        if payment.provider_reference is not None or not driver.verifies_by.isdisjoint(payment.ids):
            return "verify" if driver.can("verify") else None
        return "find" if payment.reference is not None and driver.can("find") else None

    async def ask(self, payment: Payment, seconds: float | None = None) -> Payment:
        """Ask about a payment and give what the provider said."""
        driver, verb = self.driver(payment.account), self.question(payment)
        if verb is None:
            raise UsageError(f"provider_reference: missing; {driver.name} cannot be asked by your reference")
        call = self.call(driver, verb, seconds, payment.reference)
        look = driver.verify if verb == "verify" else driver.find
        found = _stamped(await self._transport.perform(call, lambda send: look(send, payment)), call)
        # Who has one kind of payment only does not say which.
        return found if found.kind else msgspec.structs.replace(found, kind=payment.kind or "collect")

    async def look(self, payment: Payment, seconds: float | None = None) -> Payment:
        """Ask about a payment and apply what was found to what is held."""
        seconds = None if seconds is None else min(seconds, self.deadline)
        found = succeed(payment, await self.ask(payment, seconds))
        await self.records.learned(found, "verify")
        return found


def checked_seconds(name: str, seconds: object) -> float:
    """Check a duration in seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError.field(name, seconds, "seconds above 0")
    return float(seconds)


def _stamped(payment: Payment, call: Call) -> Payment:
    return msgspec.structs.replace(payment, raw=call.raw, updated_at=datetime.now(UTC))
