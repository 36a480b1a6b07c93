"""PayDunya's Disburse v2 through a pool: what is lost or stuck is asked for, never resent."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, OutcomeUnknown, Payment, Pool, Rejected, Status
from paymux.http import Response, WebhookRequest
from paymux.simulator import Fault, Simulator

from ..simulator.asking import until

WAGE: dict[str, Any] = {
    "amount": 500,
    "currency": "XOF",
    "payee": "+221771234567",
    "operator": "wave",
    "reference": "wage-7",
}
INVOICE, SUBMIT = (f"POST /api/v2/disburse/{call}-invoice" for call in ("get", "submit"))


def world() -> Simulator:
    """Return a simulator whose probe of the callback is answered."""
    sim = Simulator()
    sim.on_webhook(lambda message: Response(status=200))
    return sim


def pool(sim: Simulator, journal: Path | None = None) -> Pool:
    """Return a pool at the simulator."""
    return Pool(
        sim.driver("paydunya"),
        connection=sim.connection,
        journal=journal,
        webhook_base="https://shop.example/pay",
        webhook_key="0123456789abcdef",
    )


def sent(sim: Simulator, call: str) -> int:
    """Count the requests of one kind."""
    return sum(one.path.rstrip("/").endswith(call.partition(" ")[2]) for one in sim.requests)


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.DROP_BEFORE])
async def test_a_lost_submit_is_recovered_by_its_token(tmp_path: Path, kind: Fault) -> None:
    """After a restart the token is in the journal: it is asked about, and nothing is sent again."""
    sim, journal = world(), tmp_path / "pay.db"
    sim.fault("paydunya", SUBMIT, kind=kind)
    async with pool(sim, journal) as before:
        with pytest.raises(OutcomeUnknown) as lost:
            await before.payout("paydunya", **WAGE)
    assert lost.value.payment.ids["disburse_token"].endswith(" ")
    if kind is Fault.DROP_AFTER:
        sim.settle(str(lost.value.payment.provider_reference), Status.SUCCEEDED)
    async with pool(sim, journal) as after:
        left = [one async for one in after.recover()]
        with suppress(OutcomeUnknown):
            await after.payout("paydunya", **WAGE)
    assert [one.payment.status for one in left] == [
        Status.SUCCEEDED if kind is Fault.DROP_AFTER else Status.PENDING
    ]
    assert (sent(sim, INVOICE), sent(sim, SUBMIT)) == (1, int(kind is Fault.DROP_AFTER))
    assert sim.ledger.paid_out() == (500 if kind is Fault.DROP_AFTER else 0)


async def test_a_message_ends_a_payout_whose_answer_was_lost_without_a_journal() -> None:
    """Its order has no token yet: that of the message is asked about, and ties both."""
    sim = world()
    heard: list[WebhookRequest] = []
    stored = Payment(
        account="paydunya",
        kind="payout",
        reference="wage-7",
        amount=Decimal(500),
        currency="XOF",
    )

    def hears(message: WebhookRequest) -> Response:
        heard.append(message)
        return Response(status=200)

    sim.on_webhook(hears)
    sim.fault("paydunya", SUBMIT, kind=Fault.DROP_AFTER)
    async with pool(sim) as pay:
        with pytest.raises(OutcomeUnknown) as lost:
            await pay.payout("paydunya", **WAGE)
        sim.settle(str(lost.value.payment.provider_reference), Status.SUCCEEDED)
        await until(lambda: len(heard) == 2)
        ended = await pay.confirm(pay.webhook(heard[1]), expected=stored)
    assert (ended.reference, ended.status) == ("wage-7", Status.SUCCEEDED)


async def test_a_lost_token_moves_nothing_and_is_made_again() -> None:
    """The first request may be repeated; the one that pays is sent once, with the second token."""
    sim = world()
    sim.fault("paydunya", INVOICE, kind=Fault.DROP_AFTER)
    async with pool(sim) as pay:
        await pay.payout("paydunya", **WAGE)
    assert (sent(sim, INVOICE), sent(sim, SUBMIT), len(sim.ledger)) == (2, 1, 1)


@pytest.mark.parametrize("kind", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.HTML, Fault.GARBAGE])
async def test_a_first_step_that_never_answers_pays_nothing(kind: Fault) -> None:
    """It is NotSent, however often the token was made, and no token is submitted."""
    sim = world()
    sim.fault("paydunya", INVOICE, kind=kind, times=9)
    async with pool(sim) as pay:
        with pytest.raises(NotSent):
            await pay.payout("paydunya", **WAGE)
    assert (sent(sim, SUBMIT), len(sim.ledger)) == (0, 0)


@pytest.mark.parametrize(("at", "left"), [(INVOICE, []), (SUBMIT, [("wage-7", "unknown")])])
async def test_a_worker_that_ends_in_a_step_leaves_what_can_be_asked(
    tmp_path: Path, at: str, left: list[tuple[str, str]]
) -> None:
    """In the first step no money left; in the second its token is there, and no other is made."""
    sim, journal = world(), tmp_path / "pay.db"
    sim.fault("paydunya", at, kind=Fault.STALL)
    async with pool(sim, journal) as before:
        paying = asyncio.create_task(before.payout("paydunya", **WAGE))
        await until(lambda: sent(sim, at))
        paying.cancel()
        with suppress(asyncio.CancelledError):
            await paying
    async with pool(sim, journal) as after:
        found = [one async for one in after.recover()]
        assert [(one.payment.reference, one.was) for one in found] == left
        assert sent(sim, INVOICE) == 1
        paid = await after.payout("paydunya", **WAGE)
        sim.settle("wage-7", Status.SUCCEEDED)
        paid = await after.verify(paid)
    assert (paid.status, paid.operator) == (Status.SUCCEEDED, "wave")
    assert sent(sim, SUBMIT) == 1
    assert sim.ledger.paid_out() == 500


async def test_a_stuck_payout_stays_pending_whatever_the_submit_says() -> None:
    """`success` to a submit is not believed, and `created` is no end."""
    sim = world()
    sim.paydunya.disburse.stuck, sim.paydunya.disburse.says = True, "success"
    async with pool(sim) as pay:
        paid = await pay.payout("paydunya", **WAGE)
        assert (await pay.verify(paid)).status is Status.PENDING


async def test_an_unreachable_callback_is_refused_and_pays_nothing() -> None:
    """4002 without the words about funds is told as it is."""
    sim = Simulator()
    sim.on_webhook(lambda message: Response(status=404))
    async with pool(sim) as pay:
        with pytest.raises(Rejected, match="callback") as refused:
            await pay.payout("paydunya", **WAGE)
    assert refused.value.reason is None
    assert len(sim.ledger) == 0
