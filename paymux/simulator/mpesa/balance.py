"""Daraja's account balance, from the page "Account Balance" of https://developer.safaricom.co.ke.

Read through github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/AccountBalance.md).
"""

from typing import TYPE_CHECKING, Any

from ...http import Response
from ..ledger import Entry
from .accounts import held
from .wire import ORGANISATION, Pairs, stamp

if TYPE_CHECKING:
    from . import Mpesa

_FIELDS = (
    ("Initiator", r".+"),
    ("SecurityCredential", r".+"),
    ("CommandID", r"AccountBalance"),
    ("PartyA", ORGANISATION),
    ("IdentifierType", r"[124]"),
    ("Remarks", r".{1,100}"),
)


class Balance:
    """The question for the funds of each account."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa

    def ask(self, body: dict[str, Any]) -> Response:
        """Acknowledge the question, and send the funds; type and code are text in the sample."""
        results = self._mpesa.results
        results.check(body, _FIELDS)
        return results.answer(
            results.asked(body, "balance", self._told, api="abresults", texts=True, question=True)
        )

    def _told(self, entry: Entry, receipt: str) -> Pairs:
        funds = self._mpesa.accounts.funds()
        return (
            ("AccountBalance", "&".join(held(name, there) for name, there in funds.items())),
            ("BOCompletedTime", stamp()),
        )
