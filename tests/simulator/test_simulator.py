import asyncio
import random
from typing import Any

import aiohttp
import phonenumbers
import pytest

from paymux import Pool
from paymux.drivers import names
from paymux.errors import UsageError
from paymux.http import PreparedRequest, Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator import Entry, Fault, Message, Outcome, Simulator
from paymux.simulator.base import Provider, magic

from ..cases import ordered
from ..toys import KEY
from .asking import CAMPAY, ask, collect, login, push, raw, told, until

COLLECT = "/campay/api/collect/"


async def test_every_provider_answers_behind_one_port() -> None:
    """One port, one mount per driver; other paths are 404, and are logged."""
    async with Simulator() as sim:
        assert (await raw(sim, "GET", "/campay/api/balance/", headers=CAMPAY)).startswith(
            b"HTTP/1.1 200"
        )
        assert (await raw(sim, "GET", "/campay//api/balance", headers=CAMPAY)).startswith(
            b"HTTP/1.1 200"
        )
        assert (await raw(sim, "GET", "/mpesa/oauth/v1/generate")).startswith(b"HTTP/1.1 400")
        assert (await raw(sim, "GET", "/elsewhere")).startswith(b"HTTP/1.1 404")
        assert [one.provider for one in sim.requests] == ["campay", "campay", "mpesa", "elsewhere"]
    with pytest.raises(OSError, match="Connect"):
        await raw(sim, "GET", "/campay/api/balance/")


@pytest.mark.parametrize("root", names())
async def test_a_provider_at_the_root_is_served_whole(root: str) -> None:
    """A provider at the root answers each of its paths, with and without its mount."""
    async with Simulator(root=root) as sim:
        for number, mount in enumerate(("", f"/{root}"), 1):
            driver = sim.driver(root, base_url=f"{sim.url}{mount}{sim.providers[root].base_path}")
            async with Pool(driver, webhook_base=f"{sim.url}/told", webhook_key=KEY) as pool:
                payment = await ordered(pool, root, amount=1000, reference=str(number))
                assert (await pool.verify(payment)).status is Status.PENDING
            assert len(sim.ledger) == number
        other = "campay" if root != "campay" else "paydunya"
        async with Pool(sim.driver(other), webhook_base=f"{sim.url}/told", webhook_key=KEY) as pool:
            await ordered(pool, other, amount=1000, reference="3")
        assert [entry.provider for entry in sim.ledger] == [root, root, other]


@pytest.mark.parametrize(
    "path", ["/mpesa/stkpush/v1/processrequest", "//mpesa//stkpush/v1/processrequest/"]
)
@pytest.mark.parametrize("mount", ["", "/mpesa", "/mpesa/"])
async def test_darajas_own_paths_are_told_from_its_mount(mount: str, path: str) -> None:
    """At the root `/mpesa/stkpush/…` is Daraja's own, as `/mpesa/mpesa/stkpush/…` is."""
    async with Simulator(root="mpesa") as sim:
        answer = await raw(sim, "POST", f"{mount}{path}", {})
        assert b"Invalid Authentication Header" in answer  # only this path requires it
        assert b"Resource not found" in await raw(sim, "POST", f"{mount}/mpesa/elsewhere", {})


async def test_a_request_is_logged_whole() -> None:
    """Every complete request can be counted: money, logins, anything."""
    async with Simulator() as sim:
        await raw(sim, "POST", f"{COLLECT}?x=1", collect(), CAMPAY)
        await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    first, second = sim.received("campay", "POST /collect/")
    assert (first.method, first.path, first.query, first.body) == (
        "POST",
        "/api/collect/",
        "x=1",
        second.body,
    )
    assert first.headers["authorization"] == "Token simulator"
    assert sim.received("campay", "POST /token/") == sim.received("mpesa") == []


async def test_a_providers_own_host_is_answered_in_process() -> None:
    """A driver needs no other URL in tests: its live host leads to the simulator."""
    sim = Simulator()
    for url in ("https://www.campay.net/api/balance/", "https://demo.campay.net/api/balance/"):
        asked = PreparedRequest(method="GET", url=url, headers=CAMPAY, body=None, money=False)
        assert (await sim.connection.exchange(asked)).status == 200
    await sim.connection.aclose()


