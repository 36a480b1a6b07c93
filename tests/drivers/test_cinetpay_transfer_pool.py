"""CinetPay's transfers through a pool: two steps that are killed, lost answers, lost journals."""

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from paymux import (
    AuthenticationFailed,
    BadWebhook,
    Customer,
    DuplicateReference,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    Rejected,
    Status,
)
from paymux.http import WebhookRequest
from paymux.journal.sqlite import SqliteJournal
from paymux.simulator import Fault, Simulator
from tests.toys import BASE, KEY, timeless

NAME = "cinetpay_transfer"
CONTACT = "POST /v1/transfer/contact/"
SEND = "POST /v1/transfer/money/send/contact/"
CHECK = "GET /v1/transfer/check/money/"
WAGE: dict[str, Any] = {
    "amount": 500,
    "currency": "XOF",
    "payee": "+225 01 02 03 04 05",
    "reference": "wage-7",
}


def opened(sim: Simulator, journal: Path | None = None, **fields: Any) -> Pool:
    """Return a pool of one transfer account."""
    driver = sim.driver(NAME, **fields)
    options: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
    return Pool(driver, connection=sim.connection, journal=journal, **options)


def paths(sim: Simulator) -> list[str]:
    """List the last parts of the requests that came, without logins."""
    found = [one.path.removeprefix("/v1/").rstrip("/") for one in sim.requests]
    return [path for path in found if path != "auth/login"]


@contextlib.asynccontextmanager
async def dying(sim: Simulator, folder: Path, match: str) -> AsyncIterator[Path]:
    """Pay out, and give the journal as a process leaves it that dies when this request is out."""
    file, copy = folder / "pay.db", folder / "copy.db"
    pool = opened(sim, file)
    async with pool:
        paying = asyncio.create_task(pool.payout(NAME, **WAGE))
        async with asyncio.timeout(30):
            while not sim.received(NAME, match):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        with (
            contextlib.closing(sqlite3.connect(file)) as mine,
            contextlib.closing(sqlite3.connect(copy)) as theirs,
        ):
            mine.backup(theirs)
        sim.core.faults.clear()
        yield copy
        paying.cancel()
        with contextlib.suppress(asyncio.CancelledError, PaymuxError):
            await paying


@pytest.mark.parametrize("processed", [False, True])
async def test_killed_before_the_second_step_nothing_is_owed(
    tmp_path: Path, processed: bool
) -> None:
    """A payout that dies at its contact was never sent: asked for again, it is paid once."""
    sim = Simulator()
    sim.fault(NAME, CONTACT, kind=Fault.STALL, processed=processed)
    async with dying(sim, tmp_path, CONTACT) as copy, opened(sim, copy) as pool:
        (left,) = [one async for one in pool.recover()]
        assert (left.was, left.resolved) == ("intent", True)
        assert len(sim.ledger) == 0
        paid = await pool.payout(NAME, **WAGE)
        assert paid.ids["contact_lot"]
        sim.settle(paid.provider_reference or "", Status.SUCCEEDED)
        assert (await pool.verify(paid)).status is Status.SUCCEEDED
    assert sim.ledger.paid_out() == 500


@pytest.mark.parametrize("processed", [False, True])
async def test_killed_at_the_second_step_it_is_asked_for_and_never_sent_again(
    tmp_path: Path, processed: bool
) -> None:
    """`recover` asks by our reference; the contact's lot was in the journal before it left."""
    sim = Simulator()
    sim.fault(NAME, SEND, kind=Fault.STALL, processed=processed)
    async with dying(sim, tmp_path, SEND) as copy, opened(sim, copy) as pool:
        for entry in sim.ledger:
            sim.settle(entry.provider_reference, Status.SUCCEEDED)
        (left,) = [one async for one in pool.recover()]
        assert (left.was, left.resolved) == ("sending", processed)
        assert left.payment.ids["contact_lot"]
        if processed:
            assert (await pool.payout(NAME, **WAGE)).status is Status.SUCCEEDED
        else:  # 723 is never final: a person decides
            with pytest.raises(OutcomeUnknown):
                await pool.payout(NAME, **WAGE)
    assert paths(sim).count("transfer/money/send/contact") == 1
    assert sim.ledger.paid_out() == (500 if processed else 0)


async def test_killed_after_the_answer_it_is_looked_up(tmp_path: Path) -> None:
    """What was accepted is asked for by another process, and told as it ends."""
    sim, file = Simulator(), tmp_path / "pay.db"
    async with opened(sim, file) as pool:
        paid = await pool.payout(NAME, **WAGE)
    sim.settle(paid.provider_reference or "", Status.FAILED)
    async with opened(sim, file) as pool:
        (left,) = [one async for one in pool.recover()]
        assert (left.was, left.payment.status) == ("accepted", Status.FAILED)
    assert len(sim.ledger) == 1


