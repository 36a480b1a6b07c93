import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from paymux.errors import BadWebhook
from paymux.http import Response, WebhookRequest
from paymux.models import Status
from paymux.simulator import Fault, Simulator

from .asking import CAMPAY, ask, collect, login, push, until


class Shop:
    """A merchant's webhook receiver, on a socket."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[str, str, bytes]] = []

    async def receive(self, request: web.BaseRequest) -> web.Response:
        self.got.append((request.method, request.raw_path, await request.read()))
        return web.json_response({"ResultCode": 0})


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """Open a receiver on loopback."""
    one = Shop()
    runner = web.ServerRunner(web.Server(one.receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/pay/7f3c"
    yield one
    await runner.cleanup()


async def paid(sim: Simulator, shop_url: str = "https://shop.example/pay") -> None:
    """Collect by CamPay, and let the payer pay."""
    sim.campay.webhook_url = shop_url
    await ask(sim, "POST", "/campay/api/collect/", collect(), headers=CAMPAY)
    sim.settle("order-1", Status.SUCCEEDED)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_webhook_comes_over_a_real_socket(shop: Shop, method: str) -> None:
    """The merchant's server gets a webhook as bytes, and its answer is stored."""
    async with Simulator() as sim:
        sim.campay.webhook_method = method
        await paid(sim, shop.url)
        await until(lambda: sim.deliveries and sim.deliveries[0].status)
    [(got, target, body)] = shop.got
    assert (got, target.partition("?")[0]) == (method, "/pay/7f3c")
    assert ("status=SUCCESSFUL" in target) is (method == "GET")
    assert (b'"SUCCESSFUL"' in body) is (method == "POST")
    assert sim.deliveries[0].status == 200


async def test_mpesas_webhook_goes_where_the_push_says(shop: Shop) -> None:
    """CallBackURL travels with each push; loopback is allowed here."""
    sim = Simulator()
    body = push(CallBackURL=shop.url)
    await ask(sim, "POST", "/mpesa/mpesa/stkpush/v1/processrequest", body, headers=await login(sim))
    sim.settle("order-1", Status.SUCCEEDED)
    await until(lambda: shop.got)
    assert json.loads(shop.got[0][2])["Body"]["stkCallback"]["ResultCode"] == 0


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (Fault.WEBHOOK_LOST, 0),
        (Fault.WEBHOOK_LATE, 1),
        (Fault.WEBHOOK_DUPLICATE, 2),
        (Fault.WEBHOOK_FORGED, 2),
    ],
)
async def test_a_webhook_is_lost_late_doubled_or_forged(kind: Fault, count: int) -> None:
    """Each fault happens once, to the order that it names."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.fault("campay", "order-1", kind=kind, seconds=0.3)
    began = asyncio.get_running_loop().time()
    await paid(sim)
    if count:
        await until(lambda: len(got) == count)
    took = asyncio.get_running_loop().time() - began
    await asyncio.sleep(0.02)
    assert len(got) == count
    assert (took >= 0.3) is (kind is Fault.WEBHOOK_LATE)
    if kind is Fault.WEBHOOK_DUPLICATE:
        assert got[0].body == got[1].body
    await ask(sim, "POST", "/campay/api/collect/", collect(reference="order-2"), headers=CAMPAY)
    sim.settle("order-2", Status.SUCCEEDED)
    await until(lambda: len(got) == count + 1)


async def test_a_forgery_claims_success_with_a_wrong_signature() -> None:
    """The forged message claims SUCCESSFUL with another key; the true failure follows."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.fault("campay", kind=Fault.WEBHOOK_FORGED)
    sim.campay.webhook_url = "https://shop.example/pay"
    await ask(sim, "POST", "/campay/api/collect/", collect(), headers=CAMPAY)
    sim.settle("order-1", Status.FAILED)
    await until(lambda: len(got) == 2)
    forged, true = (json.loads(incoming.body) for incoming in got)
    assert (forged["status"], true["status"]) == ("SUCCESSFUL", "FAILED")
    assert forged["reference"] == true["reference"]
    assert forged["signature"] != true["signature"]
    sim.fault("mpesa", kind=Fault.WEBHOOK_FORGED)
    await ask(
        sim, "POST", "/mpesa/mpesa/stkpush/v1/processrequest", push(), headers=await login(sim)
    )
    sim.settle(sim.ledger.entries(provider="mpesa")[0].provider_reference, Status.CANCELLED)
    await until(lambda: len(got) == 4)
    callbacks = [json.loads(incoming.body)["Body"]["stkCallback"] for incoming in got[2:]]
    assert [callback["ResultCode"] for callback in callbacks] == [0, 1032]


async def test_a_receiver_may_be_a_coroutine_and_may_fail() -> None:
    """What a receiver answers or raises is stored, and never breaks the simulator."""
    sim = Simulator()

    async def receive(incoming: WebhookRequest) -> Response:
        await asyncio.sleep(0)
        return Response(status=202)

    def refuse(incoming: WebhookRequest) -> None:
        raise BadWebhook("forged")

    sim.on_webhook(receive)
    await paid(sim)
    await until(lambda: sim.deliveries and sim.deliveries[0].status)
    sim.on_webhook(refuse)
    await paid(sim)
    await until(lambda: sim.deliveries[-1].error)
    assert [(one.status, one.error) for one in sim.deliveries] == [
        (202, None),
        (None, "BadWebhook: forged"),
    ]


@pytest.mark.parametrize(
    "url", ["https://shop.example/pay", "http://shop.example/pay", "http://127.0.0.1:1/pay"]
)
async def test_nothing_is_sent_beyond_this_machine(url: str) -> None:
    """A webhook goes to loopback or to a test's receiver; any other target is an error."""
    sim = Simulator()
    await paid(sim, url)
    await until(lambda: sim.deliveries and sim.deliveries[0].error)
    assert sim.deliveries[0].status is None
    assert ("loopback" in str(sim.deliveries[0].error)) is ("shop" in url)


async def test_no_webhook_is_sent_where_none_is_set() -> None:
    """CamPay's callback is a setting of the app: without it none is sent."""
    sim = Simulator()
    await paid(sim, "")
    await asyncio.sleep(0.01)
    assert sim.deliveries == []


def test_what_is_settled_outside_a_loop_is_told_in_the_next() -> None:
    """A test without an event loop can settle, too; the webhook goes out with the next request."""
    sim = Simulator()
    got: list[WebhookRequest] = []
    sim.on_webhook(got.append)
    sim.campay.webhook_url = "https://shop.example/pay"
    asyncio.run(ask(sim, "POST", "/campay/api/collect/", collect(), headers=CAMPAY))
    sim.settle("order-1", Status.SUCCEEDED)
    assert sim.ledger.charged("order-1") == 500

    async def look() -> None:
        await ask(sim, "GET", "/campay/api/balance/", headers=CAMPAY)
        await until(lambda: got)

    asyncio.run(look())
    assert len(got) == 1
