"""The same promises over every driver, through a pool, against its simulator.

Virtual time, no socket.
"""

import asyncio
import base64
import logging
import re
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self, get_args
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    BadWebhook,
    DuplicateReference,
    Event,
    Item,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    RateLimited,
    Reason,
    Status,
    Trust,
    Unavailable,
    Unsupported,
    UsageError,
    WatchTimeout,
    WebhookRequest,
)
from paymux.drivers import load, names
from paymux.drivers.base import Facts, Verb
from paymux.http import Connection, PreparedRequest, Response
from paymux.models import Kind
from paymux.primitives.redaction import Secret
from paymux.simulator import Fault, Simulator

from .cases import CASES
from .virtual import BASE, KEY, timeless

# good for all of them: a gateway takes digits only, Daraja shows 12 characters
REFERENCE = "104207"
ASKED = Decimal(1000)
ATTEMPTS = 3


every = pytest.mark.parametrize("name", names())
paying_out = pytest.mark.parametrize("name", [name for name in names() if load(name).can("payout")])
refunding = pytest.mark.parametrize("name", [name for name in names() if load(name).can("refund")])
# The other providers tell no mode, and have one address per mode.
telling_modes = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.mode])
telling_amounts = pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.tells_amount]
)
logging_in = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.login])
# A page is served where an order gives its address.
serving_pages = pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if "return_url" in case.order]
)


class Desk:
    """One account at its simulated provider, and the messages that came from there."""

    def __init__(
        self, name: str, *, carried: Callable[[Connection], Connection] | None = None, **fields: Any
    ) -> None:
        self.name, self.case = name, CASES[name]
        self.sim = Simulator()
        self.provider: Any = getattr(self.sim, name)
        self.messages: list[WebhookRequest] = []
        self.sim.on_webhook(self.messages.append)
        if self.case.bearer and not fields:
            fields = {"access_token": "", "bearer": self._bearer}
        self.driver = self.sim.driver(name, **fields)
        self.connection: Connection = self.sim.connection
        if carried is not None:
            self.connection = carried(self.sim.connection)
        self.pool = self.another_pool()
        if self.case.dashboard:
            self.provider.webhook_url = self.pool.webhook_url(name)
        if hasattr(self.provider, "reference_key"):
            # the documented key of the custom data
            self.provider.reference_key = "paymux_reference"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.aclose()
        await self.sim.core.aclose()

    async def _bearer(self) -> str:
        token: str = self.provider.issue()
        return token

    def another_pool(self) -> Pool:
        """Give a pool that knows nothing of what was before."""
        return Pool(
            self.driver,
            connection=self.connection,
            attempts=ATTEMPTS,
            webhook_base=BASE,
            webhook_key=KEY,
        )

    async def collect(
        self, reference: str = REFERENCE, amount: int = 1000, **order: Any
    ) -> Payment:
        """Collect 1000 units."""
        return await self.pool.collect(
            self.name, **{"reference": reference, "amount": amount, **self.case.order, **order}
        )

    async def unknown(self, match: str, ask: Callable[[], Awaitable[Payment]]) -> Payment:
        """Lose the answers to a money request, and give the payment of the OutcomeUnknown."""
        self.fault(match, Fault.DROP_AFTER, times=ATTEMPTS if self.case.repeats else 1)
        with pytest.raises(OutcomeUnknown) as caught:
            await ask()
        return caught.value.payment

    def fault(self, match: str, kind: Fault, *, times: int = 1, **how: Any) -> None:
        """Plan trouble at this provider."""
        self.sim.fault(self.name, match, kind=kind, times=times, **how)

    def settle(self, payment: Payment, status: Status, **how: Any) -> None:
        """Let the payer decide."""
        assert payment.provider_reference is not None
        self.sim.settle(payment.provider_reference, status, **how)

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
        """Say what was really charged."""
        return int(self.sim.ledger.charged(provider=self.name))

    async def told(self) -> WebhookRequest:
        """Give the last message that came."""
        await asyncio.sleep(2)
        return self.messages[-1]

    def on_path_of(self, message: WebhookRequest, reference: str) -> WebhookRequest:
        """Give a message as if it had come in on an order's own path."""
        path = urlsplit(self.pool.webhook_url(self.name, reference)).path
        return msgspec.structs.replace(message, path=path)


def test_every_driver_is_in_the_table() -> None:
    """Each driver that is found on disk is held to the contract."""
    assert sorted(CASES) == names()


@pytest.mark.proves(
    "cinetpay: after SUCCESS deliver",
    "mpesa_gateway: integration steps 1",
    "paydunya: a confirmation may take",
)
@every
@timeless
async def test_a_collect_is_watched_to_its_success(name: str) -> None:
    """A collect is pending, then succeeded; the ledger has one charge, and one request was made."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        assert (payment.status, payment.reference, payment.amount) == (
            Status.PENDING,
            REFERENCE,
            ASKED,
        )
        asyncio.get_running_loop().call_later(20, desk.settle, payment, Status.SUCCEEDED)
        seen = [found async for found in desk.pool.watch(payment)]
        assert list(dict.fromkeys(found.status for found in seen)) == [
            Status.PENDING,
            Status.SUCCEEDED,
        ]
        end = seen[-1]
        assert (end.reference, end.amount, end.currency) == (
            REFERENCE,
            ASKED,
            desk.case.order["currency"],
        )
        assert (end.account, end.provider, end.kind, end.live) == (name, name, "collect", False)
        assert end.reason is None
        assert desk.charged == 1000
        assert len(desk.sent(desk.case.opens)) == 1


@pytest.mark.proves("cinetpay: /v2/payment amount: int")
@every
@timeless
async def test_an_amount_travels_as_documented(name: str) -> None:
    """1000 units are the provider's own type and spelling on the wire: no float, no fraction."""
    async with Desk(name) as desk:
        await desk.collect()
        (body,) = desk.sent(desk.case.opens)
        found = re.search(re.escape(desk.case.wire) + rb"[,}]", body)
        assert found, body


