"""Version 1 of the API: https://docs.pawapay.io/v1/api-reference.

Its operators are `correspondent`, its numbers `payer.address.value`, its refusals
`rejectionReason`, and a status check answers a list of one payment, or of none.
"""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...http import Response, WebhookRequest
from ...models import Kind
from ..ledger import Entry
from ..replies import Refused, json_reply
from .messages import IDS, failure_code, initiated, moment, payment, word
from .orders import PATHS

if TYPE_CHECKING:
    from . import PawaPay

_REJECTED: Mapping[str, str] = {
    "AMOUNT_OUT_OF_BOUNDS": "AMOUNT_TOO_LARGE",
    "INVALID_PROVIDER": "INVALID_CORRESPONDENT",
    "PROVIDER_TEMPORARILY_UNAVAILABLE": "CORRESPONDENT_TEMPORARILY_UNAVAILABLE",
    "PAWAPAY_WALLET_OUT_OF_FUNDS": "BALANCE_INSUFFICIENT",
    "NOT_FOUND": "DEPOSIT_NOT_FOUND",
    "INVALID_STATE": "DEPOSIT_NOT_COMPLETED",
    "DEPOSIT_ALREADY_REFUNDED": "ALREADY_REFUNDED",
    "REFUND_IN_PROGRESS": "IN_PROGRESS",
    "MISSING_PARAMETER": "PARAMETER_INVALID",
    "INVALID_PARAMETER": "PARAMETER_INVALID",
}
_FAILED: Mapping[str, str] = {
    "UNSPECIFIED_FAILURE": "OTHER_ERROR",
    "PAYMENT_IN_PROGRESS": "TRANSACTION_ALREADY_IN_PROCESS",
    "WALLET_LIMIT_REACHED": "RECIPIENT_NOT_ALLOWED_TO_RECEIVE",
    "PAWAPAY_WALLET_OUT_OF_FUNDS": "BALANCE_INSUFFICIENT",
}
_WORDS: Mapping[str, str] = {"PROCESSING": "SUBMITTED"}
# The fields of v1 that are called otherwise in v2; what else is sent is ignored.
_SAME = ("depositId", "payoutId", "refundId", "amount", "currency", "preAuthorisationCode")


