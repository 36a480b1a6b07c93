"""SoftPay with Wizall: the payer gets a code by SMS, which a second request charges the invoice by.

https://developers.paydunya.com/doc/FR/softpay, as integrators transcribed it. No page shows its
answers: the first has an id, at the top or in `data` (`nested`), and a wrong code is refused in the
words of SoftPay's other codes.
"""

import re
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ..ledger import Entry, Outcome
from ..replies import json_reply

if TYPE_CHECKING:
    from . import PayDunya

WIZALL = "wizall-money-senegal"
_LOCAL = re.compile(r"7[0-9]{8}", re.ASCII)


class Wizall:
    """The codes of an application; a test may change every attribute."""

    def __init__(self, paydunya: "PayDunya") -> None:
        self._paydunya = paydunya
        self._started: dict[str, tuple[Entry, str]] = {}  # by the id of the first answer
        self.code = "4321"  # the code that each payer gets
        self.sent: list[str] = []  # the numbers that got one
        self.nested = True  # the id is in `data`

    def answer(self, way: str, body: dict[str, Any]) -> Response:
        """Answer one of the two steps."""
        return self._start(body) if way == WIZALL else self._charge(body)

    def _start(self, body: dict[str, Any]) -> Response:
        """Send the payer of an invoice a code; nothing moves."""
        entry = self._paydunya.entry(str(body.get("invoice_token") or ""))
        phone = str(body.get("phone_number") or "")
        missing = [one for one in ("customer_name", "customer_email") if one not in body]
        if missing:
            return _no(f"Le champ {missing[0]} est obligatoire")
        if not _LOCAL.fullmatch(phone):
            return _no("Désolé, vous devez fournir un numéro valide")
        if entry is None or entry.kind != "collect" or entry.status.terminal:
            return _no("Facture introuvable")
        id = self._paydunya.code(10)
        self._started[id] = (entry, phone)
        self.sent.append(phone)
        said = {"transaction_id": id}
        told = {"success": True, "message": "Un code vous a été envoyé par SMS."}
        return json_reply({**told, "data": said} if self.nested else {**told, **said})

    def _charge(self, body: dict[str, Any]) -> Response:
        """Charge the payer who got the code: at once, and once."""
        id = str(body.get("transaction_id") or "")
        entry, phone = self._started.get(id, (None, ""))
        if entry is None or str(body.get("phone_number")) != phone:
            return _no("Transaction introuvable")
        if entry.status is not Status.PENDING:
            return _no("Facture introuvable")
        if body.get("authorization_code") != self.code:
            return json_reply({"success": False, "message": "Invalid or expired OTP code!"}, 422)
        entry.party = f"221{phone}"
        entry.words |= {"softpay": WIZALL, "operator": WIZALL}
        self._paydunya.hang_up(entry)
        self._paydunya.settle(entry, Outcome(Status.SUCCEEDED))
        return json_reply({"success": True, "message": "Votre paiement a été effectué."})


def _no(message: str) -> Response:
    return json_reply({"success": False, "message": message})
