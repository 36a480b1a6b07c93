"""Odd values from a caller are converted if their meaning is clear; otherwise UsageError.

tests/campaigns/battery.py makes the calls; benchmarks/bench_callers.py makes every call, and this
file some of them.
"""

import gc
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import paymux
from paymux import (
    CamPay,
    Customer,
    Event,
    Item,
    Mpesa,
    MpesaGateway,
    Payment,
    Pool,
    ProviderError,
    Status,
    Trust,
    UsageError,
    WebhookRequest,
    post,
)
from paymux.simulator import Simulator
from paymux.values.payment_arguments import checked_payment
from paymux.webhooks import Webhooks

from .campaigns import battery, callers
from .campaigns.battery import run, sample, unplanned
from .campaigns.oddities import VALUES, Safe, Scalar, Word
from .toys import BASE, KEY, Desk, Toy, Wire, answer, timeless

ROOT = Path(__file__).parent.parent
SOME = 700  # calls of the campaign


@pytest.fixture
def sim() -> Simulator:
    """Return simulated providers whose payers pay immediately."""
    return Simulator(default=Status.SUCCEEDED, payer_delay=0.0)


@pytest.fixture
def pay(sim: Simulator) -> Pool:
    """Return a pool of a few accounts."""
    drivers = [sim.driver(name) for name in ("campay", "mpesa", "paydunya", "mpesa_gateway")]
    return Pool(*drivers, connection=sim.connection, webhook_base=BASE, webhook_key=KEY)


async def held(pay: Pool) -> Payment:
    """Collect, and return the payment as if it came from a file."""
    payment = await pay.collect(
        "campay", amount=500, currency="XAF", payer="237677777777", reference="order-1"
    )
    return msgspec.structs.replace(payment, created_at=None)


# The campaign.


def test_every_public_callable_has_a_plan() -> None:
    """Each public callable, and each parameter it needs, is called by the campaign."""
    assert unplanned() == []
    assert len(VALUES) >= 60
    assert sum(1 for _ in battery.cases()) >= 20_000
    called = set(callers.public()) - set(callers.CALLED_BY_US)
    verbs = {
        f"Pool.{name}"
        for name, verb in vars(Pool).items()
        if callable(verb) and not name.startswith("_")
    }
    assert verbs <= called
    assert {name for name in paymux.__all__ if callable(getattr(paymux, name))} <= {
        *callers.public(),
        "Journal",
        "Observer",
    }
    assert set(callers.CALLED_BY_US) <= set(callers.public())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_some_calls_of_the_battery(seed: int) -> None:
    """No foreign exception, no hang and no warning in a sample of all calls."""
    found = run(sample(SOME, seed))
    assert {str(case): outcome.wrong for case, outcome in found.items() if outcome.wrong} == {}


def test_the_battery_is_content_with_a_good_verb() -> None:
    """Without a planted fault the same calls pass."""
    found = run([case for case in battery.cases("Pool.balance") if case.account == "campay"])
    assert [outcome.wrong for outcome in found.values() if outcome.wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["typeerror", "hang", "slow"])
