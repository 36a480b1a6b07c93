"""Recovery: every open row is recovered once, nothing is sent again, and no worker interferes."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Mismatch, OutcomeUnknown, Payment, Pool, Status, Unavailable, UsageError
from paymux.core.recovery import Recovered
from paymux.http import PreparedRequest, Response, TransportError
from paymux.journal import Journal
from paymux.journal.base import State
from paymux.journal.sqlite import SqliteJournal
from paymux.models import Event

from .toys import BASE, KEY, Desk, Findable, Keyless, Toy, Wire, answer, push

ROOT = Path(__file__).parents[1]
A = Payment(
    account="toy",
    provider="toy",
    kind="collect",
    live=False,
    reference="order-1",
    amount=Decimal(500),
    currency="XAF",
    payer="237677777777",
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


def state(file: Path, reference: str = "order-1") -> tuple[str, str, str | None]:
    """Read a payment's status, and its worker."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        sql = "SELECT state, status, worker FROM payments WHERE reference = ?"
        found: tuple[str, str, str | None] = db.execute(sql, (reference,)).fetchone()
        return found


def source(file: Path) -> str:
    """Read what the newest fact of the journal came from."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        found: str
        (found,) = db.execute("SELECT source FROM facts ORDER BY id DESC LIMIT 1").fetchone()
        return found


def pool(file: Path, wire: Wire | None = None, driver: Toy | None = None) -> Pool:
    """Open a pool with a journal, whose provider says what was paid."""
    wire = wire or Wire(
        Desk(payments=answer(id="id-1", status="OK"), find=answer(id="id-1", status="OK"))
    )
    return Pool(driver or Toy(), connection=wire, journal=file, webhook_base=BASE, webhook_key=KEY)


async def recovered(pay: Pool) -> list[Recovered]:
    """Run recover to the end."""
    return [one async for one in pay.recover()]


async def dead(file: Path, *payments: Payment, reached: State = State.SENDING) -> None:
    """Leave rows behind as a dead worker does."""
    book = SqliteJournal(file)
    for payment in payments:
        await book.intend(payment, "digest")
        if reached is not State.INTENT:
            await book.mark_sending(payment)
        if reached not in (State.INTENT, State.SENDING):
            await book.record(payment, "answer", reached)
    await book.aclose()


async def test_an_intent_was_never_sent(file: Path) -> None:
    """A row of a worker that died before SENDING becomes NOT_SENT; its reference is free."""
    await dead(file, A, reached=State.INTENT)
    wire = Wire(Desk())
    async with pool(file, wire) as pay:
        (found,) = await recovered(pay)
    assert (found.was, found.resolved, found.payment.reference) == (State.INTENT, True, "order-1")
    assert wire.seen == []
    assert source(file) == "recover"
    assert state(file) == ("not_sent", "pending", None)


@pytest.mark.parametrize("reached", [State.SENDING, State.UNKNOWN])
async def test_what_may_have_been_sent_is_asked_for(file: Path, reached: State) -> None:
    """A row that was SENDING or unknown is found by our reference, and not sent again."""
    await dead(file, msgspec.structs.replace(A, account="findable"), reached=reached)
    said = answer(id="id-1", status="OK", reference="order-1", amount=500, currency="XAF")
    wire = Wire(Desk(find=said))
    async with pool(file, wire, Findable()) as pay:
        (found,) = await recovered(pay)
        assert await recovered(pay) == []
    assert (found.was, found.resolved, found.payment.status) == (reached, True, Status.SUCCEEDED)
    assert found.payment.provider_reference == "id-1"
    assert [one.money for one in wire.seen] == [False, False]
    assert state(file) == ("accepted", "succeeded", None)


async def test_an_unknown_without_an_api_says_what_to_ask(file: Path) -> None:
    """If no API can resolve it, the advice has provider, amount, day and reference."""
    await dead(file, A)
    async with pool(file) as pay:
        (found,) = await recovered(pay)
    assert (found.resolved, found.payment.status) == (False, Status.PENDING)
    for word in ("toy", "500 XAF", "2026-01-02", "order-1", "never send it again"):
        assert word in found.advice
    assert state(file) == ("unknown", "pending", None)
    assert source(file) == "recover"


async def test_a_pending_payment_is_handed_back(file: Path) -> None:
    """An accepted payment that is still pending is looked up once, and is to be watched."""
    await dead(file, msgspec.structs.replace(A, provider_reference="id-1"), reached=State.ACCEPTED)
    async with pool(file, Wire(Desk(payments=answer(id="id-1", status="WAIT")))) as pay:
        (found,) = await recovered(pay)
    assert (found.was, found.resolved) == (State.ACCEPTED, False)
    assert found.advice == "still pending: watch it"
    assert state(file) == ("accepted", "pending", None)
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert not list(db.execute("SELECT 1 FROM facts WHERE source = 'recover'"))


async def test_trouble_with_the_provider_is_told(file: Path) -> None:
    """A failed look-up ends nothing: its error is in the advice, and the next row follows."""
    second = msgspec.structs.replace(A, reference="order-2", provider_reference="id-2")
    await dead(
        file, msgspec.structs.replace(A, provider_reference="id-1"), second, reached=State.ACCEPTED
    )
    desk = Desk(payments=[Response(status=404), answer(id="id-2", status="OK")])
    async with pool(file, Wire(desk)) as pay:
        first, last = await recovered(pay)
    assert not first.resolved
    assert "404" in first.advice
    assert last.resolved


@pytest.mark.parametrize("path", ["order-1", None])
async def test_a_message_that_has_arrived_resolves(file: Path, path: str | None) -> None:
    """An earlier webhook is used: by its secret path, or by our reference in it."""
    echoes = {} if path else {"reference": "order-1"}
    await dead(file, A)
    down = Wire(Desk(payments=Response(status=500)))
    async with pool(file, down) as pay:
        event = pay.webhook(
            push(path=pay.webhook_url("toy", path), id="id-1", status="OK", reference="order-1")
        )
        with pytest.raises(Unavailable):
            await pay.confirm(event, deadline=0.5)
    said = answer(200, None, id="id-1", status="OK", amount=500, currency="XAF", **echoes)
    up = Wire(Desk(payments=said))
    async with pool(file, up) as pay:
        (found,) = await recovered(pay)
    assert len(up.seen) == 1, "what a message proved is not asked for once more"
    assert found.resolved
    assert found.advice == "it succeeded"
    assert state(file) == ("accepted", "succeeded", None)


async def test_a_message_that_settles_nothing_is_followed_by_a_look_up(file: Path) -> None:
    """A payment that was pending when its message was confirmed may have ended since."""
    await dead(file, A)
    said: dict[str, Any] = {
        "amount": 500,
        "currency": "XAF",
        "id": "id-1",
        "reference": "order-1",
    }
    down = Wire(Desk(payments=Response(status=500)))
    async with pool(file, down) as pay:
        path = pay.webhook_url("toy", "order-1")
        event = pay.webhook(push(path=path, id="id-1", status="WAIT", reference="order-1"))
        with pytest.raises(Unavailable):
            await pay.confirm(event, deadline=0.5)
    desk = Desk(payments=[answer(status="WAIT", **said), answer(status="OK", **said)])
    async with pool(file, Wire(desk)) as pay:
        (found,) = await recovered(pay)
    assert (found.resolved, found.payment.status) == (True, Status.SUCCEEDED)


async def test_a_journal_that_is_away_ends_a_recovery(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unavailable says why: recover again later. A closed pool recovers nothing."""
    await dead(file, A)
    pay = pool(file)
    async with pay:

        async def away(_: object) -> None:
            raise OSError("the disk is away")

        monkeypatch.setattr(pay._engine.store.require_journal(), "claim", away)
        with pytest.raises(Unavailable, match="the disk is away") as caught:
            await recovered(pay)
        assert caught.value.__cause__ is None
    with pytest.raises(UsageError, match="closed"):
        await recovered(pay)


