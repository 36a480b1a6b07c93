"""Customers' own payments on the simulated Daraja: confirmed, doubled, lost, and pulled."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from paymux.errors import UsageError
from paymux.http import Response, WebhookRequest
from paymux.models import Status
from paymux.primitives.clock import wall_time
from paymux.simulator import Fault, Simulator
from paymux.simulator.mpesa.wire import EAT

from ..driving import sample
from .asking import until
from .daraja import HOOKS, PULL, REGISTER, SIMULATE, call, form, listening, paid

REGISTRATION = {**sample("mpesa", "pull_register_request"), "ShortCode": "174379"}


def paths(got: list[WebhookRequest]) -> list[str]:
    """Return where messages came, by the first letter."""
    return [one.path[1] for one in got]


def between(*, hours: float = 1, **fields: Any) -> dict[str, Any]:
    """Return a query for the last hours."""
    now = wall_time(EAT)
    return {
        "ShortCode": "174379",
        "StartDate": f"{now - timedelta(hours=hours):%Y-%m-%d %H:%M:%S}",
        "EndDate": f"{now + timedelta(minutes=1):%Y-%m-%d %H:%M:%S}",
        "OffSetValue": "0",
        **fields,
    }


async def test_a_customer_pays_unasked() -> None:
    """The merchant is asked, then told in the sample's form; the money is on the account."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, REGISTER, HOOKS)
    entry = sim.mpesa.pays(bill="order-8", amount=5, msisdn="254712345126")
    await until(lambda: len(got) == 2)
    assert paths(got) == ["v", "c"]
    said = json.loads(got[1].body)
    assert form(said) == form(sample("mpesa", "c2b_confirmation"))
    assert (said["TransID"], said["BillRefNumber"]) == (entry.words["receipt"], "order-8")
    assert (said["MSISDN"], said["OrgAccountBalance"]) == ("2547 ***** 126", "1000005.00")
    assert sim.ledger.charged(said["TransID"]) == sim.ledger.charged("order-8") == 5
    sim.mpesa.c2b.mask = "tight"
    sim.mpesa.pays(bill=None, amount=5, msisdn="254712345126")
    await until(lambda: len(got) == 4)
    said = json.loads(got[3].body)
    assert (said["TransactionType"], said["MSISDN"]) == ("Buy Goods", "25471****126")


async def test_the_first_version_hashes_the_number() -> None:
    """The version of the registration decides, also for a payment outside the sandbox."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, REGISTER.replace("v2", "v1"), HOOKS)
    sim.mpesa.pays(bill="order-8", amount=5, msisdn="254712345126")
    await until(lambda: len(got) == 2)
    assert json.loads(got[1].body)["MSISDN"] == hashlib.sha256(b"254712345126").hexdigest()


@pytest.mark.parametrize("code", [f"C2B0001{digit}" for digit in range(1, 7)])
async def test_a_refusing_code_cancels(code: str) -> None:
    """Every documented code refuses: no money moves, and nothing is confirmed."""
    sim = Simulator()
    got: list[str] = []

    def refuse(incoming: WebhookRequest) -> Response:
        got.append(incoming.path)
        return Response(status=200, body=json.dumps({"ResultCode": code}).encode())

    sim.on_webhook(refuse)
    await call(sim, REGISTER, HOOKS)
    entry = sim.mpesa.pays(bill="order-8", amount=5)
    await until(lambda: entry.status.terminal)
    assert (entry.status, got) == (Status.CANCELLED, ["/v/7f"])
    assert sim.ledger.charged() == 0


async def test_without_registration_only_the_money_comes() -> None:
    """A shortcode without URLs is paid all the same."""
    sim = Simulator()
    got = listening(sim)
    await call(sim, REGISTER, {**HOOKS, "ShortCode": "600000"})
    entry = sim.mpesa.pays(bill="order-8", amount=5)
    await until(lambda: entry.status.terminal)
    assert got == []
    assert sim.ledger.charged("order-8") == 5
    assert (await call(sim, SIMULATE, {"ShortCode": "174379"}))[0] == 400


@pytest.mark.parametrize(
    ("twins", "order"), [("no", ["p"]), ("after", ["p", "c"]), ("before", ["c", "p"])]
)
async def test_a_push_has_a_twin(twins: Any, order: list[str]) -> None:
    """The confirmation has the receipt of the callback; where no URL is registered, none comes."""
    sim = Simulator()
    got = listening(sim)
    await paid(sim, "order-0")
    await until(lambda: got)
    await call(sim, REGISTER, HOOKS)
    sim.mpesa.c2b.twins = twins
    entry = await paid(sim)
    await until(lambda: len(got) == 1 + len(order))
    assert paths(got[1:]) == order
    for told in got[1:]:
        assert entry.words["receipt"] in told.body.decode()
    assert sim.ledger.charged("order-1") == 250


async def test_confirmations_are_lost_and_doubled() -> None:
    """By share, and by a planned fault for one receipt or bill."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.c2b.validation = False
    await call(sim, REGISTER, HOOKS)
    sim.mpesa.c2b.lost = 1.0
    first = sim.mpesa.pays(bill="a", amount=1)
    await until(lambda: first.status.terminal)
    sim.mpesa.c2b.lost, sim.mpesa.c2b.twice = 0.0, 1.0
    second = sim.mpesa.pays(bill="b", amount=1)
    await until(lambda: second.status.terminal)
    sim.mpesa.c2b.twice = 0.0
    sim.fault("mpesa", "c", kind=Fault.WEBHOOK_LOST)
    third = sim.mpesa.pays(bill="c", amount=1)
    await until(lambda: third.status.terminal and len(got) == 2)
    assert [json.loads(one.body)["BillRefNumber"] for one in got] == ["b", "b"]
    assert sim.ledger.charged() == 3


