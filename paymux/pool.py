"""The pool: every account, every verb, and the promise that no money moves twice."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from os import PathLike
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, Self, TypeVar, Unpack, overload

from . import given, plain
from .accounts import by_account, has
from .checks import checked_reference, checked_seconds
from .confirm import confirm
from .connection import Sockets
from .drivers.base import Driver
from .engine import Engine
from .errors import Unsupported, UsageError
from .history import pages
from .hooks import Hooks, read_event
from .journal import Journal
from .limits import Limits
from .models import Balance, Event, Kind, Method, Payment, Receipt
from .orders import Options, checked_order, checked_refund
from .record import Record
from .redact import Secret, wrapped
from .settings import Found, from_environment, from_mapping
from .wire import Connection, Incoming, Request, Send, arrived, checked_incoming

if TYPE_CHECKING:
    from .bulk import A, Bulk, Progress
    from .watch import Watch

D = TypeVar("D", bound=Driver)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Internals(NamedTuple):
    """A pool's engine and callback addresses, for `notify` and `webhooks`; no part of the API."""

    engine: Engine
    hooks: Hooks

    def event(self, incoming: Incoming, account: str, attempt: str | None) -> Event:
        """Read a checked message whose path was matched; what cannot be read is BadWebhook."""
        driver = self.engine.drivers[account]
        return read_event(driver, partial(driver.webhook, incoming), attempt, self.engine.secrets)