@timeless
async def test_a_lost_journal_loses_no_payout_and_pays_none_twice(tmp_path: Path) -> None:
    """300 payouts, a third without their answer, asked for again by who forgot all of them."""
    sim = Simulator()
    wages = [{**WAGE, "reference": f"wage-{number}"} for number in range(300)]
    async with opened(sim) as pool:
        for number, wage in enumerate(wages):
            if number % 3 == 0:
                sim.fault(NAME, SEND, kind=Fault.DROP_AFTER)
            with contextlib.suppress(OutcomeUnknown):
                await pool.payout(NAME, **wage)
    for number, entry in enumerate(list(sim.ledger)):
        status = Status.FAILED if number % 7 == 0 else Status.SUCCEEDED
        sim.settle(entry.provider_reference, status)
    moved = sim.ledger.paid_out()
    async with opened(sim) as pool:
        for wage in wages:
            with pytest.raises(OutcomeUnknown, match="had this reference before") as caught:
                await pool.payout(NAME, **wage)
            found = await pool.verify(caught.value.payment)
            (entry,) = sim.ledger.entries(wage["reference"], provider=NAME)
            assert found.status is entry.status
            assert found.provider_reference == entry.provider_reference
    assert (len(sim.ledger), sim.ledger.paid_out()) == (300, moved)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"amount": 1000}, "amount"), ({"payee": "+225 05 12 34 56 78"}, "payee")],
)
async def test_an_earlier_transfer_of_another_order_is_not_taken_for_this_one(
    changes: dict[str, Any], field: str
) -> None:
    """A duplicate with another amount or payee is a Mismatch: it never ends our order."""
    sim = Simulator()
    async with opened(sim) as pool:
        paid = await pool.payout(NAME, **WAGE)
    sim.settle(paid.provider_reference or "", Status.SUCCEEDED)
    async with opened(sim) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.payout(NAME, **{**WAGE, **changes})
        with pytest.raises(Mismatch) as differs:
            await pool.verify(caught.value.payment)
    assert differs.value.fields == (field,)
    assert len(sim.ledger) == 1


@pytest.mark.parametrize("errors", ["row", "envelope"])
async def test_an_error_inside_code_0_is_an_error(errors: str) -> None:
    """In a row or in the envelope, a refusal is one, and its reference is free."""
    sim = Simulator()
    provider = sim.cinetpay_transfer
    provider.errors = errors
    async with opened(sim) as pool:
        with pytest.raises(Rejected, match="AMOUNT_TOO_SMALL"):
            await pool.payout(NAME, **{**WAGE, "amount": 100})
        assert len(sim.ledger) == 0
        paid = await pool.payout(NAME, **WAGE)
        assert paid.status is Status.PENDING
        with pytest.raises(DuplicateReference):
            await pool.payout(NAME, **{**WAGE, "amount": 1000})


@timeless
async def test_a_transfer_that_waits_for_ever_stays_pending() -> None:
    """NOS is neither an end nor a failure, however long it is watched; then it is paid."""
    sim = Simulator()
    sim.cinetpay_transfer.whitelisted = False
    async with opened(sim) as pool:
        paid = await pool.payout(NAME, **WAGE)
        await asyncio.sleep(30 * 86_400)
        held = await pool.verify(paid)
        assert (held.status, held.provider_status) == (Status.PENDING, "NOS")
        assert "back office" in (held.message or "")
        (entry,) = sim.ledger.entries("wage-7")
        sim.cinetpay_transfer.confirm(entry)
        sim.settle(entry.provider_reference, Status.SUCCEEDED)
        end = await pool.verify(held)
        assert (end.status, end.message) == (Status.SUCCEEDED, None)
        assert end.receipt
    assert sim.ledger.paid_out() == 500


@timeless
async def test_a_wrong_password_sends_nothing() -> None:
    """The login is refused, and no contact and no money is asked for."""
    sim = Simulator()
    async with opened(sim, password="wrong") as pool:
        with pytest.raises(AuthenticationFailed, match="701"):
            await pool.payout(NAME, **WAGE)
    assert paths(sim) == []