def test_a_planted_fault_makes_the_battery_fail(fault: str) -> None:
    """A planted foreign exception, hang or slow check is found in every call of the method."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_callers",
        "--only",
        "Pool.balance",
        "--sample",
        "20",
    ]
    bad = subprocess.run(
        [*command, "--plant", fault], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = re.search(r"(\d+) foreign exceptions, (\d+) hangs, (\d+) slower than", bad.stdout)
    assert found, bad.stdout + bad.stderr
    assert found[1 + ["typeerror", "hang", "slow"].index(fault)] == "20", bad.stdout
    assert bad.returncode == 1


# Values with a clear meaning.


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("status", "pending", Status.PENDING),
        ("status", "PENDING", Status.PENDING),
        ("status", "", Status.PENDING),
        ("status", None, Status.PENDING),
        ("created_at", "2026-11-30T08:00:00Z", datetime(2026, 11, 30, 8, tzinfo=UTC)),
        ("created_at", "2026-11-30T11:00:00+03:00", datetime(2026, 11, 30, 8, tzinfo=UTC)),
        ("created_at", "", None),
        ("ids", None, {}),
        ("ids", {Safe("a"): Safe("b")}, {"a": "b"}),
        ("metadata", None, {}),
        ("amount", "500", Decimal(500)),
        ("amount", "500.00", Decimal(500)),
        ("amount", 500, Decimal(500)),
        ("amount", Scalar(500), Decimal(500)),
        ("amount", "", None),
        ("reference", Safe("order-1"), "order-1"),
        ("reference", "", None),
        ("currency", Safe("XAF"), "XAF"),
        ("live", "false", False),
        ("live", 0, False),
        ("kind", "COLLECT", "collect"),
        ("customer", Customer(name=Safe("Awa")), Customer(name="Awa")),
    ],
)
def test_a_payment_written_by_hand_is_read(field: str, value: Any, kept: object) -> None:
    """A payment's field from a file or form is converted to the class of the field."""
    found = checked_payment(Payment(**{"account": "campay", field: value}))
    assert getattr(found, field) == kept
    assert type(getattr(found, field)) is type(kept)
    assert checked_payment(found) is found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", None),
        ("account", ""),
        ("status", "paid"),
        ("status", 5),
        ("created_at", "2026-11-30"),
        ("created_at", datetime(2026, 11, 30)),  # noqa: DTZ001 - it must be refused
        ("created_at", 1764489600),
        ("ids", "x"),
        ("ids", {"a": 5}),
        ("amount", 500.0),
        ("amount", True),
        ("amount", Decimal("NaN")),
        ("amount", Decimal("sNaN")),
        ("amount", Decimal("Infinity")),
        ("amount", Decimal("1E+1000000")),
        ("amount", "1e3"),
        ("reference", 12),
        ("provider_reference", "\ud800"),
        ("provider_reference", "x" * 5000),
        ("message", "\ud800"),
        ("metadata", {"a": object()}),
        ("customer", Customer(name="\ud800")),
    ],
)
async def test_a_payment_that_says_nothing_of_use_is_refused(
    pay: Pool, sim: Simulator, field: str, value: Any
) -> None:
    """Each verb that takes a payment refuses an odd field by name, before a request."""
    odd = Payment(
        **{"account": "campay", "provider_reference": "x", "reference": "order-1", field: value}
    )
    async with pay:
        verbs: list[Callable[[], Any]] = [
            lambda: pay.verify(odd),
            lambda: pay.refund(odd, amount=5, reference="refund-1"),
            lambda: pay.receipt(odd),
            lambda: pay.confirm(
                Event(account="campay", claims=Payment(account="campay")), expected=odd
            ),
        ]
        for verb in verbs:
            with pytest.raises(UsageError) as caught:
                await verb()
            assert f".{field}" in (caught.value.name or "") or (field, value) == ("account", None)
        with pytest.raises(UsageError):
            pay.watch(odd)
        (item,) = await pay.verify_many([odd])
        assert isinstance(item.error, UsageError)
    assert sim.requests == []


async def test_the_lines_of_a_file_are_verified(pay: Pool) -> None:
    """A row of csv.DictReader, all text, can be verified, watched and refunded."""
    async with pay:
        paid = await held(pay)
        line = {"account": "campay", "provider_reference": paid.provider_reference, "amount": "500"}
        line |= {"currency": "XAF", "status": "pending", "reference": "order-1", "receipt": ""}
        by_hand = Payment(**line)  # type: ignore[arg-type] # text, as from a file
        found = await pay.verify(by_hand)
        assert (found.status, found.amount) == (Status.SUCCEEDED, Decimal(500))
        assert (await pay.watch(by_hand)).status is Status.SUCCEEDED
        (item,) = await pay.verify_many([by_hand])
        assert item.asked is by_hand
        assert item.payment is not None


@pytest.mark.parametrize("text", [Safe, lambda value: value], ids=["subclass", "plain"])
async def test_text_of_a_subclass_is_text(
    pay: Pool, sim: Simulator, text: Callable[[str], str]
) -> None:
    """Text of Django or pandas is accepted everywhere, and stored and sent as plain str."""
    async with pay:
        payment = await pay.collect(
            text("campay"),
            amount=text("500"),
            currency=text("XAF"),
            payer=text("237677777777"),
            reference=text("order-1"),
            description=text("Data"),
        )
        texts = [getattr(payment, name) for name in payment.__struct_fields__]
        assert {
            type(one) for one in texts if isinstance(one, str) and not isinstance(one, Status)
        } == {str}
        assert (
            await pay.verify(text("campay"), text(payment.provider_reference or ""))
        ).amount == 500
        assert pay.webhook_url(text("campay"), text("order-1")).startswith(BASE)
    assert sim.ledger.charged("order-1") == 500
    assert type(CamPay(username=text("u"), password=text("p"), account=text("a")).account) is str


