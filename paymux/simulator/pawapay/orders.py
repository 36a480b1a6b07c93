"""Deposits, payouts and refunds: https://docs.pawapay.io/v2/api-reference.

A request is known by the id that the merchant chose: the same one again is DUPLICATE_IGNORED.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...models import Kind, Reason, Status
from ..ledger import Entry, Outcome
from ..replies import json_reply
from .checks import check_money, checked_amount, checked_fields, checked_metadata, checked_party
from .messages import IDS, initiated, payment, refused
from .operators import OPERATORS, Operator

if TYPE_CHECKING:
    from ...http import Response
    from . import PawaPay

PATHS: Mapping[str, Kind] = {"deposits": "collect", "payouts": "payout", "refunds": "refund"}
# The fields of each request, and whether pawaPay requires them.
_DEPOSIT = {
    "depositId": True, "amount": True, "currency": True, "payer": True, "customerMessage": False,
    "clientReferenceId": False, "preAuthorisationCode": False, "successfulUrl": False,
    "failedUrl": False, "metadata": False,
}  # fmt: skip
_PAYOUT = {
    "payoutId": True, "amount": True, "currency": True, "recipient": True, "customerMessage": False,
    "clientReferenceId": False, "metadata": False,
}  # fmt: skip
_REFUND = {
    "refundId": True, "depositId": True, "amount": False, "currency": False,
    "clientReferenceId": False, "metadata": False,
}  # fmt: skip


class Orders:
    """The payments of one account."""

    def __init__(self, pawapay: "PawaPay") -> None:
        self._pawapay = pawapay
        self._refused: set[str] = set()

    def initiate(self, kind: Kind, body: dict[str, Any]) -> "Response":
        """Accept a request, or say that it was accepted before."""
        fields = {"collect": _DEPOSIT, "payout": _PAYOUT, "refund": _REFUND}[kind]
        id = checked_fields(body, fields, IDS[kind])
        known = self._pawapay.entry(id)
        if known is not None and known.words.get("opened", True):
            return json_reply(initiated(known, "DUPLICATE_IGNORED"))
        if id in self._refused and self._pawapay.refused_again != "ACCEPTED":
            return json_reply({IDS[kind]: id, "status": self._pawapay.refused_again})
        self._refused.add(id)  # unless it is accepted now
        entry = self._refund(id, body) if kind == "refund" else self._order(kind, id, body)
        return json_reply(initiated(entry))

    def check(self, kind: Kind, id: str) -> "Response":
        """Answer a status check; who has not pressed "Pay" on a page has no deposit."""
        entry = self._pawapay.entry(id)
        if entry is None or entry.kind != kind or not entry.words.get("opened", True):
            return json_reply({"status": "NOT_FOUND"})
        return json_reply({"status": "FOUND", "data": payment(entry)})

    def cancel(self, kind: Kind, id: str) -> "Response":
        """Cancel what is enqueued: it fails, and a callback is sent."""
        entry = self._known(kind, id)
        if not entry.words.get("enqueued") or entry.status.terminal:
            raise refused("INVALID_STATE", "It is not enqueued.", {IDS[kind]: id})
        self._pawapay.settle(entry, Outcome(Status.FAILED, Reason.CANCELLED))
        return json_reply({IDS[kind]: id, "status": "ACCEPTED"})

    def resend(self, kind: Kind, id: str) -> "Response":
        """Send the callback of what has ended once more."""
        entry = self._known(kind, id)
        if not entry.status.terminal:
            raise refused("INVALID_STATE", "It is not in a final state.", {IDS[kind]: id})
        self._pawapay.announce(entry)
        return json_reply({IDS[kind]: id, "status": "ACCEPTED"})

    def _known(self, kind: Kind, id: str) -> Entry:
        entry = self._pawapay.entry(id)
        if entry is None or entry.kind != kind:
            raise refused("NOT_FOUND", f"Nothing with ID #{id} is found", {IDS[kind]: id})
        return entry

    def _order(self, kind: Kind, id: str, body: dict[str, Any]) -> Entry:
        ids = {IDS[kind]: id}
        party = body["payer" if kind == "collect" else "recipient"]
        number, operator = checked_party(party, ids)
        amount = checked_amount(body["amount"])
        metadata = checked_metadata(body.get("metadata"))
        check_money(amount, body["currency"], operator, self._pawapay.bounds, ids)
        self._check_open(kind, operator, ids)
        if kind == "collect":
            _check_authorisation(body, operator)
        return self.accept(
            kind, id, amount, str(body["currency"]), number, operator,
            reference=body.get("clientReferenceId"),
            message=body.get("customerMessage"),
            metadata=metadata,
            pages=(body.get("successfulUrl"), body.get("failedUrl")),
        )  # fmt: skip

    def accept(
        self,
        kind: Kind,
        id: str,
        amount: Decimal,
        currency: str,
        number: str | None,
        operator: Operator,
        *,
        reference: Any = None,
        **words: Any,
    ) -> Entry:
        """Put an order into the ledger, and ask the payer or the operator."""
        pawapay = self._pawapay
        wallet = f"{operator.country}/{currency}"
        pawapay.reserve(kind, wallet, amount, {IDS[kind]: id})
        redirects = kind == "collect" and operator.auth == "REDIRECT_AUTH"
        more = {"authorizationUrl": f"{pawapay.url}/authorise/{id}"} if redirects else {}
        entry = pawapay.open(
            kind,
            reference=None if reference is None else str(reference),
            provider_reference=id,
            amount=amount,
            currency=currency,
            party=number,
            provider=operator.code,
            country=operator.country,
            wallet=wallet,
            receipt=str(pawapay.core.random.randrange(10**9, 10**10)),
            enqueued=kind != "collect" and operator.code in pawapay.delayed,
            **more,
            **words,
        )
        if redirects:
            pawapay.announce(entry)  # PROCESSING, with the address
        elif not entry.words["enqueued"]:
            pawapay.ring(entry)
        return entry

    def _refund(self, id: str, body: dict[str, Any]) -> Entry:
        ids = {"refundId": id}
        deposit = self._pawapay.entry(str(body["depositId"]))
        if deposit is None or deposit.kind != "collect":
            raise refused("NOT_FOUND", "The deposit is not found.", ids)
        if deposit.status is not Status.SUCCEEDED:
            raise refused("INVALID_STATE", "The deposit is not completed.", ids)
        others = [
            one for one in self._pawapay.entries()
            if one.words.get("deposit") == deposit.provider_reference
        ]  # fmt: skip
        if self._pawapay.refunds_wait and any(not one.status.terminal for one in others):
            raise refused("REFUND_IN_PROGRESS", "Another refund is in progress.", ids)
        left = deposit.amount - sum(one.amount for one in others if one.moved)
        if left <= 0:
            raise refused("DEPOSIT_ALREADY_REFUNDED", "It is refunded already.", ids)
        amount = left if body.get("amount") is None else checked_amount(body["amount"])
        if amount > left:
            raise refused("AMOUNT_TOO_LARGE", f"At most {left} can be refunded.", ids)
        if body.get("currency") not in (None, deposit.currency):
            raise refused("INVALID_CURRENCY", "It is not the deposit's currency.", ids)
        operator = OPERATORS[deposit.words["provider"]]
        self._check_open("refund", operator, ids)
        return self.accept(
            "refund", id, amount, deposit.currency, deposit.party, operator,
            reference=body.get("clientReferenceId"),
            metadata=checked_metadata(body.get("metadata")),
            deposit=deposit.provider_reference,
        )  # fmt: skip

    def _check_open(self, kind: Kind, operator: Operator, ids: Mapping[str, str]) -> None:
        """Refuse what an operator that is down, or slow, does not take."""
        down = operator.code in self._pawapay.closed
        if down or (kind == "collect" and operator.code in self._pawapay.delayed):
            said = f"The provider '{operator.code}' is currently not able to process payments."
            raise refused("PROVIDER_TEMPORARILY_UNAVAILABLE", said, ids)


def _check_authorisation(body: Mapping[str, Any], operator: Operator) -> None:
    needed = {
        "PREAUTH": ("preAuthorisationCode",),
        "REDIRECT_AUTH": ("successfulUrl", "failedUrl"),
    }.get(operator.auth, ())
    for name in needed:
        if not body.get(name):
            raise refused("MISSING_PARAMETER", f"The parameter '{name}' is missing.", status=400)
