"""The guard of a credential that no answer has proved yet.

A provider locks the user of a credential after some wrong ones, for all programs. So until an
answer has proved a credential, few of its requests are out; after the first answer that refuses it,
none leaves. What is learned is shared through the journal.
"""

import asyncio
import secrets
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ..errors import (
    CredentialRefused,
    NotFound,
    NotSent,
    PaymuxError,
    ProviderError,
    Unavailable,
    UsageError,
)
from ..http import Question, Request
from ..journal import Credentials, Standing
from ..models import Kind, Payment, Status, log
from .call import PROOF, Call

if TYPE_CHECKING:
    from ..drivers.base import Driver
    from .transport import Transport

R = TypeVar("R")

PROOF_SECONDS = 10.0  # seconds for the proof that is sought before the first request
AGAIN_SECONDS = 60.0  # seconds until a proof that was lost is sought again
FRESH_SECONDS = 1.0  # seconds for which what the journal said of a credential is not asked again
POLL_SECONDS = 0.25  # seconds between two attempts to be among those that are out


class _Credential:
    """What this pool knows of one credential of an account."""

    def __init__(self, account: str, name: str, digest: str) -> None:
        self.account, self.name, self.digest = account, name, digest
        self.loop = asyncio.get_running_loop()
        self.standing = Standing.UNKNOWN
        self.asked_at = -float("inf")  # when the journal was asked last
        self.turn = asyncio.Lock()  # those that wait go one by one
        self.proof: asyncio.Task[None] | None = None
        self.sought_at = -float("inf")  # when the proof was sought last
        # Whether the proof before the first request was sought, in vain perhaps.
        self.is_sought = False

    @property
    def is_proved(self) -> bool:
        """Return whether an answer has shown that it is good."""
        return self.standing is Standing.PROVED


class Guarded(msgspec.Struct, eq=False):
    """A request that was let out, and whether its answer says how good its credential is."""

    credential: _Credential
    slot: str
    answered: bool = False