@timeless
async def test_a_token_that_ended_is_renewed_at_each_step() -> None:
    """After five minutes one login more is made, and the money is sent once."""
    sim = Simulator()
    async with opened(sim) as pool:
        for number in range(3):
            await pool.payout(NAME, **{**WAGE, "reference": f"wage-{number}"})
            await asyncio.sleep(301)
        sim.fault(NAME, CONTACT, kind=Fault.STALE_TOKEN)
        sim.fault(NAME, SEND, kind=Fault.STALE_TOKEN)
        await pool.payout(NAME, **{**WAGE, "reference": "wage-9"})
    assert len(sim.ledger) == 4
    logins = [one for one in sim.requests if one.path.rstrip("/").endswith("/auth/login")]
    assert len(logins) == 6


@timeless
async def test_a_contact_that_is_not_answered_sends_no_money() -> None:
    """It is asked for again, as it moves nothing; then the payout is NotSent, and is free."""
    sim = Simulator()
    async with opened(sim) as pool:
        sim.fault(NAME, CONTACT, kind=Fault.HTML, status=404, times=3)
        with pytest.raises(NotSent):
            await pool.payout(NAME, **WAGE)
        assert paths(sim) == ["transfer/contact"] * 3
        assert (await pool.payout(NAME, **WAGE)).status is Status.PENDING
    assert len(sim.ledger) == 1


@timeless
async def test_ten_thousand_forged_notifications_end_nothing() -> None:
    """Unsigned, to the true address: each is refused or asked about, and the truth stays."""
    sim = Simulator()
    async with opened(sim) as pool:
        paid = await pool.payout(NAME, **WAGE)
        other = await pool.payout(NAME, **{**WAGE, "reference": "wage-8"})
        sim.settle(other.provider_reference or "", Status.SUCCEEDED)
        path = pool.webhook_url(NAME, "wage-7", use="payout").partition(".example")[2]
        before = len(sim.requests)
        for number in range(10_000):
            said = {
                "transaction_id": other.provider_reference or "",
                "client_transaction_id": ("wage-7", "wage-8", f"x-{number}")[number % 3],
                "amount": "500",
                "treatment_status": "VAL",
            }
            body = "&".join(f"{name}={text}" for name, text in said.items()).encode()
            headers = {"content-type": "application/x-www-form-urlencoded"}
            try:
                event = pool.webhook(WebhookRequest(path=path, headers=headers, body=body))
            except BadWebhook:
                continue
            with contextlib.suppress(BadWebhook, Mismatch):
                found = await pool.confirm(event, expected=paid)
                assert found.status is Status.PENDING
        assert len(sim.requests) - before <= 10_000
        assert (await pool.verify(paid)).status is Status.PENDING
    assert sim.ledger.paid_out("wage-7") == 0


@timeless
async def test_no_token_in_a_query_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not in logs, errors and `raw`; no log has the number, and no `repr` the name."""
    sim = Simulator()
    said: list[object] = []
    with caplog.at_level(logging.DEBUG):
        async with opened(sim) as pool:
            customer = Customer(name="Awa", surname="Kone", email="awa@shop.example")
            paid = await pool.payout(NAME, customer=customer, **WAGE)
            said += [paid, paid.raw, await pool.verify(paid)]
            for fault in (Fault.HTML, Fault.DROP_AFTER, Fault.ERROR):
                sim.fault(NAME, CHECK, kind=fault, times=3)
                with pytest.raises(PaymuxError) as failed:
                    await pool.verify(paid)
                said += [failed.value, vars(failed.value)]
    tokens = {dict(parse_qsl(one.query)).get("token", "") for one in sim.requests} - {""}
    assert tokens
    text = f"{said!r} {caplog.text}"
    assert not [token for token in tokens if token in text]
    assert "0102030405" not in caplog.text
    assert "Kone" not in repr(said)


async def test_the_journal_has_the_lot_before_the_money_leaves(tmp_path: Path) -> None:
    """When the second request is on the wire, the row has what the first told."""
    sim, file = Simulator(), tmp_path / "pay.db"
    rows: list[tuple[str, dict[str, str]]] = []
    journal = SqliteJournal(file)
    driver = sim.driver(NAME)
    exchange = sim.connection.exchange

    class Watched:
        """The simulator's connection, which looks at the journal before the money leaves."""

        aclose = sim.connection.aclose
        frames = sim.connection.frames

        async def exchange(self, outgoing: Any) -> Any:
            """Carry one attempt."""
            if outgoing.money:
                with contextlib.closing(sqlite3.connect(file)) as db:
                    (row,) = db.execute("SELECT state, payment FROM payments").fetchall()
                rows.append((row[0], json.loads(row[1])["ids"]))
            return await exchange(outgoing)

    hooks: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
    async with Pool(driver, connection=Watched(), journal=journal, **hooks) as pool:
        paid: Payment = await pool.payout(NAME, **WAGE)
    ((state, ids),) = rows
    assert state == "sending"
    assert ids == {"contact_lot": paid.ids["contact_lot"]}
