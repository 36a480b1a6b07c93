"""Wizall by PayDunya's SoftPay: a code charges its holder once, and only what was ordered."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux.drivers.paydunya import PayDunya
from paymux.drivers.paydunya.wizall import Started
from paymux.errors import NotSent, OutcomeUnknown, Unavailable, UsageError
from paymux.http import Response
from paymux.models import Order, Payment, Status
from paymux.pool import Pool
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

from .test_paydunya_opr import open_invoice, paydunya

TOKEN = "test_Jh2T8skw1j"
MADE = {"wizall_transaction": "wz-1", "invoice_token": TOKEN}
START = "POST /api/v1/softpay/wizall-money-senegal"
CHARGE = f"{START}/confirm"
WHO: dict[str, Any] = {"payer": "+221771234567", "reference": "order-7"}
SALE: dict[str, Any] = {
    **WHO,
    "amount": 500,
    "currency": "XOF",
    "operator": "wizall",
}
DONE: dict[str, Any] = {"success": True, "message": "Votre paiement a été effectué."}


def answer(status: int = 200, **body: object) -> Response:
    """Return an answer with this body."""
    return Response(status=status, body=json.dumps(body).encode())


def charged(*replies: Response, extra: Any = None, **changes: Any) -> tuple[Payment, Script]:
    """Charge an account with these answers."""
    given: dict[str, Any] = {
        "account": "paydunya",
        "kind": "collect",
        "reference": "order-7",
        "amount": Decimal(500),
        "currency": "XOF",
        "party": "221771234567",
        "operator": "wizall",
        "extra": {**MADE, "otp": "4321"} if extra is None else extra,
        **changes,
    }
    driver = paydunya()
    send = Script(driver, *replies)
    return drive(driver.collect(send, Order(**given))), send


def world(sim: Simulator, journal: Path | None = None) -> Pool:
    """Return a pool at the simulator."""
    return Pool(sim.driver("paydunya"), connection=sim.connection, journal=journal)


def sent(sim: Simulator, call: str) -> int:
    """Count the requests of one kind."""
    return sum(one.path.rstrip("/").endswith(call.partition(" ")[2]) for one in sim.requests)


@pytest.mark.parametrize("nested", [True, False])
def test_the_first_step_makes_an_invoice_and_sends_a_code(nested: bool) -> None:
    """Two requests that move nothing; the id is read where either answer has it."""
    driver = paydunya()
    told: dict[str, Any] = {"transaction_id": "wz-1"}
    more: dict[str, Any] = {"data": told} if nested else {**told}
    begun = answer(success=True, message="x", **more)
    send = Script(driver, reply("paydunya", "created_sandbox.200"), begun)
    given: dict[str, Any] = {**WHO, "amount": 500, "name": "Awa Sow", "email": "a@b.sn"}
    made = drive(driver.wizall_create(send, **given))
    create, start = send.requests
    assert [one.money for one in send.requests] == [False, False]
    body = json.loads(create.content() or b"")
    assert body["custom_data"] == {"paymux_reference": "order-7"}
    token = sample("paydunya", "created_sandbox.200")["token"]
    assert start.path == "/api/v1/softpay/wizall-money-senegal"
    assert json.loads(start.content() or b"") == {
        "customer_name": "Awa Sow",
        "customer_email": "a@b.sn",
        "phone_number": "771234567",
        "invoice_token": token,
    }
    assert made == {"wizall_transaction": "wz-1", "invoice_token": token}


def test_the_charge_has_the_three_fields_and_is_pending() -> None:
    """A success of its answer is not believed: only the invoice has the amount."""
    paid, send = charged(open_invoice(), answer(**DONE))
    look, charge = send.requests
    assert look.target() == f"/sandbox-api/v1/checkout-invoice/confirm/{TOKEN}"
    assert charge.path == "/api/v1/softpay/wizall-money-senegal/confirm"
    assert json.loads(charge.content() or b"") == {
        "authorization_code": "4321",
        "phone_number": "771234567",
        "transaction_id": "wz-1",
    }
    assert (charge.money, charge.repeatable) == (True, False)
    assert charge.known == {"provider_reference": TOKEN}
    assert (paid.status, paid.provider_reference) == (Status.PENDING, TOKEN)
    assert paid.prompt == DONE["message"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"invoice": {"token": TOKEN, "total_amount": 501}}, "amount: .*501, as the invoice says"),
        ({"custom_data": {"paymux_reference": "order-8"}}, "reference: .*'order-8', the invoice's"),
        ({"status": "completed"}, "invoice_token.*this one is succeeded"),
    ],
)
def test_another_invoice_than_the_orders_is_never_charged(fields: Any, why: str) -> None:
    """The charge names no amount, so the invoice's must be the order's."""
    with pytest.raises(UsageError, match=why):
        charged(open_invoice(**fields))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"success": False, "message": "Transaction introuvable"}),
        (422, {"success": False, "message": "Invalid or expired OTP code!"}),
        (200, {"message": "x"}),
        (200, {}),
        (500, {"success": True}),
    ],
)
def test_no_refusal_of_a_charge_is_listed(status: int, body: Any) -> None:
    """Its outcome is unknown, and the invoice tells it."""
    with pytest.raises(OutcomeUnknown):
        charged(open_invoice(), answer(status, **body))


@pytest.mark.parametrize(
    "body",
    [
        {"success": True},
        {"success": True, "data": {}},
        {"success": True, "transaction_id": "a b"},
        {"transaction_id": "a"},
    ],
)
def test_a_code_without_an_id_is_no_answer(body: Any) -> None:
    """Without the id nothing can be charged."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", "created_sandbox.200"), answer(**body))
    with pytest.raises(OutcomeUnknown):
        drive(driver.wizall_create(send, amount=500, **WHO))


