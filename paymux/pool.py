"""The pool: all accounts, all verbs, and the guarantee that no money moves twice."""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime
from decimal import Decimal
from functools import partial
from os import PathLike
from types import EllipsisType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from . import core
from .core import AccountVerbs, JournalVerbs, OrderOptions
from .drivers.base import Driver
from .errors import UsageError
from .http import Connection, Request, Send, WebhookRequest, checked_webhook_request, received_text
from .models import Balance, Event, Kind, Method, Payment, Receipt
from .primitives import coerce
from .primitives.redaction import Secret, as_place, as_secret, as_secrets
from .values import arguments
from .values.payment_arguments import checked_payment

# What runs a pool is loaded when the first one is made: `core` loads each name at its first use.
if TYPE_CHECKING:
    from .bulk import Bulk, ItemT, Progress
    from .core.config import Loaded
    from .journal import Journal
    from .limits import Limits
    from .transport.connection import Session, Tls
    from .transport.observers import Observer
    from .watch import Watch

D = TypeVar("D", bound=Driver)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Pool(AccountVerbs, JournalVerbs):
    """Accounts at any number of providers, and the verbs over them. Close it, or use `async with`.

    `deadline` bounds each whole verb in seconds: login, attempts and waits. It can be made outside
    a loop and used in several loops, one after another; a closed pool can be entered again.
    `observers` are told of each verb and each attempt (`paymux.Observer`): `paymux.otel` has one
    that makes spans and metrics. `proxy` (an http URL), `tls` (a context, or a PEM file to trust)
    and `local_address` are for its own connections; `session` is a ClientSession of yours to use
    instead, which you close. `webhook_key` may be a list (in a variable: `["new…", "old…"]`): the
    first key makes URLs and seals tokens, all are read. So a new one is put behind the old one in
    all processes, then before it; the old one goes when no open order needs its path.
    """

    def __init__(
        self,
        *drivers: Driver,
        connection: Connection | None = None,
        session: "Session | None" = None,
        proxy: str | Secret | None = None,
        tls: "Tls | None" = None,
        local_address: str | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 10.0,
        attempts: int = 3,
        webhook_base: str | None = None,
        webhook_key: str | Secret | Sequence[str | Secret] | None = None,
        journal: "str | PathLike[str] | Journal | None" = None,
        observers: "Sequence[Observer[Any]]" = (),
    ) -> None:
        # Wrapped before the first check: the frames of an error must not hold a credential.
        keys, through, place = as_secrets(webhook_key), as_secret(proxy), as_place(journal)
        del webhook_key, proxy, journal
        from .transport.connection import connection_of  # noqa: PLC0415 - with the first pool

        accounts = core.by_account(drivers)
        self._callback_urls = core.CallbackUrls(webhook_base, *keys, drivers=drivers)
        self._order_urls = self._callback_urls.order_urls
        self._engine = core.Engine(
            connection_of(connection, session, connect_timeout, through, tls, local_address),
            accounts,
            deadline=deadline,
            attempts=attempts,
            journal=place,
            callback_urls=self._callback_urls,
        )
        core.observe(self._engine, observers)
        self.internals = core.Internals(self._engine, self._callback_urls)

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | str | PathLike[str], **options: Any) -> Self:
        """Make a pool from `[accounts.<name>] driver = "…"` tables, in a TOML file or a mapping."""
        found = core.from_mapping(config, options)
        del config  # the frames of an error must not hold a credential
        return cls._of(found, options)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Make a pool from `PAYMUX_<ACCOUNT>__DRIVER`, `PAYMUX_<ACCOUNT>__<FIELD>` and the like."""
        found = core.from_environment(environment, options)
        del environment  # the frames of an error must not hold a credential
        return cls._of(found, options)

    @classmethod
    def _of(cls, found: "Loaded", options: Mapping[str, Any]) -> Self:
        if isinstance(found, UsageError):
            raise found
        return cls(*found[0], **{**found[1], **options})

    async def __aenter__(self) -> Self:
        await self._engine.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections and end open watches with UsageError; a second call is harmless."""
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
        **options: Unpack[OrderOptions],
    ) -> Payment:
        """Ask a payer for money, once. PENDING is the normal answer: watch or verify it.

        OutcomeUnknown: the payer may have received the request, so never repeat it. NotSent: you
        may repeat it. Choose `reference` and store it before the call. `OrderOptions` has the other
        options of an order.

        One reference is one order. The same call again sends nothing: it returns the payment as it
        is known, also one that FAILED, was CANCELLED or EXPIRED (a new try needs a new reference),
        or raises the same OutcomeUnknown. Another order under the same reference is
        DuplicateReference. A refusal or NotSent frees the reference. A journal remembers this for
        ever; without a journal, a pool remembers its newest 100,000 orders until the process ends.
        """
        driver = self._engine.driver(account)
        url, _ = self._order_urls(driver, "collect", reference, options.pop("webhook_url", None))
        order = core.checked_order(
            driver,
            "collect",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payer,
            webhook_url=url,
            options=options,
        )
        return await core.move_money(self._engine, driver, order, deadline, driver.collect)

    async def payout(
        self,
        account: str,
        *,
        amount: int | Decimal | str,
        currency: str,
        payee: str,
        reference: str,
        deadline: float | None = None,
        **options: Unpack[OrderOptions],
    ) -> Payment:
        """Send money to a payee, once; the errors mean the same as for `collect`."""
        driver = self._engine.driver(account)
        given = options.pop("webhook_url", None)
        url, timeout_url = self._order_urls(driver, "payout", reference, given)
        order = core.checked_order(
            driver,
            "payout",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payee,
            webhook_url=url,
            timeout_url=timeout_url,
            options=options,
        )
        return await core.move_money(self._engine, driver, order, deadline, driver.payout)

    async def refund(
        self,
        payment: Payment,
        *,
        amount: int | Decimal | str,
        reference: str,
        reason: str = "",
        webhook_url: str | None = None,
        deadline: float | None = None,
    ) -> Payment:
        """Give back money of a payment, once. A refund that was only accepted is PENDING."""
        payment = checked_payment(payment)
        driver = self._engine.driver(payment.account)
        url, timeout_url = self._order_urls(driver, "refund", reference, webhook_url)
        order = core.checked_refund(
            driver,
            payment,
            amount=amount,
            reference=reference,
            reason=reason,
            webhook_url=url,
            timeout_url=timeout_url,
        )
        return await core.move_money(self._engine, driver, order, deadline, driver.refund, payment)

    # Look-ups.

    @overload
    async def verify(self, payment: Payment, /, *, deadline: float | None = None) -> Payment: ...
    @overload
    async def verify(
        self, account: str, provider_reference: str, /, *, deadline: float | None = None
    ) -> Payment: ...
    async def verify(
        self,
        payment: Payment | str,
        provider_reference: str | None = None,
        /,
        *,
        deadline: float | None = None,
    ) -> Payment:
        """Ask the provider once, by a payment or by the provider's reference alone.

        Mismatch: the provider has another amount, currency, reference or mode than the given
        payment.
        """
        if type(payment) is Payment or not coerce.is_a(payment, str):
            return await self._engine.look_up(checked_payment(payment), deadline)
        named = core.payment_named(
            self._engine, payment, arguments.named("provider_reference", provider_reference)
        )
        return await self._engine.look_up(named, deadline, named=True)

    def verify_many(
        self,
        items: "Iterable[ItemT] | AsyncIterable[ItemT]",
        *,
        at_once: int = 50,
        progress: "Callable[[Progress], object] | None" = None,
    ) -> "Bulk[ItemT]":
        """Verify payments, or `(account, provider_reference)` pairs: iterate, or await a list."""
        from .bulk import Bulk  # noqa: PLC0415 - takes 2 ms, and is needed only here

        return Bulk(self, items, at_once, progress)

    async def find(
        self,
        account: str,
        *,
        reference: str | None = None,
        receipt: str | None = None,
        kind: Kind = "collect",
        deadline: float | None = None,
    ) -> Payment:
        """Ask the provider by your reference and the kind, or by a receipt: exactly one of them.

        The kind of a receipt's payment comes from the answer. Unsupported: it names what the
        provider can be asked by. Mismatch: the payment found has another receipt.
        """
        asked = core.asked_for(self._engine.driver(account), reference, receipt, kind)
        return await self._engine.look_up(asked, deadline, named=True)

    async def balance(self, account: str, *, deadline: float | None = None) -> Balance:
        """Ask for the money that can be paid out."""
        driver = self._engine.driver(account)
        return await self._engine.perform(driver, "balance", deadline, driver.balance)

    async def receipt(self, payment: Payment, *, deadline: float | None = None) -> Receipt:
        """Ask for a payment's receipt."""
        payment = checked_payment(payment)
        driver = self._engine.driver(payment.account)
        return await self._engine.perform(driver, "receipt", deadline, driver.receipt, payment)

    async def methods(self, account: str, *, deadline: float | None = None) -> list[Method]:
        """List the ways to pay that an account offers."""
        driver = self._engine.driver(account)
        return await self._engine.perform(driver, "methods", deadline, driver.methods)

    def history(
        self, account: str, *, since: datetime, until: datetime, deadline: float | None = None
    ) -> AsyncIterator[Payment]:
        """List an account's payments of a period, as the provider has them.

        The deadline bounds each page.
        """
        since, until = arguments.moment("since", since), arguments.moment("until", until)
        return core.pages(self._engine, account, since, until, deadline)

    def watch(self, payment: Payment, *, timeout: float | EllipsisType | None = ...) -> "Watch":
        """Watch a payment until it is terminal.

        Iterate over the result for each change, or await it for the end.

        After `timeout` seconds, WatchTimeout is raised and the payment is still pending; None: no
        timeout; the default is the provider's for this kind of payment.
        """
        return core.watch(self._engine, payment, timeout)

    def lag(self, account: str) -> float:
        """Return by how many seconds the look-ups of an account's open watches are late."""
        return self._engine.watch_registry.lag(self._engine.driver(account).account)

    def limits(self, account: str) -> "Limits":
        """Return an account's rate limits: those its provider states, and those from refusals."""
        return self._engine.limiter(account).state()

    # Webhooks.

    def webhook_url(
        self,
        account: str,
        reference: str | None = None,
        *,
        use: Literal["collect", "payout", "refund", "confirmation", "validation"] | None = None,
    ) -> str:
        """Return the callback URL for a provider's dashboard, or the one of a single order.

        An order's is that of a collect, or of a payout or a refund as `use` says. "confirmation"
        and "validation" are the two URLs to register for C2B payments; they take no reference.
        """
        name = self._engine.driver(account).account
        return self._callback_urls.url(name, reference, core.checked_use(use))

    def webhook(self, incoming: WebhookRequest, *, account: str | None = None) -> Event:
        """Read a message: a hint of what to confirm. BadWebhook: log and drop it.

        The answer of a question is BadWebhook, too: only `Webhooks` takes it.
        """
        incoming = checked_webhook_request(incoming)
        given = None if account is None else self._engine.driver(account).account
        return self.internals.event(
            incoming, self._callback_urls.read(incoming, self.drivers, given)
        )

    async def confirm(
        self, event: Event, *, expected: Payment | None = None, deadline: float | None = None
    ) -> Payment:
        """Ask the provider about a message; only what this returns has a status to act on.

        `expected` is the payment you stored; Mismatch: the message is about another one. Without
        it, and without an open watch on the order, a field that the provider does not return is
        None.
        """
        return await core.confirm(self._engine, event, expected, deadline)

    def returned(self, account: str, url: str) -> Event:
        """Read the URL to which the payer's browser returned: a hint to confirm, like a message."""
        driver, address = self._engine.driver(account), received_text("url", url)
        return core.read_event(driver, partial(driver.returned, address), self._engine.secrets)

    # Beyond the common verbs.

    async def run(
        self,
        account: str,
        method: Callable[Concatenate[D, Send, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a driver's own method: `run("campay", CamPay.payment_link, amount=…)`.

        It is for what moves no money: a request that moves money is UsageError, and is not sent,
        because no journal would know of it. Use `collect`, `payout` and `refund` for that.
        """
        driver: Any = self._engine.driver(account)
        if not core.is_driver_method(driver, method):
            raise UsageError.field("method", method, f"an async method of {type(driver).__name__}")
        return await self._engine.perform(
            driver, "run", None, partial(method, driver), *args, **kwargs
        )

    async def send(self, account: str, request: Request[R], *, deadline: float | None = None) -> R:
        """Send a request of your own (`paymux.get`, `paymux.post`).

        It is signed, limited and judged like the requests of the driver. A request that moves
        money is at your own risk: it is in no journal, two calls send it twice, and only
        OutcomeUnknown tells that it may have moved. Prefer `collect`, `payout` and `refund`.
        """
        if not coerce.is_a(request, Request):
            raise UsageError.field("request", request, "what paymux.get or paymux.post gives")
        return await self._engine.send(self._engine.driver(account), request, deadline)
