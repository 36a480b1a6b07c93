"""Webhooks that come again, as the pages of three providers say, until they are acknowledged."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from paymux import Pool, Status
from paymux.http import Response, WebhookRequest
from paymux.models import Trust
from paymux.simulator import Simulator
from paymux.simulator.pawapay.signing import KEY_ID, public_pem
from paymux.testing.clock import virtual_time

from ..toys import BASE, KEY


class Repeats(NamedTuple):
    """What a provider's page says of its webhooks."""

    order: Mapping[str, Any]
    seconds: tuple[float, float]  # in which the last one comes, if none is acknowledged
    times: int
    refused: tuple[int, ...]  # statuses of an answer that acknowledge nothing
    settings: Mapping[str, Any] = {}


PROVIDERS = {
    "pawapay": Repeats(
        order={"currency": "XOF", "payer": "22951345789"},
        seconds=(800, 900),
        times=7,
        refused=(204, 302, 404, 500),
        settings={"signed_callbacks": True},
    ),
    "wave": Repeats(
        order={"currency": "XOF", "return_url": "https://shop.example/back"},
        seconds=(2 * 86_400, 3 * 86_400),
        times=7,
        refused=(302, 404, 500),
    ),
    "intram_merchant": Repeats(
        order={"currency": "XOF", "return_url": "https://shop.example/back"},
        seconds=(9_000, 9_400),
        times=5,
        refused=(302, 404, 500),
    ),
}
each = pytest.mark.parametrize("provider", sorted(PROVIDERS))


class Heard(NamedTuple):
    """One webhook: when it came, what it was, and what its proof was worth then."""

    at: float
    message: WebhookRequest
    trust: Trust


async def heard(provider: str, *statuses: int, days: float = 7) -> list[Heard]:
    """Pay one order, and answer its webhooks with these statuses, the last one for ever."""
    told = PROVIDERS[provider]
    came: list[Heard] = []
    async with virtual_time():
        sim = Simulator(providers=[provider])
        simulated = getattr(sim, provider)
        for name, value in told.settings.items():
            setattr(simulated, name, value)
        keys = {"callback_keys": {KEY_ID: public_pem()}} if provider == "pawapay" else {}
        pool = Pool(
            sim.driver(provider, **keys),
            connection=sim.connection,
            webhook_base=BASE,
            webhook_key=KEY,
        )

        def answer(incoming: WebhookRequest) -> Response:
            event = pool.webhook(incoming)
            if event.claims.status is not Status.SUCCEEDED:  # Intram tells of a start, too
                return Response(status=200)
            came.append(Heard(asyncio.get_running_loop().time(), incoming, event.trust))
            return Response(status=statuses[min(len(came), len(statuses)) - 1])

        sim.on_webhook(answer)
        simulated.webhook_url = pool.webhook_url(provider)
        async with pool:
            paid = await pool.collect(provider, amount=1000, reference="order-1", **told.order)
            sim.settle(paid.provider_reference or "", Status.SUCCEEDED)
            await sim.core.pause(days * 86_400)
        await sim.core.aclose()
    return came


@each
async def test_a_webhook_that_is_acknowledged_comes_once(provider: str) -> None:
    """200 ends it."""
    assert len(await heard(provider, 200)) == 1


@each
async def test_a_webhook_comes_again_until_it_is_acknowledged(provider: str) -> None:
    """Each answer that is none of the page's leads to another; then there is peace."""
    refused = PROVIDERS[provider].refused
    came = await heard(provider, *refused, 200)
    assert len(came) == len(refused) + 1
    assert len({one.message.body for one in came}) == 1, "the same event"


@each
async def test_a_webhook_is_given_up_in_the_end(provider: str) -> None:
    """As often, and for as long, as the page says; each time with a proof that is good then."""
    told = PROVIDERS[provider]
    came = await heard(provider, 500)
    assert len(came) == told.times
    first, last = told.seconds
    assert first <= came[-1].at - came[0].at <= last
    assert {one.trust for one in came} == {Trust.BODY}


async def test_intram_counts_the_attempts_of_a_delivery() -> None:
    """The delivery keeps its id, so that a shop that counts by it books it once."""
    came = await heard("intram_merchant", 500)
    headers = [one.message.headers for one in came]
    assert [one["x-intram-attempt"] for one in headers] == ["1", "2", "3", "4", "5"]
    assert len({one["x-intram-delivery"] for one in headers}) == 1


@each
async def test_the_end_of_a_simulator_ends_the_repeats(provider: str) -> None:
    """What would come again in days keeps no simulator busy, and no loop."""
    sim = Simulator(providers=[provider])
    simulated = getattr(sim, provider)
    simulated.webhook_url = f"{BASE}/hook"
    sim.on_webhook(lambda _: Response(status=500))
    async with virtual_time():
        async with Pool(sim.driver(provider), connection=sim.connection) as pool:
            order = {**PROVIDERS[provider].order, "amount": 1000, "reference": "order-1"}
            paid = await pool.collect(provider, **order)
            sim.settle(paid.provider_reference or "", Status.SUCCEEDED)
            await sim.core.pause(1)
        assert not sim.core.busy
        sim.core.forget()
        await sim.core.pause(7 * 86_400)
    assert list(sim.deliveries) == []
