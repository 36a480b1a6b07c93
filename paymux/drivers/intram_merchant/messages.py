"""Messages: what a subscription is told, and how one is made.

https://github.com/suntechdevs/paycfa merchant-api/webhooks.md and
reference/webhook-subscriptions.md @585cc6f. A body is shown for payout.completed and test.ping
alone; of a payment request only the operation's id is read.
"""

import re
import secrets
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...http import Send, WebhookRequest, post
from ...models import Event, Kind, Payment, Status, Trust
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from ...values.status_words import Vocabulary
from ...values.validation import checked_url
from .answers import OPERATION_ID, RESULT, TYPES, Absent, Destination

if TYPE_CHECKING:
    from . import IntramMerchant

PING = "test.ping"
# webhooks.md. `payout.failed` is also sent after a network error (payouts.md), and `refund.failed`
# (refunds.md): they fail nothing.
EVENT = Vocabulary(
    {
        "PAYOUT.COMPLETED": Status.SUCCEEDED,
        "PAYOUT.QUEUED": Status.PENDING,
        "PAYOUT.FAILED": Status.PENDING,
        "PAYMENT_REQUEST.CREATED": Status.PENDING,
        "PAYMENT_REQUEST.PAID": Status.SUCCEEDED,
        "PAYMENT_REQUEST.PENDING": Status.PENDING,
        "PAYMENT_REQUEST.FAILED": Status.FAILED,
        "REFUND.COMPLETED": Status.SUCCEEDED,
        "REFUND.PENDING": Status.PENDING,
        "REFUND.FAILED": Status.PENDING,
    }
)
TOLD = Vocabulary({**RESULT, "FAILED": frozenset({Status.PENDING, Status.FAILED})})
_EVENT = re.compile(r"\*|all|[a-z_]{1,32}\.(?:\*|[a-z_]{1,32})", re.ASCII)


class Data(ProviderData, frozen=True):
    """What a message says of an operation."""

    reference: Text = None
    amount: Scalar = None
    currency: Text = None
    status: Text = None
    destination: Destination | Absent = None


class Message(ProviderData, frozen=True):
    """A message."""

    event: Text = None
    operation_id: Text = None
    data: Data | Absent = None


class Subscription(ProviderData, frozen=True):
    """A subscription that was made."""

    subscription_id: Text = None
    secret: Text = None


class Subscribed(ProviderData, frozen=True):
    """The envelope of a subscription."""

    data: Subscription | Absent = None

    def answers(self) -> bool:
        """Return whether there is a secret, which is told only once."""
        if not isinstance(self.data, Subscription) or not self.data.secret:
            raise Unreadable("the answer has no secret")
        return True


def event(driver: "IntramMerchant", incoming: WebhookRequest, trust: Trust) -> Event:
    """Read a message; its status is a claim."""
    said = driver.message(Message, incoming)
    if said.event == PING:
        return driver.event(Payment(account=driver.account), trust, ping=True)
    if not OPERATION_ID.fullmatch(said.operation_id or ""):
        raise Unreadable("no operation_id")
    kind = TYPES.get((said.event or "").partition(".")[0])
    data = said.data if isinstance(said.data, Data) else Data()
    return driver.event(_claims(driver, said, data, kind), trust)


def _claims(driver: "IntramMerchant", said: Message, data: Data, kind: Kind | None) -> Payment:
    pays = kind == "payout"
    status, reason = driver.outcome({"event": said.event, "data.status": data.status})
    words = filter(None, (said.event, data.status))
    return Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind,
        live=driver.live,
        reference=data.reference if pays else None,
        provider_reference=said.operation_id,
        status=status,
        amount=amount(data.amount) if pays else None,
        currency=data.currency if pays else None,
        payee=getattr(data.destination, "payee", None) if pays else None,
        provider_status="/".join(words) or None,
        reason=reason,
    )


async def subscribe(driver: "IntramMerchant", send: Send, *, url: str, event: str = "*") -> Secret:
    """Subscribe a URL to events, and return the secret that signs its messages, told only once.

    `url` is that of `pool.webhook_url(account)`; `event` is `"*"`, `"payout.*"` or one event.
    """
    del driver  # a coroutine of `run` gets it
    if (pattern := coerce.text(event)) is None or not _EVENT.fullmatch(pattern):
        raise UsageError.field("event", event, "*, payout.*, or an event such as payout.completed")
    request = post(
        "/webhooks",
        Subscribed,
        {"url": checked_url("url", url), "event": pattern},
        money=False,
        headers={"Idempotency-Key": f"webhook-{secrets.token_hex(16)}"},
        matches=Subscribed.answers,
    )
    made = (await send(request)).data
    return Secret(made.secret or "" if isinstance(made, Subscription) else "")
