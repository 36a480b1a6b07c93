"""Paths of a journal: wrong files are refused unchanged, and missing files stop orders."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, Payment, Pool, Status, Unavailable, UsageError
from paymux.webhooks import Webhooks

from .toys import BASE, KEY, Desk, Keyless, Wire, answer

PAID = Payment(account="keyless", kind="collect", reference="order-1")


def shop(path: Any, wire: Wire | None = None) -> Pool:
    """Open a pool with a journal at a path."""
    wire = wire or Wire(
        Desk(collect=answer(id="id-1", status="WAIT"), payments=answer(id="id-1", status="OK"))
    )
    return Pool(Keyless(), connection=wire, journal=path, webhook_base=BASE, webhook_key=KEY)


async def collect(pay: Pool, reference: str = "order-1") -> Payment:
    """Collect from the pool's only account."""
    return await pay.collect("keyless", amount=500, currency="XAF", reference=reference)


async def take(pay: Pool, name: str = "fulfilled") -> bool:
    """Acquire a once-lock and complete it."""
    async with pay.once(PAID, name) as first:
        return bool(first)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


def somebody_elses(path: Path, *statements: str) -> Path:
    """Make a database of another program."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
    return path


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing folder": (
        lambda folder: folder / "nowhere" / "payments.db",
        "folder does not exist",
    ),
    "an empty path": (lambda _: "", "the path is empty"),
    "blanks": (lambda _: "  ", "the path is empty"),
    "memory": (lambda _: ":memory:", "leave `journal` out in tests"),
    "a folder": (lambda folder: folder, "it is a folder"),
    "a folder, by a link": (lambda folder: linked(folder / "link", folder), "it is a folder"),
    "below a file": (lambda folder: written(folder / "file", b"") / "payments.db", "folder"),
    "a device": (lambda _: "/dev/null", "no ordinary file"),
    "a null byte": (lambda _: "pay\0ments.db", "no file can have this name"),
    "a lone surrogate": (lambda folder: f"{folder}/\ud800/payments.db", "refused"),
    "a long name": (lambda folder: folder / ("x" * 300), "too long"),
    "a link to itself": (lambda folder: linked(folder / "self", folder / "self"), "refused"),
    "a text": (lambda folder: written(folder / "notes.txt", b"hello " * 1000), "not a database"),
    "a short text": (lambda folder: written(folder / "notes.txt", b"hello"), "not a database"),
    "another program's": (
        lambda folder: somebody_elses(folder / "shop.db", "CREATE TABLE invoices (id)"),
        "the database of something else",
    ),
    "another program's, of a version": (
        lambda folder: somebody_elses(
            folder / "shop.db", "CREATE TABLE invoices (id)", "PRAGMA user_version = 1"
        ),
        "the database of something else",
    ),
    "another program's payments": (
        lambda folder: somebody_elses(
            folder / "shop.db",
            *(f"CREATE TABLE {name} (id)" for name in ("payments", "facts", "hints", "turns")),
            "PRAGMA user_version = 2",
        ),
        "the database of something else",
    ),
    "another program's log": (
        lambda folder: somebody_elses(
            folder / "shop.db", "PRAGMA journal_mode = WAL", "CREATE TABLE invoices (id)"
        ),
        "the database of something else",
    ),
    "a later release's": (
        lambda folder: somebody_elses(
            folder / "shop.db",
            "CREATE TABLE payments (account, kind, reference, state, status, payment, digest)",
            *(f"CREATE TABLE {name} (id)" for name in ("facts", "hints", "turns")),
            "PRAGMA user_version = 99",
        ),
        "later release",
    ),
}


def linked(path: Path, to: Path) -> Path:
    """Make a symbolic link."""
    path.symlink_to(to)
    return path


def written(path: Path, content: bytes) -> Path:
    """Write a file."""
    path.write_bytes(content)
    return path


def content(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


@pytest.mark.parametrize("what", BAD)
async def test_what_can_be_no_journal_is_refused_at_the_start(tmp_path: Path, what: str) -> None:
    """A wrong path is UsageError at `async with`; the file there stays unchanged."""
    make, why = BAD[what]
    path = make(tmp_path)
    before = content(tmp_path)
    wire = Wire(Desk())
    pay = shop(path, wire)
    with pytest.raises(UsageError, match=why) as caught:
        async with pay:
            pytest.fail("entered")
    assert caught.value.name == "journal"
    pay = shop(path, wire)
    with pytest.raises(UsageError, match="journal"):
        await collect(pay)
    await pay.aclose()
    assert wire.seen == []
    assert content(tmp_path) == before


@pytest.mark.parametrize("journal", [5, b"payments.db", True, ["payments.db"]])
async def test_a_journal_that_is_no_path_is_refused(journal: Any) -> None:
    """Neither a path nor a journal: UsageError, and no foreign exception."""
    with pytest.raises(UsageError, match="journal"):
        async with shop(journal):
            pytest.fail("entered")


@pytest.mark.parametrize("what", ["a missing folder", "another program's"])
async def test_a_server_says_why_it_does_not_start(tmp_path: Path, what: str) -> None:
    """Webhooks report a wrong journal as an ASGI lifespan: startup.failed, with the reason."""
    make, why = BAD[what]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def hear(_: Payment) -> None:
        pytest.fail("told")

    await Webhooks(shop(make(tmp_path)), hear)({"type": "lifespan"}, receive, send)
    (said,) = sent
    assert said["type"] == "lifespan.startup.failed"
    assert why in said["message"]


async def test_a_journal_that_may_not_be_written_is_refused(file: Path) -> None:
    """A file or folder that this user may not write is UsageError at the start."""
    if os.geteuid() == 0:
        with pytest.raises(UsageError, match="may not be written"):
            raise _translated(file)
        return
    file.touch(stat.S_IRUSR)
    with pytest.raises(UsageError, match="may not be written"):
        async with shop(file):
            pytest.fail("entered")


def _translated(file: Path) -> Exception:
    # As root every file is writable: so the function that translates the system's error is tested
    # instead.
    from paymux.journal.sqlite.file_location import translated  # noqa: PLC0415 - of this one branch

    return translated(file, PermissionError(13, "Permission denied"))


async def test_opening_does_not_hold_up_the_loop(file: Path) -> None:
    """While waiting for a file that another program has locked, the event loop goes on."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    entering = asyncio.create_task(shop(file).__aenter__())
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not entering.done()
    other.execute("ROLLBACK")
    other.close()
    await (await entering).aclose()


