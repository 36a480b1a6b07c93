"""The open watches of a pool, found by whatever their payment is known by, and the lines they wait in."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeAlias
from weakref import ref

import msgspec

from ..drivers.base import Driver, Pushed
from ..errors import AuthenticationFailed, Mismatch, NotFound, PaymuxError, UsageError
from ..limits import Gate
from ..models import Event, Payment
from .polls import AT_ONCE, Line, Subject
from .refusals import Refusals
from .schedule import Schedule
from .updates import Updates

STEP = 500  # watches that are told something in one step of the loop, so that none is long

_FIELDS = Payment.__struct_fields__

News: TypeAlias = Payment | PaymuxError


class Looks(NamedTuple):
    """When a payment was looked at, how often, when to look again, and the rank of its turn in the line."""

    asked: float
    looked: int
    due: float
    not_before: float
    rank: float


class Watcher(Protocol):
    """A watch, as its pool knows it."""

    payment: Payment
    ref: "Ref"

    def tell(self, found: Payment) -> None:
        """Hand over what a confirmed event found."""

    def nudge(self) -> None:
        """Look again soon."""

    def rouse(self) -> None:
        """See what is new, or that the pool is closed."""

    def hear(self, said: News | None, looks: Looks) -> None:
        """Take what another watch of the same payment was told."""

    def take_over(self, now: float) -> None:
        """Ask at once."""


Ref: TypeAlias = ref[Watcher]
Held: TypeAlias = Ref | set[Ref]  # a set only where several watch the same
Key: TypeAlias = tuple[tuple[str, ...], str]


class Watches:
    """The open watches of a pool, found by whatever their payment is known by, and the lines they wait in."""

    def __init__(
        self,
        look: Callable[[Payment, float], Awaitable[Payment]],
        frames: Callable[[Pushed], AsyncGenerator[str | bytes]],
        gate: Callable[[Driver], Gate],
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self.look = look
        self._loop = loop  # gives the one in which the pool was last used
        self.updates = Updates(frames, self.hint)
        self.closed = False
        self._refusals = Refusals()
        self._gate = gate
        self._lines: dict[str, Line] = {}
        self._pushed: set[str] = set()  # kept, for the check of a protocol takes microseconds
        self._by_key: dict[tuple[str, ...], dict[str, Held]] = {}

    def line(self, driver: Driver) -> Line:
        """Give the line in which an account's watches wait."""
        line = self._lines.get(driver.account)
        if line is None:
            stated = driver.limits.get("look-up")
            schedule = Schedule(driver.first_look, driver.watch_timeout)
            at_once = AT_ONCE if stated is None else stated[0]
            line = Line(self._gate(driver), schedule, at_once=at_once)
            self._lines[driver.account] = line
            if isinstance(driver, Pushed):
                self._pushed.add(driver.account)
        return line

    def lag(self, account: str) -> float:
        """Tell how late an account's look-ups run now, in seconds."""
        line = self._lines.get(account)
        return 0.0 if line is None else line.lag()

    def add(self, watch: Watcher) -> None:
        """Note a watch under what its payment is known by."""
        hash(watch.ref)  # kept by it; once the watch is gone, it could no longer be made
        for shelf, id in keys(watch.payment):
            shelved = self._by_key.setdefault(shelf, {})
            held = shelved.setdefault(id, watch.ref)
            if isinstance(held, set):
                held.add(watch.ref)
            elif held() not in (watch, None):
                shelved[id] = {held, watch.ref}
            else:
                shelved[id] = watch.ref

    def remove(self, watch: Watcher, payment: Payment) -> None:
        """Forget a watch under what its payment was known by."""
        self._remove(watch.ref, keys(payment))

    def lost(self, one: "Ref", payment: Payment, driver: Driver) -> None:
        """Forget a watch that was collected, which may happen in the midst of anything, in any thread."""
        loop = self._loop()
        try:
            if loop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(self._forget, one, payment, driver)
                return
        except RuntimeError:  # closed a moment ago
            pass
        self._forget(one, payment, driver)

    def _forget(self, one: "Ref", payment: Payment, driver: Driver) -> None:
        self._remove(one, keys(payment))
        if driver.account in self._pushed:
            self.updates.rest(driver)

    def rename(self, watch: Watcher, known: Payment) -> None:
        """Note a watch under what its payment is known by now; what was not changed stays where it is."""
        named = keys(watch.payment)
        self._remove(watch.ref, [key for key in keys(known) if key not in named])
        self.add(watch)

    def _remove(self, one: "Ref", names: list[Key]) -> None:
        for shelf, id in names:
            shelved = self._by_key.get(shelf, {})
            held = shelved.get(id)
            if isinstance(held, set):
                held.discard(one)
            if not held or held is one:
                shelved.pop(id, None)
                if not shelved:
                    self._by_key.pop(shelf, None)

    def listen(self, watch: Watcher, driver: Driver) -> None:
        """Listen for a watch, where its provider pushes."""
        if driver.account in self._pushed:
            self.updates.begin(watch, driver)

    def deafen(self, watch: Watcher, driver: Driver) -> None:
        """Listen no more for a watch."""
        if driver.account in self._pushed:
            self.updates.end(watch, driver)

    async def share(self, asker: Watcher, subject: Subject, said: News, looks: Looks) -> None:
        """Let the others who wait for the same payment have the answer that one of them got."""
        told: News | None = said
        self._refusals.heard(asker.payment.account, said)
        if isinstance(said, Mismatch) and said.payment is not None:
            told = said.payment  # what contradicts one may be what another expects
        elif not isinstance(said, Payment | UsageError | AuthenticationFailed | Mismatch | NotFound):
            told = None
        others = self._others(asker, subject)
        for number, watch in enumerate(others, 1):
            if _agree(asker.payment, watch.payment):
                watch.hear(told, looks)
            if number % STEP == 0:
                await asyncio.sleep(0)

    def hand_over(self, asker: Watcher, subject: Subject, now: float) -> None:
        """Let another who waits for the same payment ask at once: the one who asked was broken off."""
        self._each(self._others(asker, subject), lambda watch: watch.take_over(now))

    def _others(self, asker: Watcher, subject: Subject) -> list[Watcher]:
        account = asker.payment.account
        shelf, id = ((account,), subject) if isinstance(subject, str) else ((account, subject[0]), subject[1])
        held = self._by_key.get(shelf, {}).get(id)
        return [watch for watch in _living(held) if watch is not asker] if isinstance(held, set) else []

    def held(self, event: Event) -> Payment | None:
        """Give the payment that an open watch holds of what a message claims to be about."""
        about = [watch.payment for watch in self._about(event)]
        # The provider's id comes with its kind where that is said; which one it is of is only claimed.
        return next((one for one in about if (one.kind or "collect") == event.kind), about[0] if about else None)

    def hint(self, event: Event) -> None:
        """Let the watches that an update is about look again; all of the account, where it names no payment."""
        if keys(event.claims):
            for watch in self._about(event):
                watch.nudge()
            return
        account = [shelved for shelf, shelved in self._by_key.items() if shelf[0] == event.account]
        self._each(_everyone(account), lambda watch: watch.nudge())

    def _each(self, watches: list[Watcher], action: Callable[[Watcher], None]) -> None:
        """Do something to each, a few in each step of the loop."""
        for watch in watches[-STEP:]:
            action(watch)
        del watches[-STEP:]
        if watches:
            asyncio.get_running_loop().call_soon(self._each, watches, action)

    def _about(self, event: Event) -> list[Watcher]:
        """List the watches that a message is about; what its own secret path proves comes first."""
        named = keys(msgspec.structs.replace(event.claims, account=event.account, reference=None))
        attempts = [((event.account, event.kind), event.attempt)] if event.attempt else []
        return [watch for key in (*attempts, *named) for watch in self._under(key)]

    def _under(self, key: Key) -> Iterator[Watcher]:
        held = self._by_key.get(key[0], {}).get(key[1])
        return _living(_refs(held)) if held else iter(())

    def tell(self, payment: Payment) -> None:
        """Wake every watch on this payment."""
        found = {watch for key in keys(payment) for watch in self._under(key)}
        # Not every id is a payment's own: CinetPay's api_response_id is one answer's, made of its time.
        same = [watch for watch in found if _same(watch.payment, payment)]
        self._each(same, lambda watch: watch.tell(payment))

    def close(self) -> None:
        """End every open watch with UsageError."""
        self.closed = True
        self._each(_everyone(self._by_key.values()), lambda watch: watch.rouse())
        self._by_key.clear()


