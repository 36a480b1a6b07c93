"""The pool's verbs from end to end: two providers over sockets, webhooks, and exact amounts."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from aiohttp import web

from paymux import (
    BadWebhook,
    CamPay,
    Event,
    Mismatch,
    Mpesa,
    OutcomeUnknown,
    PayDunya,
    Payment,
    PaymuxError,
    Pool,
    Status,
    Trust,
    Unsupported,
    UsageError,
    WebhookRequest,
    get,
)
from paymux.core.orders import checked_order
from paymux.drivers.base import Driver
from paymux.http import Send
from paymux.models import Kind
from paymux.simulator import Fault, Simulator
from paymux.values.money import DECIMALS

from .campaigns.refusals import measured
from .toys import Desk, Findable, Keyless, Said, Toy, Wire, answer, push, timeless

PAID = "237677777777"  # a magic number: this payer approves
KEY = "0123456789abcdef-hooks"
PUSH: Mapping[str, Any] = {"amount": 250, "currency": "KES", "payer": "254708374149"}
XAF: Mapping[str, Any] = {"amount": 500, "currency": "XAF", "payer": PAID}


class Shop:
    """Providers, a pool of two accounts, and a server that receives and confirms webhooks."""

    def __init__(self, sim: Simulator, pool: Pool) -> None:
        self.sim = sim
        self.pool = pool
        self.events: list[Event] = []
        self.confirmed: list[Payment] = []
        self.errors: list[PaymuxError] = []

    async def receive(self, request: web.BaseRequest) -> web.Response:
        incoming = WebhookRequest(
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        try:
            self.events.append(self.pool.webhook(incoming))
            self.confirmed.append(await self.pool.confirm(self.events[-1]))
        except PaymuxError as error:
            self.errors.append(error)
        return web.Response()

    async def settled(self, reference: str, status: Status) -> None:
        """Settle an order, and wait until its webhook was delivered."""
        count = len(self.sim.deliveries)
        self.sim.settle(reference, status)
        async with asyncio.timeout(5):
            while len(self.sim.deliveries) == count or self.sim.deliveries[-1].status is None:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def opened() -> AsyncGenerator[Shop]:
    """Open a shop; its payers decide when a test settles their orders."""

    async def receive(request: web.BaseRequest) -> web.Response:
        # opened last, because the pool needs the receiver's URL
        return await shop.receive(request)

    async with Simulator(default=None, payer_delay=3600) as sim:
        receiver = web.ServerRunner(web.Server(receive, access_log=None))
        await receiver.setup()
        await web.TCPSite(receiver, "127.0.0.1", 0).start()
        base = "http://{}:{}/pay".format(*receiver.addresses[0])
        drivers = (sim.driver("campay", webhook_key="simulator"), sim.driver("mpesa"))
        async with Pool(*drivers, webhook_base=base, webhook_key=KEY) as pool:
            shop = Shop(sim, pool)
            sim.campay.webhook_url = pool.webhook_url("campay")
            try:
                yield shop
            finally:
                await receiver.cleanup()


async def test_a_campay_message_is_confirmed_and_wakes_the_watch() -> None:
    """After CamPay's callback the pool looks up, and the watch ends as the ledger says."""
    async with opened() as shop:
        payment = await shop.pool.collect("campay", **XAF, reference="order-1")
        assert payment.status is Status.PENDING
        watch = shop.pool.watch(payment, timeout=30)
        await anext(watch)
        await shop.settled("order-1", Status.SUCCEEDED)
        ended = await asyncio.wait_for(watch, 1.0)
        assert (ended.status, ended.amount, ended.reference) == (
            Status.SUCCEEDED,
            Decimal(500),
            "order-1",
        )
        assert [event.trust for event in shop.events] == [Trust.ORIGIN]
        assert [one.status for one in shop.confirmed] == [Status.SUCCEEDED]
        assert shop.sim.ledger.charged("order-1") == 500


