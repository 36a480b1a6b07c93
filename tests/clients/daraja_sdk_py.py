"""PyPI daraja-sdk-py 2.0.0 with another host."""

import sys
from collections.abc import Callable
from typing import Any

from daraja import environment  # type: ignore[import-not-found]  # only its own environment has it

environment.SANDBOX_BASE_URL = sys.argv[1]

from daraja.client import Mpesa  # type: ignore[import-not-found]  # noqa: E402
from daraja.exceptions import MpesaError  # type: ignore[import-not-found]  # noqa: E402

from .listening import listen  # noqa: E402

client = Mpesa(
    {
        "consumer_key": "simulator",
        "consumer_secret": "simulator",
        "initiator_name": "testapi",
        "security_credential": "c2ltdWxhdG9y",
        "max_retries": 0,
    }
)


def call(operation: str, payload: dict[str, Any]) -> Any:
    """Call one of the client's methods."""
    return attempted(lambda: getattr(client, operation)(payload).model_dump(mode="json"))


def attempted(called: Callable[[], Any]) -> Any:
    """Return the answer, or the error that the client raises."""
    try:
        return called()
    except MpesaError as error:
        return {"raised": type(error).__name__, "said": str(error)}


listen("daraja-sdk-py", call)
