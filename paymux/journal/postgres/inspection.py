"""What PostgreSQL says of a journal's server."""

from typing import cast

from ..database import Database
from ..tables.health import Inspection
from .connection import Connection
from .opening import reasons_against

_STATE = """SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS standby,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
    current_setting('server_version_num')::int AS number,
    current_setting('server_version') AS version,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') AS standbys,
    (SELECT count(*) FROM pg_stat_replication) AS replicas,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
    inet_server_addr() IS NULL OR inet_server_addr() << '127.0.0.0/8'
        OR inet_server_addr() = '::1' AS near,
    current_setting('max_connections')::int AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
    extract(epoch FROM clock_timestamp())::float8 AS now"""


def inspect(db: Database) -> Inspection:
    """Return the state of the server of a session."""
    session = cast("Connection", db)
    said = session.row(_STATE)
    reasons = reasons_against(session, *(said[name] for name in _CHECKED))
    problems = list(reasons)
    if said["replicas"] and not said["standbys"].strip():
        problems.append(
            "it has replicas, and synchronous_standby_names is empty: the one that takes its place "
            "may not know the last payments"
        )
    if not said["tls"] and not said["near"]:
        problems.append("the connection has no TLS: add sslmode=verify-full and sslrootcert")
    if said["used"] > 0.9 * said["most"]:
        problems.append(f"{said['used']} of its {said['most']} connections are in use")
    settings = {
        "version": said["version"],
        "standby": _word(said=said["standby"]),
        "fsync": said["fsync"],
        "full_page_writes": said["pages"],
        "synchronous_commit": said["synchronous_commit"],
        "replicas": str(said["replicas"]),
        "synchronous_standby_names": said["standbys"],
        "tls": _word(said=said["tls"]),
        "pooler": _word(said=said["pid"] != session.pid),
        "connections": f"{said['used']} of {said['most']}",
    }
    return Inspection("postgresql", said["now"], settings, tuple(problems))


_CHECKED = ("pid", "standby", "fsync", "pages", "number")


def _word(*, said: bool) -> str:
    return "on" if said else "off"
