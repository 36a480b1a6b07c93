"""What every journal promises about orders: one charge, no step back, one worker for a row."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import DuplicateReference, Status, UsageError
from paymux.journal import Resolution, Row, State
from paymux.primitives.clock import wall_time

from .conftest import Engine
from .orders import order, paid, sent

COLUMNS = "source, state, status"


def facts(engine: Engine, reference: str = "order-1") -> list[tuple[Any, ...]]:
    """Read the facts of an order."""
    return engine.query(
        f"SELECT {COLUMNS} FROM facts WHERE reference = '{reference}' ORDER BY id"  # noqa: S608
    )


async def found(journal: Any, reference: str = "order-1") -> Row:
    """Return the row of an order."""
    row = await journal.find("toy", "collect", reference=reference)
    assert isinstance(row, Row)
    return row


async def test_an_order_is_recorded_once(worker: Any) -> None:
    """The first caller goes on; the same order finds the row, whose sender lives."""
    one, two = await worker(), await worker()
    assert await one.intend(order(), "digest") is None
    for journal in (one, two):
        row = await journal.intend(order(), "digest")
        assert (row.state, row.in_flight) == (State.INTENT, True)
    assert (await found(two)).payment == order()


async def test_another_order_under_a_reference_is_refused(worker: Any) -> None:
    """A reference belongs to one order, of one kind and account."""
    one, two = await worker(), await worker()
    await sent(one, order())
    with pytest.raises(DuplicateReference):
        await two.intend(order(amount=Decimal(600)), "another")
    assert await two.intend(order(kind="payout"), "another") is None
    assert await two.intend(order(account="other"), "another") is None


async def test_of_many_at_once_one_goes_on(worker: Any) -> None:
    """A hundred callers of two workers with one order: one sends it."""
    one, two = await worker(), await worker()
    calls = [journal.intend(order(), "digest") for journal in (one, two) * 50]
    rows = await asyncio.gather(*calls)
    assert rows.count(None) == 1


async def test_only_the_worker_that_recorded_an_order_sends_it(worker: Any) -> None:
    """Another worker cannot mark it, and takes it over once its worker is dead."""
    one, two, three = await worker(), await worker(), await worker()
    assert await one.intend(order(), "digest") is None
    with pytest.raises(OSError, match="another worker"):
        await two.mark_sending(order())
    await one.aclose()
    assert await two.intend(order(), "digest") is None
    await two.mark_sending(order())
    with pytest.raises(OSError, match="another worker"):
        await three.mark_sending(order())
    assert (await found(three)).state is State.SENDING


async def test_what_was_sent_by_a_dead_worker_is_not_sent_again(worker: Any) -> None:
    """Its row is in doubt, and no longer in flight."""
    one, two = await worker(), await worker()
    await sent(one, order(), None)
    assert (await two.intend(order(), "digest")).in_flight
    await one.aclose()
    row = await two.intend(order(), "digest")
    assert (row.state, row.in_flight) == (State.SENDING, False)


@pytest.mark.parametrize("state", [State.REFUSED, State.NOT_SENT])
async def test_a_reference_without_money_is_free(worker: Any, state: State) -> None:
    """An order that was refused or not sent may give way to another."""
    one, two = await worker(), await worker()
    await sent(one, order(), state)
    assert await two.intend(order(amount=Decimal(600)), "another") is None
    await two.mark_sending(order(amount=Decimal(600)))
    assert (await found(one)).payment.amount == 600


async def test_facts_are_appended(worker: Any, engine: Engine) -> None:
    """Each fact has its source, state and status; a look-up without news is none."""
    one = await worker()
    await sent(one, order())
    await one.record(replace(order(), provider_reference="id-1"), "verify")
    await one.record(replace(order(), provider_reference="id-1"), "verify")
    await one.record(paid(provider_reference="id-1"), "verify")
    assert facts(engine) == [
        ("intent", "intent", "pending"), ("sending", "sending", "pending"),
        ("answer", "accepted", "pending"), ("verify", "accepted", "pending"),
        ("verify", "accepted", "succeeded"),
    ]  # fmt: skip


async def test_nothing_turns_a_row_back(worker: Any) -> None:
    """A late answer, a pending look-up and another payment change no end."""
    one = await worker()
    await sent(one, order(), None)
    await one.record(paid(), "verify")
    for payment, source, state in (
        (order(), "answer", State.ACCEPTED), (order(), "answer", State.NOT_SENT),
        (order(), "verify", None), (paid(amount=Decimal(1)), "verify", None),
        (paid(provider_reference="another"), "verify", None),
    ):  # fmt: skip
        await one.record(payment, source, state)
        row = await found(one)
        assert (row.state, row.payment.status) == (State.ACCEPTED, Status.SUCCEEDED)
        assert (row.payment.amount, row.payment.provider_reference) == (Decimal(500), "id-order-1")


async def test_only_its_own_worker_frees_a_reference(worker: Any) -> None:
    """What another worker says was not sent may be under way."""
    one, two = await worker(), await worker()
    await sent(one, order(), None)
    await two.record(order(), "answer", State.NOT_SENT)
    assert (await found(two)).state is State.SENDING


async def test_an_order_is_found_by_the_providers_reference(worker: Any) -> None:
    """Under every kind, the asked kind first."""
    one, two = await worker(), await worker()
    for kind in ("collect", "payout"):
        of = order(kind=kind, provider_reference="id-1", reference=f"{kind}-1")
        await sent(one, of)
    for kind in ("collect", "payout"):
        row = await two.find("toy", kind, provider_reference="id-1")
        assert row.payment.reference == f"{kind}-1"
    row = await two.find("toy", "refund", provider_reference="id-1")
    assert row is not None
    assert await two.find("toy", "collect", provider_reference="id-2") is None
    assert await two.find("other", "collect", provider_reference="id-1") is None


async def test_a_cancelled_caller_leaves_no_order(worker: Any) -> None:
    """A caller that gets no answer sends nothing: its order is withdrawn."""
    one, two = await worker(), await worker()
    call = asyncio.ensure_future(one.intend(order(), "digest"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await one.claim_events(1)  # after what was queued before
    row = await two.find("toy", "collect", reference="order-1")
    assert row is None or row.state is State.NOT_SENT
    assert await two.intend(order(), "digest") is None


async def test_rows_are_claimed_once_in_the_order_of_their_key(worker: Any) -> None:
    """Two workers meet each row of a dead worker once, and none of a living one."""
    dead, alive, one, two = [await worker() for _ in range(4)]
    for number in range(6):
        await sent(dead, order(f"order-{number}"), None)
    await sent(alive, order("order-9"), None)
    await dead.aclose()
    met: list[str | None] = []
    rows: dict[Any, Row | None] = {one: None, two: None}
    while rows:
        for journal, after in tuple(rows.items()):
            row = await journal.claim(after)
            if row is None:
                del rows[journal]
            else:
                rows[journal] = row
                met.append(row.payment.reference)
                assert row.fence == 1
    assert met == [f"order-{number}" for number in range(6)]


async def test_a_claim_ends_with_its_release_or_its_worker(worker: Any) -> None:
    """Each later claim has a higher fence, and a late release changes nothing."""
    dead, one, two, three = [await worker() for _ in range(4)]
    await sent(dead, order(), None)
    await dead.aclose()
    first = await one.claim(None)
    assert await two.claim(None) is None
    await one.release(first)
    second = await two.claim(None)
    assert (first.fence, second.fence) == (1, 2)
    await one.release(first)
    assert await three.claim(None) is None
    await two.aclose()
    assert (await three.claim(None)).fence == 3


async def test_payments_are_listed_oldest_first(worker: Any) -> None:
    """Page by page, by account, status and time, without an order that was never sent."""
    one = await worker()
    for number in range(5):
        await sent(one, order(f"order-{number}", account=("toy", "other")[number % 2]))
    await one.record(paid("order-0"), "verify")
    await sent(one, order("order-5"), State.NOT_SENT)

    async def listed(**given: Any) -> list[str | None]:
        return [payment.reference async for payment in one.payments(**given)]

    assert await listed() == [f"order-{number}" for number in range(5)]
    assert await listed(account="other") == ["order-1", "order-3"]
    assert await listed(status=Status.PENDING, account="toy") == ["order-2", "order-4"]
    assert await listed(status=Status.SUCCEEDED) == ["order-0"]
    assert await listed(since=wall_time() + timedelta(hours=1)) == []


def word(**more: Any) -> Resolution:
    """Return a person's decision about the order."""
    given: dict[str, Any] = {
        "payment": paid(), "because": "seen in the bank", "by": "ada", "before": wall_time(),
    }  # fmt: skip
    return Resolution(**{**given, **more})


