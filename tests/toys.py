"""Tests of the core without network and without waiting: a wire in memory, a toy provider."""

import asyncio
import functools
import json
import sys
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar, get_args

import msgspec

from paymux.drivers.base import Driver, Duplicate, Facts, Token
from paymux.errors import AuthenticationFailed, ProviderError, RateLimited, Rejected
from paymux.http import (
    PreparedRequest,
    Request,
    Response,
    Send,
    TransportError,
    WebhookRequest,
    get,
    post,
)
from paymux.models import Event, Kind, Order, Payment, Status, Trust
from paymux.primitives.clock import wall_time
from paymux.primitives.redaction import Secret
from paymux.testing import virtual_time
from paymux.values.money import whole
from paymux.values.parsing import ProviderData, Scalar, Text, amount
from paymux.values.status_words import StatusWords

P = ParamSpec("P")
T = TypeVar("T")

START = 1000.0
BASE = "https://shop.example/pay"
KEY = "0123456789abcdef-hooks"


class Loop(asyncio.SelectorEventLoop):
    """A loop that begins at the same time in each run; uncaught errors are kept in `stray`."""

    def __init__(self) -> None:
        super().__init__()
        self.stray: list[str] = []
        self.set_exception_handler(lambda _, context: self.stray.append(str(context)))

    def time(self) -> float:
        return START  # from which virtual time goes on


@contextmanager
def virtual_loop() -> Iterator[Loop]:
    """Open a loop in virtual time, for a test that runs it in several steps, and close it."""
    loop, block = Loop(), virtual_time()
    loop.run_until_complete(block.__aenter__())
    try:
        yield loop
    finally:
        loop.run_until_complete(block.__aexit__(None, None, None))
        loop.close()


def eagerly() -> None:
    """Let tasks of this loop begin inside their creator, if Python can."""
    if sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)


