"""PyPI mpesa-sdk 2.0.0 with another host; its caller logs in."""

import sys
from typing import Any

from mpesa_sdk import urls  # type: ignore[import-not-found]  # only its own environment has it

urls.SANDBOX_BASE_URL = sys.argv[1]

from mpesa_sdk.gateway import Mpesa, MpesaError  # type: ignore[import-not-found]  # noqa: E402

from .listening import listen  # noqa: E402


def call(token: str, operation: str, payload: dict[str, Any]) -> Any:
    """Call one of the client's methods."""
    try:
        return getattr(Mpesa(token), operation)(payload)
    except MpesaError as error:
        return {"raised": type(error).__name__, "said": str(error)}


listen("mpesa-sdk", call)
