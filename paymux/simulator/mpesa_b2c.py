"""Daraja's B2C and account balance: acknowledged at once; the result is POSTed to ResultURL.

Bodies are those of the docs, from github.com/amoskyalo/daraja-docs (v2/b2c.mdx and
v2/account-balance.mdx). Later additions of the portal (optional fields, lengths, the duplicate, the
result codes) are from github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs).
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..http import Response
from ..models import Reason, Status
from ..primitives.clock import wall_time
from .core import Message
from .ledger import Entry, Outcome
from .mpesa_c2b import EAT
from .replies import json_reply

if TYPE_CHECKING:
    from .mpesa import Mpesa

# Result codes by our reason. 2040 stands for all others: a payee who is not registered is the usual
# case.
_CODES: Mapping[Reason | None, str] = {
    Reason.INSUFFICIENT_FUNDS: "1",
    Reason.LIMIT: "4",
    Reason.WRONG_PIN: "2001",
}
_DESCRIPTIONS: Mapping[str, str] = {
    "0": "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "21": "The initiator is not allowed to initiate this request",
    "2001": "The initiator information is invalid.",
    "2006": "Declined due to account rule: The account status does not allow this transaction.",
    "2028": "The request is not permitted according to product assignment.",
    "2040": (
        "Credit Party customer type (Unregistered or Registered Customer) can't be supported by "
        "the service."
    ),
    "8006": "The security credential is locked",
    "SFC_IC0003": "The operator does not exist.",
}
# Only Safaricom can decrypt a SecurityCredential, so any value is accepted. Each example of the
# sandbox has another shortcode, so any shortcode is the merchant's.
_PAYOUT = (
    ("InitiatorName", r".+"),
    ("SecurityCredential", r".+"),
    ("CommandID", r"SalaryPayment|BusinessPayment|PromotionPayment"),
    ("Amount", r"0*[1-9][0-9]{0,9}"),
    ("PartyA", r"[0-9]{5,7}"),
    ("PartyB", r"254[17][0-9]{8}"),
    ("Remarks", r".{2,100}"),
)
_BALANCE = (
    ("Initiator", r".+"),
    ("SecurityCredential", r".+"),
    ("CommandID", r"AccountBalance"),
    ("PartyA", r"[0-9]{5,7}"),
    ("IdentifierType", r"[124]"),
    ("Remarks", r".{1,100}"),
)


class B2C:
    """The accounts of one merchant: collects come in on the utility account, payouts leave it."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.float = Decimal(1_000_000)  # shillings on the utility account at the start
        self.lowest = Decimal(10)  # shillings in one payout, at least; at most: the limit of a push

    def pay(self, body: dict[str, Any], version: str) -> Response:
        """Accept a payout; v3 requires the merchant's own id, and accepts each only once."""
        if version == "v3":
            self._check(body, (("OriginatorConversationID", r".{1,128}"),))
        self._check(body, _PAYOUT)
        urls = self._urls(body)
        reference = str(body["OriginatorConversationID"]) if version == "v3" else None
        if any(reference and entry.reference == reference for entry in self._payouts()):
            return self._mpesa.error(500, "500.002.1001", "Duplicate OriginatorConversationID.")
        ids = self._ids(reference)
        entry = self._mpesa.open(
            "payout",
            reference=reference,
            provider_reference=ids["ConversationID"],
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=str(body["PartyB"]),
            receipt=self._mpesa.receipt(),
            ids=ids,
            **urls,
        )
        self._mpesa.ring(entry, self._declined(entry.amount))
        return _accepted(ids)

    def balance(self, body: dict[str, Any]) -> Response:
        """Accept a request for the balances, and send the result."""
        self._check(body, _BALANCE)
        urls, ids = self._urls(body), self._ids(None)
        values = {
            "AccountBalance": "&".join(
                f"{name}|KES|{_held(funds)}" for name, funds in self._accounts().items()
            ),
            "BOCompletedTime": f"{wall_time(EAT):%Y%m%d%H%M%S}",
        }
        # Unlike in a payout's result, type and code are text here, and the description has no full
        # stop.
        result = {
            "ResultType": "0",
            "ResultCode": "0",
            "ResultDesc": "The service request is processed successfully",
            **ids,
            "TransactionID": self._mpesa.receipt(),
            "ResultParameters": _parameters(values),
            "ReferenceData": _reference_data("abresults"),
        }
        self._mpesa.core.send(self._mpesa.name, Message.json(urls["ResultURL"], {"Result": result}))
        return _accepted(ids)

    def result(self, entry: Entry, *, forged: bool = False) -> Message:
        """Make the result of a payout; one that expired in the queue goes to QueueTimeOutURL."""
        words = entry.words
        if entry.status is Status.EXPIRED and entry.code is None and not forged:
            # No live body was ever published: this one is from SDKs (pypi.org/project/mpesakit).
            timeout = {
                "ResultType": 1,
                "ResultCode": "1",
                "ResultDesc": "The service request timed out.",
            }
            return Message.json(words["QueueTimeOutURL"], {"Result": {**timeout, **words["ids"]}})
        code = (
            "0"
            if forged
            else entry.code or ("0" if entry.moved else _CODES.get(entry.reason, "2040"))
        )
        receipt: str = self._mpesa.receipt() if forged else words["receipt"]
        result: dict[str, Any] = {
            "ResultType": 0,
            "ResultCode": int(code) if code.isdecimal() else code,
            "ResultDesc": _DESCRIPTIONS.get(code, "Failed"),
            **words["ids"],
            "TransactionID": receipt if code == "0" else f"{receipt[:3]}0000000",
        }
        if code == "0":
            result["ResultParameters"] = _parameters(self._paid(entry, receipt))
        return Message.json(
            words["ResultURL"],
            {"Result": {**result, "ReferenceData": _reference_data("b2cresults")}},
        )

    def _paid(self, entry: Entry, receipt: str) -> dict[str, Any]:
        accounts = self._accounts()
        return {
            "TransactionAmount": int(entry.amount),
            "TransactionReceipt": receipt,
            "B2CRecipientIsRegisteredCustomer": "Y",
            "B2CChargesPaidAccountAvailableFunds": float(accounts["Charges Paid Account"]),
            "ReceiverPartyPublicName": f"{entry.party} - John Doe",
            "TransactionCompletedDateTime": f"{wall_time(EAT):%d.%m.%Y %H:%M:%S}",
            "B2CUtilityAccountAvailableFunds": float(accounts["Utility Account"]),
            "B2CWorkingAccountAvailableFunds": float(accounts["Working Account"]),
        }

    def _accounts(self) -> dict[str, Decimal]:
        """Return the funds of each account.

        Only the utility account is used, and there are no fees.
        """
        ledger, name = self._mpesa.core.ledger, self._mpesa.name
        moved = ledger.charged(provider=name) - ledger.paid_out(provider=name)
        return {
            "Working Account": Decimal(0),
            "Float Account": Decimal(0),
            "Utility Account": self.float + moved,
            "Charges Paid Account": Decimal(0),
            "Organization Settlement Account": Decimal(0),
        }

    def _declined(self, amount: Decimal) -> Outcome | None:
        """Return M-Pesa's own outcome of an accepted payout; None: the payee's number decides."""
        if amount < self.lowest:
            return Outcome(Status.FAILED, Reason.LIMIT, "2")
        if amount > self._mpesa.limit:
            return Outcome(Status.FAILED, Reason.LIMIT, "3")
        if amount > self._accounts()["Utility Account"]:
            return Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS)
        return None

    def _payouts(self) -> list[Entry]:
        return [entry for entry in self._mpesa.entries() if entry.kind == "payout"]

    def _check(self, body: dict[str, Any], wanted: tuple[tuple[str, str], ...]) -> None:
        for field, pattern in wanted:
            given = body.get(field)
            if given is None or not re.fullmatch(pattern, str(given), re.ASCII):
                raise self._mpesa.invalid(field)

    def _urls(self, body: dict[str, Any]) -> dict[str, str]:
        return {
            field: self._mpesa.check_url(field, body.get(field))
            for field in ("QueueTimeOutURL", "ResultURL")
        }

    def _ids(self, reference: str | None) -> dict[str, str]:
        """Make the ids of a request.

        V3 of B2C answers with the merchant's own id, if there is one.
        """
        drawn = f"{self._mpesa.core.random.getrandbits(80):020x}"
        return {
            "OriginatorConversationID": reference or self._mpesa.request_id(),
            "ConversationID": f"AG_{wall_time(EAT):%Y%m%d}_{drawn}",
        }


def _accepted(ids: Mapping[str, str]) -> Response:
    said = {"ResponseCode": "0", "ResponseDescription": "Accept the service request successfully."}
    return json_reply({**ids, **said})


def _parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"ResultParameter": [{"Key": key, "Value": value} for key, value in values.items()]}


def _reference_data(api: str) -> dict[str, Any]:
    url = f"https://internalsandbox.safaricom.co.ke/mpesa/{api}/v1/submit"
    return {"ReferenceItem": {"Key": "QueueTimeoutURL", "Value": url}}


def _held(funds: Decimal) -> str:
    """Format the four amounts of an account: current, available, reserved, uncleared."""
    return f"{funds:.2f}|{funds:.2f}|0.00|0.00"