async def test_a_cheaper_payments_message_resolves_nothing(file: Path) -> None:
    """A hint that names another, cheaper payment leaves the row open."""
    await dead(file, A)
    said = answer(id="id-1", status="OK", amount=100, currency="XAF", reference="order-1")
    async with pool(file, Wire(Desk(payments=said))) as pay:
        event = pay.webhook(push(path=pay.webhook_url("toy", "order-1"), id="id-1", status="OK"))
        with pytest.raises(Mismatch):
            await pay.confirm(event)
        (found,) = await recovered(pay)
    assert not found.resolved
    assert "amount '100' for '500'" in found.advice
    assert state(file) == ("unknown", "pending", None)


async def test_a_living_workers_payment_is_left_to_it(file: Path) -> None:
    """While its sender lives, a row that is being sent is not recovered."""
    gate = asyncio.Event()

    async def slow(outgoing: PreparedRequest) -> Response:
        await gate.wait()
        return answer(id="id-1", status="WAIT")

    async with pool(file, Wire(slow), Keyless()) as one, pool(file, driver=Keyless()) as two:
        task = asyncio.create_task(
            one.collect("keyless", amount=500, currency="XAF", reference="order-1")
        )
        while not one._engine.transport.connection.seen:  # type: ignore[attr-defined]  # the wire of this test
            await asyncio.sleep(0.01)
        assert await recovered(one) == []
        assert await recovered(two) == []
        gate.set()
        await task
    assert state(file) == ("accepted", "pending", None)


