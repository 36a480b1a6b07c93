"""What a mock's errors mean for money, and what a mock cannot see."""

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, get_args
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aioresponses import CallbackResult, aioresponses

from paymux import (
    CamPay,
    MpesaGateway,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    Status,
    Unavailable,
    UsageError,
)
from paymux.drivers import load, own
from paymux.drivers.base import Verb
from paymux.simulator import Simulator
from paymux.testing.aioresponses import paymux_aioresponses

from ..driving import sample
from ..toys import timeless

API = "https://demo.campay.net/api"
ID = "bcedde9b-62a7-4421-96ac-2e6179552a1a"
REQUEST = aiohttp.ClientSession._request
ORDER: dict[str, Any] = {
    "amount": 5,
    "currency": "XAF",
    "payer": "237670000000",
    "reference": "order-1",
}
BROKEN: list[Any] = [
    pytest.param(aiohttp.ClientConnectionError("gone"), id="ClientConnectionError"),
    pytest.param(aiohttp.ServerDisconnectedError(), id="ServerDisconnectedError"),
    pytest.param(TimeoutError(), id="TimeoutError"),
    pytest.param(ConnectionResetError(), id="ConnectionResetError"),
    pytest.param(None, id="no answer for this URL"),
]


def campay() -> CamPay:
    """Give an account that does not log in."""
    return CamPay(access_token="t0ken")


def unconnected(kind: type[aiohttp.ClientConnectorError]) -> aiohttp.ClientConnectorError:
    """Give the error of a connector that reached no host."""
    key = ConnectionKey("demo.campay.net", 443, True, True, None, None, None)
    return kind(key, OSError("unreachable"))


def calls(mocked: aioresponses, path: str) -> int:
    """Count the calls of one path."""
    return sum(len(made) for (_, url), made in mocked.requests.items() if url.path == path)


@pytest.mark.parametrize("broken", BROKEN)
async def test_an_error_on_money_is_unknown_and_one_call(
    mocked: aioresponses, session: aiohttp.ClientSession | None, broken: Exception | None
) -> None:
    """No error of a mock proves that nothing was sent, but that of a connector."""
    if broken is not None:
        mocked.post(f"{API}/collect/", exception=broken, repeat=True)
    async with Pool(campay(), session=session) as pay:
        with pytest.raises(OutcomeUnknown) as lost:
            await pay.collect("campay", **ORDER)
        assert lost.value.payment.reference == "order-1"
        with pytest.raises(OutcomeUnknown):
            await pay.collect("campay", **ORDER)
    assert calls(mocked, "/api/collect/") == 1


@pytest.mark.parametrize("kind", [aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError])
async def test_a_connector_that_reaches_no_host_sent_nothing(
    mocked: aioresponses,
    session: aiohttp.ClientSession | None,
    kind: type[aiohttp.ClientConnectorError],
) -> None:
    """ClientConnectorError on money is NotSent: the order may be repeated, and then succeeds."""
    mocked.post(f"{API}/collect/", exception=unconnected(kind), repeat=3)
    mocked.post(f"{API}/collect/", payload={"reference": ID, "status": "PENDING"})
    async with Pool(campay(), session=session) as pay:
        with pytest.raises(NotSent):
            await pay.collect("campay", **ORDER)
        assert (await pay.collect("campay", **ORDER)).status is Status.PENDING
    assert calls(mocked, "/api/collect/") == 4


