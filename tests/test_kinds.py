"""A collect and a payout may share a reference: news of one is never taken for the other."""

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import Mismatch, OutcomeUnknown, Payment, Pool, Status, WatchTimeout
from paymux.http import Response, TransportError
from paymux.journal import Store
from paymux.journal.base import State
from paymux.journal.memory.orders import OrderMemory
from paymux.journal.sqlite.schema import MIGRATIONS
from paymux.models import Kind

from .campaigns.simulation import LoopJournal
from .toys import BASE, KEY, Desk, Keyless, Wire, answer, push, timeless

HOOKS: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
LOST = TransportError("reset")
# The provider says nothing of a payment's kind, and gives back our reference.
PAID = answer(id="id-1", status="OK", amount=500, currency="XAF", reference="order-8")


def _journal(file: Path) -> LoopJournal:
    return LoopJournal(file, random.Random(1))


async def _both_lost(pay: Pool, collected: str = "order-8") -> tuple[Payment, Payment]:
    with pytest.raises(OutcomeUnknown) as one:
        await pay.collect("keyless", amount=500, currency="XAF", reference=collected)
    with pytest.raises(OutcomeUnknown) as two:
        await pay.payout(
            "keyless", amount=500, currency="XAF", payee="237677777777", reference="order-8"
        )
    return one.value.payment, two.value.payment


def _desk(*paid: Response) -> Desk:
    return Desk(collect=[LOST], payout=[LOST], payments=list(paid or (PAID,)))


def _statuses(file: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return dict(db.execute("SELECT kind, status FROM payments").fetchall())


@timeless
async def test_a_collects_path_confirms_the_collect(tmp_path: Path) -> None:
    """Of two lost orders with one reference, the collect's own path is about the collect."""
    file = tmp_path / "payments.db"
    async with Pool(Keyless(), connection=Wire(_desk()), journal=_journal(file), **HOOKS) as pay:
        await _both_lost(pay)
        event = pay.webhook(push(path=pay.webhook_url("keyless", "order-8"), id="id-1"))
        assert (await pay.confirm(event)).kind == "collect"
    assert _statuses(file) == {"collect": "succeeded", "payout": "pending"}


@pytest.mark.parametrize("kind", ["collect", "payout"])
@timeless
async def test_the_kind_that_a_message_names_decides(tmp_path: Path, kind: str) -> None:
    """Without a path, our reference in a message is of the kind that the message names."""
    file = tmp_path / "payments.db"
    async with Pool(Keyless(), connection=Wire(_desk()), journal=_journal(file), **HOOKS) as pay:
        await _both_lost(pay)
        event = pay.webhook(
            push(path=pay.webhook_url("keyless"), id="id-1", reference="order-8", kind=kind)
        )
        assert (await pay.confirm(event)).kind == kind
    assert _statuses(file)[kind] == "succeeded"
    assert sorted(_statuses(file).values()) == ["pending", "succeeded"]


@pytest.mark.parametrize("kept", [True, False])
@timeless
async def test_a_collects_path_never_confirms_a_payout(tmp_path: Path, kept: bool) -> None:
    """A collect's message is a Mismatch for an expected payout, with a journal and without."""
    journal = _journal(tmp_path / "payments.db") if kept else None
    wire = Wire(_desk())
    async with Pool(Keyless(), connection=wire, journal=journal, **HOOKS) as pay:
        _, payout = await _both_lost(pay)
        event = pay.webhook(push(path=pay.webhook_url("keyless", "order-8"), id="id-1"))
        with pytest.raises(Mismatch):
            await pay.confirm(event, expected=payout)
        event = pay.webhook(
            push(path=pay.webhook_url("keyless"), id="id-1", reference="order-8", kind="collect")
        )
        with pytest.raises(Mismatch):
            await pay.confirm(event, expected=payout)
    assert wire.paths("/payments") == []


@timeless
async def test_only_what_was_lost_itself_is_vouched_for_by_its_path() -> None:
    """A lost payout does not make the answered collect with its reference a lost one."""
    desk = Desk(
        collect=answer(400, error="no"), payout=[LOST], payments=answer(id="id-9", status="OK")
    )
    async with Pool(Keyless(), connection=Wire(desk), **HOOKS) as pay:
        with pytest.raises(OutcomeUnknown):
            await pay.payout(
                "keyless", amount=500, currency="XAF", payee="237677777777", reference="order-8"
            )
        held = Payment(account="keyless", kind="collect", reference="order-8")
        event = pay.webhook(push(path=pay.webhook_url("keyless", "order-8"), id="id-9"))
        with pytest.raises(Mismatch, match="nothing ties"):
            await pay.confirm(event, expected=held)


@timeless
async def test_an_id_that_is_a_payouts_confirms_no_collect(tmp_path: Path) -> None:
    """The provider's id of a payout does not prove the lost collect with its reference."""
    desk = Desk(collect=[LOST], payout=answer(id="id-1", status="WAIT"), payments=PAID)
    file = tmp_path / "payments.db"
    async with Pool(Keyless(), connection=Wire(desk), journal=_journal(file), **HOOKS) as pay:
        with pytest.raises(OutcomeUnknown) as lost:
            await pay.collect("keyless", amount=500, currency="XAF", reference="order-8")
        await pay.payout(
            "keyless", amount=500, currency="XAF", payee="237677777777", reference="order-8"
        )
        event = pay.webhook(push(path=pay.webhook_url("keyless", "order-8"), id="id-1"))
        with pytest.raises(Mismatch):
            await pay.confirm(event, expected=lost.value.payment)
    assert _statuses(file) == {"collect": "pending", "payout": "pending"}


@timeless
async def test_recover_gives_a_payout_no_message_of_the_collect(tmp_path: Path) -> None:
    """A message stored for the collect resolves the collect, and not the payout."""
    file = tmp_path / "payments.db"
    async with Pool(
        Keyless(), connection=Wire(_desk(answer(503), PAID)), journal=_journal(file), **HOOKS
    ) as pay:
        await _both_lost(pay)
        event = pay.webhook(push(path=pay.webhook_url("keyless", "order-8"), id="id-1"))
        for _ in range(2):
            with contextlib.suppress(Exception):
                await pay.confirm(replace(event, path_reference="order-8"))
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                "UPDATE payments SET status = 'pending', state = 'unknown', "
                "provider_reference = NULL"
            )
            db.execute(
                "UPDATE payments SET payment = json_set(payment, '$.status', 'pending') "
                "WHERE kind = 'collect'"
            )
            db.execute("UPDATE payments SET payment = json_remove(payment, '$.provider_reference')")
        found = {left.payment.kind: left.resolved async for left in pay.recover()}
    assert found == {"collect": True, "payout": False}


