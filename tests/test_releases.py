"""Every later release opens the journals of every release, and two at once lose nothing.

`golden/journal-<release>.db` is never edited. Next to it are the program that made it and the names
of the lock files that its dead workers had left.
"""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paymux import Payment, Pool, Status, UsageError
from paymux.journal.sqlite import SqliteJournal
from paymux.journal.sqlite.schema import VERSION

from .toys import Desk, Findable, Wire, answer

GOLDEN = Path(__file__).parent / "golden"
STORED = {
    ("collect", "cancelled"): Status.CANCELLED,
    ("collect", "expired"): Status.EXPIRED,
    ("collect", "failed"): Status.FAILED,
    ("collect", "intent"): Status.PENDING,
    ("collect", "pending"): Status.PENDING,
    ("collect", "refunded"): Status.REFUNDED,
    ("collect", "sending"): Status.PENDING,
    ("collect", "sending-too"): Status.PENDING,
    ("collect", "shared"): Status.SUCCEEDED,
    ("collect", "succeeded"): Status.SUCCEEDED,
    ("collect", "unknown"): Status.PENDING,
    ("payout", "shared"): Status.FAILED,
    ("refund", "shared"): Status.PENDING,
}
OPEN = {"intent", "pending", "sending", "sending-too", "shared", "unknown"}


