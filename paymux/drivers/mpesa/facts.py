"""What Daraja's pages say about the requests that move money."""

from collections.abc import Mapping

from ...models import Kind
from ..base import Facts

FACTS: Mapping[Kind, Facts] = {
    "collect": Facts(
        # Documentation of processrequest: no field of ours identifies a request.
        deduplicates=False,
        # The query needs a CheckoutRequestID, which is only in the answer to the push.
        findable=False,
        # No source says what the query answers for an unknown id.
        not_found_final_after=None,
    ),
    "payout": Facts(
        # B2C and B2Pochi, whose id is ours: 500.002.1001 "Duplicate OriginatorConversationID."
        # (https://developer.safaricom.co.ke/apis/BusinessToCustomer). Still never repeated: a
        # look-up says as much, and cannot pay.
        deduplicates=True,
        # Same page: "You can use this ID to query the status of a transaction".
        findable=True,
        # No source says how the transaction status answers an unknown id.
        not_found_final_after=None,
    ),
    "refund": Facts(
        # https://developer.safaricom.co.ke/apis/Reversal: no field of ours identifies it. That
        # a second one is R000001 is told later, of the receipt and not of the request.
        deduplicates=False,
        findable=False,
        not_found_final_after=None,
    ),
}
