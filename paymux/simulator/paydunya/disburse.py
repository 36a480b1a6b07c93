"""Disburse v2: a token is made, paid out, and asked about.

https://developers.paydunya.com/doc/EN/api_deboursement; what it leaves open is integrators' code.
"""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlencode

from ...http import Response
from ...models import Status
from ..ledger import Entry
from ..messages import Message
from ..replies import Refused, json_reply
from .messages import signature

if TYPE_CHECKING:
    from . import PayDunya

# Each `withdraw_mode`, and the calling code of its country; "paydunya" credits an account.
_MODES = {
    **dict.fromkeys(
        ("orange-money-senegal", "free-money-senegal", "expresso-senegal", "wave-senegal"), "221"
    ),
    "djamo-sn": "221",
    **dict.fromkeys(("mtn-benin", "moov-benin", "celtiis-cash"), "229"),
    **dict.fromkeys(("mtn-ci", "orange-money-ci", "moov-ci", "wave-ci", "djamo-ci"), "225"),
    **dict.fromkeys(("t-money-togo", "moov-togo"), "228"),
    "orange-money-mali": "223",
    **dict.fromkeys(("orange-money-burkina", "moov-burkina-faso"), "226"),
    "mtn-cameroun": "237",
    "paydunya": "",
}
_LOCAL = re.compile(r"[0-9]{8,10}", re.ASCII)
_WORDS = {Status.SUCCEEDED: "success", Status.PENDING: "pending"}  # every other end is "failed"


class Invoiced(NamedTuple):
    """A token of a disbursement, which moves nothing until it is submitted."""

    amount: Decimal
    alias: str
    mode: str
    callback_url: str
    disburse_id: str | None


class Disbursements:
    """The disbursements of an application; a test may change every attribute."""

    def __init__(self, paydunya: "PayDunya") -> None:
        self._paydunya = paydunya
        self._invoiced: dict[str, Invoiced] = {}
        self.enabled = True  # PayDunya switches it on for each application
        self.probes = True  # the callback must answer an empty message before a token is made
        # The answer to a submitted one has a status or, as in the examples for Wave and Orange
        # Money, none.
        self.says: Literal["", "pending", "success", "failed"] = ""
        self.stuck = False  # it stays "created": not sent to the operator
        self.space = True  # a token ends with a space, integrators say
        self.notification: Literal["form", "data"] = "form"

    async def answer(self, call: str, body: dict[str, Any]) -> Response:
        """Answer one of the three requests."""
        if not self.enabled:
            raise self._refused("Disburse is not enabled for this application", "401")
        match call:
            case "get-invoice":
                return await self._invoice(body)
            case "submit-invoice":
                return self._submit(body)
        return self._check(body)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the message about an end: flat form fields, or JSON in `data`."""
        url = entry.words["callback_url"]
        if not url:
            return None
        told = {"hash": signature(self._paydunya), **self._state(entry)}
        if forged:
            told |= {"hash": "0" * 128, "status": "success"}
        form = told if self.notification == "form" else {"data": json_reply(told).body.decode()}
        return Message(
            url=url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(form, errors="replace").encode(),
        )

    async def _invoice(self, body: dict[str, Any]) -> Response:
        amount, mode = (
            self._paydunya.amount(body.get("amount"), "amount"),
            body.get("withdraw_mode"),
        )
        alias, url = str(body.get("account_alias") or ""), body.get("callback_url")
        if mode not in _MODES:
            raise self._refused("This withdraw mode is not supported", "1001")
        if mode != "paydunya" and not _LOCAL.fullmatch(alias):
            raise self._refused("account_alias must be a local number", "1001")
        if not isinstance(url, str) or not url or not await self._reaches(url):
            raise self._refused("the callback is not accessible", "4002")
        token = self._paydunya.code(20)
        ours = body.get("disburse_id")
        ours = str(ours) if ours else None
        self._invoiced[token] = Invoiced(amount, alias, mode, url, ours)
        told = f"{token} " if self.space else token
        return json_reply({"response_code": "00", "disburse_token": told})

    async def _reaches(self, url: str) -> bool:
        if not self.probes:
            return True
        core = self._paydunya.core
        reply = await core.carry(self._paydunya.name, Message(url=url))
        return reply is not None and 200 <= reply.status < 300

    def _submit(self, body: dict[str, Any]) -> Response:
        """Pay out a token, once: a second time is no documented case, and pays nothing here."""
        token = str(body.get("disburse_invoice") or "").strip()
        asked = self._invoiced.get(token)
        if asked is None:
            raise self._refused("Disburse invoice not found", "404")
        entry = self._paydunya.entry(token)
        if entry is None:
            if asked.amount > self._paydunya.balance:
                funds = "You don't have enough funds. Consider crediting your account"
                raise self._refused(funds, "4002")
            entry = self._pay(token, asked, body)
        words = entry.words
        told = {
            "response_code": "00",
            "transaction_id": words["transaction_id"],
            "provider_ref": words["disburse_tx_id"],
        }
        return json_reply({**told, "status": self.says} if self.says else told)

    def _pay(self, token: str, asked: Invoiced, body: dict[str, Any]) -> Entry:
        ours = body.get("disburse_id") or asked.disburse_id
        entry = self._paydunya.open(
            "payout",
            reference=str(ours) if ours else None,
            provider_reference=token,
            amount=asked.amount,
            currency="XOF",
            party=_MODES[asked.mode] + asked.alias,
            withdraw_mode=asked.mode,
            callback_url=asked.callback_url,
            transaction_id=self._paydunya.code(12),
            disburse_tx_id=self._paydunya.code(16),
            created=self.stuck,
        )
        if not self.stuck:
            self._paydunya.ring(entry)
        return entry

    def _check(self, body: dict[str, Any]) -> Response:
        token = str(body.get("disburse_invoice") or "").strip()
        asked, entry = self._invoiced.get(token), self._paydunya.entry(token)
        if asked is None:
            raise self._refused("Disburse invoice not found", "404")
        if entry is not None and entry.kind == "payout":
            return json_reply({"response_code": "00", "response_text": "", **self._state(entry)})
        return json_reply(
            {
                "response_code": "00",
                "response_text": "",
                "status": "created",
                "token": token,
                "amount": f"{asked.amount:.2f}",
                "withdraw_mode": asked.mode,
                "disburse_id": asked.disburse_id or "",
            }
        )

    def _state(self, entry: Entry) -> dict[str, str]:
        words = entry.words
        usual = _WORDS.get(entry.status, "failed")
        if words["created"] and not entry.status.terminal:
            usual = "created"
        return {
            "status": entry.code or usual,
            "token": f"{entry.provider_reference} " if self.space else entry.provider_reference,
            "withdraw_mode": words["withdraw_mode"],
            "amount": f"{entry.amount:.2f}",
            "updated_at": f"{entry.settled_at or entry.opened_at:%d/%m/%Y %H:%M:%S}",
            "disburse_id": entry.reference or "",
            "transaction_id": words["transaction_id"],
            "disburse_tx_id": words["disburse_tx_id"],
        }

    def _refused(self, text: str, code: str) -> Refused:
        return Refused(json_reply({"response_code": code, "response_text": text}))