async def test_a_person_ends_what_is_open(worker: Any, engine: Engine) -> None:
    """The fact has the reason and the name; what is sent, over or unknown is refused."""
    one, two = await worker(), await worker()
    await sent(one, order(), None)
    with pytest.raises(UsageError, match="live worker"):
        await two.resolve(word())
    await one.record(order(), "answer", State.UNKNOWN)
    await two.resolve(word())
    with pytest.raises(UsageError, match="already"):
        await two.resolve(word())
    with pytest.raises(UsageError, match="not in the journal"):
        await two.resolve(word(payment=paid("order-2")))
    assert engine.query("SELECT because, person FROM facts WHERE source = 'person'") == [
        ("seen in the bank", "ada")
    ]


async def test_what_ended_long_ago_is_deleted_and_its_reference_is_not(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After keep_days a payment is gone; the same order returns its end, another is refused."""
    one = await worker()
    long_ago = wall_time() - timedelta(days=40)
    monkeypatch.setattr("paymux.journal.tables.payment_table.wall_time", lambda: long_ago)
    await sent(one, order())
    await one.record(paid(), "verify")
    monkeypatch.undo()
    await sent(one, order("order-2"))
    await one.aclose()
    two = await worker(keep_days=30)
    assert [payment.reference async for payment in two.payments()] == ["order-2"]
    row = await two.intend(order(), "digest")
    assert row.payment.status is Status.SUCCEEDED
    with pytest.raises(DuplicateReference):
        await two.intend(order(), "another")


async def test_a_journal_is_opened_again(worker: Any) -> None:
    """After `aclose` a call is an OSError, and `open` makes it as before."""
    one = await worker()
    await sent(one, order())
    await one.aclose()
    with pytest.raises(OSError, match="closed"):
        await one.find("toy", "collect", reference="order-1")
    await one.open()
    assert (await found(one)).payment == order()


@pytest.mark.parametrize("text", ["\0", "é漢🙂", "'\"\\", "a" * 5000, "%_?:name$1"])
async def test_any_text_comes_back(worker: Any, text: str) -> None:
    """What a provider or a caller writes is stored as it is."""
    one = await worker()
    said = order(provider_status=text, metadata={"text": text}, provider_reference="id-1")
    await sent(one, said)
    assert (await found(one)).payment == said
    assert (await one.find("toy", "collect", provider_reference="id-1")).payment == said
