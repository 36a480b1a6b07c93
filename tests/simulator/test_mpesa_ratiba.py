"""The simulated Ratiba: the two forms of the page, its codes, and one order of a name."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from paymux.models import Status
from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator
from paymux.simulator.ledger import Outcome
from paymux.simulator.mpesa.wire import EAT
from tests.toys import timeless

from .daraja import call, listening

PATH = "/mpesa/standingorder/v1/createStandingOrderExternal"
NUMBER = "254712345678"
_TODAY = wall_time(EAT)
OLD: dict[str, Any] = {
    "StandingOrderName": "Test Standing Order",
    "StartDate": f"{_TODAY + timedelta(days=2):%Y%m%d}",
    "EndDate": f"{_TODAY + timedelta(days=400):%Y%m%d}",
    "BusinessShortCode": "174379",
    "TransactionType": "Standing Order Customer Pay Bill",
    "ReceiverPartyIdentifierType": "4",
    "Amount": "4500",
    "PartyA": NUMBER,
    "CallBackURL": "https://shop.example/pat",
    "AccountReference": "Test",
    "TransactionDesc": "Test",
    "Frequency": "4",
}
NEW = {
    **OLD,
    "TransactionType": "Standing Order Pay Bill Ext-Third Party",
    "CustomStoId": "bae4ef32-3fb1-4998-988b-0063884a3d80",
}


async def asked(sim: Simulator, body: dict[str, Any]) -> tuple[str, Any]:
    """Ask for a standing order, and return the code of the answer and of the callback, if any."""
    got = listening(sim)
    status, said = await call(sim, PATH, body)
    assert status == 200
    assert said["ResponseBody"]["responseCode"] == said["ResponseHeader"]["responseCode"]
    await asyncio.sleep(5)
    callback = json.loads(got[-1].body) if got else None
    return said["ResponseHeader"]["responseCode"], callback


def code_of(callback: Any) -> Any:
    """Return the code in the header of a callback of either form."""
    return callback.get("responseHeader", callback.get("ResponseHeader"))["responseCode"]


@pytest.mark.parametrize(
    ("body", "every", "names"),
    [
        (OLD, "Monthly", ["TransactionID", "responseCode", "Status", "Msisdn"]),
        (
            NEW,
            "Bi-weekly",
            [
                "standingOrderName",
                "amount",
                "issuePaymentReminderUntil",
                "reminderScheduleId",
                "firstPaymentReminderDate",
                "status",
                "TransactionID",
                "responseCode",
                "Status",
                "Msisdn",
            ],
        ),
    ],
)
@timeless
async def test_one_is_made_by_either_form(
    body: dict[str, Any], every: str, names: list[str]
) -> None:
    """The same number is another frequency in each; no money moves."""
    sim = Simulator()
    code, callback = await asked(sim, body)
    assert (code, code_of(callback)) == ("200", "0")
    rows = callback["responseBody"]["responseData"]
    assert [one["name"] for one in rows] == names
    assert rows[-1]["value"] == "*********678"
    [made] = sim.mpesa.ratiba.made
    assert (made.every, made.party, made.till, len(sim.ledger)) == (every, NUMBER, False, 0)
    if "CustomStoId" in body:
        assert callback["responseHeader"]["requestRefID"] == body["CustomStoId"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(Status.CANCELLED), "1032"),
        (Outcome(Status.EXPIRED), "1037"),
        (Outcome(Status.FAILED, code="1025"), "1025"),
    ],
)
@timeless
async def test_a_customer_may_not_consent(outcome: Outcome, code: str) -> None:
    """The callback has the code, in the form of the page's failure; nothing is made."""
    sim = Simulator()
    sim.mpesa.magic[NUMBER] = outcome
    _, callback = await asked(sim, OLD)
    assert callback["ResponseHeader"]["responseCode"] == code
    rows = {one["Name"]: one["Value"] for one in callback["ResponseBody"]["ResponseData"]}
    assert rows == {
        "TransactionID": "0000000000",
        "responseCode": code,
        "Status": "ERROR",
        "Msisdn": "*********678",
    }
    assert sim.mpesa.ratiba.made == []


