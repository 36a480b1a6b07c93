"""Adopting payments that came by themselves: each is proved first, and becomes a row once."""

from collections.abc import Mapping
from functools import partial

import msgspec

from ...drivers.base import Driver
from ...errors import PaymuxError, UsageError
from ...journal import CandidateOrders, Entry, adopted_reference
from ...limits import Priority
from ...models import ADOPTED, Event, Payment, Status, Trust, log, merge
from ...primitives.clock import wall_time
from ...primitives.redaction import mask
from ..engine import Engine
from ..unconfirmed import Ownership, owner_of

# seconds until an account's provider is asked again for a payment, at first and at most
MIN_ASK_SECONDS, MAX_ASK_SECONDS = 60.0, 21_600.0
ASKED_FOR_SECONDS = 172_800.0  # seconds for which it is asked: its lists go back two days


class Adopter:
    """Proves and adopts the payments of the accounts that have this switched on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.check(engine.drivers)
        self._since: Mapping[str, str] = {}  # when this journal first adopted, by account
        self._complained: set[str] = set()

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that adopt now."""
        return _adopting(self._engine.drivers)

    def check(self, drivers: Mapping[str, Driver]) -> None:
        """UsageError: one of these accounts adopts payments, and cannot."""
        accounts = _adopting(drivers)
        if accounts and self._engine.store.journal is None:
            # In memory, a restart would forget what was told, and tell it again.
            raise UsageError.missing("journal", f"{accounts[0]} adopts payments: it needs one")
        for name in accounts:
            _see_alone(name, drivers)

    async def begin(self) -> None:
        """Learn since when the journal adopts; OSError: not now."""
        new = [name for name in self.accounts if name not in self._since]
        if new:
            journal = self._engine.store.require_journal()
            self._since = {**self._since, **await journal.adoptions.begin(new)}

    def receipt_of(self, entry: Entry) -> str | None:
        """Return the receipt of an entry that is to be adopted; None: it is not."""
        event = entry.event
        since = self._since.get(event.account)
        if since is None or entry.at < since:
            return None  # what came before is left to `on_unconfirmed`, which was told of it
        reference = self._engine.driver(event.account).adopts(event)
        return reference and reference.removeprefix(ADOPTED)

    async def proved(self, event: Event, receipt: str) -> Payment | None:
        """Return the payment as it is proved; None: not now, which refutes nothing."""
        try:
            found = await self._proof(event, receipt)
        except (PaymuxError, OSError) as error:
            if event.account not in self._complained:
                log.warning(
                    "%s: payments that came by themselves cannot be proved yet: %s",
                    event.account,
                    mask(str(error)),
                )
            self._complained.add(event.account)
            return None
        if found is not None:
            self._complained.discard(event.account)
        return found

    async def adopt(self, entry: Entry, event: Event, payment: Payment) -> bool:
        """Make a row of a proved payment, which the outbox then tells; False: it has one."""

        def is_not_ours(orders: CandidateOrders) -> bool:
            return owner_of(self._engine, event, orders)[0] is Ownership.NOT_OURS

        fits = partial(self._engine.driver(event.account).may_tell_of, event)
        adoptions = self._engine.store.require_journal().adoptions
        return await adoptions.adopt(entry, event, payment, is_not_ours, fits)

    async def end_dealt_with(self, entry: Entry, receipt: str) -> bool:
        """End an entry whose receipt a person dealt with, by another message of it."""
        adoptions = self._engine.store.require_journal().adoptions
        return await adoptions.end_dealt_with(entry, receipt)

    async def _proof(self, event: Event, receipt: str) -> Payment | None:
        driver = self._engine.driver(event.account)
        asked = Payment(
            account=event.account,
            provider=driver.name,
            live=driver.live,
            kind="collect",
            reference=adopted_reference(receipt),
            provider_reference=receipt,
            receipt=receipt,
            ids=_own_ids(event),
            paid_at=event.claims.paid_at,  # where to look for it in a long list
        )
        # A row of the provider's own list proves itself.
        listed = event.trust is Trust.BODY
        found = event.claims if listed else driver.proof(event, asked)
        if found is None:
            if driver.asks(asked) is None:
                return None
            if event.path_use != "confirmation":
                await self._engine.unverified.admit(driver, event)
            found = await self._engine.ask_provider(asked, priority=Priority.HINT)
        payment = merge(asked, found)
        if payment.status is not Status.SUCCEEDED or payment.amount is None:
            return None
        return _completed(event, payment, receipt)


def _adopting(drivers: Mapping[str, Driver]) -> tuple[str, ...]:
    return tuple(name for name, one in drivers.items() if one.adopting)


def _see_alone(account: str, drivers: Mapping[str, Driver]) -> None:
    """Refuse an account that would adopt the payments that another one asks for."""
    driver = drivers[account]
    for name, other in drivers.items():
        if name != account and driver.lists_those_of(other):
            accepted = f"one whose payments are not listed for {account}, which adopts them"
            raise UsageError.field("account", name, accepted)


def _completed(event: Event, payment: Payment, receipt: str) -> Payment | None:
    """Add what only the message says; None: it is another payment."""
    claims = event.claims
    if payment.receipt is None or payment.receipt.casefold() != receipt.casefold():
        return None
    typed = payment.bill_reference
    if typed is None and event.path_use == "confirmation":
        # A status answer has no such field. The account's bare address is known from each order's,
        # so what came there may lead another payer's money to the sender's account.
        typed = claims.bill_reference
    return msgspec.structs.replace(
        payment,
        receipt=receipt,
        bill_reference=typed,
        payer=payment.payer or claims.payer,
        currency=payment.currency or claims.currency,
        paid_at=payment.paid_at or claims.paid_at,
        created_at=wall_time(),
        raw="",
    )


def _own_ids(event: Event) -> dict[str, str]:
    return {name: id for name, id in event.claims.ids.items() if name != "MSISDN"}


def as_proved(event: Event, payment: Payment) -> Event:
    """Return a message with what is proved of its payment in place of what it claimed."""
    # A number that is masked is left out where the whole one is known.
    ids = _own_ids(event) if payment.payer is not None else event.claims.ids
    return msgspec.structs.replace(event, claims=msgspec.structs.replace(payment, ids=ids))
