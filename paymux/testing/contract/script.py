"""Stepping a driver's coroutine: bodies in, requests out; no loop, no network and no mock."""

from collections.abc import Coroutine
from typing import Any, TypeVar, cast

from ...drivers.base import Driver
from ...errors import NoAnswer, OutcomeUnknown
from ...http import Pause, Question, Request, Response, Sendable, WebhookRequest
from ...transport import Means, decide

T = TypeVar("T")
R = TypeVar("R")
ANSWER_URL, TIMEOUT_URL = "https://shop.example/answer", "https://shop.example/timeout"


class Script:
    """A `send` that answers with replies in order, and keeps the signed requests.

    The replies are read by the transport's own verdict. OutcomeUnknown: a reply is no answer. A
    question (`paymux.ask`) takes two: the acknowledgement, and the message that answers it, of
    which only the body counts. NoAnswer: there is no second one, or it bears another id.
    """

    def __init__(self, driver: Driver, *replies: Response) -> None:
        self.driver = driver
        self.replies = list(replies)
        self.requests: list[Request[Any]] = []

    async def __call__(self, request: Sendable[R]) -> R:
        """Answer with the next reply; a wait takes no time, and ends with the replies."""
        if isinstance(request, Pause):
            return cast("R", bool(self.replies))
        if isinstance(request, Question):
            return self._answered(request)
        return self._reply(request)

    def _answered(self, question: Question[R]) -> R:
        named = question.id_of(self._reply(question.to(ANSWER_URL, TIMEOUT_URL)))
        if not self.replies:
            raise NoAnswer("the script has no answer")
        message = WebhookRequest(body=self.replies.pop(0).body)
        if self.driver.answer_id(message) != named:
            raise NoAnswer("the answer bears another id than the acknowledgement")
        return self.driver.message(question.type, message)

    def _reply(self, request: Request[R]) -> R:
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
    """Run a driver's coroutine to its end without a loop; it awaits nothing but `send`.

    `drive(driver.verify(script, payment))` raises what the driver raises, such as Rejected.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the driver awaited something other than send")
