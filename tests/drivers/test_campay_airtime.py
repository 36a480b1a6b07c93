"""Airtime by CamPay, and the name behind a number."""

import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux import CamPay, NotFound, OutcomeUnknown, Payment, Pool, Rejected, Status, UsageError
from paymux.drivers.campay.airtime import LOOK_UP, TRANSFER
from paymux.drivers.campay.answers import Transaction
from paymux.http import Response
from paymux.models import Order
from paymux.simulator import Fault, Simulator
from paymux.testing import virtual_time
from tests.driving import Script, drive, reply, sample

DRIVER = CamPay(access_token="the-token", live=True)
SENT = "POST /api/utilities/airtime/transfer/"
ASKED = "971e32ae-bb5a-420a-a38a-c2931536609f"
TOP_UP: dict[str, Any] = {
    "amount": 100,
    "currency": "XAF",
    "payee": "237677777777",
    "reference": "top-up-7",
    "extra": {"airtime": True},
}


def order(**changes: Any) -> Order:
    """Return an order for airtime."""
    fields: dict[str, Any] = {
        "account": "campay",
        "kind": "payout",
        "reference": "sample-external-ref",
        "amount": Decimal(100),
        "currency": "XAF",
        "party": "237677777777",
        "extra": {"airtime": True},
    }
    return Order(**{**fields, **changes})


def sent(answer: Response, driver: CamPay = DRIVER, **changes: Any) -> tuple[Payment, Script]:
    """Send airtime, and return the payment and what was sent."""
    script = Script(driver, answer)
    return drive(driver.payout(script, order(**changes))), script


def test_airtime_is_the_documented_request() -> None:
    """Its own path, and three fields; the answer says only that it was accepted."""
    payment, script = sent(reply("campay", "airtime.200"))
    (request,) = script.requests
    assert (request.path, request.money, request.repeatable) == (TRANSFER, True, False)
    assert request.body == sample("campay", "airtime_request")
    reference = "26676007-1c31-46d7-9c71-acb031cf0de4"
    assert (payment.status, payment.kind, payment.provider_reference) == (
        Status.PENDING,
        "payout",
        reference,
    )
    assert payment.ids == {"airtime": reference}


def test_without_the_setting_it_is_money() -> None:
    """`airtime: False` is a payout like any other."""
    _, script = sent(reply("campay", "payout.200"), extra={"airtime": False})
    assert script.requests[0].path == "/withdraw/"


@pytest.mark.parametrize(
    ("field", "driver", "changes"),
    [
        ("airtime", DRIVER, {"extra": {"airtime": "yes"}}),
        ("airtime", DRIVER, {"extra": {"airtime": []}}),
        ("airtime", DRIVER, {"extra": {"airtime": None}}),
        ("description", DRIVER, {"description": "June"}),
        ("metadata", DRIVER, {"metadata": {"external_user": "ada"}}),
        ("dialect", CamPay(access_token="the-token", live=True, dialect="summary"), {}),
    ],
)
def test_bad_input_is_named_and_never_sent(
    field: str, driver: CamPay, changes: dict[str, Any]
) -> None:
    """UsageError names the field, and no request is made."""
    script = Script(driver)
    with pytest.raises(UsageError) as caught:
        drive(driver.payout(script, order(**changes)))
    assert (caught.value.name, script.requests) == (field, [])


def test_a_collect_of_airtime_is_refused() -> None:
    """It would be a prompt to pay."""
    script = Script(DRIVER)
    with pytest.raises(UsageError, match="airtime"):
        drive(DRIVER.collect(script, order(kind="collect")))
    assert not script.requests


@pytest.mark.parametrize(
    ("name", "status"),
    [("airtime_pending.200", Status.PENDING), ("airtime_successful.200", Status.SUCCEEDED)],
)
def test_its_look_up_is_its_own(name: str, status: Status) -> None:
    """By another path than a payout's, and with a type in place of an endpoint."""
    script = Script(DRIVER, reply("campay", name))
    known = Payment(
        account="campay", kind="payout", provider_reference=ASKED, ids={"airtime": ASKED}
    )
    found = drive(DRIVER.verify(script, known))
    (request,) = script.requests
    assert (request.path, request.at) == (LOOK_UP, {"reference": ASKED})
    assert (found.status, found.kind, found.amount, found.operator) == (
        status,
        "payout",
        Decimal(100),
        "ORANGE",
    )
    assert found.reference == "5577006791947779410"
    assert found.ids == {"code": "CP220804U0649K", "airtime": ASKED}


def test_a_record_without_a_reference_has_no_mark() -> None:
    """There is nothing by which it could be asked for."""
    found = DRIVER.payment(Transaction(type="AIRTIME", status="PENDING"))
    assert (found.kind, found.ids) == ("payout", {})


