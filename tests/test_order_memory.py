"""One reference, one charge, also without a journal: a pool remembers its orders."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    DuplicateReference,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    Rejected,
    Status,
    WatchTimeout,
)
from paymux.http import PreparedRequest, Response, TransportError
from paymux.journal.base import State
from paymux.journal.memory import orders as remembering
from paymux.journal.memory.orders import MAX_BYTES, OrderMemory
from paymux.models import Customer, Order

from .toys import (
    BASE,
    KEY,
    Desk,
    Findable,
    Keyless,
    Toy,
    Unsent,
    Wire,
    answer,
    push,
    run,
    timeless,
)

ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "reference": "order-1",
    "payer": "237670000000",
    "metadata": {"chat": "7"},
}


def _wire(**replies: Response | list[Response | Exception]) -> Wire:
    accepted = answer(id="p1", status="WAIT")
    return Wire(Desk(**{"collect": accepted, "payout": accepted, "refund": accepted, **replies}))


def _pool(wire: Wire, driver: Toy | None = None) -> Pool:
    return Pool(driver or Keyless(), connection=wire, webhook_base=BASE, webhook_key=KEY)


@timeless
async def test_three_calls_in_a_row_are_one_charge() -> None:
    """The same order again returns its payment as it is known, and nothing is sent."""
    wire = _wire()
    async with _pool(wire) as pool:
        first, *again = [await pool.collect("keyless", **ORDER) for _ in range(3)]
    assert len(wire.seen) == 1
    for one in again:
        assert one == msgspec.structs.replace(first, raw="")
    assert again[0].metadata == {"chat": "7"}


@pytest.mark.parametrize(
    "lost", [TransportError("reset"), answer(500), Response(status=200, body=b"<p>")]
)
@timeless
async def test_a_doubt_stays_the_same_doubt(lost: Response | Exception) -> None:
    """After OutcomeUnknown the same call raises it again with its payment, and sends nothing."""
    wire = _wire(collect=[lost])
    async with _pool(wire) as pool:
        with pytest.raises(OutcomeUnknown) as first:
            await pool.collect("keyless", **ORDER)
        await asyncio.sleep(3600)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown, match="order-1") as again:
                await pool.collect("keyless", **ORDER)
            assert again.value.payment == first.value.payment
    assert len(wire.seen) == 1


@timeless
async def test_a_callers_own_timeout_leaves_the_same_doubt() -> None:
    """After `asyncio.timeout` during the request the same call is OutcomeUnknown, unsent."""
    wire = _wire()
    wire.after = 5.0
    async with _pool(wire) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await pool.collect("keyless", **ORDER)
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("keyless", **ORDER)
        assert (caught.value.payment.reference, caught.value.payment.status) == (
            "order-1",
            Status.PENDING,
        )
    assert len(wire.seen) == 1


@timeless
async def test_cut_off_before_sending_leaves_the_reference_free() -> None:
    """Cancelled before a byte was sent, the same call sends the order."""
    wire = _wire()
    wire.before = 5.0
    async with _pool(wire) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await pool.collect("keyless", **ORDER)
        assert (await pool.collect("keyless", **ORDER)).provider_reference == "p1"
    assert len(wire.seen) == 1


def test_a_doubt_outlives_its_loop() -> None:
    """Three calls of `asyncio.run` with one pool: no order is sent twice."""
    wire = _wire(collect=[TransportError("reset")])
    pool = _pool(wire)

    async def order() -> None:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **ORDER)

    for _ in range(3):
        run(order())
    assert len(wire.seen) == 1


def test_what_a_stopped_loop_left_on_the_wire_is_a_doubt() -> None:
    """An order sent in a loop that ended without cancellation is not sent by the next one."""
    wire = _wire()
    wire.after = 3600.0
    pool = _pool(wire)
    loop = asyncio.new_event_loop()
    left = loop.create_task(pool.collect("keyless", **ORDER))
    loop.run_until_complete(asyncio.sleep(0.05))
    assert len(wire.seen) == 1

    async def again() -> None:
        with pytest.raises(OutcomeUnknown):
            await pool.collect("keyless", **ORDER)

    run(again())
    left.cancel()
    loop.run_until_complete(asyncio.gather(left, return_exceptions=True))
    loop.close()
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 501},
        {"currency": "KES"},
        {"payer": "237690000000"},
        {"description": "more"},
        {"metadata": {"chat": "8"}},
        {"customer": Customer(name="Ada")},
    ],
)
@pytest.mark.parametrize("lost", [False, True])
@timeless
async def test_another_order_under_the_reference_is_refused(
    change: dict[str, Any], *, lost: bool
) -> None:
    """A reference used for another order is DuplicateReference, whatever its end."""
    wire = _wire(collect=[TransportError("reset") if lost else answer(id="p1", status="OK")])
    async with _pool(wire) as pool:
        try:
            await pool.collect("keyless", **ORDER)
        except OutcomeUnknown:
            assert lost
        with pytest.raises(DuplicateReference, match="order-1") as caught:
            await pool.collect("keyless", **{**ORDER, **change})
        assert (caught.value.account, caught.value.reference) == ("keyless", "order-1")
        assert (caught.value.name, caught.value.value) == ("reference", "order-1")
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    ("refused", "error"),
    [(answer(400, error="no"), Rejected), (answer(401, error="stale"), AuthenticationFailed)],
)
@timeless
async def test_a_refusal_frees_the_reference(refused: Response, error: type[Exception]) -> None:
    """After a certain refusal the same reference may be used, for another order, too."""
    wire = _wire(collect=[refused, answer(id="p2", status="WAIT")])
    async with _pool(wire) as pool:
        with pytest.raises(error):
            await pool.collect("keyless", **ORDER)
        assert (
            await pool.collect("keyless", **{**ORDER, "amount": 750})
        ).provider_reference == "p2"


@timeless
async def test_what_was_not_sent_frees_the_reference() -> None:
    """NotSent may be repeated freely, and is then sent."""
    wire = Unsent()
    async with _pool(wire) as pool:
        for tried in (3, 6):
            with pytest.raises(NotSent):
                await pool.collect("keyless", **ORDER)
            assert wire.tried == tried


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("NO", Status.FAILED),
        ("STOPPED", Status.CANCELLED),
        ("LATE", Status.EXPIRED),
        ("OK", Status.SUCCEEDED),
    ],
)
@pytest.mark.parametrize("how", ["answer", "verify", "watch", "confirm", "verify_many", "by id"])
@timeless
async def test_what_was_found_is_what_the_same_order_gives(
    word: str, status: Status, how: str
) -> None:
    """After any end, found in any way, the payment is returned, and nothing is sent."""
    first = answer(id="p1", status=word if how == "answer" else "WAIT")
    wire = _wire(collect=first, payments=answer(id="p1", status=word))
    async with _pool(wire) as pool:
        payment = await pool.collect("keyless", **ORDER)
        if how == "verify":
            await pool.verify(payment)
        elif how == "by id":
            await pool.verify("keyless", "p1")
        elif how == "watch":
            await pool.watch(payment, timeout=60)
        elif how == "verify_many":
            await pool.verify_many([payment])
        elif how == "confirm":
            await pool.confirm(
                pool.webhook(push(id="p1", status="OK"), account="keyless"), expected=payment
            )
        again = await pool.collect("keyless", **ORDER)
        assert again.status is status
        assert (again.provider_reference, again.created_at) == ("p1", payment.created_at)
        assert again.amount == Decimal(500)
    assert len(wire.paths("/collect")) == 1


@timeless
async def test_a_doubt_that_was_resolved_is_one_no_more() -> None:
    """After `find` found a lost order, the same call returns its payment."""
    wire = _wire(
        collect=[TransportError("reset")], find=answer(id="p1", status="NO", reference="order-1")
    )
    async with _pool(wire, Findable()) as pool:
        with pytest.raises(OutcomeUnknown) as lost:
            await pool.collect("findable", **ORDER)
        assert (await pool.watch(lost.value.payment, timeout=60)).status is Status.FAILED
        again = await pool.collect("findable", **ORDER)
    assert (again.status, again.provider_reference) == (Status.FAILED, "p1")
    assert len(wire.paths("/collect")) == 1


@timeless
async def test_no_later_word_turns_what_is_remembered_back() -> None:
    """A success stays a success after an older, slower look-up."""
    wire = _wire(payments=[answer(id="p1", status="OK"), answer(id="p1", status="NO")])
    async with _pool(wire) as pool:
        payment = await pool.collect("keyless", **ORDER)
        await pool.verify(payment)
        assert (await pool.verify(payment)).status is Status.FAILED
        assert (await pool.collect("keyless", **ORDER)).status is Status.SUCCEEDED


@timeless
async def test_kinds_accounts_and_pools_have_references_of_their_own() -> None:
    """A reference may be shared by a collect, a payout, another account and another pool."""
    wire = _wire()
    payout = {
        "payee" if name == "payer" else name: value
        for name, value in ORDER.items()
        if name != "metadata"
    }
    for _ in range(2):
        async with Pool(Keyless(account="a"), Keyless(account="b"), connection=wire) as pool:
            for _ in range(2):
                await pool.collect("a", **ORDER)
                await pool.collect("b", **ORDER)
                await pool.payout("a", **payout)
    assert len(wire.seen) == 6


@timeless
async def test_a_refund_is_remembered_with_what_it_refunds() -> None:
    """The same refund again returns its payment; another payment's refund is refused."""
    wire = _wire()
    async with _pool(wire) as pool:
        paid = [
            Payment(account="keyless", provider_reference=id, amount=Decimal(500), currency="XAF")
            for id in ("p1", "p2")
        ]
        for _ in range(2):
            await pool.refund(paid[0], amount=500, reference="back")
        with pytest.raises(DuplicateReference):
            await pool.refund(paid[1], amount=500, reference="back")
    assert len(wire.seen) == 1


