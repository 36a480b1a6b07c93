"""MTN MoMo's driver in a pool, against its simulator: repeats, platforms, and a lost journal."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from paymux import OutcomeUnknown, Payment, Pool, Status, UsageError
from paymux.drivers.mtn_momo import MtnMomo
from paymux.simulator import Fault, Simulator
from tests.notify.world import file
from tests.toys import BASE, KEY, run, timeless

__all__ = ["file"]

ID_KEY = "0123456789abcdef-orders"
PAY, TRANSFER = "POST /collection/v1_0/requesttopay", "POST /disbursement/v1_0/transfer"


def account(sim: Simulator, **fields: Any) -> MtnMomo:
    """Return the account of the simulator."""
    driver = sim.driver("mtn_momo", **{"id_key": ID_KEY, **fields})
    assert isinstance(driver, MtnMomo)
    return driver


def both(sim: Simulator, platform: str) -> dict[str, Any]:
    """Return the fields of an account that has credentials on both platforms."""
    here = f"{sim.url}/mtn_momo"
    urls = {"proxy": here, "africa": f"{here}/momo.africa"}
    other = "africa" if platform == "proxy" else "proxy"
    names = [
        f"{product}_{part}"
        for product in ("collection", "disbursement")
        for part in ("key", "user", "api_key")
    ]
    fields: dict[str, Any] = {f"other_{name}": "simulator" for name in names}
    return {
        **fields,
        "platform": platform,
        "base_url": urls[platform],
        "other_url": urls[other],
    }


def pool(sim: Simulator, **options: Any) -> Pool:
    """Return a pool over the simulator."""
    fields = options.pop("fields", {})
    how = {"webhook_base": BASE, "webhook_key": KEY, **options}
    return Pool(account(sim, **fields), connection=sim.connection, **how)


async def collect(pay: Pool, reference: str = "order-1", **more: Any) -> Payment:
    """Ask a payer for money."""
    given = {"amount": 1000, "currency": "UGX", "payer": "+256772123456", **more}
    return await pay.collect("mtn_momo", reference=reference, **given)


async def payout(pay: Pool, reference: str = "wage-1", **more: Any) -> Payment:
    """Send money to a payee."""
    given = {"amount": 1000, "currency": "UGX", "payee": "+256772123456", **more}
    return await pay.payout("mtn_momo", reference=reference, **given)


@pytest.mark.parametrize("kind", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.HTML, Fault.ERROR])
@timeless
async def test_a_repeat_in_the_verb_has_the_same_id_and_bytes(kind: Fault) -> None:
    """Not reached: the repeat makes it. Reached: 409 says that it exists; nothing is doubled."""
    sim = Simulator(providers=["mtn_momo"])
    async with pool(sim) as pay:
        reached = kind is not Fault.DROP_BEFORE
        sim.fault("mtn_momo", TRANSFER, kind=kind, status=500, processed=reached)
        if reached:
            with pytest.raises(OutcomeUnknown, match="has had this reference before") as caught:
                await payout(pay)
            payment = caught.value.payment
        else:
            payment = await payout(pay)
        sent = [one for one in sim.requests if f"{one.method} {one.path}" == TRANSFER]
        assert len({(one.headers["x-reference-id"], one.body) for one in sent}) == 1
        assert len(sent) <= 2
        assert len(sim.ledger) == 1
        assert payment.ids == {"platform": "proxy", "api": "transfer"}
        sim.settle("wage-1", Status.SUCCEEDED)
        assert (await pay.verify(payment)).status is Status.SUCCEEDED
        assert sim.ledger.paid_out() == 1000
    await sim.core.aclose()


@timeless
async def test_nothing_is_sent_again_after_the_verb() -> None:
    """What never reached MTN stays unknown: neither watch nor recover sends it, nor ends it."""
    sim = Simulator(providers=["mtn_momo"])
    async with pool(sim) as pay:
        sim.fault("mtn_momo", TRANSFER, kind=Fault.HTML, processed=False, times=3)
        with pytest.raises(OutcomeUnknown) as caught:
            await payout(pay)
        sent = len([one for one in sim.requests if one.method == "POST" and "transfer" in one.path])
        assert sent == 3
        found = await asyncio.gather(
            pay.watch(caught.value.payment, timeout=100), return_exceptions=True
        )
        assert isinstance(found[0], TimeoutError)
        again = [one for one in sim.requests if one.method == "POST" and "transfer" in one.path]
        assert len(again) == sent
        assert len(sim.ledger) == 0
    await sim.core.aclose()


def test_a_lost_journal_finds_each_order_again(file: Path, tmp_path: Path) -> None:
    """The same orders are asked for again: each is the provider's duplicate, and ends rightly."""

    async def main() -> None:
        sim = Simulator(providers=["mtn_momo"])
        async with pool(sim, journal=file) as pay:
            for number in range(10):
                await payout(pay, f"wage-{number}")
        async with pool(sim, journal=None) as pay:
            for number in range(10):
                with pytest.raises(OutcomeUnknown) as caught:
                    await payout(pay, f"wage-{number}")
                sim.settle(f"wage-{number}", Status.SUCCEEDED)
                assert (await pay.verify(caught.value.payment)).status is Status.SUCCEEDED
                found = await pay.find("mtn_momo", reference=f"wage-{number}", kind="payout")
                assert found.status is Status.SUCCEEDED
        assert sim.ledger.paid_out() == 10_000
        await sim.core.aclose()

    run(main())


