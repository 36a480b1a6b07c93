"""One verb's requests: limit, sign, send, judge, retry if safe, raise.

No HTTP library is used here.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

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
from ..http import (
    MAX_BODY_BYTES,
    PreparedRequest,
    Question,
    Request,
    Response,
    ResponseTooLarge,
    TransportError,
)
from ..limits import Priority, Quota
from ..models import Kind, Payment, merge
from ..primitives.clock import wall_time
from ..values.parsing import Unreadable
from .attempt import Attempt, exchange_log, without_account
from .money import BeforeMoney, begin_money, had_before, nowhere
from .outcome import Means, Verdict, decide
from .retries import backoff_pauses, may_retry, requested_pause, retry_after
from .scrubbed import ScrubbedResponse

if TYPE_CHECKING:
    from .credentials import Guarded
    from .observing import ObservedVerb
    from .transport import Transport

R = TypeVar("R")
T = TypeVar("T")


class Call:
    """The `send` of one verb; it always knows whether money may have moved."""

    __slots__ = (
        "_account",
        "_closings",
        "_in_doubt",
        "_in_flight",
        "_logs_in",
        "_lost",
        "_signs",
        "_token",
        "_transport",
        "about",
        "before_money",
        "deadline",
        "driver",
        "duplicate",
        "guarded",
        "keep_known",
        "let_out",
        "limiter",
        "loop",
        "moves_money",
        "observed",
        "pending",
        "priority",
        "reference",
        "response",
        "slot_held",
        "verb",
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
        self._closings = transport.closings
        self._account = account = transport.accounts[driver.account]
        self.limiter = account.limiter
        self.priority = priority
        self.slot_held = False  # whether a slot for its first request is already reserved
        self.driver = driver
        # Kept, as each look for the running loop asks the kernel for the process's id.
        self.loop = loop = asyncio.get_running_loop()
        self.deadline = loop.time() + seconds
        self.verb = verb
        self.reference = reference
        self._signs = verb != "login"
        self._logs_in = self._signs and account.logs_in
        self._token: str | None = None
        self._in_flight: PreparedRequest | None = None
        self._in_doubt = False
        # whether the provider has received a money request with our reference before
        self.duplicate = False
        # what must be durable before money moves
        self.before_money: BeforeMoney | None = None
        # Keeps what an earlier step told of the payment, after what must be durable before that.
        self.keep_known: Callable[[Payment, BeforeMoney | None], Awaitable[None]] = nowhere
        self.moves_money = False  # whether a money request was asked for
        # the payment of a money verb, before any answer
        self.pending: Payment | None = None
        self.about: Payment | None = None  # the payment that a look-up asks for
        self.response = ScrubbedResponse(account.secrets)
        self.observed: ObservedVerb | None = None  # None: the pool has no observers
        self.guarded: tuple[Guarded, ...] = ()  # its requests that name a credential
        self.let_out = False  # whether the guard of a credential sends its request now
        self._lost = ""  # what is known of a money request whose outcome is unknown

    def __str__(self) -> str:
        return " ".join(filter(None, (self.driver.account, self.verb, self.reference)))

    def renew(self, seconds: float) -> None:
        """Start the deadline again, for the next page of a history."""
        self.deadline = self.loop.time() + seconds

    @property
    def in_doubt(self) -> bool:
        """Return whether money may have moved.

        A money request may have been sent, and was not refused for certain.
        """
        in_flight = self._in_flight
        return self._in_doubt or (
            in_flight is not None and in_flight.money and in_flight.may_have_left
        )

    def stamped(self, payment: Payment, kind: Kind | None, known: Payment | None = None) -> Payment:
        """Complete a payment read from an answer: kind, time, and text without credentials."""
        raw, held = self.response.text(payment.raw)
        found = msgspec.structs.replace(payment, kind=kind, raw=raw, updated_at=wall_time())
        return self.response.clean(found, known) if held else found

    def complete(self, found: T) -> T:
        """Return an order's payment: what the driver read, merged into what is known by now."""
        payment, pending = cast("tuple[Payment, Payment]", (found, self.pending))
        return cast("T", merge(pending, self.stamped(payment, payment.kind, pending)))

    async def __call__(self, request: Request[R] | Question[R]) -> R:
        """Send one request and return its typed response, or raise what the caller must know."""
        if isinstance(request, Question):
            return await self._transport.send_apart(self, request)
        if not self.let_out:
            if request.money:
                self.moves_money = True
                if request.known or self.verb == "run":
                    begin_money(self, request)
            if request.credential:
                return await self._transport.send_apart(self, request)
        steps: Iterator[float] | None = None
        refreshed, unknown, number, repeats = False, False, 0, 0
        while True:
            number += 1
            if self._closings != self._transport.closings:
                raise self._closed()
            if self._logs_in:
                held = self._transport.tokens.held(self.driver.account, self.loop.time())
                self._token = held or await self._sign_in(request)
            quota = self.limiter.quota if self.priority is Priority.WATCH and self._signs else None
            if quota is None or request.money:
                attempt = await self._attempt(request, number)
            else:
                attempt = await self._shared(request, number, quota)
            left = attempt.reply is not None or attempt.outgoing.may_have_left
            verdict = decide(self.driver, request, attempt.reply, left=left)
            attempt.why = attempt.why or verdict.why
            unknown = self._note(request, attempt, verdict.means) or unknown
            if verdict.means is Means.UNKNOWN and attempt.status == 401 and not refreshed:
                # In words that the driver does not list, nothing is sure; but log in again before
                # the next request.
                refreshed = self._drop_token()
            if verdict.means is Means.ANSWER:
                self.limiter.on_answer()
                answer: R = verdict.answer
                return answer
            pause = self._pause(attempt, verdict)
            if verdict.means is Means.STALE and not refreshed and self._drop_token():
                refreshed = True
                continue
            repeats += 1
            if not self._repeats(request, attempt, verdict.means, repeats):
                raise self._failure(request, attempt, verdict, unknown=unknown)
            if pause is None:
                steps = steps or backoff_pauses(factor=0.2, longest=5)
                pause = next(steps)
            if self.loop.time() + pause >= self.deadline:
                raise self._failure(request, attempt, verdict, unknown=unknown)
            await asyncio.sleep(pause)

    def _pause(self, attempt: Attempt, verdict: Verdict) -> float | None:
        """Return the pause that the provider asks for, and slow down if it refuses for haste."""
        pause = requested_pause(attempt.reply, verdict.error)
        if verdict.means is Means.THROTTLED:
            self.limiter.on_throttled(pause)
        return pause

    def _closed(self) -> UsageError:
        return UsageError(f"{self}: the pool was closed")

    def _note(self, request: Request[Any], attempt: Attempt, means: Means) -> bool:
        """Record what an attempt means for the money.

        True: from now on it is unknown whether money moved.
        """
        if self.observed is not None:  # still in flight: an interrupt leaves it in doubt
            self.observed.attempt_ended(means)
        self._in_flight = None
        if not request.money:
            return False
        if means is Means.UNKNOWN:
            self._lost = attempt.said
        # A later refusal says nothing about an earlier attempt that may have been processed.
        self.duplicate = self.duplicate or means is Means.DUPLICATE
        unknown = self.duplicate or means is Means.UNKNOWN
        self._in_doubt = self._in_doubt or unknown or means is Means.ANSWER
        return unknown

    def _repeats(self, request: Request[Any], attempt: Attempt, means: Means, repeats: int) -> bool:
        """Return whether a request may be sent again after this many failed attempts."""
        if means is Means.THROTTLED and self.priority is Priority.BULK:
            # it goes back to the queue: waiting there is not part of a look-up's deadline
            return False
        return (
            repeats < self._transport.attempts
            and not attempt.permanent
            and may_retry(request, means)
        )

    async def _sign_in(self, request: Request[Any]) -> str | None:
        driver = self.driver
        try:
            return await self._transport.tokens.get(driver, lambda: self._transport.login(driver))
        except (AuthenticationFailed, RateLimited):
            raise
        except (Unavailable, ProviderError, Unreadable, TimeoutError) as error:
            said = self.response.scrub(without_account(driver.account, error)) or "timed out"
            said = f"{driver.account}: the login failed: {said}"
            status = getattr(error, "http_status", None)
            failure = NotSent(said) if request.money else Unavailable(said, http_status=status)
        # Raised outside the `except`: the frames of a login's error hold its credentials.
        raise failure

    def _drop_token(self) -> bool:
        """Drop the token that was used; False: the account needs none."""
        if self._token is None:
            return False
        self._transport.tokens.drop(self.driver.account, self._token)
        return True

    async def _attempt(self, request: Request[Any], number: int) -> Attempt:
        limiter, money = (self.limiter if self._signs else None), request.money
        if (
            limiter is not None
            and not self.slot_held
            and not limiter.try_acquire(money=money, loop=self.loop)
        ):
            priority = Priority.MONEY if money else self.priority
            await limiter.acquire(money=money, priority=priority, deadline=self.deadline)
        self.slot_held = False
        try:
            if money and self.before_money is not None:
                await self.before_money()
                self.before_money = None
            if self._closings != self._transport.closings:  # while it waited
                raise self._closed()
            outgoing = self._in_flight = self._outgoing(request)
            attempt = Attempt(number=number, outgoing=outgoing)
            if self.observed is not None:
                self.observed.attempt_began(request, attempt)
            began = time.perf_counter()
            try:
                attempt.reply = await self._transport.connection.exchange(outgoing)
                self.response.set_body(attempt.reply.body)
            except TransportError as broken:
                attempt.why, attempt.too_large = str(broken), broken.too_large
                # A page of history stays as large as it is. Any other answer that is too large may
                # have come from a proxy, once.
                attempt.permanent = broken.permanent or (
                    broken.too_large and request.largest > MAX_BODY_BYTES
                )
            finally:
                if exchange_log.isEnabledFor(logging.DEBUG):
                    attempt.log(
                        self.driver, self.verb, request, time.perf_counter() - began, self._hidden
                    )
            return attempt
        finally:
            if limiter is not None:
                limiter.release(money=money)

    async def _shared(self, request: Request[Any], number: int, quota: Quota) -> Attempt:
        """Send a watch's look-up while other processes share the account's look-ups."""
        quota.acquire(self.loop.time())
        try:
            return await self._attempt(request, number)
        finally:
            quota.release(self.loop.time())

    async def signed(self, request: Request[Any]) -> PreparedRequest:
        """Log in if needed, and return a request ready for the wire."""
        if self._logs_in:
            self._token = await self._sign_in(request)
        return self._outgoing(request)

    def _outgoing(self, request: Request[Any]) -> PreparedRequest:
        if self._token is not None:
            self.response.secrets = (*self._account.secrets, self._token)
        signed = self.driver.authorize(request, self._token) if self._signs else request
        content = None if signed.body is None else signed.content()
        # CinetPay refuses the default user agents (error 1010, docs.cinetpay.com).
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": "paymux",
            **signed.headers,
        }
        if content is not None:
            headers["Content-Type"] = (
                "application/x-www-form-urlencoded" if signed.form else "application/json"
            )
        return PreparedRequest(
            method=signed.method,
            url=self._account.url + signed.target(),
            headers=headers,
            body=content,
            money=request.money,
            largest=request.largest,
        )

    def _failure(
        self, request: Request[Any], attempt: Attempt, verdict: Verdict, *, unknown: bool
    ) -> Exception:
        what = f"{self.driver.account}: {request.method} {request.path}"
        if verdict.means is Means.DUPLICATE and verdict.error is not None:
            error = self._completed(verdict.error, attempt.reply)
            return had_before(what, without_account(self.driver.account, error), request)
        said = self.response.scrub(self._lost if unknown else attempt.said)
        if unknown:
            return OutcomeUnknown(f"{what}: {said}; the outcome is unknown")
        if verdict.error is not None:
            return self._completed(verdict.error, attempt.reply)
        if verdict.means is Means.NOT_SENT:
            return NotSent(f"{what}: {said}; nothing was sent")
        kind = ResponseTooLarge if attempt.too_large else Unavailable
        return kind(f"{what}: {said}", http_status=attempt.status)

    def _completed(self, error: ProviderError, reply: Response | None) -> ProviderError:
        """Complete a provider's error with account and reference, and remove secrets from it."""
        error.account, error.provider = self.driver.account, self.driver.name
        error.reference = self.reference
        self.response.scrub_error(error, raw=self._signs)
        if isinstance(error, RateLimited) and error.retry_after is None and reply is not None:
            error.retry_after = retry_after(reply)
        return error

    def _hidden(self, body: bytes) -> str:
        # A login's bodies contain only credentials.
        return self.response.scrub(body.decode("utf-8", "replace")) if self._signs else "***"