@pytest.mark.parametrize("amount", [500, Decimal(500), "500", "500.00", Scalar(500), Safe("500")])
async def test_an_amount_of_any_library_is_that_amount(
    pay: Pool, sim: Simulator, amount: Any
) -> None:
    """An integer of numpy, a Decimal and digits give the same amount."""
    async with pay:
        line = Item(name="Data", unit_price=amount, quantity="1")  # type: ignore[arg-type] # text, as from a form
        await pay.collect(
            "paydunya",
            amount=amount,
            currency="XOF",
            reference="order-1",
            description="Data",
            items=[line],
        )
    (entry,) = sim.ledger
    assert entry.amount == 500


# The content of a UsageError.


@pytest.mark.parametrize(
    ("wrong", "name", "value", "accepted"),
    [
        ({"reference": 12}, "reference", "12", "a string"),
        ({"reference": None}, "reference", "None", "a string"),
        ({"payer": "+237 670 00 00 0"}, "payer", "…", "phone number"),
        ({"payer": 237670000000}, "payer", "237…00", "a string"),
        ({"amount": 5.5}, "amount", "5.5", "an int"),
        ({"currency": "EUR"}, "currency", "'EUR'", "XAF"),
        ({"description": "a\x00"}, "description", "'a\\x00'", "a string"),
        ({"deadline": 10**400}, "deadline", "an integer of 1329 bits", "seconds above 0"),
        ({"deadline": "5"}, "deadline", "'5'", "seconds above 0"),
        ({"return_url": "https://shop.example"}, "return_url", "'https://shop.example'", "nothing"),
        ({"metadata": []}, "metadata", "a list", "a mapping"),
        ({"account": "nobody"}, "account", "'nobody'", "campay"),
    ],
)
async def test_a_form_can_say_what_is_wrong(
    pay: Pool, wrong: dict[str, Any], name: str, value: str, accepted: str
) -> None:
    """`.name`, `.value` (shortened) and `.accepted` are enough for a form's answer 422."""
    order: dict[str, Any] = {
        "amount": 500,
        "currency": "XAF",
        "payer": "237677777777",
        "reference": "order-1",
    }
    async with pay:
        with pytest.raises(UsageError) as caught:
            await pay.collect(**{"account": "campay", **order, **wrong})
    error = caught.value
    assert error.name == name
    assert value in error.value
    assert accepted in error.accepted
    assert str(error).startswith(f"{name}: ")


def test_a_secret_is_named_and_not_shown() -> None:
    """A refused credential is shown as `***`, in a driver's own fields and in a pool's."""
    for attempt in (
        lambda: CamPay(username="u", password="geheim\n"),
        lambda: Pool(webhook_base=BASE, webhook_key="geheim"),
        lambda: Pool.from_env({"PAYMUX_A__DRIVER": "campay", "PAYMUX_A__PASSWORD": "geheim\n"}),
    ):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert caught.value.value == "***"
        assert "geheim" not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"PAYMUX_Kenya__Driver": "campay", "PAYMUX_Kenya__Live": "maybe"}, "PAYMUX_Kenya__Live"),
        ({"PAYMUX_kenya__DRIVER": "intram", "PAYMUX_kenya__SECRET": "x\n"}, "PAYMUX_kenya__SECRET"),
        ({"PAYMUX_kenya__DRIVER": "campay"}, "PAYMUX_kenya__ACCESS_TOKEN"),
        (
            {"PAYMUX_KENYA__DRIVER": "campay", "PAYMUX_KENYA__passwort": "x"},
            "PAYMUX_KENYA__passwort",
        ),
        ({"PAYMUX_KENYA__USERNAME": "x"}, "PAYMUX_KENYA__DRIVER"),
        ({"PAYMUX_A__DRIVER": "campay", "PAYMUX_a__DRIVER": "mpesa"}, "PAYMUX_a__DRIVER"),
    ],
)
def test_a_variable_is_named_as_it_is_spelled(variables: dict[str, str], name: str) -> None:
    """An error about the environment has the exact name of the variable."""
    with pytest.raises(UsageError) as caught:
        Pool.from_env(variables)
    assert caught.value.name == name
    assert str(caught.value).startswith(f"{name}:")


