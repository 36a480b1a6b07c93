"""pawaPay through a pool: lost answers, lost journals, callbacks, and what `run` asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from paymux import Pool
from paymux.drivers.pawapay import PawaPay
from paymux.errors import (
    Mismatch,
    NotFound,
    NotSent,
    OutcomeUnknown,
    Rejected,
    UsageError,
    WatchTimeout,
)
from paymux.http import WebhookRequest
from paymux.models import Status
from paymux.simulator import Fault, Simulator
from paymux.testing.clock import virtual_time

KEY = "a key of sixteen characters"
HOOKS = "https://shop.example/pay"
RWANDA: dict[str, Any] = {"currency": "RWF", "payer": "250783456000", "operator": "mtn"}
WAGE: dict[str, Any] = {"currency": "RWF", "payee": "250783456000", "operator": "mtn"}
STUCK: dict[str, Any] = {"currency": "RWF", "payer": "250783456129", "operator": "mtn"}


def pool_of(sim: Simulator, journal: Path | None = None) -> Pool:
    """Return a pool with an account at pawaPay."""
    return Pool(
        sim.driver("pawapay", id_key=KEY, wallet="RWA"),
        connection=sim.connection,
        journal=journal,
        webhook_base=HOOKS,
        webhook_key="sixteen characters or more",
        attempts=3,
    )


@asynccontextmanager
async def shop(journal: Path | None = None) -> AsyncIterator[tuple[Simulator, Pool]]:
    """Open a simulated pawaPay and a pool, in virtual time."""
    async with virtual_time():
        sim = Simulator(providers=["pawapay"])
        async with pool_of(sim, journal) as pool:
            sim.pawapay.webhook_url = pool.webhook_url("pawapay")
            yield sim, pool
        await sim.core.aclose()


def posts(sim: Simulator, path: str = "/v2/deposits") -> int:
    """Count the requests of money that arrived."""
    return len([one for one in sim.requests if (one.method, one.path) == ("POST", path)])


async def test_a_lost_answer_is_repeated_and_the_order_is_known() -> None:
    """The repeat is ignored as a duplicate, so the order exists: it is found, and paid once."""
    async with shop() as (sim, pool):
        sim.fault("pawapay", "POST /v2/deposits", kind=Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown, match="had this reference before") as caught:
            await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        lost = caught.value.payment
        assert posts(sim) == 2
        assert lost.provider_reference == sim.ledger.newest.provider_reference
        sim.settle("order-1", Status.SUCCEEDED)
        assert (await pool.verify(lost)).status is Status.SUCCEEDED
        assert sim.ledger.charged() == 1000


async def test_an_order_that_did_not_arrive_is_sent_again_within_its_verb() -> None:
    """What pawaPay never had is accepted by the repeat, with the same bytes."""
    async with shop() as (sim, pool):
        sim.fault("pawapay", "POST /v2/payouts", kind=Fault.ERROR, status=502, processed=False)
        payment = await pool.payout("pawapay", amount=500, reference="wage-1", **WAGE)
        assert payment.status is Status.PENDING
        one, two = (one.body for one in sim.requests if one.path == "/v2/payouts")
        assert one == two
        assert len(sim.ledger) == 1


async def test_not_found_after_our_own_request_proves_nothing(tmp_path: Path) -> None:
    """Nothing is sent after the verb, and the order stays unknown for a person."""
    async with shop(tmp_path / "j.db") as (sim, pool):
        sim.fault(
            "pawapay", "POST /v2/deposits", kind=Fault.ERROR, status=502, times=3, processed=False
        )
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        with pytest.raises(NotFound):
            await pool.verify(caught.value.payment)
        await asyncio.sleep(86_400)
        recovered = [one async for one in pool.recover()]
        assert [one.payment.status for one in recovered] == [Status.PENDING]
        assert posts(sim) == 3
        assert len(sim.ledger) == 0


@pytest.mark.parametrize("amount", [500, 700])
async def test_a_lost_journal_pays_no_order_twice(amount: int, tmp_path: Path) -> None:
    """The same id comes again, is a duplicate, and is found; another amount is a Mismatch."""
    async with shop(tmp_path / "lost.db") as (sim, pool):
        await pool.payout("pawapay", amount=500, reference="wage-1", **WAGE)
        sim.settle("wage-1", Status.SUCCEEDED)
        async with pool_of(sim, tmp_path / "new.db") as again:
            with pytest.raises(OutcomeUnknown) as caught:
                await again.payout("pawapay", amount=amount, reference="wage-1", **WAGE)
            if amount == 500:
                assert (await again.verify(caught.value.payment)).status is Status.SUCCEEDED
            else:
                with pytest.raises(Mismatch):
                    await again.verify(caught.value.payment)
        assert sim.ledger.paid_out() == 500


async def test_one_reference_is_a_payment_of_each_kind() -> None:
    """A collect, a payout and a refund of one reference have ids of their own, and messages."""
    async with shop() as (sim, pool):
        heard: list[WebhookRequest] = []
        sim.on_webhook(heard.append)
        bought = await pool.collect("pawapay", amount=1000, reference="x-1", **RWANDA)
        sim.settle(str(bought.provider_reference), Status.SUCCEEDED)
        bought = await pool.verify(bought)
        paid = await pool.payout("pawapay", amount=400, reference="x-1", **WAGE)
        back = await pool.refund(bought, amount=300, reference="x-1")
        for one in (paid, back):
            sim.settle(str(one.provider_reference), Status.SUCCEEDED)
        await asyncio.sleep(1)
        told = [await pool.confirm(pool.webhook(message)) for message in heard]
        assert [one.kind for one in told] == ["collect", "payout", "refund"]
        assert [one.amount for one in told] == [Decimal(1000), Decimal(400), Decimal(300)]
        assert {one.status for one in told} == {Status.SUCCEEDED}
        found = await pool.find("pawapay", reference="x-1", kind="refund")
        assert (found.amount, found.status) == (Decimal(300), Status.SUCCEEDED)
        assert sim.ledger.refunded() == 300


async def test_a_stuck_number_never_ends() -> None:
    """The sandbox's SUBMITTED stays pending for as long as a watch lasts."""
    async with shop() as (sim, pool):
        payment = await pool.collect("pawapay", amount=1000, reference="order-1", **STUCK)
        with pytest.raises(WatchTimeout):
            await pool.watch(payment, timeout=3600)
        assert (await pool.verify(payment)).provider_status == "SUBMITTED"
        assert sim.ledger.charged() == 0


