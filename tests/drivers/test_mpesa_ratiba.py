"""Ratiba of M-Pesa: the request of a standing order, its refusals, and what its callback says."""

import asyncio
import json
import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import Mpesa, Payment, Pool, Rejected, Status, Unavailable, UsageError
from paymux.drivers.mpesa import ratiba
from paymux.drivers.mpesa.ratiba import CODE, NAME, ORDER, RATIBA, REF, Accepted, Callback, own_id
from paymux.errors import AuthenticationFailed, BadWebhook, Unsupported
from paymux.http import Response
from paymux.models import Event, Reason
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from paymux.webhooks import Webhooks
from tests.driving import Script, drive, sample
from tests.driving import reply as sampled
from tests.toys import timeless

from .mpesa_initiator import DRIVER, another, body_of, incoming, reply

PAGE = another(DRIVER, shortcode="174379")
TILL = another(DRIVER, till="373132")
ASKED: dict[str, Any] = {
    "name": "Test Standing Order",
    "payer": "254708374149",
    "amount": 4500,
    "bill_reference": "Test",
    "frequency": "daily",
    "start": "2024-09-05",
    "end": date(2025, 9, 5),
    "description": "Test",
    "callback_url": "https://mydomain.com/pat",
    "page": "2025",
}
NEWER = {
    "name": "erick",
    "amount": "10",
    "frequency": "every_two_weeks",
    "start": "2024-12-21",
    "end": "2024-12-22",
    "callback_url": "https://mydomain.com/mpesa-ratiba/result/",
    "page": "2026",
}


@pytest.fixture(autouse=True)
def _today(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be the day before that of the page's sample, but for what the simulator dates."""
    if "sim" in request.node.name:
        return
    moment = datetime(2024, 9, 4, 20, 59, 59, tzinfo=UTC)
    monkeypatch.setattr(ratiba, "_now", lambda: moment)


def created(*replies: Response, driver: Mpesa = PAGE, **changes: Any) -> tuple[str, Script]:
    """Ask for a standing order."""
    script = Script(driver, *(replies or (sampled("mpesa", "ratiba_ack.200"),)))
    found = drive(driver.standing_order(script, **{**ASKED, **changes}))
    return found, script


def refusing(code: object, status: int = 200, **header: object) -> Response:
    """Return an answer with this code."""
    return reply(status, {"ResponseHeader": {"responseCode": code, **header}, "ResponseBody": {}})


def test_the_page_of_2025_has_its_body() -> None:
    """Every field of the sample; its id is that of the answer. No money moves by it."""
    found, script = created()
    assert body_of(script) == sample("mpesa", "ratiba_request")
    (request,) = script.requests
    assert (request.path, request.money, request.once) == (RATIBA, False, True)
    assert found == "4dd9b5d9-d738-42ba-9326-2cc99e966000"


def test_the_page_of_2026_has_its_body() -> None:
    """In its order; the id is ours, the same for the same shortcode, customer and name."""
    driver = another(DRIVER, shortcode="300584")
    found, script = created(driver=driver, **NEWER)
    page = {**sample("mpesa", "ratiba_2026_request"), "CustomStoId": found}
    assert body_of(script) == page
    assert found == own_id(driver, "254708374149", "erick") == created(driver=driver, **NEWER)[0]
    others = [{"name": "Erick"}, {"payer": "254708374148"}]
    ids = {created(driver=driver, **{**NEWER, **one})[0] for one in others}
    ids |= {found, created(driver=TILL, **NEWER)[0], created(driver=PAGE, **NEWER)[0]}
    assert len(ids) == 5


LONGER = "every_two_months quarterly half_yearly yearly"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("2025", f"once daily weekly monthly {LONGER}"),
        ("2026", f"once daily weekly every_two_weeks monthly {LONGER}"),
    ],
)
def test_each_frequency_has_the_number_of_its_page(page: str, words: str) -> None:
    """Their lists, in order: 4 is monthly on one, and every two weeks on the other."""
    for number, word in enumerate(words.split(), 1):
        _, script = created(page=page, frequency=word)
        assert body_of(script)["Frequency"] == str(number)


