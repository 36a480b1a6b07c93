"""An order's operator, and payers and payees that are no phone numbers."""

from typing import Any, ClassVar

import pytest

from paymux import Payment, Pool, UsageError
from paymux.drivers.base import Option
from paymux.journal.base import order_digest
from paymux.models import Order
from paymux.primitives.redaction import mask

from .toys import Desk, Keyless, Wire, answer, timeless

PAYOUT: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "wage-7"}


class Payees(Keyless, frozen=True, kw_only=True):
    """A toy that pays to each kind of payee."""

    name = "payees"
    takes: ClassVar[frozenset[Option]] = frozenset({"operator", "bill_reference"})
    payees = frozenset({"paybill", "till", "pochi", "bank"})


def _wire() -> Wire:
    return Wire(Desk(payout=answer(id="p1"), collect=answer(id="c1")))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("paybill:572572", "paybill:572572"),
        (" Till : 12345 ", "till:12345"),
        ("pochi:+237 6 77 77 77 77", "pochi:237677777777"),
        ("bank:CM21 10003", "bank:CM21 10003"),
        ("237677777777", "237677777777"),
    ],
)
@timeless
async def test_a_payee_is_kept_with_its_prefix(given: str, kept: str) -> None:
    """The payment has the payee as it was read; a bare number is a phone."""
    async with Pool(Payees(), connection=_wire()) as pool:
        assert (await pool.payout("payees", payee=given, **PAYOUT)).payee == kept


@pytest.mark.parametrize(
    "given",
    ["paybill:1234", "till:12345678", "till:12a45", "pochi:12", "bank:", "sim:1", "till:1:2", ":"],
)
@timeless
async def test_a_wrong_payee_is_refused(given: str) -> None:
    """It is UsageError of `payee`, and nothing is sent."""
    wire = _wire()
    async with Pool(Payees(), connection=wire) as pool:
        with pytest.raises(UsageError) as caught:
            await pool.payout("payees", payee=given, **PAYOUT)
    assert (caught.value.name, wire.seen) == ("payee", [])


@timeless
async def test_a_prefix_that_a_provider_lacks_is_refused() -> None:
    """The error names the forms that it takes; a payer has its own."""
    async with Pool(Keyless(), Payees(), connection=_wire()) as pool:
        with pytest.raises(UsageError, match=r"accepted: a phone number$"):
            await pool.payout("keyless", payee="till:123456", **PAYOUT)
        with pytest.raises(UsageError, match="payer"):
            await pool.collect("payees", payer="till:123456", **PAYOUT)


def test_a_personal_payee_is_masked() -> None:
    """Neither a pochi's number nor a bank account is whole in a log."""
    for payee, hidden in (("pochi:254708374149", "708374149"), ("bank:CM21 10003", "10003")):
        assert hidden not in mask(payee)
        assert hidden not in repr(Payment(account="a", payee=payee))


@timeless
async def test_operator_and_bill_reference_are_options() -> None:
    """Each is in the order where the driver takes it; otherwise, and misspelt, UsageError."""
    wire = _wire()
    async with Pool(Keyless(), Payees(), connection=wire) as pool:
        phone = {"payee": "237677777777", **PAYOUT}
        mistakes: list[tuple[str, Any]] = [("operator", "vodafone"), ("bill_reference", "x" * 21)]
        for option, wrong in mistakes:
            with pytest.raises(UsageError) as caught:
                await pool.payout("payees", **phone, **{option: wrong})
            assert caught.value.name == option
        with pytest.raises(UsageError, match="it takes"):
            await pool.payout("keyless", **phone, operator="mtn")
        with pytest.raises(UsageError, match="orange, mtn, moov"):
            await pool.payout("payees", **phone, operator="")  # type: ignore[arg-type] # a mistake
        assert wire.seen == []
        paid = await pool.payout("payees", **phone, operator="mtn", bill_reference="PRN-1")
    assert (paid.bill_reference, paid.public().bill_reference) == ("PRN-1", None)


def test_an_old_order_keeps_its_digest() -> None:
    """Without the new options an order's digest is that of release 0.1.0; with one, another."""
    given: dict[str, Any] = {"account": "a", "kind": "payout", "party": "237677777777", **PAYOUT}
    plain = order_digest(Order(**given))
    assert plain == order_digest(Order(**given, operator=None, bill_reference=None))
    assert plain != order_digest(Order(**given, operator="mtn"))
    assert plain != order_digest(Order(**given, bill_reference="PRN-1"))
