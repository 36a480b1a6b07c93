"""The way to a provider, and to a database: what is broken there is named, and mended."""

import asyncio
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from paymux import Pool, Status
from paymux.cli.checks import Finding

from ..clusters import Cluster, program
from .shops import Shop, wrong

OLD = timedelta(days=3)


@asynccontextmanager
async def _host(
    date: Callable[[], datetime], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Answer every request with 404 and a Date, on a port of this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 404 Not Found\r\nDate: {format_datetime(date(), usegmt=True)}\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _at(shop: Shop, url: str) -> None:
    shop.change(f'base_url = "{shop.sim.providers["campay"].url}/api"', f'base_url = "{url}"')


async def _named(shop: Shop, check: str) -> Finding:
    (named,) = [one for one in wrong(await shop.examine(only=check)) if one.check == check]
    return named


@pytest.mark.parametrize("minutes", [-5, 5])
async def test_a_wrong_clock_is_named(shop: Shop, minutes: int) -> None:
    """Beyond a minute it is a problem, in both directions; the command sets the clock."""
    off = timedelta(minutes=minutes)
    async with _host(lambda: _now() - off) as port:
        _at(shop, f"http://localhost:{port}")
        named = await _named(shop, "network.clock")
        assert named.about == "localhost"
        assert ("ahead of" if minutes > 0 else "behind") in named.said.en
        assert named.mend is not None
        assert named.mend.command.endswith("timedatectl set-ntp true")
        # The clock of this machine is not set by a test: the other one is.
        off = timedelta(seconds=30)
        assert wrong(await shop.examine(only="network.clock")) == []


async def test_a_name_without_an_address_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host of the configuration that DNS does not know goes; the login tells nothing more."""
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host in ("127.0.0.1", "localhost"):
            return real(host, *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    _at(shop, "https://demo.campai.invalid/api")
    named = await _named(shop, "network.dns")
    assert named.about == "demo.campai.invalid"
    for check in ("network.reach", "account.login"):
        assert wrong(await shop.examine(only=check)) == []
    shop.paste(named)
    lines = shop.path.read_text().splitlines()
    assert [line[:3] for line in lines if "campai" in line] == ["# b"]


async def test_a_certificate_that_is_refused_is_named(shop: Shop) -> None:
    """A proxy that opens TLS is told apart from a host that is away; its certificate mends it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(shop.folder / "office.pem"))
    async with _host(_now, context) as port:
        _at(shop, f"https://localhost:{port}/api")
        named = await _named(shop, "network.reach")
        assert "certificate is refused" in named.said.en
        shop.paste(named, fill=f'"{shop.folder}/office.pem"')
        assert wrong(await shop.examine(only="network.reach")) == []


@pytest.mark.slow
async def test_a_simulator_that_does_not_run_is_started(shop: Shop) -> None:
    """An address of this machine that is silent: the command starts the simulator there."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    _at(shop, f"http://localhost:{port}/campay/api")
    named = await _named(shop, "network.reach")
    assert named.mend is not None
    assert named.mend.command == f"paymux simulator --port {port}"


async def _order(shop: Shop, journal: object) -> None:
    """Leave an order open."""
    driver = shop.sim.driver("campay")
    async with Pool(driver, journal=str(journal)) as pool:
        payment = await pool.collect(
            "campay", amount=5, currency="XAF", payer="237677777774", reference="order-1"
        )
        assert payment.status is Status.PENDING


async def test_an_order_that_is_open_for_days_is_counted(shop: Shop) -> None:
    """Orders of today are none of its business; the journal keeps every row that it had."""
    path = shop.folder / "payments.db"
    await _order(shop, path)
    path.chmod(0o600)
    assert wrong(await shop.examine(only="journal")) == []
    with sqlite3.connect(path) as db:
        db.execute("UPDATE payments SET created_at = ?", ((_now() - OLD).isoformat(),))
    db.close()
    rows = _rows(path)
    named = await _named(shop, "journal.open")
    assert named.said.en.endswith(": 1")
    assert named.mend is not None
    assert named.mend.command == f"paymux --config {shop.path} recover"
    assert _rows(path) == rows


def _rows(path: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(path) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        ]
        found = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608
    db.close()
    return found


@pytest.mark.slow
async def test_a_database_is_examined_as_it_is(shop: Shop, database: str) -> None:
    """A journal in PostgreSQL: orders are counted, and each row that was there is there after."""
    await _order(shop, database)
    shop.change(f'"{shop.folder}/payments.db"', f'"{database}"')
    found = await shop.examine(only="journal")
    assert {one.result for one in found if one.check == "journal.write"} == {"ok"}
    assert [one for one in wrong(found) if one.check == "journal.open"] == []


@pytest.mark.slow
async def test_a_server_without_fsync_is_refused_and_mended(
    shop: Shop, postgres: Cluster, database: str
) -> None:
    """What could lose a payment is a problem; the command changes the server's setting."""
    await _order(shop, database)
    shop.change(f'"{shop.folder}/payments.db"', f'"{database}"')
    psql = program("psql")
    assert psql is not None
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "paymux"}
    off = ["-d", "postgres", "-c", "ALTER SYSTEM SET fsync = off", "-c", "SELECT pg_reload_conf()"]
    subprocess.run([psql, *off], env=where, check=True, capture_output=True)
    try:
        await asyncio.sleep(0.5)  # the server reads its settings anew
        named = await _named(shop, "journal.write")
        assert "fsync is off" in named.said.en
        shop.environment |= where
        shop.paste(named)
        await asyncio.sleep(0.5)
        assert wrong(await shop.examine(only="journal.write")) == []
    finally:
        on = ["-d", "postgres", "-c", "ALTER SYSTEM RESET fsync", "-c", "SELECT pg_reload_conf()"]
        subprocess.run([psql, *on], env=where, check=True, capture_output=True)


@pytest.mark.slow
async def test_a_database_that_never_answers_takes_ten_seconds_at_most(shop: Shop) -> None:
    """A black hole in place of the server is one problem, without its password."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://paymux:canary-of-the-database@127.0.0.1:{port}/shop"
        shop.change(f'"{shop.folder}/payments.db"', f'"{url}"')
        began = asyncio.get_running_loop().time()
        found = await shop.examine()
        assert asyncio.get_running_loop().time() - began < 10
    named = [one for one in wrong(found) if one.check == "journal.write"]
    assert [one.mend and one.mend.command for one in named] == [
        f"pg_isready -h 127.0.0.1 -p {port}"
    ]
    assert "canary" not in str([one.encoded() for one in found])
