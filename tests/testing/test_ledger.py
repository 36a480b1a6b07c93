"""What a test may assert of the money that really moved."""

from decimal import Decimal

import pytest

from paymux import Pool, Status, UsageError
from paymux.simulator import Simulator
from paymux.testing import charged_once


async def _asked(sim: Simulator, reference: str = "order-1", amount: int = 500) -> None:
    async with Pool(sim.driver("campay"), connection=sim.connection) as pay:
        await pay.collect(
            "campay", amount=amount, currency="XAF", payer="237677777774", reference=reference
        )


async def test_one_charge_is_one_charge() -> None:
    """The entry is returned; an attempt that failed is no charge; an amount is compared."""
    sim = Simulator()
    await _asked(sim)
    sim.settle("order-1", Status.FAILED)
    await _asked(sim)
    sim.settle("order-1", Status.SUCCEEDED)
    entry = charged_once(sim, "order-1", 500)
    assert (entry.amount, entry.status) == (Decimal(500), Status.SUCCEEDED)
    assert charged_once(sim.ledger, "order-1", "500.00") is entry
    with pytest.raises(AssertionError, match=r"'order-1' was not charged 400: campay .*, 500 XAF"):
        charged_once(sim, "order-1", 400)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([], "no provider accepted it"),
        ([Status.PENDING], "500 XAF, pending"),
        ([Status.FAILED], "500 XAF, failed"),
        ([Status.SUCCEEDED, Status.SUCCEEDED], "succeeded; campay .*, 500 XAF, succeeded"),
        # The payer was asked a second time, and may still pay.
        ([Status.SUCCEEDED, Status.PENDING], "succeeded; campay .*, 500 XAF, pending"),
    ],
)
async def test_no_charge_two_and_an_open_one_fail(ends: list[Status], said: str) -> None:
    """The entries of the order are listed."""
    sim = Simulator()
    for end in ends:
        await _asked(sim)
        if end is not Status.PENDING:
            sim.settle("order-1", end)
    await _asked(sim, "another")
    with pytest.raises(AssertionError, match=rf"'order-1' was not charged once: .*{said}"):
        charged_once(sim, "order-1")


async def test_an_unknown_reference_is_called_unknown() -> None:
    """A typo is not taken for a charge that is missing: the known ones are listed."""
    sim = Simulator()
    with pytest.raises(AssertionError, match=r"'typo' .* unknown, the ledger has no order$"):
        charged_once(sim, "typo")
    await _asked(sim)
    await _asked(sim, "another")
    known = r"the reference is unknown, the ledger has 'order-1', 'another'$"
    with pytest.raises(AssertionError, match=known):
        charged_once(sim, "typo")
    for number in range(10):
        await _asked(sim, f"more-{number}")
    with pytest.raises(AssertionError, match=r"'more-7' and 2 more$"):
        charged_once(sim, "typo")


def test_what_is_no_simulator_is_refused() -> None:
    """A wrong use is no failed assertion."""
    for given, field in (("sim", "simulator"), (None, "simulator")):
        with pytest.raises(UsageError, match=field):
            charged_once(given, "order-1")  # type: ignore[arg-type]  # this is what is tested
    with pytest.raises(UsageError, match="reference"):
        charged_once(Simulator(), "")
    with pytest.raises(UsageError, match="amount"):
        charged_once(Simulator(), "order-1", 1.5)  # type: ignore[arg-type]  # tested, too