@timeless
async def test_what_an_earlier_process_sent_is_not_refused() -> None:
    """A payment that was only looked up has an owner for its id, and leaves its reference free."""
    wire = _wire(payments=answer(id="p0", status="WAIT"))
    held = Payment(account="keyless", kind="collect", reference="order-1", provider_reference="p0")
    async with _pool(wire) as pool:
        with pytest.raises(WatchTimeout):
            await pool.watch(held, timeout=5)
        assert pool._engine.store.memory.owner("keyless", "collect", "p0") == ("collect", "order-1")
        assert (await pool.collect("keyless", **ORDER)).provider_reference == "p1"


def _filled(
    count: int, after: Callable[[OrderMemory, Payment], None], **fields: Any
) -> tuple[OrderMemory, float]:
    """Return a memory of `count` orders, and its size in MiB."""
    memory, driver = OrderMemory(), Keyless()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        reference = f"order-{number:030d}"
        order = Order(
            account="keyless",
            kind="collect",
            reference=reference,
            amount=Decimal(500),
            currency="XAF",
        )
        memory.note_sending(driver.pending(order), order)
        paid = msgspec.structs.replace(
            driver.pending(order), provider_reference=f"{number:036d}", raw="x" * 500, **fields
        )
        memory.apply(paid, State.ACCEPTED)
        after(memory, paid)
    gc.collect()
    taken = (tracemalloc.get_traced_memory()[0] - before) / 2**20
    tracemalloc.stop()
    return memory, taken