@pytest.mark.parametrize(
    ("field", "value"), [("bill", "x" * 21), ("amount", "1.5"), ("msisdn", "0712"), ("amount", 0)]
)
async def test_a_payment_that_cannot_be_is_a_mistake_of_the_test(field: str, value: Any) -> None:
    """`pays` checks what it is given, and opens no order."""
    sim = Simulator()
    with pytest.raises(UsageError, match=field):
        sim.mpesa.pays(**{"bill": "order-8", "amount": 5, field: value})
    assert len(sim.ledger) == 0


async def test_pull_is_registered_once() -> None:
    """The answers are the page's; a shortcode that is not registered is refused."""
    sim = Simulator()
    body = sample("mpesa", "pull_register_request")
    assert (await call(sim, f"{PULL}/query", between()))[1]["errorCode"] == "400.001"
    status, made = await call(sim, f"{PULL}/register", body)
    assert form(made) == form(sample("mpesa", "pull_register.200"))
    assert (status, made["ResponseStatus"], made["ShortCode"]) == (200, "1000", "600000")
    assert (await call(sim, f"{PULL}/register", body))[1]["ResponseStatus"] == "1001"
    for field in ("ShortCode", "RequestType", "NominatedNumber", "CallBackURL"):
        refused = await call(sim, f"{PULL}/register", {**body, field: "x"})
        assert refused[1]["errorMessage"] == f"Bad Request - Invalid {field}"


async def test_pull_lists_what_customers_paid() -> None:
    """Pushes and unasked payments of the shortcode, from a row on; payouts and failures not."""
    sim = Simulator()
    listening(sim)
    await call(sim, f"{PULL}/register", REGISTRATION)
    assert (await call(sim, f"{PULL}/query", between()))[1]["Response"] == [[]]
    await paid(sim)
    entry = sim.mpesa.pays(bill="37207636392", amount=168, msisdn="254722000000")
    other = sim.mpesa.pays(bill="x", amount=1, shortcode="600000")
    await until(lambda: entry.status.terminal and other.status.terminal)
    status, said = await call(sim, f"{PULL}/query", between())
    assert (status, said["ResponseCode"]) == (200, "1000")
    [rows] = said["Response"]
    assert [row["amount"] for row in rows] == ["250.00", "168.00"]
    known = sample("mpesa", "pull_rows.200")["Response"][0][0]
    changed = {"transactionId": entry.words["receipt"], "trxDate": rows[1]["trxDate"]}
    assert rows[1] == {**known, **changed}
    assert form(rows[1]) == form(known)
    [rows] = (await call(sim, f"{PULL}/query", between(OffSetValue="1")))[1]["Response"]
    assert [row["billreference"] for row in rows] == ["37207636392"]
    sim.mpesa.pull.rows = 1
    [rows] = (await call(sim, f"{PULL}/query", between()))[1]["Response"]
    assert [row["billreference"] for row in rows] == ["order-1"]


async def test_pull_keeps_rows_for_48_hours_and_may_lag() -> None:
    """Older rows, and those that are too new, are none: by code 1001 or by HTTP 500 in words."""
    sim = Simulator()
    listening(sim)
    await call(sim, f"{PULL}/register", REGISTRATION)
    entry = await paid(sim)
    sim.mpesa.pull.lag = 600.0
    assert (await call(sim, f"{PULL}/query", between()))[1]["ResponseCode"] == "1001"
    sim.mpesa.pull.lag = 0.0
    assert (await call(sim, f"{PULL}/query", between()))[1]["ResponseCode"] == "1000"
    entry.words["paid_at"] -= timedelta(hours=49)
    assert (await call(sim, f"{PULL}/query", between(hours=72)))[1]["ResponseCode"] == "1001"
    sim.mpesa.pull.none = "500"
    status, refused = await call(sim, f"{PULL}/query", between(hours=72))
    assert status == 500
    assert "does not have any available transactions" in refused["errorMessage"]


@pytest.mark.parametrize("field", ["StartDate", "EndDate", "OffSetValue"])
async def test_a_bad_query_is_refused_by_its_field(field: str) -> None:
    """Dates are as on the page, with seconds or without."""
    sim = Simulator()
    await call(sim, f"{PULL}/register", REGISTRATION)
    refused = await call(sim, f"{PULL}/query", {**between(), field: "x"})
    assert refused[1]["errorMessage"] == f"Bad Request - Invalid {field}"
    assert (await call(sim, f"{PULL}/query", between(StartDate="2026-01-02 19:00")))[0] == 200
