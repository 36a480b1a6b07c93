"""PyPI mpesa-daraja-mcp 0.1.4 with another host; its tools are called as functions."""

import asyncio
import os
import sys
import tempfile
from typing import Any

os.environ |= {
    "DARAJA_CONSUMER_KEY": "simulator",
    "DARAJA_CONSUMER_SECRET": "simulator",
    "DARAJA_SHORTCODE": "174379",
    "DARAJA_INITIATOR_NAME": "testapi",
    "DARAJA_SECURITY_CREDENTIAL": "c2ltdWxhdG9y",
    "DARAJA_CALLBACK_BASE_URL": "https://shop.example",
    "DARAJA_STATE_DB": f"{tempfile.mkdtemp()}/state.db",
}

from mpesa_mcp import client, server  # type: ignore[import-not-found]

from .listening import listen

client.BASE_URLS["sandbox"] = sys.argv[1]
loop = asyncio.new_event_loop()


def call(operation: str, arguments: dict[str, Any]) -> Any:
    """Call one of the client's tools."""
    try:
        said = loop.run_until_complete(getattr(server, operation)(**arguments))
    except client.DarajaError as error:
        return {"raised": type(error).__name__, "status": error.status, "said": error.body}
    return said.model_dump(mode="json") if hasattr(said, "model_dump") else said


def read(payload: dict[str, Any]) -> Any:
    """Read a message with the client's own reader."""
    return server.parse_callback(payload)


listen("mpesa-daraja-mcp", call, read)