def test_what_airtime_takes_is_said() -> None:
    """Each error says what is accepted."""
    summary = CamPay(access_token="the-token", live=True, dialect="summary")
    for driver, changes, why in (
        (DRIVER, {"extra": {"airtime": 7}}, "True or False, in a payout"),
        (DRIVER, {"description": "June"}, "nothing, for airtime"),
        (summary, {}, "current, which has airtime"),
    ):
        with pytest.raises(UsageError, match=why):
            drive(driver.payout(Script(driver), order(**changes)))


def test_a_refused_number_is_refused_for_certain() -> None:
    """By the page's error codes, as every order."""
    with pytest.raises(Rejected) as caught:
        sent(reply("campay", "refused_number.400"))
    assert caught.value.code == "ER101"


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[tuple[Simulator, Pool]]:
    """Open a pool with a journal over the simulator."""
    async with virtual_time():
        sim = Simulator()
        driver = sim.driver("campay")
        async with Pool(driver, connection=sim.connection, journal=tmp_path / "j.db") as pool:
            yield sim, pool


async def test_airtime_is_sent_once_and_watched_to_its_end(sim: tuple[Simulator, Pool]) -> None:
    """It leaves no float; asked for at the wrong place, it would be unknown for ever."""
    world, pool = sim
    top_up = await pool.payout("campay", **TOP_UP)
    world.settle("top-up-7", Status.SUCCEEDED)
    paid = await pool.watch(top_up)
    assert (paid.status, paid.amount, paid.operator) == (Status.SUCCEEDED, Decimal(100), "MTN")
    assert (await pool.payout("campay", **TOP_UP)).status is Status.SUCCEEDED
    assert (len(world.received("campay", SENT)), world.campay.floats["MTN"]) == (1, 1_000_000)
    assert world.campay.utility == 999_900


async def test_two_of_airtime_are_never_one(sim: tuple[Simulator, Pool]) -> None:
    """What marks them as airtime is an id of each, not a word that they share."""
    world, pool = sim
    both = [await pool.payout("campay", **{**TOP_UP, "reference": name}) for name in ("one", "two")]
    assert both[0].ids["airtime"] != both[1].ids["airtime"]
    world.settle("two", Status.FAILED)
    world.settle("one", Status.SUCCEEDED)
    assert [(await pool.watch(one)).status for one in both] == [Status.SUCCEEDED, Status.FAILED]


async def test_a_lost_answer_is_never_sent_again(sim: tuple[Simulator, Pool]) -> None:
    """It cannot be asked for by our reference: it is left to a person."""
    world, pool = sim
    world.fault("campay", SENT, kind=Fault.DROP_AFTER)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await pool.payout("campay", **TOP_UP)
    [left] = [one async for one in pool.recover()]
    assert (left.resolved, "never send it again" in left.advice) == (False, True)
    assert len(world.received("campay", SENT)) == 1


async def test_the_setting_is_part_of_the_order(sim: tuple[Simulator, Pool]) -> None:
    """Money and airtime under one reference are two orders: the second is refused."""
    _, pool = sim
    await pool.payout("campay", **TOP_UP)
    with pytest.raises(UsageError, match="top-up-7"):
        await pool.payout("campay", **{**TOP_UP, "extra": {}})


async def test_a_holder_is_told_and_never_kept(
    sim: tuple[Simulator, Pool], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The name of a number's owner: in no log, and in no journal."""
    caplog.set_level(logging.DEBUG)
    world, pool = sim
    world.campay.utilities.holders["237690000001"] = "CANARY ADA"
    assert await pool.run("campay", CamPay.holder, number="+237 690 00 00 01") == "CANARY ADA"
    assert await pool.run("campay", CamPay.holder, number="237677777777") == "JOHN DOE"
    world.campay.utilities.holders["237677777777"] = ""
    with pytest.raises(NotFound):
        await pool.run("campay", CamPay.holder, number="237677777777")
    with pytest.raises(UsageError, match="payer"):
        await pool.run("campay", CamPay.holder, number="12")
    await pool.aclose()
    written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert "CANARY" not in caplog.text
    assert b"CANARY" not in written


@pytest.mark.parametrize("body", [b"{}", b'{"full_name": ""}', b'{"full_name": {}}', b"[]", b"x"])
def test_an_answer_without_a_name_is_none(body: bytes) -> None:
    """It is unreadable, never an empty name."""
    script = Script(DRIVER, Response(status=200, body=body))
    with pytest.raises(OutcomeUnknown):
        drive(DRIVER.holder(script, number="237677777777"))
    assert script.requests[0].query == {"phone_number": "237677777777"}