async def test_reconciliation_is_pending_however_long_it_lasts() -> None:
    """IN_RECONCILIATION ends when pawaPay knows, and not before."""
    async with shop() as (sim, pool):
        payment = await pool.payout("pawapay", amount=500, reference="wage-1", **WAGE)
        sim.settle("wage-1", Status.PENDING, code="IN_RECONCILIATION")
        await asyncio.sleep(7 * 86_400)
        assert (await pool.verify(payment)).status is Status.PENDING
        sim.settle("wage-1", Status.SUCCEEDED)
        assert (await pool.verify(payment)).status is Status.SUCCEEDED


async def test_an_operator_that_cannot_be_predicted_stops_the_order_unsent() -> None:
    """The prediction moves no money, so an order without its answer is NotSent."""
    async with shop() as (sim, pool):
        sim.fault("pawapay", "POST /v2/predict-provider", kind=Fault.ERROR, status=502, times=3)
        order = {**RWANDA, "operator": None}
        with pytest.raises(NotSent):
            await pool.collect("pawapay", amount=1000, reference="order-1", **order)
        assert posts(sim) == 0
        paid = await pool.collect("pawapay", amount=1000, reference="order-1", **order)
        assert paid.status is Status.PENDING


async def test_a_configuration_that_fails_blocks_no_money() -> None:
    """Orders never ask for it; once it was asked for, they are compared with it."""
    async with shop() as (sim, pool):
        sim.fault("pawapay", "GET /v2/active-conf", kind=Fault.ERROR, status=502, times=3)
        with pytest.raises(Exception, match="502"):
            await pool.run("pawapay", PawaPay.active_conf)
        await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        methods = await pool.methods("pawapay")
        assert {one.type for one in methods} >= {"MTN_MOMO_RWA", "WAVE_SEN"}
        with pytest.raises(UsageError, match="5000000"):
            await pool.collect("pawapay", amount=5_000_001, reference="order-2", **RWANDA)
        assert posts(sim) == 1


async def test_a_payout_that_waits_is_cancelled_as_its_own_status_says() -> None:
    """The answer to the request proves nothing; the payout's status does."""
    async with shop() as (sim, pool):
        sim.pawapay.delayed = ["MTN_MOMO_RWA"]
        payment = await pool.payout("pawapay", amount=500, reference="wage-1", **WAGE)
        assert (await pool.verify(payment)).provider_status == "ENQUEUED"
        said = await pool.run("pawapay", PawaPay.cancel, payment=payment)
        assert said["status"] == "ACCEPTED"
        assert (await pool.verify(payment)).status is Status.FAILED
        with pytest.raises(Rejected, match="INVALID_STATE"):
            await pool.run("pawapay", PawaPay.cancel, payment=payment)
        assert sim.ledger.paid_out() == 0


async def test_only_what_can_wait_is_cancelled() -> None:
    """A deposit is UsageError, and nothing is sent."""
    async with shop() as (sim, pool):
        payment = await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        with pytest.raises(UsageError, match=r"payment\.kind"):
            await pool.run("pawapay", PawaPay.cancel, payment=payment)
        assert len(sim.requests) == 1


