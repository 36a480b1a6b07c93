"""A connection to PostgreSQL as the journal's thread uses it: one statement after another."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from .dialect import kinds_of, translated

if TYPE_CHECKING:
    import asyncpg

    from .address import Address

T = TypeVar("T")

CONNECT_SECONDS = 3.0  # seconds until a server that does not answer counts as away
LONG_SECONDS = 600.0  # seconds for a command that handles very many rows
STATEMENT_SECONDS = 3.0  # seconds until a statement without an answer ends its connection
READ_SECONDS = 20.0  # the same for a page of a list, which may read a large journal
# A transaction of a client that sleeps holds the journal's lock for so many seconds at most, and
# others wait a little longer for it.
IDLE_TRANSACTION_SECONDS = 2.0
LOCK_SECONDS = 2.5
KEEPALIVE = (10, 5, 4)  # seconds until the first probe and between probes, and their number
ROWS_AT_ONCE = 100  # rows that are fetched at once where not all may be wanted

# The session of a role or a database may have other values.
_SETTINGS = f"""SET search_path = {{schema}}; SET synchronous_commit = on;
SET default_transaction_isolation = 'read committed'; SET standard_conforming_strings = on;
SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_SECONDS * 1000:.0f};
SET lock_timeout = {LOCK_SECONDS * 1000:.0f}; SET statement_timeout = 0; SET jit = off;
SET tcp_keepalives_idle = {KEEPALIVE[0]}; SET tcp_keepalives_interval = {KEEPALIVE[1]};
SET tcp_keepalives_count = {KEEPALIVE[2]}"""
_BEGAN = "SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
# https://www.postgresql.org/docs/current/errcodes-appendix.html: a serialization failure, a
# deadlock, a lock that was not to be had in time, a statement that was cancelled.
_AGAIN = {"40001", "40P01", "55P03", "57014"}
# Connection, resources (too many connections, a full disk), shutdown, and a server that became a
# standby: this connection is of no more use.
_GONE = ("08", "53", "57P", "25006", "25P03", "F0", "58")
# A cached plan of a table that was altered meanwhile.
_STALE = {"0A000"}


class Failed(OSError):
    """A statement failed, and its transaction with it."""

    sqlstate = ""


class ServerGone(Failed):
    """The connection is lost, or the server is away: nothing more can be said on it."""


class Conflict(Failed):
    """The transaction met another one, and may be repeated as it is."""


class Rows:
    """The rows of a SELECT, read when they are asked for, or the count of a change."""

    def __init__(self, read: "Callable[[int], Iterator[list[Any]]]", rowcount: int) -> None:
        self._read = read
        self._iterator: Iterator[Any] | None = None
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        return next(self._rows(1), None)

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        return list(self._rows(0))

    def __iter__(self) -> Iterator[Any]:
        return self._rows(ROWS_AT_ONCE)

    def _rows(self, at_once: int) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = (tuple(row) for rows in self._read(at_once) for row in rows)
        return self._iterator


class Connection:
    """A session of the database; its statements are the journal's, and its errors are OSError.

    A statement without an answer, as in a network that drops all packets, ends the session.
    """

    def __init__(
        self, link: "asyncpg.Connection", loop: asyncio.AbstractEventLoop, address: "Address"
    ) -> None:
        self._link = link
        self._loop = loop
        self._address = address
        self._statements: dict[tuple[str, str], Any] = {}
        self.pid = int(link.get_server_pid())  # of the server's process, as it says
        self.began = ""  # and when that began: the two tell this session from all others
        self.failed: Exception | None = None  # the error that ended the open transaction
        self.transaction: str | None = None  # the id of the open transaction
        self._seconds = STATEMENT_SECONDS  # for each statement of it

    # As a database.

    def execute(self, sql: str, given: Any = (), /) -> Rows:
        """Run a statement of the journal's, with its values."""
        statement, values = self._prepared(sql, given)
        if sql.lstrip()[:6].upper() == "SELECT":
            return Rows(lambda at_once: self._selected(statement, values, at_once), -1)
        rows, said = self.run(lambda: _fetched(statement, values))
        count = said.rpartition(" ")[2]
        return Rows(lambda _: iter([rows]), int(count) if count.isdecimal() else -1)

    def _prepared(self, sql: str, given: Any) -> tuple[Any, list[Any]]:
        names, values = None, given
        if isinstance(given, dict):
            names = tuple(name for name in given if f":{name}" in sql)
            values = tuple(given[name] for name in names)
        kinds = kinds_of(values)
        statement = self._statements.get((sql, kinds))
        if statement is None:
            text = translated(sql, kinds, names)
            statement = self.run(lambda: self._link.prepare(text))
            self._statements[sql, kinds] = statement
        return statement, [_sent(value) for value in values if value is not None]

    def _selected(self, statement: Any, values: list[Any], at_once: int) -> Iterator[list[Any]]:
        if at_once == 0 or (at_once > 1 and not self._link.is_in_transaction()):
            yield self.run(lambda: statement.fetch(*values))
        elif at_once == 1:
            row = self.run(lambda: statement.fetchrow(*values))
            yield [] if row is None else [row]
        else:
            cursor = self.run(lambda: _opened(statement, values))
            while rows := self.run(lambda: cursor.fetch(at_once)):
                yield rows
                if len(rows) < at_once:
                    return

    # As a session.

    def settle(self, schema: str) -> None:
        """Give the session the settings that the journal relies on."""
        self.command(_SETTINGS.format(schema=schema))
        self.began = self.value(_BEGAN) or ""

    def begin(self, lock: int | None) -> None:
        """Begin a transaction that alone holds the journal's lock; None: one that only reads."""
        self.failed = self.transaction = None
        self._seconds = READ_SECONDS if lock is None else STATEMENT_SECONDS
        if lock is None:
            self.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        self.command("BEGIN")
        held = "SELECT pg_current_xact_id()::text, pg_advisory_xact_lock(?)"
        self.transaction = self.execute(held, (lock,)).fetchone()[0]

    def begin_alone(self) -> None:
        """Begin statements that are transactions of their own."""
        self.failed, self._seconds = None, STATEMENT_SECONDS

    def commit(self) -> None:
        """Make the transaction durable; ServerGone: whether it is durable is not known."""
        if self.failed is not None:  # a COMMIT would roll it back without a word
            raise self.failed
        self.command("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if the session lives."""
        with contextlib.suppress(OSError):
            self.command("ROLLBACK")

    def command(self, text: str, seconds: float = STATEMENT_SECONDS) -> None:
        """Run text of our own, with no values, within some seconds."""
        self.run(lambda: self._link.execute(text), seconds)

    def fill(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Add rows to a table, by the server's own way for many of them."""
        self.run(
            lambda: self._link.copy_records_to_table(table, records=rows, columns=columns),
            LONG_SECONDS,
        )

    def value(self, text: str, *values: object) -> Any:
        """Return the first column of the first row of a PostgreSQL statement of our own."""
        return self.run(lambda: self._link.fetchval(text, *values))

    def row(self, text: str, *values: object) -> Any:
        """Return the first row of a PostgreSQL statement of our own."""
        return self.run(lambda: self._link.fetchrow(text, *values))

    def run(self, call: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Run a call of the session to its end, and translate its errors."""
        try:
            return self._loop.run_until_complete(asyncio.wait_for(call(), seconds or self._seconds))
        except Exception as error:  # noqa: BLE001 - each class of asyncpg's has its own meaning
            failure = failure_of(error, self._address)
        # Outside of the handler: a frame of the client's may hold the password.
        if isinstance(failure, ServerGone):
            self.terminate()
        self.failed = failure
        raise failure

    @property
    def alive(self) -> bool:
        """Return whether the session may still be used."""
        return not self._link.is_closed()

    def terminate(self) -> None:
        """End the session at once: in a network that drops packets, closing would never end."""
        with contextlib.suppress(Exception):
            self._link.terminate()
            # what was cancelled ends
            self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """End the session as a server expects it, or at once."""
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(asyncio.wait_for(self._link.close(), 1.0))
        self.terminate()


async def _fetched(statement: Any, values: list[Any]) -> tuple[list[Any], str]:
    return await statement.fetch(*values), statement.get_statusmsg()


async def _opened(statement: Any, values: list[Any]) -> Any:
    return await statement.cursor(*values)


def _sent(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return [_sent(one) for one in value]
    # PostgreSQL's text has no NUL, and a message may have one.
    return value.replace("\0", "\u2400") if isinstance(value, str) and "\0" in value else value


def failure_of(error: BaseException, address: "Address") -> Exception:
    """Return the journal's error for one of the session."""
    code = getattr(error, "sqlstate", None) or ""
    said = address.without_secrets(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, TimeoutError):
        said = "it gives no answer"
    kind = Failed
    if code in _AGAIN:
        kind = Conflict
    elif code.startswith(_GONE) or code in _STALE:
        kind = ServerGone
    elif not code and not isinstance(error, ValueError | TypeError):
        kind = ServerGone  # it is the client that says that its connection cannot be used
    away = " cannot be used now" if kind is ServerGone else ""
    failure = kind(f"the journal's database{away}: {said}")
    failure.sqlstate = code
    return failure


def connected(address: "Address", loop: asyncio.AbstractEventLoop) -> Connection:
    """Connect; what the client or the server says against it is raised as it is."""
    import asyncpg  # noqa: PLC0415 - it takes a tenth of a second to load

    named = {} if "application_name" in address.settings else {"application_name": "paymux"}
    link = loop.run_until_complete(
        asyncio.wait_for(
            asyncpg.connect(
                address.url.reveal(), timeout=CONNECT_SECONDS, server_settings=named,
                statement_cache_size=0,
            ),
            CONNECT_SECONDS + 1,
        )
    )  # fmt: skip
    connection = Connection(link, loop, address)
    try:
        _keep_alive(link)
        connection.settle(address.schema)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _keep_alive(link: Any) -> None:
    """Let the system notice a server that is gone while nothing is said."""
    transport = getattr(link, "_transport", None)
    one = None if transport is None else transport.get_extra_info("socket")
    if one is None or one.family not in (socket.AF_INET, socket.AF_INET6):
        return
    one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, KEEPALIVE, strict=True):
        if hasattr(socket, name):
            one.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