async def test_an_mpesa_message_brings_the_receipt() -> None:
    """The receipt, which only the callback has, is believed on the order's own secret path."""
    async with opened() as shop:
        payment = await shop.pool.collect("mpesa", **PUSH, reference="order-2")
        watch = shop.pool.watch(payment, timeout=30)
        await anext(watch)
        await shop.settled("order-2", Status.SUCCEEDED)
        ended = await asyncio.wait_for(watch, 1.0)
        assert ended.status is Status.SUCCEEDED
        assert ended.receipt
        assert shop.events[0].path_reference == "order-2"
        assert shop.sim.ledger.charged("order-2") == 250


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.CANCELLED])
@pytest.mark.parametrize(("account", "order"), [("campay", XAF), ("mpesa", PUSH)])
async def test_a_lost_answer_is_resolved_by_the_message(
    account: str, order: Mapping[str, Any], status: Status
) -> None:
    """An order whose answer was lost is sent once, and known from its webhook alone."""
    async with opened() as shop:
        path = "/collect/" if account == "campay" else "/processrequest"
        shop.sim.fault(account, f"POST {path}", kind=Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown) as unknown:
            await shop.pool.collect(account, **order, reference="order-3")
        held = unknown.value.payment
        assert (held.status, held.provider_reference) == (Status.PENDING, None)
        watch = shop.pool.watch(held, timeout=30)
        await anext(watch)
        await shop.settled("order-3", status)
        ended = await asyncio.wait_for(watch, 1.0)
        assert ended.provider_reference == shop.sim.ledger.entries("order-3")[0].provider_reference
        assert ended.status is (
            Status.FAILED if (account, status) == ("campay", Status.CANCELLED) else status
        )
        assert shop.errors == []
        assert len(shop.sim.ledger.entries("order-3")) == 1
        assert len(shop.sim.received(account, f"POST {path}")) == 1


async def test_a_cheaper_payment_never_confirms_a_dearer_order() -> None:
    """A paid, cheaper push on another order's path is a Mismatch and changes nothing."""
    async with opened() as shop:
        dear = await shop.pool.collect("mpesa", **{**PUSH, "amount": 9000}, reference="dear")
        cheap = await shop.pool.collect(
            "mpesa", **{**PUSH, "amount": 1, "payer": "254711000006"}, reference="cheap"
        )
        await shop.settled("cheap", Status.SUCCEEDED)
        told = shop.sim.deliveries[-1].message
        path = shop.pool.webhook_url("mpesa", "dear").partition("/pay")[2]
        event = shop.pool.webhook(WebhookRequest(path=f"/pay{path}", body=told.body))
        with pytest.raises(Mismatch):
            await shop.pool.confirm(event, expected=dear)
        with pytest.raises(Mismatch):
            # no payment was expected, but the pool knows the owner of the id
            await shop.pool.confirm(event)
        assert event.claims.provider_reference == cheap.provider_reference
        assert (await shop.pool.verify(dear)).status is Status.PENDING


async def test_a_forged_message_is_refused_and_the_true_one_counts() -> None:
    """A forged message is dropped, and the later true one confirms."""
    async with opened() as shop:
        await shop.pool.collect("campay", **XAF, reference="order-4")
        shop.sim.fault("campay", "order-4", kind=Fault.WEBHOOK_FORGED)
        shop.sim.settle("order-4", Status.FAILED)
        async with asyncio.timeout(5):
            while [delivery.status for delivery in shop.sim.deliveries] != [200, 200]:
                await asyncio.sleep(0.01)
        assert [type(error) for error in shop.errors] == [BadWebhook]
        assert [payment.status for payment in shop.confirmed] == [Status.FAILED]


def _message(**fields: Any) -> WebhookRequest:
    return WebhookRequest(path=fields.pop("path", "/own/route"), body=json.dumps(fields).encode())