async def test_a_callback_comes_again_on_request() -> None:
    """Of a payment that has ended; any other is refused."""
    async with shop() as (sim, pool):
        heard: list[WebhookRequest] = []
        sim.on_webhook(heard.append)
        payment = await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        with pytest.raises(Rejected, match="INVALID_STATE"):
            await pool.run("pawapay", PawaPay.resend_callback, payment=payment)
        sim.settle("order-1", Status.SUCCEEDED)
        await pool.run("pawapay", PawaPay.resend_callback, payment=payment)
        await asyncio.sleep(1)
        assert len(heard) == 2
        assert heard[0].body == heard[1].body


async def test_a_payment_page_is_found_by_its_reference() -> None:
    """Before its payer pays, it is NotFound; a collect with its reference would be a duplicate."""
    async with shop() as (sim, pool):
        page = await pool.run(
            "pawapay",
            PawaPay.payment_page,
            reference="order-1",
            return_url="https://shop.example/back",
            amount=1000,
            currency="RWF",
            country="RWA",
            payer="250783456789",
            description="Two tickets, please",
        )
        assert (page.status, page.checkout_url) == (
            Status.PENDING,
            sim.pawapay.url + "/pay/" + str(page.provider_reference),
        )
        with pytest.raises(NotFound):
            await pool.verify(page)
        at = urlsplit(str(page.checkout_url)).path.removeprefix("/pawapay")
        pays = WebhookRequest(
            path=at,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=b"decision=approve",
        )
        back = (await sim.pawapay.handle(pays)).headers["location"]
        event = pool.returned("pawapay", back)
        assert (await pool.confirm(event, expected=page)).status is Status.SUCCEEDED
        assert (await pool.find("pawapay", reference="order-1")).reference == "order-1"
        with pytest.raises(OutcomeUnknown, match="before"):
            await pool.collect("pawapay", amount=1000, reference="order-1", **RWANDA)
        assert sim.ledger.charged() == 1000


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"amount": 5}, "currency"),
        ({"amount": 5, "currency": "RWF"}, "country"),
        ({"language": "DE"}, "language"),
        ({"colour": "red"}, "colour"),
        ({"return_url": "shop"}, "return_url"),
        ({"reference": "a b"}, "reference"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_unsent(changes: dict[str, Any], match: str) -> None:
    """UsageError names the field."""
    async with shop() as (sim, pool):
        given = {"reference": "order-1", "return_url": "https://shop.example/back", **changes}
        with pytest.raises(UsageError, match=match):
            await pool.run("pawapay", PawaPay.payment_page, **given)
        assert sim.requests == []


async def test_a_payer_of_wave_gets_an_address() -> None:
    """A look-up brings the address, and the callback, which is a hint, too."""
    async with shop() as (sim, pool):
        heard: list[WebhookRequest] = []
        sim.on_webhook(heard.append)
        payment = await pool.collect(
            "pawapay",
            amount=1000,
            currency="XOF",
            payer="221701234567",
            operator="wave",
            reference="order-1",
            return_url="https://shop.example/back",
        )
        assert payment.checkout_url is None
        found = await pool.verify(payment)
        assert found.checkout_url
        await asyncio.sleep(1)
        claims = pool.webhook(heard[0]).claims
        assert (claims.status, claims.checkout_url) == (Status.PENDING, found.checkout_url)
        sent = json.loads(sim.requests[0].body)
        assert sent["failedUrl"] == sent["successfulUrl"] == "https://shop.example/back"


async def test_what_moves_no_money_is_asked_by_run() -> None:
    """Predictions, wallets, availability and statements."""
    async with shop() as (_, pool):
        guess = await pool.run("pawapay", PawaPay.predict, phone="+250 783 456 789")
        assert (guess.country, guess.provider) == ("RWA", "MTN_MOMO_RWA")
        with pytest.raises(Rejected):
            await pool.run("pawapay", PawaPay.predict, phone="+1 202 555 0100")
        wallets = await pool.run("pawapay", PawaPay.wallets)
        assert {one.name for one in wallets} >= {"RWA/RWF", "COD/CDF", "COD/USD"}
        assert (await pool.balance("pawapay")).by_account.keys() == {"RWA/RWF"}
        states = await pool.run("pawapay", PawaPay.availability)
        assert {one["country"] for one in states} >= {"RWA", "BEN"}
        made = await pool.run(
            "pawapay",
            PawaPay.statement,
            wallet="RWA/RWF",
            since=datetime(2026, 11, 1, tzinfo=UTC),
            until=datetime(2026, 11, 30, tzinfo=UTC),
            callback_url="https://shop.example/statement",
        )
        ready = await pool.run("pawapay", PawaPay.statement_of, statement_id=str(made.statement_id))
        assert str(ready.download_url).endswith(".csv")
        with pytest.raises(UsageError, match="wallet"):
            await pool.run(
                "pawapay",
                PawaPay.statement,
                wallet="RWA",
                since=datetime(2026, 11, 1, tzinfo=UTC),
                until=datetime(2026, 11, 30, tzinfo=UTC),
                callback_url="https://shop.example/statement",
            )
