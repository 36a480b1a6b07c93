"""Running a verb within its deadline, and reporting its outcome."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, cast
from weakref import WeakSet

from ..drivers._pushed import Pushed
from ..drivers.base import Driver, Token
from ..errors import NotSent, OutcomeUnknown, PaymuxError, Unavailable
from ..http import Connection, Pause, Question, Sendable
from ..limits import Limiter, SharedLimits
from ..models import Payment
from ..primitives.redaction import Secret
from ..values.parsing import Unreadable
from .call import Call
from .tokens import TokenCache

if TYPE_CHECKING:
    from ..journal import Journal
    from .credentials import CredentialGuard
    from .observing import Loads, Observers

P = ParamSpec("P")
T = TypeVar("T")
# Credentials that are removed from what is shown: those of an account's earlier drivers, too.
MAX_SECRETS = 64


class Asker(Protocol):
    """Sends a question, and waits for the message that answers it."""

    def __call__(self, call: Call, question: Question[T], /) -> Awaitable[T]:
        """Ask it; NoAnswer: none came within the deadline."""
        ...


class Account(NamedTuple):
    """What the verbs of one account share: a verb keeps that of the driver it began with."""

    limiter: Limiter  # of its requests
    secrets: tuple[str, ...]  # its credentials, to remove them from what is logged or kept
    url: str  # the base URL of its requests
    logs_in: bool
    proves: bool  # whether it has credentials that must be proved
    tokens: TokenCache


class Transport:
    """Carries the verbs of one pool: its connection, its tokens, and each account's limiter."""

    def __init__(
        self,
        connection: Connection,
        drivers: Iterable[Driver],
        *,
        deadline: float,
        attempts: int,
        ask: Asker,
        journal: "Journal | None",
        keys: tuple[Secret, ...] = (),
    ) -> None:
        # Imported now: at the first failure, the process may have no file descriptor left for it.
        import backoff  # noqa: F401, PLC0415

        self.connection = connection
        self.attempts = attempts
        self.ask = ask
        self._deadline = deadline
        self._keys = keys  # under which shared tokens are sealed
        # How often the pool was closed: a verb that began before a closing sends nothing after it.
        self.closings = 0
        self._observers: Observers | None = None
        self._journal = journal  # of how good each credential is, and of shared tokens
        self.tokens = self._new_tokens()
        self._guard: CredentialGuard | None = None
        self._replaced_tokens: WeakSet[TokenCache] = WeakSet()
        self.shared_limits = SharedLimits(None if journal is None else journal.places, deadline)
        self.accounts: Mapping[str, Account] = {
            driver.account: self._account(driver) for driver in drivers
        }

    def _account(self, driver: Driver) -> Account:
        return Account(
            limiter=self.shared_limits.add(Limiter(driver.account, driver.limits)),
            secrets=driver.secrets(),
            url=driver.url,
            logs_in=driver.logs_in(),
            proves=type(driver).credential_id is not Driver.credential_id,
            tokens=self.tokens,
        )

    def _new_tokens(self) -> TokenCache:
        """Return a cache that shares with the other processes of a journal, if a key seals."""
        if self._journal is None or not self._keys:
            return TokenCache(self._deadline)
        from .token_sharing import TokenSharing  # noqa: PLC0415 - for pools with a journal

        return TokenCache(self._deadline, TokenSharing(self._journal, self._keys, self._deadline))

    def add(self, driver: Driver) -> None:
        """Carry the verbs of another account, too."""
        self.accounts = {**self.accounts, driver.account: self._account(driver)}

    def replace(self, driver: Driver, *, signs_alike: bool) -> None:
        """Use another driver for an account's new verbs; it keeps its limiter.

        Unless it `signs_alike`, its new verbs log in anew, and those that began before keep to
        the tokens of the driver before: a login that is on the wire is theirs.
        """
        name = driver.account
        before = self.accounts[name]
        tokens = before.tokens if signs_alike else self._new_tokens()
        if not signs_alike:
            self._replaced_tokens.add(tokens)
        # An answer or a message may still echo what was in use before.
        known = (*driver.secrets(), *before.tokens.texts(name), *before.secrets)
        secrets = tuple(dict.fromkeys(filter(None, known)))[:MAX_SECRETS]
        account = before._replace(secrets=secrets, tokens=tokens)
        self.accounts = {**self.accounts, name: account}

    async def close_logins(self) -> None:
        """Cancel the logins of the running loop, also those of drivers that were replaced."""
        for tokens in (self.tokens, *self._replaced_tokens):
            await tokens.aclose()

    def observe(self, observers: object, loads: "Loads") -> None:
        """Tell observers of each verb from now on; UsageError: one of them is none."""
        if type(observers) in (tuple, list) and not observers:
            return
        from .observers import checked_observers  # noqa: PLC0415 - few pools have any
        from .observing import Observers  # noqa: PLC0415 - as above

        self._observers = Observers(checked_observers(observers), loads)

    async def send_apart(self, call: Call, request: Sendable[T]) -> T:
        """Send what is no plain request: a wait, a question, or what must prove a credential."""
        if isinstance(request, Pause):
            return cast("T", await _paused(call, request.seconds))
        if isinstance(request, Question) and (call.let_out or not request.request.credential):
            return await self.ask(call, request)
        return await self.guard.send(call, request)

    @property
    def guard(self) -> "CredentialGuard":
        """Return the guard of the credentials that must be proved; few providers have any."""
        if self._guard is None:
            from ..journal import credentials_of  # noqa: PLC0415 - few providers need it
            from .credentials import CredentialGuard  # noqa: PLC0415 - as above

            self._guard = CredentialGuard(self, credentials_of(self._journal))
        return self._guard

    async def close_guard(self) -> None:
        """End the proofs that are being sought."""
        if self._guard is not None:
            await self._guard.aclose()

    async def heard(self, payment: Payment) -> None:
        """Take a confirmed payment, which may prove the credential of its request."""
        # A payout or refund may be another worker's, of which this one has no guard yet.
        account = self.accounts.get(payment.account)
        proves = account is not None and account.proves
        if self._guard is not None or (payment.kind != "collect" and proves):
            await self.guard.heard(payment)

    async def login(self, driver: Driver, name: str) -> Token | None:
        """Log in, once for all callers that wait."""
        call = Call(self, driver, "login", self._deadline)
        if self._observers is not None:
            return await self._observers.perform(call, partial(driver.login, call, name))
        return await driver.login(call, name)

    async def reserve_slot(self, call: Call, seconds: float) -> None:
        """Wait for a slot for a verb's first request; its deadline of `seconds` begins with it."""
        if not call.limiter.try_acquire(money=False, loop=call.loop):
            await call.limiter.acquire(money=False, priority=call.priority, deadline=float("inf"))
        call.slot_held = True
        call.deadline = call.loop.time() + seconds

    async def perform(
        self,
        call: Call,
        method: Callable[Concatenate[Call, P], Awaitable[T]],
        /,
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Run a driver's method within the verb's deadline, and report its outcome.

        Any error after money may have moved is OutcomeUnknown, even a bug in a driver.
        """
        if self._observers is not None and call.observed is None:
            again = partial(self.perform, call, method, *args, **named)
            return await self._observers.perform(call, again)
        failed: Exception | None = None
        try:
            async with asyncio.timeout_at(call.deadline):
                if call.pending is None:
                    return await method(call, *args, **named)
                # What was read is no local variable here: a debugger would show it unscrubbed.
                return call.complete(await method(call, *args, **named))
        except asyncio.CancelledError as cancelled:
            call.guarded = ()  # no answer was read
            if call.in_doubt:
                cancelled.add_note(f"paymux: {call} had been sent; its outcome is unknown")
            # Without the frames below, whose variables hold headers and bodies.
            raise cancelled.with_traceback(None) from None
        except StopAsyncIteration:
            raise
        except Exception as error:
            failed, failure = error, _ended(call, error)
            if failure is error and not isinstance(error, PaymuxError):
                raise
        finally:
            if call.slot_held:
                call.limiter.release(money=False)
            if call.guarded:
                await self.guard.ended(call, failed)
            failed = None  # it holds this frame
        # Without the frames below, whose variables hold bodies and what signs them.
        raise failure.with_traceback(None)

    async def frames(self, driver: Pushed) -> AsyncGenerator[str | bytes]:
        """Open the WebSocket of an account, and yield its frames."""
        call = Call(self, cast("Driver", driver), "updates", self._deadline)
        outgoing = await call.signed(driver.updates_request())
        async for frame in self.connection.frames(outgoing):
            yield frame


def lost_page(driver: Driver, unknown: Payment) -> str:
    """Return what a caller may do whose payer's page was lost; "": it may not have been lost.

    Where a first step told the provider's reference, the payer was asked without the page.
    """
    lost = unknown.kind == "collect" and unknown.provider_reference is None
    return driver.lost_page if lost else ""


def _advice(call: Call, unknown: Payment) -> str:
    """Return what the driver advises a caller whose answer was lost, or nothing."""
    driver = call.driver
    if unknown.kind == "refund":
        return driver.lost_refund
    if unknown.kind == "payout":
        return "" if driver.asks(unknown) else driver.lost_payout
    # If the reference was used before, the payer may have the page of the earlier request.
    return "" if call.duplicate else lost_page(driver, unknown)


async def _paused(call: Call, seconds: float) -> bool:
    """Wait, if the deadline leaves as long for what comes next."""
    if call.loop.time() + 2 * seconds >= call.deadline:
        return False
    await asyncio.sleep(seconds)
    return True


def _ended(call: Call, error: Exception) -> Exception:
    """Return what an error that ends a verb means to its caller."""
    late = isinstance(error, TimeoutError)
    if isinstance(error, OutcomeUnknown) or call.in_doubt:
        said = "the deadline passed" if late else call.response.scrub(str(error))
        driver = call.driver
        unknown = call.pending or Payment(
            account=driver.account, provider=driver.name, live=driver.live
        )
        return OutcomeUnknown(". ".join(filter(None, (said, _advice(call, unknown)))), unknown)
    if late:
        money = call.pending is not None or call.moves_money
        return (
            NotSent(f"{call}: the deadline passed; nothing was sent")
            if money
            else Unavailable(f"{call}: too late")
        )
    if isinstance(error, Unreadable):
        error = Unavailable(f"{call}: {call.response.scrub(str(error))}")
    if call.pending is not None and isinstance(error, Unavailable):
        # A first request, which moves no money, failed: the one that does never left.
        return NotSent(f"{call}: {call.response.scrub(str(error))}")
    return error
