"""What every journal promises about the fingerprints of `id_key`s."""

from typing import Any

from .conftest import Engine


async def test_the_first_fingerprint_of_an_account_stays(worker: Any) -> None:
    """Whichever worker comes with another one later is told the first."""
    one, two = await worker(), await worker()
    assert await one.id_keys.kept("mtn", live=True) == ""
    assert await one.id_keys.keep("mtn", "aa", live=True) == "aa"
    assert await two.id_keys.keep("mtn", "bb", live=True) == "aa"
    assert await two.id_keys.kept("mtn", live=True) == "aa"


async def test_a_sandbox_and_another_account_have_their_own(worker: Any) -> None:
    """What is tried in a sandbox binds no money."""
    one = await worker()
    assert await one.id_keys.keep("mtn", "aa", live=True) == "aa"
    assert await one.id_keys.keep("mtn", "bb", live=False) == "bb"
    assert await one.id_keys.keep("wave", "cc", live=True) == "cc"


async def test_it_is_a_note_that_earlier_releases_leave_alone(engine: Engine, worker: Any) -> None:
    """The tables are those of before, so each stored journal stays readable."""
    one = await worker()
    await one.id_keys.keep("mtn", "aa", live=True)
    found = engine.query("SELECT name, value FROM notes WHERE name LIKE 'id_key %'")
    assert [tuple(row) for row in found] == [("id_key live mtn", "aa")]