def test_a_message_on_a_route_of_ones_own_names_its_account() -> None:
    """With `account=` any path is accepted; without it, only our own callback paths."""
    pool = Pool(
        Keyless(),
        Keyless(account="other"),
        webhook_base="https://shop.example/pay",
        webhook_key=KEY,
    )
    event = pool.webhook(_message(id="p1"), account="keyless")
    assert (event.account, event.provider, event.path_reference) == ("keyless", "keyless", None)
    assert event.claims.provider_reference == "p1"
    with pytest.raises(BadWebhook, match="not one of ours"):
        pool.webhook(_message(id="p1"))
    with pytest.raises(UsageError, match="account"):
        pool.webhook(_message(id="p1"), account="nobody")
    hooked = pool.webhook_url("other", "order-1").removeprefix("https://shop.example")
    assert pool.webhook(_message(id="p1", path=hooked)).path_reference == "order-1"
    with pytest.raises(BadWebhook):
        pool.webhook(_message(id="p1", path=hooked), account="keyless")


async def test_a_callback_address_is_an_accounts_or_an_orders() -> None:
    """`webhook_url` returns the URL of an account or an order; an unknown account has none."""
    async with opened() as shop:
        await shop.pool.collect("mpesa", **PUSH, reference="order-5")
        (push,) = shop.sim.received("mpesa", "POST /processrequest")
        url = shop.pool.webhook_url("mpesa", "order-5")
        assert json.loads(push.body)["CallBackURL"] == url
        assert url.startswith(shop.pool.webhook_url("mpesa") + "/")
        assert shop.pool.webhook_url("campay") != shop.pool.webhook_url("mpesa")
        with pytest.raises(UsageError, match="account"):
            shop.pool.webhook_url("nobody")


async def test_a_method_of_the_driver_runs_with_its_own_types() -> None:
    """`run` calls a method that only one driver has."""
    async with opened() as shop:
        page = await shop.pool.run("campay", CamPay.payment_link, amount=500, reference="link-1")
        assert page.checkout_url
        assert page.amount == 500


@pytest.mark.parametrize(
    "method",
    [PayDunya.payout, Mpesa.collect, Driver.balance, PayDunya.popup, lambda driver, send: None],
    ids=["another-drivers", "another-drivers-collect", "overridden", "not-a-verb", "a-function"],
)
async def test_a_method_of_another_driver_is_refused(method: Callable[..., Awaitable[Any]]) -> None:
    """`run` accepts methods of the account's own driver class only, and sends nothing otherwise."""
    async with opened() as shop:
        with pytest.raises(UsageError, match="method"):
            await shop.pool.run("campay", method)
        assert shop.sim.requests == []


class Money(msgspec.Struct):
    """Two fields of CamPay's balance."""

    total_balance: float
    currency: str


async def test_an_endpoint_that_we_lack_is_sent_like_ours() -> None:
    """`send` signs with the account's token, and returns the reply in the caller's own type."""
    async with opened() as shop:
        found = await shop.pool.send("campay", get("/balance/", Money))
        assert found == Money(total_balance=2_000_000.0, currency="XAF")
        assert [one.path for one in shop.sim.requests] == ["/api/token/", "/api/balance/"]


async def test_a_history_is_paged_within_its_period() -> None:
    """`history` yields the payments of a period, and sends nothing before it is iterated."""
    async with opened() as shop:
        for number in range(3):
            await shop.pool.collect("campay", **XAF, reference=f"order-{number}")
        asked = len(shop.sim.requests)
        now = datetime.now(UTC)
        listed = shop.pool.history(
            "campay", since=now - timedelta(hours=1), until=now + timedelta(hours=1)
        )
        assert len(shop.sim.requests) == asked
        found = [payment async for payment in listed]
        entries = shop.sim.ledger.entries(provider="campay")
        assert {payment.provider_reference for payment in found} == {
            one.provider_reference for one in entries
        }
        early = shop.pool.history(
            "campay", since=now - timedelta(days=9), until=now - timedelta(days=8)
        )
        assert [payment async for payment in early] == []