@pytest.mark.usefixtures("plain")
async def test_a_session_that_does_more_than_a_mock_proves_nothing() -> None:
    """A session class that asks in its own way is no mock, though aioresponses is active."""

    async def ask(*_: Any, **__: Any) -> Any:
        raise unconnected(aiohttp.ClientConnectorError)

    for name in ("request", "_request"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # aiohttp would rather not
            own_session = type("Own", (aiohttp.ClientSession,), {name: ask})()
        async with own_session, Pool(campay(), session=own_session) as pay:
            with pytest.raises(OutcomeUnknown):
                await pay.collect("campay", **ORDER)


@pytest.mark.parametrize("broken", BROKEN)
async def test_an_error_on_a_look_up_is_unavailable(
    mocked: aioresponses, session: aiohttp.ClientSession | None, broken: Exception | None
) -> None:
    """A look-up is repeated, and then Unavailable: never an end of the payment."""
    if broken is not None:
        mocked.get(f"{API}/transaction/{ID}/", exception=broken, repeat=True)
    async with Pool(campay(), session=session) as pay:
        with pytest.raises(Unavailable):
            await pay.verify(Payment(account="campay", provider_reference=ID))
    assert calls(mocked, f"/api/transaction/{ID}/") == 3


@pytest.mark.parametrize(
    "answer", [{"status": 500}, {"status": 302, "headers": {"Location": f"{API}/other/"}}]
)
async def test_an_odd_answer_on_money_is_unknown_and_one_call(
    mocked: aioresponses, session: aiohttp.ClientSession | None, answer: dict[str, Any]
) -> None:
    """A server error proves nothing, and a redirect is not followed."""
    mocked.post(f"{API}/collect/", repeat=True, **answer)
    mocked.get(f"{API}/other/", payload={"reference": ID, "status": "PENDING"})
    async with Pool(campay(), session=session) as pay:
        with pytest.raises(OutcomeUnknown):
            await pay.collect("campay", **ORDER)
    assert (calls(mocked, "/api/collect/"), calls(mocked, "/api/other/")) == (1, 0)


async def test_a_callback_sees_what_is_sent(
    mocked: aioresponses, session: aiohttp.ClientSession | None
) -> None:
    """A mock's callback gets the URL, the headers and the body as bytes."""
    seen: dict[str, Any] = {}

    def answer(url: Any, **given: Any) -> CallbackResult:
        seen.update(given, url=str(url))
        return CallbackResult(payload={"reference": ID, "status": "PENDING"})

    mocked.post(f"{API}/collect/", callback=answer)
    async with Pool(campay(), session=session) as pay:
        await pay.collect("campay", **ORDER)
    assert seen["url"] == f"{API}/collect/"
    assert isinstance(seen["data"], bytes)
    assert seen["headers"]["Authorization"] == "Token t0ken"


@timeless
async def test_a_watch_asks_the_mock() -> None:
    """A watch of a pool without a session ends by the mock's answers, and opens no WebSocket."""
    with paymux_aioresponses() as mocked:
        gateway = "https://shop.example/api/payment"
        mocked.post(f"{gateway}/mpesa/", payload=sample("mpesa_gateway", "initiate.200"))
        mocked.post(f"{gateway}/verify/", payload={"status": "pending", "message": "Waiting"})
        mocked.post(f"{gateway}/verify/", payload=sample("mpesa_gateway", "verify.200"))
        account = MpesaGateway(base_url="https://shop.example", access_token="t0ken")
        async with Pool(account) as pay:
            payment = await pay.collect(
                "mpesa_gateway", amount=1000, currency="KES", payer="254712345678", reference="123"
            )
            assert (await pay.watch(payment, timeout=60)).status is Status.SUCCEEDED


async def test_nothing_is_changed_after_the_test() -> None:
    """Outside the fixture aiohttp and the pool are as they were."""
    before = inspect.getattr_static(aiohttp.ClientResponse, "__init__")
    with paymux_aioresponses():
        assert aiohttp.ClientSession._request is not REQUEST
    assert aiohttp.ClientSession._request is REQUEST
    assert inspect.getattr_static(aiohttp.ClientResponse, "__init__") is before


@pytest.fixture
def plain() -> Iterator[aioresponses]:
    """Mock aiohttp without our fixture."""
    with aioresponses() as mock:
        yield mock


@pytest.mark.usefixtures("plain")
async def test_a_mock_that_sees_nothing_is_told_of_once(resolved: list[str]) -> None:
    """A pool without a session says once that the mock cannot see it, and how to change that."""
    async with Pool(campay()) as pay:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for _ in range(2):
                with pytest.raises(NotSent):
                    await pay.verify(Payment(account="campay", provider_reference=ID))
    (warning,) = said
    text = str(warning.message)
    assert "demo.campay.net is really asked" in text
    assert "session=" in text
    assert "paymux_aioresponses" in text
    assert ID not in text
    assert {*resolved} == {"demo.campay.net"}
    resolved.clear()


async def test_a_warning_that_is_an_error_stops_the_order(
    plain: aioresponses, resolved: list[str]
) -> None:
    """Where warnings are errors, nothing is asked, and the order may be made afterwards."""
    async with Pool(campay()) as pay:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="really asked"):
                await pay.collect("campay", **ORDER)
        assert resolved == []


@pytest.mark.parametrize("mock", [aioresponses, lambda: aioresponses(passthrough=["http://127."])])
async def test_a_simulator_on_this_machine_is_meant_to_be_asked(
    mock: Callable[[], aioresponses],
) -> None:
    """A pool on a loopback port beside a mock of other hosts warns of nothing."""
    async with Simulator() as sim:
        with mock():
            async with Pool(sim.driver("campay")) as pay:
                assert (await pay.balance("campay")).available > 0


async def test_a_mock_of_another_kind_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, resolved: list[str]
) -> None:
    """Only aioresponses is known: what a tracer or a stub puts in its place says nothing."""
    monkeypatch.setattr(aiohttp.ClientSession, "_request", Mock())
    async with Pool(campay()) as pay:
        with pytest.raises(NotSent):
            await pay.verify(Payment(account="campay", provider_reference=ID))
    resolved.clear()


@pytest.mark.parametrize("name", own())
def test_every_verb_of_every_driver_is_tried(name: str) -> None:
    """Each operation that a driver has is in its file."""
    tried = vars(import_module(f"{__package__}.test_{name}"))
    driver = load(name)
    assert [
        verb for verb in get_args(Verb) if driver.can(verb) and f"test_{verb}" not in tried
    ] == []


@pytest.mark.parametrize("first", [paymux_aioresponses, aioresponses])
def test_mocks_are_not_nested(first: Callable[[], contextlib.AbstractContextManager[Any]]) -> None:
    """A second one is refused with a word about it, and the first one goes on."""
    with first():
        mocked = aiohttp.ClientSession._request
        with pytest.raises(UsageError, match="mocked already; mocks cannot be nested"):
            paymux_aioresponses().__enter__()
        assert aiohttp.ClientSession._request is mocked
    assert aiohttp.ClientSession._request is REQUEST
