"""A toy provider whose look-ups are answered by messages, and the shop that asks it."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal

from paymux import Balance, Payment, Pool, Status, WebhookRequest
from paymux.drivers.base import Pace
from paymux.http import PreparedRequest, Response, Send, ask
from paymux.journal.sqlite import SqliteJournal
from paymux.models import Kind
from paymux.values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from paymux.webhooks import Webhooks

from .toys import BASE, KEY, Keyless, Said, Toy, Wire, answer

DAY = 86_400.0
SECRET = "s3cr3t-credential-of-the-shop"


class Ack(ProviderData, frozen=True):
    """The toy's acknowledgement of a question; its answer has the same id."""

    conversation: Text = None

    def named(self) -> str:
        """Return the id."""
        if not self.conversation:
            raise Unreadable("the acknowledgement has no id")
        return self.conversation


class Total(ProviderData, frozen=True):
    """The answer to the question for the balance."""

    total: Scalar = None


class Asking(Keyless, frozen=True, kw_only=True):
    """A toy whose look-ups are answered by messages."""

    name = "asking"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"reference", "receipt"})
    }

    def pace(self, payment: Payment) -> Pace:
        return Pace(first_look=60.0, watch_timeout=DAY, ages=(60.0, 300.0), by_callback=True)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        said = await send(
            ask("/status", Ack, {"id": payment.provider_reference}, answer=Said, id_of=Ack.named)
        )
        return self.payment(said)

    async def find(self, send: Send, payment: Payment) -> Payment:
        said = await send(
            ask("/status", Ack, {"reference": payment.reference}, answer=Said, id_of=Ack.named)
        )
        return self.payment(said)

    async def balance(self, send: Send) -> Balance:
        said = await send(ask("/balance", Ack, {}, answer=Total, id_of=Ack.named))
        return Balance(available=amount(said.total) or Decimal(0), currency="XAF")

    def answer_id(self, incoming: WebhookRequest) -> str:
        return self.message(Ack, incoming).named()


class Provider:
    """Takes orders and questions; a test sends the answers, or `speaks` does with each question."""

    def __init__(self, speaks: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.speaks = speaks
        self.refuses: Response | None = None  # the reply to a question instead

    def __call__(self, outgoing: PreparedRequest) -> Response:
        path = outgoing.url.removeprefix(Toy.sandbox_url)
        body = json.loads(outgoing.body or b"{}")
        if path == "/collect":
            return answer(
                id="p1", reference=body["reference"], status="ASKED", amount="500", currency="XAF"
            )
        self.asked.append(body)
        if self.refuses is not None:
            return self.refuses
        if self.speaks is not None:
            self.speaks(body)
        return answer(conversation=f"c{len(self.asked)}")

    def says(self, number: int = -1, /, **fields: Any) -> WebhookRequest:
        """Return the answer to a question: by default that the payment was made."""
        index = range(len(self.asked))[number]
        told = {
            "conversation": f"c{index + 1}",
            "id": "p1",
            "reference": "order-1",
            "status": "OK",
            "amount": "500",
            "currency": "XAF",
            **fields,
        }
        body = json.dumps({name: one for name, one in told.items() if one is not None})
        return WebhookRequest(path=self.asked[index]["ResultURL"], body=body.encode())

    def late(self, number: int = -1) -> WebhookRequest:
        """Return the time-out of a question, with our own credential in it."""
        said = json.dumps({"SecurityCredential": SECRET, "id": "p1"}).encode()
        return WebhookRequest(path=self.asked[number]["QueueTimeOutURL"], body=said)


class Shop:
    """What `on_payment` heard."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, Status]] = []

    async def __call__(self, payment: Payment) -> None:
        self.told.append((payment.reference, payment.status))


def worker(provider: Provider, shop: Shop, path: Path | None = None, **more: Any) -> Webhooks:
    """Return the webhooks of one worker; those with one path share a journal."""
    pool = Pool(
        Asking(account="toy", password=SECRET),
        connection=Wire(provider),
        webhook_base=BASE,
        webhook_key=KEY,
        journal=None if path is None else SqliteJournal(path),
        **more,
    )
    return Webhooks(pool, shop)


@contextlib.asynccontextmanager
async def opened(hooks: Webhooks) -> AsyncIterator[Pool]:
    """Open a worker."""
    async with hooks._pool as pool, hooks:
        yield pool


ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "reference": "order-1",
    "payer": "237670000001",
}
