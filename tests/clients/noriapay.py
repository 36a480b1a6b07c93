"""PyPI noriapay 0.1.1, which takes the host."""

import sys
from collections.abc import Callable
from typing import Any

from noriapay import MpesaClient  # type: ignore[import-not-found]  # only its own environment has it
from noriapay.exceptions import ApiError  # type: ignore[import-not-found]

from .listening import listen

client = MpesaClient(consumer_key="simulator", consumer_secret="simulator", base_url=sys.argv[1])


def call(operation: str, payload: dict[str, Any]) -> Any:
    """Call one of the client's methods."""
    return attempted(lambda: getattr(client, operation)(payload))


def attempted(called: Callable[[], Any]) -> Any:
    """Return the answer, or the error that the client raises."""
    try:
        return called()
    except ApiError as error:
        return {"raised": type(error).__name__, "status": error.status_code, "said": str(error)}


listen("noriapay", call)