@pytest.mark.parametrize(
    ("page", "driver", "kind"),
    [
        ("2025", PAGE, ("4", "174379", "Standing Order Customer Pay Bill")),
        ("2025", TILL, ("2", "373132", "Standing Order Customer Pay Marchant")),
        ("2026", PAGE, ("4", "174379", "Standing Order Pay Bill Ext-Third Party")),
        ("2026", TILL, ("2", "373132", "Standing Order Merchant Payment Ext-Third Party")),
    ],
)
def test_a_till_and_a_paybill_have_types_of_their_own(
    page: str, driver: Mpesa, kind: tuple[str, ...]
) -> None:
    """With the number that is paid; a type that Safaricom wrote goes before the page's."""
    fields = ("ReceiverPartyIdentifierType", "BusinessShortCode", "TransactionType")
    body = body_of(created(page=page, driver=driver)[1])
    assert tuple(body[field] for field in fields) == kind
    body = body_of(created(page=page, driver=driver, transaction_type="Another")[1])
    assert tuple(body[field] for field in fields) == (*kind[:2], "Another")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("page", {"page": None}),
        ("page", {"page": "2024"}),
        ("page", {"page": 2025}),
        ("page", {"page": "\ud800"}),
        ("frequency", {"frequency": None}),
        ("frequency", {"frequency": "4"}),
        ("frequency", {"frequency": 4}),
        ("frequency", {"frequency": "Monthly"}),
        ("frequency", {"frequency": []}),
        ("frequency", {"frequency": "every_two_weeks"}),  # which the page of 2025 has not
        ("name", {"name": ""}),
        ("name", {"name": None}),
        ("name", {"name": "x" * 61}),
        ("name", {"name": "a\nb"}),
        ("payer", {"payer": "till:123456"}),
        ("payer", {"payer": "12"}),
        ("payer", {"payer": None}),
        ("amount", {"amount": 0}),
        ("amount", {"amount": -1}),
        ("amount", {"amount": "1.50"}),
        ("amount", {"amount": 1.5}),
        ("amount", {"amount": 250_001}),
        ("bill_reference", {"bill_reference": ""}),
        ("bill_reference", {"bill_reference": "x" * 13}),
        ("description", {"description": ""}),
        ("description", {"description": "x" * 14}),
        ("start", {"start": "2024-09-03"}),  # yesterday in Kenya
        ("start", {"start": "20240230"}),
        ("start", {"start": "05.09.2024"}),
        ("start", {"start": None}),
        ("start", {"start": datetime(2024, 9, 5, tzinfo=UTC)}),
        ("start", {"start": 20240905}),
        ("end", {"end": "2024-09-04"}),
        ("end", {"end": "never"}),
        ("callback_url", {"callback_url": ""}),
        ("callback_url", {"callback_url": "ftp://shop.example/x"}),
        ("transaction_type", {"transaction_type": "x" * 101}),
        ("transaction_type", {"transaction_type": 7}),
    ],
)
def test_bad_input_is_named_and_never_sent(field: str, changes: dict[str, Any]) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(PAGE)
    with pytest.raises(UsageError) as caught:
        drive(PAGE.standing_order(script, **{**ASKED, **changes}))
    assert (caught.value.name, script.requests) == (field, [])


def test_a_day_is_that_of_kenya() -> None:
    """At 20:59:59 UTC it is 23:59:59 there: today is allowed, for one day."""
    body = body_of(created(start="2024-09-04", end="20240904", amount=250_000)[1])
    assert (body["StartDate"], body["EndDate"], body["Amount"]) == (
        "20240904",
        "20240904",
        "250000",
    )


def test_a_day_begins_three_hours_before_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second later the day before is the past."""
    moment = datetime(2024, 9, 4, 21, 0, 0, tzinfo=UTC)
    monkeypatch.setattr(ratiba, "_now", lambda: moment)
    with pytest.raises(UsageError, match="2024-09-05 or later"):
        created(start="2024-09-04")


def test_a_live_account_is_told_over_tls() -> None:
    """A sandbox may be told without."""
    plain = "http://shop.example/x"
    assert body_of(created(callback_url=plain)[1])["CallBackURL"] == plain
    with pytest.raises(UsageError, match="callback_url"):
        created(driver=another(PAGE, live=True), callback_url=plain)


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        ("1001", "another prompt", Reason.BUSY),
        ("1050", "a standing order of this name", None),
        ("1051", "a field", None),
        (1051, "a field", None),
    ],
)
def test_a_listed_code_refuses(
    status: int, code: object, words: str, reason: Reason | None
) -> None:
    """Whatever the HTTP status; the provider's own words are in it."""
    with pytest.raises(Rejected, match=words) as caught:
        created(refusing(code, status, responseDescription="Invalid EndDate"))
    assert (caught.value.code, caught.value.reason) == (str(code), reason)
    assert "(Invalid EndDate)" in str(caught.value)
    with pytest.raises(Rejected, match=words) as caught:
        created(refusing(code, status))
    assert caught.value.message == ratiba._REFUSED[str(code)]


