"""The file of the configuration: that it is there, whose it is, and who may read and write it."""

import os
import stat
from pathlib import Path

from ...core import from_mapping
from ...errors import UsageError
from .findings import Finding, Mend, Said, of_error, ok, problem
from .mending import edited, quoted
from .setup import Setup
from .walk import Walk


async def found(walk: Walk) -> list[Finding]:
    """Look for a configuration, in a file or in the environment."""
    setup = walk.setup
    check = "config.found"
    if setup.path is not None and setup.path.exists():
        path = str(setup.path)
        return [ok(check, Said(f"the configuration is {path}", f"la configuration est {path}"))]
    if setup.accounts:
        there = Said("the environment has the accounts", "les comptes sont dans l'environnement")
        return [ok(check, there)]
    said = Said(
        "there is no configuration: no paymux.toml, and no PAYMUX_… variable names an account",
        "il n'y a pas de configuration : ni paymux.toml, ni compte dans une variable PAYMUX_…",
    )
    return [problem(check, said, Mend(command="paymux config init"))]


async def reads(walk: Walk) -> list[Finding]:
    """Read the file as TOML, and its settings beside the accounts."""
    setup = walk.setup
    check, path = "config.reads", setup.path
    if path is None or not path.exists():
        return []
    if setup.unread and not setup.line:
        said = Said(f"it cannot be read: {setup.unread}", f"illisible : {setup.unread}")
        return [problem(check, said, Mend(command=f"chmod u+r {quoted(path)}"))]
    if setup.unread:
        said = Said(
            f"line {setup.line} is not TOML: {setup.unread}",
            f"la ligne {setup.line} n'est pas du TOML : {setup.unread}",
        )
        return [problem(check, said, edited(path, setup.line))]
    if not setup.accounts:
        said = Said("it has no [accounts.NAME] table", "elle n'a pas de table [accounts.NOM]")
        return [problem(check, said, edited(path, 1))]
    return [ok(check, Said("it is TOML", "c'est du TOML"))]


async def settings(walk: Walk) -> list[Finding]:
    """Look for settings of the pool that do not exist."""
    setup = walk.setup
    check, findings = "config.settings", []
    for name in setup.options:
        # Only the name is read: where it is known, the account without a driver is the error.
        told = from_mapping({"accounts": {"x": {}}, name: None})
        if isinstance(told, UsageError) and told.name == "config":
            said = Said(f"{name}: there is no such setting", f"{name} : ce réglage n'existe pas")
            findings.append(problem(check, said, setup.place(name).drop()))
    if walk.refused is not None:
        mend = setup.place(str(walk.refused.name)).edit()
        findings.append(problem(check, of_error(walk.refused), mend))
    return findings or [ok(check, Said("all settings are known", "tous les réglages sont connus"))]


async def owner(walk: Walk) -> list[Finding]:
    """Compare the owner of the file with this user."""
    setup = walk.setup
    check, state = "config.owner", _state(setup.path)
    if state is None or setup.path is None:
        return []
    if state.st_uid in (os.geteuid(), 0):
        return [ok(check, Said("the file is this user's", "le fichier est à cet utilisateur"))]
    said = Said(
        f"the file is of another user (uid {state.st_uid}), who can change where money goes",
        f"le fichier est à un autre utilisateur (uid {state.st_uid}), qui peut changer la "
        "destination de l'argent",
    )
    sudo = "" if os.geteuid() == 0 else "sudo "
    command = f"{sudo}chown {os.geteuid()} {quoted(setup.path)}"
    return [problem(check, said, Mend(command=command))]


async def private(walk: Walk) -> list[Finding]:
    """Look who may read the file, if a credential is in it, and the files that it names."""
    setup = walk.setup
    check, findings = "config.private", []
    for path in _private_files(setup):
        state = _state(path)
        if state is None or not state.st_mode & (stat.S_IRGRP | stat.S_IROTH):
            continue
        said = Said(
            f"other users of this machine can read {path}, which holds credentials",
            f"les autres utilisateurs de la machine peuvent lire {path}, qui contient des secrets",
        )
        findings.append(problem(check, said, Mend(command=f"chmod go-rwx {quoted(path)}")))
    return findings or [ok(check, Said("only this user reads it", "seul cet utilisateur la lit"))]


async def writable(walk: Walk) -> list[Finding]:
    """Look who may write the file."""
    setup = walk.setup
    check, state = "config.writable", _state(setup.path)
    if state is None or setup.path is None:
        return []
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        said = Said(
            "other users of this machine can write the file, and so change where money goes",
            "les autres utilisateurs de la machine peuvent écrire dans le fichier, et donc changer "
            "la destination de l'argent",
        )
        return [problem(check, said, Mend(command=f"chmod go-w {quoted(setup.path)}"))]
    return [ok(check, Said("only this user writes it", "seul cet utilisateur l'écrit"))]


def _private_files(setup: Setup) -> list[Path]:
    """Return the file of the configuration, if it has a credential, and each file of one."""
    files = list(setup.secret_files)
    holds = setup.path is not None and setup.holds_secret
    return [*([setup.path] if holds and setup.path else []), *files]


def _state(path: Path | None) -> os.stat_result | None:
    try:
        return None if path is None else path.stat()
    except OSError:
        return None
