"""Ratiba of M-Pesa: the request of either page, its answer, and the result that comes later."""

import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux import Mpesa, Pool
from paymux.drivers.mpesa.ratiba import CREATE
from paymux.drivers.mpesa.values import EAT
from paymux.errors import (
    BadWebhook,
    OutcomeUnknown,
    PaymuxError,
    Rejected,
    Unavailable,
    UsageError,
)
from paymux.http import WebhookRequest
from paymux.models import Reason
from paymux.primitives.clock import wall_time
from paymux.simulator import Fault, Simulator
from tests.driving import Script, drive, reply, sample
from tests.simulator.asking import until

from .mpesa_initiator import DRIVER, another, body_of
from .mpesa_initiator import reply as said

TODAY = wall_time(EAT).date()
HOOK = "https://shop.example/agreed/0a1b2c"
ORDER: dict[str, Any] = {
    "name": "Test",
    "payer": "0708 374 149",
    "amount": 10,
    "frequency": "bi-weekly",
    "start": TODAY,
    "end": TODAY + timedelta(days=365),
    "bill_reference": "order-8",
    "description": "Milk",
    "callback_url": HOOK,
}
RESULT = Mpesa.standing_order_result


def asked(driver: Mpesa = DRIVER, **changes: Any) -> dict[str, Any]:
    """Return the body of a request."""
    script = Script(driver, reply("mpesa", "ratiba_asked.200"))
    drive(driver.standing_order(script, **{**ORDER, **changes}))
    (request,) = script.requests
    assert (request.path, request.money) == (CREATE, False)
    body: dict[str, Any] = body_of(script)
    return body


def test_a_customer_is_asked_with_the_pages_fields() -> None:
    """Each field of the page's sample, all of them text, in its order."""
    body = asked()
    page = sample("mpesa", "ratiba_request")
    assert list(body) == list(page)
    assert all(type(value) is str for value in body.values())
    assert {**body, "CustomStoId": ""} == {
        **page,
        "StandingOrderName": "Test",
        "ReceiverPartyIdentifierType": "4",
        "BusinessShortCode": "600992",
        "StartDate": f"{TODAY:%Y%m%d}",
        "EndDate": f"{TODAY + timedelta(days=365):%Y%m%d}",
        "CustomStoId": "",
        "AccountReference": "order-8",
        "TransactionDesc": "Milk",
        "CallBackURL": HOOK,
    }


def test_the_older_page_has_another_form() -> None:
    """The form "customer" has the fields of the older page, without an id."""
    body = asked(form="customer", frequency="daily")
    page = sample("mpesa", "ratiba_old_request")
    assert body.keys() == page.keys()
    assert [body[name] for name in ("TransactionType", "Frequency")] == [
        page["TransactionType"],
        page["Frequency"],
    ]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("third-party", "one-off daily weekly bi-weekly monthly bi-monthly quarterly"),
        ("customer", "one-off daily weekly monthly bi-monthly quarterly"),
    ],
)
def test_each_interval_has_the_number_of_its_page(form: str, words: str) -> None:
    """A wrong number would take money at other intervals than the shop said."""
    for number, word in enumerate([*words.split(), "half-yearly", "yearly"], 1):
        assert asked(form=form, frequency=word)["Frequency"] == str(number)


def test_a_till_is_named_as_one() -> None:
    """The receiver is the till, in the words of either page; one misspells Merchant."""
    till = another(DRIVER, till="373132")
    new, old = asked(till), asked(till, form="customer", frequency="monthly")
    assert new["TransactionType"] == "Standing Order Pay Merchant External Third Party"
    assert old["TransactionType"] == "Standing Order Customer Pay Marchant"
    for body in (new, old):
        assert (body["ReceiverPartyIdentifierType"], body["BusinessShortCode"]) == ("2", "373132")


