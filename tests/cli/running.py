"""Runs a command in this process, as a user would start it."""

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

from paymux.cli.main import run


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams."""
        return self.stdout + self.stderr


@contextlib.contextmanager
def log_kept() -> Iterator[None]:
    """Leave the log as it was: a command sets it up for its whole process."""
    log = logging.getLogger("paymux")
    before = log.propagate, log.level, log.handlers[:]
    try:
        yield
    finally:
        log.propagate, log.handlers = before[0], before[2]
        log.setLevel(before[1])


def ended(*words: str, **variables: str) -> Ended:
    """Run a command with these variables; those of the test run that name paymux are not seen."""
    kept = {name: one for name, one in os.environ.items() if not name.startswith("PAYMUX_")}
    out, error = io.StringIO(), io.StringIO()
    with (
        log_kept(),
        mock.patch.dict(os.environ, {**kept, "LANG": "C", **variables}, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        code = run(list(words))
    return Ended(code, out.getvalue(), error.getvalue())