@pytest.mark.proves(
    "campay: implement retries",
    "mpesa_gateway: payment requests are idempotent",
    "mpesa_gateway: time-outs and network errors",
)
@every
@timeless
async def test_a_lost_answer_is_unknown_and_charges_once_at_most(name: str) -> None:
    """Without its answer an order is OutcomeUnknown with a payment to keep.

    It is not sent again.
    """
    async with Desk(name) as desk:
        payment = await desk.unknown(desk.case.opens, desk.collect)
        assert (payment.status, payment.reference, payment.amount) == (
            Status.PENDING,
            REFERENCE,
            ASKED,
        )
        assert (payment.account, payment.provider, payment.kind) == (name, name, "collect")
        sent = len(desk.sent(desk.case.opens))
        assert sent == (ATTEMPTS if desk.case.repeats else 1)
        assert len(desk.sim.ledger) == sent
        assert desk.charged == 0


@every
def test_only_what_cannot_charge_twice_is_repeated(name: str) -> None:
    """A collect is repeated only where each POST opens a page that cannot be paid without its
    address.
    """
    driver = load(name)
    if CASES[name].repeats:
        assert driver.lost_page
        assert "return_url" in CASES[name].order


@every
@timeless
async def test_a_lost_answer_is_resolved_where_the_provider_allows_it(name: str) -> None:
    """By our reference where the provider takes it, else by the order's own message.

    Else it stays unknown.
    """
    async with Desk(name) as desk:
        payment = await desk.unknown(desk.case.opens, desk.collect)
        order = desk.sim.ledger.entries(provider=name)[-1]
        desk.sim.settle(order.provider_reference, Status.SUCCEEDED)
        if desk.driver.can("find"):
            found = await desk.pool.find(name, reference=REFERENCE)
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
        elif desk.case.names_order:
            found = await desk.pool.confirm(desk.pool.webhook(await desk.told()), expected=payment)
        else:
            event = desk.pool.webhook(await desk.told())
            with pytest.raises(BadWebhook):
                await desk.pool.confirm(event, expected=payment)
            return
        assert (found.status, found.reference) == (Status.SUCCEEDED, REFERENCE)
        assert found.provider_reference == order.provider_reference
        assert desk.charged == 1000


@every
@timeless
async def test_a_watch_on_a_lost_answer_ends_with_the_truth(name: str) -> None:
    """The payment of an OutcomeUnknown is watched like any other.

    By polling, or woken by its message.
    """
    async with Desk(name) as desk:
        payment = await desk.unknown(desk.case.opens, desk.collect)
        order = desk.sim.ledger.entries(provider=name)[-1]
        watching = asyncio.create_task(_end(desk.pool, payment))
        await asyncio.sleep(5)
        desk.sim.settle(order.provider_reference, Status.SUCCEEDED)
        if not desk.driver.can("find") and desk.case.names_order:
            await desk.pool.confirm(desk.pool.webhook(await desk.told()))
        if desk.driver.can("find") or desk.case.names_order:
            assert (await watching).status is Status.SUCCEEDED
        else:
            with pytest.raises(WatchTimeout) as caught:
                await watching
            assert caught.value.payment.status is Status.PENDING
        assert desk.charged == 1000


async def _end(pool: Pool, payment: Payment) -> Payment:
    return await pool.watch(payment, timeout=100)


ENDS = {
    Status.FAILED: Reason.DECLINED,
    Status.CANCELLED: Reason.CANCELLED,
    Status.EXPIRED: Reason.EXPIRED,
}


@pytest.mark.proves("cinetpay: after SUCCESS deliver", "mpesa_gateway: monitor success rates")
@pytest.mark.parametrize("status", ENDS)
@every
@timeless
async def test_what_was_not_paid_ends_as_a_value(name: str, status: Status) -> None:
    """Declined, cancelled and expired are no exceptions.

    The payment says so, and why, in both languages.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        asyncio.get_running_loop().call_later(
            20, lambda: desk.settle(payment, status, reason=ENDS[status])
        )
        end = await desk.pool.watch(payment)
        assert end.status is desk.case.told.get(status, status)
        assert end.reason is not None
        assert end.reason.text("fr") != end.reason.text("en")
        assert end.provider_status
        assert desk.charged == 0


@every
@timeless
async def test_money_that_comes_late_is_real(name: str) -> None:
    """A payment that had failed and then succeeds is told as what it is: a success."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.FAILED, reason=Reason.DECLINED)
        failed = await desk.pool.verify(payment)
        assert failed.status is Status.FAILED
        desk.settle(payment, Status.SUCCEEDED)
        late = await desk.pool.verify(failed)
        assert (late.status, late.reason) == (Status.SUCCEEDED, None)
        assert desk.charged == 1000