@pytest.mark.parametrize("name", ["campay", "mpesa"])
def test_a_driver_comes_ready_to_use(name: str) -> None:
    """`sim.driver` has valid credentials, the simulator's URL, and the caller's fields."""
    sim = Simulator()
    driver = sim.driver(name, account="mine")
    assert (driver.name, driver.account) == (name, "mine")
    assert driver.url == f"{sim.url}/{name}{sim.providers[name].base_path}"


def test_what_is_unknown_is_named() -> None:
    """An unknown driver, provider or reference is an error that lists the known ones."""
    sim = Simulator()
    with pytest.raises(UsageError, match="campay"):
        sim.driver("nobody")
    with pytest.raises(UsageError, match="order-9"):
        sim.settle("order-9", Status.SUCCEEDED)
    with pytest.raises(AttributeError, match="nobody"):
        _ = sim.nobody


@pytest.mark.parametrize("name", ["campay", "mpesa"])
def test_magic_numbers_are_numbers_of_the_country(name: str) -> None:
    """Every magic number is a possible phone number, so that no check needs an exception."""
    numbers = Simulator().providers[name].magic
    assert len(numbers) % 9 == 0
    for number in numbers:
        assert phonenumbers.is_valid_number(phonenumbers.parse(f"+{number}"))


@pytest.mark.parametrize(
    ("stem", "success", "field"),
    [
        ("2" * 15, "7", "stem"),
        ("+23767777777", "7", "stem"),
        ("", "7", "stem"),
        (None, "7", "stem"),
        ("23767777777", "77", "success"),
        ("23767777777", 7, "success"),
    ],
)
def test_magic_numbers_that_no_payer_can_have_are_refused(
    stem: Any, success: Any, field: str
) -> None:
    """A test that uses them would prove nothing: UsageError."""
    with pytest.raises(UsageError, match=f"^{field}: "):
        magic(stem, success=success)


@pytest.mark.parametrize("url", [None, ""])
def test_a_message_without_an_address_is_refused(url: Any) -> None:
    """Where there is no address, the provider sends no message."""
    with pytest.raises(UsageError, match=r"^url: .*returns None from `message`"):
        Message.json(url, {})


async def test_settling_decides_every_open_order_of_a_reference() -> None:
    """Two orders with one reference are two prompts, both answered: a double charge shows."""
    sim = Simulator()
    for _ in range(2):
        await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)
    assert len(sim.settle("order-1", Status.FAILED, reason=Reason.DECLINED)) == 2
    assert [one.status for one in sim.ledger] == [Status.FAILED, Status.FAILED]
    sim.settle("order-1", Status.SUCCEEDED)
    assert [one.status for one in sim.ledger] == [Status.FAILED, Status.SUCCEEDED]
    assert sim.ledger.charged("order-1") == 500


async def test_a_payer_decides_after_the_delay() -> None:
    """The delay may be drawn for each order, and the default decides for other numbers."""

    def patience(chance: random.Random, entry: Entry) -> float:
        assert 0 <= chance.random() < 1
        return 0.0 if entry.reference == "quick" else 30.0

    sim = Simulator(payer_delay=patience, default=Status.FAILED)
    for reference in ("quick", "slow"):
        await ask(sim, "POST", COLLECT, collect(reference=reference), headers=CAMPAY)
    await until(lambda: sim.ledger.entries("quick")[0].status.terminal)
    assert [one.status for one in sim.ledger] == [Status.FAILED, Status.PENDING]


async def test_a_test_has_its_own_magic_numbers() -> None:
    """A number may get any outcome, which goes before the default."""
    sim = Simulator(payer_delay=0.0, default=Status.SUCCEEDED)
    sim.campay.magic["237670000001"] = Outcome(Status.FAILED, Reason.LIMIT)
    await ask(sim, "POST", COLLECT, collect("237670000001"), headers=CAMPAY)
    await until(lambda: next(iter(sim.ledger)).status.terminal)
    assert next(iter(sim.ledger)).reason is Reason.LIMIT


@pytest.mark.parametrize("latency", [0.03, lambda chance: 0.03 + chance.random() / 1000])
async def test_an_answer_takes_its_latency(latency: Any) -> None:
    """Each answer waits for a number of seconds, fixed or drawn; the order is processed before."""
    sim = Simulator(latency=latency)
    asking = asyncio.create_task(ask(sim, "POST", COLLECT, collect(), headers=CAMPAY))
    await asyncio.sleep(0.01)
    assert (len(sim.ledger), asking.done()) == (1, False)
    assert (await asking).status == 200


