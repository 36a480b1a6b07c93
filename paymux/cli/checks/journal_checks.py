"""The journal: whether there is one, on which disk, whether it can be written, and its orders."""

import asyncio
import contextlib
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from ...errors import UsageError
from ...journal import is_earlier, journal_at
from ...primitives.clock import wall_time
from ...primitives.coerce import is_a
from ...primitives.redaction import Secret, as_place
from . import disks
from .findings import Finding, Mend, Said, of_error, ok, problem, skipped, warning
from .mending import quoted
from .setup import Setup
from .walk import Walk

if TYPE_CHECKING:
    from ...journal.stored.journal import StoredJournal

OPEN_HOURS = 24
_CLOSE_SECONDS = 1.5
_ALONE = Said("the journal could not be opened", "le journal n'a pas pu être ouvert")


def _file(setup: Setup) -> Path | None:
    """Return the journal's file; None: there is none, or it is in a database."""
    given = setup.options.get("journal")
    if not given or is_a(as_place(given), Secret):
        return None
    return Path(str(given))


async def named(walk: Walk) -> list[Finding]:
    """Look whether a journal is named: without one, a crash forgets what was sent."""
    setup = walk.setup
    check = "journal.named"
    if setup.options.get("journal"):
        return [ok(check, Said("a journal is named", "un journal est nommé"))]
    if setup.unread:
        return []  # the file may name one
    said = Said(
        "no journal is named: after a crash nothing is known of what was sent",
        "aucun journal n'est nommé : après une panne, rien n'est connu de ce qui a été envoyé",
    )
    return [warning(check, said, setup.place("journal").put('"payments.db"'))]


async def disk(walk: Walk) -> list[Finding]:
    """Look whether the file lies on a disk of this machine."""
    setup = walk.setup
    check, path = "journal.disk", _file(setup)
    if path is None:
        return []
    name = await asyncio.to_thread(disks.file_system, path, setup.mounts)
    if not disks.is_shared(name):
        said = Said(f"it lies on {name or 'a disk'}", f"il est sur {name or 'un disque'}")
        return [ok(check, said)]
    said = Said(
        f"it lies on a network share ({name}), where locks do not hold: orders can be sent twice",
        f"il est sur un partage réseau ({name}), où les verrous ne tiennent pas : une commande "
        "peut partir deux fois",
    )
    local = Path(setup.environment.get("HOME", "~")) / ".local/share/paymux" / path.name
    move = f"mkdir -p {quoted(local.parent)}"
    if path.exists():
        move += f" && mv {quoted(path)}* {quoted(local.parent)}/"
    put = setup.place("journal").put(f'"{local}"')
    then = Said(
        "stop all workers before; for workers on several machines use a postgresql:// URL",
        "arrêtez tous les processus avant ; pour plusieurs machines, une adresse postgresql://",
    )
    return [problem(check, said, Mend(command=f"{move} && {put.command}", then=then))]


async def private(walk: Walk) -> list[Finding]:
    """Look who may read and write the file: it has the numbers of payers."""
    setup = walk.setup
    check, path = "journal.private", _file(setup)
    if path is None or not path.exists():
        return []
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        said = Said(
            "other users of this machine have access to the journal, and to payers' numbers in it",
            "d'autres utilisateurs de la machine ont accès au journal, et aux numéros des payeurs",
        )
        return [warning(check, said, Mend(command=f"chmod go-rwx {quoted(path)}*"))]
    return [ok(check, Said("only this user reads it", "seul cet utilisateur le lit"))]


async def write(walk: Walk) -> list[Finding]:
    """Open the journal, write a row to the disk, and delete it."""
    setup = walk.setup
    check, path = "journal.write", _file(setup)
    if not setup.options.get("journal"):
        return []
    if path is not None and not path.exists():
        return [_folder(path)]
    earlier = Said(
        "it is of an earlier release: its next worker upgrades it",
        "il est d'une version antérieure : le prochain processus le mettra à jour",
    )
    began = asyncio.get_running_loop().time()
    try:
        if path is not None and await asyncio.to_thread(is_earlier, path):
            return [skipped(check, earlier)]
        async with _opened(setup) as book:
            await book.rehearse()
            health = await book.health()
    except UsageError as error:
        return [problem(check, of_error(error), _refused(setup, path, error))]
    except (OSError, sqlite3.Error) as error:
        return [problem(check, of_error(error), _unwritten(setup, path))]
    took = asyncio.get_running_loop().time() - began
    said = Said(f"a row was written in {took:.2f} s", f"une ligne a été écrite en {took:.2f} s")
    told = [warning("journal.engine", Said(one, one)) for one in health.problems]
    fine = ok("journal.engine", Said("its engine keeps what it confirms", "son moteur garde tout"))
    return [ok(check, said), *(told or [fine])]