def test_a_token_is_refused_by_both_codes() -> None:
    """The page's 401, under its own HTTP status; either alone proves nothing of the token."""
    with pytest.raises(AuthenticationFailed) as caught:
        created(refusing("401", 401, responseDescription="Unauthorized"))
    assert (caught.value.message, caught.value.code) == ("Unauthorized", "401")
    bare = PAGE.judge(ratiba._CREATE, refusing("401", 401))
    assert (type(bare), bare and bare.message) == (AuthenticationFailed, "")
    assert PAGE.judge(ratiba._CREATE, refusing("401", 200)) is None
    assert PAGE.judge(ratiba._CREATE, refusing("500", 401)) is None
    assert isinstance(PAGE.judge(ratiba._CREATE, refusing("1050", 401)), Rejected)


def test_what_is_accepted_is_told() -> None:
    """For a form that asks again."""
    with pytest.raises(UsageError) as caught:
        created(frequency="often", page="2025")
    assert caught.value.accepted == (
        "once, daily, weekly, monthly, every_two_months, quarterly, half_yearly, yearly"
    )
    for wrong in (7, "soon"):
        with pytest.raises(UsageError) as caught:
            created(start=wrong)
        assert caught.value.accepted == "a day, such as 2026-12-24"
    with pytest.raises(UsageError) as caught:
        created(amount="1.234")
    assert "KES" in str(caught.value)


def test_the_longest_of_each_text_and_the_least_amount() -> None:
    """As many characters as the page has, and one shilling."""
    body = body_of(
        created(
            name="n" * 60,
            bill_reference="b" * 12,
            description="d" * 13,
            transaction_type="t" * 100,
            amount=1,
        )[1]
    )
    fields = ("StandingOrderName", "AccountReference", "TransactionDesc", "TransactionType")
    assert [len(body[field]) for field in fields] == [60, 12, 13, 100]
    assert body["Amount"] == "1"


def test_an_answer_without_an_id_is_still_one() -> None:
    """The page of 2025 has no id of ours, so there is none to return."""
    assert created(refusing("200"))[0] == ""


NEITHER = st.one_of(st.none(), st.integers(), st.text(max_size=8)).filter(
    lambda one: str(one).strip() not in ("200", "1001", "1050", "1051")
)


@given(code=NEITHER, status=st.sampled_from([200, 404, 429, 500]))
def test_any_other_code_leaves_it_unknown(code: object, status: int) -> None:
    """Also those of the callback: 0, 1025, 1032, 1037 and 2001; a 401 under another status, too."""
    assert PAGE.judge(ratiba._CREATE, refusing(code, status)) is None
    with pytest.raises(Unreadable, match="responseCode is not 200"):
        drive_answer(refusing(code))


def drive_answer(answer: Response) -> bool:
    """Read an answer as the driver does."""
    return (answer.read(Accepted) or Accepted()).accepts()


@pytest.mark.parametrize("body", [{}, [], b"<html>", {"ResponseHeader": None}, {"a": 1}])
def test_an_answer_without_a_code_is_none(body: object) -> None:
    """It is unreadable, and no refusal."""
    assert PAGE.judge(ratiba._CREATE, reply(200, body)) is None
    with pytest.raises(Unreadable):
        drive_answer(reply(200, body))


def heard(body: object) -> Event:
    """Read a message."""
    return PAGE.webhook(incoming(body))


@pytest.mark.parametrize(
    ("name", "ids", "words"),
    [
        (
            "ratiba_created",
            {REF: "0acc0239-20fa-4a52-8b9d-9bd64c0465c3", CODE: "0", ORDER: "SC8F2IQMH5"},
            "The service request is processed successfully",
        ),
        (
            "ratiba_2026_created",
            {
                REF: "06aae68f-7d5a-4b44-a22d-8aa77126689b",
                CODE: "0",
                NAME: "mpesa_Ratiba_test_Name",
                ORDER: "2571168",
            },
            "Standing order created successfully",
        ),
        (
            "ratiba_unreached",
            {REF: "c8c2bb31-3b3a-402e-84fc-21ef35161e48", CODE: "1037", ORDER: "0000000000"},
            "Error",
        ),
    ],
)
def test_a_callback_is_a_hint_about_no_payment(name: str, ids: dict[str, str], words: str) -> None:
    """It has no status, receipt, amount, reference or number, whatever it says."""
    event = heard(sample("mpesa", name))
    assert event.claims == Payment(
        account="kenya",
        provider="mpesa",
        live=False,
        ids=ids,
        provider_status=ids[CODE],
        message=words,
        raw=event.claims.raw,
        status=Status.PENDING,
    )
    assert (event.ping, PAGE.confirms(event), PAGE.adopts(event)) == (False, False, None)
    assert another(PAGE, adopt_c2b=True).adopts(event) is None


