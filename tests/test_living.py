"""A slice of `benchmarks/bench_living.py`, and the lock that shows a live worker."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paymux.journal.sqlite.liveness import FileWorker
from paymux.journal.sqlite.locks import files

from .campaigns.living import WAYS, tried

pytestmark = pytest.mark.slow

SLICE = (
    "by a link",
    "by a hard link",
    "everything beside cleaned",
    "renamed with its log",
    "copied from inside and looked at",
    "forked and used",
    "killed with a living child",
)


def test_there_are_many_ways() -> None:
    """R20: at least eight ways to name, link, move, clean and back up a journal, and to fork."""
    assert len(WAYS) >= 8
    assert set(SLICE) <= set(WAYS)


@pytest.mark.parametrize("way", SLICE)
def test_a_turn_is_one_living_worker_s(way: str) -> None:
    """In any of these cases nothing is doubled, and a dead worker's rows are claimed."""
    found = tried(way, turns=4)
    assert (found.doubled, found.stuck) == (0, 0), found
    assert found.refused == ""


OTHER = """
import sys
from pathlib import Path
from paymux.journal.sqlite.liveness import FileWorker
worker = FileWorker(Path(sys.argv[1]))
worker.begin()
print(worker.name, flush=True)
sys.stdin.read()
"""


def test_a_worker_lives_until_it_ends_or_dies(tmp_path: Path) -> None:
    """A worker is alive by its name, in any process, whatever files are opened and closed."""
    file = tmp_path / "payments.db"
    one, two = FileWorker(file), FileWorker(file)
    assert not one.lives(None)
    assert not one.lives("")
    one.begin()
    two.begin()
    one.begin()
    assert one.name != two.name
    command = [sys.executable, "-c", OTHER, str(file)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        third = other.stdout.readline().strip()
        for path in (file, shutil.copy(file, tmp_path / "copy")):
            Path(path).read_bytes()
        assert [one.lives(name) for name in (one.name, two.name, third, "0" * 16, "0" * 32)] == [
            True,
            True,
            True,
            False,
            False,
        ]
        two_s = two.name
        two.end()
        assert not one.lives(two_s)
        other.kill()
        other.wait()
        assert not one.lives(third)
    finally:
        other.kill()
        other.communicate()
        one.end()


def test_a_deleted_journal_s_descriptor_is_let_go_of() -> None:
    """Fifty deleted journals leave no open file descriptor."""
    with tempfile.TemporaryDirectory() as folder:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(50):
            file = Path(folder) / f"{number}.db"
            for _ in range(3):
                worker = FileWorker(file)
                worker.begin()
                worker.end()
            file.unlink()
        files.open(Path(folder) / "last.db")
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


@pytest.mark.parametrize("name", ["payments.db", "payments.db.link"])
def test_litter_of_the_dead_is_removed(tmp_path: Path, name: str) -> None:
    """Lock files of dead workers of an earlier release are removed at the next start."""
    file = tmp_path / "payments.db"
    file.touch()
    (tmp_path / "payments.db.link").symlink_to(file)
    dead = [tmp_path / f"{path}-worker-{'0123456789abcdef' * 2}" for path in {"payments.db", name}]
    kept = tmp_path / "payments.db-worker-notes.txt"
    for path in (*dead, kept):
        path.touch()
    FileWorker(tmp_path / name).tidy()
    assert [path for path in dead if path.exists()] == []
    assert kept.exists()


def test_where_the_system_has_no_such_locks_a_file_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On other systems a worker locks a file next to the journal, also by a link to it."""
    monkeypatch.setattr("paymux.journal.sqlite.liveness.HERE", False)
    file = tmp_path / "payments.db"
    file.touch()
    link = tmp_path / "link.db"
    link.symlink_to(file)
    one, two = FileWorker(file), FileWorker(link)
    one.begin()
    two.begin()
    assert two.lives(one.name)
    assert one.lives(two.name)
    assert two.beside() == [one.name]
    name = one.name
    one.end()
    assert not two.lives(name)
    two.end()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.db", "payments.db"]
