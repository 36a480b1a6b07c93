"""Promises about messages: what they say is a hint, and a look-up decides."""

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest

from ...errors import BadWebhook, Mismatch
from ...http import Connection, PreparedRequest, Response, WebhookRequest
from ...models import Event, Reason, Status, Trust
from ...simulator import Fault
from .desk import ASKED, REFERENCE
from .promises import Promises, hears, only, shows_page, tells_mode
from .running import in_virtual_time


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


class MessagePromises(Promises):
    """Promises about messages: what they say is a hint, and a look-up decides."""

    @only(hears)
    def test_the_provider_is_given_an_address(self) -> None:
        """Without one, no message would come, and every other promise about them fails."""
        assert self.case.dashboard or "webhook_url" in self.driver.takes, (
            "takes: webhook_url is missing (Case.dashboard is for a provider where the address is "
            "a setting)"
        )

    @only(hears)
    @in_virtual_time
    async def test_a_message_is_confirmed_by_asking(self) -> None:
        """A message of success has no status to act on.

        Confirming it asks, and wakes a watch on the payment.
        """
        async with self.desk() as desk:
            payment = await desk.order()
            watching = asyncio.create_task(desk.end(payment))
            await asyncio.sleep(1)
            desk.settle(payment, Status.SUCCEEDED)
            event = desk.pool.webhook(await desk.told())
            assert isinstance(event, Event)
            assert not hasattr(event, "status")
            assert (event.trust is Trust.BODY) is desk.case.signs_body
            found = await desk.pool.confirm(event, expected=payment)
            assert (found.status, found.reference, found.amount) == (
                Status.SUCCEEDED,
                REFERENCE,
                ASKED,
            )
            assert (await watching).status is Status.SUCCEEDED
            again = await desk.pool.confirm(event, expected=found)
            assert again.status is Status.SUCCEEDED
            assert desk.moved == 1000

    @only(hears)
    @in_virtual_time
    async def test_a_forged_message_is_refused_or_found_out(self) -> None:
        """A false success is BadWebhook where the provider signs, and else the truth is found.

        One without the token that its order has is a Mismatch.
        """
        async with self.desk() as desk:
            payment = await desk.order()
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
            if desk.case.seals:
                with pytest.raises(Mismatch):
                    await desk.pool.confirm(event, expected=payment)
                return
            assert (await desk.pool.confirm(event, expected=payment)).status is Status.FAILED

    @only(hears)
    @in_virtual_time
    async def test_a_success_that_comes_before_the_money_confirms_nothing(self) -> None:
        """A success that is replayed or invented while the payment is pending leaves it pending."""
        async with self.desk() as desk:
            first = await desk.order()
            await asyncio.sleep(61)  # a phone shows one prompt at a time, for a minute at most
            second = await desk.order("104208")
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
    @only(hears)
    @in_virtual_time
    async def test_an_unreadable_message_is_a_bad_webhook(self, body: bytes) -> None:
        """Whatever arrives at the callback address, BadWebhook is all that comes out, or a ping."""
        async with self.desk() as desk:
            path = urlsplit(desk.pool.webhook_url(desk.name)).path
            if not body and desk.driver.probes:
                assert desk.pool.webhook(WebhookRequest(path=path, body=body)).ping
                return
            with pytest.raises(BadWebhook):
                desk.pool.webhook(WebhookRequest(path=path, body=body))

    @pytest.mark.parametrize("lost", [False, True], ids=["held", "lost answer"])
    @pytest.mark.parametrize("fresh", [False, True], ids=["same pool", "fresh pool"])
    @only(hears)
    @in_virtual_time
    async def test_another_cheaper_payment_never_confirms_this_order(
        self, fresh: bool, lost: bool
    ) -> None:
        """A true message about another payment, posted to this order's path, pays no order."""
        async with self.desk() as desk:
            dear, cheap = await desk.order(amount=50_000), await desk.order("104208")
            desk.settle(cheap, Status.SUCCEEDED)
            message = desk.on_path_of(await desk.told(), REFERENCE)
            pool = desk.another_pool() if fresh else desk.pool
            expected = (
                msgspec.structs.replace(dear, provider_reference=None, ids={}) if lost else dear
            )
            with pytest.raises((Mismatch, BadWebhook)):
                await pool.confirm(pool.webhook(message), expected=expected)
            await pool.aclose()

    @only(hears)
    @in_virtual_time
    async def test_another_cheaper_payment_never_resolves_a_lost_answer(self) -> None:
        """An order whose answer was lost is not paid by a cheaper payment, posted to its path."""
        async with self.desk() as desk:
            dear = await desk.unknown(desk.case.opens, lambda: desk.order(amount=50_000))
            elsewhere = desk.another_pool()
            await asyncio.sleep(61)  # a phone shows one prompt at a time, for a minute at most
            desk.settle(await desk.order("104208", pool=elsewhere), Status.SUCCEEDED)
            await elsewhere.aclose()
            message = desk.on_path_of(await desk.told(), REFERENCE)
            with pytest.raises((Mismatch, BadWebhook)):
                await desk.pool.confirm(desk.pool.webhook(message), expected=dear)

    @only(hears)
    @in_virtual_time
    async def test_a_path_that_was_not_given_out_is_refused(self) -> None:
        """A callback path with a wrong MAC is BadWebhook, whatever the message says."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            message = desk.on_path_of(await desk.told(), REFERENCE)
            forged = message.path[:-1] + ("0" if message.path[-1] != "0" else "1")
            with pytest.raises(BadWebhook):
                desk.pool.webhook(msgspec.structs.replace(message, path=forged))

    @only(tells_mode)
    @pytest.mark.parametrize("bent", [False, True], ids=["paid", "rehearsed"])
    @in_virtual_time
    async def test_a_test_success_on_a_live_account_is_a_mismatch(self, bent: bool) -> None:
        """What was paid in the provider's test mode never completes a live order."""
        case = self.case
        assert case.mode is not None
        live, test = case.mode
        async with self.desk(
            carried=lambda inner: Bent(inner, live, test if bent else live),
            live=True,
            **case.live,
        ) as desk:
            for attribute, value in case.shape.items():
                setattr(desk.provider, attribute, value)
            payment = await desk.order()
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

    @only(shows_page)
    @in_virtual_time
    async def test_a_browser_that_came_back_is_a_hint(self) -> None:
        """The URL to which the payer's browser came back is confirmed like any message."""
        async with self.desk() as desk:
            payment = await desk.order()
            assert payment.checkout_url
            page = urlsplit(payment.checkout_url).path.removeprefix(f"/{desk.name}")
            shown = await desk.provider.handle(WebhookRequest(method="GET", path=page))
            assert (shown.status, desk.moved) == (200, 0)
            decided = WebhookRequest(
                path=page,
                headers={"content-type": "application/x-www-form-urlencoded"},
                body=urlencode({"decision": "approve"}).encode(),
            )
            back = (await desk.provider.handle(decided)).headers["location"]
            event = desk.pool.returned(desk.name, back)
            assert event.trust is Trust.NOTHING
            assert (await desk.pool.confirm(event, expected=payment)).status is Status.SUCCEEDED
            assert desk.moved == 1000