async def test_a_changed_folder_changes_no_journal(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is relative to the folder in which the pool was made."""
    monkeypatch.chdir(file.parent)
    pay = shop("payments.db")
    (file.parent / "elsewhere").mkdir()
    monkeypatch.chdir(file.parent / "elsewhere")
    async with pay:
        await collect(pay)
    assert file.exists()
    assert list((file.parent / "elsewhere").iterdir()) == []


def everything(file: Path) -> Iterator[Path]:
    """List the database and SQLite's files next to it."""
    return (one for one in file.parent.iterdir() if one.name.startswith(file.name))


def deleted(file: Path) -> None:
    """Delete the database and its log."""
    for one in everything(file):
        one.unlink()


def moved(file: Path) -> None:
    """Move the database to another folder, with its log."""
    (file.parent / "old").mkdir()
    for one in list(everything(file)):
        one.rename(file.parent / "old" / one.name)


def replaced(file: Path) -> None:
    """Replace the database with an empty file."""
    deleted(file)
    file.touch()


def restored(file: Path) -> None:
    """Replace the database with a copy."""
    backup = file.with_name("backup")
    shutil.copy(file, backup)
    backup.replace(file)


TAKEN: dict[str, Callable[[Path], None]] = {
    "deleted": deleted,
    "moved": moved,
    "replaced": replaced,
    "restored from a backup": restored,
}


@pytest.mark.parametrize("how", TAKEN)
async def test_no_money_is_sent_into_a_file_that_is_missing(file: Path, how: str) -> None:
    """After the file was removed: NotSent with the reason; no once-lock, no message."""
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with shop(file, wire) as pay:
        await collect(pay)
        TAKEN[how](file)
        with pytest.raises(NotSent, match=r"moved or deleted|another file was put"):
            await collect(pay, "order-2")
        with pytest.raises(Unavailable, match=r"moved or deleted|another file was put"):
            await take(pay)
        assert len(wire.seen) == 1


async def test_an_order_that_is_being_sent_when_the_file_goes_is_not_sent(file: Path) -> None:
    """If the file is deleted between the intent and the request, the request is not sent."""

    def respond(_: object) -> Any:
        deleted(file)
        return answer(token="t1")

    from .toys import Toy  # noqa: PLC0415 - it logs in first: then the file is deleted

    wire = Wire(respond)
    async with Pool(Toy(), connection=wire, journal=file) as pay:
        with pytest.raises(NotSent):
            await pay.collect("toy", amount=500, currency="XAF", reference="order-1")
    assert wire.paths("/collect") == []


async def test_a_file_that_is_put_back_is_used_again(file: Path) -> None:
    """After the file was moved away and back, orders go on, and none is forgotten."""
    async with shop(file) as pay:
        await collect(pay)
        moved(file)
        with pytest.raises(NotSent):
            await collect(pay, "order-2")
        for one in list((file.parent / "old").iterdir()):
            one.rename(file.parent / one.name)
        await collect(pay, "order-2")
    async with shop(file) as pay:
        assert [one.reference async for one in pay.payments()] == ["order-1", "order-2"]


async def test_an_answer_follows_a_file_that_was_moved(file: Path) -> None:
    """A charge in flight while the file was moved away is stored in the moved file."""

    def respond(_: object) -> Any:
        moved(file)
        return answer(id="id-1", status="OK")

    async with shop(file, Wire(respond)) as pay:
        assert (await collect(pay)).status is Status.SUCCEEDED
    async with shop(file.parent / "old" / file.name) as pay:
        assert [one.status async for one in pay.payments()] == [Status.SUCCEEDED]


async def test_an_answer_that_cannot_be_kept_any_more_is_told(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A charge in flight while the file was deleted is named in one ERROR at the end."""

    def respond(_: object) -> Any:
        deleted(file)
        return answer(id="id-1", status="OK")

    async with shop(file, Wire(respond)) as pay:
        assert (await collect(pay)).status is Status.SUCCEEDED
        caplog.clear()
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert all(word in said for word in ("keyless", "order-1", "succeeded", "id-1"))


@pytest.mark.parametrize("gone", [["-wal", "-shm"], ["-wal"], ["-shm"]])
async def test_a_cleaner_next_to_the_journal_loses_nothing(file: Path, gone: list[str]) -> None:
    """If SQLite's -wal and -shm files are deleted, nothing is lost, and once-locks stay unique."""
    async with shop(file) as one:
        assert await take(one)
        await collect(one)
        for end in gone:
            Path(f"{file}{end}").unlink()
        async with shop(file) as two:
            assert not await take(two)
            assert not await take(one)
            await collect(one, "order-2")
            assert [found.reference async for found in two.payments()] == ["order-1", "order-2"]
    async with shop(file) as pay:
        assert [found.reference async for found in pay.payments()] == ["order-1", "order-2"]
        assert not await take(pay)
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_hard_link_is_the_same_journal(file: Path) -> None:
    """Two names of one file share one log and its once-locks."""
    async with shop(file) as one:
        await collect(one)
        other = file.with_name("other.db")
        other.hardlink_to(file)
        async with shop(other) as two:
            assert await take(two)
            assert not await take(one)
            assert [found.reference async for found in two.payments()] == ["order-1"]
    assert not [found.name for found in file.parent.iterdir() if found.name.startswith("other.db-")]
    async with shop(other) as pay:
        assert [found.reference async for found in pay.payments()] == ["order-1"]
        assert not await take(pay)