@pytest.mark.proves("cinetpay: after SUCCESS deliver")
@pytest.mark.parametrize("truth", [Status.PENDING, Status.SUCCEEDED, Status.FAILED])
@every
@timeless
async def test_an_unknown_word_stays_pending(name: str, truth: Status) -> None:
    """An undocumented word is neither success nor failure, whatever is true.

    It is kept.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, truth, code="7777" if name == "mpesa" else "MYSTERY")
        found = await desk.pool.verify(payment)
        assert found.status is Status.PENDING
        assert (found.provider_status or "").split("/")[0] == (
            "7777" if name == "mpesa" else "MYSTERY"
        )


@every
@timeless
async def test_not_found_yet_does_not_end_a_watch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that does not know a payment yet, in its own words, is asked again until it
    does.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        with monkeypatch.context() as hidden:
            hidden.setattr(desk.provider, "entry", lambda _: None)
            with pytest.raises((PaymuxError, asyncio.TimeoutError)) as caught:
                await desk.pool.verify(payment)
            assert not isinstance(caught.value, UsageError | Mismatch | OutcomeUnknown)
            watching = asyncio.create_task(_end(desk.pool, payment))
            await asyncio.sleep(45)
            assert not watching.done()
        desk.settle(payment, Status.SUCCEEDED)
        assert (await watching).status is Status.SUCCEEDED
        assert desk.charged == 1000


@pytest.mark.proves("campay: refresh the token periodically", "mpesa_gateway: every endpoint wants")
@every
@timeless
async def test_a_stale_token_costs_one_login_and_one_charge(name: str) -> None:
    """Where there are tokens a stale one is renewed once.

    Keys that are refused are AuthenticationFailed.
    """
    async with Desk(name) as desk:
        desk.fault(desk.case.opens, Fault.STALE_TOKEN)
        if not (desk.case.login or desk.case.bearer):
            with pytest.raises(AuthenticationFailed):
                await desk.collect()
            assert (len(desk.sent(desk.case.opens)), len(desk.sim.ledger)) == (1, 0)
            return
        payment = await desk.collect()
        asked = [
            request
            for request in desk.sim.requests
            if desk.case.opens.split()[1] in f"{request.path}/"
        ]
        assert len({request.headers["authorization"] for request in asked}) == 2
        assert len(desk.sent(desk.case.login)) == (2 if desk.case.login else 0)
        assert len(desk.sim.ledger) == 1
        desk.settle(payment, Status.SUCCEEDED)
        desk.fault(desk.case.looks, Fault.STALE_TOKEN)
        assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
        assert desk.charged == 1000


@every
@timeless
async def test_credentials_refused_for_good_are_authentication_failed(name: str) -> None:
    """A token that is refused again after its renewal is not tried for ever, and nothing is
    charged.
    """
    async with Desk(name) as desk:
        desk.fault(desk.case.opens, Fault.STALE_TOKEN, times=10)
        with pytest.raises(AuthenticationFailed) as caught:
            await desk.collect()
        assert (caught.value.account, caught.value.reference) == (name, REFERENCE)
        assert len(desk.sent(desk.case.opens)) <= 2
        assert len(desk.sim.ledger) == 0


@logging_in
@timeless
async def test_an_order_without_a_login_is_not_sent(name: str) -> None:
    """A login that fails says nothing of the order, which never left.

    NotSent for money, Unavailable to look.
    """
    async with Desk(name) as desk:
        desk.fault(desk.case.login, Fault.HTML, times=ATTEMPTS)
        with pytest.raises(NotSent):
            await desk.collect()
        assert (len(desk.sent(desk.case.login)), len(desk.sent(desk.case.opens))) == (ATTEMPTS, 0)
        await asyncio.sleep(2)  # a failed login is remembered for a moment
        assert (await desk.collect()).status is Status.PENDING


@every
@timeless
async def test_a_throttled_order_waits_and_succeeds(name: str) -> None:
    """Refused before processing, an order is made after the wait.

    A 429 in unknown words is unknown.
    """
    async with Desk(name) as desk:
        desk.fault(desk.case.opens, Fault.THROTTLE, retry_after=2)
        began = asyncio.get_running_loop().time()
        if not desk.case.throttles:
            with pytest.raises(OutcomeUnknown):
                await desk.collect()
            assert len(desk.sent(desk.case.opens)) == 1
            return
        payment = await desk.collect()
        assert payment.status is Status.PENDING
        assert asyncio.get_running_loop().time() - began >= 2
        assert len(desk.sim.ledger) == 1


@every
@timeless
async def test_a_throttled_look_up_waits_or_says_how_long(name: str) -> None:
    """A look-up waits as long as it is told; a wait beyond the deadline is RateLimited at once."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        desk.fault(desk.case.looks, Fault.THROTTLE, retry_after=2)
        assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
        desk.fault(desk.case.looks, Fault.THROTTLE, retry_after=3600)
        began = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited) as caught:
            await desk.pool.verify(payment)
        assert caught.value.retry_after == 3600
        assert asyncio.get_running_loop().time() - began < 1


@every
@timeless
async def test_a_throttled_order_that_does_not_fit_is_refused_at_once(name: str) -> None:
    """Where an order is surely throttled beyond its deadline, RateLimited comes at once and nothing
    was made.
    """
    async with Desk(name) as desk:
        desk.fault(desk.case.opens, Fault.THROTTLE, retry_after=3600)
        began = asyncio.get_running_loop().time()
        # Intram and PayDunya document no throttling: their refusal proves nothing, and does not fit
        # either.
        sure = desk.case.throttles and not desk.case.repeats
        with pytest.raises(RateLimited if sure else OutcomeUnknown):
            await desk.collect()
        assert asyncio.get_running_loop().time() - began < 1
        assert len(desk.sent(desk.case.opens)) == 1
        assert len(desk.sim.ledger) == 0


ODD = [
    pytest.param(Fault.HTML, 200, id="a page with 200"),
    pytest.param(Fault.HTML, 500, id="a page with 500"),
    pytest.param(Fault.ERROR, 502, id="502"),
    pytest.param(Fault.REDIRECT, 302, id="a redirect"),
    pytest.param(Fault.TRUNCATE, None, id="cut"),
]


@pytest.mark.parametrize(("kind", "status"), ODD)
@pytest.mark.parametrize("processed", [True, False])
@every
@timeless
async def test_an_odd_answer_to_an_order_is_unknown(
    name: str, kind: Fault, status: int | None, processed: bool
) -> None:
    """A page, a redirect, a 5xx or half an answer proves nothing of money, processed or not."""
    async with Desk(name) as desk:
        times = ATTEMPTS if desk.case.repeats else 1
        desk.fault(desk.case.opens, kind, status=status, times=times, processed=processed)
        with pytest.raises(OutcomeUnknown) as caught:
            await desk.collect()
        assert caught.value.payment.reference == REFERENCE
        assert len(desk.sent(desk.case.opens)) == times
        assert desk.charged == 0