@given(st.one_of(st.integers(), st.text(min_size=1, max_size=20)))
def test_no_code_of_a_callback_is_a_status(code: object) -> None:
    """Listed or not: nothing that a callback says of itself decides anything."""
    body = sample("mpesa", "ratiba_created")
    body["responseHeader"]["responseCode"] = code
    try:
        event = heard(body)
    except (Unreadable, BadWebhook):
        return
    assert (event.claims.status, event.claims.receipt) == (Status.PENDING, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
ROW = st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "Name", "value", "Value"), JSON))


@given(header=JSON, body=JSON, rows=st.lists(ROW | JSON, max_size=4))
def test_a_hostile_callback_raises_nothing_else(header: Any, body: Any, rows: list[Any]) -> None:
    """Any form of header, body and rows is read or is unreadable."""
    good = sample("mpesa", "ratiba_created")
    for one in (
        {**good, "responseHeader": header},
        {**good, "responseBody": body},
        {**good, "responseBody": {"responseData": rows}},
        {**good, "responseBody": {"ResponseData": body}},
    ):
        try:
            event = heard(one)
        except (Unreadable, BadWebhook):
            continue
        assert event.claims.status is Status.PENDING


def test_the_first_of_two_rows_counts_and_long_values_are_cut() -> None:
    """So that a message stays small enough to be kept."""
    rows = [{"Name": "TransactionID", "Value": one} for one in ("x" * 99, "y")]
    said = {
        "ResponseHeader": {
            "responseRefID": "r" * 99,
            "responseCode": "1" * 99,
            "responseDescription": "w" * 999,
        },
        "ResponseBody": {"ResponseData": [7, {"Name": "Status"}, *rows]},
    }
    claims = heard(said).claims
    assert claims.ids == {REF: "r" * 64, CODE: "1" * 16, ORDER: "x" * 60}
    assert (claims.provider_status, claims.message) == ("1" * 16, "w" * 200)
    assert Callback().told() == {}
    rows = [{"name": "Status"}, {"name": "Status", "value": "OKAY"}]
    assert Callback(body={"responseData": rows}).told() == {"status": "OKAY"}


@pytest.mark.parametrize("lacks", ["responseCode", "responseRefID"])
def test_a_callback_without_its_id_or_code_is_unreadable(lacks: str) -> None:
    """It says nothing that could be looked for."""
    said = sample("mpesa", "ratiba_created")
    del said["responseHeader"]["requestRefID"]
    assert heard(said).claims.ids[REF] == "0acc0239-20fa-4a52-8b9d-9bd64c0465c3"
    del said["responseHeader"]["responseDescription"]
    assert heard(said).claims.message is None
    del said["responseHeader"][lacks]
    with pytest.raises(Unreadable, match="without its id or its code"):
        ratiba.claims(PAGE, Callback())
    with pytest.raises(Unreadable, match="without its id or its code"):
        heard(said)


def test_a_callback_is_about_no_order() -> None:
    """An open order of the account is not held back by it, nor ended."""
    event = heard(sample("mpesa", "ratiba_2026_created"))
    order = Payment(account="kenya", provider="mpesa", reference="order-8", amount=Decimal(500))
    assert not PAGE.may_tell_of(event, order)


def test_two_outcomes_of_one_name_are_two_messages() -> None:
    """A customer cancels, is asked again, and consents: both are told, and each once."""
    consented = heard(sample("mpesa", "ratiba_created"))
    cancelled_body = sample("mpesa", "ratiba_created")
    cancelled_body["responseHeader"]["responseCode"] = "1032"
    assert heard(cancelled_body).identity != consented.identity
    assert heard(sample("mpesa", "ratiba_created")).identity == consented.identity


# Against the simulator.

SOON: dict[str, Any] = {
    **ASKED,
    "page": "2026",
    "frequency": "monthly",
    "start": str(date.today() + timedelta(days=2)),  # noqa: DTZ011 - two days are in the future anywhere
    "end": str(date.today() + timedelta(days=400)),  # noqa: DTZ011
}
HOOKS: dict[str, Any] = {
    "webhook_base": "https://shop.example/pay",
    "webhook_key": "0123456789abcdef",
}


