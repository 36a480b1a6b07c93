"""A run that was stopped goes on; one that is of something else begins anew."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from paymux import Payment, ReconcileProgress, Status, Unavailable, UsageError
from paymux.http import Response
from tests.campaigns.statements import corpus, write_journal, write_ours, write_statement
from tests.toys import Keyless, Wire

from .test_reconcile import planted, pool, run


def stop_at(stage: str, rows: int) -> "type[Stop]":
    """Return what stops a run once it is so far."""
    return type("At", (Stop,), {"stage": stage, "rows": rows})


class Stop:
    """Cancels the task that runs a reconciliation, as Ctrl-C does."""

    stage, rows = "", 0

    def __init__(self) -> None:
        self.seen: list[ReconcileProgress] = []
        self.task = asyncio.current_task()

    def __call__(self, said: ReconcileProgress) -> None:
        self.seen.append(said)
        if said.stage == self.stage and said.rows >= self.rows and self.task is not None:
            self.task.cancel()


@pytest.mark.parametrize(
    ("stage", "rows"), [("theirs", 4_000), ("ours", 2_000), ("matching", 1), ("report", 0)]
)
async def test_a_cancelled_run_goes_on(tmp_path: Path, stage: str, rows: int) -> None:
    """What was read is not read again, and the report is that of an undisturbed run."""
    made = corpus(5_500, 220)
    statement, ours = tmp_path / "statement.csv", tmp_path / "ours.csv"
    write_statement(statement, made.theirs, "french")
    write_ours(ours, made.ours)
    out, whole = tmp_path / "out.csv", tmp_path / "whole.csv"
    stopping = stop_at(stage, rows)

    async def first() -> None:
        await run(pool(), statement, ours=ours, out=out, progress=stopping())

    task = asyncio.ensure_future(first())
    with suppress(asyncio.CancelledError):
        await task
    assert not out.exists()
    assert (tmp_path / "out.csv.state").stat().st_mode & 0o777 == 0o600
    _, summary = await run(pool(), statement, ours=ours, out=out)
    assert summary.resumed >= rows
    assert summary.adds_up
    found, _ = await run(pool(), statement, ours=ours, out=whole)
    assert planted(found) == made.planted
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "ours.csv", "out.csv", "statement.csv", "whole.csv",
    ]  # fmt: skip


async def _stopped(folder: Path) -> tuple[Path, Path, Path]:
    statement, ours, out = (folder / one for one in ("statement.csv", "ours.csv", "out.csv"))
    made = corpus(5_500, 110)
    write_statement(statement, made.theirs, "tab")
    write_ours(ours, made.ours)

    async def first() -> None:
        await run(pool(), statement, ours=ours, out=out, progress=stop_at("ours", 1)())

    task = asyncio.ensure_future(first())
    with suppress(asyncio.CancelledError):
        await task
    return statement, ours, out


async def test_a_file_that_changed_begins_anew(tmp_path: Path) -> None:
    """Rows of two versions of a file are never mixed."""
    statement, ours, out = await _stopped(tmp_path)
    write_statement(statement, corpus(5_500, 110, seed=2).theirs, "tab")
    _, summary = await run(pool(), statement, ours=ours, out=out)
    assert summary.resumed == 0
    assert summary.adds_up


async def test_a_run_is_begun_anew_if_it_is_asked_for(tmp_path: Path) -> None:
    """`restart` forgets what was read."""
    statement, ours, out = await _stopped(tmp_path)
    _, summary = await run(pool(), statement, ours=ours, out=out, restart=True)
    assert summary.resumed == 0


async def test_a_file_that_is_no_state_is_left_alone(tmp_path: Path) -> None:
    """Neither a file nor a database of the caller's is emptied because of its name."""
    statement, ours, out = await _stopped(tmp_path)
    state = tmp_path / "mine.db"
    with sqlite3.connect(state) as db:
        db.execute("CREATE TABLE mine(x)")
    db.close()
    for content in (state.read_bytes(), b"a letter, and no database at all" * 100):
        state.write_bytes(content)
        with pytest.raises(UsageError, match="is not the state"):
            await run(pool(), statement, ours=ours, out=out, state=state)
        assert state.read_bytes() == content


async def test_two_runs_never_share_a_file(tmp_path: Path) -> None:
    """A second run of the same is refused while the first one is there."""
    statement, ours, out = await _stopped(tmp_path)
    second: list[str] = []

    async with pool() as one, one.reconcile(statement, ours=ours, out=out) as found:
        async for _ in found:
            if not second:
                try:
                    await run(pool(), statement, ours=ours, out=out)
                except UsageError as error:
                    second.append(str(error))
    assert "runs already" in second[0]


async def test_a_provider_that_is_away_is_asked_later(tmp_path: Path) -> None:
    """Unavailable ends a verification; the same call goes on with the orders that are left."""
    asked: list[str] = []
    away = True

    def answer(request: object) -> Response:
        asked.append(getattr(request, "url", ""))
        return Response(status=503, body=b"") if away else Response(status=200, body=b"{}")

    from paymux import Pool  # noqa: PLC0415 - beside its use

    ours = [
        Payment(account="toy", provider_reference=f"p-{n}", status=Status.SUCCEEDED)
        for n in range(3)
    ]
    wire = Wire(answer)
    async with Pool(Keyless(account="toy"), connection=wire, attempts=1) as one:
        with pytest.raises(Unavailable):
            async for _ in one.reconcile(verify=True, ours=ours, state=tmp_path / "state"):
                pass
    assert asked
    assert (tmp_path / "state").exists()


async def test_a_stream_of_the_caller_is_closed(tmp_path: Path) -> None:
    """An async generator that gives the rows is closed when the run ends, also by an error."""
    closed: list[bool] = []

    async def rows() -> AsyncIterator[dict[str, str]]:
        try:
            yield {"reference": "order-1", "amount": "1,500"}
            yield {"reference": "order-2", "amount": "500"}
        finally:
            closed.append(True)

    with pytest.raises(UsageError, match="--decimal"):
        await run(pool(), rows(), ours=[{"reference": "order-1"}])
    assert closed == [True]


async def test_a_journal_is_read_on_from_the_last_order(tmp_path: Path) -> None:
    """Orders that were written out of the order of their making are read once, and all of them."""
    made = corpus(5_500, 220)
    write_statement(tmp_path / "statement.csv", made.theirs, "jsonl")
    journal, out = tmp_path / "journal.db", tmp_path / "out.jsonl"
    async with pool(journal=journal):
        pass
    write_journal(journal, made.ours)

    async def first() -> None:
        stopping = stop_at("ours", 2_000)()
        await run(pool(journal=journal), tmp_path / "statement.csv", out=out, progress=stopping)

    task = asyncio.ensure_future(first())
    with suppress(asyncio.CancelledError):
        await task
    found, summary = await run(pool(journal=journal), tmp_path / "statement.csv", out=out)
    assert summary.resumed >= len(made.theirs)
    assert planted(found) == made.planted
    assert summary.adds_up
    assert sum(one.rows for one in summary.read if one.side == "ours") == len(made.ours)
