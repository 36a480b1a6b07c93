"""One account at its simulated provider, and the messages that came from there."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec

try:
    import pytest
except ImportError:
    missing = "paymux.testing.contract needs pytest: pip install 'paymux[testing]'"
    raise ImportError(missing, name="pytest") from None

from ...core import ANSWERS, checked_order
from ...drivers.base import Driver
from ...errors import BadWebhook, OutcomeUnknown
from ...http import Connection, WebhookRequest
from ...models import Kind, Order, Payment, Status
from ...pool import Pool
from ...simulator import Fault, Simulator
from ...simulator.base import Provider
from ...simulator.records import Received
from ...webhooks import Webhooks
from .case import Case

# Any provider takes it: some take digits only, and Daraja shows 12 characters.
REFERENCE = "104207"
ASKED = Decimal(1000)
ATTEMPTS = 3
BASE = "https://shop.example/pay"
KEY = "0123456789abcdef-hooks"


def signature(request: Received) -> str:
    """Return what signs a request: its header, or the token that is in its query."""
    in_query = dict(parse_qsl(request.query)).get("token", "")
    return (request.headers.get("authorization") or in_query).rpartition(" ")[2]


class Desk:
    """A pool with one account at its simulated provider.

    `carried` wraps the connection to the simulator; `fields` are fields of the driver. Answers to
    questions go to the pool's server; other messages are kept in `messages`.
    """

    def __init__(
        self,
        driver: type[Driver],
        simulator: type[Provider],
        case: Case,
        *,
        carried: Callable[[Connection], Connection] | None = None,
        **fields: Any,
    ) -> None:
        self.name, self.case = driver.name, case
        self.kind: Literal["collect", "payout"]  # of `order`
        self.kind = "collect" if driver.can("collect") else "payout"
        self.party = "payer" if self.kind == "collect" else "payee"
        self.sim = Simulator(providers=[simulator])
        self.provider: Any = getattr(self.sim, self.name)
        self.messages: list[WebhookRequest] = []
        self.delivered: list[Payment] = []  # by the server
        self.holds = False  # keep answers back, in `answers`
        self.answers: list[WebhookRequest] = []
        self.sim.on_webhook(self._hear)
        if case.bearer and not fields:
            fields = {"access_token": "", "bearer": self._bearer}
        self.driver = self.sim.driver(driver, **{**case.fields, **fields})
        self.connection: Connection = self.sim.connection
        if carried is not None:
            self.connection = carried(self.sim.connection)
        self.pool = self.another_pool()
        self.server = Webhooks(self.pool, self._deliver, kinds=("collect", "payout", "refund"))
        if case.prepares is not None:
            case.prepares(self.provider)
        if case.dashboard:
            self.provider.webhook_url = self.pool.webhook_url(self.name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.aclose()
        await self.sim.core.aclose()

    async def _deliver(self, payment: Payment) -> None:
        self.delivered.append(payment)

    async def _hear(self, message: WebhookRequest) -> None:
        if not self._is_answer(message):
            self.messages.append(message)
        elif self.holds:
            self.answers.append(message)
        else:
            await self.server.answer(message)

    def _is_answer(self, message: WebhookRequest) -> bool:
        try:
            urls = self.pool.internals.callback_urls
            return urls.read(message, self.pool.drivers, None).use in ANSWERS
        except BadWebhook:
            return False

    async def _bearer(self) -> str:
        token: str = self.provider.issue()
        return token

    def another_pool(self) -> Pool:
        """Make a pool that knows nothing of what was before."""
        return Pool(
            self.driver,
            connection=self.connection,
            attempts=ATTEMPTS,
            webhook_base=BASE,
            webhook_key=KEY,
        )

    async def order(
        self, reference: str = REFERENCE, amount: Any = 1000, pool: Pool | None = None, **more: Any
    ) -> Payment:
        """Collect 1000, in major units, or pay it out where the provider cannot collect."""
        pool = pool or self.pool
        verb = pool.collect if self.kind == "collect" else pool.payout
        given = {"reference": reference, "amount": amount, **self.case.order, **more}
        return await verb(self.name, **given)

    async def collect(self, reference: str = REFERENCE, **more: Any) -> Payment:
        """Collect 1000, in major units."""
        given = {"amount": ASKED, **self.case.order, **more}
        given["payer"] = given.pop(self.party, None)
        return await self.pool.collect(self.name, reference=reference, **given)

    async def find(self) -> Payment:
        """Ask for the payment of `order` by our reference."""
        return await self.pool.find(self.name, reference=REFERENCE, kind=self.kind)

    async def payout(self, payee: str = "", reference: str = "wage-7", **more: Any) -> Payment:
        """Pay out 500 units, to the first payee of the case if none is named."""
        currency, payee = self.case.order["currency"], payee or self.case.payouts[0][0]
        return await self.pool.payout(
            self.name,
            amount=500,
            currency=currency,
            payee=payee,
            reference=reference,
            **{**self.case.payout_options.get(payee, {}), **more},
        )

    def orders(self, kind: Kind) -> list[Order]:
        """Return an order for each operation of a kind, as the pool gives it to the driver."""
        given: dict[str, Any] = {**self.case.order}
        currency, parties = given.pop("currency"), [given.pop(self.party, None)]
        if kind != "collect":
            parties = [payee for payee, _ in self.case.payouts] if kind == "payout" else [None]
        urls = self.pool.internals.callback_urls
        url, timeout_url = urls.order_urls(self.driver, kind, "204207", None)
        return [
            checked_order(
                self.driver,
                kind,
                reference="204207",
                amount=ASKED,
                currency=currency,
                party=party,
                webhook_url=url,
                timeout_url=timeout_url,
                options=self._options(kind, party, given),
            )
            for party in parties
        ]

    def _options(self, kind: Kind, party: str | None, given: dict[str, Any]) -> Any:
        return given if kind == "collect" else self.case.payout_options.get(party or "", {})

    async def end(self, payment: Payment) -> Payment:
        """Watch a payment to its end, for 100 seconds."""
        return await self.pool.watch(payment, timeout=100)

    async def unknown(self, match: str, ask: Callable[[], Awaitable[Payment]]) -> Payment:
        """Lose the answers to a money request, and return the payment of the OutcomeUnknown."""
        self.fault(match, Fault.DROP_AFTER, times=self.tries(match))
        with pytest.raises(OutcomeUnknown) as caught:
            await ask()
        return caught.value.payment

    def fault(self, match: str, kind: Fault, *, times: int = 1, **how: Any) -> None:
        """Plan trouble at this provider."""
        self.sim.fault(self.name, match, kind=kind, times=times, **how)

    def tries(self, match: str) -> int:
        """Return how often a money request is sent if no answer to it comes."""
        again = match in self.case.resends or (self.case.repeats and match == self.case.opens)
        return ATTEMPTS if again else 1

    def joins(self, kind: Kind, match: str) -> bool:
        """Return whether a second order of a reference is the first, as long as the key lives."""
        return match in self.case.resends and not self.driver.facts[kind].deduplicates

    def settle(self, payment: Payment, status: Status, **how: Any) -> None:
        """Let the payer decide."""
        assert payment.provider_reference is not None
        self.sim.settle(payment.provider_reference, status, **how)

    async def paid(self, payment: Payment) -> Payment:
        """Let the payment succeed, and return it as the provider then says that it is."""
        self.settle(payment, Status.SUCCEEDED)
        if payment.kind != "collect" or not self.case.by_message:
            return await self.pool.verify(payment)
        event = self.pool.webhook(await self.told())
        return await self.pool.confirm(event, expected=payment)

    def sent(self, match: str) -> list[bytes]:
        """List the bodies of the requests of one kind that were received in full."""
        return [
            request.body
            for request in self.sim.requests
            if f"{request.method} {request.path.rstrip('/')}/" == match
            and request.provider == self.name
        ]

    @property
    def charged(self) -> int:
        """What was really charged."""
        return int(self.sim.ledger.charged(provider=self.name))

    @property
    def moved(self) -> int:
        """What was really charged, or paid out where the provider cannot collect."""
        paid_out = int(self.sim.ledger.paid_out(provider=self.name))
        return self.charged if self.kind == "collect" else paid_out

    async def told(self) -> WebhookRequest:
        """Wait for messages, and return the last one."""
        await asyncio.sleep(2)
        assert self.messages, "the simulator sent no message, or had no address for it"
        return self.messages[-1]

    def on_path_of(self, message: WebhookRequest, reference: str) -> WebhookRequest:
        """Return a message as if it had come in on an order's own path."""
        path = urlsplit(self.pool.webhook_url(self.name, reference, use=self.kind)).path
        return msgspec.structs.replace(message, path=path)
