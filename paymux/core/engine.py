"""The common part of all verbs: one loop at a time, one deadline, one request per order."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import AsyncExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec, TypeVar
from weakref import WeakSet

from ..drivers.base import Driver
from ..errors import AuthenticationFailed, NoAnswer, UsageError
from ..http import Connection, Question, Request, Send
from ..journal import Store
from ..limits import Limiter, Priority
from ..models import Payment, merge
from ..primitives import coerce
from ..primitives.forks import ForkAware, leave_to_parent, register
from ..transport import Call, Transport
from ..values import arguments
from ..values.validation import checked_protocol, checked_seconds
from .accounts import EnteredNotifier
from .callback_urls import CallbackUrls
from .finding import check_receipt
from .lifetime import Lifetime
from .singleflight import Closable, InFlightLookup, same_lookup
from .unverified import UnverifiedLimiter

if TYPE_CHECKING:
    from ..watch import WatchRegistry
    from .questions import Questions

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Engine(ForkAware):
    """Runs the verbs of one pool over its transport."""

    def __init__(
        self,
        connection: Connection,
        drivers: Mapping[str, Driver],
        *,
        deadline: float,
        attempts: int,
        journal: object,
        callback_urls: CallbackUrls,
    ) -> None:
        checked_protocol(
            "connection", connection, Connection, "None, or a Connection of paymux.http"
        )
        self.deadline = deadline = checked_seconds("deadline", deadline)
        attempts = arguments.whole("attempts", attempts, 1, 10)
        self.store = Store(journal)
        self.drivers = drivers
        self.transport = Transport(
            connection,
            drivers.values(),
            deadline=deadline,
            attempts=attempts,
            ask=self._ask,
            journal=self.store.journal,
            keys=callback_urls.keys,
        )
        self._callback_urls = callback_urls
        self._watch_registry: WatchRegistry | None = None
        self.unverified = UnverifiedLimiter()
        self.id_keys: dict[str, str] = {}  # by account, the fingerprints that the journal has
        self.bulks: WeakSet[Closable] = WeakSet()
        self.lifetime = Lifetime()
        # the loop in which a notifier of the pool runs
        self.notifier_loop: asyncio.AbstractEventLoop | None = None
        self.notifier: EnteredNotifier | None = None
        register(self)

    @property
    def watch_registry(self) -> "WatchRegistry":
        """Return the registry of this pool's open watches; the first use imports its modules."""
        if self._watch_registry is None:
            from ..watch import WatchRegistry  # noqa: PLC0415 - a sixth of an import

            transport = self.transport
            self._watch_registry = WatchRegistry(
                lambda one, left: self.look_up(one, min(left, self.deadline), Priority.WATCH),
                self.driver,
                transport.frames,
                lambda one: transport.accounts[one.account].limiter,
                lambda: self.lifetime.loop,
                self.store.journal,
            )
            if self.lifetime.closed:
                self._watch_registry.close()
        return self._watch_registry

    @cached_property
    def questions(self) -> "Questions":
        """Return what asks this pool's questions, and hears their answers."""
        from .questions import Questions  # noqa: PLC0415 - few providers answer by a message

        return Questions(self, self._callback_urls)

    def _ask(self, call: Call, question: Question[R]) -> Awaitable[R]:
        return self.questions.ask(call, question)

    def driver(self, account: str) -> Driver:
        """Return an account's driver; an unknown name is UsageError."""
        name = account if type(account) is str else coerce.text(account) or ""
        driver = self.drivers.get(name)
        if driver is None:
            known = ", ".join(sorted(self.drivers)) or "none: the pool is empty"
            raise UsageError.field("account", account, known)
        return driver

    def secrets(self, driver: Driver) -> tuple[str, ...]:
        """Return what must never be shown: the account's credentials, and the token in use."""
        account = self.transport.accounts[driver.account]
        return (*account.secrets, *account.tokens.texts(driver.account))

    def after_fork_in_child(self) -> None:
        """Drop the parent's requests, watches and loop in a forked child; the parent keeps them."""
        loop = self.lifetime.loop
        if loop is not None:
            leave_to_parent(loop, asyncio.all_tasks(loop))
        leave_to_parent(self._watch_registry)
        if "questions" in vars(self):
            self.questions.forget()
        self.lifetime.after_fork_in_child()
        self._watch_registry = self.notifier_loop = self.notifier = self.store.on_fact = None
        self.transport.shared_limits.forget()
        self.bulks = WeakSet()

    async def open(self) -> None:
        """Start to use the pool in this loop; UsageError: what it names cannot be a journal."""
        self.lifetime.enter(self.notifier_loop)
        closings = self.transport.closings
        await self.store.open()
        await self.transport.shared_limits.ready()
        if closings != self.transport.closings:
            raise UsageError("pool: it was closed while it was being entered; enter it again")
        if self.lifetime.closed:  # it is entered again: its watches ended with the closing
            self.lifetime.closed, self._watch_registry = False, None

    async def aclose(self) -> None:
        """Close what the pool holds; a second call is harmless."""
        self.lifetime.begin_closing()
        self.transport.closings += 1
        # Each is closed, in the reverse of this order, even if the task that waits is cancelled.
        async with AsyncExitStack() as last:
            last.callback(self.lifetime.end_closing)
            if self.store.journal is not None:
                last.push_async_callback(self.store.journal.aclose)
            last.push_async_callback(self.transport.shared_limits.end)
            last.push_async_callback(self.transport.connection.aclose)
            last.push_async_callback(self.transport.close_logins)
            last.push_async_callback(self.transport.close_guard)
            if self._watch_registry is not None:
                self._watch_registry.close()
                last.push_async_callback(self._watch_registry.push.aclose)
            if "questions" in vars(self):
                self.questions.close()
            await asyncio.gather(
                *(bulk.close() for bulk in list(self.bulks)), return_exceptions=True
            )

    def call(
        self,
        driver: Driver,
        verb: str,
        seconds: float | None = None,
        reference: str | None = None,
        priority: Priority = Priority.NOW,
    ) -> Call:
        """Start a verb."""
        self.lifetime.use()
        seconds = (
            self.deadline
            if seconds is None
            else min(checked_seconds("deadline", seconds), 86_400.0)
        )
        return Call(self.transport, driver, verb, seconds, reference, priority)

    async def perform(
        self,
        driver: Driver,
        verb: str,
        seconds: float | None,
        method: Callable[Concatenate[Send, P], Awaitable[T]],
        /,
        *args: P.args,
        **named: P.kwargs,
    ) -> T:
        """Run a driver's method that sends no order."""
        call = self.call(driver, verb, seconds)
        found = await self.transport.perform(call, method, *args, **named)
        return call.response.clean(found) if call.response.text()[1] else found

    async def send(self, driver: Driver, request: Request[R], seconds: float | None) -> R:
        """Send a request that the caller made, and return its answer unchanged."""
        call = self.call(driver, "send", seconds)
        return await self.transport.perform(call, Call.__call__, request)

    def lookup_verb(self, payment: Payment) -> Literal["verify", "find"] | None:
        """Return the look-up for a payment: by the provider's reference, by ours, or None."""
        return self.driver(payment.account).asks(payment)

    async def ask_provider(
        self,
        payment: Payment,
        seconds: float | None = None,
        priority: Priority = Priority.NOW,
        because: Hashable = None,
        *,
        proved: bool = True,
    ) -> Payment:
        """Look up a payment and return what the provider says.

        Look-ups of the same payment at the same time with the same `because` share one request.
        With None, each sends its own, because a request that is already in flight may be older than
        what its caller knows. In bulk, waiting for the account's limit is not part of the deadline.
        NoAnswer: none came in time. A late one is applied, unless an id is only claimed (`proved`).
        """
        while True:
            driver = self.driver(payment.account)
            verb = driver.asks(payment)
            if verb is None:
                raise UsageError.missing(
                    "provider_reference", f"{driver.name} cannot be asked by your reference"
                )
            call = self.call(driver, verb, seconds, payment.reference, priority)
            call.about, call.proved = payment, proved
            try:
                if because is None:
                    return await self._asked(call, verb, payment, seconds)
                key = (*same_lookup(payment, call), priority, because)
                async with InFlightLookup(self.lifetime.in_flight_lookups, key, call) as question:
                    if question.answer is None:
                        question.answer = await self._asked(call, verb, payment, seconds)
                    return question.answer
            except AuthenticationFailed:
                if self.driver(payment.account) is driver:
                    raise  # else it was replaced meanwhile: the new one is asked

    async def _asked(
        self, call: Call, verb: str, payment: Payment, seconds: float | None
    ) -> Payment:
        if call.priority is Priority.BULK:
            await self.transport.reserve_slot(call, self.deadline if seconds is None else seconds)
        look = call.driver.verify if verb == "verify" else call.driver.find
        found = await self.transport.perform(call, look, payment)
        if verb == "find":
            check_receipt(found, payment)
        # A provider with only one kind of payment does not say the kind.
        return call.stamped(found, found.kind or payment.kind or "collect", payment)

    async def look_up(
        self,
        payment: Payment,
        seconds: float | None = None,
        priority: Priority = Priority.NOW,
        because: Hashable = None,
        *,
        named: bool = False,
    ) -> Payment:
        """Look up a payment and merge the result into the given payment.

        If no answer comes in time, return the given payment; NoAnswer: it is `named` only.
        """
        try:
            found = merge(payment, await self.ask_provider(payment, seconds, priority, because))
        except NoAnswer:
            if named:
                raise
            return payment  # and not kept: nothing is proved, not even that it exists
        # A payment that is only looked up removes no order of ours from the memory.
        passing = payment.reference is None or priority is Priority.BULK
        old, new = payment, found
        news = (new.status, new.provider_status) != (old.status, old.provider_status)
        await self.store.keep(found, "verify", passing=passing, news=news)
        return found

    def loads(self) -> list[tuple[Driver, int, float]]:
        """List the accounts with watches: how many are open, and how many seconds late they are."""
        return [] if self._watch_registry is None else self._watch_registry.loads(self.drivers)

    def renew_watches(self, driver: Driver) -> None:
        """Let open watches go on with a driver that replaces another."""
        if self._watch_registry is not None:
            self._watch_registry.renew(driver)

    def limiter(self, account: str) -> Limiter:
        """Return the limiter of an account's requests."""
        return self.transport.accounts[self.driver(account).account].limiter