def test_the_id_follows_from_the_order_alone() -> None:
    """The same standing order has the same id, also from another process; another has another."""
    first, ids = asked()["CustomStoId"], set()
    for changes in ({}, {"amount": 11}, {"payer": "+254708374149"}):
        assert asked(**changes)["CustomStoId"] == first
    ids.add(asked(name="Rent")["CustomStoId"])
    ids.add(asked(payer="0708374140")["CustomStoId"])
    ids.add(asked(another(DRIVER, shortcode="600993"))["CustomStoId"])
    assert len({first, *ids}) == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", None),
        ("payer", "till:123456"),
        ("payer", "12"),
        ("payer", None),
        ("amount", 0),
        ("amount", "1.50"),
        ("amount", 1.5),
        ("amount", 250_001),
        ("amount", -5),
        ("frequency", "fortnightly"),
        ("frequency", 4),
        ("frequency", None),
        ("start", "tomorrow"),
        ("start", 20261231),
        ("start", None),
        ("start", TODAY - timedelta(days=1)),
        ("start", wall_time(EAT)),
        ("end", TODAY - timedelta(days=1)),
        ("end", "2026-02-30"),
        ("bill_reference", ""),
        ("bill_reference", "x" * 13),
        ("description", "x" * 14),
        ("callback_url", "shop.example/agreed"),
        ("callback_url", "https://shop.example/mpesa/agreed"),
        ("callback_url", None),
        ("form", "new"),
    ],
)
def test_bad_input_is_named_and_never_sent(field: str, value: object) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(DRIVER)
    with pytest.raises(UsageError) as caught:
        drive(DRIVER.standing_order(script, **{**ORDER, field: value}))
    assert caught.value.name == field
    assert not script.requests


def test_the_older_form_has_no_fortnight() -> None:
    """Its number 4 is a month: the word is refused, and nothing is sent."""
    script = Script(DRIVER)
    with pytest.raises(UsageError, match="frequency"):
        drive(DRIVER.standing_order(script, **ORDER, form="customer"))
    assert not script.requests


REASONS = {
    "1001": Reason.BUSY,
    "1032": Reason.CANCELLED,
    "1037": Reason.EXPIRED,
    "2001": Reason.WRONG_PIN,
}


def header(code: object, words: str = "x") -> dict[str, Any]:
    """Return an answer with a code in both parts."""
    part = {"responseCode": code, "responseDescription": words}
    return {"ResponseHeader": part, "ResponseBody": part}


@pytest.mark.parametrize("code", ["1001", "1032", "1037", "1050", "1051", "2001"])
def test_a_refusal_in_the_answer_is_one(code: str) -> None:
    """Each code of the page that ends it is Rejected, under HTTP 200 and 400."""
    for status in (200, 400):
        script = Script(DRIVER, said(status, header(code)))
        with pytest.raises(Rejected) as caught:
            drive(DRIVER.standing_order(script, **ORDER))
        assert caught.value.code == code
        assert caught.value.reason is REASONS.get(code, Reason.OTHER)
        assert "x" in str(caught.value)


@pytest.mark.parametrize("other", ["200", "1032"])
def test_a_refusal_that_contradicts_itself_is_none(other: str) -> None:
    """Two codes prove nothing: it is no answer."""
    body = header("1037") | {"ResponseBody": {"responseCode": other}}
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.standing_order(Script(DRIVER, said(200, body)), **ORDER))


def test_a_refusal_without_a_description_has_the_other_sentence() -> None:
    """ResultDesc is shown, or nothing."""
    for part, words in (({"ResultDesc": "no"}, "no"), ({}, "the request is refused")):
        body = {"ResponseHeader": {"responseCode": "1037", **part}}
        with pytest.raises(Rejected, match=words):
            drive(DRIVER.standing_order(Script(DRIVER, said(400, body)), **ORDER))