@pytest.mark.proves("mpesa_gateway: integration steps 1")
@pytest.mark.parametrize(("kind", "status"), ODD)
@every
@timeless
async def test_an_odd_answer_to_a_look_up_is_unavailable(
    name: str, kind: Fault, status: int | None
) -> None:
    """The same of a look-up is repeated, and then Unavailable: never a failure of the payment."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        desk.fault(desk.case.looks, kind, status=status, times=ATTEMPTS)
        with pytest.raises(Unavailable):
            await desk.pool.verify(payment)
        assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED


@pytest.mark.proves(
    "campay: notifications come",
    "campay: always check the status",
    "cinetpay: /v2/payment notify_url",
    "cinetpay: a notification never tells",
    "cinetpay: do nothing twice: a payment",
    "intram: actions.callback_url",
    "mpesa_gateway: integration steps 1",
    "paydunya: actions.callback_url: where",
    "paydunya: a confirmation may take",
)
@every
@timeless
async def test_a_message_is_confirmed_by_asking(name: str) -> None:
    """A message of success has no status to act on.

    Confirming it asks, and wakes a watch on the payment.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        watching = asyncio.create_task(_end(desk.pool, payment))
        await asyncio.sleep(1)
        desk.settle(payment, Status.SUCCEEDED)
        event = desk.pool.webhook(await desk.told())
        assert isinstance(event, Event)
        assert not hasattr(event, "status")
        assert event.trust is not Trust.BODY  # no provider of these signs all that it says
        found = await desk.pool.confirm(event, expected=payment)
        assert (found.status, found.reference, found.amount) == (Status.SUCCEEDED, REFERENCE, ASKED)
        assert (await watching).status is Status.SUCCEEDED
        again = await desk.pool.confirm(event, expected=found)
        assert again.status is Status.SUCCEEDED
        assert desk.charged == 1000


@pytest.mark.proves(
    "campay: always check the status",
    "intram: always validate callbacks",
    "mpesa_gateway: verify before fulfilling",
)
@every
@timeless
async def test_a_forged_message_is_refused_or_found_out(name: str) -> None:
    """A false success is BadWebhook where the provider signs, and else confirmed as what is
    true.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.fault("", Fault.WEBHOOK_FORGED)
        desk.settle(payment, Status.FAILED, reason=Reason.DECLINED)
        await desk.told()
        forged, true = desk.messages[-2:]
        assert (
            await desk.pool.confirm(desk.pool.webhook(true), expected=payment)
        ).status is Status.FAILED
        if desk.case.signs:
            with pytest.raises(BadWebhook):
                desk.pool.webhook(forged)
            return
        event = desk.pool.webhook(forged)
        assert event.trust is Trust.NOTHING
        assert (await desk.pool.confirm(event, expected=payment)).status is Status.FAILED


@pytest.mark.proves("mpesa_gateway: verify before fulfilling")
@every
@timeless
async def test_a_success_that_comes_before_the_money_confirms_nothing(name: str) -> None:
    """A replayed or invented success of a pending payment gives a pending payment."""
    async with Desk(name) as desk:
        first = await desk.collect()
        await asyncio.sleep(61)  # a phone shows one prompt at a time, for a minute at most
        second = await desk.collect("104208")
        desk.settle(first, Status.SUCCEEDED)
        event = desk.pool.webhook(await desk.told())
        claims = msgspec.structs.replace(
            event.claims,
            reference=second.reference,
            provider_reference=second.provider_reference,
            ids=second.ids,
        )
        forged = msgspec.structs.replace(event, claims=claims, path_reference=None)
        assert (await desk.pool.confirm(forged, expected=second)).status is Status.PENDING


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[1]", b'{"a":' * 5000, b"\xff\xfe", b"a=1&a=2"]
)
@every
@timeless
async def test_an_unreadable_message_is_a_bad_webhook(name: str, body: bytes) -> None:
    """Whatever arrives at the callback address, BadWebhook is all that comes out."""
    async with Desk(name) as desk:
        path = urlsplit(desk.pool.webhook_url(name)).path
        with pytest.raises(BadWebhook):
            desk.pool.webhook(WebhookRequest(path=path, body=body))


@pytest.mark.parametrize("lost", [False, True], ids=["held", "lost answer"])
@pytest.mark.parametrize("fresh", [False, True], ids=["same pool", "fresh pool"])
@every
@timeless
async def test_another_cheaper_payment_never_confirms_this_order(
    name: str, fresh: bool, lost: bool
) -> None:
    """A true message about another payment, posted to this order's path, does not pay this
    order.
    """
    async with Desk(name) as desk:
        dear, cheap = await desk.collect(amount=50_000), await desk.collect("104208")
        desk.settle(cheap, Status.SUCCEEDED)
        message = desk.on_path_of(await desk.told(), REFERENCE)
        pool = desk.another_pool() if fresh else desk.pool
        expected = msgspec.structs.replace(dear, provider_reference=None, ids={}) if lost else dear
        event = pool.webhook(message)
        with pytest.raises((Mismatch, BadWebhook)):
            await pool.confirm(event, expected=expected)
        await pool.aclose()


@every
@timeless
async def test_another_cheaper_payment_never_resolves_a_lost_answer(name: str) -> None:
    """An order whose answer was lost is not paid by another process's cheaper payment, posted to
    its path.
    """
    async with Desk(name) as desk:
        dear = await desk.unknown(desk.case.opens, lambda: desk.collect(amount=50_000))
        elsewhere = desk.another_pool()
        await asyncio.sleep(61)  # a phone shows one prompt at a time, for a minute at most
        order = {**desk.case.order, "amount": 1000, "reference": "104208"}
        desk.settle(await elsewhere.collect(name, **order), Status.SUCCEEDED)
        await elsewhere.aclose()
        event = desk.pool.webhook(desk.on_path_of(await desk.told(), REFERENCE))
        with pytest.raises((Mismatch, BadWebhook)):
            await desk.pool.confirm(event, expected=dear)


@every
@timeless
async def test_a_path_that_was_not_given_out_is_refused(name: str) -> None:
    """A callback path with a wrong MAC is BadWebhook, whatever the message says."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        message = desk.on_path_of(await desk.told(), REFERENCE)
        forged = message.path[:-1] + ("0" if message.path[-1] != "0" else "1")
        with pytest.raises(BadWebhook):
            desk.pool.webhook(msgspec.structs.replace(message, path=forged))


