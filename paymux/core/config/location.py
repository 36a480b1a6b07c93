"""Which file has the config: the first of four places, and who may have written it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from ...errors import UsageError
from ...primitives import coerce
from ...primitives.redaction import shown
from ...values.validation import checked_path

HERE = "paymux.toml"  # of this directory only: no walk upwards


def config_file(given: object = None, environment: Mapping[str, str] | None = None) -> Path | None:
    """Return the config file that is used: `given`, PAYMUX_CONFIG, or one that exists; or None.

    Without the first two it is `./paymux.toml`, or `$XDG_CONFIG_HOME/paymux/config.toml`.
    """
    variables = os.environ if environment is None else environment
    if given is not None:
        return Path(checked_path("config", given))
    if named := coerce.text(variables.get("PAYMUX_CONFIG")):
        return Path(checked_path("PAYMUX_CONFIG", named))
    for place in usual_places(variables):
        if place.exists():
            return place
    return None


def usual_places(environment: Mapping[str, str] | None = None) -> list[Path]:
    """Return where a config is looked for if none is named, the first of which is used."""
    variables = os.environ if environment is None else environment
    found = [Path(HERE)]
    home, folder = variables.get("HOME"), Path(variables.get("XDG_CONFIG_HOME") or "")
    if not folder.is_absolute():  # a relative one is ignored, as its specification says
        folder = Path(home or "", ".config")
    return [*found, folder / "paymux" / "config.toml"] if folder.is_absolute() else found


def check_writers(path: Path) -> None:
    """Refuse a config that others may write: its owner's money would go where they say.

    Also `./paymux.toml` of another user: who runs a command in a shared directory, such as
    /tmp, has not chosen that file. One that is named with its folder is chosen.
    """
    if os.name != "posix":
        return  # the bits below say nothing there
    about = path.stat()
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _refused(path, "others may write it", f"chmod go-w {path}")
    owners = {about.st_uid, path.lstat().st_uid}  # also of a link, which chooses among our files
    if path == Path(HERE) and not owners <= {0, os.geteuid()}:
        named = f"one that is named with its folder: --config {path.absolute()}"
        raise _refused(path, "it is another user's", named)


def is_exposed(path: Path) -> bool:
    """Return whether others may read a file."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _refused(path: Path, why: str, accepted: str) -> UsageError:
    said = f"config: {path} is refused, as {why}; accepted: {accepted}"
    return UsageError(said, name="config", value=shown(str(path)), accepted=accepted)
