"""Questions whose answers come as messages: asking, waiting, and hearing the answer.

A question has a path of its own for its answer, which is good once and for a quarter of an hour,
and is told to the provider alone. An answer counts if it comes to that path and bears the id that
the provider gave in its acknowledgement. It may be heard by any worker of the journal; without a
journal, by this pool. An answer never causes a question.
"""

import asyncio
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from ..drivers.base import WEBHOOK_BYTES, Driver
from ..errors import BadWebhook, NoAnswer, Unavailable, Unsupported, UsageError
from ..http import Question, WebhookRequest
from ..journal import Asked, Heard, LocalQuestions
from ..primitives.clock import wall_time
from ..primitives.coerce import text
from ..primitives.echoes import clean
from ..primitives.forks import leave_to_parent
from ..primitives.redaction import hide, mask
from ..transport import Call
from ..values.parsing import BOM, Unreadable
from .callback_urls import ANSWERS, CallbackUrls, Route

if TYPE_CHECKING:
    from ..journal.questions import Questions as Store
    from .engine import Engine

R = TypeVar("R")
T = TypeVar("T")

NONCE_BYTES = 16
ANSWER_SECONDS = 900  # for which the path of an answer is good
# Seconds between looks into the journal: another worker may have heard the answer. A look reads one
# row by its key, and Daraja's answers take seconds.
POLL_SECONDS = 0.5
# Of a verb's time, what is kept for its last look; in seconds, at most.
LAST_LOOK, LAST_LOOK_SECONDS = 0.1, 0.5


