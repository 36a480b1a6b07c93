"""A value that stands elsewhere: `{ env = "NAME" }`, `{ file = "PATH" }`, `…__FIELD_FILE`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...primitives import coerce
from ...primitives.redaction import shown
from .location import is_exposed
from .settings import Setting

_LARGEST = 64 * 1024  # bytes of a file that holds one value


class References:
    """Reads what a config refers to; `exposed` are the files of it that others may read."""

    def __init__(self, folder: Path, environment: Mapping[Any, Any]) -> None:
        self._folder = folder
        self._environment = environment
        self.exposed: list[str] = []

    def resolved(self, setting: Setting) -> Setting:
        """Follow `{ env = "NAME" }` and `{ file = "PATH" }`; any other value is unchanged."""
        table = coerce.mapping(setting.value)
        if table is None or len(table) != 1 or not {"env", "file"} & set(table):
            return setting
        ((kind, where),) = table.items()
        named = coerce.text(where)
        if not named:
            accepted = '{ env = "NAME" } or { file = "PATH" }'
            raise UsageError.field(f"{setting.name}.{kind}", where, accepted)
        if kind == "file":
            return self.of_file(setting, named)
        value = coerce.text(self._environment.get(named))
        if not value:
            raise UsageError.missing(setting.name, f"the variable {named[:80]} is not set")
        return setting._replace(value=value, origin=f"variable {named}", is_text=True)

    def of_file(self, setting: Setting, named: str) -> Setting:
        """Return the content of a file, without the end of its last line.

        What a config names is relative to its folder; what a variable names, to the current one.
        """
        path = Path(named) if setting.is_text else Path(self._folder, named)
        try:
            if not path.is_file():
                raise FileNotFoundError(2, "no such file")
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"larger than {_LARGEST} bytes")
            value = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
            exposed = is_exposed(path)
        except UnicodeDecodeError:
            why = "not UTF-8"  # its text would show what is in the file
        except (OSError, ValueError) as error:
            why = error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
        else:
            if exposed:
                self.exposed.append(str(path))
            return setting._replace(value=value, origin=f"file {path}", is_text=True)
        said = f"{setting.name}: {shown(str(path))}: {why}"
        raise UsageError(said, name=setting.name, value=shown(str(path)), accepted="a text file")
