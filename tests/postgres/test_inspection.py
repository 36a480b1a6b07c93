"""What a health page says of a PostgreSQL server: its settings, and what is wrong with them."""

from typing import Any, cast

import pytest

from paymux.journal.database import Database
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.inspection import inspect

SOUND: dict[str, Any] = {
    "pid": 7, "standby": False, "fsync": "on", "pages": "on", "number": 150004, "version": "15.4",
    "synchronous_commit": "on", "standbys": "", "replicas": 0, "tls": True, "near": False,
    "most": 100, "used": 9, "now": 1.5,
}  # fmt: skip


class Session:
    """A session of a server that says what a test sets."""

    pid = 7

    def __init__(self, **said: Any) -> None:
        self.said = {**SOUND, **said}

    def row(self, text: str) -> dict[str, Any]:
        return self.said

    def value(self, text: str) -> Any:
        return self.said["pid"]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"pid": 8}, "a pooler lies between"),
        ({"standby": True}, "it is a standby"),
        ({"fsync": "off"}, "fsync is off"),
        ({"pages": "off"}, "full_page_writes is off"),
        ({"number": 120000}, "older than PostgreSQL 13"),
        ({"replicas": 1}, "synchronous_standby_names is empty"),
        ({"tls": False}, "the connection has no TLS"),
        ({"used": 95}, "95 of its 100 connections are in use"),
    ],
)
def test_what_is_wrong_with_a_server_is_told(said: dict[str, Any], problem: str) -> None:
    """Each of them in one plain sentence; also what changed since the journal was opened."""
    found = inspect(cast("Database", Session(**said))).problems
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize(
    "said", [{}, {"replicas": 1, "standbys": "b"}, {"tls": False, "near": True}]
)
def test_a_sound_server_has_no_problem(said: dict[str, Any]) -> None:
    """A replica that is waited for is none, nor a connection on one machine without TLS."""
    assert inspect(cast("Database", Session(**said))).problems == ()


async def test_a_real_server_tells_all_of_it(database: str) -> None:
    """Version, standby, pooler, TLS, replicas and connections, as text."""
    journal = PostgresJournal(database)
    found = await journal.health()
    await journal.aclose()
    assert set(found.settings) == {
        "version", "standby", "fsync", "full_page_writes", "synchronous_commit", "replicas",
        "synchronous_standby_names", "tls", "pooler", "connections",
    }  # fmt: skip
    assert (found.settings["standby"], found.settings["pooler"]) == ("off", "off")
    assert all(isinstance(value, str) for value in found.settings.values())
