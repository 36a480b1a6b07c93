"""The pool's verbs that ask a provider, and move no money."""

from collections.abc import AsyncIterator
from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, overload

from ..models import Balance, Kind, Method, Payment, Receipt
from ..primitives import coerce
from ..values import arguments
from ..values.payment_arguments import checked_payment
from .finding import asked_for, payment_named

if TYPE_CHECKING:
    from ..limits import Limits
    from ..watch import Watch
    from .engine import Engine


class LookupVerbs:
    """The look-ups of a pool; each is bounded by its deadline in seconds.

    UsageError: a wrong argument, and nothing was sent; Unsupported: the provider has no such verb.
    Unavailable: try later; AuthenticationFailed: fix the credentials; RateLimited: wait its
    `retry_after` seconds; NotFound: the provider does not know it (yet).
    """

    _engine: "Engine"

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
        named = payment_named(
            self._engine, payment, arguments.named("provider_reference", provider_reference)
        )
        return await self._engine.look_up(named, deadline, named=True)

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
        asked = asked_for(self._engine.driver(account), reference, receipt, kind)
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
        from .history import pages  # noqa: PLC0415 - of those who list

        return pages(self._engine, account, since, until, deadline)

    def watch(self, payment: Payment, *, timeout: float | EllipsisType | None = ...) -> "Watch":
        """Watch a payment until it is terminal.

        Iterate over the result for each change, or await it for the end.

        After `timeout` seconds, WatchTimeout is raised and the payment is still pending; None: no
        timeout; the default is the provider's for this kind of payment.
        """
        from .watching import watch  # noqa: PLC0415 - with the first watch

        return watch(self._engine, payment, timeout)

    def lag(self, account: str) -> float:
        """Return by how many seconds the look-ups of an account's open watches are late."""
        return self._engine.watch_registry.lag(self._engine.driver(account).account)

    def limits(self, account: str) -> "Limits":
        """Return an account's rate limits: those its provider states, and those from refusals."""
        return self._engine.limiter(account).state()
