"""The log of paymux on standard error: its warnings, and with -v each exchange, redacted."""

import json
import logging

from . import streams


class _ToStandardError(logging.Handler):
    """Writes a record as a line of the command line, or of JSON."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if self._as_json:
            told = {"type": "log", "level": record.levelname.lower(), "message": said}
            said = json.dumps(told, ensure_ascii=False)
        streams.write_error(f"{said}\n" if self._as_json else f"paymux: {said}\n")


def to_standard_error(*, verbose: bool, quiet: bool, as_json: bool) -> None:
    """Write the records of paymux to standard error; the handlers of an earlier run go."""
    log = logging.getLogger("paymux")
    log.handlers = [one for one in log.handlers if not isinstance(one, _ToStandardError)]
    log.addHandler(_ToStandardError(as_json=as_json))
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
