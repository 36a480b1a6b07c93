"""Answers to the pool's questions: each is heard, and one for which no verb waits is applied."""

import asyncio

from ..core import Engine, Route, apply_late
from ..core.notify import CallbackFailed, log_failure
from ..drivers.base import Driver
from ..errors import PaymuxError
from ..http import WebhookRequest
from ..journal import Asked, OpenMessage
from ..models import Event, log
from ..primitives.forks import leave_to_parent
from .telling import Teller

MAX_PER_SCAN = 100  # answers that a scan applies


class AnswerProcessor:
    """Hears the answers of one pool, and applies those that came late.

    Between `begin` and `aclose`, an answer is applied even if its client disconnects.
    """

    def __init__(self, engine: Engine, teller: Teller) -> None:
        self._engine = engine
        self._teller = teller
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Start in this loop."""
        self._loop, self._tasks = asyncio.get_running_loop(), set()

    def forget(self) -> None:
        """Drop the parent's answers in a forked child."""
        leave_to_parent(self._tasks)
        self._loop, self._tasks = None, set()

    async def aclose(self, grace: float) -> None:
        """Wait up to `grace` seconds for answers that are being applied; others apply the rest."""
        self._loop = None
        if tasks := list(self._tasks):
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def take(self, incoming: WebhookRequest, route: Route, until: float) -> None:
        """Hear an answer, and apply it if no verb waits for it; return at `until` at the latest.

        BadWebhook: it is no answer to a question of this pool. OSError: it cannot be kept now; let
        the provider send it again.
        """
        async with asyncio.timeout_at(until):  # TimeoutError is an OSError
            late = await self._engine.questions.hear(incoming, route)
        if late is None:
            return
        task = self._begun(late, until)
        await asyncio.wait({task}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        if self._loop is None and not task.done():  # nothing goes on after the answer
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def scan(self, until: float) -> None:
        """Apply what workers that died have left; OSError: the journal cannot be read now."""
        # Whether any provider answers by a message: otherwise there is nothing to look for.
        drivers = self._engine.drivers.values()
        asks = any(type(one).answer_id is not Driver.answer_id for one in drivers)
        if asks and (found := await self._engine.questions.claim(MAX_PER_SCAN)):
            await asyncio.wait({self._begun(one, until) for one in found})

    def _begun(self, late: Asked, until: float) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(self._apply(late, until))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _apply(self, late: Asked, until: float) -> None:
        done = False
        try:
            payment = await apply_late(self._engine, late)
            done = True
            if payment is not None and payment.status.terminal:
                event = Event(account=late.account, provider=payment.provider, claims=payment)
                await self._teller.tell(OpenMessage(event), payment, until)
        except CallbackFailed:
            done = False
        except (PaymuxError, OSError) as error:
            log.warning("%s: an answer could not be applied yet: %s", late.account, error)
        except Exception as error:  # noqa: BLE001 - its payment stays open, and is looked up again
            done = True
            log_failure("a driver", late.account, error)
        finally:
            await self._engine.questions.end(late, done=done)