def run(main: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run a coroutine in virtual time; fail on a leftover task or an uncaught error."""

    async def clean() -> T:
        async with virtual_time():
            result = await main
            for _ in range(5):
                await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left behind: {left}"
        return result

    loop = Loop()
    with asyncio.Runner(loop_factory=lambda: loop, debug=debug) as runner:
        result = runner.run(clean())
    assert not loop.stray, loop.stray
    return result


def timeless(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return wrapper


def now() -> float:
    """Give the virtual seconds since the loop began."""
    return asyncio.get_running_loop().time() - START


class Wall:
    """A wall clock that a test can set; stands in for `time`."""

    shift = 0.0

    def time(self) -> float:
        return time.time() + self.shift


def ago(seconds: float) -> datetime:
    """Give the moment so many seconds ago."""
    return wall_time() - timedelta(seconds=seconds)


def block(seconds: float) -> None:
    """Let the running loop be blocked for so many seconds of its virtual time."""
    clock: Any = vars(asyncio.get_running_loop())["time"].__self__
    clock._now += seconds


def answer(
    status: int = 200, /, headers: Mapping[str, str] | None = None, **fields: Any
) -> Response:
    """Give a JSON reply."""
    return Response(status=status, headers=headers or {}, body=json.dumps(fields).encode())


class Wire:
    """A connection in memory.

    `respond` gives the reply, raises TransportError, or awaits; what arrived is kept.

    One step of the loop passes before the request leaves and one after, so that a test can cut in
    between; `before` and `after` are seconds.
    """

    def __init__(
        self,
        respond: Callable[[PreparedRequest], Response | Awaitable[Response]],
        *,
        before: float = 0.0,
        after: float = 0.0,
    ) -> None:
        self._respond = respond
        self.before = before
        self.after = after
        self.seen: list[PreparedRequest] = []
        self.closed = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt."""
        outgoing.started = True
        await asyncio.sleep(self.before)
        outgoing.sent = True
        self.seen.append(outgoing)
        reply = self._respond(outgoing)
        found = reply if isinstance(reply, Response) else await reply
        await asyncio.sleep(self.after)
        return found

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Give no frames: the toy pushes nothing."""
        raise TransportError("no socket")
        yield

    async def aclose(self) -> None:
        """Count the closings."""
        self.closed += 1

    def paths(self, path: str = "") -> list[str]:
        """List the paths of the requests that arrived, those of one kind or all."""
        found = [outgoing.url.removeprefix(Toy.sandbox_url) for outgoing in self.seen]
        return [one for one in found if one.startswith(path)]


class Unsent(Wire):
    """A connection that never gets a byte out."""

    def __init__(self, *, certain: bool = False) -> None:
        super().__init__(lambda _: Response(status=200))
        self.tried = 0
        self._certain = certain

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Begin, and break before anything is sent."""
        self.tried += 1
        outgoing.started = True
        await asyncio.sleep(0)
        raise TransportError("no route", permanent=self._certain)


class Desk:
    """Logs in with `t1`, `t2`, …, and answers the rest by path.

    Replies in turn, the last for ever.
    """

    def __init__(self, **replies: Response | list[Response | Exception]) -> None:
        self.logins = 0
        self._replies = {
            f"/{name}": [one] if isinstance(one, Response) else list(one)
            for name, one in replies.items()
        }

    def __call__(self, outgoing: PreparedRequest) -> Response:
        path = outgoing.url.removeprefix(Toy.sandbox_url)
        if path == "/login" and "/login" not in self._replies:
            self.logins += 1
            return answer(token=f"t{self.logins}", expires_in=3600)
        for prefix, replies in self._replies.items():
            if path.startswith(prefix):
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                if isinstance(reply, Exception):
                    raise reply
                return reply
        return answer(404, error="no such path")


class Login(msgspec.Struct, frozen=True):
    """The toy's login."""

    token: str
    expires_in: float | None = None


class Said(ProviderData, frozen=True):
    """What the toy provider says of a payment; it echoes what a test wants it to."""

    id: Text = None
    reference: Text = None
    status: Text = None
    amount: Scalar = None
    currency: Text = None
    receipt: Text = None
    kind: Kind | None = None
    error: Scalar = None
    token: Scalar = None


_WORDS: StatusWords = {
    "OK": Status.SUCCEEDED,
    "WAIT": Status.PENDING,
    "ASKED": Status.PENDING,
    "NO": Status.FAILED,
    "STOPPED": Status.CANCELLED,
    "LATE": Status.EXPIRED,
    "BACK": Status.REFUNDED,
}
_ERRORS: Mapping[str, Callable[[str], ProviderError]] = {
    "stale": AuthenticationFailed,
    "no": Rejected,
    "duplicate": Duplicate,
    "slow": RateLimited,
}


class Toy(Driver, frozen=True, kw_only=True):
    """A provider that exists nowhere."""

    name = "toy"
    live_url = "https://api.toy.example"
    sandbox_url = "https://sandbox.toy.example"
    currencies = frozenset({"XAF", "KES"})
    countries = frozenset({"CM"})
    required = frozenset({"password"})
    takes = frozenset({"description", "metadata", "webhook_url", "return_url", "items", "customer"})
    settings = frozenset({"colour"})
    payer = "optional"
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=60.0)
    }
    speaks: ClassVar[Mapping[str, StatusWords]] = {"status": _WORDS}
    watch_timeout = 120.0

    username: str = "shop"
    password: Secret | str = "simulator"
    webhook_key: Secret | str = ""
    repeatable: bool = False

    async def token(self, send: Send) -> Token | None:
        password, _ = self.secrets()
        login = await send(
            post("/login", Login, {"user": self.username, "password": password}, money=False)
        )
        return Token(Secret(login.token), login.expires_in)

    def authorize(self, request: Request[T], token: str | None) -> Request[T]:
        return request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        said = reply.read(Said) or Said()
        kind = _ERRORS.get(str(said.error)) if reply.status in (400, 401, 409, 429) else None
        return (
            kind(f"the toy says {said.error} {said.token or ''}")
            if kind
            else super().judge(request, reply)
        )

    async def collect(self, send: Send, order: Order) -> Payment:
        return await self._move(send, "/collect", order)

    async def payout(self, send: Send, order: Order) -> Payment:
        return await self._move(send, "/payout", order)

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        return await self._move(send, f"/refund/{payment.provider_reference}", order)

    async def _move(self, send: Send, path: str, order: Order) -> Payment:
        body = {
            "reference": order.reference,
            "amount": whole(order.amount),
            "currency": order.currency,
        }
        said = await send(
            post(
                path,
                Said,
                {**body, "payer": order.party},
                repeatable=self.repeatable,
                matches=lambda said: said.reference in (None, order.reference),
            )
        )
        return self.payment(said, order.kind)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        said = await send(get("/payments/{id}", Said, at={"id": payment.provider_reference or ""}))
        return self.payment(said, payment.kind)

    async def history(self, send: Send, since: datetime, until: datetime) -> AsyncIterator[Payment]:
        for page in range(3):
            yield self.payment(await send(get("/history", Said, query={"page": str(page)})))

    def webhook(self, incoming: WebhookRequest) -> Event:
        said = self.message(Said, incoming)
        trust = Trust.BODY if "signed" in incoming.headers else Trust.NOTHING
        return Event(trust=trust, claims=self.payment(said), ping=said.error == "ping")

    def payment(self, said: Said, kind: Kind | None = "collect") -> Payment:
        """Say in our words what the toy said."""
        return Payment(
            account=self.account,
            provider=self.name,
            kind=said.kind or kind,
            live=self.live,
            reference=said.reference,
            provider_reference=said.id,
            status=self.status({"status": said.status}),
            provider_status=said.status,
            amount=amount(said.amount),
            currency=said.currency,
            receipt=said.receipt,
        )


class Findable(Toy, frozen=True, kw_only=True):
    """A toy that can be asked by our reference."""

    name = "findable"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = dict.fromkeys(
        get_args(Kind), frozenset({"reference"})
    )

    async def find(self, send: Send, payment: Payment) -> Payment:
        return self.payment(
            await send(get("/find/{id}", Said, at={"id": payment.reference or ""})), payment.kind
        )


class Keyless(Toy, frozen=True, kw_only=True):
    """A toy whose password is its key: it never logs in."""

    name = "keyless"
    token = Driver.token

    def authorize(self, request: Request[T], token: str | None) -> Request[T]:
        return request


class Narrow(Keyless, frozen=True, kw_only=True):
    """A toy that takes two money requests and three look-ups in ten seconds."""

    name = "narrow"
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {
        "money": (2, 10.0),
        "look-up": (3, 10.0),
    }


def push(**fields: Any) -> WebhookRequest:
    """Give a JSON message; `path` and `headers` are the message's, the rest is its body."""
    path, headers = fields.pop("path", ""), fields.pop("headers", {})
    return WebhookRequest(path=path, headers=headers, body=json.dumps(fields).encode())
