"""The simulated airtime of CamPay, and the name behind a number."""

import json

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from .asking import until
from .test_campay import PAYOUT, call

AIRTIME = "/utilities/airtime/transfer/"


async def test_airtime_leaves_no_float_and_is_asked_at_its_own_place() -> None:
    """The record is that of the stubs: a number, a type, and a reason that is empty."""
    sim = Simulator()
    status, taken = await call(sim, "POST", AIRTIME, PAYOUT)
    assert (status, taken["status"], len(taken)) == (200, "PENDING", 2)
    [entry] = sim.settle("wage-1", Status.SUCCEEDED)
    status, record = await call(sim, "GET", f"/utilities/transaction/{taken['reference']}/")
    assert (status, record) == (
        200,
        {
            "reference": taken["reference"],
            "external_reference": "wage-1",
            "status": "SUCCESSFUL",
            "amount": 500,
            "currency": "XAF",
            "operator": "MTN_CM",
            "code": entry.words["code"],
            "type": "AIRTIME",
            "reason": "",
        },
    )
    assert (await call(sim, "GET", f"/transaction/{taken['reference']}/"))[0] == 404
    _, balance = await call(sim, "GET", "/balance/")
    assert (balance["mtn_balance"], balance["utility_balance"]) == (1_000_000, 999_500)
    assert sim.ledger.paid_out("wage-1") == 500
    _, money = await call(sim, "POST", "/withdraw/", {**PAYOUT, "external_reference": "wage-2"})
    assert (await call(sim, "GET", f"/utilities/transaction/{money['reference']}/"))[0] == 404


async def test_airtime_beyond_the_balance_is_refused() -> None:
    """With the page's code; a failed one gives its money back."""
    sim = Simulator()
    sim.campay.utility -= 999_400
    assert (await call(sim, "POST", AIRTIME, PAYOUT))[0] == 200
    status, refused = await call(sim, "POST", AIRTIME, PAYOUT)
    assert (status, refused["error_code"]) == (400, "ER301")
    sim.settle("wage-1", Status.FAILED)
    assert sim.campay.utility == 600


@pytest.mark.parametrize("tells", [True, False])
async def test_its_end_may_be_told(tells: bool) -> None:
    """No page says whether it is: a test decides."""
    sim = Simulator()
    got: list[bytes] = []
    sim.on_webhook(lambda message: got.append(message.body))
    sim.campay.webhook_url = "https://shop.example/campay"
    sim.campay.utilities.tells = tells
    await call(sim, "POST", AIRTIME, PAYOUT)
    await call(sim, "POST", "/withdraw/", {**PAYOUT, "external_reference": "wage-2"})
    sim.settle("wage-1", Status.SUCCEEDED)
    sim.settle("wage-2", Status.SUCCEEDED)
    await until(lambda: len(got) == 1 + tells)
    told = [json.loads(one)["external_reference"] for one in got]
    assert told == (["wage-1"] if tells else []) + ["wage-2"]


async def test_a_name_belongs_to_a_number() -> None:
    """That of the page's sample for every number but those that a test names."""
    sim = Simulator()
    path = "/holder_info/?phone_number=237677777777"
    assert await call(sim, "GET", path) == (200, {"full_name": "JOHN DOE"})
    sim.campay.utilities.holders["237677777777"] = "ADA"
    assert (await call(sim, "GET", path))[1] == {"full_name": "ADA"}
    status, refused = await call(sim, "GET", "/holder_info/?phone_number=12")
    assert (status, refused["error_code"]) == (400, "ER101")
