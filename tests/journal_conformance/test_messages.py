"""What every journal promises about messages: kept once, processed by one worker, found again."""

from typing import Any

import pytest

from paymux import Mismatch, Payment, Status
from paymux.journal import State

from .conftest import Engine
from .orders import message, order, sent


async def test_a_message_is_kept_once(worker: Any, engine: Engine) -> None:
    """The same message again is the same row; the worker that heard it last processes it."""
    one, two = await worker(), await worker()
    await sent(one, order())
    assert await one.keep_event(message(), open=True)
    assert await two.keep_event(message(), open=True)
    assert engine.query("SELECT count(*) FROM hints") == [(1,)]
    await one.aclose()
    three = await worker()
    assert await three.claim_events(10) == []
    await two.aclose()
    assert await three.claim_events(10) == [message()]


async def test_few_messages_of_an_order_are_kept(worker: Any) -> None:
    """Three that prove nothing and four that are signed, in either order."""
    one = await worker()
    await sent(one, order())
    kept = [await one.keep_event(message(number)) for number in range(5)]
    assert kept == [True, True, True, False, False]
    signed = [await one.keep_event(message(number, signed=True)) for number in range(10, 16)]
    assert signed == [True] * 4 + [False] * 2
    assert await one.keep_event(message(0))  # it is kept already
    assert await one.keep_event(message(7, of="order-2"))


async def test_an_open_message_ends_or_is_anyone_s(worker: Any) -> None:
    """Processed: no worker claims it. Given back: another worker does, and not twice."""
    one, two, three = [await worker() for _ in range(3)]
    await sent(one, order())
    for number in (1, 2):
        await one.keep_event(message(number), open=True)
    assert await two.claim_events(10) == []
    await one.end_event(message(1), done=True)
    await one.end_event(message(2), done=False)
    assert await two.claim_events(10) == [message(2)]
    assert await three.claim_events(10) == []
    await three.end_event(message(2), done=True)  # it is not this worker's
    await two.aclose()
    assert await three.claim_events(10) == [message(2)]


async def test_messages_are_claimed_oldest_first_and_so_many(worker: Any) -> None:
    """`count` at most; the rest stays."""
    one, two = await worker(), await worker()
    for number in range(5):
        await one.keep_event(message(number, of=f"order-{number}"), open=True)
    await one.aclose()
    assert await two.claim_events(2) == [message(n, of=f"order-{n}") for n in (0, 1)]
    assert len(await two.claim_events(10)) == 3


async def test_a_finished_message_about_nothing_is_forgotten(worker: Any, engine: Engine) -> None:
    """One about an order of the journal stays, for a later recovery."""
    one = await worker()
    await sent(one, order())
    for of in ("order-1", "order-2"):
        await one.keep_event(message(of=of), open=True)
        await one.end_event(message(of=of), done=True)
    assert engine.query("SELECT reference FROM hints") == [("order-1",)]


async def test_the_messages_of_a_payment_are_found(worker: Any) -> None:
    """By our reference and its kind, or by the provider's; not those of another order's path."""
    one = await worker()
    known = order(provider_reference="id-1")
    await sent(one, known)
    about = [message(1), message(2, of=None, provider_reference="id-1"),
             message(3, path="order-1", of=None)]  # fmt: skip
    other = [message(4, of="order-2"), message(5, kind="payout"),
             message(6, path="order-2", of=None, provider_reference="id-1")]  # fmt: skip
    for event in (*about, *other):
        assert await one.keep_event(event)
    assert set(await one.events_of(known)) == set(about)


async def test_a_message_is_about_the_order_of_its_path_first(worker: Any) -> None:
    """Then by the provider's reference, then by ours, and by other ids of a young order."""
    one = await worker()
    await sent(one, order("order-1", provider_reference="id-1"))
    await sent(one, order("order-2", provider_reference="id-2", ids={"conversation": "c-2"}))
    for event, reference in (
        (message(of="order-2", path="order-1", provider_reference="id-2"), "order-1"),
        (message(of="order-1", provider_reference="id-2"), "order-2"),
        (message(of="order-2", provider_reference="unknown"), "order-2"),
        (message(of=None, ids={"conversation": "c-2"}), "order-2"),
        (message(of="order-3"), None),
    ):
        row = await one.about(event)
        assert (row and row.payment.reference) == reference


async def test_an_arrival_is_checked_before_it_is_kept(worker: Any, engine: Engine) -> None:
    """The check gets the payment and the owner of the claimed id; if it raises, nothing is kept."""
    one, two = await worker(), await worker()
    await sent(one, order(), None)
    await sent(one, order("order-2", provider_reference="id-2"))
    seen: list[Any] = []

    def check(known: Payment | None, owner: Any) -> None:
        seen.append((known and known.reference, owner))
        if owner is not None and known is not None and owner[1] != known.reference:
            raise Mismatch("the id is another order's")

    event = message(path="order-1", of=None, provider_reference="id-2")
    with pytest.raises(Mismatch):
        await two.arrive(event, None, check, open=True)
    assert engine.query("SELECT count(*) FROM hints") == [(0,)]
    event = message(path="order-1", of=None, provider_reference="id-1")
    arrival = await two.arrive(event, None, check, open=True)
    assert (arrival.kept, arrival.lost) == (True, True)  # its answer is not known
    assert arrival.known is not None
    assert arrival.known.reference == "order-1"
    nothing = await two.arrive(message(of="order-9"), None, check, open=True)
    assert (nothing.known, nothing.kept) == (None, None)
    assert seen == [
        ("order-1", ("collect", "order-2")), ("order-1", None), (None, None)
    ]  # fmt: skip


async def test_a_damaged_message_stops_nothing(worker: Any, engine: Engine) -> None:
    """Text of any length, with any character, comes back as it was said."""
    one, two = await worker(), await worker()
    texts = ["'; DROP TABLE hints; --", "é漢🙂", "\\", "a" * 250]
    for number, text in enumerate(texts):
        assert await one.keep_event(message(number, of=text, provider_status=text), open=True)
    assert await one.keep_event(message(9, of="nul\0", provider_status="\0"), open=True)
    full = dict.fromkeys(("payer", "payee", "provider_status", "provider_reference"), "x" * 256)
    long = message(10, **full, ids={f"id-{n}": "y" * 240 for n in range(8)})
    assert await one.keep_event(long, open=True)
    assert await one.keep_event(long, open=True)
    assert engine.query("SELECT count(*) FROM hints") == [(6,)]
    await one.aclose()
    claimed = await two.claim_events(10)
    assert [event.claims.reference for event in claimed[:4]] == texts
    assert claimed[5] == long


async def test_a_fact_ends_an_open_message_that_was_told(worker: Any) -> None:
    """An order whose end no notifier tells keeps its message open."""
    one, two = await worker(), await worker()
    await sent(one, order(), State.UNKNOWN)
    await one.keep_event(message(), open=True)
    row = await two.find("toy", "collect", reference="order-1")
    assert row.payment.status is Status.PENDING
    await one.aclose()
    assert await two.claim_events(10) == [message()]