def _refs(held: Held) -> Iterable[Ref]:
    return held if isinstance(held, set) else (held,)


def _everyone(shelves: Iterable[Mapping[str, Held]]) -> list[Watcher]:
    return list(_living({one for shelved in shelves for held in shelved.values() for one in _refs(held)}))


def _living(found: Iterable[Ref]) -> Iterator[Watcher]:
    # A list first: what a watch does on being told may change the set.
    return (watch for one in list(found) if (watch := one()) is not None)


def _agree(one: Payment, other: Payment) -> bool:
    """Tell whether what is expected of a payment here can be what is expected of it there."""
    return _same(one, other, ("reference", "provider_reference", "amount", "currency", "live"))


def _same(one: Payment, other: Payment, names: tuple[str, ...] = ("reference", "provider_reference")) -> bool:
    """Tell whether two may be one payment: of one kind, and with no different names."""
    pairs = ((getattr(one, name), getattr(other, name)) for name in names)
    alike = all(None in pair or pair[0] == pair[1] for pair in pairs)
    return alike and (one.kind or "collect") == (other.kind or "collect")


def keys(payment: Payment) -> list[Key]:
    """List what a payment is known by: a shelf, and its name there."""
    account = payment.account
    found: list[Key] = [((account, name), id) for name, id in payment.ids.items()]
    if payment.reference is not None:
        found.append(((account, payment.kind or "collect"), payment.reference))
    if payment.provider_reference is not None:
        found.append(((account,), payment.provider_reference))
    return found


def subject(payment: Payment, driver: Driver) -> Subject:
    """Say what a look-up of a payment is about: one of the ids that it is found by."""
    if payment.provider_reference is not None:
        return payment.provider_reference
    own = next(((name, id) for name, id in payment.ids.items() if name in driver.verifies_by), None)
    return own or (payment.kind or "collect", payment.reference or "")


def lean(found: Payment, known: Payment) -> Payment:
    """Give what was found, made of what is held already where both are equal: thousands are held at once."""
    pairs = zip(_FIELDS, msgspec.structs.astuple(known), msgspec.structs.astuple(found), strict=True)
    held = {name: old for name, old, new in pairs if old is not new and old == new}
    if found.provider_status is not None:
        held["provider_status"] = sys.intern(found.provider_status)
    return msgspec.structs.replace(found, **held)
