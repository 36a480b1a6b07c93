"""What every journal promises about the outbox: each end is one notifier's, and each open order."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import Status
from paymux.journal import Ended, State
from paymux.journal.base import FollowUp
from paymux.journal.outbox import NotifierInfo
from paymux.primitives.clock import wall_time

from .orders import message, order, paid, sent

NOBODY: Mapping[Any, Any] = {}


async def entered(journal: Any, now: float = 0.0) -> Any:
    """Enter the notifier of a worker."""
    member = NotifierInfo(("toy",), ("collect", "payout"))
    return await journal.outbox.enter(member, now)


async def untold(journal: Any, count: int = 10, resting: Any = NOBODY) -> list[str]:
    """Claim what is to be told."""
    found = await journal.outbox.claim_unnotified(("collect", "payout"), count, resting)
    return sorted(payment.reference for payment in found)


async def ended(journal: Any, *references: str) -> None:
    """Record orders that have succeeded."""
    for reference in references:
        await sent(journal, order(reference))
        await journal.record(paid(reference), "verify")


async def test_an_end_is_claimed_once(worker: Any) -> None:
    """Of two notifiers one has it; another may after it was released, and none once it is told."""
    one, two = await worker(), await worker()
    await entered(one)
    await entered(two)
    await ended(one, "order-1", "order-2", "order-3")
    assert await untold(one, 2) == ["order-1", "order-2"]
    assert await untold(two) == ["order-3"]
    assert await untold(one) == await untold(two) == []
    await one.outbox.release(paid("order-1"))
    await one.outbox.mark_notified(paid("order-2"))
    assert await untold(two) == ["order-1"]
    told = await two.outbox.notified_status(paid("order-2"))
    assert (told.status, told.told) == (Status.SUCCEEDED, Status.SUCCEEDED)
    assert await two.outbox.notified_status(paid("order-9")) is None


async def test_a_claim_ends_with_its_notifier(worker: Any) -> None:
    """It left, or its worker has ended: another tells."""
    one, two, three = [await worker() for _ in range(3)]
    for journal in (one, two, three):
        await entered(journal)
    await ended(one, "order-1", "order-2")
    assert await untold(one, 1) == ["order-1"]
    assert await untold(two, 1) == ["order-2"]
    await one.outbox.leave(1.0)
    assert await untold(three) == ["order-1"]
    await two.aclose()
    assert await untold(three) == ["order-2"]


async def test_an_end_that_rests_is_left_out(worker: Any) -> None:
    """In the status in which its delivery failed."""
    one = await worker()
    await entered(one)
    await ended(one, "order-1", "order-2")
    key = ("toy", "collect", "order-1")
    assert await untold(one, resting={key: Status.SUCCEEDED}) == ["order-2"]
    assert await untold(one, resting={key: Status.FAILED}) == ["order-1"]


async def test_another_end_is_told_again(worker: Any) -> None:
    """What succeeded after it had failed, was told as failed."""
    one = await worker()
    await entered(one)
    await sent(one, order())
    await one.record(replace(paid(), status=Status.FAILED), "verify")
    assert await untold(one) == ["order-1"]
    await one.outbox.mark_notified(replace(paid(), status=Status.FAILED))
    assert await untold(one) == []
    await one.record(paid(), "verify")
    assert await untold(one) == ["order-1"]


async def test_a_fact_is_claimed_with_its_end(worker: Any) -> None:
    """For the notifier that asks; another's claim stands, and what was told is said."""
    one, two = await worker(), await worker()
    await entered(one)
    await sent(one, order())
    await one.keep_event(message(), open=True)
    found: list[Ended | None] = []
    await one.record(paid(), "verify", follow=FollowUp(True, message(), found.append))
    assert found[0] is not None
    assert found[0].claimed is not None
    await two.record(replace(paid(), receipt="R1"), "verify", None,
                     FollowUp(False, None, found.append))  # fmt: skip
    assert found[1] == Ended()
    await one.outbox.mark_notified(paid(), [message()])
    await one.record(replace(paid(), fee=1), "verify", None, FollowUp(True, None, found.append))
    assert found[2] == Ended(told=True)
    await one.aclose()
    assert await two.claim_events(5) == []


async def test_one_payment_is_told_without_a_notifier(worker: Any) -> None:
    """By one worker; no notifier tells it too while that one lives."""
    one, two = await worker(), await worker()
    await entered(two)
    await ended(one, "order-1")
    assert await one.outbox.claim(paid()) is not None
    assert await one.outbox.claim(paid()) is None
    assert await untold(two) == []
    await one.aclose()
    assert await untold(two) == ["order-1"]


async def watched(journal: Any, count: int = 10, account: str = "toy") -> list[str]:
    """Claim what is to be watched."""
    found = await journal.outbox.claim_open_orders([account], count)
    return sorted(one.row.payment.reference for one in found)


async def test_an_open_order_is_watched_by_one_notifier(worker: Any) -> None:
    """Claimed by the worker that sent it, or that asks; another has it once it is let go."""
    one, two = await worker(), await worker()
    await entered(one)
    await entered(two)
    for number in range(3):
        await sent(one, order(f"order-{number}"))
    assert await one.outbox.claim_sent([order("order-0")]) == [order("order-0")]
    assert await two.outbox.claim_sent([order("order-0")]) == []
    assert await watched(two) == ["order-1", "order-2"]
    assert await watched(one) == []
    assert await one.outbox.owned(["toy"]) == {("toy", "collect", "order-0")}
    await two.outbox.let_go([order("order-1")])
    assert await watched(one) == ["order-1"]
    await two.outbox.leave(1.0)
    assert await watched(one) == ["order-2"]


async def test_a_dead_senders_order_is_settled_before_it_is_watched(worker: Any) -> None:
    """What was never sent is not watched; what may have been is, in doubt."""
    dead, one = await worker(), await worker()
    await dead.intend(order("order-1"), "digest")
    await sent(dead, order("order-2"), None)
    await entered(one)
    assert await watched(one) == []  # its sender lives
    await dead.aclose()
    (found,) = await one.outbox.claim_open_orders(["toy"], 10)
    assert (found.row.state, found.row.payment.reference) == (State.UNKNOWN, "order-2")
    row = await one.find("toy", "collect", reference="order-1")
    assert row.state is State.NOT_SENT


async def test_an_order_is_left_to_a_person_once(worker: Any) -> None:
    """And is still found, as one that was left."""
    one, two = await worker(), await worker()
    await entered(one)
    await entered(two)
    await sent(one, order())
    assert await one.outbox.leave_to_person(order())
    assert not await two.outbox.leave_to_person(order())
    (found,) = await two.outbox.claim_open_orders(["toy"], 10)
    assert found.left
    await one.record(paid(), "verify")
    assert not await one.outbox.leave_to_person(order())


async def test_a_beat_says_whether_it_was_late(worker: Any) -> None:
    """A notifier that has not beaten for a while may have lost its orders."""
    one = await worker()
    assert (await entered(one, 100.0)).late
    member = NotifierInfo(("toy",), ("collect",))
    assert not (await one.outbox.heartbeat(member, 110.0)).late
    assert (await one.outbox.heartbeat(member, 400.0)).late


async def test_the_first_notifier_tells_young_ends_only(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended more than three days before there was one counts as told."""
    one = await worker()
    before = wall_time() - timedelta(days=4)
    monkeypatch.setattr("paymux.journal.tables.payment_table.wall_time", lambda: before)
    await ended(one, "order-1")
    monkeypatch.undo()
    await ended(one, "order-2")
    await entered(one)
    assert await untold(one) == ["order-2"]
