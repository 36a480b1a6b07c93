"""Where a journal lies: a path or a URL, as an option, in a config file or in a variable."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, Pool, SqliteJournal, UsageError
from paymux.journal.postgres import PostgresJournal

from .cli.running import ended
from .test_redaction import _rendered
from .toys import Desk, Toy, Wire, answer

ACCOUNTS = {"accounts": {"a": {"driver": "campay", "access_token": "t"}}}
VARIABLES = {"PAYMUX_A__DRIVER": "campay", "PAYMUX_A__ACCESS_TOKEN": "t"}
PASSWORD = "s3cr3t-of-the-database"
AWAY = f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop"


def _journal(pool: Pool) -> Any:
    return pool._engine.store.journal


@pytest.mark.parametrize("url", [AWAY, AWAY.replace("postgresql", "postgres")])
@pytest.mark.parametrize("way", ["option", "file", "variable"])
def test_a_url_is_a_journal_in_postgresql(way: str, url: str) -> None:
    """Each way names either engine; the URL's password is not even in a `repr`."""
    made: dict[str, Callable[[str], Pool]] = {
        "option": lambda where: Pool(journal=where),
        "file": lambda where: Pool.from_config({**ACCOUNTS, "journal": where}),
        "variable": lambda where: Pool.from_env({**VARIABLES, "PAYMUX_JOURNAL": where}),
    }
    journal = _journal(made[way](url))
    assert isinstance(journal, PostgresJournal)
    assert PASSWORD not in repr(journal)
    assert "127.0.0.1" in repr(journal)
    file = _journal(made[way]("shop.db"))
    assert isinstance(file, SqliteJournal)


def test_a_config_file_names_its_journal(tmp_path: Path) -> None:
    """A key at the top of the file; an argument goes before it, also None."""
    config = tmp_path / "accounts.toml"
    config.write_text('journal = "shop.db"\n[accounts.a]\ndriver = "campay"\naccess_token = "t"\n')
    assert _journal(Pool.from_config(config))._path == str(Path.cwd() / "shop.db")
    other = Pool.from_config(config, journal=tmp_path / "other.db")
    assert _journal(other)._path == str(tmp_path / "other.db")
    assert _journal(Pool.from_config(config, journal=None)) is None
    assert _journal(Pool.from_env({**VARIABLES, "PAYMUX_JOURNAL": ""})) is None


@pytest.mark.parametrize("where", [5, 1.5, ["shop.db"], True])
def test_what_is_no_place_is_refused(where: Any) -> None:
    """A number or a list in a config is UsageError, before anything is opened."""
    with pytest.raises(UsageError) as caught:
        Pool.from_config({**ACCOUNTS, "journal": where})
    assert caught.value.name == "journal"


BAD = [
    f"postgresql://shop:{PASSWORD}@x@127.0.0.1/shop",
    f"postgresql://shop:{PASSWORD}/x@127.0.0.1/shop",
    f"postgresql://shop:{PASSWORD}@127.0.0.1/shop?schema=No",
    f"postgresql://shop:{PASSWORD}@[::1/shop",
    f"postgresql:/shop:{PASSWORD}@127.0.0.1/shop",
    f"postgresql+asyncpg://shop:{PASSWORD}@127.0.0.1/shop",
    f"POSTGRESQL:shop:{PASSWORD}@127.0.0.1",
    f"postgresql://127.0.0.1/shop?password={PASSWORD}&schema=a&schema=b",
    f"postgre://shop:{PASSWORD}@127.0.0.1/shop",
    f"postgresql//shop:{PASSWORD}@127.0.0.1/shop",
    f"'postgresql://shop:{PASSWORD}@127.0.0.1/shop'",
    f"mysql://shop:{PASSWORD}@127.0.0.1/shop",
    f"host=127.0.0.1 dbname=shop user=shop password={PASSWORD}",
]