async def test_a_name_that_is_used_may_be_refused_at_once() -> None:
    """In the answer, where it is Rejected, and the customer gets no second prompt."""
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        sim.mpesa.ratiba.refuses_at_once = True
        await pool.run("mpesa", Mpesa.standing_order, **ORDER)
        await until(lambda: sim.mpesa.ratiba.asked[0].agreed)
        with pytest.raises(Rejected, match="same name"):
            await pool.run("mpesa", Mpesa.standing_order, **ORDER)
        assert len(sim.mpesa.ratiba.asked) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        header("0"),
        header("401"),
        header("500"),
        header("1025"),
        header(None),
        header({}),
        {"ResponseHeader": {"responseCode": "200"}, "ResponseBody": {"responseCode": "500"}},
        {"ResponseHeader": None},
        {"ResponseBody": {"responseCode": "200"}},
    ],
)
def test_what_accepts_nothing_is_no_answer(body: object) -> None:
    """Only 200, in each part that has a code, says that the customer is asked."""
    script = Script(DRIVER, said(200, body))
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.standing_order(script, **ORDER))


def test_the_pages_results_are_read() -> None:
    """Both samples of a success are one, with their fields."""
    new = RESULT(json.dumps(sample("mpesa", "ratiba_agreed")).encode())
    assert (new.created, new.code, new.reason) == (True, "0", None)
    assert new.id == "06aae68f-7d5a-4b44-a22d-8aa77126689b"
    assert new.name == "mpesa_Ratiba_test_Name"
    assert new.details["firstPaymentReminderDate"] == "20260807"
    old = RESULT(json.dumps(sample("mpesa", "ratiba_agreed_old")))
    assert (old.created, old.name, old.details["TransactionID"]) == (True, None, "SC8F2IQMH5")


def result(code: object, *rows: tuple[str, object], upper: bool = False) -> bytes:
    """Return a result with this code and these rows."""
    names = ("Name", "Value") if upper else ("name", "value")
    data = [dict(zip(names, row, strict=True)) for row in rows]
    top = ("ResponseHeader", "ResponseBody") if upper else ("responseHeader", "responseBody")
    parts = ({"responseCode": code, "requestRefID": "1"}, {"responseData": data})
    return json.dumps(dict(zip(top, parts, strict=True))).encode()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1001", Reason.BUSY),
        ("1032", Reason.CANCELLED),
        ("1037", Reason.EXPIRED),
        ("1051", Reason.OTHER),
        ("2001", Reason.WRONG_PIN),
    ],
)
def test_each_code_of_the_page_says_that_there_is_none(code: str, reason: Reason) -> None:
    """With or without the rows of a failure, in either spelling."""
    for body in (
        result(code),
        result(code, ("responseCode", code), ("Status", "ERROR")),
        result(int(code), ("responseCode", int(code)), ("Status", "ERROR"), upper=True),
    ):
        found = RESULT(body)
        assert (found.created, found.reason, found.code) == (False, reason, code)


@pytest.mark.parametrize(
    "body",
    [
        result("0"),
        result("0", ("responseCode", "1037"), ("Status", "OKAY")),
        result("0", ("responseCode", "0"), ("Status", "ERROR")),
        result("0", ("Status", "OKAY"), ("status", "PENDING")),
        result("1037", ("responseCode", "0")),
        result("1032", ("Status", "OKAY")),
        result("1032", ("Status", "ACTIVE")),
        result("1025", ("Status", "ERROR")),
        result("1050", ("Status", "ERROR")),
        result("200", ("Status", "OKAY")),
        result("Error", ("Status", "ERROR")),
        result(None),
    ],
)
def test_what_contradicts_itself_or_is_not_listed_proves_nothing(body: bytes) -> None:
    """There may be a standing order, or none."""
    found = RESULT(body)
    assert (found.created, found.reason) == (None, None)


