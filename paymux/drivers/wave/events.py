"""The events of a webhook: https://docs.wave.com/webhook."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...models import Event, Payment, Trust
from ...primitives.redaction import shown
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount, convert, parse_time
from .answers import Session

if TYPE_CHECKING:
    from . import Wave

UNASKED = "transaction"  # in `ids` of a payment that came by itself, which no look-up of ours finds
# `payment_failed` is one attempt: its session is still open.
_SESSIONS = frozenset({"checkout.session.completed", "checkout.session.payment_failed"})
_RECEIVED = frozenset({"merchant.payment_received", "b2b.payment_received"})
# Nothing came in, and nothing of ours went out: there is nothing to confirm.
_NEWS = frozenset({"b2b.payment_failed", "test.test_event"})


class Message(ProviderData, frozen=True):
    """One event."""

    id: Text = None
    type: Text = None
    data: dict[str, Any] | None = None


class Received(ProviderData, frozen=True):
    """A payment to the business that no session asked for; its amount is without the fee."""

    id: Text = None
    amount: Scalar = None
    fee: Scalar = None
    currency: Text = None
    sender_mobile: Text = None
    when_created: Scalar = None


def read(driver: "Wave", said: Message, trust: Trust) -> Event:
    """Read an event; one of another type than the page's is Unreadable."""
    if said.type in _NEWS:
        nothing = Payment(account=driver.account, provider=driver.name, live=driver.live)
        return driver.event(nothing, trust, ping=True)
    data: Mapping[str, Any] = said.data or {}
    if said.type in _SESSIONS:
        session = convert(Session, data)
        if not session.id:
            raise Unreadable("the session has no id")
        return driver.event(driver.payment(session), trust)
    if said.type in _RECEIVED:
        return driver.event(_received(driver, convert(Received, data)), trust)
    raise Unreadable(f"an event of type {shown(said.type)}")


def _received(driver: "Wave", said: Received) -> Payment:
    """Return what is claimed; what its sender typed as a reference names no order of ours."""
    net, fee = amount(said.amount), amount(said.fee)
    if not said.id:
        raise Unreadable("the payment has no id")
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind="collect",
        live=driver.live,
        provider_reference=said.id,
        ids={UNASKED: said.id},
        amount=None if net is None else net + (fee or 0),
        fee=fee,
        currency=said.currency,
        payer=(said.sender_mobile or "").lstrip("+") or None,
        receipt=said.id,
        paid_at=parse_time(said.when_created),
    )