class Pool(Record):
    """Accounts at any number of providers, and the verbs over them. Close it, or use `async with`.

    `deadline` bounds each whole verb in seconds: login, attempts and waits. It can be made outside a loop and used
    from several loops in turn.
    """

    def __init__(
        self,
        *drivers: Driver,
        connection: Connection | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 10.0,
        attempts: int = 3,
        webhook_base: str | None = None,
        webhook_key: str | Secret | None = None,
        journal: str | PathLike[str] | Journal | None = None,
    ) -> None:
        # Wrapped before anything can be refused: an error's frames hold no credential.
        key = wrapped(webhook_key)
        del webhook_key
        self.drivers: Mapping[str, Driver] = by_account(drivers)
        connect_timeout = checked_seconds("connect_timeout", connect_timeout)
        self._hooks = Hooks(webhook_base, key, plain=all(driver.rehearsing for driver in drivers))
        self._hooks.warn(drivers)
        self._engine = Engine(
            Sockets(connect_timeout) if connection is None else connection,
            deadline=deadline,
            attempts=attempts,
            journal=journal,
        )
        self._engine.drivers.update(self.drivers)
        self.internals = Internals(self._engine, self._hooks)

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | PathLike[str], **options: Any) -> Self:
        """Make a pool of `[accounts.<name>] driver = "…"` tables, from a TOML file or a mapping."""
        found = from_mapping(config)
        del config  # an error's frames hold no credential
        return cls._of(found, options)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Make a pool of `PAYMUX_<ACCOUNT>__DRIVER` and `PAYMUX_<ACCOUNT>__<FIELD>` variables."""
        found = from_environment(environment)
        del environment  # likewise
        return cls._of(found, options)

    @classmethod
    def _of(cls, found: Found, options: Mapping[str, Any]) -> Self:
        if isinstance(found, UsageError):
            raise found
        return cls(*found[0], **{**found[1], **options})

    async def __aenter__(self) -> Self:
        await self._engine.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections and end open watches with UsageError; closing twice is harmless."""
        await self._engine.aclose()

    # Money.

    async def collect(
        self,
        account: str,
        *,
        amount: int | Decimal | str,
        currency: str,
        reference: str,
        payer: str | None = None,
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Payment:
        """Ask a payer for money, once. PENDING is the normal answer: watch or verify it.

        OutcomeUnknown: the payer may be asked already, never repeat. NotSent: repeat freely. `reference` is yours,
        stored before the call. What else an order may carry is in `Options`.

        One reference is one order. The same call again sends nothing: it gives the payment as it is known, also
        one that FAILED, was CANCELLED or EXPIRED (a new try is a new reference), or the same OutcomeUnknown.
        Another order under it is DuplicateReference; a refusal or NotSent frees it. A journal knows this for
        ever; without one a pool knows its newest 100,000 orders, and a restart forgets them.
        """
        driver = self._engine.driver(account)
        url = self._hooks.callback(driver, reference, options.pop("webhook_url", None))
        order = checked_order(
            driver,
            "collect",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payer,
            webhook_url=url,
            options=options,
        )
        return await self._engine.money(driver, order, deadline, driver.collect)

    async def payout(
        self,
        account: str,
        *,
        amount: int | Decimal | str,
        currency: str,
        payee: str,
        reference: str,
        deadline: float | None = None,
        **options: Unpack[Options],
    ) -> Payment:
        """Send money to a payee, once; the errors mean what they mean for `collect`."""
        driver = self._engine.driver(account)
        order = checked_order(
            driver,
            "payout",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payee,
            options=options,
        )
        return await self._engine.money(driver, order, deadline, driver.payout)

    async def refund(
        self,
        payment: Payment,
        *,
        amount: int | Decimal | str,
        reference: str,
        reason: str = "",
        deadline: float | None = None,
    ) -> Payment:
        """Give money of a payment back, once. A refund that was merely accepted is PENDING."""
        payment = given.payment(payment)
        driver = self._engine.driver(payment.account)
        order = checked_refund(driver, payment, amount, reference, reason)
        return await self._engine.money(driver, order, deadline, driver.refund, payment)

    # Look-ups.

    @overload
    async def verify(self, payment: Payment, /, *, deadline: float | None = None) -> Payment: ...
    @overload
    async def verify(
        self, account: str, provider_reference: str, /, *, deadline: float | None = None
    ) -> Payment: ...
    async def verify(
        self, payment: Payment | str, provider_reference: str | None = None, /, *, deadline: float | None = None
    ) -> Payment:
        """Ask the provider once, by a payment or by the provider's reference alone.

        Mismatch where the provider knows another amount, currency, reference or mode than the payment given.
        """
        if not plain.is_a(payment, str):
            return await self._engine.look(given.payment(payment), deadline)
        named = self._engine.named(payment, given.named("provider_reference", provider_reference))
        return await self._engine.look(named, deadline)

    def verify_many(
        self,
        items: "Iterable[A] | AsyncIterable[A]",
        *,
        at_once: int = 50,
        progress: "Callable[[Progress], object] | None" = None,
    ) -> "Bulk[A]":
        """Verify many payments, or `(account, provider_reference)` pairs: iterate the result, or await a list."""
        from .bulk import Bulk  # noqa: PLC0415 - 2 ms of an import that verifies no thousands yet

        return Bulk(self._engine, items, at_once, progress)

    async def find(
        self, account: str, *, reference: str, kind: Kind = "collect", deadline: float | None = None
    ) -> Payment:
        """Ask the provider by your reference; Unsupported where it cannot be asked so."""
        if not self._engine.driver(account).can("find"):
            raise Unsupported(f"{self._engine.driver(account).name} cannot be asked by reference")
        names = {"kind": given.kind("kind", kind), "reference": checked_reference(reference)}
        asked = self._engine.named(account, None, **names)
        return await self._engine.look(asked, deadline)

    async def balance(self, account: str, *, deadline: float | None = None) -> Balance:
        """Ask what can be paid out."""
        driver = self._engine.driver(account)
        return await self._engine.perform(driver, "balance", deadline, driver.balance)

    async def receipt(self, payment: Payment, *, deadline: float | None = None) -> Receipt:
        """Ask for a payment's receipt."""
        payment = given.payment(payment)
        driver = self._engine.driver(payment.account)
        return await self._engine.perform(driver, "receipt", deadline, driver.receipt, payment)

    async def methods(self, account: str, *, deadline: float | None = None) -> list[Method]:
        """List the ways to pay that an account offers."""
        driver = self._engine.driver(account)
        return await self._engine.perform(driver, "methods", deadline, driver.methods)

    def history(
        self, account: str, *, since: datetime, until: datetime, deadline: float | None = None
    ) -> AsyncIterator[Payment]:
        """List an account's payments of a period as the provider knows them; the deadline bounds each page."""
        since, until = given.moment("since", since), given.moment("until", until)
        return pages(self._engine, account, since, until, deadline)

    def watch(self, payment: Payment, *, timeout: float | EllipsisType | None = ...) -> "Watch":
        """Watch a payment until it is terminal: iterate the result for each change, or await it for the end.

        `timeout` in seconds ends in WatchTimeout, with the payment still pending; None waits for ever; the default
        is the provider's own.
        """
        return self._engine.watch(payment, timeout)

    def lag(self, account: str) -> float:
        """Tell by how many seconds the look-ups of an account's open watches run late; 0.0: they are on time."""
        return self._engine.watches.lag(self._engine.driver(account).account)

    def limits(self, account: str) -> Limits:
        """Tell how fast an account's requests may go: what its provider states, and what its refusals taught."""
        return self._engine.gate(account).state()

    # Webhooks.

    def webhook_url(self, account: str, reference: str | None = None) -> str:
        """Give the callback URL to enter in a provider's dashboard, or the one of a single order."""
        return self._hooks.url(self._engine.driver(account).account, reference)

    def webhook(self, incoming: Incoming, *, account: str | None = None) -> Event:
        """Read a message: a hint of what to confirm. BadWebhook: log and drop it."""
        incoming = checked_incoming(incoming)
        given = None if account is None else self._engine.driver(account).account
        return self.internals.event(incoming, *self._hooks.read(incoming, self.drivers, given))

    async def confirm(
        self, event: Event, *, expected: Payment | None = None, deadline: float | None = None
    ) -> Payment:
        """Ask the provider about a message; only what this returns has a status to act on.

        `expected` is the payment you stored: Mismatch where the message is about another one. Without it, and
        without an open watch on the order, what the provider does not return is None.
        """
        return await confirm(self._engine, event, expected, deadline)

    def returned(self, account: str, url: str) -> Event:
        """Read the address at which the payer's browser came back: a hint to confirm, like any message."""
        driver, address = self._engine.driver(account), arrived("url", url)
        return read_event(driver, partial(driver.returned, address), None, self._engine.secrets)

    # Beyond the common verbs.

    async def run(
        self,
        account: str,
        method: Callable[Concatenate[D, Send, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run what one driver can do beyond the common verbs: `run("campay", CamPay.payment_link, amount=…)`."""
        driver: Any = self._engine.driver(account)
        if not has(driver, method):
            raise UsageError.field("method", method, f"an async method of {type(driver).__name__}")
        return await self._engine.perform(driver, "run", None, partial(method, driver), *args, **kwargs)

    async def send(self, account: str, request: Request[R], *, deadline: float | None = None) -> R:
        """Send a request of your own (`paymux.get`, `paymux.post`): signed, limited and judged like ours."""
        if not plain.is_a(request, Request):
            raise UsageError.field("request", request, "what paymux.get or paymux.post gives")
        return await self._engine.send(self._engine.driver(account), request, deadline)