@pytest.mark.parametrize("url", BAD)
@pytest.mark.parametrize(
    "attempt",
    [
        lambda url: Pool(journal=url),
        lambda url: Pool.from_config({**ACCOUNTS, "journal": url}),
        lambda url: Pool.from_config(ACCOUNTS, journal=url),
        lambda url: Pool.from_env({**VARIABLES, "PAYMUX_JOURNAL": url}),
        lambda url: Pool.from_env(VARIABLES, journal=url),
        PostgresJournal,
        lambda url: Pool(Toy(), Toy(), journal=url),
        lambda url: Pool(journal=url, deadline=-1),
    ],
)
def test_no_error_shows_the_password(attempt: Callable[[str], object], url: str) -> None:
    """Neither an error nor a frame of paymux has it, whatever else is wrong with the URL."""
    with pytest.raises(UsageError) as caught:
        attempt(url)
    assert PASSWORD not in _rendered(caught.value)


@pytest.mark.parametrize("server", ["127.0.0.1:1", "no-such-host.invalid"])
async def test_a_server_that_is_away_shows_no_password(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its errors and its log records name the server and the user, never the password."""
    caplog.set_level(logging.DEBUG)
    url = AWAY.replace("127.0.0.1:1", server)
    async with Pool(Toy(), connection=Wire(lambda _: answer(id="p1")), journal=url) as pay:
        with pytest.raises(NotSent) as caught:
            await pay.collect("toy", amount=5, currency="XAF", reference="order-1", deadline=1)
        found = await pay.health(deadline=1)
    assert found.state == "down"
    said = _rendered(caught.value) + caplog.text + repr(found)
    assert PASSWORD not in said


def test_a_command_shows_no_password() -> None:
    """`paymux journal` takes the URL from its variable, and says only what is wrong."""
    for url in (AWAY, *BAD):
        done = ended("journal", "list", PAYMUX_JOURNAL=url)
        assert done.exit_code == (4 if url == AWAY else 2), "a database that is away: later"
        assert "journal" in done.output
        assert PASSWORD not in done.output
    missing = ended("journal", "list", "no-such-file.db")
    assert missing.exit_code == 2
    assert "there is no such file" in missing.output


def test_a_payment_is_shown_from_the_journal_of_the_variable(tmp_path: Path) -> None:
    """One word is the reference, two are a journal and it; without a journal both are asked for."""
    file = tmp_path / "shop.db"

    async def collected() -> None:
        pool = Pool(Toy(), connection=Wire(Desk(collect=answer(id="p1"))), journal=file)
        async with pool as pay:
            await pay.collect("toy", amount=5, currency="XAF", reference="order-1")

    asyncio.run(collected())
    for words, given in (["order-1"], str(file)), ([str(file), "order-1"], "another.db"):
        done = ended("journal", "show", *words, PAYMUX_JOURNAL=given)
        assert (done.exit_code, '"p1"' in done.output) == (0, True), done.output
    for words in ["order-1"], [str(file), "order-1", "more"]:
        done = ended("journal", "show", *words, PAYMUX_JOURNAL="")
        assert done.exit_code == 2
        assert "PAYMUX_JOURNAL" in done.output or "[FILE] REFERENCE" in done.output


def test_a_list_shows_each_reference_whole(tmp_path: Path) -> None:
    """Also a long one in a narrow window: it is what `show` is asked with."""
    file, long = tmp_path / "shop.db", "order-1f0c3a52-6a44-4b7f-9d51-0c2b8a7e6d13"

    async def collected() -> None:
        pool = Pool(Toy(), connection=Wire(Desk(collect=answer(id="p1"))), journal=file)
        async with pool as pay:
            await pay.collect("toy", amount=5, currency="XAF", reference=long)

    asyncio.run(collected())
    done = ended("journal", "list", str(file), COLUMNS="40")
    assert done.stdout.splitlines()[1].split("\t")[3] == long
