"""Acme's API on the wire, from https://acme.example/docs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from paymux.http import Response, WebhookRequest
from paymux.models import Kind, Reason, Status
from paymux.simulator.base import Provider, magic
from paymux.simulator.ledger import Entry, Outcome
from paymux.simulator.messages import Message
from paymux.simulator.replies import Refused, fields, json_reply, segments

_WORDS = {
    Status.PENDING: "OPEN",
    Status.SUCCEEDED: "PAID",
    Status.FAILED: "DECLINED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "EXPIRED",
}


class Acme(Provider):
    """Acme: a payment or transfer is a POST, a message the same object; a look-up is a GET,
    or a question that is answered by a message.
    """

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
                if entry.kind == "collect":
                    return json_reply(_said(entry))
            case "POST", "v1", "transfers":
                return self._transfer(fields(incoming) or {})
            case "POST", "v1", "questions":
                return self._asked(fields(incoming) or {})
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

    def _known(self, body: dict[str, Any]) -> Entry | None:
        """Return the transfer with this id or reference."""
        for entry in self.entries():
            named = (body.get("id"), body.get("reference"))
            own = (entry.provider_reference, entry.reference)
            if entry.kind == "payout" and (named[0] == own[0] or named[1] == own[1]):
                return entry
        return None

    def _pay(self, body: dict[str, Any]) -> Response:
        return self._opened("collect", body, body.get("payer"))

    def _transfer(self, body: dict[str, Any]) -> Response:
        if self._known({"reference": body.get("reference")}):
            raise Refused(json_reply({"error": "reference_used"}, 409))
        return self._opened("payout", body, body.get("payee"))

    def _opened(self, kind: Kind, body: dict[str, Any], party: object) -> Response:
        amount = body.get("amount")
        if type(amount) is not int or amount < 1 or not party:
            raise Refused(json_reply({"error": "bad_request"}, 400))
        entry = self.open(
            kind,
            reference=str(body.get("reference")),
            provider_reference=self.uuid(),
            amount=Decimal(amount),
            currency="XOF",
            party=str(party),
            callback_url=body.get("callback_url"),
        )
        self.ring(entry)
        return json_reply(_said(entry))

    def _asked(self, body: dict[str, Any]) -> Response:
        """Acknowledge a question, and post its answer."""
        url, question = body.get("answer_url"), f"q-{self.uuid()}"
        if not isinstance(url, str) or not (body.get("id") or body.get("reference")):
            raise Refused(json_reply({"error": "bad_request"}, 400))
        entry = self._known(body)
        transfer = _said(entry) if entry else None
        told = Message.json(url, {"question": question, "transfer": transfer})
        self.core.send(self.name, told)
        return json_reply({"question": question})


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