@timeless
async def test_news_of_a_collect_reaches_no_watch_of_a_payout() -> None:
    """Watches of two kinds with one reference and one id each get news of their own payment."""
    desk = Desk(payments=answer(id="7", status="WAIT"))
    async with Pool(Keyless(), connection=Wire(desk), **HOOKS) as pay:
        held = Payment(
            account="keyless", kind="payout", reference="order-8", provider_reference="7"
        )
        watch = asyncio.ensure_future(_watched(pay, held))
        await asyncio.sleep(1)
        told = replace(held, kind="collect", status=Status.SUCCEEDED)
        pay._engine.watch_registry.deliver(told)
        assert await watch is Status.PENDING


async def _watched(pay: Pool, held: Payment) -> Status:
    try:
        return (await pay.watch(held, timeout=5)).status
    except WatchTimeout as late:
        return late.payment.status


def test_memory_keeps_the_kinds_apart() -> None:
    """The owner of an id, and lost orders, are found by kind; the wanted kind comes first."""
    memory = OrderMemory()
    collect = Payment(account="toy", reference="order-8", provider_reference="7")
    payout = replace(collect, kind="payout", reference="wage-8")
    memory.apply(payout)
    assert memory.owner("toy", "collect", "7") == ("payout", "wage-8")
    memory.apply(collect)
    assert memory.owner("toy", "collect", "7") == ("collect", "order-8")
    assert memory.owner("toy", "payout", "7") == ("payout", "wage-8")
    memory.note_sending(replace(payout, provider_reference=None), None)
    memory.note_sending(collect, None)
    assert memory.answer_lost(payout)
    assert memory.answer_lost(replace(collect, kind="collect"))
    assert not memory.answer_lost(replace(payout, kind="refund"))
    memory.apply(collect, State.ACCEPTED)
    assert not memory.answer_lost(collect)


@timeless
async def test_a_journal_is_asked_by_kind(tmp_path: Path) -> None:
    """Our reference finds only the wanted kind; the provider's finds the wanted kind first."""
    journal = _journal(tmp_path / "payments.db")
    payout = Payment(account="toy", kind="payout", reference="order-8", provider_reference="7")
    await journal.intend(payout, "one")
    await journal.record(payout, "verify")
    assert await journal.find("toy", "collect", reference="order-8") is None
    records = Store(journal)
    assert await records.owner("toy", "collect", "7") == ("payout", "order-8")
    collect = replace(payout, kind="collect")
    await journal.intend(collect, "two")
    await journal.record(collect, "verify")
    for kind in ("collect", "payout"):
        by_ours = await journal.find("toy", kind, reference="order-8")
        by_theirs = await journal.find("toy", kind, provider_reference="7")
        assert by_ours is not None
        assert by_theirs is not None
        assert by_ours.payment.kind == by_theirs.payment.kind == kind
    await journal.aclose()