def _folder(path: Path) -> Finding:
    """Look whether a file can be made, without making it."""
    check, folder = "journal.write", path.parent
    if not folder.is_dir():
        said = Said(f"the folder {folder} does not exist", f"le dossier {folder} n'existe pas")
        return problem(check, said, Mend(command=f"mkdir -p {quoted(folder)}"))
    if not os.access(folder, os.W_OK | os.X_OK):
        said = Said(
            f"this user may not write in {folder}",
            f"cet utilisateur ne peut pas écrire dans {folder}",
        )
        return problem(check, said, Mend(command=f"sudo chown {os.geteuid()} {quoted(folder)}"))
    said = Said("its first worker makes it", "le premier processus le créera")
    return ok(check, said)


def _refused(setup: Setup, path: Path | None, error: UsageError) -> Mend:
    """Return what mends a place at which no journal can be."""
    said = str(error)
    if path is not None:
        return setup.place("journal").put(f'"{path.with_name(f"paymux-{path.name}")}"')
    if "asyncpg is not installed" in said:
        return Mend(command="pip install 'paymux[postgres]'")
    for name in ("fsync", "full_page_writes"):
        if f"{name} is off" in said:
            change = f"ALTER SYSTEM SET {name} = on"
            reload = "SELECT pg_reload_conf()"
            command = f'psql -d postgres -c "{change}" -c "{reload}"'
            then = Said("on the server, as its administrator", "sur le serveur, en administrateur")
            return Mend(command=command, then=then)
    if "there is no journal in it" in said:
        then = Said("the first worker makes it", "le premier processus le crée")
        return msgspec.structs.replace(setup.place("journal").edit(), then=then)
    return setup.place("journal").edit()


def _unwritten(setup: Setup, path: Path | None) -> Mend:
    """Return what shows why a place cannot be written now."""
    if path is None:
        place = as_place(setup.options["journal"])
        url = urlsplit(place.reveal() if is_a(place, Secret) else "")
        first = urlsplit(f"//{url.netloc.rpartition('@')[2].partition(',')[0]}")
        host = quoted(first.hostname or "localhost")
        return Mend(command=f"pg_isready -h {host} -p {first.port or 5432}")
    return Mend(command=f"df -h {quoted(path.parent)}; ls -l {quoted(path)}*")


async def open_orders(walk: Walk) -> list[Finding]:
    """Count the orders that have been open for over a day."""
    setup = walk.setup
    check, path = "journal.open", _file(setup)
    if not setup.options.get("journal") or (path is not None and not path.exists()):
        return []
    try:
        if path is not None and await asyncio.to_thread(is_earlier, path):
            return [skipped(check, _ALONE)]
        async with _opened(setup) as book:
            count = await book.overdue(wall_time() - timedelta(hours=OPEN_HOURS))
    except (UsageError, OSError, sqlite3.Error):
        return [skipped(check, _ALONE)]
    if not count:
        said = Said("no order is open for over a day", "aucune commande ouverte depuis un jour")
        return [ok(check, said)]
    said = Said(
        f"orders that are open for over a day: {count}",
        f"commandes ouvertes depuis plus d'un jour : {count}",
    )
    config = "" if setup.path is None else f" --config {quoted(setup.path)}"
    then = Said(
        "it sends nothing; what it leaves open: paymux recover --list",
        "n'envoie rien ; ce qui reste ouvert : paymux recover --list",
    )
    return [warning(check, said, Mend(command=f"paymux{config} recover", then=then))]


async def id_keys(walk: Walk) -> list[Finding]:
    """Compare each account's `id_key` with that of its orders in the journal."""
    setup = walk.setup
    path = _file(setup)
    marks = {name: one for name, one in setup.whole.items() if one.id_fingerprint()}
    if not marks or not setup.options.get("journal") or (path is not None and not path.exists()):
        return []
    check, findings = "journal.id_key", []
    try:
        if path is not None and await asyncio.to_thread(is_earlier, path):
            return [skipped(check, _ALONE)]
        async with _opened(setup) as book:
            for account, driver in marks.items():
                kept = await book.id_keys.kept(account, live=driver.live)
                findings.append(_compared(setup, account, kept in ("", driver.id_fingerprint())))
    except (UsageError, OSError, sqlite3.Error):
        return [skipped(check, _ALONE)]
    return findings


def _compared(setup: Setup, account: str, same: bool) -> Finding:
    check = "journal.id_key"
    if same:
        said = Said("it is that of its orders", "c'est celle de ses commandes")
        return ok(check, said, account)
    said = Said(
        "id_key is another one than that of its orders in the journal: no money is sent",
        "id_key n'est pas celle de ses commandes du journal : aucun argent ne part",
    )
    return problem(check, said, setup.place("id_key", account).enter(account), about=account)


@contextlib.asynccontextmanager
async def _opened(setup: Setup) -> "AsyncIterator[StoredJournal]":
    """Open the journal; at the end its thread is not waited for long, as its disk may hang."""
    book = journal_at(setup.options["journal"], make=False)
    try:
        yield book
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(book.aclose(), _CLOSE_SECONDS)
