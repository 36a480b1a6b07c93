"""PyPI flask-mpesa 1.2.8, whose classes take the host."""

import sys
from typing import Any

from flask_mpesa import B2B  # type: ignore[import-not-found]  # only its own environment has it

from .listening import listen

client = B2B(app_key="simulator", app_secret="simulator", sandbox_url=sys.argv[1])


def transact(payment: dict[str, Any]) -> Any:
    """Pay another business."""
    return client.transact(**payment)


listen("flask-mpesa", transact)
