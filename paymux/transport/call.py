"""One verb's requests: log in, attempt, judge, retry if safe, raise.

No HTTP library is used here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
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
    PreparedRequest,
    Request,
    Sendable,
)
from ..limits import Priority
from ..models import Kind, Payment, merge
from ..primitives.clock import wall_time
from ..values.parsing import Unreadable
from .attempt import Attempt, attempted, outgoing, without_account
from .failures import failure
from .money import BeforeMoney, begin_money, nowhere
from .outcome import Means, Verdict, decide
from .retries import Tries, backoff_pauses, may_retry, requested_pause
from .scrubbed import ScrubbedResponse

if TYPE_CHECKING:
    from .credentials import Guarded
    from .observing import ObservedVerb
    from .transport import Account, Transport

R = TypeVar("R")
T = TypeVar("T")

MAX_RENEWALS = 2  # of the token, in one request
PROOF = "proof"  # the verb whose only purpose is to prove a credential


class Call:
    """The `send` of one verb; it always knows whether money may have moved."""

    __slots__ = (
        "_in_doubt",
        "_logs_in",
        "_lost",
        "about",
        "account",
        "before_money",
        "closings",
        "deadline",
        "driver",
        "duplicate",
        "guarded",
        "in_flight",
        "keep_known",
        "let_out",
        "limiter",
        "login",
        "loop",
        "moves_money",
        "observed",
        "pending",
        "priority",
        "proved",
        "reference",
        "response",
        "signs",
        "slot_held",
        "token",
        "transport",
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
        account: "Account | None" = None,
    ) -> None:
        self.transport = transport
        self.closings = transport.closings
        self.account = account = account or transport.accounts[driver.account]
        self.limiter = account.limiter
        self.priority = priority
        self.slot_held = False  # whether a slot for its first request is already reserved
        self.driver = driver
        # Kept, as each look for the running loop asks the kernel for the process's id.
        self.loop = loop = asyncio.get_running_loop()
        self.deadline = loop.time() + seconds
        self.verb = verb
        self.reference = reference
        self.signs = verb != "login"
        self._logs_in = self.signs and account.logs_in
        self.login = ""  # the name of the one that its request uses
        self.token: str | None = None
        self.in_flight: PreparedRequest | None = None
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
        self.proved = True  # whether its ids are known; else one is only what a message claims
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
        in_flight = self.in_flight
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

    async def __call__(self, request: Sendable[R]) -> R:
        """Send one request and return its typed response, or raise what the caller must know."""
        if not isinstance(request, Request):
            return await self.transport.send_apart(self, request)
        if not self.let_out:
            if request.money:
                self.moves_money = True
                if request.known or self.verb == "run":
                    begin_money(self, request)
            if request.credential:
                return await self.transport.send_apart(self, request)
        tries = Tries()
        while True:
            tries.number += 1
            if self.closings != self.transport.closings:
                raise self.closed()
            if self._logs_in:
                self.login, tokens = request.login, self.account.tokens
                held = tokens.held(self.driver.account, self.loop.time(), request.login)
                self.token = held or await self._sign_in(request)
            attempt = await attempted(self, request, tries)
            left = attempt.reply is not None or attempt.outgoing.may_have_left
            verdict = decide(self.driver, request, attempt.reply, left=left)
            attempt.why = attempt.why or verdict.why
            tries.unknown = self._note(request, attempt, verdict.means) or tries.unknown
            if verdict.means is Means.ANSWER:
                self.limiter.on_answer()
                answer: R = verdict.answer
                return answer
            await self._before_next(request, attempt, verdict, tries)

    async def _before_next(
        self, request: Request[Any], attempt: Attempt, verdict: Verdict, tries: Tries
    ) -> None:
        """Wait until a request may be sent again, or raise what its failure means."""
        if verdict.means is Means.UNKNOWN and attempt.status == 401 and not tries.renewals:
            # In words that the driver does not list, nothing is sure; but log in again before the
            # next request.
            self._drop_token(tries)
        pause = self._pause(attempt, verdict)
        if verdict.means is Means.STALE and self._drop_token(tries):
            return
        tries.repeats += 1
        lost = self._lost if tries.unknown else None
        if not self._repeats(request, attempt, verdict, tries.repeats):
            raise failure(self, request, attempt, verdict, lost)
        if pause is None:
            tries.steps = tries.steps or backoff_pauses(factor=0.2, longest=5)
            pause = next(tries.steps)
        if self.loop.time() + pause >= self.deadline:
            raise failure(self, request, attempt, verdict, lost)
        await asyncio.sleep(pause)

    def _pause(self, attempt: Attempt, verdict: Verdict) -> float | None:
        """Return the pause that the provider asks for, and slow down if it refuses for haste."""
        pause = requested_pause(attempt.reply, verdict.error)
        if verdict.means is Means.THROTTLED:
            self.limiter.on_throttled(pause)
        return pause

    def closed(self) -> UsageError:
        """Return the error of a verb whose pool was closed."""
        return UsageError(f"{self}: the pool was closed")

    def _note(self, request: Request[Any], attempt: Attempt, means: Means) -> bool:
        """Record what an attempt means for the money.

        True: from now on it is unknown whether money moved.
        """
        if self.observed is not None:  # still in flight: an interrupt leaves it in doubt
            self.observed.attempt_ended(means)
        self.in_flight = None
        if not request.money:
            return False
        if means is Means.UNKNOWN:
            self._lost = attempt.said
        # A later refusal says nothing about an earlier attempt that may have been processed.
        self.duplicate = self.duplicate or means is Means.DUPLICATE
        unknown = self.duplicate or means is Means.UNKNOWN
        self._in_doubt = self._in_doubt or unknown or means is Means.ANSWER
        return unknown

    def _repeats(
        self, request: Request[Any], attempt: Attempt, verdict: Verdict, repeats: int
    ) -> bool:
        """Return whether a request may be sent again after this many failed attempts."""
        if verdict.means is Means.THROTTLED and self.priority is Priority.BULK:
            # it goes back to the queue: waiting there is not part of a look-up's deadline
            return False
        return (
            repeats < self.transport.attempts
            and not attempt.permanent
            and may_retry(request, verdict)
        )

    def check_repeat(self, request: Request[Any], tries: Tries, seconds: float) -> None:
        """Raise OutcomeUnknown in the place of a repeat that may be taken for another order.

        `seconds`: for how long the provider knows a request again.
        """
        if tries.forgotten(seconds, self.loop.time()):
            what = f"{self.driver.account}: {request.method} {request.path}"
            said = self.response.scrub(self._lost)
            raise OutcomeUnknown(
                f"{what}: {said}; the outcome is unknown, and too long ago to ask for it again"
            )

    async def _sign_in(self, request: Request[Any]) -> str | None:
        driver, name = self.driver, request.login
        login = partial(self.transport.login, driver, name)
        try:
            return await self.account.tokens.get(driver, login, name)
        except (AuthenticationFailed, RateLimited):
            raise
        except (Unavailable, ProviderError, Unreadable, TimeoutError) as error:
            said = self.response.scrub(without_account(driver.account, error)) or "timed out"
            said = f"{driver.account}: the login failed: {said}"
            status = getattr(error, "http_status", None)
            failed = NotSent(said) if request.money else Unavailable(said, http_status=status)
        # Raised outside the `except`: the frames of a login's error hold its credentials.
        raise failed

    def _drop_token(self, tries: Tries) -> bool:
        """Drop the token that was used, to sign again; False: another one would change nothing.

        One is enough; but a token of another process may be old already, if that was slow.
        """
        tokens, account, name = self.account.tokens, self.driver.account, self.login
        if self.token is None or tries.renewals >= MAX_RENEWALS:
            return False
        if tries.renewals and tokens.is_own(account, self.token, name):
            return False
        tries.renewals += 1
        tokens.drop(account, self.token, name)
        return True

    async def signed(self, request: Request[Any]) -> PreparedRequest:
        """Log in if needed, and return a request ready for the wire."""
        if self._logs_in:
            self.token = await self._sign_in(request)
        return outgoing(self, request)