def test_recover_asks_where_the_payment_was_processed(file: Path) -> None:
    """An answer is lost, the account moves to the other platform, and the order is found there."""

    async def main() -> None:
        sim = Simulator(providers=["mtn_momo"])
        async with pool(sim, journal=file, fields=both(sim, "proxy")) as pay:
            sim.fault("mtn_momo", PAY, kind=Fault.DROP_AFTER, times=3)
            with pytest.raises(OutcomeUnknown):
                await collect(pay)
            other = await collect(pay, "order-2")
            assert other.ids["platform"] == "proxy"
        sim.settle("order-1", Status.SUCCEEDED)
        sim.settle("order-2", Status.SUCCEEDED)
        async with pool(sim, journal=file, fields=both(sim, "africa")) as pay:
            done = {one.payment.reference: one.payment.status async for one in pay.recover()}
            assert done == dict.fromkeys(("order-1", "order-2"), Status.SUCCEEDED)
            assert (await pay.verify(other)).status is Status.SUCCEEDED
            new = await collect(pay, "order-3")
            assert new.ids["platform"] == "africa"
            back = await pay.refund(await pay.verify(other), amount=400, reference="back-1")
            assert back.ids == {"platform": "proxy", "api": "refund"}
        assert {one.words["platform"] for one in sim.ledger.entries("order-3")} == {"africa"}
        await sim.core.aclose()

    run(main())


@timeless
async def test_a_slow_login_is_waited_for() -> None:
    """A login of 20 seconds, as on the platform of 2026, is within the deadline of a verb."""
    sim = Simulator(providers=["mtn_momo"])
    sim.mtn_momo.token_seconds = 20.0
    async with pool(sim) as pay:
        assert (await collect(pay)).status is Status.PENDING
    await sim.core.aclose()


@timeless
async def test_the_user_agent_is_one_that_the_gateway_accepts() -> None:
    """That of the platform of 2026 refuses those of some clients with a page."""
    sim = Simulator(providers=["mtn_momo"])
    async with pool(sim, fields=both(sim, "africa")) as pay:
        assert (await collect(pay)).ids["platform"] == "africa"
    assert {one.headers["user-agent"] for one in sim.requests} == {"paymux"}
    await sim.core.aclose()


@timeless
async def test_a_payout_of_too_much_fails_by_its_status() -> None:
    """MTN accepts it, and says later that there is not enough: only the status is an end."""
    sim = Simulator(providers=["mtn_momo"], payer_delay=1.0, default=Status.SUCCEEDED)
    async with pool(sim) as pay:
        sim.mtn_momo.funds = 10
        end = await pay.watch(await payout(pay))
        assert end.status is Status.FAILED
        assert end.reason == "insufficient_funds"
    await sim.core.aclose()


@timeless
async def test_run_has_what_moves_no_money() -> None:
    """Holders, balances and the sandbox's users are asked for by `run`."""
    sim = Simulator(providers=["mtn_momo"])
    async with pool(sim) as pay:
        assert await pay.run("mtn_momo", MtnMomo.holder_active, phone="+256772123456")
        name = await pay.run("mtn_momo", MtnMomo.holder, phone="+256772123456")
        assert name["family_name"] == "Box"
        found = await pay.run("mtn_momo", MtnMomo.balance_of, product="collection")
        assert found.available == 0
        assert (await pay.balance("mtn_momo")).available == 1_000_000
    await sim.core.aclose()


@timeless
async def test_a_sandbox_account_is_made_from_its_subscription_key() -> None:
    """The key of the portal, then `provision`: its two fields make a whole account."""
    sim = Simulator(providers=["mtn_momo"])
    url = f"{sim.url}/mtn_momo"
    bare = MtnMomo(base_url=url, collection_key="simulator")
    async with Pool(bare, connection=sim.connection) as pay:
        with pytest.raises(UsageError, match="collection_user"):
            await collect(pay, currency="EUR", payer="46733123499")
        made: dict[str, Any] = await pay.run(
            "mtn_momo", MtnMomo.provision, callback_host="shop.example"
        )
    whole = MtnMomo(base_url=url, collection_key="simulator", **made)
    async with Pool(whole, connection=sim.connection) as pay:
        found = await collect(pay, currency="EUR", payer="46733123499")
        assert found.status is Status.PENDING
    await sim.core.aclose()
