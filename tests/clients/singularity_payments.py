"""PyPI singularity-payments 1.0.1 with another host."""

import asyncio
import sys
from typing import Any

from singularity_payments.client import (  # type: ignore[import-not-found]  # only its own environment has it
    mpesa_client,
)
from singularity_payments.types import config, mpesa  # type: ignore[import-not-found]
from singularity_payments.utils import auth  # type: ignore[import-not-found]

from .listening import listen

auth.ENDPOINTS["sandbox"] = sys.argv[1]
client = mpesa_client.MpesaClient(
    config.MpesaConfig(
        consumer_key="simulator",
        consumer_secret="simulator",
        passkey="simulator",
        short_code="174379",
        environment="sandbox",
        initiator_name="testapi",
        security_credential="c2ltdWxhdG9y",
    )
)
loop = asyncio.new_event_loop()


def call(operation: str, request: str, fields: dict[str, Any]) -> Any:
    """Call one of the client's methods with its request model."""
    asked = getattr(mpesa, request)(**fields)
    answer = loop.run_until_complete(getattr(client, operation)(asked))
    return answer.model_dump(mode="json")


listen("singularity-payments", call)