class V1:
    """The first version of the API, over the same payments."""

    def __init__(self, pawapay: "PawaPay") -> None:
        self._pawapay = pawapay

    def answer(self, incoming: WebhookRequest, path: list[str]) -> Response:
        """Answer one request of v1."""
        pawapay = self._pawapay
        match incoming.method, *path:
            case "POST", operation if operation in PATHS:
                kind = PATHS[operation]
                return self._asked(kind, lambda body: self._initiate(kind, body), incoming)
            case "GET", operation, id if operation in PATHS:
                entry = self._entry(PATHS[operation], id)
                return json_reply([self.payment(entry)] if entry else [])
            case "POST", operation, "resend-callback" if operation in PATHS:
                kind = PATHS[operation]
                return self._asked(kind, lambda body: self._resend(kind, body), incoming)
            case "POST", "payouts", "fail-enqueued", id:
                return self._asked("payout", lambda _: pawapay.orders.cancel("payout", id), None)
            case "POST", *_, "widget", "sessions":
                return self._asked("collect", self._page, incoming)
            case "GET", "wallet-balances", *country:
                return pawapay.toolkit.wallets("".join(country) or None)
            case "GET", "public-key", "http":
                return pawapay.signing.public_keys()
        return json_reply({"message": "Not Found"}, 404)

    def _asked(
        self,
        kind: Kind,
        do: Callable[[dict[str, Any]], Response],
        incoming: WebhookRequest | None,
    ) -> Response:
        """Answer a request, or refuse it in the words of v1."""
        try:
            return do({} if incoming is None else self._pawapay.body(incoming))
        except Refused as refused:
            said = json.loads(refused.reply.body)
        why = said.get("failureReason", {})
        code = why.get("failureCode", "")
        whose = "PAYER" if kind == "collect" else "RECIPIENT"
        told = {"INVALID_PHONE_NUMBER": f"INVALID_{whose}_FORMAT", **_REJECTED}.get(code, code)
        reason = {"rejectionCode": told, "rejectionMessage": why.get("failureMessage", "")}
        ids = {name: said[name] for name in IDS.values() if name in said}
        return json_reply({**ids, "status": "REJECTED", "rejectionReason": reason})

    def _initiate(self, kind: Kind, body: dict[str, Any]) -> Response:
        asked = {name: body[name] for name in _SAME if body.get(name) is not None}
        asked["metadata"] = [
            {str(one.get("fieldName")): one.get("fieldValue")} for one in body.get("metadata") or ()
        ]
        if kind != "refund":
            whose = "payer" if kind == "collect" else "recipient"
            asked[whose] = _party(body.get(whose), body.get("correspondent"))
            asked["customerMessage"] = body.get("statementDescription")
            asked.pop("depositId" if kind == "payout" else "payoutId", None)
        reply = self._pawapay.orders.initiate(kind, asked)
        entry = self._pawapay.entry(str(asked.get(IDS[kind])))
        if entry is not None and entry.words.get("enqueued") and b"ACCEPTED" in reply.body:
            return json_reply(initiated(entry, "ENQUEUED"))
        told = json.loads(reply.body)
        told.pop("nextStep", None)
        return json_reply(told)

    def _resend(self, kind: Kind, body: Mapping[str, Any]) -> Response:
        return self._pawapay.orders.resend(kind, str(body.get(IDS[kind])))

    def _page(self, body: Mapping[str, Any]) -> Response:
        country = body.get("country")
        currencies = self._pawapay.currencies_of(str(country))
        asked = {
            "depositId": body.get("depositId"),
            "returnUrl": body.get("returnUrl"),
            "customerMessage": body.get("statementDescription"),
            "amountDetails": {"amount": body.get("amount"), "currency": "".join(currencies[:1])},
            "phoneNumber": body.get("msisdn"),
            "country": country,
            "reason": body.get("reason"),
        }
        return self._pawapay.pages.open(asked)

    def _entry(self, kind: Kind, id: str) -> Entry | None:
        entry = self._pawapay.entry(id)
        known = entry is not None and entry.kind == kind and entry.words.get("opened", True)
        return entry if known else None

    def payment(self, entry: Entry) -> dict[str, Any]:
        """Return a payment in a status check, or in a callback, of v1."""
        said, status = payment(entry, callback=True), word(entry)
        deposit = entry.kind == "collect"
        amounts = {"requestedAmount": said["amount"]} if deposit else {"amount": said["amount"]}
        body = {
            IDS[entry.kind]: entry.provider_reference,
            "status": _WORDS.get(status, status),
            **amounts,
            "currency": entry.currency,
            "country": entry.words["country"],
            "correspondent": entry.words["provider"],
            "payer" if deposit else "recipient": {
                "type": "MSISDN",
                "address": {"value": entry.party},
            },
            "customerTimestamp": moment(entry.opened_at),
            "statementDescription": said.get("customerMessage"),
            "created": moment(entry.opened_at),
            "metadata": said.get("metadata"),
        }
        if entry.moved:
            body["correspondentIds"] = {"FINAL": entry.words["receipt"]}
            body |= {"depositedAmount": said["amount"]} if deposit else {}
        elif entry.status.terminal:
            code = failure_code(entry)
            why = {"failureCode": _FAILED.get(code, code), "failureMessage": "It has failed."}
            body["failureReason"] = why
        return {name: value for name, value in body.items() if value is not None}


def _party(party: object, correspondent: object) -> dict[str, Any]:
    address = party.get("address") if isinstance(party, dict) else None
    number = address.get("value") if isinstance(address, dict) else None
    details = {"phoneNumber": number, "provider": correspondent}
    return {"type": "MMO", "accountDetails": details}
