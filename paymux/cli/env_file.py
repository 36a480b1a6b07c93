"""Files of variables, as `--env-file` reads them: `NAME=value` a line."""

import re
from pathlib import Path

from .exits import Exit
from .failures import Failed

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_LARGEST = 1 << 20  # bytes


def read(file: str) -> dict[str, str]:
    """Return the variables of a file; Failed: it cannot be read, or a line is none."""
    path = Path(file)
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise Failed(f"--env-file: {file} is larger than {_LARGEST} bytes", Exit.USAGE)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Failed(f"--env-file: {file} is not UTF-8", Exit.USAGE) from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        part = _LINE.fullmatch(line.strip())
        value = None if part is None else _value(part[2])
        if part is None or value is None:
            said = f"--env-file: line {number} of {file} is refused (not shown)"
            raise Failed(f"{said}; accepted: NAME=value", Exit.USAGE)
        found[part[1]] = value
    return found


def _value(text: str) -> str | None:
    """Return a value without its quotes; None: they do not end. `$` stands for itself."""
    if text[:1] in ("'", '"'):
        return text[1:-1] if len(text) > 1 and text[-1] == text[0] else None
    return text.partition(" #")[0].rstrip()