@timeless
async def test_the_sim_creates_one_and_its_callback_is_told() -> None:
    """`run` returns the id; `on_unconfirmed` hears once; no payment is told, nothing is booked."""
    told: list[Event] = []
    paid: list[Payment] = []

    async def hears(event: Event) -> None:
        told.append(event)

    async def on_payment(payment: Payment) -> None:
        paid.append(payment)

    async with Simulator() as sim:
        pool = Pool(sim.driver("mpesa"), connection=sim.connection, **HOOKS)
        hooks = Webhooks(pool, on_payment, hears)
        sim.on_webhook(hooks.answer)
        async with pool, hooks:
            where = {"callback_url": pool.webhook_url("mpesa")}
            ref = await pool.run("mpesa", Mpesa.standing_order, **{**SOON, **where})
            await asyncio.sleep(300)
            assert [one.claims.ids[REF] for one in told] == [ref]
            assert told[0].claims.ids[CODE] == "0"
            assert told[0].claims.ids[NAME] == ASKED["name"]
            with pytest.raises(Unsupported):
                await pool.confirm(told[0])
            [made] = sim.mpesa.ratiba.made
            assert (made.every, made.amount, made.bill) == ("Monthly", 4500, "Test")
            assert (paid, len(sim.ledger)) == ([], 0)
            assert [one async for one in pool.unconfirmed()] == told
            await pool.dealt_with(told[0], because="it is in our own table")
            assert [one async for one in pool.unconfirmed()] == []


@pytest.mark.parametrize(
    "kind",
    [Fault.GARBAGE, Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.ERROR],
    ids=lambda one: one.name,
)
@timeless
async def test_the_sim_asks_the_customer_once_after_a_lost_answer(kind: Fault) -> None:
    """It is never repeated by itself; the error says to ask with the same name, which makes one."""
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        sim.fault("mpesa", RATIBA, kind=kind, times=1)
        with pytest.raises(Unavailable) as caught:
            await pool.run("mpesa", Mpesa.standing_order, **SOON)
        assert "ask again with the same name and never another" in str(caught.value)
        assert caught.value.http_status == (500 if kind is Fault.ERROR else None)
        left = [one for one in sim.requests if one.path.endswith(RATIBA)]
        assert len(left) == (kind is not Fault.DROP_BEFORE)  # whose body was never read
        await asyncio.sleep(60)
        asked = len(sim.mpesa.ratiba.prompts)
        sim.mpesa.ratiba.tells_used_names = "answer"
        if asked:
            with pytest.raises(Rejected, match="perhaps by a call without an answer"):
                await pool.run("mpesa", Mpesa.standing_order, **SOON)
        else:
            await pool.run("mpesa", Mpesa.standing_order, **SOON)
        await asyncio.sleep(60)
        assert len(sim.mpesa.ratiba.made) == 1


@timeless
async def test_the_sim_has_one_of_a_name_when_asked_twice() -> None:
    """Both prompts may be consented to: the second is 1050 in its callback."""
    heard_: list[Any] = []
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        sim.on_webhook(lambda one: heard_.append(json.loads(one.body)))
        sim.mpesa.ratiba.delay = 30.0
        for _ in range(2):
            await pool.run("mpesa", Mpesa.standing_order, **SOON)
        await asyncio.sleep(60)
        assert len(sim.mpesa.ratiba.made) == 1
        codes = [PAGE.webhook(incoming(one)).claims.ids[CODE] for one in heard_]
        assert sorted(codes) == ["0", "1050"]


@timeless
async def test_the_sim_is_too_busy_and_is_not_asked_again() -> None:
    """The words "System is busy" do not prove that no prompt was sent; a spike arrest does."""
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        busy = sampled("mpesa", "system_busy.500")
        assert PAGE.judge(ratiba._CREATE, busy) is None
        sim.fault("mpesa", RATIBA, kind=Fault.THROTTLE, times=1)
        await pool.run("mpesa", Mpesa.standing_order, **SOON)
        assert len(sim.mpesa.ratiba.prompts) == 1


@timeless
async def test_no_log_and_no_error_has_the_customers_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither an error nor a record has it."""
    caplog.set_level(logging.DEBUG)
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        sim.fault("mpesa", RATIBA, kind=Fault.ERROR, times=1)
        with pytest.raises(Unavailable) as caught:
            await pool.run("mpesa", Mpesa.standing_order, **SOON)
        await pool.run("mpesa", Mpesa.standing_order, **SOON)
    assert ASKED["payer"] not in caplog.text + str(caught.value)