async def test_a_seed_repeats_a_run() -> None:
    """The same seed gives the same ids; another seed others."""
    ids = []
    for seed in (1, 1, 2):
        sim = Simulator(seed=seed)
        ids.append(told(await ask(sim, "POST", COLLECT, collect(), headers=CAMPAY))["reference"])
    assert ids[0] == ids[1] != ids[2]


def test_one_simulator_serves_loops_in_turn() -> None:
    """In process it survives an event loop: open decisions are made in the next one."""
    sim = Simulator(payer_delay=0.02, default=Status.SUCCEEDED)
    made = told(asyncio.run(ask(sim, "POST", COLLECT, collect(), headers=CAMPAY)))

    async def later() -> Response:
        await asyncio.sleep(0.03)
        return await ask(
            sim, "GET", f"/campay/api/transaction/{made['reference']}/", headers=CAMPAY
        )

    assert told(asyncio.run(later()))["status"] == "SUCCESSFUL"


async def test_leaving_ends_everything_at_once() -> None:
    """Stalled answers, late webhooks, slow receivers and undecided payers leave no task."""
    before = asyncio.all_tasks()
    async with Simulator(payer_delay=30.0) as sim:
        sim.on_webhook(lambda _: asyncio.sleep(30.0))
        sim.campay.webhook_url = "https://shop.example/pay"
        sim.fault("campay", "POST /collect/", kind=Fault.STALL)
        sim.fault("campay", "late", kind=Fault.WEBHOOK_LATE, seconds=30.0)
        stalled = asyncio.create_task(raw(sim, "POST", COLLECT, collect(), CAMPAY))
        await until(lambda: len(sim.ledger) == 1)
        for reference in ("late", "slow"):
            await ask(sim, "POST", COLLECT, collect(reference=reference), headers=CAMPAY)
            sim.settle(reference, Status.SUCCEEDED)
        body = push("254708374149")
        await ask(
            sim, "POST", "/mpesa/mpesa/stkpush/v1/processrequest", body, headers=await login(sim)
        )
        left = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - left < 0.9
    assert await stalled == b""
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ([], "at least one: campay, "),
        ("campay", "a list of names and classes"),
        (["campaz"], "'campaz' is refused; accepted: campay, "),
        ([Provider], "a name, or a class derived from Provider"),
        ([42], "a name, or a class derived from Provider"),
    ],
)
def test_providers_that_cannot_be_served_are_refused(providers: Any, said: str) -> None:
    """UsageError names what was given and what is accepted."""
    with pytest.raises(UsageError, match=f"^providers: .*{said}") as refused:
        Simulator(providers=providers)
    assert refused.value.name == "providers"


async def test_only_the_chosen_providers_are_served() -> None:
    """Names and classes; a driver of another provider, and a fault there, are refused."""
    sim = Simulator(providers=["campay", Acme])
    assert [*sim.providers] == ["campay", "acme"]
    with pytest.raises(UsageError, match="accepted: acme, campay"):
        sim.driver("mpesa")
    with pytest.raises(UsageError, match="accepted: acme, campay"):
        sim.fault("mpesa", kind=Fault.HTML)
    async with Pool(sim.driver("campay"), connection=sim.connection) as pool:
        assert (await pool.balance("campay")).available > 0


class Acme(Provider):
    """A provider that pushes frames."""

    name = "acme"

    async def answer(self, incoming: WebhookRequest) -> Response:
        return Response(status=404)

    def listens(self, incoming: WebhookRequest) -> Response | None:
        return None if incoming.query == "token=simulator" else Response(status=401)


async def test_a_provider_may_push_frames() -> None:
    """A WebSocket is refused, or gets every frame until it is closed."""
    async with Simulator(providers=[Acme]) as sim, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{sim.url}/acme/ws/")
        async with session.ws_connect(f"{sim.url}/acme/ws/?token=simulator") as stream:
            sim.acme.push("hello")
            assert await stream.receive_str() == "hello"
            closing = asyncio.ensure_future(sim.__aexit__(None, None, None))
            assert (await stream.receive()).type is aiohttp.WSMsgType.CLOSE
        await closing
    sim.acme.push("to nobody")
    with pytest.raises(NotImplementedError):
        await Provider(sim.core).answer(WebhookRequest())
