"""What every journal promises about an order that succeeds by money which was told before."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from paymux.journal import Ended
from paymux.journal.base import FollowUp
from paymux.models import ADOPTED
from paymux.primitives.clock import wall_time

from .orders import order, paid, sent
from .test_outbox import entered, untold
from .test_shared import by_itself, entries


async def adopted(journal: Any, *, matched: bool) -> None:
    """Adopt and tell the payment with the receipt R1, matched to the open order or not."""
    await journal.adoptions.begin(["toy"])
    await journal.unconfirmed.keep(by_itself())
    (entry,) = await entries(journal)
    payment = paid(f"{ADOPTED}R1", receipt="R1")
    given = (payment, lambda _: True, lambda _: matched)
    assert await journal.adoptions.adopt(entry, entry.event, *given)
    assert await untold(journal) == [f"{ADOPTED}R1"]
    await journal.outbox.mark_notified(payment)


async def ends(journal: Any, **more: Any) -> Ended | None:
    """Record a success of the order; return what is known of its delivery."""
    found: list[Ended | None] = []
    fact = replace(paid(), **more)
    await journal.record(fact, "webhook", None, FollowUp(True, None, found.append))
    return found[0]


async def test_a_success_with_an_adopted_receipt_counts_as_told(worker: Any, caplog: Any) -> None:
    """It is neither claimed for the notifier that asks, nor found by a scan; it is logged."""
    one = await worker()
    await entered(one)
    await sent(one, order())
    await adopted(one, matched=False)
    assert await ends(one, receipt="R1") == Ended(told=True)
    assert await untold(one) == []
    assert f"told as {ADOPTED}R1" in caplog.text


async def test_a_success_with_another_receipt_is_told(worker: Any) -> None:
    """An adopted payment that is not the same money hides nothing."""
    one = await worker()
    await entered(one)
    await sent(one, order())
    await adopted(one, matched=False)
    end = await ends(one, receipt="R2")
    assert end is not None
    assert end.claimed is not None
    assert not end.told


async def test_a_success_of_a_matched_order_counts_as_told_until_it_has_a_receipt(
    worker: Any,
) -> None:
    """Another receipt shows that there were two payments; then the order is told, once."""
    one = await worker()
    await entered(one)
    await sent(one, order(created_at=wall_time() - timedelta(seconds=1)))
    await adopted(one, matched=True)
    assert await ends(one) == Ended(told=True)
    assert await untold(one) == []
    end = await ends(one, receipt="R2")
    assert end is not None
    assert end.claimed is not None
    assert not end.told
    await one.outbox.mark_notified(replace(paid(), receipt="R2"))
    assert await ends(one, receipt="R2", fee=1) == Ended(told=True)
    assert await untold(one) == []