class CredentialGuard:
    """Lets the requests that name a credential out, for one pool."""

    def __init__(self, transport: "Transport", book: Credentials) -> None:
        self._transport = transport
        self._book = book
        # by account, name and digest: a driver may be replaced by one with another credential
        self._known: dict[tuple[str, str, str], _Credential] = {}
        self._orders: dict[tuple[str, str], _Credential] = {}  # by account and slot

    async def send(self, call: Call, request: Request[R] | Question[R]) -> R:
        """Send a request of a verb as soon as its credential permits.

        CredentialRefused: it is refused, and nothing was sent. Else it waits until the verb's
        deadline. The answer of a look-up proves its credential once the driver has read it; that of
        a money request is an acknowledgement, and proves nothing.
        """
        first = request.request if isinstance(request, Question) else request
        credential, money = self._credential(call.driver, first.credential), first.money
        try:
            slot = await self._let_out(call, credential, money=money)
        except OSError as error:
            said = f"{call}: {error}"
            failure = NotSent(f"{said}; nothing was sent") if money else Unavailable(said)
            raise failure from None
        guarded, closings = Guarded(credential, slot), self._transport.closings
        if money and slot:
            self._orders[credential.account, slot] = credential
        call.guarded, call.let_out = (*call.guarded, guarded), True
        try:
            answer = await call(request)
        except CredentialRefused:
            raise  # `ended` stores it
        except (NotSent, ProviderError):
            await self._free(guarded)
            raise
        except UsageError:
            if closings == self._transport.closings:  # else it may have left before the closing
                await self._free(guarded)
            raise
        finally:
            call.let_out = False
        guarded.answered = not money
        return answer

    def replayed(self, call: Call, name: str, digest: str) -> None:
        """Note that a verb reads the late answer of a question, which any worker may have heard.

        It counts as in the verb that asked: for the credential of that digest, which the driver may
        have no more. An empty digest, as an earlier release stored it, is that of the driver.
        """
        one = Guarded(self._credential(call.driver, name, digest), _slot(call), answered=True)
        call.guarded = (*call.guarded, one)

    async def ended(self, call: Call, error: Exception | None) -> None:
        """Store what the end of a verb says of its credentials.

        A refusal counts from the request that was sent: from a synchronous answer, or from the
        answer of a question. A message on an order's path is read by no verb, and stops nothing.
        """
        guarded, call.guarded = call.guarded, ()
        if isinstance(error, CredentialRefused):
            if not error.unsent:
                await self._settle(guarded[-1].credential, Standing.REFUSED)
            return
        for one in guarded:
            if one.answered and (error is None or isinstance(error, NotFound)):
                await self._settle(one.credential, Standing.PROVED)
            elif one.answered:  # it said nothing of the credential, but is out no more
                await self._free(one)

    async def heard(self, payment: Payment) -> None:
        """Take a confirmed payment: a success proves the credential of its request.

        A failure does neither: anything that knows the order's path could have sent it.
        """
        if payment.status is not Status.SUCCEEDED:
            return
        slot = _order_slot(payment.kind, payment.reference)
        credential = self._orders.get((payment.account, slot))
        if credential is not None:
            await self._settle(credential, Standing.PROVED)
        elif payment.kind != "collect":  # perhaps the order of another worker
            await _stored(payment.account, self._book.prove(payment.account, slot))

    async def aclose(self) -> None:
        """End the proofs that are being sought."""
        tasks = [one.proof for one in self._known.values() if one.proof is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _credential(self, driver: "Driver", name: str, digest: str = "") -> _Credential:
        key = (driver.account, name, digest or driver.credential_id(name))
        found = self._known.get(key)
        if found is None or found.loop is not asyncio.get_running_loop():
            found = self._known[key] = _Credential(*key)
        return found

    async def _let_out(self, call: Call, credential: _Credential, *, money: bool) -> str:
        """Wait until a request may leave; return its slot, or "" if none is needed any more."""
        if not self._is_fresh(credential):
            await self._ask(credential)
        self._check(call, credential)
        if credential.is_proved:
            return ""
        if call.slot_held:  # reserved before it was known that it waits here
            call.slot_held = False
            call.limiter.release(money=False)
        # The proof is what others wait for. A look-up goes before new orders: it proves, too.
        if call.verb == PROOF or (not money and credential.is_sought):
            return await self._take(call, credential, money=money)
        async with credential.turn:
            if not credential.is_proved:
                await self._prove(call, credential)
            self._check(call, credential)
            if credential.is_proved:
                return ""
            return await self._take(call, credential, money=money)

    async def _take(self, call: Call, credential: _Credential, *, money: bool) -> str:
        """Take a slot; that of an order has its name, by which its look-up finds it."""
        slot, book = _slot(call), self._book
        while not await book.take(credential.account, credential.digest, slot, again=not money):
            await self._ask(credential)
            self._check(call, credential)
            if credential.is_proved:
                return ""
            await asyncio.sleep(POLL_SECONDS)
        return slot

    async def _prove(self, call: Call, credential: _Credential) -> None:
        """Seek the first proof, for all that wait; without one, few are let out.

        A proof that was lost is sought again.
        """
        now = asyncio.get_running_loop().time()
        if credential.proof is None or now - credential.sought_at >= AGAIN_SECONDS:
            credential.sought_at = now
            seeking = self._seek(call, credential)
            credential.proof = asyncio.get_running_loop().create_task(seeking)
        await asyncio.wait({credential.proof})

    async def _seek(self, first: Call, credential: _Credential) -> None:
        driver = first.driver
        try:
            prove = driver.proof_of(credential.name)
            if prove is not None:
                call = Call(self._transport, driver, PROOF, PROOF_SECONDS, account=first.account)
                await self._transport.perform(call, prove)
        except (PaymuxError, OSError) as error:
            log.info("%s: no proof of a credential yet: %s", driver.account, error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must not stop those that wait
            log.error("%s: the proof of a credential failed: %r", driver.account, error)
        finally:
            credential.is_sought = True

    async def _ask(self, credential: _Credential) -> None:
        credential.standing = await self._book.standing(credential.account, credential.digest)
        credential.asked_at = asyncio.get_running_loop().time()

    def _is_fresh(self, credential: _Credential) -> bool:
        return asyncio.get_running_loop().time() - credential.asked_at < FRESH_SECONDS

    def _check(self, call: Call, credential: _Credential) -> None:
        if credential.standing is Standing.REFUSED:
            error = CredentialRefused(
                f"{credential.name}: it was refused before; nothing was sent, and nothing will be "
                "until it is replaced"
            )
            error.account, error.provider = call.driver.account, call.driver.name
            error.reference, error.unsent = call.reference, True
            raise error

    async def _settle(self, credential: _Credential, standing: Standing) -> None:
        if credential.standing in (standing, Standing.REFUSED):
            return
        credential.standing = standing
        credential.asked_at = asyncio.get_running_loop().time()
        if standing is Standing.REFUSED:
            log.error(
                "%s: the credential %r is refused; none of its requests is sent until it is "
                "replaced",
                credential.account,
                credential.name,
            )
        for name in [name for name, one in self._orders.items() if one is credential]:
            del self._orders[name]
        account, digest = credential.account, credential.digest
        await _stored(account, self._book.settle(account, digest, standing))

    async def _free(self, guarded: Guarded) -> None:
        one = guarded.credential
        if guarded.slot:
            try:
                await self._book.free(one.account, one.digest, guarded.slot)
            except OSError as error:  # it is free in a minute in any case
                log.info("%s: a request still counts as out: %s", one.account, error)


async def _stored(account: str, storing: Awaitable[None]) -> None:
    try:
        await storing
    except OSError as error:  # this process may know it; the journal retries
        log.warning("%s: a credential's state is not stored: %s", account, error)


def _slot(call: Call) -> str:
    """Return the slot of a verb: that of its order, for a look-up, too; else one of its own."""
    order = call.pending or call.about
    if order is None or order.reference is None:
        return secrets.token_hex(8)
    return _order_slot(order.kind, order.reference)


def _order_slot(kind: Kind | None, reference: str | None) -> str:
    return f"{kind or 'collect'} {reference or ''}"