class Bent:
    """A connection that changes what is answered."""

    def __init__(self, inner: Connection, live: bytes, test: bytes) -> None:
        self._inner, self._live, self._test = inner, live, test
        self.changed = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, and bend its answer."""
        reply = await self._inner.exchange(outgoing)
        self.changed += reply.body.count(self._live)
        return msgspec.structs.replace(reply, body=reply.body.replace(self._live, self._test))

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Pass frames on."""
        return self._inner.frames(outgoing)

    async def aclose(self) -> None:
        """Close nothing."""


@pytest.mark.proves("intram: transactions of the sandbox")
@pytest.mark.parametrize("bent", [False, True], ids=["paid", "rehearsed"])
@telling_modes
@timeless
async def test_a_test_success_on_a_live_account_is_a_mismatch(name: str, bent: bool) -> None:
    """What was paid in the provider's test mode never completes a live order."""
    case = CASES[name]
    assert case.mode is not None
    live, test = case.mode
    async with Desk(
        name,
        carried=lambda inner: Bent(inner, live, test if bent else live),
        live=True,
        **case.live,
    ) as desk:
        for attribute, value in case.shape.items():
            setattr(desk.provider, attribute, value)
        payment = await desk.collect()
        assert payment.live is True
        desk.settle(payment, Status.SUCCEEDED)
        if bent:
            with pytest.raises(Mismatch) as caught:
                await desk.pool.verify(payment)
            assert caught.value.fields == ("live",)
        else:
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
        assert isinstance(desk.connection, Bent)
        assert desk.connection.changed == 1


@telling_amounts
@timeless
async def test_another_amount_is_a_mismatch(name: str) -> None:
    """A payment of less than what was expected never verifies as paid."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        assert payment.amount is not None
        dearer = msgspec.structs.replace(payment, amount=payment.amount + 5)
        with pytest.raises(Mismatch) as caught:
            await desk.pool.verify(dearer)
        assert caught.value.fields == ("amount",)


@pytest.mark.proves("cinetpay: /v2/payment transaction_id")
@every
@timeless
async def test_a_second_use_of_a_reference_is_what_the_facts_say(name: str) -> None:
    """Who forgot the first: the provider's own duplicate is unknown, and looked up.

    Without one it is an order.
    """
    async with Desk(name) as desk:
        await desk.collect()
        await desk.pool.aclose()
        desk.pool = desk.another_pool()
        if desk.driver.facts["collect"].deduplicates:
            with pytest.raises(OutcomeUnknown, match="has had this reference before") as caught:
                await desk.collect()
            assert "new reference is safe" not in str(caught.value)
            assert len(desk.sim.ledger) == 1
            (reference,) = (entry.reference for entry in desk.sim.ledger)
            assert reference is not None
            assert caught.value.payment.reference == reference
            desk.sim.settle(reference, Status.SUCCEEDED)
            assert (await desk.pool.watch(caught.value.payment)).status is Status.SUCCEEDED
        else:
            await desk.collect()
            assert len(desk.sim.ledger) == 2


@pytest.mark.proves("mpesa_gateway: payment requests are idempotent")
@every
@timeless
async def test_the_same_order_twice_at_once_is_one_request(name: str) -> None:
    """Two callers with one order in flight share its one request.

    Another order under it is refused.
    """
    async with Desk(name) as desk:
        one, two, other = await asyncio.gather(
            desk.collect(), desk.collect(), desk.collect(amount=2000), return_exceptions=True
        )
        assert one == two
        assert isinstance(other, DuplicateReference)
        assert len(desk.sent(desk.case.opens)) == 1


@every
def test_facts_are_declared_for_each_money_verb(name: str) -> None:
    """Each money verb that a driver can do has its facts, and none that it cannot.

    `findable` is `can("find")`.
    """
    driver = load(name)
    money = [kind for kind in get_args(Kind) if driver.can(kind)]
    assert sorted(driver.facts) == sorted(money)
    assert all(isinstance(fact, Facts) for fact in driver.facts.values())
    assert any(fact.findable for fact in driver.facts.values()) == driver.can("find")


@paying_out
@timeless
async def test_a_payout_is_made_once(name: str) -> None:
    """A payout arrives once; what the provider says of it later is told."""
    async with Desk(name) as desk:
        payee, request = _payout(desk)
        paid = await _pay(desk, payee)
        assert (paid.kind, paid.reference, paid.payer) == ("payout", "wage-7", None)
        if paid.status is Status.PENDING:
            desk.settle(paid, Status.SUCCEEDED)
            paid = await desk.pool.verify(paid)
        assert (paid.status, paid.kind) == (Status.SUCCEEDED, "payout")
        assert desk.sim.ledger.paid_out(provider=name) == 500
        assert len(desk.sent(request)) == 1
        assert desk.charged == 0


@pytest.mark.parametrize(
    ("kind", "status"), [*ODD, pytest.param(Fault.DROP_AFTER, None, id="lost")]
)
@paying_out
@timeless
async def test_a_payout_without_its_answer_is_unknown_at_once(
    name: str, kind: Fault, status: int | None
) -> None:
    """A payout is never sent a second time, whatever came instead of its answer."""
    async with Desk(name) as desk:
        payee, request = _payout(desk)
        desk.fault(request, kind, status=status)
        with pytest.raises(OutcomeUnknown) as caught:
            await _pay(desk, payee)
        assert (caught.value.payment.kind, caught.value.payment.reference) == ("payout", "wage-7")
        assert len(desk.sent(request)) == 1
        assert len(desk.sim.ledger) == 1


@paying_out
@timeless
async def test_a_payout_beyond_the_balance_is_refused_for_certain(name: str) -> None:
    """Not enough money is the provider's own no, with our reason, and nothing is paid out."""
    async with Desk(name) as desk:
        payee, _ = _payout(desk)
        desk.provider.balance = 0
        desk.provider.floats = {"MTN": 0, "ORANGE": 0}
        with pytest.raises(PaymuxError) as caught:
            await _pay(desk, payee)
        assert getattr(caught.value, "reason", None) is Reason.INSUFFICIENT_FUNDS
        assert len(desk.sim.ledger) == 0


