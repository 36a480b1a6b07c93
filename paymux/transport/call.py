"""One verb's requests: limit, sign, send, judge, repeat where safe, raise. No HTTP library is known here."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from ..deadlines import Deadline
from ..drivers.base import Driver
from ..errors import (
    AuthenticationFailed,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Unavailable,
    UsageError,
)
from ..lenient import Unreadable
from ..limits import Gate, Priority, Share
from ..models import Kind, Payment, succeed
from ..wire import BODY_BYTES, Broken, Outgoing, Reply, Request, TooLarge
from .exchanges import Attempt, exchanges, without
from .kept import Kept
from .outcome import Means, Verdict, decide
from .retries import asked_pause, may_repeat, pauses, retry_after

if TYPE_CHECKING:
    from .verbs import Transport

R = TypeVar("R")
T = TypeVar("T")


class Account(NamedTuple):
    """What the verbs of one account share."""

    gate: Gate  # by which its requests leave
    secrets: tuple[str, ...]  # its credentials, for taking them out of what is logged or kept
    logs_in: bool


class Call:
    """The `send` of one verb; it knows at any moment whether money may have moved."""

    __slots__ = (
        "_doubt",
        "_flying",
        "_logs_in",
        "_lost",
        "_reference",
        "_signs",
        "_token",
        "_transport",
        "_verb",
        "before_money",
        "deadline",
        "driver",
        "duplicate",
        "gate",
        "kept",
        "moves_money",
        "pending",
        "placed",
        "priority",
    )

    def __init__(
        self,
        transport: "Transport",
        driver: Driver,
        verb: str,
        seconds: float,
        reference: str | None = None,
        priority: Priority = Priority.NOW,
    ) -> None:
        self._transport = transport
        account = transport.account(driver)
        self.gate = account.gate
        self.priority = priority
        self.placed = False  # whether the place of its first request is held already
        self.driver = driver
        self.deadline = asyncio.get_running_loop().time() + seconds
        self._verb = verb
        self._reference = reference
        self._signs = verb != "login"
        self._logs_in = self._signs and account.logs_in
        self._token: str | None = None
        self._flying: Outgoing | None = None
        self._doubt = False
        self.duplicate = False  # whether the provider has had a money request with our reference before
        self.before_money: Callable[[], Awaitable[None]] | None = None  # what must be durable before money moves
        self.moves_money = False  # whether a money request was asked for
        self.pending: Payment | None = None  # the payment of a money verb, as it is known before any answer
        self.kept = Kept(account.secrets)
        self._lost = ""  # what came of a money request whose outcome is unknown

    def __str__(self) -> str:
        return " ".join(filter(None, (self.driver.account, self._verb, self._reference)))

    def renew(self, seconds: float) -> None:
        """Start the deadline anew, for the next page of a history."""
        self.deadline = asyncio.get_running_loop().time() + seconds

    def bounded(self) -> Deadline:
        """Give what bounds a part of the verb: TimeoutError leaves it at the deadline."""
        return Deadline(self._transport.deadlines, self.deadline)

    @property
    def in_doubt(self) -> bool:
        """Tell whether money may have moved: a money request left, and was not refused for certain."""
        flying = self._flying
        return self._doubt or (flying is not None and flying.money and flying.left)

    def stamped(self, payment: Payment, kind: Kind | None, known: Payment | None = None) -> Payment:
        """Complete what was read of an answer: its kind, its time, its text without credentials."""
        raw, held = self.kept.text(payment.raw)
        found = msgspec.structs.replace(payment, kind=kind, raw=raw, updated_at=datetime.now(UTC))
        return self.kept.read(found, known) if held else found

    def complete(self, pending: Payment, found: T) -> T:
        """Return an order's payment: what a driver read of the answers, applied to what is known."""
        payment: Any = found
        completed: Any = succeed(pending, self.stamped(payment, payment.kind, pending))
        answer: T = completed
        return answer

    async def __call__(self, request: Request[R]) -> R:
        """Send one request and give its typed reply, or raise what the caller must know."""
        steps: Iterator[float] | None = None
        self.moves_money = self.moves_money or request.money
        refreshed = unknown = False
        number = repeats = 0
        while True:
            number += 1
            if self._transport.closed:
                raise UsageError(f"{self}: the pool was closed")
            if self._logs_in:
                held = self._transport.tokens.held(self.driver.account)
                self._token = held or await self._sign_in(request)
            attempt = await self._admitted(request, number)
            verdict = decide(
                self.driver, request, attempt.reply, left=attempt.reply is not None or attempt.outgoing.left
            )
            attempt.why = attempt.why or verdict.why
            unknown = self._note(request, attempt, verdict.means) or unknown
            if verdict.means is Means.UNKNOWN and attempt.status == 401 and not refreshed:
                # In unlisted words nothing is sure, but the next request should log in anew.
                refreshed = self._drop_token()
            if verdict.means is Means.ANSWER:
                self.gate.answered()
                answer: R = verdict.answer
                return answer
            pause = asked_pause(attempt.reply, verdict.error)
            if verdict.means is Means.THROTTLED:
                self.gate.throttled(pause)
            if verdict.means is Means.STALE and not refreshed and self._drop_token():
                refreshed = True
                continue
            repeats += 1
            if not self._repeats(request, attempt, verdict.means, repeats):
                raise self._failure(request, attempt, verdict, unknown=unknown)
            if pause is None:
                steps = steps or pauses(factor=0.2, longest=5)
                pause = next(steps)
            if asyncio.get_running_loop().time() + pause >= self.deadline:
                raise self._failure(request, attempt, verdict, unknown=unknown)
            await asyncio.sleep(pause)

    def _admitted(self, request: Request[Any], number: int) -> Coroutine[Any, Any, Attempt]:
        """Make one attempt; a look-up of a watch counts in its process's share of the limit."""
        share = self.gate.share if self.priority is Priority.WATCH and self._signs else None
        if share is None or request.money:
            return self._attempt(request, number)
        return self._shared(request, number, share)

    def _note(self, request: Request[Any], attempt: Attempt, means: Means) -> bool:
        """Note what an attempt means for the money; True: whether it moved is unknown from here on."""
        self._flying = None
        if not request.money:
            return self.duplicate
        if means is Means.UNKNOWN:
            self._lost = attempt.said
        # A later refusal says nothing of an earlier attempt that may have been processed.
        self.duplicate = self.duplicate or means is Means.DUPLICATE
        unknown = self.duplicate or means is Means.UNKNOWN
        self._doubt = self._doubt or unknown or means is Means.ANSWER
        return unknown

    def _repeats(self, request: Request[Any], attempt: Attempt, means: Means, repeats: int) -> bool:
        """Tell whether a request may be sent again after so many failed attempts."""
        if means is Means.THROTTLED and self.priority is Priority.BULK:
            return False  # it goes back to the queue, whose waits are not part of a look-up's deadline
        return repeats < self._transport.attempts and not attempt.certain and may_repeat(request, means)

    async def _sign_in(self, request: Request[Any]) -> str | None:
        driver = self.driver
        try:
            return await self._transport.tokens.get(driver, lambda: self._transport.login(driver))
        except (AuthenticationFailed, RateLimited):
            raise
        except (Unavailable, ProviderError, Unreadable, TimeoutError) as error:
            said = self.kept.said(without(driver.account, error)) or "timed out"
            said = f"{driver.account}: the login failed: {said}"
            status = getattr(error, "http_status", None)
            failure = NotSent(said) if request.money else Unavailable(said, http_status=status)
        # Raised out here: the frames of what hangs on to a login's error hold its credentials.
        raise failure

    def _drop_token(self) -> bool:
        """Drop the token that was used; False where the account needs none."""
        if self._token is None:
            return False
        self._transport.tokens.drop(self.driver.account, self._token)
        return True

    async def _attempt(self, request: Request[Any], number: int) -> Attempt:
        gate, money = (self.gate if self._signs else None), request.money
        if gate is not None and not self.placed and not gate.try_enter(money=money):
            priority = Priority.MONEY if money else self.priority
            await gate.enter(money=money, priority=priority, deadline=self.deadline)
        self.placed = False
        try:
            if money and self.before_money is not None:
                await self.before_money()
                self.before_money = None
            outgoing = self._flying = self._outgoing(request)
            attempt = Attempt(number=number, outgoing=outgoing)
            began = time.perf_counter()
            try:
                attempt.reply = await self._transport.connection.exchange(outgoing)
                self.kept.put(attempt.reply.body)
            except Broken as broken:
                attempt.why, attempt.too_large = str(broken), broken.too_large
                # A page of history stays as large as it is; any other answer was perhaps a proxy's, once.
                attempt.certain = broken.certain or (broken.too_large and request.largest > BODY_BYTES)
            finally:
                if exchanges.isEnabledFor(logging.DEBUG):
                    attempt.log(self.driver, self._verb, request, time.perf_counter() - began, self._hidden)
            return attempt
        finally:
            if gate is not None:
                gate.leave(money=money)

    async def _shared(self, request: Request[Any], number: int, share: Share) -> Attempt:
        """Look for a watch, where other processes have a part in the account's look-ups."""
        loop = asyncio.get_running_loop()
        share.enter(loop.time())
        try:
            return await self._attempt(request, number)
        finally:
            share.leave(loop.time())

    async def signed(self, request: Request[Any]) -> Outgoing:
        """Log in where that is needed, and give a request ready for the wire."""
        if self._logs_in:
            self._token = await self._sign_in(request)
        return self._outgoing(request)

    def _outgoing(self, request: Request[Any]) -> Outgoing:
        self.kept.token = self._token or ""
        signed = self.driver.authorize(request, self._token) if self._signs else request
        content = signed.content()
        # A name of our own: CinetPay refuses the default ones (error 1010, docs.cinetpay.com).
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "paymux", **signed.headers}
        if content is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if signed.form else "application/json"
        return Outgoing(
            method=signed.method,
            url=self.driver.url + signed.target(),
            headers=headers,
            body=content,
            money=request.money,
            largest=request.largest,
        )

    def _failure(self, request: Request[Any], attempt: Attempt, verdict: Verdict, *, unknown: bool) -> Exception:
        what = f"{self.driver.account}: {request.method} {request.path}"
        if verdict.means is Means.DUPLICATE and verdict.error is not None:
            return self._had_before(what, self._told(verdict.error, attempt.reply), request)
        said = self.kept.said(self._lost if unknown else attempt.said)
        if unknown:
            return OutcomeUnknown(f"{what}: {said}; the outcome is unknown")
        if verdict.error is not None:
            return self._told(verdict.error, attempt.reply)
        if verdict.means is Means.NOT_SENT:
            return NotSent(f"{what}: {said}; nothing was sent")
        kind = TooLarge if attempt.too_large else Unavailable
        return kind(f"{what}: {said}", http_status=attempt.status)

    def _had_before(self, what: str, error: ProviderError, request: Request[Any]) -> Exception:
        said = without(self.driver.account, error)
        if request.money:
            return OutcomeUnknown(
                f"{what}: the provider has had this reference before ({said}); what became of it is unknown, "
                "so look it up, and do not send the order again under another reference"
            )
        return Unavailable(f"{what}: {said}")

    def _told(self, error: ProviderError, reply: Reply | None) -> ProviderError:
        """Complete a provider's error with what it is about, and take out what nobody may print."""
        error.account, error.provider = self.driver.account, self.driver.name
        error.reference = self._reference
        self.kept.free(error, raw=self._signs)
        if isinstance(error, RateLimited) and error.retry_after is None and reply is not None:
            error.retry_after = retry_after(reply)
        return error

    def _hidden(self, body: bytes) -> str:
        # A login's bodies are nothing but credentials.
        return self.kept.said(body.decode("utf-8", "replace")) if self._signs else "***"
