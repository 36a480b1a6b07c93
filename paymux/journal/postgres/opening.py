"""Opening a journal in PostgreSQL: what cannot carry money is refused by name, before any."""

import asyncio
import os
import ssl
import zlib
from typing import TYPE_CHECKING, NoReturn

from ...errors import UsageError
from ...models import log
from .address import ACCEPTED, Address
from .connection import Connection, connected, failure_of
from .schema import MIGRATIONS, VERSION, statements_of

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_SERVER = 130000  # the first with pg_xact_status as it is used here
OTHERS = "the schema has tables of something else with these names"
INSTALL = "asyncpg is not installed: pip install 'paymux[postgres]'"
# Keys of locks on a journal, which is named by the id of its schema, or by the hash of its name.
_USED, _MADE = 0x70617901, 0x70617902
# A password, a role, a database or a privilege that is not there, a host that is not let in, and
# a parameter of the URL that the server does not know or may not set so.
_WRONG = ("28", "3D", "42501", "42601", "42704", "22023", "55P02")

_SERVER = """SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('fsync'),
    current_setting('full_page_writes'), current_setting('server_version_num')::int,
    current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)"""
# By queries: what to_regclass has once not found, it may not find after another's commit either.
_TABLE = """SELECT c.relkind::text || coalesce(string_agg(a.attname || ' ' ||
    format_type(a.atttypid, NULL), ', '), '') FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attribute a
    ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = $1 AND c.relname = 'schema_version' GROUP BY c.relkind"""
_OURS = "rversion bigint"  # a table with this column; other programs have one of this name, too
_SCHEMA = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)"
_LACKING = """SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'
    AND c.relname <> 'schema_version' AND NOT (has_table_privilege(c.oid, 'SELECT')
    AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
    AND has_table_privilege(c.oid, 'DELETE'))"""


def open_connection(
    address: Address, loop: asyncio.AbstractEventLoop, *, make: bool = True
) -> Connection:
    """Connect to a journal, and make its tables where there are none, or with `make=False` refuse.

    UsageError: no journal can be kept there. OSError: not now.
    """
    for name, path in address.files.items():
        if not os.access(path, os.R_OK):
            raise refused(address, f"{name}: {path!r} is no file that can be read")
    failure, code = None, ""
    try:
        connection = connected(address, loop)
    except ImportError:
        raise UsageError.missing("journal", INSTALL) from None
    except Exception as error:  # noqa: BLE001 - asyncpg's, the system's, or that of its TLS
        code = getattr(error, "sqlstate", None) or ""
        # What it says of a URL that it cannot use; a server that is away is an OSError.
        ours = isinstance(error, ssl.SSLCertVerificationError) or (
            isinstance(error, ValueError | TypeError) and not isinstance(error, OSError)
        )
        failure = failure_of(error, address)
        if ours or code.startswith(_WRONG):
            failure = refused(address, str(failure).partition(": ")[2])
    if failure is not None:  # outside of the handler: a frame of the client may hold the password
        raise failure
    try:
        _check(connection, address)
        _prepare(connection, address, make)
    except BaseException:
        connection.close()
        raise
    return connection


def lock_of(connection: Connection, address: Address) -> int:
    """Return the key of the lock that a change of this journal holds."""
    oid = connection.value(
        "SELECT oid::bigint FROM pg_namespace WHERE nspname = $1", address.schema
    )
    return (_USED << 32) | int(oid)


def refused(address: Address, why: str) -> UsageError:
    """Return the error that says why no journal can be kept in a database."""
    said = f"journal: {address} is refused: {why}"
    return UsageError(said, name="journal", value=str(address), accepted=ACCEPTED)


def _check(connection: Connection, address: Address) -> None:
    """Refuse a server that may lose what it has confirmed, or that grants a lock to two."""
    row = connection.row(_SERVER)
    for why in reasons_against(connection, *row[:5]):
        raise refused(address, why)
    if row[6] and not row[5].strip():
        log.warning(
            "journal: %s has replicas, and synchronous_standby_names is empty: when it fails, the "
            "replica that takes its place may not know the last payments",
            address,
        )


def reasons_against(
    connection: Connection, pid: int, standby: bool, fsync: str, pages: str, version: int
) -> "Iterator[str]":
    """Say why a server cannot carry a journal, if so."""
    # A pooler that gives each transaction to another session gives a lock to two workers, and
    # each of these numbers would be of another one.
    if pid != connection.pid or pid != connection.value("SELECT pg_backend_pid()"):
        yield "a pooler lies between: name the server itself"
    if standby:
        yield "it is a standby (in recovery): name the primary, or add target_session_attrs=primary"
    if fsync != "on":
        yield "fsync is off: a crash of its machine may lose payments"
    if pages != "on":
        yield "full_page_writes is off: a crash of its machine may lose payments"
    if version < OLDEST_SERVER:
        yield "the server is older than PostgreSQL 13"


def _prepare(connection: Connection, address: Address, make: bool) -> None:
    found = _version(connection, address)
    if not found and not make:
        raise refused(address, "there is no journal in it: is the schema the right one?")
    if found < VERSION:
        _advance(connection, address)
    lacking = connection.value(_LACKING, address.schema)
    if lacking:
        why = f"its user lacks SELECT, INSERT, UPDATE or DELETE on {lacking}"
        raise refused(address, why)


def _version(connection: Connection, address: Address) -> int:
    table = connection.value(_TABLE, address.schema)
    if table is None:
        return 0
    written = None
    if table == _OURS:
        written = connection.value("SELECT max(version) FROM schema_version")
    if written is None:
        raise refused(address, OTHERS)
    found = int(written)
    if found > VERSION:
        later = f"it was written by a later release of paymux (schema {found}); use that one"
        raise refused(address, later)
    return found


def _advance(connection: Connection, address: Address) -> None:
    """Make the tables, or lead them to this version; other processes wait."""
    key = (_MADE << 32) | zlib.crc32(address.schema.encode())
    connection.command("BEGIN")
    try:
        connection.value("SELECT pg_advisory_xact_lock($1)", key)
        found = _version(connection, address)  # another process may have made them meanwhile
        if not connection.value(_SCHEMA, address.schema):
            connection.command(f"CREATE SCHEMA {address.schema}")
        for step in MIGRATIONS[found:]:
            connection.command(statements_of(step))
        if found < VERSION:
            connection.value("INSERT INTO schema_version VALUES ($1)", VERSION)
        connection.command("COMMIT")
    except OSError as error:
        connection.rollback()
        _denied(address, error)


def _denied(address: Address, error: OSError) -> NoReturn:
    """Say what a user lacks that may not make the tables, or what is in their place."""
    code = getattr(error, "sqlstate", "")
    if code == "42501":
        why = f"its user may not make the schema {address.schema} or its tables"
        raise refused(address, f"{why}: GRANT CREATE ON DATABASE, or let its owner open it first")
    if code in ("42P07", "42710", "42723"):
        raise refused(address, OTHERS)
    raise error
