"""A provider's own "duplicate": an earlier request exists; the row is open until it is found."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from paymux import Mismatch, OutcomeUnknown, Payment, Pool, Status
from paymux.core.recovery import Recovered
from paymux.drivers.cinetpay import CinetPay
from paymux.journal.base import State
from paymux.models import Kind, merge
from paymux.simulator import Simulator

from .toys import Desk, Findable, Wire, answer

PAGE: dict[str, Any] = {
    "currency": "XOF",
    "reference": "order-1",
    "description": "bread",
    "return_url": "https://shop.example/back",
}


async def _recovered(pool: Pool) -> list[Recovered]:
    return [one async for one in pool.recover()]


@pytest.mark.parametrize(("second", "ends"), [(1000, True), (1500, False)])
async def test_a_duplicate_at_cinetpay_is_open_until_it_is_found(
    tmp_path: Path, second: int, ends: bool
) -> None:
    """A lost journal, and the order again: it is unknown, and `recover` ends it by `find`.

    An earlier request of another amount does not end it.
    """
    sim = Simulator()
    options: dict[str, Any] = {
        "webhook_base": "https://shop.example/pay",
        "webhook_key": "0123456789abcdef-hooks",
    }
    driver = sim.driver(CinetPay)
    async with Pool(driver, connection=sim.connection, **options) as pool:
        await pool.collect("cinetpay", amount=1000, **PAGE)
    sim.settle("order-1", Status.SUCCEEDED)
    pool = Pool(driver, connection=sim.connection, journal=tmp_path / "pay.db", **options)
    async with pool:
        with pytest.raises(OutcomeUnknown, match="had this reference before"):
            await pool.collect("cinetpay", amount=second, **PAGE)
        (row,) = [one async for one in pool.payments()]
        assert (row.reference, row.status) == ("order-1", Status.PENDING)
        (found,) = await _recovered(pool)
        assert (found.was, found.resolved) == (State.UNKNOWN, ends)
        if not ends:
            assert "amount" in found.advice
            with pytest.raises(Mismatch):
                await pool.verify(found.payment)
    assert len(sim.ledger) == 1


@pytest.mark.parametrize(
    ("payee", "ends"), [("237677777777", True), ("677777777", True), ("237699999999", False)]
)
async def test_a_duplicate_payout_to_another_number_is_not_believed(
    tmp_path: Path, payee: str, ends: bool
) -> None:
    """The earlier payout under our reference counts only if its payee is ours."""

    class Paid(Findable, frozen=True, kw_only=True):
        """A toy that tells the payee."""

        name = "paid"
        finds_by: ClassVar[Any] = {"payout": frozenset({"reference"})}
        told: str = ""

        async def find(self, send: Any, payment: Payment) -> Payment:
            """Tell the payee of the earlier request."""
            return Payment(
                account=self.account,
                kind="payout",
                status=Status.SUCCEEDED,
                provider_reference="p-0",
                payee=self.told,
            )

    wire = Wire(Desk(payout=answer(409, error="duplicate")))
    async with Pool(Paid(told=payee), connection=wire, journal=tmp_path / "pay.db") as pool:
        with pytest.raises(OutcomeUnknown, match="had this reference before"):
            await pool.payout(
                "paid", amount=500, currency="XAF", payee="237677777777", reference="wage-7"
            )
        (found,) = await _recovered(pool)
    assert found.was is State.UNKNOWN
    assert (found.resolved, found.payment.payee) == (ends, "237677777777")
    assert ends or "payee" in found.advice


def test_a_masked_or_named_payee_contradicts_nothing() -> None:
    """The payee stays as it was ordered, with its prefix."""
    kind: Kind | Literal["payout"] = "payout"
    held = Payment(account="a", kind=kind, payee="pochi:254708374149")
    for told in ("2547****149", "JANE DOE", "254708374149", "0708374149"):
        found = Payment(account="a", kind=kind, payee=told)
        assert merge(held, found).payee == "pochi:254708374149"
    with pytest.raises(Mismatch) as caught:
        merge(held, Payment(account="a", kind=kind, payee="254700000000"))
    assert caught.value.fields == ("payee",)
    assert "254700000000" not in str(caught.value)