class Questions:
    """Asks the questions of one pool, and hears their answers."""

    def __init__(self, engine: "Engine", urls: CallbackUrls) -> None:
        self._engine = engine
        self._urls = urls
        self._local = LocalQuestions()
        # By nonce, the verbs of this process that wait: for a body, or for None after a time-out.
        self._waiting: dict[str, asyncio.Future[str | None]] = {}

    @property
    def store(self) -> "Store":
        """Return the store of questions; without a journal, in memory."""
        journal = self._engine.store.journal
        return self._local if journal is None else journal.questions

    def forget(self) -> None:
        """Drop the parent's questions in a forked child: they are answered there."""
        leave_to_parent(self._waiting)
        self._waiting = {}

    def close(self) -> None:
        """End every wait with UsageError: the pool is closed."""
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(UsageError("pool: it was closed while an answer was awaited"))

    async def ask(self, call: Call, question: Question[R]) -> R:
        """Ask a question, and wait for the message that answers it.

        NoAnswer: none came within the deadline. UsageError: the pool has no URL for the answer.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        expires = int(wall_time().timestamp()) + ANSWER_SECONDS
        account, name = call.driver.account, nonce.hex()
        urls = self._urls.answer_urls(account, nonce, expires)
        known = call.about if call.proved else None
        named = question.request.credential
        about = Asked(
            nonce=name,
            account=account,
            verb=call.verb,
            payment=known,
            expires=expires,
            credential=call.driver.credential_id(named) if named else "",
        )
        self._waiting[name] = waiter = asyncio.get_running_loop().create_future()
        try:
            answer = await self._answer(call, question, urls, about, waiter)
        finally:
            del self._waiting[name]
            waiter.cancel()
        return read(call, question, answer)

    async def _answer(
        self,
        call: Call,
        question: Question[R],
        urls: tuple[str, str],
        about: Asked,
        waiter: "asyncio.Future[str | None]",
    ) -> str:
        store, nonce, account = self.store, about.nonce, about.account
        await _kept(account, store.begin(about))
        try:
            named = text(question.id_of(await call(question.to(*urls))))
            if not named:
                raise Unreadable("the acknowledgement has no id")
            if hide(named, self._engine.secrets(call.driver)) != named:  # it would be stored
                raise Unreadable("the acknowledgement's id has a credential in it")
        except BaseException:
            store.forget(nonce)  # without the id, no answer can be believed
            raise
        try:
            answer = await _kept(account, store.acknowledge(nonce, named))
            if answer is None:
                await self._wait(call, nonce, waiter)
                answer = await _kept(account, store.give_up(nonce))
        except BaseException:
            store.release(nonce)
            raise
        if answer is None:
            raise NoAnswer(
                f"{call}: the provider took the question, and no answer came in time; it comes to "
                "webhook_base, where an entered Webhooks must hear it"
            )
        return answer

    async def _wait(self, call: Call, nonce: str, waiter: "asyncio.Future[str | None]") -> None:
        """Wait until there is an answer or a time-out, at most until shortly before the deadline.

        What there is then, the store says: it decides once between an answer and giving up.
        """
        shared, loop = self._engine.store.journal is not None, asyncio.get_running_loop()
        left = call.deadline - loop.time()
        until = call.deadline - min(LAST_LOOK_SECONDS, LAST_LOOK * left)
        while (left := until - loop.time()) > 0:
            pause = min(left, POLL_SECONDS) if shared else left
            await asyncio.wait({waiter}, timeout=pause)
            if waiter.done():
                waiter.result()  # UsageError: the pool was closed
                return
            if shared:
                asked = await _kept(call.driver.account, self.store.look(nonce))
                if asked is None or asked.answer is not None or asked.timed_out:
                    return

    async def hear(self, incoming: WebhookRequest, route: Route) -> Asked | None:
        """Take a message that came to the path of an answer, or of its time-out.

        Return the question if no verb waits for the answer: apply it, then call `end`. BadWebhook:
        it is no answer to a question of this pool. OSError: the journal cannot be used now.
        """
        driver, nonce = self._engine.drivers[route.account], route.reference
        if nonce is None or route.use not in ANSWERS:
            raise BadWebhook(f"{route.account}: this path is of no question")
        store = self.store
        if route.use == "answer_timeout":  # it proves nothing, and its body is not looked at
            if not await store.time_out(nonce):
                raise BadWebhook(f"{route.account}: a time-out of no question that is open")
            self._wake(nonce, None)
            return None
        named, answer = self._read(driver, incoming)
        try:
            heard = await store.hear(nonce, named, answer, waits=nonce in self._waiting)
            late = await store.look(nonce) if heard is Heard.LATE else None
        except BaseException:
            store.release(nonce)  # it may be this worker's by now, and no one else would apply it
            raise
        if heard in (Heard.UNKNOWN, Heard.WRONG):
            raise BadWebhook(f"{route.account}: an answer {heard.value}")
        if heard is Heard.TAKEN:
            self._wake(nonce, answer)
        return late

    def _read(self, driver: Driver, incoming: WebhookRequest) -> tuple[str, str]:
        """Return the id that an answer bears, and its body without the account's credentials."""
        refused, known = "", self._engine.secrets(driver)
        try:
            if incoming.method != "POST" or len(incoming.body) > WEBHOOK_BYTES:
                raise Unreadable("no answer is a GET, or larger than 64 KiB")
            body = incoming.body.removeprefix(BOM)
            said = clean(body.decode("utf-8"), known)
            named = text(driver.answer_id(WebhookRequest(body=body)))
            if not named:
                raise Unreadable("the answer has no id")
            return named, said
        except (BadWebhook, Unreadable, UnicodeDecodeError, Unsupported) as error:
            refused = mask(hide(str(error)[:200], known))
        # Outside the `except`: the frames of that error hold what was read.
        raise BadWebhook(f"{driver.account}: {refused}")

    def _wake(self, nonce: str, answer: str | None) -> None:
        waiter = self._waiting.get(nonce)
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    async def claim(self, count: int) -> list[Asked]:
        """Claim answers that came late, and that no live worker applies; OSError: not now."""
        return await self.store.claim(self._engine.drivers, count)

    async def end(self, asked: Asked, *, done: bool) -> None:
        """Let go of an answer. done=False: any worker may apply it."""
        await self.store.end(asked.nonce, done=done)


async def _kept(account: str, doing: Awaitable[T]) -> T:
    try:
        return await doing
    except OSError as error:
        raise Unavailable(f"{account}: {error}") from None


def read(call: Call, question: Question[R], answer: str) -> R:
    """Read the body of an answer as the question's type; Unreadable: it is anything else."""
    body = answer.encode()
    call.response.set_body(body)
    return call.driver.message(question.type, WebhookRequest(body=body))
