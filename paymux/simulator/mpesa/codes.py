"""The result codes of the operations of an initiator, with the pages' descriptions.

From the pages "Business To Customer", "Reversal", "Account Balance" and "Transaction Status" of
https://developer.safaricom.co.ke, read through github.com/JacksCodeVault/mpesa-daraja-mcp
(daraja_docs_v3/docs, December 2025).
"""

from collections.abc import Mapping

from ...models import Reason

DONE = "The service request is processed successfully."

DESCRIPTIONS: Mapping[str, str] = {
    "0": DONE,
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "15": "Duplicate Detected",
    "18": "Initiator Credential Check Failure",
    "20": "Unresolved Initiator",
    "21": "The initiator is not allowed to initiate this request",
    "25": "InvalidRequestParameters",
    "2001": "The initiator information is invalid.",
    "2006": "Declined due to account rule: The account status does not allow this transaction.",
    "2028": "The request is not permitted according to product assignment.",
    "2040": (
        "Credit Party customer type (Unregistered or Registered Customer) can't be supported by "
        "the service."
    ),
    "8006": "The security credential is locked",
    "100000000": "Request was cached, waiting for resending",
    "R000001": "The transaction has already been reversed.",
    "R000002": "The OriginalTransactionID is invalid.",
    "SFC_IC0003": "The operator does not exist.",
}

# What a payout that fails for our reason is told with. 2040 stands for all others: a payee who is
# not registered is the usual case.
PAYOUT: Mapping[Reason | None, str] = {
    None: "2040",
    Reason.INSUFFICIENT_FUNDS: "1",
    Reason.LIMIT: "4",
    Reason.WRONG_PIN: "2001",
}
# A reversal fails for lack of money, or because an account is no longer active.
REVERSAL: Mapping[Reason | None, str] = {None: "11", Reason.INSUFFICIENT_FUNDS: "1"}
