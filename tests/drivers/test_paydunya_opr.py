"""PayDunya's OPR: a code charges the account of its holder, once, and only what was ordered."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux.drivers.paydunya import PayDunya
from paymux.drivers.paydunya.opr import Onsite
from paymux.errors import (
    AuthenticationFailed,
    NotSent,
    OutcomeUnknown,
    Rejected,
    UsageError,
)
from paymux.http import Response
from paymux.models import Order, Payment, Status
from paymux.pool import Pool
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from tests.driving import Script, drive, reply, sample

TOKEN = "test_Jh2T8skw1j"
MADE = {"opr_token": "opr-token", "invoice_token": TOKEN}
CREATE, CHARGE = "POST /sandbox-api/v1/opr/create", "POST /sandbox-api/v1/opr/charge"
WHO: dict[str, Any] = {"payer": "+221774563209", "reference": "order-7"}
SALE: dict[str, Any] = {"amount": 500, "currency": "XOF", "reference": "order-7"}


def paydunya() -> PayDunya:
    """Return a sandbox account."""
    return PayDunya(
        master_key="m",
        private_key="test_private_x",
        access_token="t",
        store_name="Magasin le Choco",
    )


def open_invoice(**fields: Any) -> Response:
    """Return the look-up of an invoice that is not paid yet."""
    body = {
        "response_code": "00",
        "mode": "test",
        "status": "pending",
        "invoice": {"token": TOKEN, "total_amount": 500},
        "custom_data": {"paymux_reference": "order-7"},
        **fields,
    }
    return Response(status=200, body=json.dumps(body).encode())


def charged(*replies: Response, extra: Any = None, **changes: Any) -> tuple[Payment, Script]:
    """Charge an account with these answers."""
    given: dict[str, Any] = {
        "account": "paydunya",
        "kind": "collect",
        "reference": "order-7",
        "amount": Decimal(500),
        "currency": "XOF",
        "extra": {**MADE, "otp": "1234"} if extra is None else extra,
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


def test_the_first_step_is_that_of_paydunyas_clients_and_moves_nothing() -> None:
    """An invoice with our reference, and the account's alias without a country code."""
    driver = paydunya()
    send = Script(driver, reply("paydunya", "opr_created.200"))
    given: dict[str, Any] = {**WHO, "amount": 5000, "description": "x"}
    made = drive(driver.opr_create(send, **given))
    assert made == MADE
    (request,) = send.requests
    assert (request.target(), request.money) == ("/sandbox-api/v1/opr/create", False)
    body = json.loads(request.content() or b"")
    assert body["invoice_data"].pop("custom_data") == {"paymux_reference": "order-7"}
    assert body == sample("paydunya", "opr_create")


def test_the_charge_is_that_of_paydunyas_clients_and_is_pending() -> None:
    """`completed` in its answer is not believed: only the invoice has the amount."""
    paid, send = charged(open_invoice(), reply("paydunya", "opr_charged.200"))
    look, charge = send.requests
    assert look.target() == f"/sandbox-api/v1/checkout-invoice/confirm/{TOKEN}"
    assert charge.target() == "/sandbox-api/v1/opr/charge"
    assert json.loads(charge.content() or b"") == sample("paydunya", "opr_charge")
    assert (charge.money, charge.repeatable) == (True, False)
    assert charge.known == {"provider_reference": TOKEN}
    assert (paid.status, paid.provider_reference) == (Status.PENDING, TOKEN)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"invoice": {"token": TOKEN, "total_amount": 501}}, "amount: .*501, as the invoice says"),
        ({"invoice": {"token": TOKEN}}, "amount: "),
        ({"custom_data": {"paymux_reference": "order-8"}}, "reference: .*'order-8', the invoice's"),
        ({"status": "completed"}, "invoice_token.*this one is succeeded"),
        ({"status": "cancelled"}, "invoice_token.*this one is cancelled"),
    ],
)
def test_another_invoice_than_the_orders_is_never_charged(fields: Any, why: str) -> None:
    """The charge names no amount, so the invoice's must be the order's."""
    with pytest.raises(UsageError, match=why):
        charged(open_invoice(**fields))