async def test_a_history_of_who_has_none_is_unsupported() -> None:
    """Without a history at the provider, the first step is Unsupported, with nothing sent."""
    now = datetime.now(UTC)
    async with Simulator() as sim, Pool(sim.driver("cinetpay")) as pool:
        with pytest.raises(Unsupported):
            await anext(aiter(pool.history("cinetpay", since=now, until=now)))
        assert sim.requests == []


def test_a_browser_that_came_back_is_a_hint() -> None:
    """`returned` reads a URL like a message; without redirects it is Unsupported."""
    with_pages = PayDunya(
        master_key="m", private_key="test_p", access_token="t", store_name="Shop", account="pages"
    )
    phones = Mpesa(consumer_key="k", consumer_secret="s", shortcode="174379", passkey="p")
    pool = Pool(with_pages, phones)
    event = pool.returned("pages", "https://shop.example/back?token=test_abc123")
    assert (event.account, event.provider) == ("pages", "paydunya")
    assert event.trust is Trust.NOTHING
    assert event.claims.provider_reference == "test_abc123"
    assert event.claims.status is Status.PENDING
    with pytest.raises(BadWebhook):
        pool.returned("pages", "https://shop.example/back")
    with pytest.raises(Unsupported):
        pool.returned("mpesa", "https://shop.example/back?token=x")


async def test_a_pool_is_made_of_a_file_or_of_the_environment(tmp_path: Path) -> None:
    """Both ways make a working pool, with the accounts' own names."""
    async with Simulator() as sim:
        base = f"{sim.url}/campay/api"
        file = tmp_path / "accounts.toml"
        file.write_text(
            f'deadline = 5\n[accounts.shop]\ndriver = "campay"\nusername = "simulator"\n'
            f'password = "simulator"\nbase_url = "{base}"\n'
        )
        environment = {
            "PAYMUX_SHOP__DRIVER": "campay",
            "PAYMUX_SHOP__USERNAME": "simulator",
            "PAYMUX_SHOP__PASSWORD": "simulator",
            "PAYMUX_SHOP__BASE_URL": base,
            "HOME": "/nowhere",
        }
        for number, pool in enumerate(
            [Pool.from_config(file), Pool.from_env(environment, attempts=1)]
        ):
            async with pool:
                assert (await pool.balance("shop")).available == 2_000_000
                made = await pool.collect("shop", **XAF, reference=f"order-{number}")
                assert (made.account, made.provider) == ("shop", "campay")


def test_every_bad_input_is_refused_and_nothing_is_sent() -> None:
    """Each case of bench_refusals is UsageError or BadWebhook before a request."""
    times = asyncio.run(measured(1))
    assert len(times) > 150


@timeless
async def test_what_is_stored_is_asked_about_whatever_its_numbers_are() -> None:
    """A phone number is checked in a new order, and not in a stored payment."""
    async with Pool(Toy(), connection=Wire(Desk(payments=answer(id="p1", status="OK")))) as pool:
        for payer in ("22997001122", "237222123456", "not a number"):
            stored = Payment(account="toy", provider_reference="p1", payer=payer)
            assert (await pool.verify(stored)).status is Status.SUCCEEDED


class Cents(Toy, frozen=True, kw_only=True):
    """A toy that takes cents."""

    name = "cents"
    currencies = frozenset({"KES"})
    decimals: ClassVar[Mapping[str, int]] = DECIMALS
    countries = frozenset({"KE"})
    facts: ClassVar[Mapping[Kind, Any]] = {}

    async def collect(self, send: Send, order: Any) -> Payment:
        return self.pending(order)


SHILLINGS: Mapping[str, Any] = {"currency": "KES", "party": "254711000006"}
TAKERS: dict[str, tuple[Driver, Mapping[str, Any]]] = {
    name: (Simulator().driver(name), order)
    for name, order in {
        "campay": {"currency": "XAF", "party": PAID},
        "cinetpay": {"currency": "XOF"},
        "intram": {"currency": "XOF"},
        "mpesa": SHILLINGS,
        "mpesa_gateway": SHILLINGS,
        "paydunya": {"currency": "XOF"},
    }.items()
}
TAKERS["cents"] = (Cents(), SHILLINGS)

