"""Promises about questions: their answers come as messages, late, twice, early, or never."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
import pytest

from ...errors import NoAnswer
from ...http import Connection, PreparedRequest, Response, WebhookRequest
from ...models import Payment, Status
from .desk import Desk
from .promises import Promises, asks, only, questions_payouts
from .running import in_virtual_time

LATE_SECONDS = 3.0  # longer than the simulator takes to answer a question


class Slow:
    """A connection whose replies come late: an answer overtakes its acknowledgement."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt, and keep its reply for a while."""
        reply = await self._inner.exchange(outgoing)
        await asyncio.sleep(LATE_SECONDS)
        return reply

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Pass frames on."""
        return self._inner.frames(outgoing)

    async def aclose(self) -> None:
        """Close nothing."""


async def _paid(desk: Desk) -> Payment:
    """Pay out, and let it arrive; its look-up is a question."""
    payment = await desk.payout()
    assert payment.status is Status.PENDING
    desk.settle(payment, Status.SUCCEEDED)
    return payment


async def _answer(desk: Desk) -> WebhookRequest:
    """Wait for the answer to the last question, which is kept back."""
    await asyncio.sleep(LATE_SECONDS)
    assert desk.answers, "the simulator did not answer the question"
    return desk.answers[-1]


class QuestionPromises(Promises):
    """Promises about questions: their answers come as messages, late, twice, early, or never."""

    @only(questions_payouts)
    @in_virtual_time
    async def test_a_late_answer_is_applied_and_told_once(self) -> None:
        """Without its answer a payment stays as it is held; the answer ends it, once."""
        async with self.desk() as desk:
            payment = await _paid(desk)
            desk.holds = True
            held = await desk.pool.verify(payment)
            assert (held.status, held.reference) == (Status.PENDING, "wage-7")
            (answer,) = desk.answers
            assert (await desk.server.answer(answer)).status < 300
            (told,) = desk.delivered
            assert (told.status, told.kind, told.reference) == (
                Status.SUCCEEDED,
                "payout",
                "wage-7",
            )
            await desk.server.answer(answer)
            assert len(desk.delivered) == 1

    @only(questions_payouts)
    @in_virtual_time
    async def test_an_answer_may_overtake_its_acknowledgement(self) -> None:
        """It counts once the acknowledgement has told its id."""
        async with self.desk(carried=Slow) as desk:
            payment = await _paid(desk)
            assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED

    @only(questions_payouts)
    @in_virtual_time
    async def test_an_answer_with_another_id_answers_nothing(self) -> None:
        """The answer of another question, on this one's path, is no answer."""
        async with self.desk() as desk:
            payment = await _paid(desk)
            desk.holds = True
            await desk.pool.verify(payment)
            other = await _answer(desk)
            asking = asyncio.create_task(desk.pool.verify(payment))
            answer = await _answer(desk)
            await desk.server.answer(msgspec.structs.replace(other, path=answer.path))
            await asyncio.sleep(1)
            assert not asking.done(), "Driver.answer_id accepts the answer of another question"
            await desk.server.answer(answer)
            assert (await asking).status is Status.SUCCEEDED

    @only(lambda contract: asks(contract) and contract.driver.can("balance"))
    @in_virtual_time
    async def test_a_balance_without_its_answer_is_none(self) -> None:
        """NoAnswer, at the deadline: no balance is invented."""
        async with self.desk() as desk:
            await desk.pool.balance(desk.name)
            desk.holds = True
            with pytest.raises(NoAnswer):
                await desk.pool.balance(desk.name, deadline=30)
