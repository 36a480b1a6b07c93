"""The pool: all accounts, all verbs, and the guarantee that no money moves twice."""

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from decimal import Decimal
from functools import partial
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    get_args,
)

from . import core
from .core import AccountVerbs, JournalVerbs, LookupVerbs, OrderOptions, WebhookVerbs
from .drivers.base import Driver
from .errors import UsageError
from .http import Connection, Request, Send
from .models import Kind, Payment, log
from .primitives import coerce
from .primitives.redaction import Secret, as_place, as_secret, as_secrets
from .reconcile import ReconcileVerb
from .values.payment_arguments import checked_payment

# What runs a pool is loaded when the first one is made: `core` loads each name at its first use.
if TYPE_CHECKING:
    from .bulk import Bulk, ItemT, Progress
    from .core.config import Loaded
    from .journal import Journal
    from .transport.connection import Session, Tls
    from .transport.observers import Observer

D = TypeVar("D", bound=Driver)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Pool(LookupVerbs, WebhookVerbs, AccountVerbs, JournalVerbs, ReconcileVerb):
    """Accounts at any number of providers, and the verbs over them. Close it, or use `async with`.

    `deadline` bounds each whole verb in seconds: login, attempts and waits. It can be made outside
    a loop and used in several loops, one after another; a closed pool can be entered again.
    `observers` are told of each verb and each attempt (`paymux.Observer`): `paymux.otel` has one
    that makes spans and metrics. `proxy` (an http URL), `tls` (a context, or a PEM file to trust)
    and `local_address` are for its own connections; `session` is a ClientSession of yours to use
    instead, which you close. `webhook_key` may be a list (in a variable: `["new…", "old…"]`): the
    first key makes URLs and seals tokens, all are read. So a new one is put behind the old one in
    all processes, then before it; the old one goes when no open order needs its path. `reconcile`
    has the `FileFormat` fields and the `edge` of each account's statements.
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
        reconcile: Mapping[str, Mapping[str, Any]] | None = None,
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
        if reconcile is not None:
            from .reconcile import checked_kept  # noqa: PLC0415 - of those who keep one

            self._kept_formats = checked_kept(reconcile)
        self.internals = core.Internals(self._engine, self._callback_urls)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any] | str | PathLike[str] | None = None, **options: Any
    ) -> Self:
        """Make a pool from `[accounts.<name>] driver = "…"` tables, in a TOML file or a mapping.

        Without an argument it is the file that PAYMUX_CONFIG names, `./paymux.toml`, or
        `$XDG_CONFIG_HOME/paymux/config.toml`, the first found; then `PAYMUX_<ACCOUNT>__<FIELD>`
        and `PAYMUX_JOURNAL` and the like override single values, and are enough without a file.
        UsageError names the file and the field, and never a secret.
        """
        found = (
            core.from_place(None, options) if config is None else core.from_mapping(config, options)
        )
        del config  # the frames of an error must not hold a credential
        return cls._of(found, options)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None, **options: Any) -> Self:
        """Make a pool from `PAYMUX_<ACCOUNT>__DRIVER`, `PAYMUX_<ACCOUNT>__<FIELD>` and the like.

        `PAYMUX_JOURNAL`, `_WEBHOOK_BASE`, `_WEBHOOK_KEY`, `_DEADLINE` and the other arguments of a
        pool are read, too, and `…_FILE` names the file that has a value.
        """
        found = core.from_environment(environment, options)
        del environment  # the frames of an error must not hold a credential
        return cls._of(found, options)

    @classmethod
    def _of(cls, found: "Loaded", options: Mapping[str, Any]) -> Self:
        if isinstance(found, UsageError):
            raise found
        for file in found.exposed:
            log.warning("others may read %s, which has a secret: chmod 600 %s", file, file)
        return cls(*found.drivers, **{**found.options, **options})

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
        """Send money to a payee, once; the errors mean the same as for `collect`.

        A collect, a payout and a refund may share a reference. FAILED is the dangerous word here: a
        caller who reads it pays again. So only a code that the provider lists as "no money moved"
        is FAILED; everything else stays PENDING, and is asked for.
        """
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

    # Beyond the common verbs, and for many payments at once.

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
        if method.__name__ in get_args(Kind):  # now: its first request may move none, and leave
            accepted = f"a method that moves no money (this is the pool's {method.__name__})"
            raise UsageError.field("method", method.__name__, accepted)
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