async def test_a_login_refused_by_the_other_host_says_so() -> None:
    """If CamPay's demo host refuses a login, the error says how to use the live host."""

    async def refuse(_: object) -> Any:
        return answer(400, message="Unable to log in with provided credentials.")

    wire = Wire(refuse)
    async with Pool(CamPay(username="u", password="p"), connection=wire) as pool:
        with pytest.raises(ProviderError, match="live=True"):
            await pool.balance("campay")


@pytest.mark.parametrize("verb", ["verify", "watch", "refund", "receipt", "verify_many", "once"])
async def test_a_coroutine_for_a_payment_was_not_awaited(
    pay: Pool, verb: str, tmp_path: Path
) -> None:
    """A forgotten await is named, without a warning of Python."""

    async def collected() -> Payment:
        return Payment(account="campay")

    async with Pool(*pay.drivers.values(), journal=tmp_path / "payments.db") as pool:
        attempts: dict[str, Callable[[], Any]] = {
            "verify": lambda: pool.verify(collected()),  # type: ignore[call-overload] # on purpose
            "watch": lambda: pool.watch(collected()),  # type: ignore[arg-type] # on purpose
            "refund": lambda: pool.refund(collected(), amount=5, reference="r"),  # type: ignore[arg-type]
            "receipt": lambda: pool.receipt(collected()),  # type: ignore[arg-type] # on purpose
            "verify_many": lambda: pool.verify_many([collected()]),
            "once": lambda: pool.once(collected(), "x"),  # type: ignore[arg-type] # on purpose
        }
        if verb == "verify_many":
            (item,) = await attempts[verb]()
            assert "not awaited" in str(item.error)
            return
        with pytest.raises(UsageError, match="not awaited"):
            await attempts[verb]()


# Deep, hostile and endless values.


def nested(levels: int) -> dict[str, Any]:
    """Return nested mappings."""
    found: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        found = {"a": found}
    return found


@timeless
async def test_deep_details_of_an_error_are_cut() -> None:
    """Error details nested 500 deep do not change the error, in a verify and a collect."""
    gateway = Simulator().driver("mpesa_gateway")
    wire = Wire(Desk())

    async def refuse(_: object) -> Any:
        return answer(400, code="INVALID_PHONE", error="no", details=nested(500))

    async with Pool(gateway, connection=Wire(refuse)) as pool:
        order: dict[str, Any] = {
            "amount": 500,
            "currency": "KES",
            "payer": "254708374149",
            "reference": "12",
        }
        for attempt in (
            pool.collect("mpesa_gateway", **order),
            pool.verify(Payment(account="mpesa_gateway", provider_reference="x", reference="12")),
        ):
            with pytest.raises(ProviderError) as caught:
                await attempt
            assert "…" in str(caught.value.details)
    assert wire.seen == []


@pytest.mark.parametrize("levels", [65, 500, 50_000])
async def test_deep_metadata_is_refused(pay: Pool, levels: int) -> None:
    """Deeply nested values are UsageError, never RecursionError."""
    async with pay:
        with pytest.raises(UsageError, match="metadata"):
            await pay.collect(
                "paydunya",
                amount=500,
                currency="XOF",
                reference="order-1",
                description="x",
                metadata=nested(levels),
            )


@pytest.mark.parametrize("type", [dict | list, dict[str, int], Payment])
def test_a_reply_may_be_of_a_union(type: Any) -> None:
    """The type of a reply may be any type that msgspec reads."""
    assert paymux.get("/x/", type).type is type


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", 5),
        ("type", [dict]),
        ("path", None),
        ("path", ["/x/"]),
        ("at", {"a": 5}),
        ("query", "a=b"),
        ("headers", {"a": None}),
        ("accept", 404),
        ("accept", ("404",)),
        ("matches", 5),
    ],
)
def test_a_request_of_odd_parts_is_refused(field: str, value: Any) -> None:
    """`get` and `post` name the argument that they refuse."""
    for make in (paymux.get, lambda **parts: paymux.post(body=None, **parts)):
        if field == "query" and make is not paymux.get:
            continue
        with pytest.raises(UsageError, match=f"^{field}: "):
            make(**{"path": "/x/", "type": dict, field: value})


@pytest.mark.parametrize(
    "body", [object(), {"a": "\ud800"}, nested(50_000)], ids=["object", "surrogate", "deep"]
)
async def test_a_body_that_cannot_be_written_is_refused(
    pay: Pool, sim: Simulator, body: Any
) -> None:
    """A body that is neither JSON nor a form is never sent."""
    async with pay:
        for form in (False, True):
            with pytest.raises(UsageError, match="body"):
                await pay.send(
                    "campay", paymux.post("/x/", dict, body if not form else 5, form=form)
                )
    assert [one.path for one in sim.requests if one.path != "/api/token/"] == []