KINDS: tuple[Kind, ...] = ("collect", "payout", "refund")


async def _orders(journal: LoopJournal) -> dict[Kind, Payment]:
    """Record an order of each kind with one reference, each with an id of the provider."""
    made = {}
    for kind in KINDS:
        made[kind] = Payment(
            account="keyless", kind=kind, reference="x-1", provider_reference=f"id-{kind}"
        )
        await journal.intend(made[kind], kind)
        await journal.record(made[kind], "verify")
    return made


@timeless
async def test_each_message_is_about_the_order_of_its_kind(tmp_path: Path) -> None:
    """Messages on the paths of one reference, and ones without a path, each find their order."""
    journal = _journal(tmp_path / "payments.db")
    async with Pool(Keyless(), connection=Wire(Desk()), journal=journal, **HOOKS) as pay:
        made = await _orders(journal)
        for kind in KINDS:
            path = pay.webhook_url("keyless", "x-1", use=kind)
            bare = pay.webhook_url("keyless")
            for event in (
                pay.webhook(push(path=path, status="OK")),
                pay.webhook(push(path=bare, id=f"id-{kind}")),
                pay.webhook(push(path=bare, reference="x-1", kind=kind)),
            ):
                row = await journal.about(event)
                assert row is not None
                assert row.payment.kind == kind
                assert await journal.keep_event(event, open=False)
        for kind in KINDS:
            kept = await journal.events_of(made[kind])
            assert len(kept) == 3
            assert {event.kind for event in kept if event.path_use} == {kind}


@timeless
async def test_messages_about_a_payout_take_no_place_of_the_collect(tmp_path: Path) -> None:
    """The places for messages about an order are counted for each kind of a reference."""
    journal = _journal(tmp_path / "payments.db")
    async with Pool(Keyless(), connection=Wire(Desk()), journal=journal, **HOOKS) as pay:
        await _orders(journal)
        for kind in ("payout", "collect"):
            path = pay.webhook_url("keyless", "x-1", use=kind)
            events = [pay.webhook(push(path=path, status=word)) for word in "abcdefgh"]
            kept = [await journal.keep_event(event, open=False) for event in events]
            assert kept == [True] * 4 + [False] * 4


@pytest.mark.parametrize("kind", KINDS)
@timeless
async def test_a_message_on_the_path_of_another_kind_is_a_mismatch(
    tmp_path: Path, kind: Kind
) -> None:
    """The id of one order on the path of another kind's is refused before the provider is asked."""
    wire = Wire(Desk())
    journal = _journal(tmp_path / "payments.db")
    async with Pool(Keyless(), connection=wire, journal=journal, **HOOKS) as pay:
        await _orders(journal)
        for other in set(KINDS) - {kind}:
            path = pay.webhook_url("keyless", "x-1", use=kind)
            with pytest.raises(Mismatch):
                await pay.confirm(pay.webhook(push(path=path, id=f"id-{other}")))
    assert wire.paths("/payments") == []


@timeless
async def test_a_message_of_an_earlier_release_is_ended(tmp_path: Path) -> None:
    """An open message in a file of schema 2 is claimed once, and ended under its new text."""
    file = tmp_path / "payments.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        for step in MIGRATIONS[:2]:
            db.executescript(step)
        db.execute("PRAGMA user_version = 2")
        for reference, kind in (('"x-1"', "null"), ("null", '"payout"')):
            text = (
                '{"account":"keyless","provider":"keyless","trust":"nothing","claims":{"account":'
                f'"keyless","kind":{kind},"reference":"x-1","status":"pending"}},"ping":false,'
                f'"attempt":{reference}}}'
            )
            db.execute(
                "INSERT INTO hints (account, reference, at, event, worker, proved) "
                "VALUES ('keyless', 'x-1', '2026', ?, '', 0)",
                (text.replace('"kind":null,', ""),),
            )
    journal = _journal(file)
    async with Pool(Keyless(), connection=Wire(Desk()), journal=journal, **HOOKS):
        made = await _orders(journal)
        assert [event.kind for event in await journal.events_of(made["payout"])] == ["payout"]
        assert [event.path_use for event in await journal.events_of(made["collect"])] == ["collect"]
        claimed = await journal.claim_events(8)
        assert [event.kind for event in claimed] == ["collect", "payout"]
        for event in claimed:
            await journal.end_event(event, done=True)
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM hints WHERE worker IS NOT NULL").fetchone() == (0,)
