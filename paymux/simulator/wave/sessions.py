"""Checkout sessions: https://docs.wave.com/checkout."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from ...http import Response, WebhookRequest
from ...models import Reason, Status
from ...primitives.clock import wall_time
from ..ledger import Entry, Outcome
from ..replies import Refused, json_reply
from .checks import amount, fields, mobile, refused, text, url
from .messages import FAILED, failure, session

if TYPE_CHECKING:
    from . import Wave

_FIELDS = (
    "amount",
    "currency",
    "success_url",
    "error_url",
    "client_reference",
    "restrict_payer_mobile",
    "aggregated_merchant_id",
)
_EMPTY = Response(status=200)  # "200 OK", without a body


class Sessions:
    """The sessions of one business."""

    def __init__(self, wave: "Wave") -> None:
        self._wave = wave

    def create(self, incoming: WebhookRequest) -> Response:
        """Make a session; each request makes a new one, whatever its Idempotency-Key."""
        wave = self._wave
        body = fields(incoming, _FIELDS, strict=wave.unknown_fields_refused)
        asked = amount(body, "amount")
        urls = {name: url(body, name) for name in ("success_url", "error_url")}
        named = text(body, "client_reference", 255)
        if self._wave.repeated == "join" and (known := self._named(named)):
            return json_reply(session(wave, known[0]))
        restricted = body.get("restrict_payer_mobile") is not None
        entry = wave.open(
            "collect",
            transaction := f"T{wave.core.random.getrandbits(50):010X}",
            reference=named,
            provider_reference=f"cos-{wave.core.random.getrandbits(60):015x}",
            amount=asked,
            currency="XOF",
            party=mobile(body, "restrict_payer_mobile") if restricted else None,
            **urls,
            restricted=restricted,
            aggregated_merchant_id=text(body, "aggregated_merchant_id", 255),
            transaction_id=transaction,
            paid="processing",
            error=None,
            operator="WAVE",
        )
        wave.ring(entry, on_phone=False)
        return json_reply(session(wave, entry))

    def get(self, session_id: str) -> Response:
        """Give a session."""
        return json_reply(session(self._wave, self._known(session_id)))

    def of_transaction(self, asked: Mapping[str, str]) -> Response:
        """Give the session of a transaction."""
        named = asked.get("transaction_id", "")
        for entry in self._wave.core.ledger.entries(named, provider=self._wave.name):
            if entry.words.get("transaction_id") == named and entry.moved:
                return json_reply(session(self._wave, entry))
        raise self._unknown()

    def search(self, asked: Mapping[str, str]) -> Response:
        """List the sessions with a client_reference; none is an empty list."""
        found = self._named(asked.get("client_reference"))
        return json_reply({"result": [session(self._wave, one) for one in found]})

    def expire(self, session_id: str) -> Response:
        """End an open session."""
        entry = self._known(session_id)
        if entry.status.terminal:
            said = "The session is already complete or expired."
            raise Refused(refused(409, "checkout-session-not-open", said))
        self._wave.settle(entry, Outcome(Status.EXPIRED, Reason.EXPIRED))
        return _EMPTY

    def refund(self, session_id: str) -> Response:
        """Give the whole amount and the fee back; called twice, it is one refund."""
        wave, entry = self._wave, self._known(session_id)
        if entry.status is Status.REFUNDED:
            return _EMPTY
        if entry.status is not Status.SUCCEEDED or wave.balance < wave.booked(entry):
            said = "The checkout could not be refunded"
            raise Refused(refused(400, "checkout-refund-failed", said))
        back = wave.open(
            "refund",
            reference=None,  # a refund has no name, only its session has
            provider_reference=f"{entry.provider_reference}/refund",
            amount=entry.amount,
            currency="XOF",
            party=entry.party,
            refund_of=entry.provider_reference,
        )
        wave.settle(entry, Outcome(Status.REFUNDED))
        wave.settle(back, Outcome(Status.SUCCEEDED))
        return _EMPTY

    def attempt(self, entry: Entry, outcome: Outcome) -> None:
        """Note an attempt that failed: the session stays open, and the payer may try again."""
        wave = self._wave
        if entry.status.terminal:
            return
        entry.words["error"] = failure(outcome.reason)
        entry.words["paid"] = FAILED if outcome.status is Status.FAILED else "cancelled"
        entry.words.pop("chosen", None)
        entry.tries_left = 3
        wave.hang_up(entry)
        if wave.webhook_url and outcome.status is Status.FAILED:
            messages, late = wave.faulted(entry, wave.failed_attempt(entry))
            wave.core.send(wave.name, *messages, after=late)

    def _named(self, reference: str | None) -> list[Entry]:
        known = self._wave.core.ledger.entries(reference or "", provider=self._wave.name)
        found = [one for one in known if one.kind == "collect" and one.reference == reference]
        # What its provider does not show yet is not found either.
        return [self._lapsed(one) for one in found if self._wave.entry(one.provider_reference)]

    def _known(self, session_id: str) -> Entry:
        entry = self._wave.entry(session_id)
        if entry is None or entry.kind != "collect":
            raise self._unknown()
        return self._lapsed(entry)

    def _unknown(self) -> Refused:
        status = self._wave.unknown_status
        return Refused(refused(status, "checkout-session-not-found", "Checkout session not found"))

    def _lapsed(self, entry: Entry) -> Entry:
        """End a session whose time is over; nothing is sent then: there is no such event."""
        over = wall_time() - entry.opened_at >= timedelta(seconds=self._wave.page_life)
        if over and not entry.status.terminal:
            self._wave.settle(entry, Outcome(Status.EXPIRED, Reason.EXPIRED))
        return entry
