"""Opening a journal in PostgreSQL: what cannot carry money is refused by name, before any."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import paymux
from paymux import NotSent, Pool, UsageError
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.connection import Connection, connected

from ..cli.running import ended
from ..clusters import Cluster, free_port
from ..toys import Desk, Toy, Wire, answer

PASSWORD = "s3cret pass/w:rd"


def sql(url: str, *statements: str) -> list[Any]:
    """Run statements directly, each by itself; return the first value of each."""

    def run() -> list[Any]:
        loop = asyncio.new_event_loop()
        connection: Connection | None = None
        try:
            connection = connected(Address(url), loop)
            return [connection.value(one) for one in statements]
        finally:
            if connection is not None:
                connection.close()
            loop.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


async def opened(url: str) -> None:
    """Open a journal, and close it."""
    journal = PostgresJournal(url)
    try:
        await journal.open()
    finally:
        await journal.aclose()


def collecting(url: str) -> Pool:
    """Return a pool with one toy account."""
    return Pool(Toy(), connection=Wire(Desk(collect=answer(id="id-1"))), journal=url)


async def test_a_new_schema_is_made_once_by_many_at_once(database: str) -> None:
    """Ten workers open a journal that does not exist: all of them have it."""
    journals = [PostgresJournal(database) for _ in range(10)]
    await asyncio.gather(*(journal.open() for journal in journals))
    assert sql(database, "SELECT count(*) FROM schema_version") == [1]
    await asyncio.gather(*(journal.aclose() for journal in journals))


@pytest.mark.parametrize("days", [0, -1, float("nan"), "90", True])
def test_either_journal_is_made_by_its_class(days: Any) -> None:
    """`paymux` has both, with `keep_days`; a wrong number of days is UsageError."""
    url = "postgresql://shop@db.example/shop"
    journal = paymux.PostgresJournal(url, keep_days=90)
    assert journal.engine == "postgresql"
    with pytest.raises(UsageError) as caught:
        paymux.PostgresJournal(url, keep_days=days)
    assert caught.value.name == "keep_days"


@pytest.mark.parametrize("url", [None, 5, b"postgresql://db.example/shop", "payments.db"])
def test_what_is_no_url_is_refused(url: Any) -> None:
    """UsageError with the accepted form, whatever it is."""
    with pytest.raises(UsageError, match="postgresql://user:password@host") as caught:
        paymux.PostgresJournal(url)
    assert caught.value.name == "journal"


async def test_two_schemas_are_two_journals(postgres: Cluster) -> None:
    """A reference of one is free in the other."""
    for schema in ("first_shop", "second_shop"):
        async with collecting(postgres.url(schema)) as pay:
            payment = await pay.collect("toy", amount=500, currency="XAF", reference="order-1")
            assert payment.provider_reference == "id-1"


async def test_a_process_has_two_connections_at_most(database: str) -> None:
    """However many calls are made at once."""
    async with collecting(database) as pay:
        calls = (
            pay.collect("toy", amount=500, currency="XAF", reference=f"order-{number}")
            for number in range(20)
        )
        await asyncio.gather(*calls)
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'paymux'"
        assert sql(database, count)[0] - 1 <= 2  # one asks


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://paymux:pa@w0rd@127.0.0.1/db", "postgresql://paymux:pa/ss@w0rd/db",
        "postgresql://paymux:pass:w0rd@127.0.0.1/db", "postgres://user:pa#ss@w0rd/db",
        "postgresql://u@127.0.0.1:port/db", "postgresql://u@127.0.0.1/db?schema",
        "postgresql://u@127.0.0.1/db?schema=A", "postgresql://u@127.0.0.1/db?schema=pg_x",
        "postgresql://u@127.0.0.1/db?schema=a&schema=b", "postgresql://u@127.0.0.1/db?schema=a;b",
    ],
)  # fmt: skip
def test_a_url_that_may_mean_another_thing_is_refused(url: str) -> None:
    """A password with a separator would put its rest in the place of the host."""
    with pytest.raises(UsageError) as caught:
        PostgresJournal(url)
    assert caught.value.name == "journal"
    assert "w0rd" not in str(caught.value)


@pytest.fixture
def guarded(postgres: Cluster) -> Iterator[Callable[[str], str]]:
    """Return what makes the URL of a user with a password, which owns nothing."""
    literal = PASSWORD.replace("'", "''")
    sql(postgres.url(), f"CREATE ROLE guarded LOGIN PASSWORD '{literal}'")
    yield lambda word: postgres.url("guarded", "guarded", word)
    sql(postgres.url(), "DROP OWNED BY guarded", "DROP ROLE guarded")


def quoted(word: str) -> str:
    """Encode a password for a URL."""
    return word.replace("%", "%25").replace("/", "%2F").replace(":", "%3A").replace(" ", "%20")


async def test_a_wrong_password_is_named_and_never_shown(
    guarded: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """UsageError at the opening; the password is in no text, frame or record."""
    caplog.set_level(logging.DEBUG)
    word = "wr0ng-one/x"
    with pytest.raises(UsageError, match="password authentication failed") as caught:
        async with collecting(guarded(quoted(word))):
            pass
    said = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    # The frame of this test has it, as the caller's own; it ends where paymux begins.
    ours = said[said.rindex("paymux/pool.py") :]
    for text in (ours, str(caught.value), caplog.text, repr(PostgresJournal(guarded("abcd-word")))):
        assert word not in text
        assert quoted(word) not in text
        assert "abcd-word" not in text


async def test_a_user_that_may_not_make_tables_is_told_so(guarded: Callable[[str], str]) -> None:
    """Least privileges: the owner makes the tables, a user with rights on rows runs it."""
    url = guarded(quoted(PASSWORD))
    with pytest.raises(UsageError, match="GRANT CREATE ON DATABASE"):
        await opened(url)
    owner = url.replace(f"guarded:{quoted(PASSWORD)}", "paymux")
    await opened(owner)
    sql(owner, "GRANT USAGE ON SCHEMA guarded TO guarded",
        "GRANT SELECT ON ALL TABLES IN SCHEMA guarded TO guarded")  # fmt: skip
    with pytest.raises(UsageError, match="lacks SELECT, INSERT, UPDATE or DELETE on"):
        await opened(url)
    sql(owner, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA guarded TO guarded",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA guarded TO guarded")  # fmt: skip
    async with collecting(url) as pay:
        await pay.collect("toy", amount=500, currency="XAF", reference="order-1")
    sql(owner, "DROP SCHEMA guarded CASCADE")


async def test_a_missing_database_is_named(postgres: Cluster) -> None:
    """UsageError says which."""
    with pytest.raises(UsageError, match='database "nothing" does not exist'):
        await opened(postgres.url().replace("/postgres?", "/nothing?"))


@pytest.mark.parametrize("word", ["shema=shop", "connect_timeout=3", "work_mem=much"])
async def test_a_parameter_that_the_server_does_not_know_is_named(
    postgres: Cluster, word: str
) -> None:
    """UsageError at the opening: no worker waits for a server that will never take its URL."""
    with pytest.raises(UsageError, match=word.partition("=")[0]):
        await opened(f"{postgres.url()}&{word}")


@pytest.mark.parametrize("verb", ["list", "export", "show", "forget-payer"])
def test_a_command_that_reads_makes_no_journal(postgres: Cluster, verb: str) -> None:
    """A misspelt schema is named: it is neither made, nor shown as a journal without payments."""
    words = {"show": ["order-1"], "forget-payer": ["+237677777777"]}.get(verb, [])
    done = ended("journal", verb, *words, PAYMUX_JOURNAL=postgres.url("mistyped"))
    assert done.exit_code == 2
    assert "there is no journal in it" in done.output
    made = "SELECT count(*) FROM pg_namespace WHERE nspname = 'mistyped'"
    assert sql(postgres.url(), made) == [0]


async def test_a_later_schema_is_left_alone(database: str) -> None:
    """A journal of a later release is refused by name, and not changed."""
    await opened(database)
    sql(database, "UPDATE schema_version SET version = 1000")
    with pytest.raises(UsageError, match="a later release of paymux"):
        await opened(database)


async def test_a_schema_of_something_else_is_left_alone(database: str) -> None:
    """A table of the same name is not ours."""
    schema = database.rpartition("=")[2]
    sql(database, f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.payments (id int)")
    with pytest.raises(UsageError, match="tables of something else"):
        await opened(database)


@pytest.mark.parametrize("columns", ["version bigint", "version text", "id int", ""])
async def test_a_history_of_something_elses_schema_is_not_ours(database: str, columns: str) -> None:
    """Other programs count the steps of their schema in a table of this name, too."""
    schema = database.rpartition("=")[2]
    sql(database, f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.schema_version ({columns})")
    with pytest.raises(UsageError, match="tables of something else"):
        await opened(database)


async def test_without_asyncpg_it_says_what_to_install(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(UsageError, match=r"pip install 'paymux\[postgres\]'"):
        await opened(database)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_may_lose_payments_is_refused(
    postgres: Cluster, database: str, name: str
) -> None:
    """Settings by which a crash of the machine loses what was confirmed."""
    reload = "SELECT pg_reload_conf()"
    sql(postgres.url(), f"ALTER SYSTEM SET {name} = off", reload)
    try:
        await until(lambda: sql(postgres.url(), f"SHOW {name}") == ["off"])
        with pytest.raises(UsageError, match=f"{name} is off"):
            await opened(database)
    finally:
        sql(postgres.url(), f"ALTER SYSTEM RESET {name}", reload)
    await until(lambda: sql(postgres.url(), f"SHOW {name}") == ["on"])


async def until(said: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a real server."""
    end = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_a_commit_is_durable_whatever_the_role_has(postgres: Cluster, database: str) -> None:
    """A role whose sessions do not wait for the disk: those of the journal do."""
    sql(postgres.url(), "ALTER ROLE paymux SET synchronous_commit = off")
    try:
        assert sql(database, "SHOW synchronous_commit") == ["on"]
    finally:
        sql(postgres.url(), "ALTER ROLE paymux RESET synchronous_commit")


