"""An account at pawaPay: its credentials, how it signs, and how it is refused."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import ProviderError
from ...http import Request, Response
from ...models import Kind
from ...primitives.redaction import Secret
from ...values.status_words import StatusWords
from .._ids import derived_uuid
from ..base import Driver, Facts, reveal
from . import signatures
from .answers import FAILURES, STATUS, Said
from .errors import refusal
from .operators import COUNTRIES, CURRENCIES, TEST_NUMBERS
from .orders import PATHS

# "Duplicate requests with the same depositId will be ignored with the DUPLICATE_IGNORED status":
# https://docs.pawapay.io/v2/api-reference/deposits/initiate-deposit, and alike of payouts and
# refunds. How long an id is remembered is not told. NOT_FOUND is never final: a request may still
# be on its way, and of a payment page the deposit exists only after the payer has pressed "Pay".
_FACTS = Facts(deduplicates=True, findable=True, not_found_final_after=None)
_BY_OURS: frozenset[Literal["reference", "receipt"]] = frozenset({"reference"})


class Account(Driver, frozen=True, kw_only=True):
    """The facts about pawaPay, and the credentials for it."""

    name = "pawapay"
    live_url = "https://api.pawapay.io"
    sandbox_url = "https://api.sandbox.pawapay.io"
    currencies = CURRENCIES
    countries = COUNTRIES
    test_numbers = TEST_NUMBERS
    required = frozenset({"api_token"})
    login_fields = ("api_token",)
    facts: ClassVar[Mapping[Kind, Facts]] = dict.fromkeys(PATHS, _FACTS)
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = dict.fromkeys(
        PATHS, _BY_OURS
    )
    takes = frozenset({"description", "metadata", "operator", "return_url", "cancel_url"})
    payout_takes = frozenset({"description", "metadata", "operator"})
    settings = frozenset({"provider", "pre_authorisation_code"})
    speaks: ClassVar[Mapping[str, StatusWords]] = {"status": STATUS, "failureCode": FAILURES}
    # Each success on a page has both.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"payment": ("amount", "currency")}
    # For 15 minutes: https://docs.pawapay.io/v2/docs/what_to_know
    redelivers = True
    first_look = 5.0

    api_token: Secret | str = ""
    id_key: Secret | str = ""
    wallet: str = ""
    signing_key: Secret | str = ""
    signing_key_id: str = ""
    callback_keys: Mapping[str, str] | str = {}

    def __post_init__(self) -> None:
        """Check the keys of signatures, too: they may be PEM, or one line of base64."""
        put = msgspec.structs.force_setattr
        put(self, "signing_key", signatures.compact(self.signing_key))
        super().__post_init__()
        put(self, "callback_keys", signatures.checked_keys(self.callback_keys))
        if (refused := signatures.refusal(self)) is not None:
            raise refused

    def id_of(self, kind: Kind, reference: str) -> str:
        """Return the UUID of an order."""
        return derived_uuid(reveal(self.id_key), kind, reference)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the token, and what moves money with the key, too, if there is one."""
        headers = {"Authorization": f"Bearer {reveal(self.api_token)}"}
        if request.money and self.signing_key:
            headers |= signatures.signed(self, request)
        return request.with_headers(headers)

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the error of a refusal whose code is on a page; HTTP 500 proves nothing.

        A refusal comes with HTTP 200 as well, as does the answer for an unknown payment.
        """
        said = reply.read(Said) if reply.status < 500 else None
        found = None if said is None else refusal(said, reply.status, money=request.money)
        return found or super().judge(request, reply)