@pytest.mark.parametrize(
    ("extra", "changes", "why"),
    [
        ({**MADE}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": 1234}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": "secret7890123"}, {}, "otp.*the code that the payer got"),
        ({}, {}, "wizall_transaction.*what wizall_create returned"),
        ({"wizall_transaction": "secret!", "otp": "1"}, {}, "wizall_transaction.*wizall_create"),
        ({"wizall_transaction": "a", "otp": "1"}, {}, "invoice_token.*what wizall_create"),
        ({**MADE, "otp": "4321"}, {"operator": None}, "operator.*wizall"),
        ({**MADE, "otp": "4321"}, {"operator": "wave"}, "operator.*wizall"),
        ({**MADE, "otp": "4321"}, {"party": None}, "payer.*the number that got the code"),
        ({**MADE, "otp": "4321"}, {"party": "22997979797"}, "payer.*a number of SN"),
    ],
)
def test_a_charge_that_lacks_something_is_refused_unsent(
    extra: Any, changes: Any, why: str
) -> None:
    """Neither a token nor a code is in the error."""
    with pytest.raises(UsageError, match=why) as refused:
        charged(extra=extra, **changes)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"payer": "+2250707070707"}, "payer"),
        ({"amount": 0.5}, "amount"),
        ({"reference": ""}, "reference"),
        ({"name": 7}, "name"),
        ({"email": None}, "email"),
    ],
)
def test_a_first_step_that_is_wrong_is_refused_unsent(changes: Any, why: str) -> None:
    """Before an invoice is made."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match=why):
        drive(driver.wizall_create(send, **{"amount": 500, **WHO, **changes}))
    assert send.requests == []


def test_what_is_unreadable_is_named() -> None:
    """The reasons are told of an answer that is none."""
    with pytest.raises(Unreadable, match="success is not true"):
        Started(success=False, transaction_id="a").started()
    with pytest.raises(Unreadable, match="no transaction_id"):
        Started(success=True).started()


async def test_a_code_charges_its_payer_once() -> None:
    """`run` sends the code; `collect` charges, and the look-up tells the end."""
    sim = Simulator()
    async with world(sim) as pay:
        made = await pay.run("paydunya", PayDunya.wizall_create, amount=500, **WHO)
        wizall = sim.paydunya.softpay.wizall
        assert wizall.sent == ["771234567"]
        assert sim.ledger.charged() == 0
        extra = {**made, "otp": wizall.code}
        paid = await pay.verify(await pay.collect("paydunya", **SALE, extra=extra))
        assert (paid.status, paid.reference) == (Status.SUCCEEDED, "order-7")
        with pytest.raises(UsageError, match="an open invoice"):
            await pay.collect("paydunya", **{**SALE, "reference": "order-8"}, extra=extra)
    assert sim.ledger.charged() == 500


async def test_a_code_that_is_not_sent_is_unavailable() -> None:
    """It moves no money, so it may be asked for again."""
    sim = Simulator()
    sim.fault("paydunya", START, kind=Fault.GARBAGE, times=9)
    async with world(sim) as pay:
        with pytest.raises(Unavailable):
            await pay.run("paydunya", PayDunya.wizall_create, amount=500, **WHO)


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.DROP_BEFORE])
async def test_a_lost_charge_is_recovered_by_its_invoice(tmp_path: Path, kind: Fault) -> None:
    """The invoice's token is in the journal before the charge leaves; nothing is sent again."""
    sim, journal = Simulator(), tmp_path / "pay.db"
    sim.fault("paydunya", CHARGE, kind=kind)
    async with world(sim, journal) as pay:
        made = await pay.run("paydunya", PayDunya.wizall_create, amount=500, **WHO)
        extra = {**made, "otp": "4321"}
        with pytest.raises(OutcomeUnknown) as lost:
            await pay.collect("paydunya", **SALE, extra=extra)
    assert "new reference" not in str(lost.value)
    assert lost.value.payment.provider_reference == made["invoice_token"]
    async with world(sim, journal) as pay:
        left = [one.payment.status async for one in pay.recover()]
        with suppress(OutcomeUnknown):
            await pay.collect("paydunya", **SALE, extra=extra)
    assert left == [Status.SUCCEEDED if kind is Fault.DROP_AFTER else Status.PENDING]
    assert sent(sim, CHARGE) == int(kind is Fault.DROP_AFTER)


async def test_an_invoice_that_cannot_be_looked_up_is_not_charged() -> None:
    """The first step of the charge moves nothing, so its failure is NotSent."""
    sim = Simulator()
    async with world(sim) as pay:
        made = await pay.run("paydunya", PayDunya.wizall_create, amount=500, **WHO)
        sim.fault("paydunya", "GET /confirm/", kind=Fault.DROP_AFTER, times=9)
        with pytest.raises(NotSent):
            await pay.collect("paydunya", **SALE, extra={**made, "otp": "4321"})
    assert sent(sim, CHARGE) == 0
