"""Acme's API on the wire, from https://acme.example/docs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from paymux.http import Response, WebhookRequest
from paymux.models import Reason, Status
from paymux.simulator.base import Provider, magic
from paymux.simulator.core import Message
from paymux.simulator.ledger import Entry, Outcome
from paymux.simulator.replies import Refused, fields, json_reply, segments

_WORDS = {
    Status.PENDING: "OPEN",
    Status.SUCCEEDED: "PAID",
    Status.FAILED: "DECLINED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "EXPIRED",
}


class Acme(Provider):
    """Acme: a payment is a POST, a look-up a GET, a message the same object."""

    name = "acme"
    hosts = frozenset({"api.acme.example", "sandbox.acme.example"})
    credentials: ClassVar[Mapping[str, str]] = {"api_key": "simulator"}
    numbers: ClassVar[Mapping[str, Outcome]] = magic("229019797979", success="7")

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer as the page does."""
        if incoming.headers.get("x-api-key") != "simulator":
            raise Refused(self.stale(incoming))
        match incoming.method, *segments(incoming):
            case "POST", "v1", "payments":
                return self._pay(fields(incoming) or {})
            case "GET", "v1", "payments", number if entry := self.entry(number):
                return json_reply(_said(entry))
        return json_reply({"error": "not_found"}, 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Tell the payment's state, if the order has an address."""
        url = entry.words["callback_url"]
        said = _said(entry)
        if forged:
            said.update(status="PAID", paid="yes")
        return Message.json(url, said) if url else None

    def throttled(self) -> Response:
        """Refuse before processing."""
        return json_reply({"error": "too_many"}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the key."""
        return json_reply({"error": "bad_key"}, 401)

    def _pay(self, body: dict[str, Any]) -> Response:
        amount = body.get("amount")
        if type(amount) is not int or amount < 1 or not body.get("payer"):
            raise Refused(json_reply({"error": "bad_request"}, 400))
        entry = self.open(
            "collect",
            reference=str(body.get("reference")),
            provider_reference=self.uuid(),
            amount=Decimal(amount),
            currency="XOF",
            party=str(body["payer"]),
            callback_url=body.get("callback_url"),
        )
        self.ring(entry)
        return json_reply(_said(entry))


def _said(entry: Entry) -> dict[str, Any]:
    word = _WORDS[entry.status]
    if entry.reason is Reason.INSUFFICIENT_FUNDS:
        word = "NO_FUNDS"
    return {
        "id": entry.provider_reference,
        "reference": entry.reference,
        "status": entry.code or word,
        "paid": "yes" if entry.moved else "no",
        "amount": int(entry.amount),
        "currency": entry.currency,
    }
