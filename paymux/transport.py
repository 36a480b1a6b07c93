"""Policy for one request: limit, sign, send, judge, repeat where safe, raise. No HTTP library is known here."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar, cast

import msgspec

from .drivers.base import Driver, Pushed, Token
from .errors import (
    AuthenticationFailed,
    NotSent,
    OutcomeUnknown,
    PaymuxError,
    ProviderError,
    RateLimited,
    Unavailable,
    UsageError,
)
from .lenient import Unreadable
from .limits import Limit
from .models import Payment
from .outcome import Means, Verdict, decide
from .redact import hide, mask, scrub
from .retries import asked_pause, may_repeat, retry_after
from .tokens import TokenCache
from .wire import Broken, Connection, Outgoing, Reply, Request

R = TypeVar("R")
T = TypeVar("T")

exchanges = logging.getLogger("paymux.exchange")


class Transport:
    """Carries the requests of every account of one pool."""

    def __init__(self, connection: Connection, *, deadline: float, attempts: int) -> None:
        self.connection = connection
        self.attempts = attempts
        self.tokens = TokenCache(deadline)
        self._deadline = deadline
        self.closed = False
        self._limits: dict[tuple[str, bool], Limit] = {}

    def limit(self, driver: Driver, *, money: bool) -> Limit | None:
        """Give the limit that a request of this account must pass, where the provider states one."""
        stated = driver.limits.get("money" if money else "look-up")
        if stated is None:
            return None
        key = (driver.account, money)
        if key not in self._limits:
            self._limits[key] = Limit(driver.account, *stated)
        return self._limits[key]

    def call(self, driver: Driver, verb: str, seconds: float, reference: str | None = None) -> "Call":
        """Begin a verb that may take so many seconds."""
        return Call(self, driver, verb, seconds, reference)

    async def perform(
        self, call: "Call", operation: Callable[["Call"], Awaitable[T]], pending: Payment | None = None
    ) -> T:
        """Run a verb within its deadline, and say truthfully how it ended; `pending` is what is then unknown.

        Whatever goes wrong once money may have moved is OutcomeUnknown, a driver's own mistake included.
        """
        try:
            async with asyncio.timeout_at(call.deadline):
                return await operation(call)
        except asyncio.CancelledError as cancelled:
            if call.in_doubt:
                cancelled.add_note(f"paymux: {call} had been sent; its outcome is unknown")
            # Without the frames below, whose variables hold headers and bodies.
            raise cancelled.with_traceback(None) from None
        except StopAsyncIteration:
            raise
        except Exception as error:
            failure = _ended(call, error, pending)
            if failure is error and not isinstance(error, PaymuxError):
                raise
        # Without the frames below, whose variables hold bodies and what signs them.
        raise failure.with_traceback(None)

    async def frames(self, driver: Pushed) -> AsyncGenerator[str | bytes]:
        """Open the update socket of an account, and give its frames."""
        call = self.call(cast("Driver", driver), "updates", self._deadline)
        outgoing = await call.signed(driver.updates_request())
        async for frame in self.connection.frames(outgoing):
            yield frame

    async def login(self, driver: Driver) -> Token | None:
        """Log in, once for everybody who waits."""
        return await driver.token(Call(self, driver, "login", self._deadline))


class Attempt(msgspec.Struct, kw_only=True):
    """One attempt and what came of it."""

    number: int
    outgoing: Outgoing
    reply: Reply | None = None
    why: str = ""  # why there is no reply
    certain: bool = False  # trying again is useless

    @property
    def said(self) -> str:
        """Say what came of it, for an error or a log."""
        return f"HTTP {self.reply.status}" if self.reply else self.why


class Call:
    """The `send` of one verb; it knows at any moment whether money may have moved."""

    def __init__(
        self, transport: Transport, driver: Driver, verb: str, seconds: float, reference: str | None = None
    ) -> None:
        self._transport = transport
        self.driver = driver
        self.deadline = asyncio.get_running_loop().time() + seconds
        self._verb = verb
        self._reference = reference
        self._signs = verb != "login"
        self._logs_in = self._signs and type(driver).token is not Driver.token
        self._token: str | None = None
        self._flying: Outgoing | None = None
        self._doubt = False
        self.before_money: Callable[[], Awaitable[None]] | None = None  # what must be durable before money moves
        self.moves_money = False  # whether a money request was asked for
        self._body = b""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.driver.account, self._verb, self._reference)))

    def renew(self, seconds: float) -> None:
        """Start the deadline anew, for the next page of a history."""
        self.deadline = asyncio.get_running_loop().time() + seconds

    @property
    def in_doubt(self) -> bool:
        """Tell whether money may have moved: a money request left, and was not refused for certain."""
        flying = self._flying
        return self._doubt or (flying is not None and flying.money and flying.left)

    @property
    def raw(self) -> str:
        """Give the last answer's body, scrubbed."""
        return self._scrubbed(self._body)

    async def __call__(self, request: Request[R]) -> R:
        """Send one request and give its typed reply, or raise what the caller must know."""
        import backoff  # noqa: PLC0415 - 2 ms of an import that sends nothing yet

        pauses = backoff.expo(base=2, factor=0.2, max_value=5)
        next(pauses)
        self.moves_money = self.moves_money or request.money
        refreshed = unknown = False
        number = repeats = 0
        while True:
            number += 1
            if self._transport.closed:
                raise UsageError(f"{self}: the pool was closed")
            await self._sign_in(request)
            attempt = await self._attempt(request, number)
            verdict = decide(self.driver, request, attempt.reply, left=attempt.outgoing.left)
            # A later refusal says nothing of an earlier attempt that may have been processed.
            unknown = unknown or (verdict.means is Means.UNKNOWN and request.money)
            self._doubt = self._doubt or unknown or (verdict.means is Means.ANSWER and request.money)
            self._flying = None
            if verdict.means is Means.ANSWER:
                answer: R = verdict.answer
                return answer
            if verdict.means is Means.STALE and self._token is not None and not refreshed:
                refreshed = True
                self._transport.tokens.drop(self.driver.account, self._token)
                continue
            repeats += 1
            if repeats < self._transport.attempts and not attempt.certain and may_repeat(request, verdict.means):
                pause = asked_pause(attempt.reply, verdict.error)
                if pause is None:
                    pause = backoff.full_jitter(next(pauses))
                if asyncio.get_running_loop().time() + pause < self.deadline:
                    await asyncio.sleep(pause)
                    continue
            raise self._failure(request, attempt, verdict, unknown=unknown)

    async def _sign_in(self, request: Request[Any]) -> None:
        if not self._logs_in:
            return
        driver = self.driver
        try:
            self._token = await self._transport.tokens.get(driver, lambda: self._transport.login(driver))
        except (AuthenticationFailed, RateLimited):
            raise
        except (Unavailable, ProviderError, Unreadable, TimeoutError) as error:
            kind = NotSent if request.money else Unavailable
            failure = kind(f"{driver.account}: the login failed: {str(error) or 'timed out'}")
        else:
            return
        # Raised out here: the frames of what hangs on to a login's error hold its credentials.
        raise failure

    async def _attempt(self, request: Request[Any], number: int) -> Attempt:
        limit = self._transport.limit(self.driver, money=request.money) if self._signs else None
        if limit is None:
            return await self._tried(request, number)
        await limit.enter(self.deadline)
        try:
            return await self._tried(request, number)
        finally:
            limit.leave()

    async def _tried(self, request: Request[Any], number: int) -> Attempt:
        if request.money and self.before_money is not None:
            await self.before_money()
            self.before_money = None
        outgoing = self._outgoing(request)
        attempt = Attempt(number=number, outgoing=outgoing)
        self._flying = outgoing
        began = time.perf_counter()
        try:
            attempt.reply = await self._transport.connection.exchange(outgoing)
            self._body = attempt.reply.body
        except Broken as broken:
            attempt.why, attempt.certain = str(broken), broken.certain
        finally:
            if exchanges.isEnabledFor(logging.DEBUG):
                attempt.why = attempt.why or "cut off by us"
                self._log(request, attempt, time.perf_counter() - began)
        return attempt

    async def signed(self, request: Request[Any]) -> Outgoing:
        """Log in where that is needed, and give a request ready for the wire."""
        await self._sign_in(request)
        return self._outgoing(request)

    def _outgoing(self, request: Request[Any]) -> Outgoing:
        signed = self.driver.authorize(request, self._token) if self._signs else request
        content = signed.content()
        # A name of our own: CinetPay refuses the default ones (error 1010, docs.cinetpay.com).
        headers = {"Accept-Encoding": "identity", "User-Agent": "paymux", **signed.headers}
        if content is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if signed.form else "application/json"
        return Outgoing(
            method=signed.method,
            url=self.driver.url + signed.target(),
            headers=headers,
            body=content,
            money=request.money,
        )

    def _failure(self, request: Request[Any], attempt: Attempt, verdict: Verdict, *, unknown: bool) -> Exception:
        what = f"{self.driver.account}: {request.method} {request.path}"
        if unknown:
            return OutcomeUnknown(f"{what}: {attempt.said}; the outcome is unknown")
        if verdict.error is not None:
            return self._told(verdict.error, attempt.reply)
        if verdict.means is Means.NOT_SENT:
            return NotSent(f"{what}: {attempt.why}; nothing was sent")
        return Unavailable(f"{what}: {attempt.said}")

    def _told(self, error: ProviderError, reply: Reply | None) -> ProviderError:
        """Complete a provider's error with what it is about, and take out what nobody may print."""
        error.account, error.provider = self.driver.account, self.driver.name
        error.reference = self._reference
        error.message = mask(self._scrubbed(error.message.encode()))
        error.args = (error.message,)
        error.raw = mask(self.raw) if self._signs else ""
        if error.details:
            error.details = scrub(error.details, (*self.driver.secrets(), self._token or ""))
        error.code = error.code and self._scrubbed(error.code.encode())
        error.request_id = error.request_id and self._scrubbed(error.request_id.encode())
        if isinstance(error, RateLimited) and error.retry_after is None and reply is not None:
            error.retry_after = retry_after(reply)
        return error

    def _scrubbed(self, body: bytes) -> str:
        return hide(body.decode("utf-8", "replace"), (*self.driver.secrets(), self._token or ""))

    def _log(self, request: Request[Any], attempt: Attempt, seconds: float) -> None:
        bodies = (attempt.outgoing.body or b"", attempt.reply.body if attempt.reply else b"")
        # A login's bodies are nothing but credentials.
        sent, got = (mask(self._scrubbed(body)) if self._signs else "***" for body in bodies)
        exchanges.debug(
            "%s %s %s %s attempt=%d %s seconds=%.3f sent=%s got=%s",
            self.driver.account,
            self._verb,
            request.method,
            request.path,
            attempt.number,
            attempt.said,
            seconds,
            sent,
            got,
        )


def _ended(call: Call, error: Exception, pending: Payment | None) -> Exception:
    """Say what an error that ends a verb means to its caller."""
    late = isinstance(error, TimeoutError)
    if isinstance(error, OutcomeUnknown) or call.in_doubt:
        said = "the deadline passed" if late else str(error)
        driver = call.driver
        unknown = pending or Payment(account=driver.account, provider=driver.name, live=driver.live)
        page = driver.lost_page if unknown.kind == "collect" else ""
        return OutcomeUnknown(". ".join(filter(None, (said, page))), unknown)
    if late:
        money = pending is not None or call.moves_money
        return (
            NotSent(f"{call}: the deadline passed; nothing was sent")
            if money
            else Unavailable(f"{call}: too late")
        )
    return Unavailable(f"{call}: {error}") if isinstance(error, Unreadable) else error
