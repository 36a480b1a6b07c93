"""The log of paymux on standard error: its warnings, and with -v each exchange, redacted."""

import logging

from . import streams


class _ToStandardError(logging.Handler):
    """Writes a record as a line of the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        streams.write_error(f"paymux: {record.getMessage()}\n")


def to_standard_error(*, verbose: bool, quiet: bool) -> None:
    """Write the records of paymux to standard error; the handlers of an earlier run go."""
    log = logging.getLogger("paymux")
    log.handlers = [one for one in log.handlers if not isinstance(one, _ToStandardError)]
    log.addHandler(_ToStandardError())
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