NUMBERS = [
    1,
    2,
    5,
    9,
    10,
    99,
    100,
    101,
    250,
    500,
    999,
    1000,
    12345,
    99_999,
    2**31 - 1,
    2**31,
    2**32,
    10**11 + 1,
]
WHOLE: dict[Any, int] = {}
for _number in [*NUMBERS, 10**12 - 1]:
    WHOLE |= dict.fromkeys(
        (str(_number), f"{_number}.0", f"{_number}.00", f"{_number}.0000"), _number
    )
    WHOLE |= {
        ("int", _number): _number,
        ("decimal", str(_number)): _number,
        ("decimal", f"{_number}.00"): _number,
    }
WHOLE |= {"01": 1, "000000000005": 5, ("decimal", "5E+2"): 500, ("decimal", "1E+11"): 10**11}
FINE = [
    "0.01",
    "0.10",
    "0.99",
    "1.25",
    "5.5",
    "5.50",
    "100.99",
    "100.9",
    "2.675",
    "99999999999.99",
    "0.1",
]
NEVER: list[Any] = [
    *(
        0.0,
        1.0,
        5.0,
        0.1,
        100.99,
        1e2,
        1e300,
        -1.0,
        float("nan"),
        float("inf"),
        1 + 0j,
        True,
        False,
        None,
    ),
    *(
        0,
        -1,
        -500,
        10**12,
        10**12 + 1,
        2**53,
        2**64,
        10**30,
        10**5000,
        b"5",
        bytearray(b"5"),
        [5],
        (5,),
        {5},
        {},
    ),
    *(
        "",
        " ",
        "0",
        "00",
        "0.0",
        "-0",
        "-1",
        "+1",
        "1e2",
        "1E2",
        "1E+1000000",
        "1e-2",
        "1_000",
        "1,000",
        "1 000",
    ),
    *(
        " 5",
        "5 ",
        "5\n",
        "\t5",
        "5.",
        ".5",
        "5..0",
        "5.00000",
        "0x10",
        "5f",
        "five",
        "NaN",
        "nan",
        "Infinity",
        "inf",
    ),
    *(
        "١٢",
        "१२",
        "\uff15",
        "²",
        "½",
        "5€",
        "XAF 5",
        "5 XAF",
        "1000000000000",
        "9" * 13,
        "9" * 30,
        "9" * 5000,
        "None",
    ),
    *(
        Decimal(text)
        for text in (
            "0",
            "-0",
            "0.00",
            "-1",
            "NaN",
            "sNaN",
            "-NaN",
            "Infinity",
            "-Infinity",
            "1E+12",
        )
    ),
    *(
        Decimal(text)
        for text in ("1E+1000000", "1E-1000000", "-1E+1000000", "1E+999999999", "9" * 30, "5.00001")
    ),
    *(
        Decimal(text)
        for text in ("0.001", "2.675", "100.999", "5." + "0" * 30 + "1", "0." + "3" * 5000)
    ),
]


def _written(value: Any) -> Any:
    match value:
        case ("int", number):
            return number
        case ("decimal", text):
            return Decimal(text)
    return value


def _order(name: str, amount: Any) -> Decimal:
    driver, fields = TAKERS[name]
    return checked_order(
        driver, "collect", reference="1", amount=amount, options={}, **fields
    ).amount


def test_there_are_two_hundred_amounts() -> None:
    """The tables below have the promised number of amounts."""
    assert len(WHOLE) + 2 * len(FINE) + len(NEVER) >= 200


@pytest.mark.parametrize("name", TAKERS)
def test_a_whole_amount_is_exact_however_it_is_written(name: str) -> None:
    """Ints, digits and Decimals give one Decimal with the currency's decimals."""
    places = TAKERS[name][0].decimals[TAKERS[name][1]["currency"]]
    for value, number in WHOLE.items():
        amount = _order(name, _written(value))
        assert type(amount) is Decimal
        assert str(amount) == (f"{number}.00" if places else f"{number}"), value


