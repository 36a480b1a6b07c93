"""One world: providers, a ledger, faults and payers of its own, and all that a test may do."""

import asyncio
from datetime import datetime

import msgspec

from ..errors import PaymuxError, UsageError
from ..models import Reason, Status
from ..primitives import coerce
from ..primitives.redaction import shown
from ..values.arguments import reason as checked_reason
from ..values.arguments import status as checked_status
from ..values.arguments import text, whole
from ..values.validation import checked_seconds
from . import phone
from .adjusting import Adjustable
from .faults import Fault, Planned, checked_kind
from .ledger import AlreadyDecided, Entry, Outcome
from .messages import Message
from .payers import Answer, checked_answer, checked_pin
from .records import Delivery


class WaitTimeout(PaymuxError, TimeoutError):
    """No order was there, or had the status, in time: the sentence says for how long."""


class World(Adjustable):
    """What a test does with the providers of one world; the control API calls these methods.

    Where a method takes a `reference`, it may be yours, the provider's, a receipt's, or an id such
    as `campay:5f0c…`, which names one order alone. Times are in seconds, amounts in major units.
    """

    def settle(
        self,
        reference: str,
        status: Status,
        *,
        reason: Reason | None = None,
        code: str | None = None,
    ) -> list[Entry]:
        """Decide the open orders with this reference, and send their webhooks.

        If none is open, the last one is decided again: a late success or a refund. `status` is the
        truth in the ledger; `code` is the provider's own status word or code, even a misleading
        one. AlreadyDecided: an order that ended so cannot end in this way.
        """
        outcome = Outcome(
            checked_status("status", status),
            None if reason is None else checked_reason("reason", reason),
            None if code is None else text("code", code),
        )
        entries = self._found(reference)
        chosen = [entry for entry in entries if not entry.status.terminal] or entries[-1:]
        for entry in chosen:
            self.providers[entry.provider].settle(entry, outcome)
        return chosen

    def answer(self, reference: str, answer: Answer, *, pin: str | None = None) -> Entry:
        """Answer in the place of the payer of the open order with this reference.

        `pin`: as the payer types it to approve; None: the right one. A wrong one leaves the order
        open with one try less (`tries_left`), and the third fails it. "ignore" leaves it open, and
        the payer is asked no more. AlreadyDecided: it has ended.
        """
        word = checked_answer(answer)
        typed = None if pin is None else checked_pin(pin)
        entries = self._found(reference)
        entry = next((one for one in entries if not one.status.terminal), entries[-1])
        if entry.status.terminal:
            raise AlreadyDecided.field("answer", word, f"none: it has {entry.ended}")
        phone.answer(self.providers[entry.provider], entry, word, typed)
        return entry

    def fault(
        self,
        provider: str,
        match: str = "",
        *,
        kind: Fault | str,
        times: int = 1,
        processed: bool = True,
        status: int | None = None,
        seconds: float = 1.0,
        retry_after: int | str | datetime = 1,
        location: str | None = None,
    ) -> Planned:
        """Plan a fault for the next `times` requests that match; return it as it is planned.

        `match`: `"POST /collect/"`, `"POST"` or `"/collect/"`. For a webhook fault, `match` is a
        reference of the order. `kind`: a member of Fault, or its name in any case, such as
        "drop_after". `processed=False`: the fault happens before the provider has processed the
        request.
        """
        planned = Planned(
            provider=provider,
            match=match,
            kind=checked_kind(kind),
            times=times,
            processed=processed,
            status=status,
            seconds=seconds,
            retry_after=retry_after,
            location=f"{self.url}/elsewhere" if location is None else location,
        )
        self.core.faults.plan(planned)
        return planned

    async def again(
        self, n: int, *, times: int = 1, forged: bool = False, url: str | None = None
    ) -> list[Delivery]:
        """Send delivery `n` again: the same body and signature; return the new deliveries.

        `forged`: instead, one that claims a success and that the provider never signed. `url`:
        another address, which must be allowed as any.
        """
        old = self.core.deliveries.get(n)
        if not old.whole and not forged:
            raise UsageError.field("n", n, "a webhook whose body was short enough to be kept")
        message = self._forged(old) if forged else old.message
        if url is not None:
            message = msgspec.structs.replace(message, url=text("url", url))
        count = whole("times", times, 1, 100)
        made = [
            Delivery(provider=old.provider, message=message, again_of=old.n) for _ in range(count)
        ]
        await asyncio.gather(*map(self.core.deliver, made))
        return made

    def inbound(
        self,
        provider: str,
        amount: str,
        *,
        reference: str | None = None,
        party: str | None = None,
        account: str | None = None,
    ) -> Entry:
        """Let a customer pay unasked, where the provider has such: M-Pesa's paybill and till.

        `reference`: the bill that the customer types; None: at a till. `party`: the customer's
        number. `account`: the shop's, such as a shortcode.
        """
        return self.provider(provider).inbound(
            amount=amount, reference=reference, party=party, account=account
        )

    async def wait(
        self, reference: str, status: Status | None = None, *, within: float = 30.0
    ) -> Entry:
        """Wait until an order with this reference is there, or has this status; return it.

        WaitTimeout: not `within` so many seconds.
        """
        wanted = None if status is None else checked_status("status", status)
        named = text("reference", reference)
        seconds, changed = checked_seconds("within", within), asyncio.Event()

        def observer(_event: str, _thing: object) -> None:
            changed.set()

        self.core.observers.append(observer)
        self.core.guests += 1
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for entry in reversed(self._entries(named)):
                        if wanted is None or entry.status is wanted:
                            return entry
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            said = "is there" if wanted is None else f"is {wanted}"
            raise WaitTimeout(f"no order {shown(named)} {said} after {seconds:g} s") from None
        finally:
            self.core.observers.remove(observer)
            self.core.guests -= 1

    def payment(self, id: object) -> Entry:
        """Return the order with this id; UsageError: there is none."""
        found = self.ledger.find(coerce.text(id) or "")
        if found is None:
            raise UsageError.field("id", id, "one of an order that the simulator accepted")
        return found

    def _entries(self, reference: object) -> list[Entry]:
        named = coerce.text(reference) or ""
        found = self.ledger.find(named)
        return [found] if found is not None else self.ledger.entries(named)

    def _found(self, reference: object) -> list[Entry]:
        entries = self._entries(reference)
        if not entries:
            raise UsageError.field(
                "reference", reference, "one of an order that the simulator accepted"
            )
        return entries

    def _forged(self, old: Delivery) -> Message:
        entry = self.ledger.find(old.message.order or "")
        lie = entry and self.providers[entry.provider].message(entry, forged=True)
        if not entry or not lie:
            raise UsageError.field("forged", True, "False: this message is about no order")
        return msgspec.structs.replace(lie, order=entry.id, forged=True)