def _payout(desk: Desk) -> tuple[str, str]:
    assert desk.case.payout is not None
    return desk.case.payout


async def _pay(desk: Desk, payee: str) -> Payment:
    currency = desk.case.order["currency"]
    return await desk.pool.payout(
        desk.name, amount=500, currency=currency, payee=payee, reference="wage-7"
    )


@pytest.mark.proves("mpesa_gateway: POST /api/payment/transactions/{transaction_id}/refund/")
@refunding
@timeless
async def test_a_refund_is_pending_and_asked_for_once(name: str) -> None:
    """A refund that was accepted is PENDING.

    One whose answer was lost is unknown, and not asked for again.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        paid = await desk.pool.verify(payment)
        back = await desk.pool.refund(paid, amount=400, reference="204207", reason="damaged")
        assert (back.status, back.kind, back.amount) == (Status.PENDING, "refund", Decimal(400))
        desk.fault("POST /refund/", Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown) as caught:
            await desk.pool.refund(paid, amount=300, reference="204208")
        assert (caught.value.payment.kind, caught.value.payment.amount) == ("refund", Decimal(300))
        assert len([entry for entry in desk.sim.ledger if entry.kind == "refund"]) == 2
        with pytest.raises(UsageError, match="amount"):
            await desk.pool.refund(paid, amount=1001, reference="204209")


@pytest.mark.proves("cinetpay: /v2/payment return_url")
@serving_pages
@timeless
async def test_a_browser_that_came_back_is_a_hint(name: str) -> None:
    """After the payer's decision on the page, the URL of the payer's return is confirmed like any
    message.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        assert payment.checkout_url
        page = urlsplit(payment.checkout_url).path.removeprefix(f"/{name}")
        shown = await desk.provider.handle(WebhookRequest(method="GET", path=page))
        assert (shown.status, desk.charged) == (200, 0)
        decided = WebhookRequest(
            path=page,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"decision": "approve"}).encode(),
        )
        back = (await desk.provider.handle(decided)).headers["location"]
        event = desk.pool.returned(name, back)
        assert event.trust is Trust.NOTHING
        assert (await desk.pool.confirm(event, expected=payment)).status is Status.SUCCEEDED
        assert desk.charged == 1000


@every
@timeless
async def test_unknown_settings_are_refused(name: str) -> None:
    """A name in `extra` that the driver does not take is UsageError naming it, and nothing is
    sent.
    """
    async with Desk(name) as desk:
        with pytest.raises(UsageError, match="colour"):
            await desk.collect(extra={"colour": "red"})
        assert desk.sim.requests == []


@pytest.mark.proves("campay: notifications come")
@every
@timeless
async def test_what_an_order_cannot_carry_is_refused(name: str) -> None:
    """An option that the provider has no field for is UsageError naming it, and nothing is sent."""
    given: dict[str, Any] = {
        "metadata": {"external_user": "ada"},
        "return_url": "https://shop.example/back",
        "cancel_url": "https://shop.example/left",
        "webhook_url": "https://shop.example/hook",
    }
    async with Desk(name) as desk:
        for option, value in given.items():
            if option not in desk.driver.takes:
                with pytest.raises(UsageError, match=option):
                    await desk.collect(**{option: value})
        assert desk.sim.requests == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 10.5),
        ("amount", "10.5"),
        ("amount", 0),
        ("amount", -5),
        ("amount", "1E+1000000"),
        ("currency", "EUR"),
        ("currency", "XXX"),
        ("reference", ""),
        ("reference", "a b"),
        ("reference", "9" * 65),
        ("payer", "+1 202 555 0100"),
        ("payer", "call me"),
    ],
)
@every
@timeless
async def test_bad_input_is_named_and_never_sent(name: str, field: str, value: object) -> None:
    """A wrong amount, currency, reference or payer is UsageError naming the field before anything
    is sent.
    """
    async with Desk(name) as desk:
        with pytest.raises(UsageError, match=field):
            await desk.pool.collect(
                name, **{"amount": 1000, "reference": REFERENCE, **desk.case.order, field: value}
            )
        assert desk.sim.requests == []


