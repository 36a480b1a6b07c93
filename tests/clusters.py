"""A PostgreSQL server of the tests' own, on loopback, with a disk that it waits for."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 30.0
# Debian keeps the programs of each version out of the path.
_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))


def program(name: str) -> Path | None:
    """Return a program of PostgreSQL, of the newest version that is installed."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    return next((one / name for one in reversed(_DEBIAN) if (one / name).exists()), None)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def server_user() -> str | None:
    """Return the user that the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


class Cluster:
    """A server with data of its own; `start`, and `stop` it as often as wanted."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.user = server_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(exist_ok=True)
        if self.user is not None:
            shutil.chown(self.folder, self.user, self.user)

    @property
    def data(self) -> Path:
        """Return the folder of the server's data."""
        return self.folder / "data"

    def run(self, name: str, *words: str) -> None:
        """Run a program of PostgreSQL as the server's user."""
        path = program(name)
        assert path is not None, f"{name} is not installed"
        subprocess.run(
            [path, *words], check=True, cwd="/", user=self.user, group=self.user,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def make(self) -> None:
        """Make the server's data; the user `paymux` may do everything, without a password."""
        self.run("initdb", "-D", str(self.data), "-U", "paymux", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--no-instructions", "--no-sync")  # fmt: skip
        hba = self.data / "pg_hba.conf"
        locked = "host all guarded 127.0.0.1/32 scram-sha-256\n"
        hba.write_text(locked + hba.read_text())
        self.configure(wal_level="replica", max_connections="80", shared_buffers="32MB")

    def configure(self, **settings: str) -> None:
        """Set settings, which a start reads."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        path = program("postgres")
        assert path is not None
        words = ("-D", str(self.data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                 "-c", "unix_socket_directories=", "-c", "logging_collector=off")  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [path, *words], cwd="/", user=self.user, group=self.user, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            status = self.data / "postmaster.pid"
            with contextlib.suppress(OSError, IndexError):  # it is being written
                if status.read_text().splitlines()[-1].strip() in ("ready", "standby"):
                    return
            time.sleep(0.02)
        raise TimeoutError((self.folder / "server.log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions, SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(START_SECONDS)

    def url(self, schema: str = "paymux", user: str = "paymux", password: str = "") -> str:
        """Return the URL of a journal in a schema."""
        word = f":{password}" if password else ""
        return f"postgresql://{user}{word}@127.0.0.1:{self.port}/postgres?schema={schema}"


def why_not() -> str:
    """Return why no server can be started here, or nothing."""
    if program("initdb") is None or program("postgres") is None:
        return "PostgreSQL is not installed"
    if os.geteuid() == 0 and server_user() is None:
        return "PostgreSQL does not run as root"
    return ""


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a server until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="paymux-postgres-"))
    folder.chmod(0o755)
    one = Cluster(folder / "server")
    try:
        one.make()
        one.start()
        yield one
    finally:
        one.stop(signal.SIGQUIT)  # its data is not needed any more
        shutil.rmtree(folder, ignore_errors=True)