@pytest.mark.parametrize(
    ("digit", "code"), [("0", "0"), ("1", "0"), ("2", "1032"), ("3", "1037"), ("5", "2001")]
)
@timeless
async def test_the_numbers_of_the_simulator_decide(digit: str, code: str) -> None:
    """As for a push; who lacks the money can consent."""
    _, callback = await asked(Simulator(), {**OLD, "PartyA": f"25470837414{digit}"})
    assert code_of(callback) == code


@timeless
async def test_an_open_prompt_and_a_lost_callback_tell_nothing() -> None:
    """The order is made in the second case."""
    sim = Simulator()
    assert await asked(sim, {**OLD, "PartyA": "254708374144"}) == ("200", None)
    assert sim.mpesa.ratiba.made == []
    sim.mpesa.ratiba.deaf = True
    assert await asked(sim, OLD) == ("200", None)
    assert len(sim.mpesa.ratiba.made) == 1


@timeless
async def test_a_customer_has_one_of_a_name() -> None:
    """1050 in the callback, or in the answer; another customer may have the name."""
    sim = Simulator()
    await asked(sim, OLD)
    assert code_of((await asked(sim, {**NEW, "Amount": "1"}))[1]) == "1050"
    sim.mpesa.ratiba.tells_used_names = "answer"
    assert (await asked(sim, OLD))[0] == "1050"
    assert code_of((await asked(sim, {**OLD, "PartyA": "254712345679"}))[1]) == "0"
    assert [one.party for one in sim.mpesa.ratiba.made] == [NUMBER, "254712345679"]
    assert len(sim.mpesa.ratiba.prompts) == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("StandingOrderName", ""),
        ("StartDate", "20200101"),
        ("StartDate", "2030-01-01"),
        ("EndDate", f"{_TODAY + timedelta(days=1):%Y%m%d}"),
        ("BusinessShortCode", "x"),
        ("TransactionType", "Pay Bill"),
        ("ReceiverPartyIdentifierType", "2"),
        ("Amount", "1.5"),
        ("PartyA", "0712345678"),
        ("CallBackURL", "shop.example"),
        ("AccountReference", "x" * 13),
        ("TransactionDesc", None),
        ("Frequency", "9"),
        ("Frequency", "0"),
        ("Frequency", "Monthly"),
    ],
)
@timeless
async def test_a_field_of_another_form_is_refused(field: str, value: object) -> None:
    """1051, and the customer is not asked."""
    sim = Simulator()
    assert await asked(sim, {**OLD, field: value}) == ("1051", None)
    assert sim.mpesa.ratiba.prompts == []


@timeless
async def test_nine_frequencies_are_of_the_newer_form() -> None:
    """Of which the last is yearly."""
    sim = Simulator()
    assert code_of((await asked(sim, {**NEW, "Frequency": "9"}))[1]) == "0"
    assert sim.mpesa.ratiba.made[0].every == "Yearly"


@pytest.mark.parametrize("till", [False, True])
@timeless
async def test_a_date_of_it_is_a_payment_of_the_customer(till: bool) -> None:
    """It comes in as C2B: to a paybill with the account, to a till without."""
    sim = Simulator()
    kind = {
        "TransactionType": "Standing Order Customer Pay Marchant",
        "ReceiverPartyIdentifierType": "2",
    }
    await asked(sim, {**OLD, **(kind if till else {})})
    paid = sim.mpesa.ratiba.execute(sim.mpesa.ratiba.made[0])
    await asyncio.sleep(5)
    assert (paid.status, paid.amount, paid.party) == (Status.SUCCEEDED, 4500, NUMBER)
    assert paid.reference == (None if till else "Test")
