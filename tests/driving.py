"""Stepping a driver's coroutine: sample bodies in, requests out; no loop, network or mocks."""

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from paymux.drivers.base import Driver
from paymux.errors import OutcomeUnknown
from paymux.http import Request, Response
from paymux.transport.outcome import Means, decide

T = TypeVar("T")
R = TypeVar("R")
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


class Script:
    """A `send` that answers with replies in order, read by the transport's own verdict, and keeps
    the requests.
    """

    def __init__(self, driver: Driver, *replies: Response) -> None:
        self.driver = driver
        self.replies = list(replies)
        self.requests: list[Request[Any]] = []

    async def __call__(self, request: Request[R]) -> R:
        signed = self.driver.authorize(request, "simulator-token")
        self.requests.append(signed)
        verdict = decide(self.driver, request, self.replies.pop(0))
        if verdict.error is not None:
            raise verdict.error
        if verdict.means is not Means.ANSWER:
            raise OutcomeUnknown(verdict.means.value)
        answer: R = verdict.answer
        return answer


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a driver's coroutine to its end without a loop; it awaits nothing but `send`."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the driver awaited something other than send")