@contextlib.contextmanager
def pooler(server: Cluster, folder: Path, mode: str) -> Iterator[int]:
    """Run pgbouncer before a server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    port = free_port()
    config = server.folder / f"pgbouncer-{port}.ini"
    config.write_text(f"""[databases]
* = host=127.0.0.1 port={server.port} user=paymux
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = extra_float_digits
""")
    config.chmod(0o644)
    process = subprocess.Popen(
        [program, str(config)], cwd="/", user=server.user, group=server.user,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


@pytest.mark.parametrize("mode", ["transaction", "statement", "session"])
async def test_a_pooler_is_refused_by_name(
    postgres: Cluster, database: str, tmp_path: Path, mode: str
) -> None:
    """Each of its transactions may be another session's: a lock of one would be had by two."""
    await opened(database)
    with pooler(postgres, tmp_path, mode) as port:
        url = database.replace(f":{postgres.port}/", f":{port}/")
        said = "a pooler lies between|not allowed in statement pooling"
        error: Exception | None = None
        for _ in range(100):
            try:
                await opened(url)
            except OSError:  # it does not listen yet
                await asyncio.sleep(0.05)
            except UsageError as refused:
                error = refused
                break
        assert error is not None
        assert any(word in str(error) for word in said.split("|")), error


@pytest.mark.slow
async def test_a_standby_is_refused_by_name(
    postgres: Cluster, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It grants advisory locks and keeps nothing; its primary has a warning while it may lose."""
    await opened(database)
    standby = Cluster(postgres.folder.parent / "standby")
    postgres.run("pg_basebackup", "-R", "-D", str(standby.data), "-d",
                 f"host=127.0.0.1 port={postgres.port} user=paymux", "-c", "fast")  # fmt: skip
    standby.start()
    try:
        with pytest.raises(UsageError, match="it is a standby"):
            await opened(database.replace(f":{postgres.port}/", f":{standby.port}/"))
        count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        await until(lambda: sql(postgres.url(), count) == [1])
        caplog.clear()
        await opened(database)
        assert "synchronous_standby_names is empty" in caplog.text
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{postgres.port}"
        both = database.replace(f"127.0.0.1:{postgres.port}", hosts)
        await opened(f"{both}&target_session_attrs=primary")
    finally:
        standby.stop()
        shutil.rmtree(standby.folder)


async def test_a_server_that_is_away_stops_no_start(database: str, postgres: Cluster) -> None:
    """The pool opens; what is to be sent is NotSent, until the server is there."""
    before = set(threading.enumerate())
    nobody = database.replace(f":{postgres.port}/", f":{free_port()}/")
    async with collecting(nobody) as pay:
        with pytest.raises(NotSent, match="nothing was sent"):
            await pay.collect("toy", amount=500, currency="XAF", reference="order-1")
    left = set(threading.enumerate()) - before
    assert not [one for one in left if one.name.startswith("paymux")]
