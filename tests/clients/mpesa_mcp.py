"""PyPI mpesa-mcp 0.4.6, whose host is written in its code; its tools are called as functions."""

import os
import sys
import tempfile
from typing import Any

os.environ |= {
    "HOME": tempfile.mkdtemp(),
    "MPESA_SANDBOX": "true",
    "MPESA_CONSUMER_KEY": "simulator",
    "MPESA_CONSUMER_SECRET": "simulator",
    "MPESA_SHORTCODE": "174379",
    "MPESA_INITIATOR_NAME": "testapi",
    "MPESA_SECURITY_CREDENTIAL": "c2ltdWxhdG9y",
    "MPESA_CALLBACK_URL": "https://shop.example/call/7f",
    "MPESA_RESULT_URL": "https://shop.example/done/7f",
    "MPESA_TIMEOUT_URL": "https://shop.example/late/7f",
}

import requests  # type: ignore[import-untyped,unused-ignore]
from mpesa_mcp import server  # type: ignore[import-not-found]  # only its own environment has it

from .listening import listen


class Sent:
    """`requests`, but for the host."""

    RequestException = requests.RequestException
    HTTPError = requests.HTTPError

    @staticmethod
    def get(url: str, **given: Any) -> Any:
        """Send a GET to the simulator."""
        return requests.request("GET", _moved(url), timeout=10, **_untimed(given))

    @staticmethod
    def post(url: str, **given: Any) -> Any:
        """Send a POST to the simulator."""
        return requests.request("POST", _moved(url), timeout=10, **_untimed(given))


def _moved(url: str) -> str:
    return url.replace("https://sandbox.safaricom.co.ke", sys.argv[1])


def _untimed(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "timeout"}


server.requests = Sent


def call(operation: str, arguments: dict[str, Any]) -> Any:
    """Call one of the client's tools."""
    try:
        return getattr(server, operation)(**arguments)
    except requests.HTTPError as error:
        said = None if error.response is None else error.response.json()
        return {"raised": type(error).__name__, "said": said}


listen("mpesa-mcp", call)
