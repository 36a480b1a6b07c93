"""The end of a turn in a transaction of the caller's own: the effect and its record are one."""

from typing import TYPE_CHECKING, NamedTuple

from ...errors import UsageError
from .user_connection import UserConnection, user_connection

if TYPE_CHECKING:
    from ..database import Database

# The id of a server is made by initdb; copies of a server share it, and a turn is in one of them.
# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA
_IDENTITY = """SELECT CAST((SELECT system_identifier FROM pg_control_system()) AS text),
    CAST(current_database() AS text),
    CAST(CAST(to_regclass({}) AS oid) AS text)"""
_STATE = """CAST(pg_is_in_recovery() AS text),
    CAST(current_setting('transaction_read_only') AS text),
    CAST(transaction_timestamp() AS text)"""
_THIS = "account = {} AND kind = {} AND reference = {} AND name = {} AND caller = {}"
# In a later transaction it changes nothing, so outside of a transaction nothing is written.
_END = """UPDATE {table} SET worker = NULL WHERE {this} AND worker IS NOT NULL
    AND CAST(transaction_timestamp() AS text) = {began} RETURNING 1"""
_LEFT = "SELECT CAST(transaction_timestamp() AS text)"


class Identity(NamedTuple):
    """Where a journal's turns are; no other table has the same."""

    server: str  # the server's system identifier
    database: str
    table: str | None  # the id of the table of turns


class TurnPlace(NamedTuple):
    """A journal's schema, and the identity of its turns as the journal's own connection has it."""

    schema: str
    identity: Identity


def turn_place(schema: str, db: "Database") -> TurnPlace:
    """Return where the turns of a journal are, as its own connection has it."""
    found = db.execute(_IDENTITY.format("?"), (_table(schema),)).fetchone()
    return TurnPlace(schema, Identity(*found))


async def end_turn_in(
    connection: object, place: TurnPlace, key: tuple[str, str, str, str], caller: str
) -> bool:
    """Mark a turn as done in the caller's transaction; False: another caller has had it since.

    UsageError: the connection is not one in which the turn could be ended; nothing is written.
    """
    user = user_connection(connection)
    if not user.in_transaction():
        raise _outside()
    table = _table(place.schema)
    began = await _checked(user, table, place.identity)
    *these, now = user.marks(6)
    end = _END.format(table=table, this=_THIS.format(*these), began=now)
    if await user.row(end, (*key, caller, began)) is not None:
        return True
    left = await user.row(_LEFT, ())
    if left is None or left[0] != began:
        raise _outside()
    return False


async def _checked(user: UserConnection, table: str, wanted: Identity) -> str:
    """Return when the transaction began, if it is one of the journal's database and may write."""
    statement = f"{_IDENTITY.format(*user.marks(1))}, {_STATE}"
    found = await user.row(statement, (table,))
    if found is None:
        raise _outside()
    server, database, turns, standby, read_only, began = found
    has = Identity(server, database, turns)
    for name, ours, theirs in zip(("server", "database", "schema"), wanted, has, strict=True):
        if ours != theirs:
            accepted = f"a connection to the {name} that has the journal"
            raise UsageError.field("connection", f"another {name}", accepted)
    if standby == "true" or read_only == "on":
        raise UsageError.field("connection", "read-only", "a transaction that may write")
    return str(began)


def _table(schema: str) -> str:
    return f'"{schema}".turns'


def _outside() -> UsageError:
    return UsageError.field(
        "connection", "no open transaction", "a connection inside of a transaction"
    )