def _calls(desk: Desk) -> Mapping[Verb, Callable[[], Awaitable[object]]]:
    """Give a call of each verb of the pool; `webhook` and `returned` await nothing."""
    pool, name, now = desk.pool, desk.name, datetime.now(UTC)
    currency = desk.case.order["currency"]
    known = Payment(
        account=name, provider_reference="known-1", reference=REFERENCE, currency=currency
    )

    async def history() -> list[Payment]:
        return [found async for found in pool.history(name, since=now, until=now)]

    async def returned() -> Event:
        return pool.returned(name, "https://shop.example/back?token=known-1")

    async def webhook() -> Event:
        return pool.webhook(WebhookRequest(body=b"{}"), account=name)

    return {
        "collect": desk.collect,
        "payout": lambda: _pay(desk, "254712345678"),
        "refund": lambda: pool.refund(known, amount=500, reference="204207"),
        "verify": lambda: pool.verify(known),
        "find": lambda: pool.find(name, reference=REFERENCE),
        "balance": lambda: pool.balance(name),
        "history": history,
        "receipt": lambda: pool.receipt(known),
        "methods": lambda: pool.methods(name),
        "webhook": webhook,
        "returned": returned,
    }


@every
@timeless
async def test_a_verb_that_the_provider_lacks_is_unsupported(name: str) -> None:
    """What a driver does not override is Unsupported, and nothing is sent."""
    async with Desk(name) as desk:
        calls = _calls(desk)
        assert set(calls) == set(get_args(Verb))
        for verb, call in calls.items():
            if not desk.driver.can(verb):
                with pytest.raises(Unsupported):
                    await call()
        assert desk.sim.requests == []


@pytest.mark.proves("mpesa_gateway: GET /api/payment/history/")
@every
@timeless
async def test_a_verb_that_the_provider_has_answers(name: str) -> None:
    """Balance, history, receipt and methods work against the simulator where the driver has
    them.
    """
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        if desk.driver.can("balance"):
            balance = await desk.pool.balance(name)
            assert (balance.currency, balance.available > 0) == (desk.case.order["currency"], True)
        if desk.driver.can("history"):
            since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
            found = [past async for past in desk.pool.history(name, since=since, until=until)]
            assert [past.provider_reference for past in found] == [payment.provider_reference]
            assert (found[0].status, found[0].amount) == (Status.SUCCEEDED, ASKED)
        if desk.driver.can("receipt"):
            receipt = await desk.pool.receipt(payment)
            assert (receipt.amount, receipt.status) == (ASKED, Status.SUCCEEDED)
        if desk.driver.can("methods"):
            assert [method.enabled for method in await desk.pool.methods(name)] == [True]
        alone = (
            await desk.pool.verify(name, payment.provider_reference or "")
            if name != "mpesa_gateway"
            else None
        )
        assert alone is None or alone.status is Status.SUCCEEDED


@pytest.mark.proves("cinetpay: always store payment_token")
@every
@timeless
async def test_a_payment_survives_json(name: str) -> None:
    """What each verb gives can be stored as JSON and read again, all of it."""
    async with Desk(name) as desk:
        payment = await desk.collect()
        desk.settle(payment, Status.SUCCEEDED)
        verified = await desk.pool.verify(payment)
        lost = await desk.unknown(desk.case.opens, lambda: desk.collect("104208"))
        for one in (payment, verified, lost):
            assert msgspec.json.decode(msgspec.json.encode(one), type=Payment) == one
        stored = msgspec.json.decode(msgspec.json.encode(payment), type=Payment)
        assert (await desk.pool.verify(stored)).status is Status.SUCCEEDED


class Disguise:
    """A connection that gives the simulator its own word for each canary, and adds the canaries to
    each answer.
    """

    def __init__(self, inner: Connection, canaries: Mapping[str, str]) -> None:
        self._inner, self._canaries = inner, canaries

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, with an answer that repeats every credential in every form."""
        plain = PreparedRequest(
            method=outgoing.method,
            url=self._plain(outgoing.url),
            headers={name: self._plain(value) for name, value in outgoing.headers.items()},
            body=outgoing.body and self._plain(outgoing.body.decode()).encode(),
            money=outgoing.money,
        )
        try:
            reply = await self._inner.exchange(plain)
        finally:
            outgoing.started, outgoing.sent = plain.started, plain.sent
        if not reply.body.startswith(b"{"):
            return reply
        echo = msgspec.json.encode([form for canary in self._canaries for form in _forms(canary)])
        return msgspec.structs.replace(reply, body=b'{"echo":' + echo + b"," + reply.body[1:])

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Pass frames on."""
        return self._inner.frames(outgoing)

    async def aclose(self) -> None:
        """Close nothing."""

    def _plain(self, text: str) -> str:
        for canary, word in self._canaries.items():
            text = text.replace(canary, word)
        return re.sub(r"[A-Za-z0-9+/]{16,}={0,2}", self._decoded, text)

    def _decoded(self, found: re.Match[str]) -> str:
        try:
            text = base64.b64decode(found[0], validate=True).decode()
        except ValueError:
            return found[0]
        for canary, word in self._canaries.items():
            text = text.replace(canary, word)
        return base64.b64encode(text.encode()).decode()


def _forms(secret: str) -> set[str]:
    """Give what a secret looks like.

    Plain, quoted, in hex, and in base64 at each of the three alignments.
    """
    raw = secret.encode()
    shifted = {
        base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)
    }
    return {
        secret,
        quote(secret, safe=""),
        raw.hex(),
        msgspec.json.encode(secret).decode()[1:-1],
        *shifted,
    }


def _rendered(error: BaseException) -> str:
    """Give everything that can be seen of an error, its causes and its notes; not the frames."""
    seen = [f"{error} {error!r} {error.args!r} {vars(error)!r} {getattr(error, '__notes__', '')}"]
    seen += [str(getattr(error, "raw", "")), str(getattr(error, "details", ""))]
    for inner in (error.__cause__, error.__context__):
        seen += [_rendered(inner)] if inner is not None else []
    return "\n".join(seen)


async def _caught(awaitable: Awaitable[object]) -> BaseException | None:
    try:
        await awaitable
    except PaymuxError as error:
        return error
    return None