@pytest.mark.parametrize("since", [datetime.min.replace(tzinfo=UTC), "1900-01-01T00:00:00Z"])
async def test_a_history_since_ever_is_a_history(pay: Pool, since: Any) -> None:
    """The first and the last possible datetime are a valid period."""
    async with pay:
        await held(pay)
        rows = [
            row
            async for row in pay.history(
                "campay", since=since, until=datetime.max.replace(tzinfo=UTC)
            )
        ]
    assert len(rows) == 1


@pytest.mark.parametrize(
    "config", [5, b"x", "/", "/dev/zero", "/nowhere/at/all", {"accounts": 5}, {5: 5}, {}]
)
def test_an_odd_config_is_refused(config: Any) -> None:
    """A config must be a mapping or a TOML file; an endless file is not read."""
    with pytest.raises(UsageError, match=r"config|accounts"):
        Pool.from_config(config)


@pytest.mark.parametrize("wrong", [5, print, dict, None, Word.PENDING])
def test_a_callback_that_cannot_be_awaited_is_refused(pay: Pool, wrong: Any) -> None:
    """A callback must be an async function: checked when it is passed, not at the first call."""
    with pytest.raises(UsageError, match="on_payment"):
        Webhooks(pay, wrong)

    def plain(_: Payment) -> None: ...

    with pytest.raises(UsageError, match="on_payment"):
        Webhooks(pay, plain)  # type: ignore[arg-type] # it must be refused


def test_a_payment_shows_whatever_it_holds() -> None:
    """`repr` of a payment never fails, with any values in its fields."""
    for make in _some(VALUES):
        for field in Payment.__struct_fields__:
            assert repr(Payment(**{"account": "campay", field: make()})).startswith("Payment(")


def _some(values: dict[str, Callable[[], Any]]) -> Iterator[Callable[[], Any]]:
    yield from (make for name, make in values.items() if name != "a coroutine")


def test_a_message_is_read_however_a_server_gives_it(pay: Pool) -> None:
    """Header names in any case and bodies of any bytes class are read; text is refused."""
    said = bytearray(b'{"id": "x"}')
    event = Pool(Toy()).webhook(WebhookRequest(headers={"Signed": "x"}, body=said), account="toy")  # type: ignore[arg-type]
    assert (event.claims.provider_reference, event.trust) == ("x", Trust.BODY)
    with pytest.raises(UsageError, match=r"incoming\.body"):
        pay.webhook(WebhookRequest(body='{"reference": "x"}'), account="campay")  # type: ignore[arg-type]


def test_django_settings_name_themselves() -> None:
    """A wrong Django setting has its own name in the error."""
    with pytest.raises(UsageError) as caught:
        Mpesa.from_settings({"MPESA_ENVIRONMENT": "sandbox", "MPESA_SHORTCODE": 12})
    assert caught.value.name == "MPESA_SHORTCODE"


def test_a_coroutine_for_a_payment_is_refused_before_the_journal_is_missed(pay: Pool) -> None:
    """`once` closes a coroutine and refuses it, also in a pool without a journal."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(UsageError, match="not awaited"):
            pay.once(pay.verify(Payment(account="campay")), "fulfilled")  # type: ignore[arg-type] # that is the test
        gc.collect()
    assert said == []


async def test_a_form_has_no_more_fields_than_anybody_reads(pay: Pool) -> None:
    """A form of more than 1,000 fields is UsageError, before it is encoded."""
    for body in (dict.fromkeys(map(str, range(1001)), "x"), [("a", "x")] * 1001):
        with pytest.raises(UsageError, match="1000 fields"):
            await pay.send("campay", post("/balance/", dict, body, money=False, form=True))


@pytest.mark.parametrize("field", ["type", "is_default"])
async def test_a_way_to_pay_has_words_of_a_line(pay: Pool, field: str) -> None:
    """The gateway's own methods take text of one line, and booleans."""
    odd: dict[str, Any] = {"phone": "254708374149", field: "x" * 1000}
    with pytest.raises(UsageError) as caught:
        await pay.run("mpesa_gateway", MpesaGateway.add_method, **odd)
    assert caught.value.name == field
    with pytest.raises(UsageError, match="status"):
        await pay.run(
            "mpesa_gateway", MpesaGateway.test_callback, provider_reference="x", status="x" * 1000
        )
