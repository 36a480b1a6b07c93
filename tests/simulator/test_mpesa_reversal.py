"""Reversals on the simulated Daraja, and the account that they empty."""

from decimal import Decimal
from typing import Any

import pytest

from paymux.models import Status
from paymux.simulator import Simulator

from ..driving import sample
from .asking import until
from .daraja import B2C, REVERSAL, back, call, form, listening, paid, parameters, result, wage


async def reversed_with(sim: Simulator, got: list[Any], body: dict[str, Any]) -> Any:
    """Ask for a reversal, let it be decided, and return its result."""
    before = len(got)
    status, taken = await call(sim, REVERSAL, body)
    assert (status, taken["ResponseCode"]) == (200, "0")
    sim.settle(taken["ConversationID"], Status.SUCCEEDED)
    await until(lambda: len(got) > before)
    said = result(got[-1])
    assert said["OriginatorConversationID"] == taken["OriginatorConversationID"]
    return said


async def test_a_reversal_gives_the_money_back_once() -> None:
    """The money leaves the utility account, the payment is refunded, and a second is R000001."""
    sim = Simulator()
    got = listening(sim)
    entry = await paid(sim)
    await until(lambda: got)
    receipt, accounts = entry.words["receipt"], sim.mpesa.accounts
    assert accounts.utility == 1_000_250
    said = await reversed_with(sim, got, back(receipt))
    assert form(said) == form(sample("mpesa", "reversal_done")["Result"])
    values = parameters(said)
    assert (values["OriginalTransactionID"], values["Amount"]) == (receipt, 250.0)
    assert values["DebitAccountBalance"] == "Utility Account|KES|1000000.00|1000000.00|0.00|0.00"
    assert (entry.status, accounts.utility) == (Status.REFUNDED, 1_000_000)
    again = await reversed_with(sim, got, back(receipt))
    assert (again["ResultCode"], accounts.utility) == ("R000001", 1_000_000)
    for name in (receipt, "order-1", said["TransactionID"], said["OriginatorConversationID"]):
        assert sim.ledger.refunded(name) == 250
    assert sim.ledger.charged("order-1") == 250
    assert len(got) == 3  # the push's own callback is not sent again


async def test_two_reversals_at_once_are_one() -> None:
    """What M-Pesa lets happen is decided when it is processed, not when it is accepted."""
    sim = Simulator()
    got = listening(sim)
    entry = await paid(sim)
    await until(lambda: got)
    taken = [await call(sim, REVERSAL, back(entry.words["receipt"])) for _ in range(2)]
    for _, one in taken:
        sim.settle(one["ConversationID"], Status.SUCCEEDED)
    await until(lambda: len(got) == 3)
    assert sorted(str(result(one)["ResultCode"]) for one in got[1:]) == ["0", "R000001"]
    assert sim.ledger.refunded("order-1") == 250


@pytest.mark.parametrize("case", ["unknown", "payout", "other shortcode", "unpaid"])
async def test_a_receipt_that_is_no_customers_payment_is_refused(case: str) -> None:
    """R000002: unknown, of a payout, at another shortcode, or of an order that was not paid."""
    sim = Simulator()
    got = listening(sim)
    entry = await paid(sim)
    await call(sim, B2C, wage(Amount="250", PartyA="174379"))
    [payout] = sim.settle("wage-1", Status.SUCCEEDED)
    await until(lambda: len(got) == 2)
    body = back(entry.words["receipt"])
    if case == "unknown":
        body = back("SNOBODY000")
    elif case == "payout":
        body = back(payout.words["receipt"])
    elif case == "other shortcode":
        body = back(entry.words["receipt"], ReceiverParty="600000")
    else:
        sim.settle("order-1", Status.REFUNDED)
        await until(lambda: len(got) == 3)
    said = await reversed_with(sim, got, body)
    assert said["ResultCode"] == ("R000001" if case == "unpaid" else "R000002")
    assert form(said) == form(sample("mpesa", "reversal_invalid")["Result"])
    assert sim.ledger.refunded() == 0


async def test_a_part_and_a_missing_shilling_are_refused() -> None:
    """Another amount has a code that a test may choose; without money it is 1."""
    sim = Simulator()
    got = listening(sim)
    entry = await paid(sim)
    await until(lambda: got)
    receipt = entry.words["receipt"]
    assert (await reversed_with(sim, got, back(receipt, Amount="249")))["ResultCode"] == 25
    sim.mpesa.accounts.utility = Decimal(249)
    assert (await reversed_with(sim, got, back(receipt)))["ResultCode"] == 1
    assert sim.ledger.refunded() == 0
    assert sim.mpesa.accounts.utility == 249
    sim.mpesa.accounts.utility = Decimal(250)
    assert (await reversed_with(sim, got, back(receipt, Amount="250.00")))["ResultCode"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("TransactionID", ""),
        ("Amount", "x"),
        ("CommandID", "Reversal"),
        ("ReceiverParty", "1"),
        ("RecieverIdentifierType", None),
        ("Remarks", "x"),
        ("ResultURL", None),
    ],
)
async def test_a_bad_reversal_is_refused_by_its_field(field: str, value: Any) -> None:
    """The misspelt name is wanted: the right spelling was refused in a live answer."""
    sim = Simulator()
    body = back("SKC82PACB8", ReceiverIdentifierType="11", **{field: value})
    status, refused = await call(sim, REVERSAL, body)
    assert (status, refused["errorMessage"]) == (400, f"Bad Request - Invalid {field}")
    assert len(sim.ledger) == 0


async def test_payouts_never_empty_the_account_below_zero() -> None:
    """Of two payouts that were accepted together, the second lacks the money."""
    sim = Simulator()
    got = listening(sim)
    sim.mpesa.accounts.utility = Decimal(150)
    for reference in ("wage-1", "wage-2"):
        await call(sim, B2C, wage(reference))
    for reference in ("wage-1", "wage-2"):
        sim.settle(reference, Status.SUCCEEDED)
    await until(lambda: len(got) == 2)
    assert sorted(result(one)["ResultCode"] for one in got) == [0, 1]
    assert sim.ledger.paid_out() == 100
    assert sim.mpesa.accounts.utility == 50