def _canaries(name: str) -> dict[str, tuple[str, str]]:
    """Give each secret field of a driver a value found nowhere else, beside the simulator's word
    for it.
    """
    sim = Simulator()
    given = sim.providers[name].credentials
    driver = sim.driver(name)
    fields = [
        field for field in driver.__struct_fields__ if isinstance(getattr(driver, field), Secret)
    ]
    words = {field: given.get(field, "") for field in fields}
    return {
        field: (f"canary~{field}+/{index}7e1d", word)
        for index, (field, word) in enumerate(words.items())
        if word
    }


async def _battery(desk: Desk) -> tuple[list[BaseException], list[Payment]]:
    """Make a whole payment, then every kind of trouble; give the errors and the payments."""
    payment = await desk.collect()
    desk.settle(payment, Status.SUCCEEDED)
    found = await desk.pool.verify(payment)
    event = desk.pool.webhook(await desk.told())
    confirmed = await desk.pool.confirm(event, expected=payment)
    opens, looks, number = desk.case.opens, desk.case.looks, 104300
    troubles = (Fault.HTML, Fault.ERROR, Fault.DROP_AFTER, Fault.THROTTLE, Fault.STALE_TOKEN)
    errors: list[BaseException | None] = []
    for kind in troubles:
        for match in (opens, looks):
            number += 1
            times = (
                ATTEMPTS if desk.case.repeats or match == looks or kind is Fault.STALE_TOKEN else 1
            )
            desk.fault(match, kind, times=times, retry_after=3600)
            verb = desk.collect(str(number)) if match == opens else desk.pool.verify(payment)
            errors.append(await _caught(verb))
            desk.provider.core.faults._planned.clear()
            if kind is Fault.THROTTLE:
                # its Retry-After closes the account, for two minutes at most
                await asyncio.sleep(130)
    desk.fault("", Fault.WEBHOOK_FORGED)
    desk.settle(await desk.collect("104299"), Status.FAILED)
    await desk.told()
    forged = desk.messages[-2]
    dearer = msgspec.structs.replace(payment, reference="999")
    odd = Item(name="line", unit_price=Decimal("10.5"))
    errors += [
        await _caught(_read(desk, forged)),
        await _caught(desk.collect(items=[odd])),
        await _caught(desk.pool.verify(dearer)),
        await _caught(desk.collect(extra={"colour": "red"})),
        await _caught(desk.collect(payer="+1 202 555 0100")),
        await _caught(desk.pool.find(desk.name, reference=REFERENCE)),
        await _caught(desk.pool.verify(desk.name, "unknown-1")),
    ]
    return [error for error in errors if error is not None], [payment, found, confirmed]


async def _read(desk: Desk, message: WebhookRequest) -> Event:
    return desk.pool.webhook(message)


async def _disguised(name: str) -> tuple[Desk, list[BaseException], list[Payment]]:
    canaries = _canaries(name)
    words = dict(canaries.values())
    fields = {field: canary for field, (canary, _) in canaries.items()}
    async with Desk(name, carried=lambda inner: Disguise(inner, words), **fields) as desk:
        # What the provider signs its messages with is a credential, too.
        desk.provider.credentials = {**desk.provider.credentials, **fields}
        for field in ("secret_key", "webhook_key"):
            if field in fields:
                setattr(desk.provider, field, fields[field])
        errors, payments = await _battery(desk)
        return desk, errors, payments


@pytest.mark.proves(
    "campay: log all requests and answers",
    "intram: never share the API keys",
    "mpesa_gateway: security measures; credentials",
)
@every
@timeless
async def test_no_secret_is_ever_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """No credential or token, in any form, is in a repr, an error, a record at DEBUG or
    Payment.raw.
    """
    with caplog.at_level(logging.DEBUG, logger="paymux"):
        desk, errors, payments = await _disguised(name)
    assert len(errors) >= 10
    secrets = [canary for canary, _ in _canaries(name).values()]
    signs = [request.headers.get("authorization", "") for request in desk.sim.requests]
    secrets += {sign.split()[-1] for sign in signs if sign} - {"simulator"}
    shown = {
        "the driver": f"{desk.driver!r} {desk.driver}",
        "the pool": repr(desk.pool),
        "a record": "\n".join(record.getMessage() for record in caplog.records),
        "an error": "\n".join(_rendered(error) for error in errors),
        "a payment": "\n".join(f"{payment!r} {payment.raw} {payment.ids}" for payment in payments),
    }
    assert caplog.records
    found = {
        (where, secret)
        for where, text in shown.items()
        for secret in secrets
        for form in _forms(secret)
        if form in text
    }
    assert not found


@every
@timeless
async def test_no_traceback_shows_a_secret(name: str) -> None:
    """An error that is reported with the variables of its frames shows no credential and no
    token.
    """
    desk, errors, _ = await _disguised(name)
    secrets = [canary for canary, _ in _canaries(name).values()]
    signs = [request.headers.get("authorization", "") for request in desk.sim.requests]
    secrets += {sign.split()[-1] for sign in signs if sign} - {"simulator"}
    found = set()
    for error in errors:
        lines = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
        found |= {
            (type(error).__name__, secret)
            for secret in secrets
            for form in _forms(secret)
            if form in lines
        }
    assert not found


@every
@timeless
async def test_no_whole_phone_number_is_shown(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A payer's number is shortened in every record, error and repr."""
    with caplog.at_level(logging.DEBUG, logger="paymux"):
        desk, errors, payments = await _disguised(name)
    number = re.sub("[^0-9]", "", desk.case.order.get("payer", "229 96 00 00 00"))[-9:]
    shown = [record.getMessage() for record in caplog.records]
    shown += [_rendered(error) for error in errors] + [repr(payment) for payment in payments]
    assert not [text for text in shown if number in text]