async def test_an_account_that_this_pool_lacks_stops_nothing(file: Path) -> None:
    """A row of an unknown account is named and left; the others are resolved."""
    other = msgspec.structs.replace(A, account="another", reference="order-0")
    await dead(file, other, msgspec.structs.replace(A, provider_reference="id-1"))
    async with pool(file) as pay:
        first, second = await recovered(pay)
    assert not first.resolved
    assert "another" in first.advice
    assert second.resolved
    assert state(file, "order-0") == ("sending", "pending", None)


def many(count: int) -> list[Payment]:
    """Return payments that stay pending for ever."""
    return [
        msgspec.structs.replace(A, reference=f"order-{number}", provider_reference=f"id-{number}")
        for number in range(count)
    ]


async def test_two_workers_are_never_at_one_row(file: Path) -> None:
    """Two pools recover at once: no row is with both at one time, or twice with one."""
    await dead(file, *many(30), reached=State.SENDING)
    held: set[str | None] = set()
    met: dict[str, list[str | None]] = {"one": [], "two": []}

    def said(outgoing: PreparedRequest) -> Response:
        number = outgoing.url.rsplit("-", 1)[-1]
        return (
            answer(token="t")
            if outgoing.url.endswith("/login")
            else answer(id=f"id-{number}", status="WAIT")
        )

    async def work(name: str) -> None:
        async with pool(file, Wire(said)) as pay:
            async for found in pay.recover():
                assert found.payment.reference not in held
                held.add(found.payment.reference)
                met[name].append(found.payment.reference)
                await asyncio.sleep(0.005)
                held.discard(found.payment.reference)

    async with asyncio.timeout(20):
        await asyncio.gather(work("one"), work("two"))
    for seen in met.values():
        assert len(seen) == len(set(seen))
    assert {*met["one"], *met["two"]} == {f"order-{number}" for number in range(30)}


async def test_a_claim_holds_until_it_is_released(file: Path) -> None:
    """A row stays claimed while recover() handles it: another run does not get it."""
    await dead(file, msgspec.structs.replace(A, account="findable"))
    said = answer(id="id-1", status="WAIT", reference="order-1")
    async with (
        pool(file, Wire(Desk(find=said)), Findable()) as one,
        pool(file, Wire(Desk(find=said)), Findable()) as two,
    ):
        async for _ in one.recover():
            assert await recovered(two) == []
            assert await recovered(one) == []
        assert len(await recovered(two)) == 1


async def test_an_old_claim_releases_nothing_of_a_new_one(file: Path) -> None:
    """Fencing token: a worker that lost a row cannot release another worker's claim."""
    await dead(file, A)
    one, two = SqliteJournal(file), SqliteJournal(file)
    first = await one.claim(None)
    assert first is not None
    await one.aclose()
    second = await two.claim(None)
    assert second is not None
    assert second.fence > first.fence
    late = SqliteJournal(file)
    await late.release(first)
    assert state(file)[2] is not None
    await two.release(second)
    assert state(file)[2] is None
    await two.aclose()
    await late.aclose()


