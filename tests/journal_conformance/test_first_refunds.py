"""What every journal promises about the first refund of a payment."""

from typing import Any

from paymux.journal import Refunded

from .conftest import Engine

OF = Refunded("wave", True, "cos-1")


async def test_the_first_refund_of_a_payment_stays(worker: Any) -> None:
    """Whichever worker comes with another one later is told the first."""
    one, two = await worker(), await worker()
    assert await one.first_refunds.take(OF, "back-1") == "back-1"
    assert await two.first_refunds.take(OF, "back-2") == "back-1"
    assert await one.first_refunds.take(OF, "back-1") == "back-1"


async def test_another_may_take_its_place_while_it_is_that_one(worker: Any) -> None:
    """Of two that found the same one over, the first is the only one."""
    one, two = await worker(), await worker()
    await one.first_refunds.take(OF, "back-1")
    assert await one.first_refunds.take(OF, "back-2", instead_of="back-1") == "back-2"
    assert await two.first_refunds.take(OF, "back-3", instead_of="back-1") == "back-2"


async def test_each_payment_account_and_mode_has_its_own(engine: Engine, worker: Any) -> None:
    """They are notes, which earlier releases leave alone."""
    one = await worker()
    others = (OF._replace(named="cos-2"), OF._replace(account="w2"), OF._replace(live=False))
    for number, of in enumerate((OF, *others)):
        assert await one.first_refunds.take(of, f"back-{number}") == f"back-{number}"
    found = engine.query("SELECT name, value FROM notes WHERE name LIKE 'refund %' ORDER BY value")
    assert [tuple(row) for row in found] == [
        ("refund live wave cos-1", "back-0"),
        ("refund live wave cos-2", "back-1"),
        ("refund live w2 cos-1", "back-2"),
        ("refund sandbox wave cos-1", "back-3"),
    ]