LISTED = ("0", "1001", "1032", "1037", "1051", "2001")


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_other_code_proves_anything(code: str, state: str) -> None:
    """Whatever its words say."""
    found = RESULT(result(code, ("Status", state)))
    assert code.strip() in LISTED or found.created is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"responseHeader": 1}',
        b'{"responseHeader": {"responseCode": "0"}}',
        b'{"responseHeader": {"responseCode": "0"}, "responseBody": []}',
        b'{"responseHeader": {}, "responseBody": {}}',
        b'{"responseHeader": {"responseCode": "0"}, "responseBody": {"responseData": {}}}',
        b'{"responseHeader": {"responseCode": "0"}, "responseBody": {"responseData": [1]}}',
        b"[" * 100_000,
        None,
        7,
    ],
)
def test_what_is_no_result_is_our_error(body: Any) -> None:
    """BadWebhook, whatever was sent."""
    with pytest.raises(BadWebhook):
        RESULT(body)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists)


@given(st.dictionaries(st.sampled_from(["responseHeader", "responseBody", "x"]), JSON))
def test_no_message_raises_a_foreign_error(body: dict[str, Any]) -> None:
    """A hostile message is BadWebhook at the most."""
    try:
        RESULT(json.dumps(body))
    except PaymuxError:
        return


async def test_a_standing_order_is_agreed_to_and_paid() -> None:
    """By `run`: the customer agrees, and what is taken then comes in by C2B."""
    async with Simulator() as sim:
        heard = hears(sim)
        async with Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
            made = await pool.run("mpesa", Mpesa.standing_order, **ORDER)
            [order] = sim.mpesa.ratiba.asked
            assert (order.frequency, order.start, order.id) == ("bi-weekly", TODAY, made.id)
            assert not sim.ledger.entries("order-8")
            await until(lambda: bool(heard))
            agreed = RESULT(heard[0])
            assert (agreed.created, agreed.id, agreed.name) == (True, made.id, "Test")
            paid = sim.mpesa.ratiba.execute(order)
            await until(lambda: paid.moved)
            assert sim.ledger.charged("order-8") == 10


async def test_a_lost_answer_makes_no_second_standing_order() -> None:
    """The same request again: M-Pesa makes one of a name, and tells the second 1050."""
    async with Simulator() as sim:
        heard = hears(sim)
        sim.fault("mpesa", CREATE, kind=Fault.DROP_AFTER)
        async with Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
            await pool.run("mpesa", Mpesa.standing_order, **ORDER)
            await until(lambda: len(heard) == 2)
        assert [RESULT(body).code for body in heard] == ["0", "1050"]
        assert [one.agreed for one in sim.mpesa.ratiba.asked] == [True, False]


@pytest.mark.parametrize(("digit", "code"), [("2", "1032"), ("3", "1037"), ("5", "2001")])
async def test_a_customer_may_refuse(digit: str, code: str) -> None:
    """The result says why, and there is no standing order."""
    async with Simulator() as sim:
        heard = hears(sim)
        async with Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
            order = {**ORDER, "payer": f"25470837414{digit}"}
            await pool.run("mpesa", Mpesa.standing_order, **order)
            await until(lambda: bool(heard))
        refused = RESULT(heard[0])
        assert (refused.created, refused.code) == (False, code)


async def test_an_answer_that_does_not_come_is_unavailable() -> None:
    """No money moves by it, and the same may be asked for again."""
    async with Simulator() as sim, Pool(sim.driver("mpesa"), connection=sim.connection) as pool:
        sim.fault("mpesa", CREATE, kind=Fault.GARBAGE, times=9)
        with pytest.raises(Unavailable):
            await pool.run("mpesa", Mpesa.standing_order, **{**ORDER, "start": f"{TODAY}"})


def hears(sim: Simulator) -> list[bytes]:
    """Return the list in which the bodies of messages will be."""
    bodies: list[bytes] = []

    async def hear(message: WebhookRequest) -> None:
        bodies.append(message.body)

    sim.on_webhook(hear)
    return bodies


def test_a_day_is_one_of_kenya() -> None:
    """An order may begin on the present day of Kenya, given as text, too."""
    assert asked(start=str(TODAY), end=str(date.max))["EndDate"] == "99991231"
    assert asked(frequency="one-off", end=TODAY)["EndDate"] == f"{TODAY:%Y%m%d}"
