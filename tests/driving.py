"""The samples of the drivers, and what steps a driver's coroutine with them."""

import json
from pathlib import Path
from typing import Any

from paymux.http import Response
from paymux.testing.contract import Script, drive

__all__ = ["SAMPLES", "Script", "drive", "reply", "sample"]

SAMPLES = Path(__file__).parent / "samples"


def sample(driver: str, case: str) -> Any:
    """Give the body of `tests/samples/<driver>/<case>.<status>.json`.

    Its source and date stand in the file.
    """
    return json.loads((SAMPLES / driver / f"{case}.json").read_text())["body"]


def reply(driver: str, case: str) -> Response:
    """Give a sample as the reply that a provider sent, with the status of its file name."""
    body = sample(driver, case)
    status = int(case.rsplit(".", 1)[1])
    return Response(
        status=status, body=body.encode() if isinstance(body, str) else json.dumps(body).encode()
    )
