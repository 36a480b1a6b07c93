"""`find` asks by our reference or by a receipt, each only where the provider can be asked so."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest

from paymux import Mismatch, Payment, Pool, Status, Unsupported, UsageError
from paymux.drivers import table
from paymux.drivers.cinetpay import CinetPay
from paymux.http import Send, get
from paymux.models import Kind

from .toys import Desk, Keyless, Said, Toy, Wire, answer, timeless


class Receipts(Keyless, frozen=True, kw_only=True):
    """A toy that is asked for payouts by our reference, and for anything by a receipt."""

    name = "receipts"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"receipt"}),
        "payout": frozenset({"reference", "receipt"}),
    }

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask by our reference, else by the receipt."""
        name = payment.reference or payment.receipt or ""
        return self.payment(await send(get("/find/{id}", Said, at={"id": name})), payment.kind)


def _wire(**said: Any) -> Wire:
    return Wire(Desk(find=answer(id="p1", status="OK", **said)))


@timeless
async def test_a_receipts_kind_comes_from_the_answer() -> None:
    """A payout is found by its receipt, although `kind` is not given; letter case is the same."""
    async with Pool(Receipts(), connection=_wire(kind="payout", receipt="QKJ1")) as pool:
        found = await pool.find("receipts", receipt="qkj1")
    assert (found.kind, found.receipt, found.status) == ("payout", "QKJ1", Status.SUCCEEDED)


@timeless
async def test_another_receipt_is_a_mismatch() -> None:
    """A provider that answers about another receipt is not believed."""
    async with Pool(Receipts(), connection=_wire(receipt="QKJ2")) as pool:
        with pytest.raises(Mismatch) as caught:
            await pool.find("receipts", receipt="QKJ1")
    assert caught.value.fields == ("receipt",)


@pytest.mark.parametrize("named", [{}, {"reference": "order-1", "receipt": "QKJ1"}])
async def test_exactly_one_name_is_given(named: dict[str, str]) -> None:
    """None and both are UsageError, and nothing is sent."""
    wire = _wire()
    async with Pool(Receipts(), connection=wire) as pool:
        with pytest.raises(UsageError, match="exactly one"):
            await pool.find("receipts", **named)  # type: ignore[arg-type] # that is the test
    assert wire.seen == []


@pytest.mark.parametrize("receipt", ["", " ", "x" * 65, "a\nb", 5])
async def test_a_receipt_is_a_short_line(receipt: Any) -> None:
    """Anything else is UsageError, which names it."""
    async with Pool(Receipts(), connection=_wire()) as pool:
        with pytest.raises(UsageError) as caught:
            await pool.find("receipts", receipt=receipt)
    assert caught.value.name == "receipt"


async def test_unsupported_names_what_can_be_asked() -> None:
    """A collect by reference is Unsupported where only its receipt works, and says what works."""
    wire = _wire()
    async with Pool(Receipts(), Toy(), connection=wire) as pool:
        with pytest.raises(Unsupported, match="a collect by receipt, for a payout by receipt or"):
            await pool.find("receipts", reference="order-1")
        with pytest.raises(Unsupported, match="verify asks by the provider's reference"):
            await pool.find("toy", reference="order-1")
        with pytest.raises(Unsupported):
            await pool.find("receipts", reference="order-1", kind="refund")
    assert wire.seen == []


async def test_a_lost_push_is_not_findable_because_receipts_are() -> None:
    """A collect without the provider's reference cannot be asked for; a payout can."""
    wire = _wire(kind="payout", reference="wage-7")
    async with Pool(Receipts(), connection=wire) as pool:
        engine = pool.internals.engine
        lost = Payment(account="receipts", kind="collect", reference="order-1", receipt="QKJ1")
        assert engine.lookup_verb(lost) is None
        with pytest.raises(UsageError, match="cannot be asked by your reference"):
            await pool.verify(lost)
        assert wire.seen == []
        paid = Payment(account="receipts", kind="payout", reference="wage-7")
        assert engine.lookup_verb(paid) == "find"
        assert (await pool.verify(paid)).status is Status.SUCCEEDED


def test_the_table_tells_references_from_receipts() -> None:
    """✓: each kind by our reference; otherwise the kinds, and the receipt."""
    assert CinetPay.finds_by == {"collect": frozenset({"reference"})}
    assert "| cinetpay | ✓ | - | - | ✓ | ✓ |" in table(["cinetpay"])


def test_a_find_that_does_not_say_by_what_is_refused() -> None:
    """A driver with `find` and without `finds_by` is UsageError: its lost orders would be lost."""

    class Silent(Receipts, frozen=True, kw_only=True):
        """A toy of an earlier release."""

        name = "silent"
        finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {}

    with pytest.raises(UsageError, match="finds_by"):
        Pool(Silent())


def test_the_table_says_by_what_each_provider_can_be_asked() -> None:
    """The printed table has a column for receipts; `find` names the kinds, if not every kind."""
    head, _, *rows = table(["cinetpay", "mpesa", "campay"]).splitlines()
    columns = [cell.strip() for cell in head.split("|")]
    at = [columns.index(name) for name in ("find", "find (receipt)")]
    cells = [[row.split("|")[column].strip() for column in at] for row in rows]
    assert cells == [["✓", "-"], ["payout", "✓"], ["-", "-"]]