def _leave(memory: OrderMemory, paid: Payment) -> None:
    """Leave the order open."""


def _end(memory: OrderMemory, paid: Payment) -> None:
    memory.apply(msgspec.structs.replace(paid, status=Status.SUCCEEDED, receipt="ABCDEF1234"))


@pytest.mark.slow
@pytest.mark.parametrize(("after", "part"), [(_leave, 1), (_end, 5)])
def test_a_hundred_thousand_orders_take_sixty_mib(
    after: Callable[[OrderMemory, Payment], None], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest 100,000 orders are remembered within 60 MiB, open or over.

    Metadata and bodies are not.

    Of orders that are over a fifth is tried, in a fifth of the memory.
    """
    monkeypatch.setattr(remembering, "MAX_ORDERS", remembering.MAX_ORDERS // part)
    monkeypatch.setattr(remembering, "MAX_BYTES", MAX_BYTES // part)
    fields = {
        "payer": "237670000000",
        "operator": "MTN",
        "prompt": "*126#",
        "metadata": {"note": "x" * 300},
    }
    memory, taken = _filled(100_100 // part, after, **fields)
    assert len(memory._records) == 100_000 // part
    assert taken < 60 / part
    first = 100 // part
    assert memory.owner("keyless", "collect", f"{first:036d}") == ("collect", f"order-{first:030d}")
    assert memory.owner("keyless", "collect", f"{first - 1:036d}") is None


def test_long_answers_keep_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """With long answers, fewer orders are remembered, in no more memory."""
    monkeypatch.setattr(remembering, "MAX_BYTES", MAX_BYTES // 20)
    memory, taken = _filled(2_000, _leave, checkout_url="https://pay.example/" + "x" * 4_000)
    assert 500 < len(memory._records) < 1_000
    assert taken < 3


@pytest.mark.parametrize("doubtful", [False, True])
@timeless
async def test_what_is_open_or_in_doubt_leaves_last(
    *, doubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terminal orders are forgotten first, then the oldest."""
    monkeypatch.setattr(remembering, "MAX_ORDERS", 3)
    replies: list[Response | Exception] = (
        [TransportError("reset")] if doubtful else [answer(id="p0", status="WAIT")]
    )
    replies += [answer(id=f"p{number}", status="OK") for number in range(1, 6)]
    wire = _wire(collect=replies)

    async def order(pool: Pool, number: int) -> int:
        try:
            await pool.collect("keyless", **{**ORDER, "reference": f"order-{number}"})
        except OutcomeUnknown:
            assert doubtful
        return len(wire.seen)

    async with _pool(wire) as pool:
        for number in range(6):
            await order(pool, number)
        assert await order(pool, 0) == 6, "the open one is the oldest, and still there"
        assert await order(pool, 5) == 6
        assert await order(pool, 4) == 6
        assert await order(pool, 1) == 7, "forgotten, as those are that are over"


@timeless
async def test_of_open_orders_the_oldest_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all are open, the newest are kept."""
    monkeypatch.setattr(remembering, "MAX_ORDERS", 3)
    seen = 0

    def respond(outgoing: PreparedRequest) -> Response:
        nonlocal seen
        seen += 1
        return answer(id=f"p{seen}", status="WAIT")

    async with _pool(Wire(respond)) as pool:
        for number in (0, 1, 2, 3, 3, 2, 1):
            await pool.collect("keyless", **{**ORDER, "reference": f"order-{number}"})
        assert seen == 4
        assert len(pool._engine.store.memory._records) == 3
        await pool.collect("keyless", **{**ORDER, "reference": "order-0"})
        assert seen == 5