async def test_breaking_off_gives_the_row_back(file: Path) -> None:
    """A caller that stops early, or is cancelled, leaves the rest to the next run."""
    await dead(file, *many(3))
    async with pool(file, Wire(Desk(payments=Response(status=404)))) as pay, pool(file) as other:
        async for _ in pay.recover():
            break
        await asyncio.sleep(0.05)
        task = asyncio.create_task(recovered(pay))
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.05)
        assert len(await recovered(other)) == 3


async def test_a_worker_recovers_what_its_own_disk_lost(file: Path) -> None:
    """An answer not yet written, in a live worker, is written before its own recover() looks."""
    wire = Wire(
        Desk(collect=answer(id="id-1", status="WAIT"), payments=answer(id="id-1", status="OK"))
    )
    async with pool(file, wire, Findable()) as pay:
        _ = [one async for one in pay.payments()]
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                """CREATE TRIGGER refuse BEFORE INSERT ON facts WHEN NEW.source = 'answer'
                   BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"""
            )
            await pay.collect("findable", amount=500, currency="XAF", reference="order-1")
            assert state(file)[0] == "sending"
            db.execute("DROP TRIGGER refuse")
        (found,) = await recovered(pay)
    assert found.payment.status is Status.SUCCEEDED
    assert state(file) == ("accepted", "succeeded", None)


KILLED = """
    import asyncio, os, signal, sys
    from paymux import Pool
    from tests.toys import Desk, Toy, Wire, answer

    async def main():
        wire = Wire(Desk(payments=answer(id="id-1", status="WAIT")))
        async with Pool(Toy(), connection=wire, journal=sys.argv[1]) as pay:
            async for found in pay.recover():
                os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
"""


async def test_recover_may_itself_be_killed(file: Path) -> None:
    """A process killed in the middle of recover() leaves its row to the next one."""
    await dead(file, msgspec.structs.replace(A, provider_reference="id-1"))
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(file)]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=30).returncode == -9
    assert state(file)[2] is not None
    async with pool(file) as pay:
        (found,) = await recovered(pay)
    assert found.resolved
    assert state(file) == ("accepted", "succeeded", None)


async def test_a_late_answer_after_a_recovery_is_kept(file: Path) -> None:
    """What recover() made unknown ends with any fact that names the payment, and no other."""
    await dead(file, A)
    async with pool(file) as pay:
        await recovered(pay)
    book: Journal = SqliteJournal(file)
    await book.record(A, "answer", State.NOT_SENT)
    await book.record(A, "answer", State.REFUSED)
    assert state(file)[0] == "unknown"
    await book.record(msgspec.structs.replace(A, provider_reference="id-1"), "webhook")
    assert state(file)[0] == "accepted"
    await book.aclose()


async def test_without_a_journal_there_is_nothing_to_recover() -> None:
    """recover(), payments() and once() of a pool without a journal are UsageError."""
    async with Pool(Toy(), connection=Wire(Desk())) as pay:
        with pytest.raises(UsageError, match="journal"):
            await recovered(pay)
        with pytest.raises(UsageError, match="journal"):
            _ = [one async for one in pay.payments()]
        with pytest.raises(UsageError, match="journal"):
            pay.once(A, "fulfilled")


async def test_an_unknown_of_this_process_is_recovered_too(file: Path) -> None:
    """A live process recovers its own lost answer, by hint or look-up."""
    desk = Desk(
        collect=[TransportError("cut off")],
        find=answer(id="id-1", status="OK", reference="order-1"),
    )
    async with pool(file, Wire(desk), Findable()) as pay:
        with pytest.raises(OutcomeUnknown):
            await pay.collect("findable", amount=500, currency="XAF", reference="order-1")
        (found,) = await recovered(pay)
    assert (found.was, found.resolved) == (State.UNKNOWN, True)


async def test_a_hint_of_another_account_is_not_used(file: Path) -> None:
    """A message of another account with the same reference says nothing about this row."""
    await dead(file, A)
    book = SqliteJournal(file)
    claims = Payment(account="another", reference="order-1", provider_reference="id-1")
    await book.keep_event(Event(account="another", claims=claims, path_reference="order-1"))
    row = await book.claim(None)
    assert row is not None
    assert row.events == ()
    await book.aclose()