@pytest.fixture(params=sorted(GOLDEN.glob("journal-*.db")), ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of a stored journal, with the lock files of its dead workers."""
    stored: Path = request.param
    copy = tmp_path / stored.name
    shutil.copy(stored, copy)
    for name in stored.with_suffix(".workers").read_text("utf-8").split():
        (tmp_path / name).touch()
    return copy


def shop(file: Path, wire: Wire | None = None) -> Pool:
    """Open a pool whose provider says of every payment that it was paid."""
    paid = answer(status="OK", amount="500", currency="XAF")
    return Pool(
        Findable(account="shop"),
        connection=wire or Wire(Desk(find=paid, payments=paid)),
        journal=file,
    )


async def test_a_stored_journal_is_opened_and_listed(file: Path) -> None:
    """Every payment reads as before; the file is upgraded; dead workers leave no lock file.

    What was refused or never sent is in the file, and no payment.
    """
    async with shop(file) as pay:
        listed = [one async for one in pay.payments()]
    assert {(one.kind, one.reference): one.status for one in listed} == STORED
    assert {(one.account, one.provider, str(one.amount), one.currency) for one in listed} == {
        ("shop", "campay", "500", "XAF")
    }
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert [one.name for one in file.parent.iterdir()] == [file.name]


async def test_a_stored_journal_is_recovered(file: Path) -> None:
    """Open rows are recovered once, unsent ones are reported, and nothing is sent."""
    paid = answer(status="OK", amount="500", currency="XAF")
    wire = Wire(Desk(find=paid, payments=paid))
    async with shop(file, wire) as pay:
        found = {str(one.payment.reference): one async for one in pay.recover()}
        assert set(found) == OPEN
        assert found["intent"].advice == "never sent; repeat it freely"
        ended = {name: one.payment.status for name, one in found.items() if name != "intent"}
        assert ended == dict.fromkeys(OPEN - {"intent"}, Status.SUCCEEDED)
        assert [one async for one in pay.recover()] == []
    assert [one for one in wire.seen if one.money] == []


async def test_a_stored_journal_s_turns_and_messages_mean_what_they_meant(file: Path) -> None:
    """A completed once-lock stays completed, a dead worker's is free, as are open messages."""
    payment = Payment(account="shop", kind="collect", reference="succeeded")
    async with shop(file) as pay:
        firsts = {}
        for name in ("fulfilled", "on_payment succeeded", "begun", "given back"):
            async with pay.once(payment, name) as first:
                firsts[name] = bool(first)
    assert firsts == {
        "fulfilled": False,
        "on_payment succeeded": False,
        "begun": True,
        "given back": True,
    }
    journal = SqliteJournal(file)
    messages = await journal.claim_events(99)
    await journal.aclose()
    assert [one.claims.provider_reference for one in messages] == [
        "id-pending",
        "id-unknown",
        "id-nobody",
        "id-refunded",
    ]


# What a worker of 66da90d08d8cc5a48ba6c81eaff545af403021f3 does with the file (journal/liveness.py,
# schema.py and sqlite.py), statement for statement: lock file, opening, and an order until its
# answer.
EARLIER = """
    import json, sqlite3, sys
    from datetime import UTC, datetime

    file, name = sys.argv[1], "0123456789abcdef0123456789abcdef"
    lock = sqlite3.connect(f"{file}-worker-{name}", timeout=0, isolation_level=None)
    lock.execute("PRAGMA journal_mode=MEMORY")
    lock.execute("BEGIN EXCLUSIVE")
    db = sqlite3.connect(file, timeout=10.0, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute("COMMIT")
    if version > 1:
        sys.exit(f"the journal was written by a later release (schema {version})")
    if "copied" in sys.argv:
        # A copy from inside drops SQLite's locks: no process can see this worker any more.
        open(file, "rb").close()
    print("open", flush=True)
    for line in sys.stdin:
        at, payment = datetime.now(UTC).isoformat(timespec="microseconds"), json.loads(line)
        key, text = ("shop", "collect", payment["reference"]), line.strip()
        known = json.dumps({**payment, "provider_reference": "id-late", "status": "succeeded"})
        fact = '''INSERT INTO facts (account, kind, reference, at, source, state, status, payment)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?)'''
        of = "WHERE account = ? AND kind = ? AND reference = ?"
        db.execute("BEGIN IMMEDIATE")
        db.execute('''INSERT INTO payments (account, kind, reference, state, status, amount,
            currency, party, digest, payment, created_at, updated_at, worker)
            VALUES (?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?)''',
            (*key, "pending", "500", "XAF", None, "digest", text, at, at, name))
        db.execute(fact, (*key, at, "intent", "intent", "pending", text))
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.execute(f'''UPDATE payments SET state = 'sending', updated_at = ?
                       {of} AND state = 'intent' AND worker = ?''', (at, *key, name))
        db.execute(fact, (*key, at, "sending", "sending", "pending", text))
        db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        db.execute(f'''UPDATE payments SET state = ?, status = ?, provider_reference = ?,
            payment = ?, updated_at = ?,
            worker = CASE WHEN ? = 'answer' AND worker = ? THEN NULL ELSE worker END {of}''',
            ("accepted", "succeeded", "id-late", known, at, "answer", name, *key))
        db.execute(fact, (*key, at, "answer", "accepted", "succeeded", known))
        db.execute("INSERT OR REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?)",
                   (*key, "on_payment succeeded", at, name, "its caller"))
        event = json.dumps({"account": "shop", "claims": {"account": "shop"}})
        db.execute('''INSERT INTO hints (account, reference, provider_reference, at, event, worker)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (account, event) DO UPDATE SET worker = excluded.worker''',
            ("shop", None, "id-late", at, event, name))
        db.execute("COMMIT")
        print("written", flush=True)
"""


@contextlib.contextmanager
def earlier(file: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker of the earlier release that has the journal open."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(EARLIER), str(file), *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("way", ["as it is", "by a symbolic link", "by a hard link"])
async def test_a_living_earlier_worker_is_named(file: Path, tmp_path: Path, way: str) -> None:
    """While a worker of the earlier release has the file open, this one refuses it by name."""
    theirs = tmp_path / "theirs.db"
    if way == "by a symbolic link":
        theirs.symlink_to(file)
    elif way == "by a hard link":
        theirs.hardlink_to(file)
    with earlier(file if way == "as it is" else theirs) as worker:
        wire = Wire(Desk())
        with pytest.raises(UsageError, match=rf"earlier release .*\(process {worker.pid}\)"):
            async with shop(file, wire):
                pytest.fail("entered")
        assert wire.seen == []
        with contextlib.closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] == 1
        told(worker, "by-the-earlier")
    async with shop(file) as pay:
        assert "by-the-earlier" in {one.reference async for one in pay.payments()}


async def test_what_an_earlier_worker_writes_unseen_is_found(file: Path) -> None:
    """A worker unseen at the upgrade lives on: its statements hold, and its order is listed."""
    with earlier(file, "copied") as worker:
        async with shop(file) as pay:
            told(worker, "written-late")
            listed = {one.reference: one async for one in pay.payments()}
            assert listed["written-late"].status is Status.SUCCEEDED
            event = Payment(account="shop", kind="collect", reference="written-late")
            async with pay.once(event, "on_payment succeeded") as first:
                assert not first, "that worker lives"


def test_an_earlier_release_refuses_this_one_s_file(tmp_path: Path) -> None:
    """The earlier release reads the version first, and does not change a newer file."""
    file = tmp_path / "payments.db"
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA user_version = {VERSION}")
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EARLIER), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert f"later release (schema {VERSION})" in ended.stderr


def told(worker: subprocess.Popen[str], reference: str) -> None:
    """Let an earlier worker send an order and record its end."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    payment: dict[str, Any] = {
        "account": "shop",
        "kind": "collect",
        "reference": reference,
        "amount": "500",
    }
    worker.stdin.write(json.dumps({**payment, "currency": "XAF", "live": False}) + "\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "written\n"
