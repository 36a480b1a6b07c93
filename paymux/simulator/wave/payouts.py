"""Payouts and their reversal: https://docs.wave.com/payout."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ...http import Response, WebhookRequest
from ...models import Status
from ...primitives.clock import wall_time
from ..ledger import Entry, Outcome
from ..replies import Refused, json_reply
from .checks import amount, fields, mobile, refused, text
from .messages import payout

if TYPE_CHECKING:
    from . import Wave

_FIELDS = (
    "currency",
    "receive_amount",
    "mobile",
    "name",
    "national_id",
    "payment_reason",
    "client_reference",
    "aggregated_merchant_id",
)
_TEXTS = {
    "name": 255,
    "national_id": 255,
    "payment_reason": 40,
    "client_reference": 255,
    "aggregated_merchant_id": 255,
}
_EMPTY = Response(status=200)  # "200 OK", without a body


class Payouts:
    """The payouts of one business."""

    def __init__(self, wave: "Wave") -> None:
        self._wave = wave
        self._by_key: dict[str, tuple[str, Entry]] = {}

    def create(self, incoming: WebhookRequest) -> Response:
        """Pay out at once; "requests with one key never send money more than once"."""
        key = incoming.headers.get("idempotency-key", "")
        if not 0 < len(key) <= 255:
            said = "An 'Idempotency-Key' header is required for POST requests"
            raise Refused(refused(400, "request-validation-error", said))
        body = fields(incoming, _FIELDS, strict=self._wave.unknown_fields_refused)
        content = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        digest, entry = self._by_key.get(key, (content, None))
        if digest != content:
            said = "This idempotency key was used with a different request"
            raise Refused(refused(409, "idempotency-mismatch", said))
        if entry is None:
            entry = self._made(body)
            self._by_key[key] = (content, entry)
            self._execute(entry)
        return json_reply(payout(self._wave, entry))

    def _made(self, body: Mapping[str, Any]) -> Entry:
        wave = self._wave
        asked, party = amount(body, "receive_amount"), mobile(body, "mobile")
        said = {name: text(body, name, longest) for name, longest in _TEXTS.items()}
        if not party.startswith(wave.calling_code):
            raise Refused(refused(400, "country-mismatch", "The recipient is in another country."))
        if wave.prechecks and asked * (1 + wave.fee) > wave.balance:
            raise Refused(refused(422, "insufficient-funds", "Insufficient funds in wallet."))
        return wave.open(
            "payout",
            reference=said.pop("client_reference"),
            provider_reference=f"pt-{wave.core.random.getrandbits(60):015x}",
            amount=asked,
            currency="XOF",
            party=party,
            submitted=said,
            transaction_id=f"T_{wave.core.random.getrandbits(50):010X}",
        )

    def _execute(self, entry: Entry) -> None:
        """Pay now, as the page says; one to a number that never ends is in process."""
        wave, number = self._wave, self._wave.magic.get(entry.party or "")
        decided = wave.core.payers.outcome(entry, number, wave.core.random)
        if decided is None:
            decided = Outcome(Status.SUCCEEDED, by="default")
        if decided.status is not Status.PENDING:
            wave.settle(entry, decided)

    def get(self, payout_id: str) -> Response:
        """Give a payout."""
        return json_reply(payout(self._wave, self._known(payout_id)))

    def search(self, asked: Mapping[str, str]) -> Response:
        """List the payouts with a client_reference; none is an empty list."""
        named = asked.get("client_reference", "")
        known = self._wave.core.ledger.entries(named, provider=self._wave.name)
        found = [one for one in known if one.kind == "payout" and one.reference == named]
        found = [one for one in found if self._wave.entry(one.provider_reference)]
        return json_reply({"result": [payout(self._wave, one) for one in found]})

    def reverse(self, payout_id: str) -> Response:
        """Take a payout and its fee back, within three days; called twice, it is one reversal."""
        wave, entry = self._wave, self._known(payout_id)
        if entry.status is Status.REFUNDED:
            return _EMPTY
        if entry.status is not Status.SUCCEEDED:
            raise Refused(refused(404, "not-found", "No payout was found"))
        if wall_time() - entry.opened_at > timedelta(days=wave.reversal_days):
            code = "payout-reversal-time-limit-exceeded"
            said = "The time limit for reversing this payout has passed"
            raise Refused(refused(400, code, said))
        if entry.words.get("spent"):
            raise Refused(refused(422, "insufficient-funds", "The recipient has spent it."))
        if entry.words.get("terminated"):
            code = "payout-reversal-account-terminated"
            raise Refused(refused(422, code, "The recipient's account was closed."))
        back = wave.open(
            "refund",
            reference=None,  # a reversal has no name, only its payout has
            provider_reference=f"{entry.provider_reference}/reverse",
            amount=entry.amount,
            currency="XOF",
            party=entry.party,
            refund_of=entry.provider_reference,
        )
        wave.settle(entry, Outcome(Status.REFUNDED))
        wave.settle(back, Outcome(Status.SUCCEEDED))
        return _EMPTY

    def recipient(self, incoming: WebhookRequest) -> Response:
        """Compare a recipient with Wave's records, as an integrator's transcription shows it."""
        names = ("mobile", "name", "national_id", "amount", "currency")
        body = fields(incoming, names, strict=self._wave.unknown_fields_refused)
        mobile(body, "mobile")
        known = body.get("name") == "Fatou Ndiaye"
        told = {
            "within_limits": True,
            "name_match": "MATCH" if known else "NAME_NOT_KNOWN",
            "national_id_match": "ID_NOT_KNOWN" if body.get("national_id") else None,
        }
        return json_reply(told)

    def _known(self, payout_id: str) -> Entry:
        entry = self._wave.entry(payout_id)
        if entry is None or entry.kind != "payout":
            raise Refused(refused(404, "not-found", "No payout was found"))
        return entry
