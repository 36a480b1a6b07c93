"""OPR, onsite payment: a code is sent to a holder of a PayDunya account, and charges the account.

https://pypi.org/project/paydunya 1.0.7 (opr.py) and npm paydunya 1.0.12 (lib/onsite-invoice.js):
no page of PayDunya has it any more.
"""

from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ..ledger import Entry, Outcome
from ..replies import json_reply
from .messages import invoice

if TYPE_CHECKING:
    from . import PayDunya


class Onsite:
    """The onsite payments of an application; a test may change every attribute."""

    def __init__(self, paydunya: "PayDunya") -> None:
        self._paydunya = paydunya
        self._made: dict[str, Entry] = {}  # by the token of the OPR, which is not the invoice's
        self.code = "1234"  # the code that each payer gets on the phone
        self.sent: list[str] = []  # the accounts that got one

    def answer(self, step: str, body: dict[str, Any], api: str) -> Response:
        """Answer one of the two steps."""
        return self._create(body, api) if step == "create" else self._charge(body, api)

    def _create(self, body: dict[str, Any], api: str) -> Response:
        """Make an invoice, and send its payer a code."""
        asked, opr = body.get("invoice_data"), body.get("opr_data")
        alias = opr.get("account_alias") if isinstance(opr, dict) else None
        if not isinstance(asked, dict) or not alias:
            return self._no("invoice_data and opr_data.account_alias are required")
        entry = self._paydunya.invoice(asked, api)
        token = self._paydunya.code(12)
        self._made[token] = entry
        self.sent.append(str(alias))
        return json_reply(
            {
                "response_code": "00",
                "response_text": "OPR initiated",
                "description": "A confirmation code was sent to the account's phone",
                "token": token,
                "invoice_token": entry.provider_reference,
            }
        )

    def _charge(self, body: dict[str, Any], api: str) -> Response:
        """Charge the account of the payer who got the code: at once, and once."""
        entry = self._made.get(str(body.get("token") or ""))
        mode = "test" if api == "sandbox-api" else "live"
        if entry is None or entry.words["mode"] != mode or entry.status is not Status.PENDING:
            return self._no("Invalid OPR token")
        if body.get("confirm_token") != self.code:
            return self._no("Invalid confirmation token")
        entry.words["opr"] = "charged"
        self._paydunya.settle(entry, Outcome(Status.SUCCEEDED))
        told = invoice(entry, self._paydunya)
        data = {name: told[name] for name in ("status", "receipt_url", "customer", "invoice")}
        return json_reply(
            {
                "response_code": "00",
                "response_text": "Transaction completed successfully",
                "description": "",
                "invoice_data": data,
            }
        )

    def _no(self, text: str) -> Response:
        return json_reply({"response_code": self._paydunya.refusal, "response_text": text})