@pytest.mark.parametrize("name", TAKERS)
def test_a_fraction_is_exact_or_refused(name: str) -> None:
    """Cents are exact if the currency has them, and are never rounded if it has none."""
    places = TAKERS[name][0].decimals[TAKERS[name][1]["currency"]]
    for text in FINE:
        for value in (text, Decimal(text)):
            if Decimal(text).as_tuple().exponent == -3 or not places:
                with pytest.raises(UsageError, match="amount"):
                    _order(name, value)
            else:
                assert _order(name, value) == Decimal(text)


@pytest.mark.parametrize("name", TAKERS)
def test_no_other_number_is_an_amount(name: str) -> None:
    """Floats, words, other digits, infinite, negative and huge values: UsageError by name."""
    for value in NEVER:
        with pytest.raises(UsageError, match="amount"):
            _order(name, value)


@pytest.mark.parametrize("amount", [500, "500", "500.00", Decimal("5E+2"), 149_995])
@pytest.mark.parametrize("name", [name for name in TAKERS if name != "cents"])
async def test_an_amount_reaches_the_ledger_as_it_was_given(name: str, amount: Any) -> None:
    """The provider reads the amount that the caller wrote, in any form."""
    sim = Simulator()
    fields = {"currency": TAKERS[name][1]["currency"], "payer": TAKERS[name][1].get("party")}
    urls = {option: f"{sim.url}/{option}" for option in ("webhook_url", "return_url", "cancel_url")}
    taken: dict[str, Any] = {
        option: url for option, url in urls.items() if option in TAKERS[name][0].takes
    }
    if name == "cinetpay":
        taken["description"] = "Forfait"
    async with Pool(sim.driver(name), connection=sim.connection) as pool:
        payment = await pool.collect(name, amount=amount, reference="1", **fields, **taken)
    (entry,) = sim.ledger
    assert entry.amount == payment.amount == Decimal(amount)
    sent = json.loads(sim.requests[-1].body, parse_float=Decimal)
    assert not any(isinstance(value, float) for value in sent.values())
    await sim.core.aclose()


@pytest.mark.parametrize(
    "metadata", [{"a": "x" * 70_000}, {"a": object()}, {"a": {"b": float("nan")}.keys()}]
)
async def test_metadata_that_no_provider_would_take_is_refused(
    metadata: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata above 64 KiB, or without a JSON form, is UsageError, and nothing is sent."""
    monkeypatch.setattr("paymux.core.orders.MAX_JSON_BYTES", 64 * 1024)
    sim = Simulator()
    async with Pool(sim.driver("campay"), connection=sim.connection) as pool:
        with pytest.raises(UsageError, match="metadata"):
            await pool.collect(
                "campay",
                amount=5,
                currency="XAF",
                payer="237677777777",
                reference="r",
                metadata=metadata,
            )
    assert sim.requests == []


class Elsewhere(Findable, frozen=True, kw_only=True):
    """A toy whose provider says that every payment has the other mode."""

    def payment(self, said: Said, kind: Kind | None = "collect") -> Payment:
        return msgspec.structs.replace(super().payment(said, kind), live=not self.live)


@timeless
async def test_test_money_is_no_money_however_it_is_asked_for() -> None:
    """A payment of the other mode than the account's is Mismatch, never a success."""
    found = answer(id="p1", status="OK", amount="500", currency="XAF")
    async with Pool(Elsewhere(), connection=Wire(Desk(payments=found, find=found))) as pool:
        event = pool.webhook(
            push(id="p1", status="OK", headers={"signed": "yes"}), account="findable"
        )
        for ask in (
            pool.verify("findable", "p1"),
            pool.find("findable", reference="r1"),
            pool.confirm(event),
        ):
            with pytest.raises(Mismatch) as caught:
                await ask
            assert caught.value.fields == ("live",)
        (item,) = await pool.verify_many([("findable", "p1")])
        assert isinstance(item.error, Mismatch)
