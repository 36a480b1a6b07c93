"""Promises about refusals and odd answers: stale tokens, too many requests, pages."""

import asyncio

import pytest

from ...errors import (
    AuthenticationFailed,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from ...models import Status
from ...simulator import Fault
from .desk import ATTEMPTS, REFERENCE, signature
from .promises import Promises, logs_in, only
from .running import in_virtual_time

ODD = [
    pytest.param(Fault.HTML, 200, id="a page with 200"),
    pytest.param(Fault.HTML, 500, id="a page with 500"),
    pytest.param(Fault.ERROR, 502, id="502"),
    pytest.param(Fault.REDIRECT, 302, id="a redirect"),
    pytest.param(Fault.TRUNCATE, None, id="cut"),
]


class RefusalPromises(Promises):
    """Promises about refusals and odd answers: stale tokens, too many requests, pages."""

    @in_virtual_time
    async def test_a_stale_token_costs_one_login_and_one_charge(self) -> None:
        """Where there are tokens a stale one is renewed once.

        Keys that are refused are AuthenticationFailed.
        """
        async with self.desk() as desk:
            desk.fault(desk.case.opens, Fault.STALE_TOKEN)
            if not (desk.case.login or desk.case.bearer):
                with pytest.raises(AuthenticationFailed):
                    await desk.order()
                assert (len(desk.sent(desk.case.opens)), len(desk.sim.ledger)) == (1, 0)
                return
            payment = await desk.order()
            asked = [
                request
                for request in desk.sim.requests
                if desk.case.opens.split()[1] in f"{request.path}/"
            ]
            assert len({signature(request) for request in asked}) == 2
            assert len(desk.sent(desk.case.login)) == (2 if desk.case.login else 0)
            assert len(desk.sim.ledger) == 1
            desk.settle(payment, Status.SUCCEEDED)
            desk.fault(desk.case.looks, Fault.STALE_TOKEN)
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
            assert desk.moved == 1000

    @in_virtual_time
    async def test_credentials_refused_for_good_are_authentication_failed(self) -> None:
        """A token that is refused again after its renewal is given up, and nothing is charged."""
        async with self.desk() as desk:
            desk.fault(desk.case.opens, Fault.STALE_TOKEN, times=10)
            with pytest.raises(AuthenticationFailed) as caught:
                await desk.order()
            assert (caught.value.account, caught.value.reference) == (desk.name, REFERENCE)
            assert len(desk.sent(desk.case.opens)) <= 2
            assert len(desk.sim.ledger) == 0

    @only(logs_in)
    @in_virtual_time
    async def test_an_order_without_a_login_is_not_sent(self) -> None:
        """A login that fails says nothing of the order, which never left.

        NotSent for money, Unavailable to look.
        """
        async with self.desk() as desk:
            desk.fault(desk.case.login, Fault.HTML, times=ATTEMPTS)
            with pytest.raises(NotSent):
                await desk.order()
            assert (len(desk.sent(desk.case.login)), len(desk.sent(desk.case.opens))) == (
                ATTEMPTS,
                0,
            )
            await asyncio.sleep(2)  # a failed login is remembered for a moment
            assert (await desk.order()).status is Status.PENDING

    @in_virtual_time
    async def test_a_throttled_order_waits_and_succeeds(self) -> None:
        """Refused before processing, an order is made after the wait.

        A 429 in words that the provider does not document is unknown.
        """
        async with self.desk() as desk:
            desk.fault(desk.case.opens, Fault.THROTTLE, retry_after=2)
            began = asyncio.get_running_loop().time()
            if not desk.case.throttles:
                with pytest.raises(OutcomeUnknown):
                    await desk.order()
                assert len(desk.sent(desk.case.opens)) == 1
                return
            payment = await desk.order()
            assert payment.status is Status.PENDING
            assert asyncio.get_running_loop().time() - began >= 2
            assert len(desk.sim.ledger) == 1

    @in_virtual_time
    async def test_a_throttled_look_up_waits_or_says_how_long(self) -> None:
        """A look-up waits as long as asked; a wait beyond the deadline is RateLimited at once."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            desk.fault(desk.case.looks, Fault.THROTTLE, retry_after=2)
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
            desk.fault(desk.case.looks, Fault.THROTTLE, retry_after=3600)
            began = asyncio.get_running_loop().time()
            with pytest.raises(RateLimited) as caught:
                await desk.pool.verify(payment)
            assert caught.value.retry_after == 3600
            assert asyncio.get_running_loop().time() - began < 1

    @in_virtual_time
    async def test_a_throttled_order_that_does_not_fit_is_refused_at_once(self) -> None:
        """An order that is surely throttled beyond its deadline is RateLimited at once."""
        async with self.desk() as desk:
            desk.fault(desk.case.opens, Fault.THROTTLE, retry_after=3600)
            began = asyncio.get_running_loop().time()
            # If no throttling is documented, the refusal proves nothing, and does not fit either.
            sure = desk.case.throttles and desk.tries(desk.case.opens) == 1
            with pytest.raises(RateLimited if sure else OutcomeUnknown):
                await desk.order()
            assert asyncio.get_running_loop().time() - began < 1
            assert len(desk.sent(desk.case.opens)) == 1
            assert len(desk.sim.ledger) == 0

    @pytest.mark.parametrize(("kind", "status"), ODD)
    @pytest.mark.parametrize("processed", [True, False])
    @in_virtual_time
    async def test_an_odd_answer_to_an_order_is_unknown(
        self, kind: Fault, status: int | None, processed: bool
    ) -> None:
        """A page, a redirect, a 5xx or half an answer proves nothing of money, processed or not."""
        async with self.desk() as desk:
            times = desk.tries(desk.case.opens)
            desk.fault(desk.case.opens, kind, status=status, times=times, processed=processed)
            with pytest.raises(OutcomeUnknown) as caught:
                await desk.order()
            assert caught.value.payment.reference == REFERENCE
            assert len(desk.sent(desk.case.opens)) == times
            assert desk.moved == 0

    @pytest.mark.parametrize(("kind", "status"), ODD)
    @in_virtual_time
    async def test_an_odd_answer_to_a_look_up_is_unavailable(
        self, kind: Fault, status: int | None
    ) -> None:
        """A look-up with such an answer is repeated, then Unavailable: the payment did not fail."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            desk.fault(desk.case.looks, kind, status=status, times=ATTEMPTS)
            with pytest.raises(Unavailable):
                await desk.pool.verify(payment)
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
