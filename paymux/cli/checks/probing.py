"""Settling what no page says: the requests of each fact, and what came back."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

import msgspec

from ...drivers._probing import Call, Fact, Raw, Seen
from ...drivers.base import Driver
from ...errors import PaymuxError, UsageError
from ...http import Connection, Request, get, post
from ...models import Payment
from ...pool import Pool
from ...primitives.clock import wall_time
from ...values.credentials import text_fields
from ...webhooks import Webhooks
from .listening import Listener
from .recording import Recorder

Verdict: TypeAlias = Literal["confirmed", "differs", "not asked"]

STEP_SECONDS = 15.0
HEAR_SECONDS = 30.0  # for a message that answers a question


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one fact."""

    fact: str
    assumed: str
    saw: str
    verdict: Verdict
    why: str = ""  # why it was not asked, or settled nothing
    seen: tuple[Seen, ...] = ()


class Lab:
    """Asks the facts of one account, which is not live, over one connection.

    `webhook_base` leads to `port` on this machine; without it no message is heard.
    """

    def __init__(
        self,
        driver: Driver,
        connection: Connection | None = None,
        *,
        webhook_base: str | None = None,
        port: int = 0,
        network: Mapping[str, Any] | None = None,
    ) -> None:
        if driver.live:
            accepted = "False: nothing is tried out where real money moves"
            raise UsageError.field("live", driver.live, accepted)
        self._driver = driver
        self._base = webhook_base
        self._port = port
        self._own = Pool(driver, connection=connection, **(network or {}))
        self.recorder = Recorder(self._own.internals.engine.transport.connection)
        self._key = secrets.token_hex(16)

    def lacks(self, fact: Fact) -> str:
        """Return why a fact cannot be asked with this account; "": it can."""
        if "webhook" in fact.needs and self._base is None:
            return "needs webhook_base"
        missing = [name for name in fact.needs if name != "webhook" and not self._has(name)]
        if missing:
            return f"needs {', '.join(missing)}"
        given = [name for name in fact.without if self._has(name)]
        if given:
            return f"needs an account without {', '.join(given)}"
        if requests_of(fact, self._driver) > self.recorder.left:
            return f"{self.recorder.sent} requests were sent: run it again later"
        return ""

    def _has(self, name: str) -> bool:
        return bool(getattr(self._driver, name, None))

    def secrets(self) -> tuple[str, ...]:
        """Return the account's credentials, to remove them from samples."""
        return (*self._driver.secrets(), self._key)

    async def ask(self, fact: Fact) -> Probed:
        """Send the requests of a fact, and compare what came back with the guess."""
        if why := self.lacks(fact):
            return _unasked(fact, why)
        self.recorder.seen, self.recorder.unreached = [], False
        words = self._words()
        pool = await self._pool()
        try:
            for step in fact.steps:
                if isinstance(step, Call) and step.again:
                    await pool.aclose()
                    pool = await self._pool()
                await self._step(pool, fact, step, words)
                words["first"] = _first(self.recorder.seen)
        except OSError as error:  # of the port on which messages are heard
            return _unasked(fact, f"port {self._port}: {error.strerror}")
        except (KeyError, TypeError):
            return _unasked(fact, "the first answer has not what the second request needs")
        finally:
            await pool.aclose()
        return self._read(fact)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._own.aclose()

    def _read(self, fact: Fact) -> Probed:
        seen = tuple(self.recorder.seen)
        saw = fact.reads(seen)
        if not saw:
            why = "no answer came" if self.recorder.unreached else "the answer settles nothing"
            return msgspec.structs.replace(_unasked(fact, why), seen=seen)
        verdict: Verdict = "confirmed" if saw == fact.guess else "differs"
        return Probed(fact=fact.id, assumed=fact.guess, saw=saw, verdict=verdict, seen=seen)

    async def _pool(self) -> Pool:
        """Enter a pool that knows nothing of what was sent before."""
        named = {} if self._base is None else {"webhook_base": self._base, "webhook_key": self._key}
        options: dict[str, Any] = {"deadline": STEP_SECONDS, "attempts": 1, **named}
        return await Pool(self._driver, connection=self.recorder, **options).__aenter__()

    def _words(self) -> dict[str, Any]:
        fields = {name: getattr(self._driver, name) for name in text_fields(type(self._driver))}
        new = f"probe-{secrets.token_hex(6)}"
        today = date.isoformat(wall_time().date())
        return {**fields, "new": new, "today": today, "webhook": self._base or "", "first": {}}

    async def _step(
        self, pool: Pool, fact: Fact, step: Call | Raw, words: Mapping[str, Any]
    ) -> None:
        """Send one request; what is refused, or has no answer, is what is looked at."""
        try:
            if isinstance(step, Raw):
                await pool.send(self._driver.account, _request(step, words))
            elif fact.hears:
                await self._heard(pool, step, words)
            else:
                await _called(pool, self._driver, step, words)
        except UsageError:
            raise
        except (PaymuxError, TimeoutError):
            return

    async def _heard(self, pool: Pool, step: Call, words: Mapping[str, Any]) -> None:
        """Ask what is answered by a message, and hear it on the port."""
        hooks = Webhooks(pool, _nothing)

        async def hear(incoming: Any) -> Any:
            self.recorder.hear(incoming.path, incoming.body)
            return await hooks.answer(incoming)

        async with hooks, Listener(self._port, hear), asyncio.timeout(HEAR_SECONDS):
            await _called(pool, self._driver, step, words)


async def _nothing(_: Payment) -> None:
    """Do nothing with the end of a payment."""


async def _called(pool: Pool, driver: Driver, step: Call, words: Mapping[str, Any]) -> None:
    given = {name: _filled(value, words) for name, value in step.given.items()}
    account = driver.account
    if step.verb == "collect":
        await pool.collect(account, **given)
    elif step.verb == "payout":
        await pool.payout(account, **given)
    elif step.verb == "find":
        await pool.find(account, **given)
    else:
        await pool.verify(Payment(account=account, **given))


def _request(step: Raw, words: Mapping[str, Any]) -> "Request[Any]":
    if step.method == "GET":
        return get(step.path, Any)
    return post(step.path, Any, _filled(step.body, words), money=step.money)


def _filled(value: Any, words: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return value.format_map(words)
    if isinstance(value, Mapping):
        return {name: _filled(inner, words) for name, inner in value.items()}
    return value


def _first(seen: Sequence[Seen]) -> Any:
    """Return the body of the first answer that is not a login."""
    bodies = [one.body for one in seen if isinstance(one.body, dict) and "token" not in one.path]
    return next((one for one in bodies if "access_token" not in one), {})


def _unasked(fact: Fact, why: str) -> Probed:
    return Probed(fact=fact.id, assumed=fact.guess, saw="", verdict="not asked", why=why)


def requests_of(fact: Fact, driver: Driver) -> int:
    """Return how many requests a fact needs at most, logins among them."""
    pools = 1 + sum(isinstance(step, Call) and step.again for step in fact.steps)
    logs_in = driver.logs_in()
    return len(fact.steps) + fact.more + (pools if logs_in else 0)
