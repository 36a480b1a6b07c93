"""Writes a file that only its owner can read, whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file of mode 0600 in place of what was there; OSError: all is as it was.

    The new file has a name that none can guess: a link that waits under a known one, as in /tmp,
    would lead the secret elsewhere.
    """
    descriptor, new = tempfile.mkstemp(".new", f".{path.name}-", path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        Path(new).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(new).unlink()
        raise
