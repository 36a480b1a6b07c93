"""An account at Daraja: the facts about it, its fields, and their checks.

"Documentation": https://developer.safaricom.co.ke/ as transcribed at
https://github.com/amoskyalo/daraja-docs.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from ...errors import UsageError
from ...models import Kind
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.status_words import StatusWords
from ...values.validation import setting
from ..base import Driver, Facts, Option
from .codes import LISTED
from .express import RESULTS, SENTENCES

_FACTS: Mapping[Kind, Facts] = {
    "collect": Facts(
        # Documentation of processrequest: no field of ours identifies a request.
        deduplicates=False,
        # The query needs a CheckoutRequestID, which is only in the answer to the push.
        findable=False,
        # No source says what the query answers for an unknown id.
        not_found_final_after=None,
    ),
    "payout": Facts(
        # B2C and B2Pochi, whose id is ours; for B2B see parties.py. 500.002.1001 "Duplicate
        # OriginatorConversationID." (https://developer.safaricom.co.ke/apis/BusinessToCustomer).
        # Still never repeated: a look-up says as much, and cannot pay.
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


class Account(Driver, frozen=True, kw_only=True):
    """One shortcode at Daraja, without its verbs: `Mpesa` describes the fields."""

    name = "mpesa"
    live_url = "https://api.safaricom.co.ke"
    sandbox_url = "https://sandbox.safaricom.co.ke"
    currencies = frozenset({"KES"})
    # Documentation: "Only whole numbers are supported".
    decimals: ClassVar[Mapping[str, int]] = {"KES": 0}
    countries = frozenset({"KE"})
    test_numbers = frozenset({"254708374149"})
    # Before the number of a business wallet, of a paybill, of a till.
    payees = frozenset({"pochi", "paybill", "till"})
    payers = frozenset({"till"})
    facts: ClassVar[Mapping[Kind, Facts]] = _FACTS
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"receipt"}),
        "payout": frozenset({"reference", "receipt"}),
    }
    # Every documented success of the transaction status, and every row of pull, has them.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "status": ("amount", "receipt"),
        "pull": ("amount", "receipt"),
    }
    # ResponseCode is no status: it says that the request was understood. No success of a query has
    # an amount.
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "ResultCode": RESULTS,
        "ResultDesc": SENTENCES,
        "errorMessage": SENTENCES,
        "transactiontype": LISTED,
    }
    login_fields = ("consumer_key", "consumer_secret")
    required = frozenset({"consumer_key", "consumer_secret", "shortcode", "passkey"})
    prose = frozenset({"business_name"})
    identity = frozenset({"shortcode", "till", "b2c_shortcode"})
    takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    payout_takes: ClassVar[frozenset[Option]] = frozenset(
        {"description", "webhook_url", "bill_reference"}
    )
    refund_takes: ClassVar[frozenset[Option]] = frozenset({"webhook_url"})
    settings = frozenset({"account_reference", "command_id", "occasion", "requester"})
    token_life = 3599.0
    # A prompt is open for one to three minutes; https://pypi.org/project/mpesa-daraja-mcp/ first
    # looks up after 20 s.
    watch_timeout = 180.0
    first_look = 15.0
    lost_refund = (
        "A reversal has no id of ours, so only its result, on the refund's own callback path, and "
        "Safaricom's portal can tell whether it was made."
    )
    lost_payout = (
        "A payment to a paybill or till has no id of ours, so only its result, on the payout's own "
        "callback path, and Safaricom's portal can tell whether it was made. Never send it again"
    )
    # Documentation, v2/account-balance.mdx: "no repeat callbacks for failed callbacks".
    redelivers = False
    # Documentation, FAQ: words to avoid in a callback URL. It is advice, so nothing is refused for
    # them.
    callback_words_to_avoid = ("mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

    consumer_key: Secret | str = ""
    consumer_secret: Secret | str = ""
    shortcode: str = ""
    passkey: Secret | str = ""
    till: str = ""
    max_amount: int = 250_000  # shillings per payment; Safaricom has raised it before
    initiator_name: str = ""
    security_credential: Secret | str = ""
    business_name: str = ""  # as others see it
    b2c_shortcode: str = ""  # the one that pays out, if it is another
    status_role: bool = True
    adopt_c2b: bool = False
    trust_confirmations: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, after the checks of every driver."""
        super().__post_init__()
        for field in ("shortcode", "till", "b2c_shortcode"):
            if not re.fullmatch("([0-9]{5,7})?", value := getattr(self, field)):
                raise UsageError.field(field, value, "a string of 5 to 7 digits")
        for field in ("status_role", "adopt_c2b", "trust_confirmations"):
            if not coerce.is_a(value := getattr(self, field), bool):
                raise UsageError.field(field, value, "True or False")
        if self.trust_confirmations and not self.adopt_c2b:
            raise UsageError.missing("adopt_c2b", "trust_confirmations is about what is adopted")
        most: Any = self.max_amount
        if type(most) is not int or most < 1:
            raise UsageError.field("max_amount", most, "a whole number of shillings above 0")

    @classmethod
    def from_settings(cls, settings: object) -> Self:
        """Read a mapping or object with the settings of an integrator.

        They are MPESA_ENVIRONMENT, _CONSUMER_KEY, _CONSUMER_SECRET, _SHORTCODE, _PASSKEY, and for
        payouts, refunds and balances _INITIATOR_NAME, _SECURITY_CREDENTIAL.
        """
        said = setting(settings, "MPESA_ENVIRONMENT")
        fields = (*sorted(cls.required), "initiator_name", "security_credential")
        given: dict[str, Any] = {
            field: setting(settings, f"MPESA_{field.upper()}") for field in fields
        }
        environment = coerce.text(said)
        if environment not in ("sandbox", "production"):
            raise UsageError.field("MPESA_ENVIRONMENT", said, "'sandbox' or 'production'")
        try:
            return cls(live=environment == "production", **given)
        except UsageError as error:
            raise error.renamed(f"MPESA_{(error.name or '').upper()}") from None