@pytest.mark.parametrize(
    "body",
    [
        {"response_code": "1001", "response_text": "Invalid confirmation token"},
        {"response_code": "4002", "response_text": "x"},
        {"response_text": "x"},
        {},
    ],
)
def test_no_refusal_of_a_charge_is_listed(body: Any) -> None:
    """Its outcome is unknown, and the invoice tells it."""
    with pytest.raises(OutcomeUnknown):
        charged(open_invoice(), Response(status=200, body=json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"response_code": "1001", "response_text": "Invalid Masterkey"}, AuthenticationFailed),
        ({"response_code": "5000", "response_text": "x"}, Rejected),
        ({"response_code": "00", "token": "a"}, OutcomeUnknown),
        ({"response_code": "00", "invoice_token": "a"}, OutcomeUnknown),
        ({"token": "a", "invoice_token": "b"}, OutcomeUnknown),
    ],
)
def test_a_code_that_was_not_sent_says_why(body: Any, error: type[Exception]) -> None:
    """Without both tokens nothing can be charged."""
    driver = paydunya()
    send = Script(driver, Response(status=200, body=json.dumps(body).encode()))
    with pytest.raises(error):
        drive(driver.opr_create(send, amount=500, **WHO))


@pytest.mark.parametrize(
    ("extra", "changes", "why"),
    [
        ({**MADE}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": 1234}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": "١٢٣٤"}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": "se cret"}, {}, "otp.*the code that the payer got"),
        ({**MADE, "otp": "secret7890123"}, {}, "otp.*the code that the payer got"),
        ({"opr_token": "secret!", "otp": "1"}, {}, "opr_token.*what opr_create returned"),
        ({"opr_token": "a", "otp": "1"}, {}, "invoice_token.*what opr_create returned"),
        ({**MADE, "otp": "1234"}, {"operator": "wave"}, "operator.*None: OPR charges"),
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
        ({"payer": "+2250707070707"}, "payee"),
        ({"amount": 0.5}, "amount"),
        ({"reference": ""}, "reference"),
    ],
)
def test_a_first_step_that_is_wrong_is_refused_unsent(changes: Any, why: str) -> None:
    """A number of another country than Senegal may be another payer's alias."""
    driver = paydunya()
    send = Script(driver)
    with pytest.raises(UsageError, match=why):
        drive(driver.opr_create(send, **{"amount": 500, **WHO, **changes}))
    assert send.requests == []


def test_a_code_has_up_to_twelve_characters_and_an_invoice_may_have_no_reference() -> None:
    """The longest code is sent as it is; an invoice of another program has no word of ours."""
    extra = {**MADE, "otp": "123456789012"}
    _, send = charged(
        open_invoice(custom_data=[]), reply("paydunya", "opr_charged.200"), extra=extra
    )
    assert json.loads(send.requests[1].content() or b"")["confirm_token"] == extra["otp"]


def test_what_is_unreadable_is_named() -> None:
    """The reasons are told of an answer that is none."""
    with pytest.raises(Unreadable, match="response_code is not 00"):
        Onsite(response_code="1001").accepted()
    with pytest.raises(Unreadable, match="has not both tokens"):
        Onsite(response_code="00", token="a", invoice_token="").made()


async def test_a_code_charges_its_payer_once() -> None:
    """`run` sends the code; `collect` charges, and the look-up tells the end."""
    sim = Simulator()
    async with world(sim) as pay:
        made = await pay.run("paydunya", PayDunya.opr_create, amount=500, **WHO)
        assert sim.paydunya.opr.sent == ["774563209"]
        assert sim.ledger.charged() == 0
        extra = {**made, "otp": "1234"}
        paid = await pay.collect("paydunya", **SALE, extra=extra)
        paid = await pay.verify(paid)
        assert (paid.status, paid.reference) == (Status.SUCCEEDED, "order-7")
        with pytest.raises(UsageError, match="an open invoice"):
            await pay.collect("paydunya", **{**SALE, "reference": "order-8"}, extra=extra)
    assert sim.ledger.charged() == 500


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.DROP_BEFORE])
async def test_a_lost_charge_is_recovered_by_its_invoice(tmp_path: Path, kind: Fault) -> None:
    """The invoice's token is in the journal before the charge leaves; nothing is sent again."""
    sim, journal = Simulator(), tmp_path / "pay.db"
    sim.fault("paydunya", CHARGE, kind=kind)
    async with world(sim, journal) as pay:
        made = await pay.run("paydunya", PayDunya.opr_create, amount=500, **WHO)
        extra = {**made, "otp": "1234"}
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
        made = await pay.run("paydunya", PayDunya.opr_create, amount=500, **WHO)
        sim.fault("paydunya", "GET /confirm/", kind=Fault.DROP_AFTER, times=9)
        with pytest.raises(NotSent):
            await pay.collect("paydunya", **SALE, extra={**made, "otp": "1234"})
    assert sent(sim, CHARGE) == 0
